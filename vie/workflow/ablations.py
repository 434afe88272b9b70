"""Which runs the table of ablations is made of, and what each of them changes.

All of it follows from the config alone. Imports neither torch, pandas nor Snakemake.
"""

import re
from typing import Any

from vie.config.ablations import base_of
from vie.config.layouts import title_of
from vie.config.settings import UNTRAINED
from vie.runtime.errors import VieError
from vie.workflow.paths import Experiment
from vie.workflow.status import differences


def ablation_rows(experiment: Experiment) -> dict[str, str]:
    """{evaluation: the full model's evaluation}: each full model, and after it its ablations."""
    ablations = [name for name in experiment.recipes if base_of(name) != name]
    rows: dict[str, str] = {}
    for base in experiment.recipes:
        if own := [name for name in ablations if base_of(name) == base]:
            rows |= dict.fromkeys([base, *own], base)
    return rows


def changed(experiment: Experiment, name: str) -> str:
    """What an ablation changes, key by key, such as "objective.temperature: 0.07 -> 0.1"."""
    parts = []
    for one in (base_of(name), name):
        recipe, row = experiment.recipes[one], experiment.evaluations[one]
        shown = {key: row.get(key, {}) for key in ("clip", "schedule")}
        parts.append(
            {key: value for key, value in recipe.items() if key not in UNTRAINED}
            | {"instances": recipe.get("instances", {})}
            | {"evaluation": shown | experiment.transform(one)}
        )
    return re.sub(r"\bNone\b", "none", "; ".join(differences(parts[0], parts[1])))


def ablation_runs(experiment: Experiment) -> list[dict[str, Any]]:
    """Predictions of every row and seed of the table, and what they are of.

    Raises:
        VieError: the config has no ablations.
    """
    rows = ablation_rows(experiment)
    if not rows:
        raise VieError(
            "this experiment has no ablations: name folders of them in the config's `ablations`"
        )
    dataset = title_of(experiment.dataset, experiment.datasets[experiment.dataset])
    runs = []
    for name, base in rows.items():
        evaluation = experiment.evaluations[name]
        run = {
            "name": name,
            "full": base,
            "model": evaluation["label"],
            "of": experiment.evaluations[base]["label"],
        }
        run |= {"changed": changed(experiment, name), "dataset": dataset}
        for folder in experiment.probe_folders(name):
            paths = {"predictions": f"{folder}/predictions.parquet"}
            runs.append(run | paths | {"metadata": f"{folder}/metadata.json"})
    return runs
