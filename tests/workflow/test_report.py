"""The report of Snakemake, seen in a browser."""

import shutil

import pandas as pd
import pytest

from tests.workflow.browser import LINKS, follow, opened
from tests.workflow.conftest import SMOKE
from vie.reporting.html_table import EMPTY


@pytest.fixture(scope="module")
def reported(ran, snakemake):
    """Reports of all that a run has left, and of pictures: a page, and an archive unpacked."""
    copy = ran
    names = ("neighbours_opn.png", "map_opn.svg", "encoders/opn.pt", "findings.csv")
    snakemake(copy, *SMOKE, "--", *(f"results/smoke/{name}" for name in names))
    for name in ("report.html", "report.zip"):
        snakemake(copy, "--report", name, *SMOKE[2:])
        assert (copy / name).stat().st_size < 10e6
    shutil.unpack_archive(copy / "report.zip", copy / "unpacked")
    return [copy / "report.html", copy / "unpacked" / "report" / "report.html"]


@pytest.mark.slow
@pytest.mark.parametrize("archive", [False, True])
def test_all_that_a_report_shows_is_seen_in_a_browser(reported, archive):
    with opened(reported[archive].as_uri()) as driver:
        shown = [link.text for link in driver.find_elements("css selector", LINKS)]
        assert {*shown} == {"table", "plot", "rejected files", "map", "where it comes from"} | {
            f"neighbours, {kind}" for kind in ("moving", "sheet")
        }
        assert shown.count("table") >= 17
        for number, kind in enumerate(shown):
            rows, widths, text = follow(driver, number)
            assert all(rows), (number, text)
            assert all(widths), (number, text)
            if "table" in kind:
                assert rows, (number, text)
            else:
                assert rows or widths or EMPTY in text, (number, kind)
        said = driver.get_log("browser")
        assert not [one for one in said if one["level"] == "SEVERE"]


@pytest.mark.slow
def test_the_first_page_of_a_report_says_what_it_is_of(reported):
    with opened(reported[0].as_uri()) as driver:
        first = driver.find_element("css selector", ".prose")
        text, top = first.text, first.find_element("css selector", "h1").rect["y"]
    assert top >= 0  # nothing is above what can be scrolled to
    rejected = pd.read_csv(reported[0].parent / "resources" / "smoke" / "train" / "rejected.csv")
    assert "stand-in for Kinetics-400; drawn with dataset seed 0" in text
    assert f"{len(rejected)} rejected" in text
    for words in ("CPU, float32 (", "hours of jobs", "not tested", "Table S1: table, plot"):
        assert words in text


@pytest.mark.slow
def test_tables_of_a_report_are_sorted(reported):
    path = reported[0].parent / "results" / "smoke" / "table_1.csv"
    accuracies = pd.read_csv(path, index_col="model")["conv4"]
    with opened(reported[0].as_uri()) as driver:
        links = driver.find_elements("css selector", LINKS)
        made_by = [link.get_attribute("onclick") for link in links]
        follow(driver, next(i for i, code in enumerate(made_by) if "/table_1.html" in code))
        heads = driver.find_elements("css selector", "thead th")
        head = next(one for one in heads if one.text == "conv4")
        for order in ("ascending", "descending"):
            head.find_element("css selector", "button").click()
            assert head.get_attribute("aria-sort") == order
            models = [row.text for row in driver.find_elements("css selector", "tbody th")]
            assert sorted(models) == sorted(accuracies.index)
            wanted = sorted(accuracies, reverse=order == "descending")
            assert accuracies[models].tolist() == wanted


@pytest.mark.slow
def test_a_report_is_of_what_there_is(reported, snakemake, tmp_path):
    copy = reported[0].parent
    report = ("--report", "less.html", *SMOKE[2:])
    page = copy / "results" / "smoke" / "retrieval.html"
    page.rename(page.with_suffix(".away"))
    try:
        snakemake(copy, *report)
    finally:
        page.with_suffix(".away").rename(page)
    text = (copy / "less.html").read_text()
    assert "Retrieval: for each" not in text
    assert "Table 1: top-1 accuracy" in text
    output = snakemake(copy, *report, "--", "results/comparisons.csv", fails=True)
    assert "no rule makes it" in output
    output = snakemake(copy, *report, "--", "results/smoke/advice.yaml", fails=True)
    assert "results/smoke/advice.yaml does not exist, and a report makes no files" in output
    elsewhere = ("--directory", str(tmp_path))
    output = snakemake(copy, *report, *elsewhere, fails=True)
    assert "a report shows finished files, and there are none yet: make results/" in output
