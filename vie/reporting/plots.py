"""Plots of tables. `plot_*` write one plot to all `paths`, whose suffixes are the formats.

Rows of a table are of one dataset and the same seeds, if nothing else is said.
"""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from vie.config.settings import LAYERS
from vie.reporting.drawing import (
    ONE_SEED,
    draw_bars,
    draw_ceiling,
    draw_chance,
    draw_groups,
    draw_mark,
    draw_points,
    finish,
    named,
    new_figure,
    places,
    videos_of,
)
from vie.reporting.style import BLUE, DARK, GREY, PALETTE, STYLES, styled

NAMED = 60  # at most so many classes have readable names in one plot
WRITTEN = 20  # at most so many classes have readable numbers in one plot
RIGHT = "right answers (%)"
SPELT = {"scale_crop": "scale-crop", "color_jitter": "colour-jitter"}  # pipelines


class Target(NamedTuple):
    """What a column of Tables 2 and 3 is called in plots, and the accuracy of guessing (%).

    `ceiling` is the accuracy (%) that no network exceeds that sees frames one by one, if known.
    """

    title: str
    chance: float
    ceiling: float | None = None


def _of_table(table: pd.DataFrame, of: str = "videos") -> tuple[str, str]:
    """What the intervals of a table are over, in words, and its seeds."""
    first = table.iloc[0]
    videos = videos_of(int(first["n_val"]), "validation", first["dataset"], of)
    return f"Lines: 95 % intervals, {videos}", str(first["seeds"])


@styled
def plot_bars(
    table: pd.DataFrame,
    control: pd.DataFrame | None,
    title: str,
    paths: Sequence[Path],
    ceiling: float | None = None,
) -> None:
    """Bars of the layers of every model of `vie.reporting.tables.probe_table`.

    Args:
        control: the same rows of untrained networks, drawn inside these bars.
        title, paths: of the plot.
        ceiling: accuracy (%) that no network exceeds that sees frames one by one, where known.
    """
    figure, [[axis]] = new_figure(max(6.8, 1.6 + 1.8 * len(table)), 3.7)
    top = draw_bars(axis, table, {layer: STYLES[layer] for layer in LAYERS}, 0.28)
    for i, layer in enumerate(LAYERS if control is not None else ()):
        assert control is not None
        label = None if i else "the same network, never trained"
        style = {"color": "#ffffff", "edgecolor": "#555555", "hatch": "////", "lw": 0.8}
        at = places(len(table), i, len(LAYERS), 0.28)
        line = {"ecolor": "#555555", "lw": 0.8}
        axis.bar(
            at,
            control[layer],
            0.16,
            yerr=control[f"{layer}_ci95"],
            error_kw=line,
            label=label,
            **style,
        )
        top = max(top, float((control[layer] + control[f"{layer}_ci95"]).max()))
    draw_chance(axis, table["chance"].iloc[0])
    draw_ceiling(axis, ceiling)
    axis.set_ylim(0, min(100, max(top, ceiling or 0) * 1.12 + 1))
    lines = [name.replace(" (", "\n(") for name in named(table["model"])]
    axis.set_xticks(range(len(table)), lines)
    axis.set_ylabel(RIGHT)
    finish(figure, title, *_of_table(table), paths)


@styled
def plot_points(
    table: pd.DataFrame,
    title: str,
    paths: Sequence[Path],
    of: str = "videos",
    ceiling: float | None = None,
) -> None:
    """Points of the layers and neighbours of `vie.reporting.tables.with_neighbours`.

    `of` says what is recognised: videos or images. `ceiling` as in `plot_bars`.
    """
    figure, [[axis]] = new_figure(7.6, 0.6 + 0.3 * len(table))
    draw_points(axis, table, (*LAYERS, "knn10"), 0.17)
    draw_groups(axis, table["group"].tolist())
    draw_chance(axis, table["chance"].iloc[0], upright=True)
    draw_ceiling(axis, ceiling, upright=True)
    axis.set_xlim(0, min(100, axis.get_xlim()[1]))  # an interval over few seeds may reach further
    axis.set_xlabel(RIGHT)
    mark = ONE_SEED.replace("videos", of)
    finish(figure, title, *_of_table(table, of), paths, mark=mark)


