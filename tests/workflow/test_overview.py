"""What the first page of a report says."""

import copy
from pathlib import Path

import pytest

from vie.config.load import load_config
from vie.workflow.overview import hours, overview, trained_on
from vie.workflow.paths import Experiment

ROOT = Path(__file__).parents[2]
BENCHMARK = "s\th:m:s\tmax_rss\n{}\t0:00:01\t100.0\n"


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Experiment(copy.deepcopy(load_config(ROOT / "config.yaml")))


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_nothing_is_said_of_what_is_not_there(experiment):
    found = overview(experiment, Path("logs/demo"), Path("benchmarks/runs/demo"))
    assert found["Experiment"] == "demo"
    assert found["Seeds of training"] == "0, 1, 2"
    seed = experiment.datasets["embedded"]["generator"]["dataset_seed"]
    assert found["Dataset embedded"] == f"stand-in for Kinetics-400; drawn with dataset seed {seed}"
    assert not {"Computing", "Trained on", "Findings of the paper"} & set(found)
    assert not [what for what in found if what.startswith("Dataset") and "embedded" not in what]
    assert "torch" in found["Versions"]


def test_hours_devices_and_findings_are_added_up(experiment):
    write(Path("runs/table.tsv"), BENCHMARK.format(1800))
    write(Path("runs/pretrain/vie/seed0.tsv"), BENCHMARK.format(3600))
    assert hours(Path("runs")) == 1.5
    for number in range(3):
        write(Path(f"logs/probe/{number}.log"), "INFO: code ab\nINFO: training on A GPU, bf16\n")
    write(Path("logs/table.log"), "INFO: code ab\n")
    assert trained_on(Path("logs")) == "A GPU, bf16 (3 jobs)"
    rows = "1,shown\n1,shown\n2,contradicted\n3,shown\n"
    write(Path("results/demo/findings.csv"), f"finding,finding_verdict\n{rows}")
    found = overview(experiment, Path("logs"), Path("runs"))
    assert found["Findings of the paper"] == "2 shown, 1 contradicted"
    assert found["Computing"] == "1.5 hours of jobs, as they last ran"


def test_videos_are_counted(experiment, small_dataset):
    Path("resources").mkdir()
    Path("resources/embedded").symlink_to(small_dataset)
    found = overview(experiment, Path("logs"), Path("runs"))["Dataset embedded"]
    assert found.endswith("train: 24 used, 0 rejected; val: 8 used, 0 rejected")
