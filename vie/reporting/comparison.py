"""All experiments side by side: their rows of Tables 1 and S1."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from vie.config.settings import LAYERS
from vie.runtime.errors import VieError

COLUMNS = ("model", *LAYERS, *(f"{layer}_ci95" for layer in LAYERS), "n_val", "seeds")


def compare(tables: Sequence[Path]) -> pd.DataFrame:
    """Rows of several tables: experiment, table, and `COLUMNS`, sorted by experiment and table.

    Args:
        tables: files `<experiment>/<table>.csv`.

    Raises:
        VieError: there are none, or one lacks a column.
    """
    if not tables:
        raise VieError(
            "no experiment has a table yet: make results/table_1.csv or results/table_s1.csv first"
        )
    parts = []
    for path in sorted(tables, key=lambda path: (path.parent.name, path.stem)):
        table = pd.read_csv(path, dtype={"seeds": str})
        missing = [column for column in COLUMNS if column not in table]
        if missing:
            raise VieError(
                f"{path}: no column {', '.join(missing)}; delete it to have it made again"
            )
        parts.append(table.assign(experiment=path.parent.name, table=path.stem))
    return pd.concat(parts, ignore_index=True)[["experiment", "table", *COLUMNS]]
