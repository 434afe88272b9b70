"""Plot of ablations: how far each changed network is from the full model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vie.reporting.drawing import save

LAYER, SHOWN = "conv5", "Conv5"  # the last layer, chosen before any result is seen
COLOURS = {"lower": "#c23b22", "no clear difference": "#8a8a8a", "higher": "#2f7d4f"}


def plot_ablations(table: pd.DataFrame, paths: Sequence[Path]) -> None:
    """Differences at Conv5 of `vie.reporting.ablation_table.ablation_table`, each full model apart.

    Args:
        table: rows of one dataset.
        paths: whose suffixes are the formats.
    """
    from matplotlib.figure import Figure

    # The first row of a panel is the full model.
    panels = [(of, part.iloc[0], part.iloc[1:]) for of, part in table.groupby("of", sort=False)]
    heights = [len(part) + 0.6 for *_, part in panels]
    one_seed = len(str(table["seeds"].iloc[0]).split()) == 1  # marked: its points are hollow
    figure = Figure(figsize=(7.2, 1.9 + 0.34 * sum(heights)), layout="constrained")
    grid = figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for (of, full, part), axis in zip(panels, grid, strict=True):
        places = np.arange(len(part))[::-1]
        gain, half = part[f"{LAYER}_difference"], part[f"{LAYER}_difference_ci95"]
        kinds = np.select([gain + half < 0, gain - half > 0], ["lower", "higher"], [*COLOURS][1])
        for kind, colour in COLOURS.items():
            mine = kinds == kind
            style = {"color": colour, "fmt": "o", "ms": 5, "lw": 1.6, "label": kind}
            style["mfc"] = "white" if one_seed else colour
            axis.errorbar(gain[mine], places[mine], xerr=half[mine], **style)
        for place, value in zip(places, gain, strict=True):
            axis.annotate(
                f"{value:+.1f}",
                (value, place),
                (0, 5),
                textcoords="offset points",
                ha="center",
                fontsize=7,
            )
        axis.axvline(0, color="#333333", lw=1)
        axis.set_yticks(places, part["model"], fontsize=8)
        axis.set_ylim(-0.7, len(part) - 0.2)
        axis.grid(axis="x", color="#e4e4e4")
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_title(f"0 = full model, {of}: {full[LAYER]:.1f} %", fontsize=9)
    first = table.iloc[0]
    widest = max(abs(x) for x in grid[-1].get_xlim())
    grid[-1].set_xlim(-widest, widest)
    arrows = "\N{LEFTWARDS ARROW} worse        ", "        better \N{RIGHTWARDS ARROW}"
    axis_label = "difference in points of top-1 accuracy".join(arrows)
    grid[-1].set_xlabel(axis_label, fontsize=8)
    figure.suptitle(
        f"Ablations ({first['dataset']}): what one change does to the full model\n"
        f"accuracy of a linear probe on {SHOWN}",
        fontsize=11,
    )
    figure.legend(
        *grid[0].get_legend_handles_labels(),
        title=_basis(first),
        title_fontsize=8,
        frameon=False,
        fontsize=8,
        loc="outside lower center",
        ncols=3,
    )
    save(figure, paths)


def _basis(row: pd.Series) -> str:
    """What the intervals are over, in words."""
    seeds = str(row["seeds"]).split()
    tested = f"{row['n_val']} validation videos; chance is {row['chance']:.1f} %"
    if len(seeds) > 1:
        return f"95 % intervals over videos and seeds {', '.join(seeds)}. {tested}"
    return f"ONE SEED ({seeds[0]}; hollow): the 95 % intervals cover videos only. {tested}"
