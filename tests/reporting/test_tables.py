"""Table S1 from predictions on disk, worked out by hand."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vie.errors import VieError
from vie.reporting.plots import plot_table
from vie.reporting.published import PAPER, comparable, read_published
from vie.reporting.tables import probe_table, read_readouts, seed_table, write_csv

PUBLISHED = Path(__file__).parents[2] / "vie" / "reporting" / "published" / "table_s1.csv"
LABELS = {
    "trn": "TRN-Input-Single",
    "slow": "Slow-Input-Single",
    "sf": "Sf-Input-Single",
}
COLUMNS = (
    "model",
    *("conv3", "conv4", "conv5"),
    *("conv3_ci95", "conv4_ci95", "conv5_ci95"),
    *("n_val", "seeds"),
    *("conv3_published", "conv4_published", "conv5_published"),
    "comparable",
)


def facts(seed, **other):
    return {
        "seed": seed,
        "dataset_identity": "kinetics400",
        "n_train": 239_000,
        "n_val": 19_600,
        "classes": 400,
        "network_steps": 1_400_000,
        "encoder": {"network": "single", "width": 64, "embedding": 128, "bn_momentum": 0.003},
        "size": 224,
        "clips": 5,
    } | other


@pytest.fixture
def probes(tmp_path):
    """Two seeds of three readouts on ten videos; readout r, seed s is right on the first r+s+3."""
    predictions, known = [], []
    for r in range(3):
        for s in range(2):
            labels = np.arange(10) % 4
            right = np.arange(10) < r + s + 3
            table = pd.DataFrame({"video": [f"v{i}" for i in range(10)], "label": labels})
            for k, layer in enumerate(("conv3", "conv4", "conv5")):
                table[f"{layer}_top1"] = np.where(np.roll(right, k), labels, (labels + 1) % 4)
                table[f"{layer}_top5"] = True
            predictions.append(str(tmp_path / f"{r}{s}.parquet"))
            known.append(str(tmp_path / f"{r}{s}.json"))
            table.to_parquet(predictions[-1])
            Path(known[-1]).write_text(json.dumps(facts(s)))
    return predictions, known


def test_the_table_by_hand(probes, tmp_path):
    table = probe_table(read_readouts(LABELS, *probes), PUBLISHED)
    write_csv(table, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["model"] for row in rows] == list(LABELS.values())
    # Seeds right on 3 and 4 of 10 videos, on 4 and 5, on 5 and 6.
    assert [float(row["conv3"]) for row in rows] == [35.0, 45.0, 55.0]
    assert [row["n_val"] for row in rows] == ["10"] * 3
    assert [row["seeds"] for row in rows] == ["0 1"] * 3
    assert rows[1]["conv4_published"] == "39.24"
    assert [row["comparable"] for row in rows] == ["true"] * 3
    # Row 0: video means 1, 1, 1, 0.5, then zeros, with two wrong and two right ones added.
    means = np.array([1, 1, 1, 0.5, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
    error = np.sqrt(means.var() / 14 + np.var([0.3, 0.4], ddof=1) / 2)
    assert float(rows[0]["conv5_ci95"]) == pytest.approx(196 * error, abs=0.01)


def test_seeds_one_by_one(probes):
    table = seed_table(read_readouts(LABELS, *probes))
    assert table["conv4"].tolist() == [30.0, 40.0, 40.0, 50.0, 50.0, 60.0]
    assert table["seed"].tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    "change",
    [
        {"dataset_identity": None},
        {"n_train": 200_000},
        {"n_val": 15_000},
        {"classes": 399},
        {"network_steps": 0},
        {"size": 112},
        {"clips": 1},
        {"encoder": {"width": 32, "embedding": 128}},
        {"encoder": {"width": 64, "embedding": 64}},
    ],
    ids=str,
)
def test_published_values_are_comparable_at_the_papers_scale_alone(change):
    assert comparable(facts(0), "kinetics400")
    assert not comparable(facts(0, **change), "kinetics400")
    assert not comparable(facts(0), "ucf101")


def test_one_seed_below_the_papers_scale_spoils_the_row(probes):
    Path(probes[1][3]).write_text(json.dumps(facts(1, network_steps=1000)))
    table = probe_table(read_readouts(LABELS, *probes), PUBLISHED)
    assert table["comparable"].tolist() == [True, False, True]


def test_unknown_models_and_missing_files_are_errors(probes, tmp_path):
    readouts = read_readouts(LABELS | {"sf": "SlowFast"}, *probes)
    with pytest.raises(VieError, match=r"has no model SlowFast; it has TRN-Input-Single"):
        probe_table(readouts, PUBLISHED)
    with pytest.raises(VieError, match=r"absent\.csv: the file of published values is missing"):
        read_published(tmp_path / "absent.csv", ["TRN-Input-Single"], ["conv3"])
    (tmp_path / "cut.csv").write_text("model,conv3\nTRN-Input-Single,1\n")
    with pytest.raises(VieError, match="lacks the columns dataset, conv4"):
        read_published(tmp_path / "cut.csv", ["TRN-Input-Single"], ["conv3", "conv4"])


def test_seeds_of_different_videos_are_not_averaged(probes):
    table = pd.read_parquet(probes[0][1])
    table["video"] = table["video"].str.upper()
    table.to_parquet(probes[0][1])
    with pytest.raises(VieError, match="seeds of trn were tested on different videos"):
        read_readouts(LABELS, *probes)


def test_the_plot_shows_published_values_only_where_comparable(probes, tmp_path):
    table = probe_table(read_readouts(LABELS, *probes), PUBLISHED)
    one, two = tmp_path / "t.svg", tmp_path / "u.svg"
    plot_table(table, "a title", [one, tmp_path / "t.png"])
    plot_table(table.assign(comparable=False), "a title", [two])
    assert "published" in text_of(one)
    assert "published" not in text_of(two)
    assert "TRN-Input-Single" in text_of(two)
    again = tmp_path / "again" / "t.svg"
    plot_table(table, "a title", [again])
    assert again.read_bytes() == one.read_bytes()
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")


def text_of(svg):
    """Matplotlib writes each text of an SVG as a comment beside its outlines."""
    return svg.read_text()


def test_the_published_file_holds_what_the_supplement_prints():
    text = (PUBLISHED.parent / "table_s1.csv").read_text()
    rows = {row["model"]: row for row in csv.DictReader(text.splitlines())}
    printed = {
        "TRN-Input-Single": ("25.52", "39.25", "44.27"),
        "Slow-Input-Single": ("26.17", "39.24", "44.62"),
        "Sf-Input-Single": ("25.72", "39.38", "44.29"),
    }
    assert {m: (r["conv3"], r["conv4"], r["conv5"]) for m, r in rows.items()} == printed
    assert PAPER["n_train"] == 239_888
