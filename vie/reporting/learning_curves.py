"""Learning curves: what the monitor measures, against epochs."""

import json
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from vie.objectives.table import BEGUN
from vie.reporting.drawing import GREY, draw_chance, finish, named, new_figure, videos_of
from vie.runtime.errors import VieError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ["model", "seed", "stage", "epoch", "gained"]
MEASURES = {  # of labelled datasets, of others
    "knn_top1": "right answers of nearest neighbours (%)",
    "same_video_r1": "videos whose clips find each other (%)",
}
TITLES = {
    "knn_top1": "How well do nearest neighbours recognise actions while networks train?",
    "same_video_r1": "How often do clips of a video find each other while networks train?",
}
ONE_CURVE = "one seed: another would give other curves"


def read_curves(files: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Measurements of the monitor, one per row: model, seed, stage, epoch, gained, a measure (%).

    The measure is the first of `MEASURES` that there is. `gained` are the nats that instance
    recognition had gained by then (`vie.objectives.instance_recognition`), nothing in other stages.

    Args:
        files: to read, each {"path": JSON lines of a stage, "model": label, "seed", "stage"}, with
            the stages of a recipe in order.

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


def plot_curves(
    curves: pd.DataFrame, n: int, dataset: str, chance: float | None, paths: Sequence[Path]
) -> None:
    """One line per model: the mean over seeds. The range of the seeds is shaded.

    A dot marks the beginning of each stage. Below, where it is known, what instance recognition has
    gained.

    Args:
        curves: `read_curves`.
        n: validation videos of the dataset.
        dataset: what it is called.
        chance: accuracy of guessing (%), if there are classes.
        paths: to write.
    """
    from cycler import cycler
    from matplotlib import color_sequences

    measure, recognition = curves.columns[-1], bool(curves["gained"].notna().any())
    grid: dict[str, Any] = {"nrows": 2, "sharex": True, "height_ratios": [3, 2]}
    figure, axes = new_figure(7.6, 6.2 if recognition else 4.2, **(grid if recognition else {}))
    axis, below = axes[0, 0], axes[-1, 0]
    # Ten colours, and another dash for every ten models.
    styles = cycler(linestyle=["-", "--", ":"]) * cycler(color=color_sequences["tab10"])
    for (model, rows), style in zip(curves.groupby("model", sort=False), cycle(styles)):
        means = _draw(axis, rows, measure, style | {"label": named([model])[0]})
        starts = rows.groupby("stage", sort=False)["epoch"].min()
        axis.plot(starts, means.reindex(starts), "o", ms=4, color=style["color"])
        if recognition:
            _draw(below, rows.dropna(subset="gained"), "gained", style)
    if recognition:
        below.axhline(BEGUN, color=GREY, lw=1, ls="--")
        below.set_ylabel("nats gained")
    if chance is not None:
        draw_chance(axis, chance)
    seeds = [str(seed) for seed in sorted(curves["seed"].unique())]
    below.set_xlabel("epochs")
    axis.set_ylabel(MEASURES[measure])
    # A line on the edge is not seen.
    axis.set_ylim(0, 103 if curves[measure].max() > 80 else None)
    notes = f"Dots: a stage begins. {videos_of(n, 'validation', dataset)}"
    notes += ", range of the seeds shaded" if len(seeds) > 1 else ""
    if recognition:
        notes += f". Instance recognition has begun where it gained {BEGUN} nats (dashed)"
    finish(figure, TITLES[measure], notes, " ".join(seeds), paths, legend=axis, mark=ONE_CURVE)


def _draw(axis: "Axes", rows: pd.DataFrame, column: str, style: dict[str, Any]) -> pd.Series:
    """The mean over seeds of a model's column, by epoch, and the range of the seeds."""
    by_epoch = rows.groupby("epoch")[column].agg(["mean", "min", "max"])
    axis.plot(by_epoch.index, by_epoch["mean"], lw=1.6, **style)
    shade = {"color": style["color"], "alpha": 0.15}
    axis.fill_between(by_epoch.index, by_epoch["min"], by_epoch["max"], **shade)
    return by_epoch["mean"]
