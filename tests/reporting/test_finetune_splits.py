"""Tables of a target of all splits, from made-up predictions, against sums by hand."""

import json

import numpy as np
import pandas as pd
import pytest

from vie.reporting.finetune_tables import (
    best_recipe,
    class_table,
    confusion_table,
    finetuning_seeds,
    finetuning_table,
)
from vie.reporting.runs import read_runs
from vie.reporting.statistics import Z95

TESTS = {1: 60, 2: 90, 3: 120}  # split -> test videos; splits 2 and 3 share some of them
CLASSES = 4
SETTINGS = {"most": "300 epochs", "every": "1 epochs", "patience": 15, "drops": 2}


def videos_of(split):
    first = {1: 0, 2: 60, 3: 100}[split]
    return [f"v{first + i}" for i in range(TESTS[split])]


def label_of(video):
    return int(video[1:]) * 7 // 3 % CLASSES


def group_of(video):
    return f"g{int(video[1:]) // 4}"


def write(folder, model, split, seed, schedule, right):
    """Files of a run whose share of right answers is about `right`; groups are right together."""
    rng = np.random.default_rng([split, seed, len(model)])
    videos = videos_of(split)
    draws = {group: rng.random() for group in {group_of(v) for v in sorted(videos)} | set()}
    labels = np.array([label_of(video) for video in videos])
    good = np.array([draws[group_of(v)] * 0.7 + rng.random() * 0.3 < right for v in videos])
    top1 = np.where(good, labels, (labels + 1) % CLASSES)
    columns = {"video": videos, "group": [group_of(v) for v in videos], "label": labels}
    path = folder / f"{model}{split}{seed}"
    table = pd.DataFrame(columns | {"top1": top1, "top5": rng.random(len(videos)) < 0.9})
    table.to_parquet(f"{path}.parquet")
    metadata = {"seed": seed, "target": "own", "dataset_official_name": None, "split": split}
    metadata |= {"schedule": schedule, "validation": "held_out", "trained": model != "Scratch"}
    metadata |= {"n_train": 5, "n_held_out": 1, "validation_top1": 0.5, "best_step": 1, "steps": 2}
    metadata |= {"saturated": False, "network": {"encoder": {}}, "pretrained_on": None}
    (folder / f"{path}.json").write_text(json.dumps(metadata))
    name = "own" if split == 1 else f"own_split{split}"
    known = {"model": model, "trained": model != "Scratch", "target": "own", "split": name}
    return known | {"predictions": f"{path}.parquet", "metadata": f"{path}.json"}


@pytest.fixture
def found(tmp_path):
    shares = {"Scratch": 0.3, "VIE": 0.6, "Other": 0.5}
    release = {"duration": "9 steps", "lr_drops": ["5 steps"], "every": "1 epochs"}
    files = [
        write(tmp_path, model, split, seed, release if model == "Scratch" else SETTINGS, share)
        for model, share in shares.items()
        for split in TESTS
        for seed in (0, 1)
    ]
    return read_runs(files, "predictions", same_videos="split")


def table_of(found):
    nothing = pd.DataFrame({"own": np.nan}, index=["Scratch", "VIE", "Other"])
    return finetuning_table(found, nothing).set_index("model")


def by_hand(runs):
    """Mean of the splits, and the variance of its video term: run by run, group by group."""
    share = {1: {}, 2: {}, 3: {}}
    for run in runs.itertuples():
        for video, label, top1 in zip(run.video, run.label, run.top1, strict=True):
            before = share[run.metadata["split"]].get(video, 0)
            share[run.metadata["split"]][video] = before + (label == top1) / 2
    means = {split: sum(values.values()) / len(values) for split, values in share.items()}
    n = sum(TESTS.values())
    weights = {split: n / 3 / count for split, count in TESTS.items()}
    total = sum(weights[s] * c for s, values in share.items() for c in values.values())
    centre = (total + 2) / (n + 4)
    sums = {"right 1": 1 - centre, "right 2": 1 - centre, "wrong 1": -centre, "wrong 2": -centre}
    for split, values in share.items():
        for video, c in values.items():
            group = group_of(video)
            sums[group] = sums.get(group, 0) + weights[split] * (c - centre)
    return means, sum(value**2 for value in sums.values()) / (n + 4) ** 2


