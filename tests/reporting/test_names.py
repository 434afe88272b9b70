"""Names that are no formulas, neither in plots nor in a spreadsheet, whatever they look like."""

import csv
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from vie.config.settings import LAYERS
from vie.frames.index import Index
from vie.frames.manifest import read_classes, write_classes
from vie.reporting.ablation_plot import plot_ablations
from vie.reporting.drawing import named
from vie.reporting.gallery import fitting
from vie.reporting.learning_curves import plot_curves
from vie.reporting.plots import (
    Target,
    plot_bars,
    plot_classes,
    plot_comparison,
    plot_finetuned,
    plot_points,
    plot_pretext,
    plot_retrieval,
)
from vie.reporting.summary import write_summary
from vie.reporting.tables import compare, read_csv, write_csv
from vie.runtime.csv_files import cell, read_rows, text_of_cell, write_rows

ODD = [
    *("$x^$", "$", "$a$ and $b", r"\frac{", "a_b^c", "%d", "#&<!--x-->", "_hidden", "-- ->"),
    *("\N{HEBREW LETTER ALEF}\N{ARABIC LETTER BEH}", "\N{GRINNING FACE}", "a\nb\tc", "x" * 500),
    *("\x00\x1b[31m", "\u2028", "\ufffe", "=1+1", "@SUM(A1)", "'quoted'"),
    *("None", "NA", "nan", "null"),
]


def odd_table(**more):
    n = len(ODD)
    table = pd.DataFrame({"model": ODD, "n_val": 8, "seeds": "0 1", "dataset": "$x^$", **more})
    for name in (*LAYERS, "knn10", "top5", "accuracy"):
        table[name] = np.linspace(1, 90, n)
        table[f"{name}_ci95"] = 1.0
    return table.assign(chance=4.0, comparable=False, group="$g^$", task="$t^$")


def classes_and_confusion():
    classes = pd.DataFrame({"class": ODD, "n": 4, "top1": 50.0, "top1_ci95": 9.0, "seeds": "0"})
    confusion = pd.DataFrame(np.eye(len(ODD)), columns=ODD)
    confusion.insert(0, "class", ODD)
    return classes, confusion


def ablations(paths):
    table = odd_table(of="$x^$", conv5_difference=1.0, conv5_difference_ci95=2.0)
    plot_ablations(table, paths)


def curves(paths):
    rows = [
        {
            "model": m,
            "network": m,
            "seed": 0,
            "stage": "a",
            "epoch": e,
            "gained": 1.0,
            "knn_top1": 5,
        }
        for m in ODD
        for e in (1, 2)
    ]
    plot_curves(pd.DataFrame(rows), 8, "$x^$", 4.0, paths)


def finetuned(paths):
    more = {f"a{end}": 40.0 for end in ("", "_ci95", "_published")} | {"a_n": 4}
    table = odd_table(validation="test", **more)
    plot_finetuned(table, {"a": Target("_$x^$", 4.0)}, ["$g^$"] * len(ODD), "$x^$", paths)


def retrieval(paths):
    more = {"layer": "conv5", "r1": 5.0, "r1_ci95": 1.0, "chance_r1": 2.0}
    table = odd_table(n_queries=4, n_gallery=9, **more).assign(dataset="a")
    plot_retrieval(table, {"a": "$x^$"}, paths)


PLOTS = {
    "points": lambda paths: plot_points(odd_table(), "$x^$", paths),
    "bars": lambda paths: plot_bars(odd_table(), odd_table(), "$x^$", paths),
    "pretext": lambda paths: plot_pretext(odd_table(), paths),
    "comparison": lambda paths: plot_comparison(
        odd_table(experiment="$x^$", table="table_1"), paths
    ),
    "classes": lambda paths: plot_classes(
        *classes_and_confusion(), Target("$x^$", 4.0), "$x^$", paths
    ),
    "ablations": ablations,
    "curves": curves,
    "finetuned": finetuned,
    "retrieval": retrieval,
}


