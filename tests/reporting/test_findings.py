"""Findings from made-up accuracies: which differences count, and what is read from where."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from vie.reporting.findings import (
    ABSENT,
    AGAINST,
    FINDINGS,
    OPEN,
    SHOWN,
    Comparison,
    Row,
    compare,
    find,
    overall,
    plot_findings,
    read_seeds,
)
from vie.runtime.errors import VieError


def table(**models):
    """{model: accuracies of Conv3, Conv4 and Conv5 by seed} -> what `read_seeds` gives."""
    rows = []
    for model, seeds in models.items():
        for seed, values in enumerate(seeds):
            layers = dict(zip(("conv3", "conv4", "conv5"), values, strict=True))
            rows.append({"model": model, "seed": seed, "n": 480} | layers)
    return {"table_1": pd.DataFrame(rows)}


def test_the_standard_error_is_over_seeds_and_paired():
    """Seeds that are good for both networks do not widen it."""
    found = compare(
        Comparison(Row("a", "conv5"), Row("b", "conv5")),
        table(a=[(0, 0, 40), (0, 0, 60), (0, 0, 80)], b=[(0, 0, 39), (0, 0, 57), (0, 0, 78)]),
    )
    assert found["difference"] == 2
    assert found["standard_error"] == pytest.approx(np.std([1, 3, 2], ddof=1) / 3**0.5, abs=0.01)
    assert (found["seeds"], found["verdict"]) == ("0 1 2", SHOWN)


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [((3, 4, 5), SHOWN), ((-1, 4, 5), OPEN), ((-3, -4, -5), AGAINST), ((2, 2, 2), SHOWN)],
)
def test_verdicts_at_two_standard_errors(gains, verdict):
    rows = {"a": [(50 + g,) * 3 for g in gains], "b": [(50,) * 3] * len(gains)}
    assert compare(Comparison(Row("a"), Row("b")), table(**rows))["verdict"] == verdict


def test_one_seed_shows_nothing():
    found = compare(Comparison(Row("a"), Row("b")), table(a=[(90,) * 3], b=[(10,) * 3]))
    assert found["verdict"] == OPEN
    assert np.isnan(found["standard_error"])


def test_the_best_layer_is_chosen_once_for_all_seeds():
    """The best of each seed would be 50 of pure noise."""
    found = compare(
        Comparison(Row("a"), Row("b")),
        table(a=[(50, 30, 31), (30, 50, 31)], b=[(30, 30, 30)] * 2),
    )
    assert found["higher_accuracy"] == 40


def test_what_is_absent_is_said():
    found = compare(Comparison(Row("a"), Row("c")), table(a=[(1, 2, 3)] * 2))
    assert found["verdict"] == ABSENT
    assert compare(Comparison(Row("a"), Row("b"), "table_2"), {})["verdict"] == ABSENT


def test_a_finding_is_as_its_comparisons():
    assert overall([SHOWN, SHOWN]) == SHOWN
    assert overall([SHOWN, OPEN]) == OPEN
    assert overall([SHOWN, OPEN, ABSENT]) == ABSENT
    assert overall([SHOWN, AGAINST, ABSENT]) == AGAINST


@pytest.fixture
def folder(tmp_path):
    """Files of an experiment in which each network is better than the one before."""
    models = ["Random-Single", "RotNet", "VIE-Single", "VIE-Slow", "VIE-SlowFast", "VIE-TwoPathway"]
    rows = [
        {"model": model, "seed": seed, "conv3": 10.0 * i, "conv4": 10.0 * i + 1}
        | {"conv5": 10.0 * i + 2, "knn10": 99.0, "n_val": 480}
        for i, model in enumerate(models)
        for seed in (0, 1)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "table_1_seeds.csv", index=False)
    names = ["VIE-Single", "70 % of the videos", "30 % of the videos"]
    rows = [
        {"of": "VIE-Single", "model": model, "seed": seed, "conv3": 9.0, "conv4": 9.0}
        | {"conv5": 30.0 - i, "knn10": 9.0, "n_val": 480}
        for i, model in enumerate(names)
        for seed in (0, 1)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "ablations_seeds.csv", index=False)
    rows = [
        {"model": model, "target": target, "split": 1, "seed": seed, "top1": 50.0 + i + 10 * (t)}
        | {"n_test": 40 + t}
        for i, model in enumerate(("Scratch-3DResNet", "3DRotNet", "VIE-3DResNet"))
        for t, target in enumerate(("ucf101", "hmdb51"))
        for seed in (0, 1)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "table_2_seeds.csv", index=False)
    return tmp_path


def test_files_become_the_table_and_its_plot(folder, tmp_path):
    found = find(read_seeds(folder), "a command").set_index(["finding", "higher", "lower"])
    assert found.loc[(1, "VIE-Single", "RotNet"), "difference"] == 10
    assert found.loc[(9, "VIE-Slow conv5", "VIE-Slow conv4"), "difference"] == 1
    assert found.loc[(6, "VIE-Single", "70 % of the videos"), "difference"] == 1
    tested = found.loc[(7, "VIE-3DResNet", "3DRotNet")].set_index("from")
    assert tested.loc["table_2_seeds.csv", "higher_accuracy"] == 57  # mean of both targets
    assert tested.loc["table_3_seeds.csv", "verdict"] == ABSENT
    verdicts = found.groupby("finding")["finding_verdict"].first()
    assert verdicts[4] == verdicts[6] == SHOWN
    assert verdicts[5] == verdicts[7] == ABSENT
    assert set(found["command"]) == {"a command"}
    path = tmp_path / "findings.svg"
    plot_findings(found.reset_index(), "some videos", [path])
    for words in (
        "4. Slow &lt; SlowFast &lt; TwoPathway: shown",
        "seeds 0, 1",
        "480 validation videos of some videos",
        "81 test videos",
    ):
        assert words in path.read_text()


def test_the_command(folder, tmp_path):
    output = tmp_path / "out.csv"
    command = [sys.executable, "-m", "vie.reporting.findings", str(folder), "-o", str(output)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "4. Slow < SlowFast < TwoPathway: shown" in said
    assert len(pd.read_csv(output)) == sum(len(one.comparisons) for one in FINDINGS)
    (tmp_path / "empty").mkdir()
    command[3] = str(tmp_path / "empty")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "there is none of table_1_seeds.csv" in done.stderr


def test_findings_name_rows_that_the_configs_tables_have():
    """A label that is spelt otherwise would never be tested."""
    from pathlib import Path

    from vie.config.load import load_config

    root = Path(__file__).parents[2]
    config = load_config(root / "config.yaml", root / "experiments" / "evening.yaml")
    labels = {one["label"] for one in config["evaluations"].values()}
    labels |= {one["label"] for one in config["recipes"].values()}
    for finding in FINDINGS:
        for comparison in finding.comparisons:
            assert {comparison.higher.model, comparison.lower.model} <= labels


def test_a_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(VieError, match="make the tables of the experiment"):
        read_seeds(tmp_path)