def test_the_mean_of_the_splits_and_its_interval(found):
    table = table_of(found)
    for model in ("Scratch", "VIE"):
        runs = found[found["model"] == model]
        means, variance = by_hand(runs)
        mean = np.mean(list(means.values()))
        assert table.loc[model, "own"] == pytest.approx(100 * mean, abs=0.006)
        for split, value in means.items():
            assert table.loc[model, f"own_split{split}"] == pytest.approx(100 * value, abs=0.006)
        accuracy = {
            seed: np.mean([np.mean(run.label == run.top1) for run in here.itertuples()])
            for seed, here in runs.groupby("seed")
        }
        seeds = 12.706205**2 * np.var(list(accuracy.values()), ddof=1) / 2
        half = np.sqrt(Z95**2 * variance + seeds)
        assert table.loc[model, "own_ci95"] == pytest.approx(100 * half, abs=0.006)
    assert table["own_n"].tolist() == [220] * 3  # different videos of 270 tests
    assert table["split"].tolist() == ["all"] * 3
    assert table["seeds"].tolist() == ["0 1"] * 3
    assert table["schedule"].tolist() == ["release", "saturation", "saturation"]
    assert not table["comparable"].any()  # the paper's values are of split 1
    top5 = [
        np.mean([run.top5.mean() for run in found.itertuples() if run.metadata["split"] == split])
        for split in TESTS
    ]
    assert table["own_top5"].mean() == pytest.approx(100 * np.mean(top5), abs=0.01)


def test_the_interval_is_that_of_drawing_groups_anew(found):
    """A bootstrap over groups, of one seed. Ignoring groups, the interval would be too narrow."""
    one = found[(found["model"] == "VIE") & (found["seed"] == 0)]
    half = table_of(pd.concat([one, found[found["model"] != "VIE"]])).loc["VIE", "own_ci95"]
    right, groups, split = (
        np.concatenate(parts)
        for parts in (
            [run.label == run.top1 for run in one.itertuples()],
            [run.group for run in one.itertuples()],
            [np.full(len(run.label), run.metadata["split"]) for run in one.itertuples()],
        )
    )
    rng, draws = np.random.default_rng(0), []
    _, numbers = np.unique(groups, return_inverse=True)
    for _ in range(2000):
        times = np.bincount(rng.integers(0, numbers.max() + 1, numbers.max() + 1), minlength=1)
        times = np.pad(times, (0, numbers.max() + 1 - len(times)))[numbers]
        draws.append(
            np.mean([np.average(right[split == s], weights=times[split == s]) for s in TESTS])
        )
    bootstrap = 100 * Z95 * np.std(draws)
    assert 0.8 < half / bootstrap < 1.25
    independent = 100 * Z95 * np.sqrt(right.var() / len(right))
    assert half > 1.3 * independent


def test_seeds_say_the_split(found):
    table = finetuning_seeds(found)
    assert len(table) == 18
    assert table["split"].tolist() == [1, 1, 2, 2, 3, 3] * 3
    assert table["target"].unique().tolist() == ["own"]
    assert table["n_test"].tolist() == [60, 60, 90, 90, 120, 120] * 3


def test_classes_of_the_best_network_over_all_splits(found):
    best = best_recipe(found, "own")
    assert best["model"].unique().tolist() == ["VIE"]
    assert len(best) == 6
    labels = list("abcd")
    classes = class_table(best, labels).set_index("class")
    for number, name in enumerate(labels):
        each = [
            np.mean([run.top1[run.label == number] == number for run in here.itertuples()])
            for _, here in best.groupby("split", sort=False)
        ]
        assert classes.loc[name, "top1"] == pytest.approx(100 * np.mean(each), abs=0.006)
    videos = {video for split in TESTS for video in videos_of(split)}
    assert classes["n"].sum() == len(videos)
    assert classes["seeds"].unique().tolist() == ["0 1"]
    confusion = confusion_table(best, labels)[labels].to_numpy()
    assert confusion.sum() == 2 * sum(TESTS.values())  # every test of every seed
