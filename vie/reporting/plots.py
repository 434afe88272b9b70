"""Plots of tables; matplotlib is imported when one is drawn."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vie.files import whole

COLOURS = ("#88b0d8", "#3f77b5", "#173f6f")  # light to dark with depth
LAYERS = ("conv3", "conv4", "conv5")


def plot_table(table: pd.DataFrame, title: str, paths: Sequence[Path]) -> None:
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
        axis.errorbar(
            x, table[layer], table[f"{layer}_ci95"], fmt="none", ecolor="#333333", capsize=2, lw=1
        )
        for place, value, half in zip(x, table[layer], table[f"{layer}_ci95"], strict=True):
            axis.annotate(
                f"{value:.1f}",
                (place, value + half),
                (0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=8,
            )
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
    top = max(float((table[layer] + table[f"{layer}_ci95"]).max()) for layer in LAYERS)
    axis.set_ylim(0, min(100, top * 1.15 + 1))
    axis.set_xticks(places, table["model"])
    axis.set_ylabel("validation top-1 accuracy (%)")
    n, seeds = int(table["n_val"].iloc[0]), table["seeds"].iloc[0]
    axis.set_title(title, fontsize=11)
    axis.set_xlabel(
        f"bars: 95 % interval over {n} validation videos and the seeds ({seeds})", fontsize=8
    )
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, ncols=4, loc="upper left", bbox_to_anchor=(0, 1), fontsize=8)
    save(figure, paths)


def save(figure, paths: Sequence[Path]) -> None:
    """Write a figure to each path, whole, the same bytes for the same plot."""
    import matplotlib

    for path in paths:
        kind = path.suffix[1:]
        metadata = {"svg": {"Date": None}}.get(kind)
        with matplotlib.rc_context({"svg.hashsalt": path.stem}), whole(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=150, metadata=metadata)
