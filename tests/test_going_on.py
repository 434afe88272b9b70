"""Trainings that go on: after kills, other settings and back, longer schedules."""

import copy
import json

import numpy as np
import pytest
import torch

from vie.clips.transform import ClipTransform
from vie.engine.resumable import Resumable
from vie.engine.run import Data, Run
from vie.models.untrained import write_untrained
from vie.pretrain import Pretraining, PretrainOutputs, train_stage
from vie.probe import Probing, train_probe
from vie.runtime import torch_files

IR, LA = "instance_recognition", "local_aggregation"


def train(recipe, dataset, folder, stage=IR, data=None, **settings):
    """Content of the checkpoint at the end; on one thread, as bits are compared."""
    run = Run(folder / f"{stage}.state", seed=1, name="test", **settings)
    outputs = PretrainOutputs(folder / f"{stage}.pt", folder / f"{stage}.jsonl")
    data = data or Data(dataset / "train" / "index.parquet")
    start_from = folder / f"{IR}.pt" if stage == LA else None
    train_stage(recipe, stage, data, run, outputs, start_from)
    return torch_files.load(outputs.checkpoint)


def rows(folder, stage=IR):
    return [json.loads(line) for line in (folder / f"{stage}.jsonl").read_text().splitlines()]


def assert_same_state(one, other):
    """All that was trained, to the last bit."""
    names = ("step", "epoch", "encoder", "optimiser", "bank", "objective")
    digests = [
        {n: torch_files.content_digest(content[n]) for n in names} for content in (one, other)
    ]
    assert digests[0] == digests[1]


@pytest.fixture
def steps(monkeypatch):
    """Numbers of the steps that are trained; `steps.kill_at` is one before which it is killed."""

    class Steps(list):
        kill_at = None

    seen, real = Steps(), Pretraining.step

    def step(task, number, batch):
        if number == seen.kill_at:
            raise KeyboardInterrupt
        seen.append(number)
        return real(task, number, batch)

    monkeypatch.setattr(Pretraining, "step", step)
    return seen


@pytest.mark.slow
def test_kills_and_other_settings_at_twenty_moments(
    recipe, small_dataset, tmp_path, steps, monkeypatch
):
    recipe["schedule"] |= {IR: "60 steps"}
    recipes = [recipe, copy.deepcopy(recipe)]
    recipes[1]["objective"]["temperature"] = 0.2
    whole = [train(one, small_dataset, tmp_path / f"whole{i}") for i, one in enumerate(recipes)]
    seed = np.random.SeedSequence().entropy  # moments that nobody chose
    print("seed of the moments:", seed)
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(Resumable, "due", lambda states: rng.random() < 0.5)
    folder, reached = tmp_path / "run", [0, 0]
    for _ in range(20):
        which = int(rng.integers(2))
        before = reached[which]
        steps.clear()
        steps.kill_at = int(rng.integers(before, min(before + 6, 60)))
        with pytest.raises(KeyboardInterrupt):
            train(recipes[which], small_dataset, folder)
        # Its own last checkpoint, whatever the other one did since.
        assert steps[:1] == ([before] if steps.kill_at > before else [])
        state = folder / f"{IR}.state" / "checkpoint.pt"
        reached[which] = torch_files.load(state)["step"] if state.exists() else 0
    steps.kill_at = None
    for which in (0, 1):
        assert_same_state(train(recipes[which], small_dataset, folder), whole[which])
        found = [row["step"] for row in rows(folder)]
        assert found == sorted(set(found))
        assert found[-1] == 59