@styled
def plot_comparison(rows: pd.DataFrame, paths: Sequence[Path]) -> None:
    """Points of the layers of `vie.reporting.tables.compare`, a panel per experiment."""
    panels = list(rows.groupby("experiment", sort=False))
    heights = [len(part) for _, part in panels]
    grid = {"nrows": len(panels), "sharex": True, "height_ratios": heights}
    figure, axes = new_figure(9.2, 0.3 + sum(0.5 + 0.28 * n for n in heights), **grid)
    for (experiment, part), axis in zip(panels, axes[:, 0], strict=True):
        tables = part["table"].str.removeprefix("table_").str.upper()
        rows_of = part.assign(model=part["model"] + " (Table " + tables + ")").reset_index()
        draw_points(axis, rows_of, LAYERS, 0.2)
        first = part.iloc[0]
        draw_chance(axis, first["chance"], upright=True, label="chance")
        videos = videos_of(first["n_val"], "validation", first["dataset"])
        seeds = str(first["seeds"]).split()
        if len(seeds) == 1:
            draw_mark(axis)
        words = f"{experiment}: {videos}, seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}"
        axis.set_title(*named([words], 120), loc="left")
    axes[-1, 0].set_xlim(0, min(100, axes[-1, 0].get_xlim()[1]))
    axes[-1, 0].set_xlabel(RIGHT)
    notes = "Lines: 95 % intervals. Compare experiments only where their videos are the same."
    title = "Linear classifiers on frozen networks, in every experiment"
    finish(figure, title, notes, "", paths)


@styled
def plot_pretext(table: pd.DataFrame, paths: Sequence[Path]) -> None:
    """A bar per model of `vie.reporting.pretext_table.pretext_table`, and chance as a line."""
    figure, [[axis]] = new_figure(max(5.4, 1.6 + 1.5 * len(table)), 3.4)
    at = np.arange(len(table))
    style = {"color": GREY, "ls": "--", "lw": 1.4, "label": "chance", "zorder": 2.5}
    axis.hlines(table["chance"], at - 0.38, at + 0.38, **style)
    styles = {"accuracy": {"color": BLUE, "label": "videos that were not trained on"}}
    top = draw_bars(axis, table, styles, 0.55 / 0.92)
    tasks = table["task"].str.replace("_", " ")
    lines = map("\n".join, zip(named(table["model"], 40), tasks, strict=True))
    axis.set_xticks(at, [*lines])
    axis.set_ylim(0, min(105, top * 1.15 + 1))
    axis.set_ylabel(RIGHT)
    title = "How well do the baselines solve the task they are trained on?"
    finish(figure, title, *_of_table(table), paths)


@styled
def plot_finetuned(
    table: pd.DataFrame,
    targets: Mapping[str, Target],
    groups: Sequence[str],
    title: str,
    paths: Sequence[Path],
) -> None:
    """Points of the `targets` of every model of `vie.reporting.finetune_tables.finetuning_table`.

    Args:
        targets: {column: what it is of}.
        groups: of each row, in words: how its network came about.
        title, paths: of the plot.
    """
    figure, [[axis]] = new_figure(7.6, 0.6 + 0.3 * len(table))
    colours = itertools.cycle(PALETTE)
    styles = {
        name: {"color": next(colours), "label": named([one.title])[0]}
        for name, one in targets.items()
    }
    draw_points(axis, table, list(targets), 0.6 / len(targets), styles)
    for name, one in targets.items():
        label = f"chance, {one.title} ({one.chance:.1f} %)"
        axis.axvline(one.chance, color=styles[name]["color"], ls="--", lw=1, label=label)
    for ceiling in sorted({one.ceiling for one in targets.values() if one.ceiling}):
        draw_ceiling(axis, ceiling, upright=True)
    draw_groups(axis, groups)
    axis.set_xlim(0, min(100, axis.get_xlim()[1]))  # an interval over few seeds may reach further
    axis.set_xlabel(RIGHT)
    videos = [
        videos_of(table[f"{name}_n"].iloc[0], "test", targets[name].title) for name in targets
    ]
    kinds = {"held_out": "held-out training videos", "test": "the test videos"}
    chosen = " or ".join(kinds[kind] for kind in str(table["validation"].iloc[0]).split())
    notes = f"Lines: 95 % intervals, {' and '.join(videos)}; best epoch chosen on {chosen}"
    finish(figure, title, notes, str(table["seeds"].iloc[0]), paths)


