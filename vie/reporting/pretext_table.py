"""Table and plot of the accuracies of pretext tasks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vie.reporting.plots import PUBLISHED_COLOUR, draw_bars, interval_of, new_figure, save
from vie.reporting.published import comparable_pretext
from vie.reporting.runs import seeds_of
from vie.reporting.statistics import accuracies, percent


def pretext_table(answers: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Accuracies in percent with the half-width of their 95 % interval, one row per model.

    `chance` is the accuracy of guessing.

    Args:
        answers: `vie.reporting.runs.read_runs`, with the share of right answers of each video as
            column `right`.
        published: `read_published_pretext` of the models.
    """
    rows = []
    for model, seeds in answers.groupby("model", sort=False):
        metadata, theirs = seeds["metadata"].tolist(), published.loc[model]
        rows.append(
            {"model": model, "task": metadata[0]["task"]}
            | accuracies({"accuracy": np.stack(seeds["right"].tolist())})
            | {
                "chance": percent(metadata[0]["chance"]),
                "n_val": len(seeds["right"].iloc[0]),
                "clips": metadata[0]["clips"],
                "seeds": seeds_of(seeds),
                "accuracy_published": theirs["value"],
                "comparable": all(
                    comparable_pretext(one, model, theirs["dataset"]) for one in metadata
                ),
            }
        )
    return pd.DataFrame(rows)


def pretext_seeds(answers: pd.DataFrame) -> pd.DataFrame:
    """Accuracies in percent with their standard error over videos, one row per model and seed."""
    return pd.DataFrame(
        [
            {
                "model": run.model,
                "seed": run.seed,
                "accuracy": percent(run.right),
                "standard_error": percent(run.right.std(ddof=1) / np.sqrt(len(run.right))),
                "chance": percent(run.metadata["chance"]),
                "n_val": len(run.right),
            }
            for run in answers.itertuples()
        ]
    )


def plot_pretext(table: pd.DataFrame, paths: Sequence[Path]) -> None:
    """A bar per model of `pretext_table` with its 95 % interval, and chance as a line."""
    figure, axis = new_figure(max(4.8, 1.6 + 1.5 * len(table)), 4)
    places = np.arange(len(table))
    ends = places - 0.38, places + 0.38
    axis.hlines(
        table["chance"], *ends, color=PUBLISHED_COLOUR, ls="--", lw=1.4, label="chance", zorder=2.5
    )
    style = {"color": "#3f77b5", "label": "validation videos"}
    top = draw_bars(axis, table, "accuracy", places, 0.55, **style)
    tasks = table["task"].str.replace("_", " ")
    axis.set_xticks(places, table["model"] + "\n" + tasks, fontsize=9)
    axis.set_ylim(0, min(105, top * 1.2 + 1))
    axis.set_ylabel("right answers (%)")
    axis.set_title("Pretext tasks on videos that were not trained on", fontsize=11)
    axis.set_xlabel(interval_of(table), fontsize=8)
    axis.legend(frameon=False, fontsize=8, loc="upper left")
    save(figure, paths)
