"""Tables as pages, read by another parser of HTML."""

from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from vie.reporting.html_table import COMPARED, EMPTY, INTERVALS, write_page


@pytest.fixture
def page(tmp_path):
    """Writes a table as a page, and reads it as a tree: pages are XML but for their head."""

    def read(table, title="A table"):
        path = tmp_path / "table.html"
        write_page(table, path, title)
        text = path.read_text(encoding="utf-8")
        start, end = text.index("<body>"), text.index("<script>")
        return ElementTree.fromstring(text[start:end] + "</body>"), text

    return read


def cells(tree):
    return [["".join(cell.itertext()) for cell in row] for row in tree.find("table/tbody")]


def heads(tree):
    return ["".join(head.itertext()) for head in tree.find("table/thead/tr")]


def test_intervals_and_published_values_stand_beside_ours(page):
    table = pd.DataFrame(
        {
            "model": ["a", "b"],
            "conv3": [34.5, 7.25],
            "knn10": [1.0, np.nan],
            "conv3_ci95": [4.0, np.nan],
            "seeds": ["0 1", "0"],
            "conv3_published": [25.52, np.nan],
            "comparable": [False, True],
        }
    )
    tree, text = page(table)
    assert heads(tree) == ["model", "conv3", "conv3 published", "knn10", "seeds"]
    assert cells(tree) == [["a", "34.50 ± 4", "25.52 ≠", "1", "0 1"], ["b", "7.25", "", "", "0"]]
    assert tree.find(".//abbr").get("title") == "may not be compared"
    assert tree.find("table/tbody/tr/td").get("data-value") == "34.5"
    assert [note.text for note in tree.findall("p")] == [INTERVALS, COMPARED]
    table["comparable"] = True
    tree, _ = page(table)
    assert cells(tree)[0][2] == "25.52 ✓"
    assert "src=" not in text
    assert "http" not in text.replace("http-equiv", "")  # it needs no other file


def test_a_table_of_other_columns(page):
    table = pd.DataFrame({"finding": [1, 2], "says": ["x", None], "comparable": [True, False]})
    tree, _ = page(table)
    assert heads(tree) == ["finding", "says", "comparable"]
    assert cells(tree) == [["1", "x", "yes"], ["2", "", "no"]]
    assert not tree.findall("p")
    tree, _ = page(table.iloc[:0])
    assert heads(tree) == ["finding", "says", "comparable"]
    assert cells(tree) == []
    assert [note.text for note in tree.findall("p")] == [EMPTY]


def test_readers_of_screens_hear_what_sorts_and_what_a_row_is(page):
    tree, _ = page(pd.DataFrame({"model": ["a"], "conv3": [1.5]}))
    for head in tree.find("table/thead/tr"):
        assert head.get("scope") == "col"
        assert head.get("aria-sort") == "none"
        assert head.find("button").get("type") == "button"
    assert tree.find("table/tbody/tr/th").get("scope") == "row"


def test_names_are_text(page):
    bad = '<script>alert("1")</script>&amp;'
    tree, text = page(pd.DataFrame({bad: [bad], "b": [2.5]}), title=bad)
    assert tree.find("h1").text == bad
    assert cells(tree)[0][0] == bad
    assert heads(tree)[0] == bad
    assert text.count("<script>") == 1
