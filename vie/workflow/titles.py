"""What tables and plots call datasets, networks and groups of networks.

All of it follows from the config alone. Imports neither torch, pandas nor Snakemake.
"""

from vie.config.layouts import title_of
from vie.config.recipes import family
from vie.config.settings import recipes_of, stages
from vie.datasets.facts import single_frame_ceiling
from vie.workflow.paths import Experiment
from vie.workflow.retrieval import retrieval_datasets

NEVER = "never trained"


def dataset_title(experiment: Experiment, dataset: str) -> str:
    """What a dataset of the config is called."""
    return title_of(dataset, experiment.datasets[dataset])


def table_title(table: str) -> str:
    """What the table of a pipeline is called: "Table 2"."""
    return f"Table {table.removeprefix('table_')}"


def target_titles(experiment: Experiment) -> dict[str, str]:
    """{target: what its dataset is called}."""
    return {
        name: dataset_title(experiment, target["dataset"])
        for name, target in experiment.targets.items()
    }


def ceiling(experiment: Experiment, dataset: str) -> float | None:
    """The most (%) that networks reach on a dataset that see frames one by one, where known."""
    return single_frame_ceiling(experiment.datasets[dataset])


def retrieval_ceilings(experiment: Experiment) -> dict[str, float | None]:
    """{dataset of the table of retrieval: `ceiling`}."""
    found = retrieval_datasets(experiment)
    return {name: ceiling(experiment, dataset) for name, dataset in found.items()}


def target_ceilings(experiment: Experiment) -> dict[str, float | None]:
    """{target: `ceiling` of its dataset}."""
    targets = experiment.targets.items()
    return {name: ceiling(experiment, target["dataset"]) for name, target in targets}


def retrieval_titles(experiment: Experiment) -> dict[str, str]:
    """{dataset of the table of retrieval: what it is called}."""
    found = retrieval_datasets(experiment)
    return {name: dataset_title(experiment, dataset) for name, dataset in found.items()}


def control_labels(experiment: Experiment, table: str) -> dict[str, str]:
    """{evaluation: label} of a table's rows where no network is trained."""
    labels = experiment.labels(table)
    return {name: f"{label} (untrained)" for name, label in labels.items()}


def groups(experiment: Experiment, table: str, untrained: str = NEVER) -> dict[str, str]:
    """{label of a row: how its network came about}; `untrained`: of those without pretraining."""
    return {
        experiment.evaluations[name]["label"]: _group(experiment, name, untrained)
        for name in experiment.rows.get(table, ())
    }


def _group(experiment: Experiment, evaluation: str, untrained: str) -> str:
    own = experiment.evaluations[evaluation]
    if own["weights"] == "untrained":
        return untrained
    recipe = experiment.recipes[recipes_of(own)[0]]
    # Of weights from a file nothing but the settings says what they were trained for.
    return family(stages(recipe) or recipe["objective"])
