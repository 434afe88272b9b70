"""The table of pretext tasks, worked out by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vie.reporting.differences import differences_pretext
from vie.reporting.plots import plot_pretext
from vie.reporting.pretext_table import pretext_seeds, pretext_table
from vie.reporting.published import read_published_pretext
from vie.reporting.runs import read_runs
from vie.runtime.errors import VieError

PUBLISHED = Path(__file__).parents[2] / "vie" / "reporting" / "published"


def metadata(**other):
    return {
        "seed": 0,
        "task": "order_prediction",
        "chance": 1 / 12,
        "clips": 2,
        "dataset_official_name": "kinetics400",
        "n_train": 239_000,
        "n_val": 19_600,
        "steps": 300_000,
        "batch": 128,
        "encoder": {"network": "single", "width": 64, "embedding": "pooled"},
        "size": 80,
        "sampling": {
            "frames": 4,
            "stride": 1,
            "bin": 1,
            "windows": [10, 16],
            "test_starts": "inside",
        },
        "objective": {"hidden": 512, "frame_shift": 5, "channel_dropping": True},
    } | other


@pytest.fixture
def rows(tmp_path):
    """OPN with two seeds, RotNet with one; four videos."""
    shares = {
        ("OPN", 0): [0.5, 0.25, 0.0, 1.0],
        ("OPN", 3): [0.0, 0.75, 0.5, 0.5],
        ("RotNet", 0): [1.0, 1.0, 1.0, 0.5],
    }
    listed = []
    for (model, seed), right in shares.items():
        task = {} if model == "OPN" else {"task": "rotation", "chance": 0.25}
        answers, known = (tmp_path / f"{model}{seed}.{kind}" for kind in ("parquet", "json"))
        pd.DataFrame({"video": list("abcd"), "right": right}).to_parquet(answers)
        known.write_text(json.dumps(metadata(seed=seed, **task)))
        listed.append({"model": model, "answers": str(answers), "metadata": str(known)})
    return listed


def test_table_and_seeds_by_hand(rows, tmp_path):
    answers = read_runs(rows, "answers", same_videos="model")
    theirs = read_published_pretext(PUBLISHED, ["OPN", "RotNet"])
    table = pretext_table(answers, theirs, "mine").set_index("model")
    assert table["accuracy"].tolist() == [43.75, 87.5]
    assert table["chance"].tolist() == [8.33, 25.0]
    assert table["seeds"].tolist() == ["0 3", "0"]
    assert table["n_val"].tolist() == [4, 4]
    per_video = np.array([0.25, 0.5, 0.25, 0.75, 0, 0, 1, 1])
    of_seeds = np.array([0.4375, 0.4375]).var(ddof=1)
    half = np.sqrt(1.959964**2 * per_video.var() / 8 + 12.706**2 * of_seeds / 2)
    assert table.loc["OPN", "accuracy_ci95"] == pytest.approx(100 * half, abs=0.01)
    assert table.loc["OPN", "accuracy_published"] == 40
    assert np.isnan(table.loc["RotNet", "accuracy_published"])
    assert table["comparable"].tolist() == [True, False]
    seeds = pretext_seeds(answers)
    assert seeds["accuracy"].tolist() == [43.75, 43.75, 87.5]
    error = np.std([0.5, 0.25, 0, 1], ddof=1) / 2
    assert seeds["standard_error"][0] == pytest.approx(100 * error, abs=0.01)
    plot_pretext(table.reset_index(), [tmp_path / "p.png", tmp_path / "p.svg"])
    assert (tmp_path / "p.png").stat().st_size > 5000


@pytest.mark.parametrize(
    "other",
    [
        {"dataset_official_name": None},
        {"n_train": 200_000},
        {"steps": 200_000},
        {"size": 64},
        {"sampling": {"frames": 4, "stride": 1, "bin": 1, "windows": [31, 46]}},
        {"objective": {"hidden": 512, "frame_shift": 0, "channel_dropping": True}},
        {"encoder": {"network": "single", "width": 16}},
    ],
)
def test_comparable_only_at_the_papers_scale(other):
    assert differences_pretext(metadata(), "OPN", "kinetics400") == []
    assert len(differences_pretext(metadata(**other), "OPN", "kinetics400")) == 1
    assert differences_pretext(metadata(), "RotNet", "kinetics400")


def test_seeds_of_different_videos_are_refused(rows):
    pd.DataFrame({"video": list("abce"), "right": [0.0] * 4}).to_parquet(rows[1]["answers"])
    with pytest.raises(VieError, match="runs of OPN were tested on different videos"):
        pretext_table(
            read_runs(rows, "answers", same_videos="model"),
            read_published_pretext(PUBLISHED, ["OPN", "RotNet"]),
            "mine",
        )
