"""Published accuracies."""

from pathlib import Path

import pandas as pd

from vie.config.settings import LAYERS
from vie.runtime.errors import VieError

DATASET = "kinetics400"


def read_published(
    folder: Path, labels: list[str], measured_on: str = DATASET, *, all_known: bool = False
) -> pd.DataFrame:
    """Published values of the models `labels`, in that order, indexed by model.

    Args:
        folder: of table_s1.csv and other.csv, whose rows name their sources.
        labels: models.
        measured_on: official name of the dataset that the values are of.
        all_known: whether a model without published values is an error.

    Returns:
        Columns conv3, conv4, conv5 and knn10 in percent, and dataset; NaN where nothing is
        published.

    Raises:
        VieError: a file is missing or lacks a column, or, with `all_known`, nothing is published
            of a model.
    """
    wide = _read(folder / "table_s1.csv", ("model", "dataset", *LAYERS))
    wide = wide[wide["dataset"] == measured_on]
    published = wide.set_index("model").reindex(columns=[*LAYERS, "knn10", "dataset"])
    other = _values(folder, "probe", measured_on)
    for row in other[other["column"].isin(published.columns)].itertuples():
        published.loc[row.Index, [row.column, "dataset"]] = row.value, row.dataset
    unknown = [label for label in labels if label not in published.index]
    if unknown and all_known:
        raise VieError(
            f"{folder}: nothing is published of {', '.join(unknown)}; there is: "
            f"{', '.join(published.index)}. The labels of the table's evaluations in the "
            "config must be among these"
        )
    return published.reindex(labels)


def read_published_pretext(folder: Path, labels: list[str]) -> pd.DataFrame:
    """As `read_published`, accuracies of pretext tasks: columns value (percent) and dataset."""
    return _values(folder, "pretext", DATASET)[["value", "dataset"]].reindex(labels)


def read_published_finetuned(
    folder: Path, labels: list[str], targets: list[str], pipeline: str
) -> pd.DataFrame:
    """As `read_published`, accuracies in percent after finetuning: one column per target."""
    columns = {}
    for target in targets:
        found = _values(folder, "finetune", target)
        columns[target] = found.loc[found["column"] == pipeline, "value"]
    return pd.DataFrame(columns, dtype=float).reindex(labels)


def _values(folder: Path, kind: str, dataset: str) -> pd.DataFrame:
    """Rows of a kind of other.csv, measured on a dataset, by model: column, value and dataset."""
    table = _read(folder / "other.csv", ("model", "kind", "column", "value", "dataset"))
    return table[(table["kind"] == kind) & (table["dataset"] == dataset)].set_index("model")


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""])  # as `tables.read_csv`
    except FileNotFoundError:
        raise VieError(
            f"{path}: the file of published values is missing; restore it from the repository"
        ) from None
    missing = [name for name in columns if name not in table]
    if missing:
        raise VieError(f"{path}: lacks the columns {', '.join(missing)}")
    return table
