"""docs/cluster.md says what the plugin makes of resources, as it does."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from snakemake_executor_plugin_slurm.utils import set_gres_string

DOCS = Path(__file__).parents[2] / "docs" / "cluster.md"
ROWS = re.findall(r"^\| (`(?:gpu|gres).*) \| `(--.*)` \|$", DOCS.read_text(), re.M)


class Resources(dict):
    __getattr__ = dict.get


@pytest.mark.parametrize(("resources", "options"), ROWS)
def test_options_of_sbatch(resources, options):
    found = Resources()
    for one in re.findall("`(.*?)`", resources):
        found |= yaml.safe_load(one)
    assert set_gres_string(SimpleNamespace(resources=found)).split() == options.split()


def test_the_table_was_found():
    assert len(ROWS) > 4
