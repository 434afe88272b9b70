"""Pages of results are as the files have it that they are made of."""

import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from vie.config.load import load_config
from vie.reporting.published_table import published_table
from vie.reporting.tables import read_csv, write_csv
from vie.workflow.paths import Experiment
from vie.workflow.published import published_rows

ROOT = Path(__file__).parents[1]
DEMO = re.compile(r"^((?:\|[^|\n]*){4})\|[^|\n]*(\|[^|\n]*\|)$", re.M)  # the last cell but one


def script(name):
    spec = importlib.util.spec_from_file_location("page", ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date_but_for_the_demos_own_numbers():
    made = script("make_reproduction")
    rows = published_rows(Experiment(load_config(ROOT / "config.yaml")))
    table = published_table([row | {"files": [], "missing": ""} for row in rows])
    page = made.PAGE.read_text()
    renewed = made.renewed(page, made.generated(table))
    # The demo's numbers differ from machine to machine.
    assert DEMO.sub(r"\1\2", page) == DEMO.sub(r"\1\2", renewed), (
        "run the two commands at the top of docs/make_reproduction.py and commit the page"
    )
    assert page.count("| VIE-3DResNet |") == 9
    some = table.assign(ours=12.345, ours_ci95=1.0)
    assert made.generated(some).count("| 12.35 ± 1.00 |") == len(table)
    assert made.renewed(renewed, made.generated(table)) == renewed
    readme = made.README.read_text()
    assert made.renewed(readme, made.status(table)) == readme
    assert "known here, 2 were reproduced" in made.status(
        some.assign(comparable=[True, True] + [False] * (len(some) - 2))
    )


@pytest.mark.parametrize("experiment", ["evening", "demo"])
def test_measured_numbers_are_those_of_the_seeds(experiment, tmp_path):
    made = script("make_measured")
    folder, others = made.DOCS / experiment, tmp_path / experiment
    write_csv(made.findings_of(folder), tmp_path / "findings.csv")
    assert (tmp_path / "findings.csv").read_text() == (folder / "findings.csv").read_text()
    shutil.copytree(folder, others)
    seeds = read_csv(others / "table_1_seeds.csv")
    write_csv(seeds.assign(conv5=seeds["conv5"] + 1), others / "table_1_seeds.csv")
    pages = [(made.DOCS / name).read_text() for name in made.PAGES[experiment]]
    assert all(made.renewed(page, folder) == page for page in pages)
    assert any(made.renewed(page, others) != page for page in pages)
