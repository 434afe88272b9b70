"""Learning curves: what the monitor measures, against epochs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vie.reporting.drawing import draw_chance, finish, named, new_figure, videos_of
from vie.runtime.errors import VieError

COLUMNS = ["model", "seed", "stage", "epoch"]
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
    """Measurements of the monitor, one per row: model, seed, stage, epoch, and a measure (%).

    The measure is the first of `MEASURES` that there is.

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
        with Path(file["path"]).open() as lines:
            rows += [row | file for row in map(json.loads, lines) if MEASURES.keys() & row]
    measure = next((name for name in MEASURES if any(name in row for row in rows)), "knn_top1")
    return pd.DataFrame(rows, columns=[*COLUMNS, measure]).round({"epoch": 3, measure: 2})


def plot_curves(
    curves: pd.DataFrame, n: int, dataset: str, chance: float | None, paths: Sequence[Path]
) -> None:
    """One line per model: the mean over seeds. The range of the seeds is shaded.

    A dot marks the beginning of each stage.

    Args:
        curves: `read_curves`.
        n: validation videos of the dataset.
        dataset: what it is called.
        chance: accuracy of guessing (%), if there are classes.
        paths: to write.
    """
    from cycler import cycler
    from matplotlib import color_sequences

    measure = curves.columns[-1]
    figure, [[axis]] = new_figure(7.6, 4.2)
    # Ten colours, and another dash for every ten models.
    styles = cycler(linestyle=["-", "--", ":"]) * cycler(color=color_sequences["tab10"])
    axis.set_prop_cycle(styles)
    for model, rows in curves.groupby("model", sort=False):
        by_epoch = rows.groupby("epoch")[measure].agg(["mean", "min", "max"])
        (line,) = axis.plot(by_epoch.index, by_epoch["mean"], label=named([model])[0], lw=1.6)
        axis.fill_between(
            by_epoch.index, by_epoch["min"], by_epoch["max"], color=line.get_color(), alpha=0.15
        )
        starts = rows.groupby("stage", sort=False)["epoch"].min()
        axis.plot(starts, by_epoch["mean"].reindex(starts), "o", ms=4, color=line.get_color())
    if chance is not None:
        draw_chance(axis, chance)
    seeds = [str(seed) for seed in sorted(curves["seed"].unique())]
    axis.set_xlabel("epochs")
    axis.set_ylabel(MEASURES[measure])
    # A line on the edge is not seen.
    axis.set_ylim(0, 103 if curves[measure].max() > 80 else None)
    notes = f"Dots: a stage begins. {videos_of(n, 'validation', dataset)}"
    notes += ", range of the seeds shaded" if len(seeds) > 1 else ""
    finish(figure, TITLES[measure], notes, " ".join(seeds), paths, legend=axis, mark=ONE_CURVE)
