"""Pages of results are as the files have it that they are made of."""

import importlib.util
import shutil
from pathlib import Path

import pandas as pd
import pytest

from vie.config.load import load_config
from vie.reporting.published_table import published_table
from vie.reporting.tables import read_csv, write_csv
from vie.workflow.paths import Experiment
from vie.workflow.published import published_rows

ROOT = Path(__file__).parents[1]
KNOWN = ["model", "quantity", "dataset", "published", "source", "command"]  # before any run


@pytest.fixture
def made():
    path = ROOT / "docs/make_measured.py"
    spec = importlib.util.spec_from_file_location("make_measured", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_published_numbers_are_those_of_today(made, tmp_path):
    """But for the demo's own numbers, which differ from machine to machine.

    The two commands of docs/reproduction.md renew them.
    """
    rows = published_rows(Experiment(load_config(ROOT / "config.yaml")))
    table = published_table([row | {"files": [], "missing": ""} for row in rows])
    shown = read_csv(made.DOCS / "demo/published.csv")
    pd.testing.assert_frame_equal(shown[KNOWN], table[KNOWN], check_dtype=False)
    assert "| VIE-3DResNet | 10-nearest-neighbour top-1 after 50000 IR steps |" in "\n".join(
        made.published_lines(made.DOCS / "demo")
    )
    some = shown.assign(comparable=[True, True] + [False] * (len(shown) - 2))
    write_csv(some, tmp_path / "published.csv")
    assert "known here, 2 were reproduced" in "".join(made.status_lines(tmp_path))


@pytest.mark.parametrize("experiment", ["evening", "demo"])
def test_measured_numbers_are_those_of_the_seeds(experiment, made, tmp_path):
    folder, others = made.DOCS / experiment, tmp_path / experiment
    write_csv(made.findings_of(folder), tmp_path / "findings.csv")
    assert (tmp_path / "findings.csv").read_text() == (folder / "findings.csv").read_text()
    shutil.copytree(folder, others)
    seeds = read_csv(others / "table_1_seeds.csv")
    write_csv(seeds.assign(conv5=seeds["conv5"] + 1), others / "table_1_seeds.csv")
    pages = [(made.DOCS / name).read_text() for name in made.PAGES[experiment]]
    assert all(made.renewed(page, folder) == page for page in pages)
    assert any(made.renewed(page, others) != page for page in pages)


def test_every_block_stands_in_a_page(made):
    pages = {name for names in made.PAGES.values() for name in names}
    text = "".join((made.DOCS / name).read_text() for name in pages)
    assert set(made.MADE) <= set(made.BLOCK.findall(text))


@pytest.fixture
def copied(made, tmp_path, monkeypatch):
    """docs/ in a copy that may be renewed, and an experiment's results."""
    (tmp_path / "README.md").write_text((ROOT / "README.md").read_text())
    monkeypatch.setattr(made, "DOCS", shutil.copytree(made.DOCS, tmp_path / "docs"))
    results = tmp_path / "results/demo"
    results.mkdir(parents=True)
    return results


def test_pages_are_renewed_with_what_the_results_have(made, copied):
    seeds = read_csv(made.DOCS / "demo/table_s1_seeds.csv")
    write_csv(seeds.assign(conv5=12.3), copied / "table_s1_seeds.csv")
    (copied / "table_s1.png").write_bytes(b"a plot")
    page = (made.DOCS / "embedded-dataset.md").read_text()
    made.main([str(copied)])
    assert (made.DOCS / "demo/table_s1.png").read_bytes() == b"a plot"
    renewed = (made.DOCS / "embedded-dataset.md").read_text().splitlines()
    changed = set(renewed) - set(page.splitlines())
    assert len(changed) == 2  # the table's run, and the deviation over runs
    assert any("| 12.3, 12.3, 12.3 |" in line for line in changed)


def test_other_results_are_refused(made, copied, capsys):
    write_csv(read_csv(made.DOCS / "demo/five_seeds.csv"), copied / "table_1_seeds.csv")
    for results, said in ((copied, "seeds are (0, 1, 2, 3, 4)"), (copied.parent, "none of the")):
        with pytest.raises(SystemExit):
            made.main([str(results)])
        assert said in capsys.readouterr().err
