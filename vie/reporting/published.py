"""Published accuracies, and whether a measured one may stand beside them."""

from pathlib import Path

import pandas as pd

from vie.errors import VieError

# What makes a readout the paper's. Counts: protocol section 1; network and steps: sections 4 and
# 6 (VIE-Single trains beyond its last drop of the rate); 5 test clips: section 2.
PAPER = {
    "n_train": 239_888,
    "n_val": 19_653,
    "classes": 400,
    "width": 64,
    "embedding": 128,
    "size": 224,
    "clips": 5,
    "steps": 1_220_011,
}
MISSING_SHARE = 0.05  # videos disappear from the web: every copy of Kinetics lacks some


def read_published(path: Path, labels: list[str], columns: list[str]) -> pd.DataFrame:
    """Rows of `labels`, in that order, indexed by model.

    Raises:
        VieError: no such file, or it lacks a model or a column.
    """
    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise VieError(
            f"{path}: the file of published values is missing; restore it from the repository"
        ) from None
    missing = [name for name in ("model", "dataset", *columns) if name not in table]
    if missing:
        raise VieError(f"{path}: lacks the columns {', '.join(missing)}")
    table = table.set_index("model")
    unknown = [label for label in labels if label not in table.index]
    if unknown:
        raise VieError(
            f"{path}: has no model {', '.join(unknown)}; it has {', '.join(table.index)}. "
            "The labels of the table's readouts in the config must be among these"
        )
    return table.loc[labels]


def comparable(facts: dict, dataset: str) -> bool:
    """Whether a readout has the dataset and the scale of the published values.

    Args:
        facts: of a probe, as written by `vie.evaluation.probe`.
        dataset: that the published values are of.
    """
    paper = PAPER
    return (
        facts["dataset_identity"] == dataset
        and facts["classes"] == paper["classes"]
        and facts["n_train"] >= (1 - MISSING_SHARE) * paper["n_train"]
        and facts["n_val"] >= (1 - MISSING_SHARE) * paper["n_val"]
        and facts["encoder"]["width"] == paper["width"]
        and facts["encoder"]["embedding"] == paper["embedding"]
        and facts["size"] == paper["size"]
        and facts["clips"] == paper["clips"]
        and facts["network_steps"] >= paper["steps"]
    )
