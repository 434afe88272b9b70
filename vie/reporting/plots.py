"""Plots of tables. matplotlib is imported when a plot is drawn.

Functions `plot_*` write one plot to all `paths`, whose suffixes are the formats.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from vie.config.settings import LAYERS
from vie.runtime.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PUBLISHED_COLOUR = "#c23b22"
COLOURS = ("#88b0d8", "#3f77b5", "#173f6f")  # of layers, light to dark with depth
# How the columns of a plot of points are drawn.
POINTS: dict[str, dict[str, Any]] = {
    layer: {"color": colour, "fmt": "o", "label": layer.capitalize()}
    for layer, colour in zip(LAYERS, COLOURS, strict=True)
}
POINTS["knn10"] = {"color": "#9a9a9a", "fmt": "s", "label": "10 nearest neighbours"}


def new_figure(width: float, height: float) -> tuple["Figure", "Axes"]:
    """A figure of so many inches with one axis, which has no line above or on its right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axis = figure.subplots()
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def plot_bars(table: pd.DataFrame, title: str, paths: Sequence[Path]) -> None:
    """Bars of the layers of every model of `vie.reporting.tables.probe_table`."""
    figure, axis = new_figure(max(6.4, 1.6 + 1.8 * len(table)), 4.2)
    places, width = np.arange(len(table)), 0.26
    tops = []
    for i, (layer, colour) in enumerate(zip(LAYERS, COLOURS, strict=True)):
        x = places + (i - 1) * width
        style = {"color": colour, "label": layer.capitalize()}
        tops.append(draw_bars(axis, table, layer, x, 0.92 * width, **style))
    axis.set_ylim(0, min(100, max(tops) * 1.15 + 1))
    axis.set_xticks(places, table["model"])
    axis.set_ylabel("validation top-1 accuracy (%)")
    axis.set_title(title, fontsize=11)
    axis.set_xlabel(f"bars: {interval_of(table)}", fontsize=8)
    axis.legend(frameon=False, ncols=4, loc="upper left", bbox_to_anchor=(0, 1), fontsize=8)
    save(figure, paths)


def draw_bars(
    axis: "Axes", table: pd.DataFrame, name: str, x: np.ndarray, width: float, **style: Any
) -> float:
    """Bars of a column with values, 95 % intervals and, if comparable, published values.

    `style` has color and label. Returns the height of the highest mark.
    """
    values, halves = table[name], table[f"{name}_ci95"]
    line = {"ecolor": "#333333", "capsize": 2, "lw": 1}
    bars = axis.bar(x, values, width, yerr=halves, error_kw=line, **style)
    axis.bar_label(bars, fmt="%.1f", padding=1, fontsize=8)
    published = table[f"{name}_published"].where(table["comparable"])
    _draw_published(axis, x, published)
    return float(pd.concat([values + halves, published]).max())


def draw_points(axis: "Axes", table: pd.DataFrame, names: Sequence[str], apart: float) -> None:
    """A row per model from the top: columns as points with 95 % intervals, and published values.

    Args:
        axis: to draw on.
        table: with the columns model, `names` and `<name>_ci95`, perhaps `<name>_published`.
        names: layers and knn10.
        apart: distance between the points of a model; models are 1 apart.
    """
    places = np.arange(len(table))[::-1]
    for i, name in enumerate(names):
        y = places + apart * ((len(names) - 1) / 2 - i)
        axis.errorbar(table[name], y, xerr=table[f"{name}_ci95"], ms=4, lw=1, **POINTS[name])
        if f"{name}_published" in table:
            _draw_published(axis, table[f"{name}_published"].where(table["comparable"]), y)
    axis.set_yticks(places, table["model"], fontsize=8)
    axis.grid(axis="x", color="#e4e4e4")
    axis.set_axisbelow(True)


def _draw_published(axis: "Axes", x: ArrayLike, y: ArrayLike) -> None:
    """Published values as diamonds; NaN where there is none."""
    points = np.column_stack([x, y])  # (models, 2)
    points = points[~np.isnan(points).any(axis=1)]
    if len(points):
        named = "published" in axis.get_legend_handles_labels()[1]
        axis.scatter(
            points[:, 0],
            points[:, 1],
            28,
            marker="D",
            facecolor="white",
            edgecolor=PUBLISHED_COLOUR,
            zorder=3,
            label=None if named else "published",
        )


def plot_points(table: pd.DataFrame, title: str, paths: Sequence[Path]) -> None:
    """Points of the layers and neighbours of `vie.reporting.tables.with_neighbours`."""
    figure, axis = new_figure(7.2, 1.4 + 0.32 * len(table))
    draw_points(axis, table, (*LAYERS, "knn10"), 0.16)
    axis.set_xlim(left=0)
    axis.set_xlabel(f"validation top-1 accuracy (%), {interval_of(table)}", fontsize=8)
    axis.set_title(title, fontsize=11)
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
