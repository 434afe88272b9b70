"""Tables of finetuning (Tables 2 and 3), and their best network class by class."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from vie.reporting.published import comparable_finetuned
from vie.reporting.statistics import interval
from vie.runtime.errors import VieError


def read_finetuned(files: Sequence[dict]) -> pd.DataFrame:
    """What finetuned networks predict, one row per model, target and seed.

    Args:
        files: what to read, each {"model": label, "trained": bool, "target": name,
            "predictions": Parquet, "facts": JSON}.

    Returns:
        Columns model, trained, target, seed, facts (dict), and arrays over the test videos: videos
        (list), group, label, top1 (class), top5 (bool).

    Raises:
        VieError: networks of one target were tested on different videos.
    """
    rows = []
    for file in files:
        table = pd.read_parquet(file["predictions"])
        facts = json.loads(Path(file["facts"]).read_text())
        rows.append(
            {key: file[key] for key in ("model", "trained", "target")}
            | {"seed": facts["seed"], "facts": facts, "videos": table["video"].tolist()}
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


def finetuning_table(found: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """Top-1 accuracies in percent, one row per model, one column per target.

    With the half-width of their 95 % interval (`vie.metrics.top_k.interval`, for which videos
    of one group are one recording), top-5
    accuracies, test videos, seeds, the number of the split of each target, where validation
    saturated, and published values, which `comparable` calls comparable or not.

    Args:
        found: `read_finetuned`.
        theirs: `read_published_finetuned` of the models.
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
        row["split"] = _each(by_target.values(), lambda here: here["facts"].iloc[0]["split"])
        row["validation"] = " ".join(sorted({facts["validation"] for facts in runs["facts"]}))
        row |= {f"{target}_published": theirs.loc[model, target] for target in targets}
        row["comparable"] = comparable_row(runs, theirs.loc[model])
        rows.append(row)
    return pd.DataFrame(rows)


def comparable_row(runs: pd.DataFrame, theirs: pd.Series) -> bool:
    """Whether all runs of a model on targets with a published value are comparable with it."""
    published = [target for target in runs["target"].unique() if not pd.isna(theirs[target])]
    return bool(published) and all(
        comparable_finetuned(facts)
        for facts, target in zip(runs["facts"], runs["target"], strict=True)
        if target in published
    )


def _each(parts, value) -> str:
    """What is the same for all parts, or else one after the other."""
    values = [str(value(part)) for part in parts]
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
                "n_train": run.facts["n_train"],
                "n_held_out": run.facts["n_held_out"],
                "validation_top1": round(100 * run.facts["validation_top1"], 2),
                "best_step": run.facts["best_step"],
                "steps": run.facts["steps"],
                "saturated": run.facts["saturated"],
            }
            for run in found.itertuples()
        ]
    )


def best_recipe(found: pd.DataFrame, target: str) -> pd.DataFrame:
    """The runs of the finetuned model with the highest accuracy on a target, all seeds."""
    runs = found[(found["target"] == target) & found["trained"]]
    if runs.empty:
        raise VieError("the table has no finetuned network, only ones trained from scratch")
    models = {model: _correct(here).mean() for model, here in runs.groupby("model", sort=False)}
    return runs[runs["model"] == max(models, key=models.get)]


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
    """Number of test videos of each class (rows) taken for each class (columns), over all seeds."""
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for run in runs.itertuples():
        np.add.at(counts, (run.label, run.top1), 1)
    table = pd.DataFrame(counts, columns=list(labels))
    table.insert(0, "class", list(labels), allow_duplicates=True)
    return table
