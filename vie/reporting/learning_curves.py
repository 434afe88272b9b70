"""Learning curves: what the monitor measures, against epochs."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from vie.config.recipes import family
from vie.objectives.table import BEGUN
from vie.reporting.drawing import (
    HALO,
    draw_ceiling,
    draw_chance,
    finish,
    named,
    new_figure,
    videos_of,
)
from vie.reporting.style import BLACK, DARK, GREY, NETWORK_COLOURS, styled
from vie.runtime.errors import VieError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ["model", "network", "seed", "stage", "epoch", "gained"]
MEASURES = {  # of labelled datasets, of others
    "knn_top1": "right answers of nearest neighbours (%)",
    "same_video_r1": "videos whose clips find each other (%)",
}
TITLES = {
    "knn_top1": "How well do nearest neighbours recognise actions while networks train?",
    "same_video_r1": "How often do clips of a video find each other while networks train?",
}
DASHES = ("-", "--", ":", "-.")  # of networks of one kind in one panel
APART = 0.04  # at least so far apart are the names of lines, as a share of the panel's height
ONE_CURVE = "one seed: another would give other curves"


class End(NamedTuple):
    """Where a line ends, and whose it is."""

    x: float
    y: float
    name: str
    colour: str


def read_curves(files: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Measurements of the monitor, one per row: `COLUMNS`, and a measure (%).

    The measure is the first of `MEASURES` that there is. `gained` are the nats that instance
    recognition had gained by then (`vie.objectives.instance_recognition`), nothing in other stages.

    Args:
        files: to read, each {"path": JSON lines of a stage, "model": label, "network": name,
            "seed", "stage"}, with the stages of a recipe in order.

    Raises:
        VieError: there are none.
    """
    if not files:
        raise VieError(
            "there are no learning curves: no network of tables.table_1 in the config is trained "
            "(of videos without labels: of tables.retrieval)"
        )
    rows = []
    for file in files:
        gained = None
        with Path(file["path"]).open() as lines:
            for row in map(json.loads, lines):
                gained = row.get("gained", gained)
                if MEASURES.keys() & row:
                    rows.append(row | file | {"gained": gained})
    measure = next((name for name in MEASURES if any(name in row for row in rows)), "knn_top1")
    curves = pd.DataFrame(rows, columns=[*COLUMNS, measure])
    curves["gained"] = curves["gained"].astype(float)
    return curves.round({"epoch": 3, "gained": 3, measure: 2})


@styled
def plot_curves(
    curves: pd.DataFrame,
    n: int,
    dataset: str,
    chance: float | None,
    paths: Sequence[Path],
    ceiling: float | None = None,
) -> None:
    """One line per model, the mean over seeds, and one panel per family of networks.

    The range of the seeds is shaded. A network has one colour in all panels. A circle marks where
    another stage begins. Below, where it is known, what instance recognition has gained.

    Args:
        curves: `read_curves`.
        n: validation videos of the dataset.
        dataset: what it is called.
        chance: accuracy of guessing (%), if there are classes.
        paths: to write.
        ceiling: accuracy (%) that no network exceeds that sees frames one by one, where known.
    """
    measure = curves.columns[-1]
    families = _families(curves)
    gained = [bool(rows["gained"].notna().any()) for rows in families.values()]
    epochs = [rows["epoch"].max() for rows in families.values()]
    grid: dict[str, Any] = {"ncols": len(families), "nrows": 1 + any(gained), "sharex": "col"}
    grid |= {"sharey": "row", "width_ratios": [max(one, 0.45 * max(epochs)) for one in epochs]}
    grid |= {"height_ratios": [3, 2][: grid["nrows"]]}
    figure, axes = new_figure(9.6, 6.4 if any(gained) else 4.2, **grid)
    for column, (name, rows) in enumerate(families.items()):
        ends = _draw_family(axes[0, column], rows, measure)
        # A line on the edge is not seen.
        axes[0, column].set_ylim(0, 103 if curves[measure].max() > 80 else None)
        _name_ends(axes[0, column], ends)
        axes[0, column].set_title(name)
        if chance is not None:
            draw_chance(axes[0, column], chance)
            draw_ceiling(axes[0, column], ceiling)
        if gained[column]:
            ends = _draw_family(axes[1, column], rows.dropna(subset="gained"), "gained")
            _name_ends(axes[1, column], ends, APART * 3 / 2)  # by the ratio of heights
            axes[1, column].axhline(BEGUN, color=GREY, lw=1, ls=(0, (1, 3)))
            axes[1, column].set_title("nats that instance recognition gained")
            axes[1, column].tick_params(labelleft=True)
        elif any(gained):
            axes[1, column].set_axis_off()
            axes[0, column].tick_params(labelbottom=True)
        axes[int(gained[column]), column].set_xlabel("epochs")
    axes[0, 0].set_ylabel(MEASURES[measure])
    seeds = [str(seed) for seed in sorted(curves["seed"].unique())]
    notes = videos_of(n, "validation", dataset)
    notes += ", range of the seeds shaded" if len(seeds) > 1 else ""
    if any(gained):
        notes += f". Instance recognition has begun where it gained {BEGUN} nats (dotted, below)"
    finish(figure, TITLES[measure], notes, " ".join(seeds), paths, mark=ONE_CURVE)


