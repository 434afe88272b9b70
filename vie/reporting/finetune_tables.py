"""Tables of finetuning (Tables 2 and 3), and the best network class by class."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from vie.reporting.published import comparable_finetuned
from vie.reporting.statistics import interval
from vie.reporting.tables import read_metadata
from vie.runtime.errors import VieError


def read_finetuned(files: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Predictions of finetuned networks, one row per model, target and seed.

    Args:
        files: what to read, each {"model": label, "trained": bool, "target": name,
            "predictions": Parquet, "metadata": JSON}.

    Returns:
        Columns model, trained, target, seed, metadata (dict), and one array per network over the
        test videos: videos (list), group, label, top1 (class), top5 (bool).

    Raises:
        VieError: networks of one target were tested on different videos.
    """
    rows = []
    for file in files:
        table = pd.read_parquet(file["predictions"])
        metadata = read_metadata(file["metadata"])
        rows.append(
            {key: file[key] for key in ("model", "trained", "target")}
            | {"seed": metadata["seed"], "metadata": metadata, "videos": table["video"].tolist()}
            | {name: table[name].to_numpy() for name in ("group", "label", "top1", "top5")}
        )
    found = pd.DataFrame(rows)
    for target, here in found.groupby("target", sort=False):
        if any(videos != here["videos"].iloc[0] for videos in here["videos"]):
            raise VieError(
                f"networks were tested on different videos of {target}; delete their predictions "
                "to have them made again"
            )
    return found


def finetuning_table(found: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Top-1 accuracies in percent, one row per model, one column per target.

    Further columns: the half-width of the 95 % interval (`vie.reporting.statistics.interval`, with
    the groups of the videos), top-5 accuracy, number of test videos, seeds, number of the split,
    kind of validation, published values, and whether these are comparable.

    Args:
        found: `read_finetuned`.
        published: `read_published_finetuned` of the models.
    """
    targets, rows = found["target"].unique(), []
    for model, runs in found.groupby("model", sort=False):
        by_target = {target: runs[runs["target"] == target] for target in targets}
        correct = {target: _correct(here) for target, here in by_target.items()}
        bounds = {
            target: interval(correct[target], here["group"].iloc[0])
            for target, here in by_target.items()
        }
        row: dict[str, object] = {"model": model}
        row |= {target: round(100 * bounds[target][0], 2) for target in targets}
        row |= {f"{target}_ci95": round(100 * bounds[target][1], 2) for target in targets}
        row |= {
            f"{target}_top5": round(100 * float(np.stack(here["top5"].tolist()).mean()), 2)
            for target, here in by_target.items()
        }
        row |= {f"{target}_n": correct[target].shape[1] for target in targets}
        row["seeds"] = _each(by_target.values(), lambda here: " ".join(map(str, here["seed"])))
        row["split"] = _each(by_target.values(), lambda here: here["metadata"].iloc[0]["split"])
        row["validation"] = " ".join(sorted({one["validation"] for one in runs["metadata"]}))
        row |= {f"{target}_published": published.loc[model, target] for target in targets}
        row["comparable"] = comparable_row(runs, published.loc[model])
        rows.append(row)
    return pd.DataFrame(rows)


def comparable_row(runs: pd.DataFrame, published: pd.Series) -> bool:
    """Whether all runs of a model on targets with a published value are comparable with it."""
    targets = [target for target in runs["target"].unique() if not pd.isna(published[target])]
    return bool(targets) and all(
        comparable_finetuned(metadata)
        for metadata, target in zip(runs["metadata"], runs["target"], strict=True)
        if target in targets
    )


def _each(runs: Iterable[pd.DataFrame], value: Callable[[pd.DataFrame], object]) -> str:
    """The value of all runs if it is the same, else the values one after the other."""
    values = [str(value(one)) for one in runs]
    return values[0] if len(set(values)) == 1 else ", ".join(values)


def _correct(runs: pd.DataFrame) -> np.ndarray:
    """(S, n) bool of the seeds of one model and target."""
    return np.stack(
        [top1 == label for top1, label in zip(runs["top1"], runs["label"], strict=True)]
    )


def finetuning_seeds(found: pd.DataFrame) -> pd.DataFrame:
    """Accuracies in percent and the course of training, one row per model, target and seed."""
    return pd.DataFrame(
        [
            {
                "model": run.model,
                "target": run.target,
                "seed": run.seed,
                "top1": round(100 * float((run.top1 == run.label).mean()), 2),
                "top5": round(100 * float(run.top5.mean()), 2),
                "n_test": len(run.label),
                "n_train": run.metadata["n_train"],
                "n_held_out": run.metadata["n_held_out"],
                "validation_top1": round(100 * run.metadata["validation_top1"], 2),
                "best_step": run.metadata["best_step"],
                "steps": run.metadata["steps"],
                "saturated": run.metadata["saturated"],
            }
            for run in found.itertuples()
        ]
    )


def best_recipe(found: pd.DataFrame, target: str) -> pd.DataFrame:
    """The runs, one per seed, of the finetuned model with the highest accuracy on a target.

    Raises:
        VieError: no model was finetuned.
    """
    runs = found[(found["target"] == target) & found["trained"]]
    if runs.empty:
        raise VieError("the table has no finetuned network, only ones trained from scratch")
    means = {model: _correct(here).mean() for model, here in runs.groupby("model", sort=False)}
    return runs[runs["model"] == max(means, key=lambda model: float(means[model]))]


def class_table(runs: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Accuracy of each class in percent with the half-width of its 95 % interval."""
    correct, label = _correct(runs), runs["label"].iloc[0]
    rows = []
    for number, name in enumerate(labels):
        here = label == number
        mean, half = np.nan, np.nan
        if here.any():
            mean, half = interval(correct[:, here], runs["group"].iloc[0][here])
        rows.append(
            {
                "model": runs["model"].iloc[0],
                "class": name,
                "top1": round(100 * mean, 2),
                "top1_ci95": round(100 * half, 2),
                "n": int(here.sum()),
                "seeds": " ".join(map(str, runs["seed"])),
            }
        )
    return pd.DataFrame(rows)


def confusion_table(runs: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Test videos of each class (rows) that were taken for each class (columns), over all seeds."""
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for run in runs.itertuples():
        np.add.at(counts, (run.label, run.top1), 1)
    table = pd.DataFrame(counts, columns=list(labels))
    table.insert(0, "class", list(labels), allow_duplicates=True)
    return table
