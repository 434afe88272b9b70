"""Learning curves: what the monitor measures, against epochs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from vie.reporting.plots import new_figure, save
from vie.runtime.errors import VieError

COLUMNS = ["model", "seed", "stage", "epoch"]
MEASURES = {  # of labelled datasets, of others
    "knn_top1": "nearest-neighbour top-1 accuracy (%)",
    "same_video_r1": "videos whose clips find each other (%)",
}


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


def plot_curves(curves: pd.DataFrame, paths: Sequence[Path]) -> None:
    """One line per model: the mean over seeds. The range of the seeds is shaded.

    A dot marks the beginning of each stage.
    """
    from cycler import cycler
    from matplotlib import color_sequences

    measure = curves.columns[-1]
    figure, axis = new_figure(7.2, 4.6)
    # Ten colours, and another dash for every ten models.
    styles = cycler(linestyle=["-", "--", ":"]) * cycler(color=color_sequences["tab10"])
    axis.set_prop_cycle(styles)
    for model, rows in curves.groupby("model", sort=False):
        by_epoch = rows.groupby("epoch")[measure].agg(["mean", "min", "max"])
        (line,) = axis.plot(by_epoch.index, by_epoch["mean"], label=model, lw=1.6)
        axis.fill_between(
            by_epoch.index, by_epoch["min"], by_epoch["max"], color=line.get_color(), alpha=0.15
        )
        starts = rows.groupby("stage", sort=False)["epoch"].min()
        axis.plot(starts, by_epoch["mean"].reindex(starts), "o", ms=4, color=line.get_color())
    numbers = [str(seed) for seed in sorted(curves["seed"].unique())]
    seeds = f"seed {numbers[0]}"
    if len(numbers) > 1:
        seeds = f"seeds {' '.join(numbers)}, their range shaded"
    axis.set_xlabel("epochs")
    axis.set_ylabel(MEASURES[measure])
    axis.set_title(
        f"While networks train (dots: a stage begins; {seeds})",
        fontsize=10,
    )
    axis.set_ylim(0, 103 if curves[measure].max() > 80 else None)  # a line on the edge is not seen
    axis.legend(frameon=False, fontsize=8, ncols=2)
    save(figure, paths)
