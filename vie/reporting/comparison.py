"""All experiments side by side: their rows of Tables 1 and S1."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from vie.config.settings import LAYERS
from vie.reporting.plots import draw_points, save
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


def plot_comparison(rows: pd.DataFrame, paths: Sequence[Path]) -> None:
    """Points of the layers of every row of `compare`; one panel per experiment."""
    from matplotlib.figure import Figure

    panels = list(rows.groupby("experiment", sort=False))
    heights = [len(part) for _, part in panels]
    figure = Figure(figsize=(7.2, 1.4 + sum(0.5 + 0.26 * n for n in heights)), layout="constrained")
    grid = figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)
    for (experiment, part), axis in zip(panels, grid[:, 0], strict=True):
        tables = part["table"].str.removeprefix("table_").str.upper()
        draw_points(axis, part.assign(model=part["model"] + " (Table " + tables + ")"), LAYERS, 0.2)
        first = part.iloc[0]
        title = f"{experiment}: {first['n_val']} validation videos, seeds {first['seeds']}"
        axis.set_title(title, fontsize=10, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
    grid[-1, 0].set_xlim(left=0)
    grid[-1, 0].set_xlabel("validation top-1 accuracy (%), bars: 95 % intervals", fontsize=8)
    handles = grid[0, 0].get_legend_handles_labels()
    figure.legend(*handles, frameon=False, fontsize=8, loc="outside lower center", ncols=3)
    save(figure, paths)
