"""Table and plot of the accuracies of pretext tasks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vie.reporting.plots import (
    PUBLISHED_COLOUR,
    interval_of,
    mark_intervals,
    mark_published,
    new_figure,
    save,
)
from vie.reporting.published import comparable_pretext
from vie.reporting.statistics import interval
from vie.reporting.tables import read_metadata
from vie.runtime.errors import VieError


def read_answers(files: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Shares of right answers, one row per model and seed.

    Args:
        files: what to read, each {"model": label, "answers": Parquet, "metadata": JSON}.

    Returns:
        Columns model, seed, videos (list), right (array of the same length), metadata (dict).
    """
    rows = []
    for file in files:
        answers, metadata = pd.read_parquet(file["answers"]), read_metadata(file["metadata"])
        rows.append(
            {
                "model": file["model"],
                "seed": metadata["seed"],
                "videos": answers["video"].tolist(),
                "right": answers["right"].to_numpy(float),
                "metadata": metadata,
            }
        )
    return pd.DataFrame(rows)


def pretext_table(answers: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Accuracies in percent with the half-width of their 95 % interval, one row per model.

    `chance` is the accuracy of guessing; the interval is `vie.reporting.statistics.interval`'s.

    Args:
        answers: `read_answers`.
        published: `read_published_pretext` of the models.

    Raises:
        VieError: the seeds of a model were asked about different videos.
    """
    rows = []
    for model, seeds in answers.groupby("model", sort=False):
        if any(videos != seeds["videos"].iloc[0] for videos in seeds["videos"]):
            raise VieError(
                f"the seeds of {model} were asked about different videos; delete their answers to "
                "have them made again"
            )
        metadata = seeds["metadata"].tolist()
        mean, half = interval(np.stack(seeds["right"].tolist()))
        value, dataset = published.loc[model, "value"], published.loc[model, "dataset"]
        rows.append(
            {
                "model": model,
                "task": metadata[0]["task"],
                "accuracy": round(100 * mean, 2),
                "accuracy_ci95": round(100 * half, 2),
                "chance": round(100 * metadata[0]["chance"], 2),
                "n_val": len(seeds["videos"].iloc[0]),
                "clips": metadata[0]["clips"],
                "seeds": " ".join(map(str, seeds["seed"])),
                "accuracy_published": value,
                "comparable": all(comparable_pretext(one, model, dataset) for one in metadata),
            }
        )
    return pd.DataFrame(rows)


def pretext_seeds(answers: pd.DataFrame) -> pd.DataFrame:
    """Accuracies in percent with their standard error over videos, one row per model and seed."""
    return pd.DataFrame(
        [
            {
                "model": row.model,
                "seed": row.seed,
                "accuracy": round(100 * float(row.right.mean()), 2),
                "standard_error": round(
                    100 * float(row.right.std(ddof=1) / np.sqrt(len(row.right))), 2
                ),
                "chance": round(100 * row.metadata["chance"], 2),
                "n_val": len(row.right),
            }
            for row in answers.itertuples()
        ]
    )


def plot_pretext(table: pd.DataFrame, paths: Sequence[Path]) -> None:
    """A bar per model with its 95 % interval, chance as a line, published values if comparable.

    Args:
        table: `pretext_table`.
        paths: files to write; the suffix is the format.
    """
    figure, axis = new_figure(max(4.8, 1.6 + 1.5 * len(table)), 4)
    places = np.arange(len(table))
    axis.bar(places, table["accuracy"], 0.55, color="#3f77b5", label="validation videos")
    mark_intervals(axis, places, table["accuracy"], table["accuracy_ci95"])
    ends = places - 0.38, places + 0.38
    axis.hlines(table["chance"], *ends, color=PUBLISHED_COLOUR, ls="--", lw=1.4, label="chance")
    shown = (table["comparable"] & table["accuracy_published"].notna()).to_numpy(bool)
    mark_published(axis, places[shown], table["accuracy_published"][shown], "published")
    tasks = table["task"].str.replace("_", " ")
    names = [f"{model}\n{task}" for model, task in zip(table["model"], tasks, strict=True)]
    axis.set_xticks(places, names, fontsize=9)
    tops = [table["accuracy"] + table["accuracy_ci95"], table["accuracy_published"][shown]]
    axis.set_ylim(0, min(105, float(pd.concat(tops).max()) * 1.2 + 1))
    axis.set_ylabel("right answers (%)")
    axis.set_title("Pretext tasks on videos that were not trained on", fontsize=11)
    axis.set_xlabel(interval_of(table), fontsize=8)
    axis.legend(frameon=False, fontsize=8, loc="upper left")
    save(figure, paths)
