"""Files of the table of retrieval, of sheets and maps, as they follow from the config."""

import copy
from pathlib import Path

import pytest

from vie.config.load import load_config
from vie.workflow import resources
from vie.workflow.paths import Experiment
from vie.workflow.retrieval import label_words, retrieval_runs, retrieval_splits

ROOT = Path(__file__).parents[2]
STAND_INS = ("stand_in_ucf101", "stand_in_hmdb51")


@pytest.fixture(scope="module")
def config():
    return load_config(ROOT / "config.yaml")


def test_rows_of_every_dataset_and_seed(config):
    experiment = Experiment(copy.deepcopy(config) | {"seeds": [0, 5]})
    runs = retrieval_runs(experiment)
    rows = config["tables"]["retrieval"]["evaluations"]
    assert len(runs) == 3 * len(rows) * 2
    assert list(dict.fromkeys(run["dataset"] for run in runs)) == ["embedded", *STAND_INS]
    folder = "results/demo/features"
    assert runs[1] == {
        "dataset": "embedded",
        "model": "Random-Single",
        "seed": 5,
        "features": f"{folder}/embedded/random_single/untrained/seed5.parquet",
    }
    assert runs[-1]["features"] == f"{folder}/stand_in_hmdb51/vie_slowfast/trained/seed5.parquet"
    assert retrieval_splits(experiment) == {
        target: f"resources/{target}/split1/split_assignment.csv" for target in STAND_INS
    }
    assert label_words(experiment) == ["appearance", "motion"]
    assert "results/retrieval.csv" in experiment.published_files()


def test_a_dataset_without_labels_has_pictures_and_no_table(config):
    experiment = Experiment(copy.deepcopy(config), labelled=False)
    assert {run["dataset"] for run in retrieval_runs(experiment)} == {*STAND_INS}
    files = experiment.published_files()
    assert "results/retrieval.csv" not in files
    assert {"results/demo/neighbours_vie_slow.png", "results/demo/map_vie_slow.svg"} <= {*files}


def test_memory_at_the_papers_scale():
    """The table of Kinetics has embeddings and feature maps of 259,000 videos: gigabytes."""
    paper = load_config(ROOT / "config.yaml", ROOT / "experiments" / "kinetics400.yaml")
    found = resources.retrieval(paper, ["kinetics400", "ucf101"])
    table = 259_541 * (128 + 512) * 4 / 1e6  # of VIE-Slow: embedding and conv5
    assert 2000 + 3 * table < found < 20_000
    assert resources.retrieval(paper, ["ucf101"]) == resources.LEAST
