"""Plots of tables; matplotlib is imported when one is drawn."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vie.config.settings import LAYERS
from vie.runtime.files import atomic_write

COLOURS = ("#88b0d8", "#3f77b5", "#173f6f")  # light to dark with depth


def plot_bars(table: pd.DataFrame, title: str, paths: Sequence[Path]) -> None:
    """Bars of every model's layers with 95 % intervals; published values where comparable.

    Args:
        table: as made by `vie.reporting.tables.probe_table`.
        title: of the plot.
        paths: files to write, the suffix names the format.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(6.4, 1.6 + 1.8 * len(table)), 4.2), layout="constrained")
    axis = figure.subplots()
    places, width = np.arange(len(table)), 0.26
    for i, (layer, colour) in enumerate(zip(LAYERS, COLOURS, strict=True)):
        x = places + (i - 1) * width
        axis.bar(x, table[layer], width * 0.92, color=colour, label=layer.capitalize())
        mark_intervals(axis, x, table[layer], table[f"{layer}_ci95"])
        shown = table["comparable"].to_numpy(bool)
        if shown.any():
            axis.scatter(
                x[shown],
                table[f"{layer}_published"][shown],
                marker="D",
                s=28,
                facecolor="white",
                edgecolor="#c23b22",
                zorder=3,
                label="published" if i == 0 else None,
            )
    tops = [table[layer] + table[f"{layer}_ci95"] for layer in LAYERS]
    tops += [table[f"{layer}_published"][table["comparable"]] for layer in LAYERS]
    top = float(pd.concat(tops).max())
    axis.set_ylim(0, min(100, top * 1.15 + 1))
    axis.set_xticks(places, table["model"])
    axis.set_ylabel("validation top-1 accuracy (%)")
    axis.set_title(title, fontsize=11)
    axis.set_xlabel(f"bars: {interval_of(table)}", fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, ncols=4, loc="upper left", bbox_to_anchor=(0, 1), fontsize=8)
    save(figure, paths)


def mark_intervals(axis, x: np.ndarray, values: pd.Series, halves: pd.Series) -> None:
    """The interval of each bar, and its value above it."""
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


def plot_points(table: pd.DataFrame, title: str, paths: Sequence[Path]) -> None:
    """One line per model, its layers as points with 95 % intervals and the neighbours' accuracy.

    Args:
        table: as made by `vie.reporting.tables.with_neighbours`.
        title: of the plot.
        paths: files to write, the suffix names the format.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 1.4 + 0.32 * len(table)), layout="constrained")
    axis = figure.subplots()
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
        published = table[f"{name}_published"].notna().to_numpy() & shown
        if published.any():
            axis.scatter(
                table[f"{name}_published"][published],
                y[published],
                marker="D",
                s=28,
                facecolor="white",
                edgecolor="#c23b22",
                zorder=3,
                label="published" if i == 0 else None,
            )
    axis.set_yticks(places, table["model"], fontsize=8)
    axis.set_xlim(left=0)
    axis.set_xlabel(f"validation top-1 accuracy (%), {interval_of(table)}", fontsize=8)
    axis.set_title(title, fontsize=11)
    axis.grid(axis="x", color="#e4e4e4")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=5)
    save(figure, paths)


def interval_of(table: pd.DataFrame) -> str:
    """What the intervals of a table are over, in words."""
    n, seeds = int(table["n_val"].iloc[0]), str(table["seeds"].iloc[0]).split()
    over = f"and seeds {', '.join(seeds)}" if len(seeds) > 1 else f"(one seed, {seeds[0]})"
    return f"95 % interval over {n} validation videos {over}"


def save(figure, paths: Sequence[Path]) -> None:
    """Write a figure to each path, whole, the same bytes for the same plot."""
    import matplotlib

    for path in paths:
        kind = path.suffix[1:]
        metadata = {"svg": {"Date": None}}.get(kind)
        with matplotlib.rc_context({"svg.hashsalt": path.stem}), atomic_write(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=150, metadata=metadata)
