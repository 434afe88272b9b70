"""The table of ablations from made-up predictions; its paired interval beside a bootstrap."""

import json

import numpy as np
import pandas as pd
import pytest

from vie.config.settings import LAYERS
from vie.reporting.ablation_plot import plot_ablations
from vie.reporting.ablation_table import ablation_table
from vie.reporting.runs import read_runs
from vie.reporting.statistics import HALF_OF_EACH, interval, paired_differences
from vie.runtime.errors import VieError

N = 200
LABELS = np.arange(N) % 4


def predicted(right):
    """Classes of which exactly the videos `right` (N,) are right."""
    return np.where(right, LABELS, LABELS + 1)


def run(folder, name, full, right, seed=0, **more):
    """One run whose layers are all right for the same videos."""
    where = folder / f"{name}{seed}"
    where.mkdir()
    columns = {f"{layer}_top1": predicted(right) for layer in LAYERS}
    table = pd.DataFrame({"video": [f"v{i}" for i in range(N)], "label": LABELS} | columns)
    table.assign(knn_top1=predicted(~right)).to_parquet(where / "predictions.parquet")
    (where / "metadata.json").write_text(json.dumps({"seed": seed, "classes": 4}))
    files = {"predictions": str(where / "predictions.parquet")}
    files["metadata"] = str(where / "metadata.json")
    labels = {"model": name.upper(), "of": full.upper(), "changed": "", "dataset": "some videos"}
    return {"name": name, "full": full} | labels | files | more


def bootstrap(gains, rng, draws=4000):
    """Half-width of a 95 % interval of the mean of gains (n,): videos are drawn anew, in pairs."""
    means = gains[rng.integers(len(gains), size=(draws, len(gains)))].mean(axis=1)
    return (np.quantile(means, 0.975) - np.quantile(means, 0.025)) / 2


@pytest.mark.parametrize("shared", [0.95, 0.6, 0.0])
def test_a_paired_interval_is_a_bootstraps(shared):
    """Two networks that are right for mostly the same videos differ by less than two others."""
    rng = np.random.default_rng(5)
    one = rng.random(480) < 0.4
    other = np.where(rng.random(480) < shared, one, rng.random(480) < 0.4)
    gains = one.astype(int) - other
    mean, half = interval(gains, added=HALF_OF_EACH)
    assert mean == pytest.approx(one.mean() - other.mean())
    assert half == pytest.approx(bootstrap(gains, rng), rel=0.2)


@pytest.mark.parametrize(("better", "worse", "n"), [(0, 0, 10), (5, 2, 40), (60, 81, 480)])
def test_a_paired_interval_is_agrestis_and_mins(better, worse, n):
    """Their formula, written with the numbers of videos that one network alone gets right."""
    gains = np.repeat([1, -1, 0], [better, worse, n - better - worse])
    squares = better + worse + 1 - (better - worse) ** 2 / (n + 2)
    expected = 1.96 * np.sqrt(squares) / (n + 2)
    assert interval(gains, added=HALF_OF_EACH)[1] == pytest.approx(expected, rel=1e-4)


def test_pairs_that_agree_are_worth_more_than_two_intervals():
    rng = np.random.default_rng(0)
    one = rng.random(480) < 0.4
    other = one ^ (rng.random(480) < 0.05)
    paired = interval(one.astype(int) - other, added=HALF_OF_EACH)[1]
    assert paired < np.hypot(interval(one)[1], interval(other)[1]) / 2
    same = interval(one.astype(int) - one, added=HALF_OF_EACH)
    assert same[0] == 0
    assert 0 < same[1] < 0.01  # no certainty from 480 videos


def test_an_interval_of_differences_covers_the_seeds():
    """Each seed moves both networks, and one of them besides: the first cancels out."""
    rng = np.random.default_rng(1)
    covered, halves = [], []
    for _ in range(200):
        both, own = rng.normal(0, 0.1, 4), rng.normal(0, 0.04, 4)
        draws = rng.random((4, 300))
        one = draws < (0.5 + both)[:, None]
        other = draws < (0.5 + both + own + 0.05)[:, None]
        mean, half = interval(other.astype(int) - one, added=HALF_OF_EACH)
        covered.append(abs(mean - 0.05) < half)
        halves.append((half, interval(one)[1]))
    assert np.mean(covered) > 0.88
    within, alone = np.mean(halves, axis=0)
    assert within < alone


def test_columns_are_percent():
    one, other = np.zeros((2, 10), bool), np.zeros((2, 10), bool)
    one[:, :5] = True
    found = paired_differences({"a": one}, {"a": other})
    assert found["a_difference"] == 50
    assert found["a_difference_ci95"] > 0


def test_rows_of_made_up_predictions(tmp_path):
    full = np.arange(N) < 100
    files = [
        run(tmp_path, "full", "full", full),
        run(tmp_path, "worse", "full", np.arange(N) < 80, changed="objective.temperature: 1 -> 2"),
        run(tmp_path, "other", "other", full),
        run(tmp_path, "same", "other", full),
    ]
    runs = read_runs(files, "predictions", same_videos="dataset")
    table = ablation_table(runs).set_index("model")
    assert list(table.index) == ["FULL", "WORSE", "OTHER", "SAME"]
    assert table.loc["FULL", list(LAYERS)].tolist() == [50, 50, 50]
    assert table["conv5_difference"].isna().tolist() == [True, False, True, False]
    row = table.loc["WORSE"]
    assert (row["of"], row["changed"]) == ("FULL", "objective.temperature: 1 -> 2")
    assert (row["conv4"], row["conv4_difference"], row["knn10_difference"]) == (40, -10, 10)
    gains = np.where((np.arange(N) >= 80) & (np.arange(N) < 100), -1, 0)
    halves = row["conv4_difference_ci95"], 100 * bootstrap(gains, np.random.default_rng(0))
    assert halves[0] == pytest.approx(halves[1], rel=0.2)
    assert (row["n_val"], row["chance"], row["seeds"]) == (N, 25, "0")
    assert table.loc["SAME", "conv5_difference"] == 0


def test_rows_are_of_the_same_videos(tmp_path):
    files = [run(tmp_path, name, "full", LABELS > 1) for name in ("full", "more")]
    table = pd.read_parquet(files[1]["predictions"])
    table.iloc[::-1].to_parquet(files[1]["predictions"])
    with pytest.raises(VieError, match="different videos"):
        read_runs(files, "predictions", same_videos="dataset")


def test_the_plot_says_what_it_shows(tmp_path):
    full = np.arange(N) < 100
    names = [("full", full), ("worse", np.arange(N) < 40), ("alike", np.arange(N) < 99)]
    names.append(("better", np.arange(N) < 160))
    for seeds in ((0,), (0, 1)):
        folder = tmp_path / str(len(seeds))
        folder.mkdir()
        files = [run(folder, name, "full", right, s) for name, right in names for s in seeds]
        table = ablation_table(read_runs(files, "predictions", same_videos="dataset"))
        paths = [folder / f"plot.{end}" for end in ("svg", "png")]
        plot_ablations(table, paths)
        once = [path.read_bytes() for path in paths]
        plot_ablations(table, paths)
        assert [path.read_bytes() for path in paths] == once
        said = paths[0].read_text()
        for text in ("some videos", "200 validation videos", "chance is 25.0 %", "FULL: 50.0 %"):
            assert text in said
        assert ("one seed: intervals cover videos only" in said) == (len(seeds) == 1)
        for kind in ("lower", "no clear difference", "higher", "WORSE", "ALIKE", "BETTER"):
            assert f">{kind}</text>" in said
