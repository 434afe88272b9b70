"""Plot of ablations: how far each changed network is from the full model."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vie.reporting.drawing import FIRM, HALO, finish, named, new_figure, videos_of
from vie.reporting.style import BAD, DARK, GOOD, NEITHER, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LAYER, SHOWN = "conv5", "Conv5"  # the last layer, chosen before any result is seen
# Of differences whose intervals are below 0, contain it, and are above it.
COLOURS = {"lower": BAD, "no clear difference": NEITHER, "higher": GOOD}


@styled
def plot_ablations(table: pd.DataFrame, paths: Sequence[Path]) -> None:
    """Differences at Conv5 of `vie.reporting.ablation_table.ablation_table`, each full model apart.

    Args:
        table: rows of one dataset.
        paths: to write; their suffixes are the formats.
    """
    # The first row of a panel is the full model.
    panels = [(of, part.iloc[0], part.iloc[1:]) for of, part in table.groupby("of", sort=False)]
    heights = [len(part) + 0.6 for *_, part in panels]
    grid = {"nrows": len(panels), "sharex": True, "height_ratios": heights}
    figure, axes = new_figure(7.6, 0.5 + 0.34 * sum(heights), **grid)
    for (of, full, part), axis in zip(panels, axes[:, 0], strict=True):
        _draw(axis, part)
        axis.set_title(f"0 = full model, {named([of])[0]}: {full[LAYER]:.1f} %")
    last, first = axes[-1, 0], table.iloc[0]
    widest = max(abs(x) for x in last.get_xlim())
    last.set_xlim(-widest, widest)
    arrows = f"\N{LEFTWARDS ARROW} worse{8 * FIRM}", f"{8 * FIRM}better \N{RIGHTWARDS ARROW}"
    last.set_xlabel(f"difference in right answers on {SHOWN} (points)".join(arrows))
    title = "Ablations: what does one change do to the full model?"
    videos = videos_of(int(first["n_val"]), "validation", first["dataset"])
    notes = f"Lines: 95 % intervals, {videos}; chance is {first['chance']:.1f} %"
    finish(figure, title, notes, str(first["seeds"]), paths)


def _draw(axis: "Axes", part: pd.DataFrame) -> None:
    """Ablations of one full model, from the top."""
    places = np.arange(len(part))
    gain, half = part[f"{LAYER}_difference"], part[f"{LAYER}_difference_ci95"]
    kinds = np.select([gain + half < 0, gain - half > 0], ["lower", "higher"], [*COLOURS][1])
    for kind, colour in COLOURS.items():
        own = kinds == kind
        style: dict[str, Any] = {"color": colour, "fmt": "o", "ms": 5, "lw": 1.6, "label": kind}
        axis.errorbar(gain[own], places[own], xerr=half[own], **style)
    above: dict[str, Any] = {"xytext": (0, 5), "textcoords": "offset points"}
    above |= {"ha": "center", "fontsize": 7, "zorder": 4, "bbox": HALO}
    for place, value in zip(places, gain, strict=True):
        axis.annotate(f"{value:+.1f}", (value, place), **above)
    axis.axvline(0, color=DARK, lw=1)
    axis.set_yticks(places, named(part["model"]))
    axis.set_ylim(len(part) - 0.3, -0.8)
    axis.grid(axis="x")
