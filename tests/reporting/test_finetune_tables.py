"""Tables 2 and 3, worked out by hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vie.reporting.differences import differences_finetuned
from vie.reporting.finetune_tables import (
    best_recipe,
    class_table,
    comparable_row,
    confusion_table,
    finetuning_seeds,
    finetuning_table,
)
from vie.reporting.plots import Target, plot_classes, plot_finetuned
from vie.reporting.published import read_published_finetuned
from vie.reporting.published_table import published_table
from vie.reporting.runs import read_runs
from vie.reporting.statistics import interval
from vie.runtime.errors import VieError

PUBLISHED = Path(__file__).parents[2] / "vie" / "reporting" / "published"
LABELS = {"ucf101": [0, 0, 1, 2], "hmdb51": [1, 0]}
# (model, target, seed) -> classes that it finds
FOUND = {
    ("Scratch", "ucf101", 0): [0, 1, 0, 0],
    ("Scratch", "ucf101", 1): [0, 0, 0, 0],
    ("Scratch", "hmdb51", 0): [1, 0],
    ("Scratch", "hmdb51", 1): [1, 0],
    ("VIE", "ucf101", 0): [0, 0, 1, 0],
    ("VIE", "ucf101", 1): [0, 0, 1, 2],
    ("VIE", "hmdb51", 0): [0, 0],
    ("VIE", "hmdb51", 1): [1, 1],
}


TRAINED = {"batch": 128, "lr": 0.0005, "weight_decay": 1e-5, "decayed": "new_layer"}
PAIR = [
    {"encoder": {"network": name, "width": 64}, "steps": 1_500_000}
    for name in ("single", "slowfast")
]
ROTNET_3D = {"encoder": {"network": "3dresnet", "width": 64}, "steps": 1_500_000}
ROTNET_3D |= {"objective": {"rotation": {"hidden": 64}}}


def metadata(**other):
    return {
        "seed": 0,
        "target": "ucf101",
        "classes": 101,
        "dataset_official_name": "ucf101",
        "pretrained_on": "kinetics400",
        "split": 1,
        "trained": True,
        "validation": "held_out",
        "n_train": 8600,
        "n_held_out": 900,
        "n_test": 3700,
        "size": 224,
        "validation_top1": 0.5,
        "best_step": 3,
        "steps": 8,
        "saturated": True,
        "schedule": {"most": "300 epochs", "every": "1 epochs", "patience": 15, "drops": 2},
        "frames": {"fps": 25, "shorter_side": 320},
        "optimiser": TRAINED | {"momentum": 0.9},
        "network": {"encoder": {"network": "slow", "width": 64}, "steps": 1_500_000},
    } | other


@pytest.fixture
def files(tmp_path):
    listed = []
    for (model, target, seed), top1 in FOUND.items():
        label = LABELS[target]
        paths = [tmp_path / f"{model}{target}{seed}.{kind}" for kind in ("parquet", "json")]
        videos = [f"{target}{i}" for i in range(len(label))]
        columns = {
            "video": videos,
            "group": videos,
            "label": label,
            "top1": top1,
            "top5": [True] * len(label),
        }
        pd.DataFrame(columns).to_parquet(paths[0])
        trained = model == "VIE"
        split = {"ucf101": 1, "hmdb51": 2}[target]
        paths[1].write_text(
            json.dumps(metadata(seed=seed, target=target, trained=trained, split=split))
        )
        row = {"model": model, "trained": trained, "target": target, "split": target}
        listed.append(row | {"predictions": str(paths[0]), "metadata": str(paths[1])})
    return listed


def read_finetuned(files):
    return read_runs(files, "predictions", same_videos="split")


def table_of(found):
    theirs = read_published_finetuned(PUBLISHED, ["Scratch", "VIE"], list(LABELS), "scale_crop")
    return finetuning_table(found, theirs)


def test_table_by_hand(files):
    table = table_of(read_finetuned(files)).set_index("model")
    assert table.loc["Scratch", "ucf101"] == 37.5
    assert table.loc["VIE", "ucf101"] == 87.5
    assert table.loc["Scratch", "hmdb51"] == 100
    assert table.loc["VIE", "hmdb51"] == 50
    half = interval(np.array([[1, 1, 1, 0], [1, 1, 1, 1]], bool))[1]
    assert table.loc["VIE", "ucf101_ci95"] == round(100 * half, 2)
    assert table["ucf101_n"].tolist() == [4, 4]
    assert table["seeds"].tolist() == ["0 1", "0 1"]
    assert table["split"].tolist() == ["1, 2", "1, 2"]
    assert table["validation"].tolist() == ["held_out", "held_out"]
    assert table["schedule"].tolist() == ["saturation", "saturation"]
    assert table["ucf101_published"].isna().all()  # nothing is published in the files
    assert not table["comparable"].any()


def test_seeds(files):
    table = finetuning_seeds(read_finetuned(files)).set_index(["model", "target", "seed"])
    assert table.loc[("VIE", "ucf101", 0), "top1"] == 75
    assert table.loc[("VIE", "ucf101", 0), "n_test"] == 4
    assert len(table) == 8


def test_the_best_finetuned_network_class_by_class(files):
    found = read_finetuned(files)
    best = best_recipe(found, "hmdb51")
    assert best["model"].unique().tolist() == ["VIE"]  # Scratch is better but not pretrained
    assert confusion_table(best, ["a", "b", "c"]).values.tolist() == [
        ["a", 1, 1, 0],
        ["b", 1, 1, 0],
        ["c", 0, 0, 0],
    ]
    classes = class_table(best_recipe(found, "ucf101"), ["a", "b", "c"]).set_index("class")
    assert classes["top1"].tolist() == [100, 100, 50]
    assert classes["n"].tolist() == [2, 1, 1]
    absent = class_table(best, ["a", "b", "c"]).set_index("class")
    assert np.isnan(absent.loc["c", "top1"])
    with pytest.raises(VieError, match="no finetuned network"):
        best_recipe(found[~found["trained"]], "ucf101")


def test_networks_tested_on_different_videos(files):
    table = pd.read_parquet(files[0]["predictions"])
    table.iloc[::-1].to_parquet(files[0]["predictions"])
    with pytest.raises(VieError, match="runs of ucf101 were tested on different videos"):
        read_finetuned(files)


def test_published_values_come_from_the_file_alone(tmp_path):
    (tmp_path / "other.csv").write_text(
        "model,kind,column,dataset,value\nVIE,finetune,scale_crop,ucf101,12.5\n"
    )
    theirs = read_published_finetuned(tmp_path, ["A", "VIE"], ["ucf101", "hmdb51"], "scale_crop")
    assert theirs.loc["VIE", "ucf101"] == 12.5
    assert theirs.isna().sum().sum() == 3
    other = read_published_finetuned(tmp_path, ["VIE"], ["ucf101"], "color_jitter")
    assert other.isna().all().all()


def test_a_published_value_stands_beside_the_number_of_the_table(files):
    about = {"model": "VIE", "quantity": "top-1", "published": 70.5, "dataset": "ucf101"}
    about |= {"kind": "finetune", "column": "scale_crop", "ours_on": "UCF101", "source": "s"}
    chosen = [one for one in files if (one["model"], one["target"]) == ("VIE", "ucf101")]
    (row,) = published_table([about | {"files": chosen, "command": "c"}]).to_dict("records")
    nothing = read_published_finetuned(PUBLISHED, ["Scratch", "VIE"], list(LABELS), "scale_crop")
    table = finetuning_table(read_finetuned(files), nothing).set_index("model").loc["VIE"]
    assert (row["ours"], row["ours_ci95"]) == (table["ucf101"], table["ucf101_ci95"])
    assert (row["n"], row["seeds"], row["chance"]) == (4, "0 1", 0.99)
    assert (row["comparable"], row["difference"]) == (True, 17.0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"dataset_official_name": None}, False),
        ({"pretrained_on": None}, False),
        ({"split": 2}, False),
        ({"optimiser": {"batch": 32, "lr": 0.0005, "weight_decay": 1e-5}}, False),
        ({"frames": {"fps": 25, "shorter_side": 240}}, False),
        ({"trained": False}, False),  # then the rates are those of training from scratch
        ({"n_test": 3000}, False),
        ({"n_train": 7000}, False),
        ({"size": 112}, False),
        ({"network": {"encoder": {"network": "slow", "width": 64}, "steps": 1_000_000}}, False),
        ({"network": {"encoder": {"network": "slow", "width": 16}, "steps": 1_500_000}}, False),
        ({"network": PAIR}, False),  # its batch is 64
        ({"network": PAIR, "optimiser": TRAINED | {"batch": 64}}, True),
        (
            {"network": [PAIR[0], PAIR[1] | {"steps": 9}], "optimiser": TRAINED | {"batch": 64}},
            False,
        ),
        ({"network": ROTNET_3D, "size": 112, "optimiser": TRAINED | {"lr": 0.008}}, True),
        ({"network": ROTNET_3D, "size": 112}, False),
    ],
)
def test_comparable(change, expected):
    assert (differences_finetuned(metadata(**change)) == []) is expected
    runs = pd.DataFrame(
        {
            "target": ["ucf101", "hmdb51"],
            "metadata": [metadata(**change), metadata(dataset_official_name=None)],
        }
    )
    # Only targets with a published value count, and there has to be one.
    assert comparable_row(runs, pd.Series({"ucf101": 12.5, "hmdb51": np.nan})) is expected
    assert not comparable_row(runs, pd.Series({"ucf101": np.nan, "hmdb51": np.nan}))
    assert not comparable_row(runs, pd.Series({"ucf101": 12.5, "hmdb51": 1.0}))


def test_plots_are_written_whole(files, tmp_path):
    found = read_finetuned(files)
    paths = [tmp_path / "table.svg", tmp_path / "table.png"]
    titles = {"ucf101": "stand-in for UCF101", "hmdb51": "HMDB51"}
    targets = {name: Target(title, 100 / 3) for name, title in titles.items()}
    groups = ["from scratch", "finetuned"]
    plot_finetuned(table_of(found), targets, groups, "A title", paths)
    text = paths[0].read_text()
    for words in ("A title", *groups, *titles.values(), "chance", "seeds 0, 1"):
        assert words in text
    best = best_recipe(found, "ucf101")
    again = [tmp_path / "classes.svg", tmp_path / "again.svg"]
    for path in again:
        tables = class_table(best, ["a", "b", "c"]), confusion_table(best, ["a", "b", "c"])
        plot_classes(*tables, targets["ucf101"], "T", [path])
    assert "4 test videos of the stand-in for UCF101" in again[0].read_text()
    assert again[0].stat().st_size > 5000
    assert all(path.stat().st_size > 5000 for path in paths)
