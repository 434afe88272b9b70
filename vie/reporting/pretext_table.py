"""Table and plot of the accuracies of pretext tasks."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vie.reporting.plots import interval_of, mark_intervals, save
from vie.reporting.published import comparable_pretext
from vie.reporting.statistics import interval
from vie.runtime.errors import VieError


def read_answers(files: Sequence[dict]) -> pd.DataFrame:
    """Shares of right answers, one row per model and seed.

    Args:
        files: what to read, each {"model": label, "answers": Parquet, "facts": JSON}.

    Returns:
        Columns model, seed, videos (list), right (array of the same length), facts (dict).
    """
    rows = []
    for file in files:
        answers, facts = (
            pd.read_parquet(file["answers"]),
            json.loads(Path(file["facts"]).read_text()),
        )
        rows.append(
            {
                "model": file["model"],
                "seed": facts["seed"],
                "videos": answers["video"].tolist(),
                "right": answers["right"].to_numpy(float),
                "facts": facts,
            }
        )
    return pd.DataFrame(rows)


def pretext_table(answers: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Accuracies in percent with the half-width of their 95 % interval, one row per model.

    `chance` is the accuracy of guessing; the interval is `vie.metrics.top_k.interval`'s.

    Args:
        answers: `read_answers`.
        theirs: `read_published_pretext` of the models.

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
        facts = seeds["facts"].tolist()
        mean, half = interval(np.stack(seeds["right"].tolist()))
        published, dataset = theirs.loc[model, "value"], theirs.loc[model, "dataset"]
        rows.append(
            {
                "model": model,
                "task": facts[0]["task"],
                "accuracy": round(100 * mean, 2),
                "accuracy_ci95": round(100 * half, 2),
                "chance": round(100 * facts[0]["chance"], 2),
                "n_val": len(seeds["videos"].iloc[0]),
                "clips": facts[0]["clips"],
                "seeds": " ".join(map(str, seeds["seed"])),
                "accuracy_published": published,
                "comparable": all(comparable_pretext(one, model, dataset) for one in facts),
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
                "chance": round(100 * row.facts["chance"], 2),
                "n_val": len(row.right),
            }
            for row in answers.itertuples()
        ]
    )


def plot_pretext(table: pd.DataFrame, paths: Sequence[Path]) -> None:
    """A bar per model with its 95 % interval, chance as a line, published where comparable.

    Args:
        table: `pretext_table`.
        paths: files to write, the suffix names the format.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(4.8, 1.6 + 1.5 * len(table)), 4), layout="constrained")
    axis = figure.subplots()
    places = np.arange(len(table))
    axis.bar(places, table["accuracy"], 0.55, color="#3f77b5", label="validation videos")
    mark_intervals(axis, places, table["accuracy"], table["accuracy_ci95"])
    ends = places - 0.38, places + 0.38
    axis.hlines(table["chance"], *ends, color="#c23b22", ls="--", lw=1.4, label="chance")
    shown = (table["comparable"] & table["accuracy_published"].notna()).to_numpy(bool)
    if shown.any():
        axis.scatter(
            places[shown],
            table["accuracy_published"][shown],
            marker="D",
            facecolor="white",
            edgecolor="#c23b22",
            zorder=3,
            label="published",
        )
    tasks = table["task"].str.replace("_", " ")
    names = [f"{model}\n{task}" for model, task in zip(table["model"], tasks, strict=True)]
    axis.set_xticks(places, names, fontsize=9)
    tops = [table["accuracy"] + table["accuracy_ci95"], table["accuracy_published"][shown]]
    axis.set_ylim(0, min(105, float(pd.concat(tops).max()) * 1.2 + 1))
    axis.set_ylabel("right answers (%)")
    axis.set_title("Pretext tasks on videos that were not trained on", fontsize=11)
    axis.set_xlabel(interval_of(table), fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8, loc="upper left")
    save(figure, paths)
