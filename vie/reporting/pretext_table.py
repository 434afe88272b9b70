"""Table of the accuracies of pretext tasks."""

import numpy as np
import pandas as pd

from vie.reporting.differences import differences_pretext
from vie.reporting.runs import seeds_of
from vie.reporting.statistics import accuracies, percent


def pretext_table(answers: pd.DataFrame, published: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """Accuracies in percent with the half-width of their 95 % interval, one row per model.

    `chance` is the accuracy of guessing.

    Args:
        answers: `vie.reporting.runs.read_runs`, with the share of right answers of each video as
            column `right`.
        published: `read_published_pretext` of the models.
        dataset: what it is called.
    """
    rows = []
    for model, seeds in answers.groupby("model", sort=False):
        metadata, theirs = seeds["metadata"].tolist(), published.loc[model]
        differ = [differences_pretext(one, str(model), theirs["dataset"]) for one in metadata]
        rows.append(
            {"model": model, "task": metadata[0]["task"]}
            | accuracies({"accuracy": np.stack(seeds["right"].tolist())})
            | {
                "chance": percent(metadata[0]["chance"]),
                "n_val": len(seeds["right"].iloc[0]),
                "clips": metadata[0]["clips"],
                "seeds": seeds_of(seeds),
                "dataset": dataset,
                "accuracy_published": theirs["value"],
                "comparable": not any(differ),
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
