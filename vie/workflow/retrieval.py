"""Which files tables of retrieval, sheets of neighbours and maps are made of.

All of it follows from the config alone. Imports neither torch, pandas nor Snakemake.
"""

from itertools import product
from typing import Any

from vie.workflow.paths import Experiment


def retrieval_datasets(experiment: Experiment) -> dict[str, str]:
    """{name in the table: dataset}: the experiment's own if it has labels, and those that networks
    are finetuned on.
    """
    own = experiment.dataset
    found = {own: own} if experiment.labelled else {}
    return found | {name: target["dataset"] for name, target in experiment.targets.items()}


def retrieval_runs(experiment: Experiment) -> list[dict[str, Any]]:
    """Features of every dataset, row and seed of the table of retrieval, and what they are of."""
    found, seeds = retrieval_datasets(experiment), experiment.config["seeds"]
    runs = []
    for (shown, dataset), name, seed in product(found.items(), experiment.rows["retrieval"], seeds):
        evaluation = experiment.evaluations[name]
        folder = f"{experiment.folder}/features/{dataset}/{name}/{evaluation['weights']}"
        run = {"dataset": shown, "model": evaluation["label"], "seed": seed}
        runs.append(run | {"features": f"{folder}/seed{seed}.parquet"})
    return runs


def retrieval_splits(experiment: Experiment) -> dict[str, str]:
    """{target: which videos of its dataset are tested and which are looked among}."""
    split = experiment.target_file("split{split}/split_assignment.csv")
    return {target: split(target) for target in experiment.targets}


def label_words(experiment: Experiment) -> list[str]:
    """What the words of a label say, in the dataset that the workflow writes for pretraining."""
    written = experiment.generated().get(experiment.dataset) == "kinetics"
    return ["appearance", "motion"] if written else []