@pytest.mark.parametrize("finished", [True, False])
def test_a_longer_schedule_trains_only_what_is_left(
    recipe, small_dataset, tmp_path, steps, monkeypatch, finished
):
    """As Snakemake does it: results are removed before the job runs again."""
    monitored = Data(
        *(small_dataset / split / "index.parquet" for split in ("train", "val")),
        small_dataset / "classes.csv",
    )
    short, long = copy.deepcopy(recipe), copy.deepcopy(recipe)
    short["schedule"] |= {IR: "10 steps", "lr_drops": ["8 steps"]}
    long["schedule"] |= {IR: "14 steps", "lr_drops": ["8 steps", "12 steps"]}
    whole = train(long, small_dataset, tmp_path / "whole", data=monitored)
    folder = tmp_path / "run"
    if finished:
        train(short, small_dataset, folder, data=monitored)
        assert (folder / f"{IR}.pt").samefile(folder / f"{IR}.state" / "checkpoint.pt")
        (folder / f"{IR}.pt").unlink()
        (folder / f"{IR}.jsonl").unlink()
    else:
        steps.kill_at = 7
        monkeypatch.setattr(Resumable, "due", lambda states: True)
        with pytest.raises(KeyboardInterrupt):
            train(short, small_dataset, folder, data=monitored)
        steps.kill_at = None
    steps.clear()
    longer = train(long, small_dataset, folder, data=monitored)
    assert steps == list(range(10 if finished else 7, 14))
    assert_same_state(longer, whole)
    assert longer["recipe"] == long
    measured = [
        [(row["step"], row["knn_top1"]) for row in rows(tmp_path / name) if "knn_top1" in row]
        for name in ("whole", "run")
    ]
    assert measured[0] == measured[1]
    if finished:  # and back: the shorter one's end was kept
        steps.clear()
        assert train(short, small_dataset, folder, data=monitored)["step"] == 10
        assert not steps


@pytest.mark.parametrize(
    "change",
    [
        {"label": "VIE"},
        {"start_first": True},
        {"monitor": {"every": "2 epochs", "neighbours": 1, "clips": 1}},
        {"optimiser": {"weight_decay": 1e-4, "momentum": 0.9, "lr": 0.05, "batch": 5}},  # the order
    ],
)
def test_what_trains_nothing_repeats_nothing(recipe, small_dataset, tmp_path, steps, change):
    """Nor does it repeat what starts from there."""
    recipe["schedule"] |= {IR: "3 steps", LA: "3 steps"}
    for stage in (IR, LA):
        train(recipe, small_dataset, tmp_path, stage, code="a")
    steps.clear()
    recipe |= change
    for stage in (IR, LA):
        content = train(recipe, small_dataset, tmp_path, stage, code="b")
        assert content["recipe"] == recipe
        assert content["code"] == "a"  # it made the network
    assert not steps


@pytest.mark.parametrize("change", ["version", "precision", "seed of the data"])
def test_what_trains_otherwise_starts_anew(recipe, small_dataset, tmp_path, steps, change):
    recipe["schedule"] |= {IR: "3 steps"}
    recipe["objective"][IR]["negatives"] = 8  # the other data are 8 videos
    train(recipe, small_dataset, tmp_path)
    settings = {"version": "2"} if change == "version" else {"precision": "tf32"}
    if change == "seed of the data":
        settings = {"data": Data(small_dataset / "val" / "index.parquet")}
    steps.clear()
    train(recipe, small_dataset, tmp_path, **settings)
    assert steps == [0, 1, 2]
    assert (tmp_path / f"{IR}.state" / "superseded-1" / "checkpoint.pt").exists()


def test_more_test_clips_train_no_probe(recipe, small_dataset, tmp_path, monkeypatch):
    write_untrained(recipe, 0, tmp_path / "u.pt")
    networks = [torch_files.load(tmp_path / "u.pt")]
    settings = {
        "optimiser": {"batch": 8, "lr": 0.2, "momentum": 0.9, "weight_decay": 1e-4},
        "schedule": {"duration": "1 epochs", "lr_drops": []},
        "clips": 2,
    }
    data = Data(small_dataset / "train" / "index.parquet", classes=small_dataset / "classes.csv")
    run = Run(tmp_path / "work", seed=0, name="test")
    first = train_probe(networks, ClipTransform.of(recipe), settings, data, run)
    monkeypatch.setattr(Probing, "step", None)
    settings["clips"] = 5
    recipe["geometry"]["test_shorter_side"] = 40
    again = train_probe(networks, ClipTransform.of(recipe), settings, data, run)
    for name, value in first.heads.state_dict().items():
        assert torch.equal(value, again.heads.state_dict()[name])
