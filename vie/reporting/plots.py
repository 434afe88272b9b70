"""Plots of tables. matplotlib is imported when a plot is drawn.

Functions `plot_*` write one plot to all `paths`, whose suffixes are the formats.
"""

import itertools
from collections.abc import Mapping, Sequence
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
TARGET_COLOURS = ("#3f77b5", "#e0923b", "#5b9a54", "#8a6bb0")
# Layers get darker with depth.
STYLES: dict[str, dict[str, Any]] = {
    "embedding": {"color": "#c77c1e", "label": "embedding"},
    "conv3": {"color": "#88b0d8", "label": "Conv3"},
    "conv4": {"color": "#3f77b5", "label": "Conv4"},
    "conv5": {"color": "#173f6f", "label": "Conv5"},
    "knn10": {"color": "#9a9a9a", "label": "10 nearest neighbours"},
}
NAMED = 60  # at most so many classes have readable names in one plot
WRITTEN = 20  # at most so many classes have readable numbers in one plot


def new_figure(width: float, height: float) -> tuple["Figure", "Axes"]:
    """A figure of so many inches with one axis, which has no line above or on its right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axis = figure.subplots()
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def save(figure: "Figure", paths: Sequence[Path]) -> None:
    """Write a figure to each path. The same plot gives the same bytes."""
    import matplotlib

    for path in paths:
        with matplotlib.rc_context({"svg.hashsalt": path.stem}), atomic_write(path) as temporary:
            figure.savefig(temporary, dpi=150, metadata={"Date": None})


def _interval_of(table: pd.DataFrame) -> str:
    """The videos and seeds that the intervals of a table are over, in words."""
    n, seeds = int(table["n_val"].iloc[0]), str(table["seeds"].iloc[0]).split()
    over = f"and seeds {', '.join(seeds)}" if len(seeds) > 1 else f"(one seed, {seeds[0]})"
    return f"95 % interval over {n} validation videos {over}"


def _draw_bars(
    axis: "Axes", table: pd.DataFrame, styles: Mapping[str, dict[str, Any]], apart: float
) -> float:
    """A group of bars per row, with values, 95 % intervals and published values if comparable.

    Args:
        axis: to draw on.
        table: with the columns `<name>`, `<name>_ci95`, `<name>_published` and comparable.
        styles: {name: color and label} of the bars of a group.
        apart: distance between them; groups are 1 apart.

    Returns:
        The height of the highest mark.
    """
    tops = []
    for i, (name, style) in enumerate(styles.items()):
        x = np.arange(len(table)) + apart * (i - (len(styles) - 1) / 2)
        values, halves = table[name], table[f"{name}_ci95"]
        line = {"ecolor": "#333333", "capsize": 2, "lw": 1}
        bars = axis.bar(x, values, 0.92 * apart, yerr=halves, error_kw=line, **style)
        axis.bar_label(bars, fmt="%.1f", padding=1, fontsize=8)
        published = table[f"{name}_published"].where(table["comparable"])
        _draw_published(axis, x, published)
        tops += [values + halves, published]
    return float(pd.concat(tops).max())


def _draw_points(axis: "Axes", table: pd.DataFrame, names: Sequence[str], apart: float) -> None:
    """A line of points per row from the top, with 95 % intervals, and with published values.

    Args:
        axis: to draw on.
        table: as for `_draw_bars`, also with the column model; published values may be absent.
        names: of the points of a row.
        apart: distance between them; rows are 1 apart.
    """
    places = np.arange(len(table))[::-1]
    for i, name in enumerate(names):
        y = places + apart * ((len(names) - 1) / 2 - i)
        mark, half = "s" if name == "knn10" else "o", table[f"{name}_ci95"]
        axis.errorbar(table[name], y, xerr=half, fmt=mark, ms=4, lw=1, **STYLES[name])
        if f"{name}_published" in table:
            _draw_published(axis, table[f"{name}_published"].where(table["comparable"]), y)
    axis.set_yticks(places, table["model"], fontsize=8)
    axis.grid(axis="x", color="#e4e4e4")
    axis.set_axisbelow(True)


def _draw_published(axis: "Axes", x: ArrayLike, y: ArrayLike) -> None:
    """Published values as diamonds; NaN where there is none."""
    points = np.column_stack([x, y])  # (models, 2)
    points = points[~np.isnan(points).any(axis=1)]
    if not len(points):
        return
    x, y = points.T
    label = None if "published" in axis.get_legend_handles_labels()[1] else "published"
    axis.scatter(
        x, y, 28, marker="D", facecolor="white", edgecolor=PUBLISHED_COLOUR, zorder=3, label=label
    )


def plot_bars(table: pd.DataFrame, title: str, paths: Sequence[Path]) -> None:
    """Bars of the layers of every model of `vie.reporting.tables.probe_table`."""
    figure, axis = new_figure(max(6.4, 1.6 + 1.8 * len(table)), 4.2)
    top = _draw_bars(axis, table, {layer: STYLES[layer] for layer in LAYERS}, 0.26)
    axis.set_ylim(0, min(100, top * 1.15 + 1))
    axis.set_xticks(range(len(table)), table["model"])
    axis.set_ylabel("validation top-1 accuracy (%)")
    axis.set_title(title, fontsize=11)
    axis.set_xlabel(f"bars: {_interval_of(table)}", fontsize=8)
    axis.legend(frameon=False, ncols=4, loc="upper left", bbox_to_anchor=(0, 1), fontsize=8)
    save(figure, paths)


def plot_points(table: pd.DataFrame, title: str, paths: Sequence[Path]) -> None:
    """Points of the layers and neighbours of `vie.reporting.tables.with_neighbours`."""
    figure, axis = new_figure(7.2, 1.4 + 0.32 * len(table))
    _draw_points(axis, table, (*LAYERS, "knn10"), 0.16)
    axis.set_xlim(0, min(100, axis.get_xlim()[1]))  # an interval over few seeds may reach further
    axis.set_xlabel(f"validation top-1 accuracy (%), {_interval_of(table)}", fontsize=8)
    axis.set_title(title, fontsize=11)
    figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=5)
    save(figure, paths)


def plot_comparison(rows: pd.DataFrame, paths: Sequence[Path]) -> None:
    """Points of the layers of `vie.reporting.tables.compare`, a panel per experiment."""
    from matplotlib.figure import Figure

    panels = list(rows.groupby("experiment", sort=False))
    heights = [len(part) for _, part in panels]
    figure = Figure(figsize=(7.2, 1.4 + sum(0.5 + 0.26 * n for n in heights)), layout="constrained")
    grid = figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)
    for (experiment, part), axis in zip(panels, grid[:, 0], strict=True):
        tables = part["table"].str.removeprefix("table_").str.upper()
        named = part.assign(model=part["model"] + " (Table " + tables + ")")
        _draw_points(axis, named, LAYERS, 0.2)
        first = part.iloc[0]
        title = f"{experiment}: {first['n_val']} validation videos, seeds {first['seeds']}"
        axis.set_title(title, fontsize=10, loc="left")
        axis.spines[["top", "right"]].set_visible(False)
    grid[-1, 0].set_xlim(0, min(100, grid[-1, 0].get_xlim()[1]))
    grid[-1, 0].set_xlabel("validation top-1 accuracy (%), bars: 95 % intervals", fontsize=8)
    handles = grid[0, 0].get_legend_handles_labels()
    figure.legend(*handles, frameon=False, fontsize=8, loc="outside lower center", ncols=3)
    save(figure, paths)


def plot_pretext(table: pd.DataFrame, paths: Sequence[Path]) -> None:
    """A bar per model of `vie.reporting.pretext_table.pretext_table`, and chance as a line."""
    figure, axis = new_figure(max(4.8, 1.6 + 1.5 * len(table)), 4)
    places = np.arange(len(table))
    ends = places - 0.38, places + 0.38
    axis.hlines(
        table["chance"], *ends, color=PUBLISHED_COLOUR, ls="--", lw=1.4, label="chance", zorder=2.5
    )
    styles = {"accuracy": {"color": "#3f77b5", "label": "validation videos"}}
    top = _draw_bars(axis, table, styles, 0.55 / 0.92)
    tasks = table["task"].str.replace("_", " ")
    axis.set_xticks(places, table["model"] + "\n" + tasks, fontsize=9)
    axis.set_ylim(0, min(105, top * 1.2 + 1))
    axis.set_ylabel("right answers (%)")
    axis.set_title("Pretext tasks on videos that were not trained on", fontsize=11)
    axis.set_xlabel(_interval_of(table), fontsize=8)
    axis.legend(frameon=False, fontsize=8, loc="upper left")
    save(figure, paths)


def plot_finetuned(
    table: pd.DataFrame, targets: Sequence[str], title: str, paths: Sequence[Path]
) -> None:
    """Bars of the `targets` of every model of `vie.reporting.finetune_tables.finetuning_table`."""
    figure, axis = new_figure(max(6.4, 1.4 + 1.15 * len(table)), 4.4)
    # An interval over two seeds that differ can be wide; an accuracy is at most 100.
    halves = {
        f"{name}_ci95": np.minimum(table[f"{name}_ci95"], 100 - table[name]) for name in targets
    }
    colours = itertools.cycle(TARGET_COLOURS)
    styles = {target: {"color": next(colours), "label": target} for target in targets}
    top = _draw_bars(axis, table.assign(**halves), styles, 0.8 / len(targets))
    axis.set_ylim(0, top * 1.2 + 1)
    axis.set_xticks(range(len(table)), table["model"], rotation=20, ha="right", fontsize=9)
    axis.set_ylabel("test top-1 accuracy (%)")
    axis.set_title(title, fontsize=11)
    axis.set_xlabel(_note(table, targets), fontsize=8)
    axis.legend(frameon=False, ncols=4, loc="upper left", fontsize=8)
    save(figure, paths)


def _note(table: pd.DataFrame, targets: Sequence[str]) -> str:
    """The videos and seeds that the bars are over, and how models were validated, in words."""
    seeds = str(table["seeds"].iloc[0]).split()
    over = f"seeds {', '.join(seeds)}" if len(seeds) > 1 else f"one seed, {seeds[0]}"
    videos = ", ".join(f"{table[f'{target}_n'].iloc[0]} of {target}" for target in targets)
    kinds = {"held_out": "validated on held-out training videos", "test": "validated on the test"}
    validated = " or ".join(kinds[kind] for kind in str(table["validation"].iloc[0]).split())
    return f"95 % interval over test videos ({videos}; {over})\n{validated}"


def plot_classes(
    classes: pd.DataFrame, confusion: pd.DataFrame, title: str, paths: Sequence[Path]
) -> None:
    """Accuracy of each class, beside the confusion matrix in shares of the true class.

    Both are of `vie.reporting.finetune_tables`: `class_table` and `confusion_table`.
    """
    from matplotlib.figure import Figure

    n = len(classes)
    each = 0.28 if n <= WRITTEN else 0.15
    side = max(3.2, each * n + 1.6)
    figure = Figure(figsize=(side + 4.6, side), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3.2, side), sharey=True)
    places, names = np.arange(n), classes["class"] if n <= NAMED else np.arange(n)
    small = 8 if n <= WRITTEN else 5
    left.barh(places, classes["top1"], 0.75, color=TARGET_COLOURS[0])
    top1, half = classes["top1"], classes["top1_ci95"]
    ends = [np.minimum(half, top1), np.minimum(half, 100 - top1)]  # an accuracy is in 0..100
    left.errorbar(top1, places, xerr=ends, fmt="none", ecolor="#333333", lw=0.8)
    left.set_xlim(0, 105)
    left.set_yticks(places, names, fontsize=small)
    left.set_ylim(n - 0.5, -0.5)
    left.set_xlabel("top-1 accuracy (%)", fontsize=8)
    left.spines[["top", "right"]].set_visible(False)
    counts = confusion.iloc[:, 1:].to_numpy(float)  # (classes, classes)
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = right.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    if n <= WRITTEN:
        for y, x in zip(*counts.nonzero(), strict=True):
            colour = "white" if shares[y, x] > 60 else "black"
            share = f"{shares[y, x]:.0f}"
            right.text(x, y, share, ha="center", va="center", fontsize=7, color=colour)
    right.set_xticks(places, names, rotation=90, fontsize=small)
    right.tick_params(labelleft=False)
    right.set_xlabel("taken for", fontsize=8)
    bar = figure.colorbar(image, ax=right, shrink=0.8)
    bar.set_label("test videos of the class (%)", fontsize=8)
    figure.suptitle(title, fontsize=11)
    save(figure, paths)


def plot_retrieval(table: pd.DataFrame, paths: Sequence[Path]) -> None:
    """R@1 of `vie.reporting.retrieval_table.retrieval_table`, a panel per dataset."""
    from matplotlib.figure import Figure

    panels = list(table.groupby("dataset", sort=False))
    models, layers = table["model"].unique(), table["layer"].unique()
    size = 1.6 + 2.9 * len(panels), 1.7 + 0.34 * len(models)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for (dataset, part), axis in zip(panels, grid, strict=True):
        wide = part.pivot(index="model", columns="layer").reindex(models)
        points = {
            f"{layer}{end}": wide[f"r1{end}", layer] for layer in layers for end in ("", "_ci95")
        }
        _draw_points(axis, pd.DataFrame(points).reset_index(), layers, 0.5 / len(layers))
        first = part.iloc[0]
        axis.axvline(first["chance_r1"], color="#777777", lw=1, ls="--", label="random order")
        axis.set_xlim(0, min(100, axis.get_xlim()[1]))
        axis.set_title(str(dataset), fontsize=10)
        counts = f"{first['n_queries']} test videos among {first['n_gallery']}"
        axis.set_xlabel(f"R@1 (%), {counts}", fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    seeds = str(table["seeds"].iloc[0]).split()
    over = f"and seeds {', '.join(seeds)}" if len(seeds) > 1 else f"(one seed, {seeds[0]})"
    title = "Retrieval: the nearest training video is of the same class\n"
    title += f"95 % interval over test videos {over}"
    figure.suptitle(title, fontsize=10)
    handles = grid[0].get_legend_handles_labels()
    figure.legend(*handles, frameon=False, fontsize=8, loc="outside lower center", ncols=5)
    save(figure, paths)