@styled
def plot_classes(
    classes: pd.DataFrame,
    confusion: pd.DataFrame,
    target: Target,
    title: str,
    paths: Sequence[Path],
) -> None:
    """Accuracy of each class, beside the confusion matrix in shares of the true class.

    Both are of `vie.reporting.finetune_tables`: `class_table` and `confusion_table`.
    """
    n = len(classes)
    side = max(3.2, (0.28 if n <= WRITTEN else 0.15) * n + 1.6)
    grid = {"ncols": 2, "width_ratios": (3.2, side), "sharey": True}
    figure, [[left, right]] = new_figure(side + 4.6, side, **grid)
    at, names = np.arange(n), named(classes["class"], 40) if n <= NAMED else np.arange(n)
    small = 8 if n <= WRITTEN else 5
    left.barh(at, classes["top1"], 0.75, color=BLUE)
    top1, half = classes["top1"], classes["top1_ci95"]
    ends = [np.minimum(half, top1), np.minimum(half, 100 - top1)]  # an accuracy is in 0..100
    left.errorbar(top1, at, xerr=ends, fmt="none", ecolor=DARK, lw=0.8)
    draw_chance(left, target.chance, upright=True)
    draw_ceiling(left, target.ceiling, upright=True)
    left.set_xlim(0, 105)
    left.set_yticks(at, names, fontsize=small)
    left.set_ylim(n - 0.5, -0.5)
    left.set_ylabel("true class")
    left.set_xlabel(RIGHT)
    counts = confusion.iloc[:, 1:].to_numpy(float)  # (classes, classes)
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    image = right.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    if n <= WRITTEN:
        for y, x in zip(*counts.nonzero(), strict=True):
            colour = "white" if shares[y, x] > 60 else "black"
            share = f"{shares[y, x]:.0f}"
            right.text(x, y, share, ha="center", va="center", fontsize=7, color=colour)
    right.set_xticks(at, names, rotation=90, fontsize=small)
    right.tick_params(labelleft=False)
    right.set_xlabel("was taken for")
    bar = figure.colorbar(image, ax=right, shrink=0.8)
    bar.set_label("test videos of the true class (%)")
    videos = videos_of(int(classes["n"].sum()), "test", target.title)
    notes = f"Lines: 95 % intervals, {videos}; these videos also chose the network"
    finish(figure, title, notes, str(classes["seeds"].iloc[0]), paths)


@styled
def plot_retrieval(
    table: pd.DataFrame,
    titles: Mapping[str, str],
    paths: Sequence[Path],
    ceilings: Mapping[str, float | None] | None = None,
) -> None:
    """R@1 of `vie.reporting.retrieval_table.retrieval_table`, a panel per dataset.

    Args:
        titles: {dataset: what it is called}.
        paths: to write.
        ceilings: {dataset: as in `plot_bars`}.
    """
    panels = list(table.groupby("dataset", sort=False))
    models, layers = table["model"].unique(), table["layer"].unique()
    size = 1.8 + 2.9 * len(panels), 0.9 + 0.34 * len(models)
    figure, [grid] = new_figure(*size, ncols=len(panels), sharey=True)
    for (dataset, part), axis in zip(panels, grid, strict=True):
        wide = part.pivot(index="model", columns="layer").reindex(models)
        points = {
            f"{layer}{end}": wide[f"r1{end}", layer] for layer in layers for end in ("", "_ci95")
        }
        draw_points(axis, pd.DataFrame(points).reset_index(), layers, 0.5 / len(layers))
        first = part.iloc[0]
        draw_chance(axis, first["chance_r1"], upright=True, label="chance (random order)")
        draw_ceiling(axis, (ceilings or {}).get(str(dataset)), upright=True)
        axis.set_xlim(0, min(100, axis.get_xlim()[1]))
        axis.set_title(*named([titles[str(dataset)]]))
        counts = f"{first['n_queries']} test videos, {first['n_gallery']} to search among"
        axis.set_xlabel(f"{RIGHT}\n{counts}")
    title = "How often is the nearest training video of the same class?"
    notes = "Lines: 95 % intervals over the test videos"
    finish(figure, title, notes, str(table["seeds"].iloc[0]), paths)
