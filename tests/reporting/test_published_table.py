"""Published numbers beside ours, worked out by hand."""

import json

import numpy as np
import pandas as pd
import pytest

from tests.reporting.test_tables import metadata, network
from vie.frames.manifest import write_classes
from vie.reporting.published_table import plot_published, published_table
from vie.reporting.statistics import interval
from vie.runtime.errors import VieError

ABOUT = {"model": "TRN-Input-Single", "quantity": "q", "published": 44.27, "source": "s"}
ABOUT |= {"dataset": "kinetics400", "command": "c", "kind": "probe", "column": "conv5"}
ABOUT |= {"ours_on": "stand-in for Kinetics-400", "group": "g", "short": "the row"}
SMALL = {"dataset_official_name": None, "size": 64, "networks": [network(steps=10, batch=32)]}


def probed(folder, name, *right, **known):
    """Files of a probe with seeds 0, 1, ... of which each is right on the first so many of ten."""
    files = []
    for seed, n in enumerate(right):
        paths = folder / f"{name}{seed}.parquet", folder / f"{name}{seed}.json"
        label = np.zeros(10, int)
        top1 = np.where(np.arange(10) < n, 0, 1)
        pd.DataFrame({"video": range(10), "label": label, "conv5_top1": top1}).to_parquet(paths[0])
        paths[1].write_text(json.dumps(metadata(seed, **known)))
        files.append({"predictions": str(paths[0]), "metadata": str(paths[1])})
    return files


def test_ours_beside_theirs(tmp_path):
    rows = [
        ABOUT | {"files": probed(tmp_path, "a", 4, 6)},
        ABOUT | {"files": probed(tmp_path, "b", 3, **SMALL)},
        ABOUT | {"files": [], "missing": "it is not here"},
    ]
    table = published_table(rows)
    assert table["ours"].tolist()[:2] == [50, 30]
    assert table["comparable"].tolist() == [True, False, False]
    assert table["difference"].tolist()[0] == 5.73
    assert table["difference"].isna().tolist() == [False, True, True]
    assert table["seeds"].tolist()[:2] == ["0 1", "0"]
    assert table["n"].tolist()[:2] == [10, 10]
    assert table["chance"].tolist()[:2] == [0.25, 0.25]
    correct = np.array([np.arange(10) < 4, np.arange(10) < 6])
    assert table["ours_ci95"][0] == round(100 * interval(correct)[1], 2)
    assert table["why_not"].tolist() == [
        "",
        "dataset is the stand-in for Kinetics-400, not Kinetics-400; batch of pretraining is 32, "
        "not 128; it was pretrained for 10 steps, not 1,220,011 or more; and 1 more",
        "it is not here",
    ]
    assert pd.isna(table["ours"][2])
    assert pd.isna(table["ours_on"][2])
    path = tmp_path / "p.svg"
    plot_published(table, rows, [path, tmp_path / "p.png"])
    for words in (
        "1 of 3 may be compared",
        "the row",
        "published",
        "ours, comparable",
        "not in this",
    ):
        assert words in path.read_text()
    assert "one seed" not in path.read_text()
    plot_published(table[1:].reset_index(drop=True), rows[1:], [path])
    assert "none of 2 may be compared" in path.read_text()
    assert "one seed: intervals cover videos only" in path.read_text()
    plot_published(table[2:].reset_index(drop=True), rows[2:], [path])  # nothing is ours


def curve_row(folder, kind, first_drop, **known):
    for split, n in (("train", 240_000), ("val", 19_600)):
        pd.DataFrame({"x": np.zeros(n, np.int8)}).to_parquet(folder / f"{split}.parquet")
    stages = {"ir": [(0, 0.0, 1.0), (50_000, 13.0, 7.0)], "la": [(970_000, 258.0, 25.0)]}
    stages["la"] += [(975_000, 260.0, 30.0)]
    for name, points in stages.items():
        lines = [{"step": s, "epoch": e, "knn_top1": v} for s, e, v in points]
        lines.insert(1, {"step": 5, "loss": 1.0})
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    one = network(batch=64)
    settings = {key: one[key] for key in ("objective", "batch")} | {"clip": "3dresnet"}
    settings |= {"encoder": one["encoder"] | {"network": "3dresnet"}, "first_drop": first_drop}
    settings |= {"size": 112, "clips": 5, "dataset_official_name": "kinetics400"}
    settings |= {"frames": {"fps": 25, "shorter_side": 320}}
    file = {"seed": 0, "curves": [str(folder / f"{name}.jsonl") for name in stages]}
    write_classes([f"c{i}" for i in range(400)], folder / "classes.csv")
    file |= {"classes": str(folder / "classes.csv")}
    file |= {split: str(folder / f"{split}.parquet") for split in ("train", "val")}
    row = ABOUT | {"kind": kind, "model": "VIE-3DResNet", "published": 20.0, "files": [file]}
    return row | {"known": settings | known}


@pytest.mark.parametrize(
    ("kind", "drop", "known", "ours", "why"),
    [
        ("begin", "974946 steps", {}, 7.0, ""),
        ("drop", "974946 steps", {}, 25.0, ""),
        ("drop", "259 epochs", {}, 25.0, ""),
        ("drop", "980000 steps", {}, 30.0, "it was measured at step 975,000, not 974,946"),
        ("begin", "1 steps", {"batch": 32}, 7.0, "batch of pretraining is 32, not 64"),
    ],
)
def test_points_of_a_learning_curve(tmp_path, kind, drop, known, ours, why):
    (row,) = published_table([curve_row(tmp_path, kind, drop, **known)]).to_dict("records")
    assert (row["ours"], row["why_not"], row["comparable"]) == (ours, why, why == "")
    assert (row["n"], row["chance"]) == (19_600, 0.25)
    expected = 1.96 * np.sqrt(ours / 100 * (1 - ours / 100) / 19_600) * 100
    assert row["ours_ci95"] == pytest.approx(expected, abs=0.02)


def test_a_rate_that_drops_before_the_first_measurement(tmp_path):
    row = curve_row(tmp_path, "drop", "974946 steps")
    (tmp_path / "ir.jsonl").write_text('{"step": 5, "loss": 1}\n')
    (tmp_path / "la.jsonl").write_text('{"step": 975000, "epoch": 9, "knn_top1": 1}\n')
    with pytest.raises(VieError, match="no nearest-neighbour accuracy that early"):
        published_table([row])