def _families(curves: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """{family: its rows}, in the order of the rows."""
    stages = curves.groupby("model", sort=False)["stage"].unique()
    return dict(list(curves.groupby(curves["model"].map(stages.map(family)), sort=False)))


def _draw_family(axis: "Axes", rows: pd.DataFrame, column: str) -> list[End]:
    """Lines of some models in the colours of their networks; where they end."""
    ends = []
    of_colour: Counter[str] = Counter()
    for model, own in rows.groupby("model", sort=False):
        colour = NETWORK_COLOURS.get(own["network"].iloc[0], BLACK)
        dashes = DASHES[of_colour[colour] % len(DASHES)]
        of_colour[colour] += 1
        by_epoch = own.groupby("epoch")[column].agg(["mean", "min", "max"])
        axis.plot(by_epoch.index, by_epoch["mean"], color=colour, ls=dashes)
        shade: dict[str, Any] = {"color": colour, "alpha": 0.15, "lw": 0}
        axis.fill_between(by_epoch.index, by_epoch["min"], by_epoch["max"], **shade)
        for stage, start in own.groupby("stage", sort=False)["epoch"].min().items():
            if start > 0 and column != "gained":
                taken = axis.get_legend_handles_labels()[1]
                label = f"{str(stage).replace('_', ' ')} begins"
                mark: dict[str, Any] = {"mfc": "white", "color": colour, "ms": 6, "mew": 1.4}
                mark["label"] = None if label in taken else label
                axis.plot(start, by_epoch["mean"].get(start), "o", **mark)
        end = by_epoch.index[-1], by_epoch["mean"].iloc[-1]
        ends.append(End(*end, named([model], 40)[0], colour))
    return ends


def _name_ends(axis: "Axes", ends: Sequence[End], apart: float = APART) -> None:
    """Write names beside the ends of lines, at least so many heights of the axis apart."""
    from scipy.optimize import isotonic_regression

    ends = sorted(ends, key=lambda end: end.y)
    (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
    steps = apart * (top - bottom) * np.arange(len(ends))
    heights = isotonic_regression(np.array([end.y for end in ends]) - steps).x + steps
    for (x, y, name, colour), height in zip(ends, heights, strict=True):
        line: dict[str, Any] = {"arrowstyle": "-", "color": colour, "lw": 0.8, "shrinkA": 0}
        style: dict[str, Any] = {
            "fontsize": 7.5,
            "va": "center",
            "color": DARK,
            "bbox": HALO | {"alpha": 0.7},
        }
        place = x + 0.03 * (right - left), height
        axis.annotate(name, (x, y), place, arrowprops=line | {"shrinkB": 0}, **style)
