"""Table of ablations: networks that differ from a full model in one setting."""

import numpy as np
import pandas as pd

from vie.config.settings import LAYERS
from vie.reporting.runs import right, seeds_of
from vie.reporting.statistics import accuracies, paired_differences, percent

COLUMNS = {**{layer: f"{layer}_top1" for layer in LAYERS}, "knn10": "knn_top1"}


def ablation_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Accuracies in percent, and points above the full model, with 95 % intervals.

    A row per model; a full model comes first and has no difference from itself. `changed` says what
    its training does differently, `chance` is the accuracy of guessing.

    Args:
        runs: `vie.reporting.runs.read_runs` of the predictions of probes, the same seeds of each,
            also with the columns name, full (name of the full model, which comes before its
            ablations), model and of (labels of both), changed and dataset.
    """
    rows, every = [], {}
    for name, seeds in runs.groupby("name", sort=False):
        first = seeds.iloc[0]
        every[name] = found = {key: right(seeds, column) for key, column in COLUMNS.items()}
        gains = paired_differences(found, every[first["full"]])
        rows.append(
            {"model": first["model"], "of": first["of"], "changed": first["changed"]}
            | accuracies(found)
            | (dict.fromkeys(gains, np.nan) if name == first["full"] else gains)
            | {"chance": percent(1 / first["metadata"]["classes"])}
            | {"n_val": len(first["label"]), "seeds": seeds_of(seeds), "dataset": first["dataset"]}
        )
    return pd.DataFrame(rows)