@pytest.mark.filterwarnings("ignore:constrained_layout not applied")
@pytest.mark.parametrize("kind", PLOTS)
def test_plots_show_names_as_they_are(tmp_path, kind):
    paths = [tmp_path / "a.svg", tmp_path / "a.png"]
    PLOTS[kind](paths)
    text = paths[0].read_text()
    ElementTree.fromstring(text)  # nothing in it breaks the file
    for name in ("$x^$", r"\frac{", "_hidden", "%d", "x" * 30):
        assert name in text, name
    assert "x" * 100 not in text


def test_a_summary_of_odd_names(small_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(Index, "check_classes", lambda *_: None)  # the videos have other classes
    write_classes(ODD[:8], tmp_path / "classes.csv")
    files = [
        {"train": small_dataset / "train" / name} for name in ("index.parquet", "rejected.csv")
    ]
    outputs = tmp_path / "classes.csv", tmp_path / "s.csv", [tmp_path / "s.svg"]
    write_summary(*files, *outputs, {}, "$x^$")
    text = (tmp_path / "s.svg").read_text()
    for name in ("$a$ and $b", "_hidden", "Content of $x^$"):
        assert name in text


def test_names_are_shown_on_one_line_and_not_too_long():
    assert named(["a\n b", "_a", "\x00", "x" * 80, "\N{NO-BREAK SPACE}$"], 10) == [
        *("a b", " _a", "\N{REPLACEMENT CHARACTER}"),
        *("x" * 9 + "\N{HORIZONTAL ELLIPSIS}", "\N{NO-BREAK SPACE}$"),
    ]
    assert fitting("\x1b" + "a" * 9 + "b", 4) == "\N{HORIZONTAL ELLIPSIS}aab"


FORMULAS = ["=1+1", "+1-1", "-cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\n=1"]
FORMULAS += ["\uff1d1", "-x_y"]
TEXTS = ["plain", "a=b", "-3.2", "+1e-5", "'quoted'", "1-1", "", '"a, b"']


def test_a_spreadsheet_finds_no_formula_and_the_names_come_back(tmp_path):
    names = [*FORMULAS, *TEXTS, "'=1+1", "''@x"]
    write_rows(tmp_path / "a.csv", ("name", "n"), [(name, -3.2) for name in names])
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        _, *raw = csv.reader(file)
    assert all(row[0].startswith("'") for row in raw[: len(FORMULAS)])
    assert [row[0] for row in raw[len(FORMULAS) : -2]] == TEXTS
    assert raw[0] == ["'=1+1", "-3.2"]
    assert [row[0] for row in read_rows(tmp_path / "a.csv", ("name", "n"))] == names
    assert [text_of_cell(str(cell(name))) for name in names] == names
    assert cell("\r=1") == "'\r=1"
    write_rows(tmp_path / "b.csv", ("id",), [("-abc",)], plain=True)
    assert (tmp_path / "b.csv").read_text() == "id\n-abc\n"


def test_tables_of_pandas_have_no_formula_either(tmp_path):
    table = pd.DataFrame({"model": ["=1", None, "b"], "-x": [-1.5, np.nan, 2], "ok": [True] * 3})
    write_csv(table, tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines == ["model,'-x,ok", "'=1,-1.5,true", ",,true", "b,2.0,true"]
    again = read_csv(tmp_path / "a.csv")
    assert again["model"].tolist()[0::2] == ["=1", "b"]
    assert list(again.columns) == ["model", "-x", "ok"]


def test_classes_come_back(tmp_path):
    write_classes(ODD, tmp_path / "classes.csv")
    assert read_classes(tmp_path / "classes.csv") == ODD


def test_rows_of_experiments_keep_their_names(tmp_path):
    path = tmp_path / "demo" / "table_1.csv"
    path.parent.mkdir()
    table = odd_table()
    write_csv(table, path)
    assert compare([path])["model"].tolist() == ODD
