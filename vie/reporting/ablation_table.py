"""Table of ablations: networks that differ from a full model in one setting."""

from typing import Any

import numpy as np
import pandas as pd

from vie.config.settings import LAYERS
from vie.reporting.runs import right, seeds_of
from vie.reporting.statistics import accuracies, differences
from vie.runtime.errors import VieError

COLUMNS = {**{layer: f"{layer}_top1" for layer in LAYERS}, "knn10": "knn_top1"}


def ablation_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Accuracies in percent, and points above the full model, with 95 % intervals.

    A row per model; a full model comes first and has no difference from itself. `changed` says what
    its training does differently, `chance` is the accuracy of guessing.

    Args:
        runs: `vie.reporting.runs.read_runs` of the predictions of probes, also with the columns
            model, of (the full model), changed and dataset.

    Raises:
        VieError: the runs of two models are of different seeds, or a full model is not among them.
    """
    rows = []
    full: dict[str, dict[str, Any]] = {}
    for (_, model), seeds in runs.groupby(["of", "model"], sort=False):
        first = seeds.iloc[0]
        found = {name: right(seeds, column) for name, column in COLUMNS.items()}
        if model == first["of"]:
            full[model] = {"right": found, "seeds": seeds_of(seeds)}
        if first["of"] not in full:
            raise VieError(f"{model}: its full model, {first['of']}, must come before it")
        if seeds_of(seeds) != full[first["of"]]["seeds"]:
            raise VieError(
                f"{model} has seeds {seeds_of(seeds)}, and {first['of']} has "
                f"{full[first['of']]['seeds']}: a difference needs the same ones"
            )
        gains = differences(found, full[first["of"]]["right"])
        rows.append(
            {"model": model, "of": first["of"], "changed": first["changed"]}
            | accuracies(found)
            | (dict.fromkeys(gains, np.nan) if model == first["of"] else gains)
            | {"chance": round(100 / first["metadata"]["classes"], 2)}
            | {"n_val": len(first["label"]), "seeds": seeds_of(seeds), "dataset": first["dataset"]}
        )
    return pd.DataFrame(rows)
