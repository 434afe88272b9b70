"""The table of retrieval, worked out by hand."""

import numpy as np
import pytest

from vie.datasets.split_assignment import SplitRow, write_split_assignment
from vie.engine.feature_table import FeatureTable, write_features
from vie.metrics.retrieval import KS
from vie.reporting.plots import plot_retrieval
from vie.reporting.retrieval_table import read_rankings, retrieval_seeds, retrieval_table
from vie.runtime.errors import VieError


def on_circle(*degrees):
    """(N, 2) vectors; the nearer the angles, the more similar."""
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def write(path, ids, labels, splits, degrees, layers=("embedding",)):
    n = len(ids)
    vectors = {layer: on_circle(*degrees) for layer in layers}
    places = np.zeros(n), np.ones(n)
    write_features(FeatureTable(ids, *places, labels, splits, vectors, {}), path)
    return str(path)


# Training videos at 0, 10, ... 50 degrees. Ranks of the first of the class and average precision:
#   q0 (a, at 1):  a b a c c c  -> 1, (1 + 2/3) / 2
#   q1 (b, at 22): a b c a c c  -> 2, 1/2   (20, 30 and 10 degrees are nearest)
#   q2 (d, at 50): no training video is of its class
IDS = ["t0", "t1", "t2", "t3", "t4", "t5", "q0", "q1", "q2"]
LABELS = [*"abaccc", "a", "b", "d"]
SPLITS = ["train"] * 6 + ["val"] * 3
DEGREES = [0, 10, 20, 30, 40, 50, 1, 22, 50]
WORSE = [0, 10, 20, 30, 40, 50, 38, 22, 50]  # q0 sees c c c a b a: 4th


@pytest.fixture
def files(tmp_path):
    """A model with two seeds."""
    paths = {
        seed: write(tmp_path / f"{seed}.parquet", IDS, LABELS, SPLITS, degrees)
        for seed, degrees in ((0, DEGREES), (4, WORSE))
    }
    return [
        {"dataset": "own", "model": "VIE", "seed": seed, "features": path}
        for seed, path in paths.items()
    ]


def test_table_and_seeds_by_hand(files, tmp_path):
    runs = read_rankings(files, {}, ["embedding"])
    table = retrieval_table(runs)
    (row,) = table.to_dict("records")
    assert row["r1"] == pytest.approx(100 / 6, abs=0.01)  # q0 of seed 0, of three in two seeds
    assert row["r5"] == pytest.approx(100 * 4 / 6, abs=0.01)
    assert row["r10"] == row["r50"] == pytest.approx(100 * 4 / 6, abs=0.01)
    assert row["chance_r1"] == pytest.approx(100 * (2 / 6 + 1 / 6 + 0) / 3, abs=0.01)
    precisions = np.array([[5 / 6, 1 / 3], [(1 / 4 + 2 / 6) / 2, 1 / 3]])
    first = runs["ranking"].iloc[0]
    np.testing.assert_allclose(first.precision, [5 / 6, 1 / 3, np.nan])
    assert row["map"] == pytest.approx(100 * precisions.mean(), abs=0.01)
    per_video = np.array([*precisions.mean(0), 0, 0, 1, 1])
    of_seeds = precisions.mean(1).var(ddof=1)
    half = np.sqrt(1.959964**2 * per_video.var() / 6 + 12.706**2 * of_seeds / 2)
    assert row["map_ci95"] == pytest.approx(100 * half, abs=0.01)
    assert (row["n_queries"], row["n_gallery"], row["seeds"]) == (3, 6, "0 4")
    seeds = retrieval_seeds(runs)
    assert seeds["r1"].tolist() == [33.33, 0.0]
    assert seeds["map"].tolist() == [58.33, 31.25]
    titles = {name: f"stand-in for {name}" for name in table["dataset"]}
    plot_retrieval(table, titles, [tmp_path / "p.png", tmp_path / "p.svg"])
    text = (tmp_path / "p.svg").read_text()
    for words in (*titles.values(), "seeds 0, 4", "chance (random order)"):
        assert words in text
    assert (tmp_path / "p.png").stat().st_size > 5000


def test_a_split_says_what_is_tested(tmp_path):
    """Videos that were held out are looked among; those that the split lacks are not."""
    splits = ["all"] * len(IDS)
    path = write(tmp_path / "f.parquet", IDS, LABELS, splits, DEGREES, ("embedding", "conv5"))
    subsets = ["train", "held_out", "train", "train", "train", None, "test", "test", "test"]
    rows = [
        SplitRow(video, label, subset, f"group {i // 2}")
        for i, (video, label, subset) in enumerate(zip(IDS, LABELS, subsets, strict=True))
        if subset
    ]
    rows.append(SplitRow("rejected", "a", "test", "group 9"))
    write_split_assignment(rows, tmp_path / "split.csv")
    files = [{"dataset": "ucf101", "model": "VIE", "seed": 0, "features": path}]
    runs = read_rankings(files, {"ucf101": tmp_path / "split.csv"}, ["embedding", "conv5"])
    table = retrieval_table(runs)
    assert table["layer"].tolist() == ["embedding", "conv5"]
    assert table["n_gallery"].tolist() == [5, 5]
    assert table["n_queries"].tolist() == [3, 3]
    assert runs["groups"].iloc[0].tolist() == ["group 3", "group 3", "group 4"]
    # q0 and q1 are of one recording: the interval is wider than of three recordings.
    apart = retrieval_table(runs.assign(groups=[None] * 2))
    assert (table["r5_ci95"] > apart["r5_ci95"]).all()
    assert (table[[f"r{k}" for k in KS]] == apart[[f"r{k}" for k in KS]]).all(axis=None)


def test_wrong_features_are_sentences(files, tmp_path):
    def refused(match, **other):
        with pytest.raises(VieError, match=match):
            read_rankings([files[0] | other], {}, ["embedding"])

    with pytest.raises(VieError, match=r"has no conv5; .*features\.layers"):
        read_rankings(files, {}, ["embedding", "conv5"])
    path = tmp_path / "other.parquet"
    refused("needs labels", features=write(path, IDS, ["", *LABELS[1:]], SPLITS, DEGREES))
    refused("9 videos", features=write(path, IDS, LABELS, ["val"] * 9, DEGREES))
    refused("no test video", features=write(path, IDS, [*"aaaaaabbb"], SPLITS, DEGREES))
    write(path, [*IDS[:-1], "q3"], LABELS, SPLITS, DEGREES)
    with pytest.raises(VieError, match="of different videos: of VIE and of VIE, seed 7"):
        read_rankings([files[0], files[0] | {"features": str(path), "seed": 7}], {}, ["embedding"])
