"""Tables of finetuning (Tables 2 and 3), and the best network class by class.

Runs are `vie.reporting.runs.read_runs`, with the columns model, trained (bool), target and split
(name of the split of the target), and for each test video its group, label, top1 (class) and top5
(bool).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from vie.reporting.differences import differences_finetuned
from vie.reporting.runs import right, seeds_of
from vie.reporting.statistics import accuracies, percent
from vie.runtime.errors import VieError


class Tested(NamedTuple):
    """All tests of a model on a target: on the videos of one split, or of several, split by split.

    A video is tested in several splits by as many networks: n counts tests.
    """

    correct: np.ndarray  # (S, n) bool, seeds x tests
    top5: np.ndarray  # (S, n) bool
    video: np.ndarray  # (n,)
    group: np.ndarray  # (n,)
    label: np.ndarray  # (n,)
    split: np.ndarray  # (n,) numbers from 0

    def mean(self, values: np.ndarray) -> float:
        """Mean over the splits of the means of values (S, n)."""
        return float((values.mean(0) * _alike(self.split)).mean())

    def accuracies(self, name: str, chosen: np.ndarray | None = None) -> dict[str, float]:
        """The mean of the splits' accuracies, in percent, and the half-width of its interval.

        `vie.reporting.statistics.accuracies`, with the groups of all splits together as clusters,
        and so that each split counts alike. `chosen` (n,) bool are the tests that count.
        """
        here = np.ones(len(self.label), bool) if chosen is None else chosen
        weights = _alike(self.split[here])
        return accuracies({name: self.correct[:, here]}, {name: self.group[here]}, {name: weights})


def _alike(split: np.ndarray) -> np.ndarray:
    """(n,) weights with the sum n, the same for all tests of a split, such that splits weigh the
    same, from their numbers."""
    _, own, counts = np.unique(split, return_inverse=True, return_counts=True)
    return np.asarray(len(split) / len(counts) / counts[own])


def tests_of(runs: pd.DataFrame) -> Tested:
    """The tests of the runs of one model on one target."""
    splits = [here for _, here in runs.groupby("split", sort=False)]

    def known(column: str) -> np.ndarray:  # that all runs on a split have in common
        return np.concatenate([here[column].iloc[0] for here in splits])

    return Tested(
        correct=np.concatenate([right(here) for here in splits], 1),  # (S, n of each) -> (S, n)
        top5=np.concatenate([np.stack(here["top5"].tolist()) for here in splits], 1),
        video=known("video"),
        group=known("group"),
        label=known("label"),
        split=np.repeat(np.arange(len(splits)), [len(here["label"].iloc[0]) for here in splits]),
    )


def finetuning_table(found: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Top-1 accuracies in percent, one row per model, one column per target.

    Further columns: the half-width of the 95 % interval (`Tested.accuracies`), top-5 accuracy,
    number of test videos, seeds, number of the split, kind of validation, when the learning rate
    fell, published values, and whether these are comparable. Of a target of all splits, the
    accuracy is the mean of the splits', and each split has a column of its own besides.

    Args:
        found: the runs.
        published: `read_published_finetuned` of the models.
    """
    rows = []
    for model, runs in found.groupby("model", sort=False):
        by_target = dict(list(runs.groupby("target", sort=False)))
        tests = {target: tests_of(here) for target, here in by_target.items()}
        theirs = published.loc[model]
        top1 = {k: v for name, one in tests.items() for k, v in one.accuracies(name).items()}
        rows.append(
            {"model": model}
            | {name: top1[name] for name in tests}
            | {f"{name}_ci95": top1[f"{name}_ci95"] for name in tests}
            | {f"{name}_top5": percent(one.mean(one.top5)) for name, one in tests.items()}
            | {f"{name}_n": len(np.unique(one.video)) for name, one in tests.items()}
            | _split_columns(by_target)
            | {
                "seeds": _each(seeds_of(here) for here in by_target.values()),
                "split": _each(map(_split_of, by_target.values())),
                "validation": " ".join(sorted({one["validation"] for one in runs["metadata"]})),
                "schedule": _each(map(_schedule_of, by_target.values())),
            }
            | {f"{target}_published": theirs[target] for target in by_target}
            | {"comparable": comparable_row(runs, theirs)}
        )
    return pd.DataFrame(rows)


def _split_columns(by_target: dict[str, pd.DataFrame]) -> dict[str, float]:
    """{<target>_split<n>: accuracy in percent} of targets of several splits."""
    return {
        f"{target}_split{here['metadata'].iloc[0]['split']}": percent(right(here))
        for target, runs in by_target.items()
        if runs["split"].nunique() > 1
        for _, here in runs.groupby("split", sort=False)
    }


def _split_of(runs: pd.DataFrame) -> str:
    """Number of the split of runs on one target, or all."""
    numbers = {str(one["split"]) for one in runs["metadata"]}
    return numbers.pop() if len(numbers) == 1 else "all"


def _schedule_of(runs: pd.DataFrame) -> str:
    """What lowered the learning rate of runs on one target."""
    given = any("lr_drops" in one["schedule"] for one in runs["metadata"])
    return "release" if given else "saturation"


def comparable_row(runs: pd.DataFrame, published: pd.Series) -> bool:
    """Whether all runs of a model on targets with a published value are comparable with it."""
    shown = runs[runs["target"].isin(published.dropna().index)]
    return not shown.empty and not any(map(differences_finetuned, shown["metadata"]))


def _each(values: Iterable[object]) -> str:
    """The value of all if it is the same, else the values one after the other."""
    texts = [str(value) for value in values]
    return texts[0] if len(set(texts)) == 1 else ", ".join(texts)


def finetuning_seeds(found: pd.DataFrame) -> pd.DataFrame:
    """Accuracies in percent and the course of training, one row per run."""
    return pd.DataFrame(
        [
            {
                "model": run.model,
                "target": run.target,
                "split": run.metadata["split"],
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
    """The runs, one per split and seed, of the finetuned model with the highest accuracy on a
    target.

    Raises:
        VieError: no model was finetuned.
    """
    runs = found[(found["target"] == target) & found["trained"]]
    if runs.empty:
        raise VieError("the table has no finetuned network, only ones trained from scratch")
    found = {model: tests_of(here) for model, here in runs.groupby("model", sort=False)}
    best = max(found, key=lambda model: found[model].mean(found[model].correct))
    return runs[runs["model"] == best]


def class_table(runs: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Accuracy of each class in percent with the half-width of its 95 % interval; of several
    splits the mean."""
    tests, rows = tests_of(runs), []
    for number, name in enumerate(labels):
        here = tests.label == number
        top1 = {"top1": np.nan, "top1_ci95": np.nan}
        if here.any():
            top1 = tests.accuracies("top1", here)
        of_all = {"model": runs["model"].iloc[0], "class": name}
        n = len(np.unique(tests.video[here]))
        rows.append(of_all | top1 | {"n": n, "seeds": seeds_of(runs)})
    return pd.DataFrame(rows)


def confusion_table(runs: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """Tests of videos of each class (rows) that were taken for each class (columns), over all
    splits and seeds."""
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for run in runs.itertuples():
        np.add.at(counts, (run.label, run.top1), 1)
    table = pd.DataFrame(counts, columns=list(labels))
    table.insert(0, "class", list(labels), allow_duplicates=True)
    return table
