"""Plots of tables. matplotlib is imported when a plot is drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from vie.config.settings import LAYERS
from vie.runtime.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PUBLISHED_COLOUR = "#c23b22"
COLOURS = ("#88b0d8", "#3f77b5", "#173f6f")  # light to dark with depth


def new_figure(width: float, height: float) -> tuple["Figure", "Axes"]:
    """A figure of so many inches with one axis, which has no line above or on its right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axis = figure.subplots()
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def plot_bars(table: pd.DataFrame, title: str, paths: Sequence[Path]) -> None:
    """Bars of every model's layers with 95 % intervals, and published values if comparable.

    Args:
        table: `vie.reporting.tables.probe_table`.
        title: of the plot.
        paths: files to write; the suffix is the format.
    """
    figure, axis = new_figure(max(6.4, 1.6 + 1.8 * len(table)), 4.2)
    places, width = np.arange(len(table)), 0.26
    shown = table["comparable"].to_numpy(bool)
    for i, (layer, colour) in enumerate(zip(LAYERS, COLOURS, strict=True)):
        x = places + (i - 1) * width
        axis.bar(x, table[layer], width * 0.92, color=colour, label=layer.capitalize())
        mark_intervals(axis, x, table[layer], table[f"{layer}_ci95"])
        label = "published" if i == 0 else None
        mark_published(axis, x[shown], table[f"{layer}_published"][shown], label)
    tops = [table[layer] + table[f"{layer}_ci95"] for layer in LAYERS]
    tops += [table[f"{layer}_published"][shown] for layer in LAYERS]
    top = float(pd.concat(tops).max())
    axis.set_ylim(0, min(100, top * 1.15 + 1))
    axis.set_xticks(places, table["model"])
    axis.set_ylabel("validation top-1 accuracy (%)")
    axis.set_title(title, fontsize=11)
    axis.set_xlabel(f"bars: {interval_of(table)}", fontsize=8)
    axis.legend(frameon=False, ncols=4, loc="upper left", bbox_to_anchor=(0, 1), fontsize=8)
    save(figure, paths)


def mark_intervals(axis: "Axes", x: np.ndarray, values: pd.Series, halves: pd.Series) -> None:
    """Draw the interval of each bar, and write its value above it."""
    axis.errorbar(x, values, halves, fmt="none", ecolor="#333333", capsize=2, lw=1)
    for place, value, half in zip(x, values, halves, strict=True):
        axis.annotate(
            f"{value:.1f}",
            (place, value + half),
            (0, 3),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )


def mark_published(
    axis: "Axes", x: np.ndarray | pd.Series, y: np.ndarray | pd.Series, label: str | None
) -> None:
    """Draw published values as diamonds, if there are any."""
    if len(x):
        axis.scatter(
            *(x, y, 28),
            marker="D",
            facecolor="white",
            edgecolor=PUBLISHED_COLOUR,
            zorder=3,
            label=label,
        )


def plot_points(table: pd.DataFrame, title: str, paths: Sequence[Path]) -> None:
    """One line per model: its layers and its nearest neighbours as points with 95 % intervals.

    Args:
        table: `vie.reporting.tables.with_neighbours`.
        title: of the plot.
        paths: files to write; the suffix is the format.
    """
    figure, axis = new_figure(7.2, 1.4 + 0.32 * len(table))
    places = np.arange(len(table))[::-1]
    shown = table["comparable"].to_numpy(bool)
    marks = [(layer, colour, "o") for layer, colour in zip(LAYERS, COLOURS, strict=True)]
    for i, (name, colour, mark) in enumerate([*marks, ("knn10", "#9a9a9a", "s")]):
        y = places + 0.24 - 0.16 * i
        axis.errorbar(
            table[name],
            y,
            xerr=table[f"{name}_ci95"],
            fmt=mark,
            ms=4,
            lw=1,
            color=colour,
            label={"knn10": "10 nearest neighbours"}.get(name, name.capitalize()),
        )
        here = table[f"{name}_published"].notna().to_numpy() & shown
        label = "published" if i == 0 else None
        mark_published(axis, table[f"{name}_published"][here], y[here], label)
    axis.set_yticks(places, table["model"], fontsize=8)
    axis.set_xlim(left=0)
    axis.set_xlabel(f"validation top-1 accuracy (%), {interval_of(table)}", fontsize=8)
    axis.set_title(title, fontsize=11)
    axis.grid(axis="x", color="#e4e4e4")
    axis.set_axisbelow(True)
    figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=5)
    save(figure, paths)


def interval_of(table: pd.DataFrame) -> str:
    """The videos and seeds that the intervals of a table are over, in words."""
    n, seeds = int(table["n_val"].iloc[0]), str(table["seeds"].iloc[0]).split()
    over = f"and seeds {', '.join(seeds)}" if len(seeds) > 1 else f"(one seed, {seeds[0]})"
    return f"95 % interval over {n} validation videos {over}"


def save(figure: "Figure", paths: Sequence[Path]) -> None:
    """Write a figure to each path. The same plot gives the same bytes."""
    import matplotlib

    for path in paths:
        kind = path.suffix[1:]
        metadata = {"svg": {"Date": None}}.get(kind)
        with matplotlib.rc_context({"svg.hashsalt": path.stem}), atomic_write(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=150, metadata=metadata)
