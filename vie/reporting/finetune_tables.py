"""Tables of finetuning (Tables 2 and 3), and the best network class by class.

Runs are `vie.reporting.runs.read_runs`, with the columns model, trained (bool) and target, and for
each test video its group, label, top1 (class) and top5 (bool).
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from vie.reporting.differences import differences_finetuned
from vie.reporting.runs import right, seeds_of
from vie.reporting.statistics import accuracies, percent
from vie.runtime.errors import VieError


def finetuning_table(found: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Top-1 accuracies in percent, one row per model, one column per target.

    Further columns: the half-width of the 95 % interval (`vie.reporting.statistics.interval`, with
    the groups of the videos), top-5 accuracy, number of test videos, seeds, number of the split,
    kind of validation, published values, and whether these are comparable.

    Args:
        found: the runs.
        published: `read_published_finetuned` of the models.
    """
    rows = []
    for model, runs in found.groupby("model", sort=False):
        by_target = dict(list(runs.groupby("target", sort=False)))
        correct = {target: right(here) for target, here in by_target.items()}
        groups = {target: here["group"].iloc[0] for target, here in by_target.items()}
        theirs = published.loc[model]
        rows.append(
            {"model": model}
            | accuracies(correct, groups)
            | {f"{name}_top5": percent(here["top5"].tolist()) for name, here in by_target.items()}
            | {f"{name}_n": seeds.shape[1] for name, seeds in correct.items()}
            | {
                "seeds": _each(seeds_of(here) for here in by_target.values()),
                "split": _each(here["metadata"].iloc[0]["split"] for here in by_target.values()),
                "validation": " ".join(sorted({one["validation"] for one in runs["metadata"]})),
            }
            | {f"{target}_published": theirs[target] for target in by_target}
            | {"comparable": comparable_row(runs, theirs)}
        )
    return pd.DataFrame(rows)


def comparable_row(runs: pd.DataFrame, published: pd.Series) -> bool:
    """Whether all runs of a model on targets with a published value are comparable with it."""
    shown = runs[runs["target"].isin(published.dropna().index)]
    return not shown.empty and not any(map(differences_finetuned, shown["metadata"]))


def _each(values: Iterable[object]) -> str:
    """The value of all if it is the same, else the values one after the other."""
    texts = [str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)


def finetuning_seeds(found: pd.DataFrame) -> pd.DataFrame:
    """Accuracies in percent and the course of training, one row per model, target and seed."""
    return pd.DataFrame(
        [
            {
                "model": run.model,
                "target": run.target,
                "seed": run.seed,
                "top1": percent(run.top1 == run.label),
                "top5": percent(run.top5),
                "n_test": len(run.label),
                "n_train": run.metadata["n_train"],
                "n_held_out": run.metadata["n_held_out"],
                "validation_top1": percent(run.metadata["validation_top1"]),
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
    means = {model: right(here).mean() for model, here in runs.groupby("model", sort=False)}
    return runs[runs["model"] == max(means, key=lambda model: float(means[model]))]


def class_table(runs: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Accuracy of each class in percent with the half-width of its 95 % interval."""
    correct, label, groups = right(runs), runs["label"].iloc[0], runs["group"].iloc[0]
    rows = []
    for number, name in enumerate(labels):
        here = label == number
        top1 = {"top1": np.nan, "top1_ci95": np.nan}
        if here.any():
            top1 = accuracies({"top1": correct[:, here]}, {"top1": groups[here]})
        of_all = {"model": runs["model"].iloc[0], "class": name}
        rows.append(of_all | top1 | {"n": int(here.sum()), "seeds": seeds_of(runs)})
    return pd.DataFrame(rows)


def confusion_table(runs: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Test videos of each class (rows) that were taken for each class (columns), over all seeds."""
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for run in runs.itertuples():
        np.add.at(counts, (run.label, run.top1), 1)
    table = pd.DataFrame(counts, columns=list(labels))
    table.insert(0, "class", list(labels), allow_duplicates=True)
    return table
