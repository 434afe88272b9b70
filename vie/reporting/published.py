"""Published accuracies."""

from pathlib import Path

import pandas as pd

from vie.config.settings import LAYERS
from vie.runtime.errors import VieError

DATASET = "kinetics400"
# Quantities of other.csv that are columns of Tables 1 and S1; those of other datasets are not.
LAST = "(last printed validation)"
QUANTITIES = {f"linear probe {layer} top-1 {LAST}": layer for layer in LAYERS}
QUANTITIES |= {f"10-nearest-neighbour top-1 at about step 1.47 million {LAST}": "knn10"}
PRETEXT_QUANTITY = "frame-order accuracy on its training task"
FINETUNED_QUANTITY = "{target} top-1, finetuned, {pipeline}"  # of other.csv, for tables 2 and 3


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
    published = wide.set_index("model").reindex(columns=[*QUANTITIES.values(), "dataset"])
    for quantity, column in QUANTITIES.items():
        for model, row in _values(folder, quantity, measured_on).iterrows():
            published.loc[model, [column, "dataset"]] = row["value"], row["dataset"]
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
    return _values(folder, PRETEXT_QUANTITY, DATASET).reindex(labels)


def read_published_finetuned(
    folder: Path, labels: list[str], targets: list[str], pipeline: str
) -> pd.DataFrame:
    """As `read_published`, accuracies in percent after finetuning: one column per target."""
    columns = {}
    for target in targets:
        quantity = FINETUNED_QUANTITY.format(target=target, pipeline=pipeline)
        columns[target] = _values(folder, quantity, target)["value"]
    return pd.DataFrame(columns, dtype=float).reindex(labels)


def _values(folder: Path, quantity: str, dataset: str) -> pd.DataFrame:
    """Columns value and dataset of a quantity of other.csv, measured on a dataset, by model."""
    table = _read(folder / "other.csv", ("model", "quantity", "value", "dataset"))
    found = table[(table["quantity"] == quantity) & (table["dataset"] == dataset)]
    return found.set_index("model")[["value", "dataset"]]


def _read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise VieError(
            f"{path}: the file of published values is missing; restore it from the repository"
        ) from None
    missing = [name for name in columns if name not in table]
    if missing:
        raise VieError(f"{path}: lacks the columns {', '.join(missing)}")
    return table
