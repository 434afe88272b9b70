"""What is measured where: on the device that a plan is for, or else what cores do alone."""

import os

import pytest
import torch

from vie.plan import measure
from vie.plan.__main__ import throughputs_of
from vie.plan.throughputs import Throughputs, cpus, load, save
from vie.runtime.errors import VieError


@pytest.fixture
def steps(monkeypatch):
    """Two steps in place of the real ones, of cores and of networks, and what was taken."""
    taken = []

    def cores(machine, name):
        taken.append(machine.pool.apply(os.getenv, ("CUDA_VISIBLE_DEVICES",)))
        return {name: 1.0}

    def network(machine, name):
        taken.append(machine.device)
        return {name: 2.0}

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(measure, "STARTS", {})
    monkeypatch.setattr(measure, "OF_CORES", (cores,))
    monkeypatch.setattr(
        measure, "_steps", lambda model: [(cores, ("load x",)), (network, ("train x",))]
    )
    return taken


def test_a_machine_with_a_gpu_measures_its_cores_alone_if_asked(
    config, model, steps, monkeypatch, tmp_path
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    found = measure.measure(model(config, device="cpu"), tmp_path / "t.json")
    assert steps == ["", "cpu"]  # processes that measure see no GPU
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"  # this one does
    assert (found.device, found.planned) == ("cpu", ["embedded"])


def test_without_the_gpu_that_is_asked_for_cores_are_measured(
    config, model, steps, monkeypatch, tmp_path, caplog
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    found = measure.measure(model(config, device="cuda"), tmp_path / "t.json")
    assert "there is no GPU here" in caplog.text
    assert steps == [""]
    assert (found.device, found.measured) == ("cuda", {"load x": 1.0})
    kept = load(tmp_path / "t.json")
    assert (kept.device, kept.planned) == ("cpu", [])  # later plans are not for this machine


def test_where_networks_run(config, paper, monkeypatch, tmp_path):
    path = tmp_path / "t.json"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert throughputs_of(config, None, path).device == "cuda"
    save(Throughputs("cuda", "mine", 2, planned=["embedded"]), path)
    assert throughputs_of({**config, "gpus": 0}, None, path).device == "cpu"
    assert throughputs_of({**config, "gpus": 0}, None, path).cpus == cpus()
    with pytest.raises(VieError, match=r"--device cuda: `gpus` is 0"):
        throughputs_of({**config, "gpus": 0}, "cuda", path)
    assert throughputs_of(config, "cpu", path, measuring=True).device == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert throughputs_of(paper, None, path).device == "cuda"
    assert throughputs_of(paper, None, path, measuring=True).device == "cpu"


def test_clustering_is_measured_with_many_clusters_and_one_thread(monkeypatch):
    asked = []
    monkeypatch.setattr(measure, "SECONDS", 1e-3)
    monkeypatch.setattr(measure, "kmeans", lambda v, m, **settings: asked.append((m, settings)))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(measure, "ready", lambda threads: None)

    class Machine:
        device = "cpu"

        def everywhere(self, function, *arguments):
            function(*arguments)
            return 1e-8

    assert measure._kmeans(Machine(), "k") == {"k, cpu": pytest.approx(1e8)}
    clusters, settings = asked[0]
    assert clusters >= 2000
    assert settings["threads"] == 1
