"""Plots of Tables 2 and 3. matplotlib is imported when a plot is drawn."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vie.reporting.plots import draw_bars, new_figure, save

COLOURS = ("#3f77b5", "#e0923b", "#5b9a54", "#8a6bb0")
NAMED = 60  # at most so many classes have readable names in one plot
WRITTEN = 20  # at most so many classes have readable numbers in one plot


def plot_finetuned(
    table: pd.DataFrame, targets: Sequence[str], title: str, paths: Sequence[Path]
) -> None:
    """Bars of the `targets` of every model of `vie.reporting.finetune_tables.finetuning_table`."""
    figure, axis = new_figure(max(6.4, 1.4 + 1.15 * len(table)), 4.4)
    places, width = np.arange(len(table)), 0.8 / len(targets)
    tops = []
    for i, target in enumerate(targets):
        # An interval over two seeds that differ can be wide; an accuracy is at most 100.
        half = np.minimum(table[f"{target}_ci95"], 100 - table[target])
        clipped = table.assign(**{f"{target}_ci95": half})
        x = places + (i - (len(targets) - 1) / 2) * width
        style = {"color": COLOURS[i % len(COLOURS)], "label": target}
        tops.append(draw_bars(axis, clipped, target, x, 0.92 * width, **style))
    axis.set_ylim(0, max(tops) * 1.2 + 1)
    axis.set_xticks(places, table["model"], rotation=20, ha="right", fontsize=9)
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

    Args:
        classes: `vie.reporting.finetune_tables.class_table`.
        confusion: `vie.reporting.finetune_tables.confusion_table`.
        title, paths: as for every plot.
    """
    from matplotlib.figure import Figure

    n = len(classes)
    each = 0.28 if n <= 20 else 0.15
    side = max(3.2, each * n + 1.6)
    figure = Figure(figsize=(side + 4.6, side), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3.2, side), sharey=True)
    places, names = np.arange(n), classes["class"] if n <= NAMED else np.arange(n)
    small = 8 if n <= 20 else 5
    left.barh(places, classes["top1"], 0.75, color=COLOURS[0])
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
