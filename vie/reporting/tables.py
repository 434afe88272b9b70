"""Tables of evaluations (Tables 1 and S1)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vie.config.settings import LAYERS
from vie.reporting.differences import differences
from vie.reporting.runs import read_runs, right, seeds_of
from vie.reporting.statistics import accuracies, percent
from vie.runtime.csv_files import cell, text_of_cell
from vie.runtime.errors import VieError
from vie.runtime.files import atomic_write

ABOUT = ("n_val", "seeds", "dataset", "chance")
COMPARED = ("model", *LAYERS, *(f"{layer}_ci95" for layer in LAYERS), *ABOUT)


def read_evaluations(
    labels: dict[str, str], predictions: Sequence[str], metadata: Sequence[str]
) -> pd.DataFrame:
    """`read_runs` of the probes of a table, with their labels as column `model`.

    Args:
        labels: {evaluation: label}, in the order of the rows.
        predictions, metadata: files of the probes, evaluation by evaluation, the same seeds for
            each.

    Raises:
        VieError: an evaluation was tested on different videos, or some seeds are missing.
    """
    seeds, rest = divmod(len(predictions), len(labels))
    if rest:
        raise VieError(
            f"{len(predictions)} predictions of {len(labels)} evaluations: every evaluation needs "
            "the same number of seeds"
        )
    models = np.repeat(list(labels.values()), seeds)
    files = [
        {"model": model, "predictions": found, "metadata": known}
        for model, found, known in zip(models, predictions, metadata, strict=True)
    ]
    return read_runs(files, "predictions", same_videos="model")


def probe_table(
    evaluations: pd.DataFrame, published: pd.DataFrame | None, dataset: str
) -> pd.DataFrame:
    """Accuracies in percent with the half-width of their 95 % interval, and published values.

    `chance` is the accuracy of guessing. The column `comparable` says whether dataset and scale are
    those of the published values.

    Args:
        evaluations: `read_evaluations`.
        published: `read_published` of the models; None: the table has no column of them.
        dataset: what it is called (`vie.config.layouts.title_of`).
    """
    rows = []
    for model, runs in evaluations.groupby("model", sort=False):
        metadata = runs["metadata"].tolist()
        row = (
            {"model": model}
            | accuracies({layer: right(runs, f"{layer}_top1") for layer in LAYERS})
            | {"n_val": len(runs["label"].iloc[0]), "seeds": seeds_of(runs)}
            | {"dataset": dataset, "chance": percent(1 / metadata[0]["classes"])}
        )
        if published is not None:
            theirs = published.loc[model]
            row |= {f"{layer}_published": theirs[layer] for layer in LAYERS}
            differ = [differences(one, model, theirs["dataset"]) for one in metadata]
            row["comparable"] = not any(differ)
        rows.append(row)
    return pd.DataFrame(rows)


def with_neighbours(
    table: pd.DataFrame,
    evaluations: pd.DataFrame,
    published: pd.DataFrame,
    groups: dict[str, str],
) -> pd.DataFrame:
    """`probe_table` with the further columns of Table 1.

    `group` says how the network came about: `groups` of the models. `best` is the layer with the
    highest top-1 accuracy, `top5` the top-5 accuracy of this layer, `knn10` the top-1 accuracy of
    the nearest neighbours of the embedding. Both have 95 % intervals.
    """
    rows = []
    for model, runs in evaluations.groupby("model", sort=False):
        means = {layer: right(runs, f"{layer}_top1").mean() for layer in LAYERS}
        best = max(LAYERS, key=means.__getitem__)
        rows.append(
            {"group": groups[str(model)], "best": best}
            | accuracies({"top5": np.stack(runs[f"{best}_top5"].tolist())})
            | accuracies({"knn10": right(runs, "knn_top1")})
            | {"knn10_published": published.loc[model, "knn10"]}
        )
    return pd.concat([table, pd.DataFrame(rows)], axis=1)


def seed_table(evaluations: pd.DataFrame) -> pd.DataFrame:
    """Accuracies in percent, one row per model and seed."""
    return pd.DataFrame(
        [
            {"model": run["model"], "seed": run["seed"]}
            | {layer: percent(run[f"{layer}_top1"] == run["label"]) for layer in LAYERS}
            | {"knn10": percent(run["knn_top1"] == run["label"]), "n_val": len(run["label"])}
            for _, run in evaluations.iterrows()
        ]
    )


def compare(tables: Sequence[Path]) -> pd.DataFrame:
    """Rows of several tables: experiment, table, and `COMPARED`, sorted by experiment and table.

    Args:
        tables: files `<experiment>/<table>.csv`.

    Raises:
        VieError: there are none, or one lacks a column.
    """
    if not tables:
        raise VieError(
            "no experiment has a table yet: make results/table_1.csv or results/table_s1.csv first"
        )
    parts = []
    for path in sorted(tables, key=lambda path: (path.parent.name, path.stem)):
        table = read_csv(path, dtype={"seeds": str})
        missing = [column for column in COMPARED if column not in table]
        if missing:
            raise VieError(
                f"{path}: no column {', '.join(missing)}; delete it, and make it again with the "
                "config of its experiment"
            )
        parts.append(table.assign(experiment=path.parent.name, table=path.stem))
    return pd.concat(parts, ignore_index=True)[["experiment", "table", *COMPARED]]


def read_csv(path: str | Path, **how: Any) -> pd.DataFrame:
    """A table that `write_csv` wrote; `how` pandas reads it."""
    # A model may be called None or NA.
    table = pd.read_csv(path, keep_default_na=False, na_values=[""], **how)
    for column in table.select_dtypes(exclude=("number", "bool")):
        table[column] = table[column].map(text_of_cell, na_action="ignore")
    return table.rename(columns=text_of_cell)


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV; booleans become true and false, formulas text (`cell`)."""
    shown = table.copy()
    for column in shown.select_dtypes("bool"):
        shown[column] = shown[column].map({True: "true", False: "false"})
    for column in shown.select_dtypes(exclude="number"):
        shown[column] = shown[column].map(cell)
    shown.columns = shown.columns.map(cell)
    with atomic_write(path) as temporary:
        shown.to_csv(temporary, index=False, lineterminator="\n")
