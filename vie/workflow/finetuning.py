"""Which files tables of finetuning are made of, and the settings of each of their rows.

All of it follows from the config alone. Imports neither torch, pandas nor Snakemake.
"""

from itertools import product
from typing import Any

from vie.config.settings import recipes_of
from vie.workflow import resources
from vie.workflow.paths import PIPELINES, Experiment


def finetuned(
    experiment: Experiment, table: str, target: str | None = None
) -> list[dict[str, Any]]:
    """Results of every row, split and seed of a table (or of one target), and what of.

    `split` is the name of the split that was trained on, in `Experiment.single_splits`.
    """
    found = []
    splits, seeds = experiment.single_splits.items(), experiment.config["seeds"]
    for name, (split, one), seed in product(experiment.rows[table], splits, seeds):
        if target in (None, one["target"]):
            label, weights = (experiment.evaluations[name][key] for key in ("label", "weights"))
            folder = f"{experiment.folder}/finetune/{split}/{PIPELINES[table]}/{name}/{weights}"
            run = {"model": label, "trained": weights == "trained"}
            run |= {"target": one["target"], "split": split}
            run["predictions"] = f"{folder}/seed{seed}/predictions.parquet"
            run["metadata"] = f"{folder}/seed{seed}/metadata.json"
            found.append(run)
    return found


def target_facts(
    experiment: Experiment, target: str, pipeline: str, weights: str
) -> dict[str, Any]:
    """What the results of a split say about it."""
    name, one = experiment.setting("official_name"), experiment.single_splits[target]
    return {
        "target": one["target"],
        "dataset_official_name": name(one["dataset"]),
        "pretrained_on": name(experiment.dataset),
        "split": one["split"],
        "pipeline": pipeline,
        "trained": weights == "trained",
    }


def held_out(experiment: Experiment) -> float:
    """Share of the training videos that validation takes; none where it takes test videos."""
    settings = experiment.config["finetuning"]
    return settings["held_out"] if settings["validation"] == "held_out" else 0


def scale_crop(experiment: Experiment, pipeline: str) -> dict[str, Any]:
    """Settings of scale-crop, for the pipeline that has it."""
    settings: dict[str, Any] = experiment.config["finetuning"]["scale_crop"]
    return settings if pipeline == "scale_crop" else {}


def optimiser(config: dict[str, Any], evaluation: str, weights: str) -> dict[str, Any]:
    """The optimiser of a row: `finetuning.trained` or `untrained`, with what the row has of its
    own."""
    shared, own = config["finetuning"][weights], own_settings(config, evaluation)
    found = {key: own.get(key, value) for key, value in shared.items()}
    found.pop("schedule")
    return found


def schedule(
    config: dict[str, Any], evaluation: str, weights: str, target: str, pipeline: str
) -> dict[str, Any]:
    """When the rate of a row falls on a target: `finetuning.schedule`, or the release's drops."""
    settings: dict[str, Any] = config["finetuning"]
    shared: dict[str, Any] = settings["schedule"]
    if settings[weights]["schedule"] == "release":
        for one in own_settings(config, evaluation).get("release", []):
            if one.get("target", target) == target and one.get("pipeline", pipeline) == pipeline:
                given = {key: one[key] for key in ("duration", "lr_drops")}
                return given | {"every": shared["every"]}
    return shared


def own_settings(config: dict[str, Any], evaluation: str) -> dict[str, Any]:
    """What an evaluation has of its own for finetuning."""
    own: dict[str, Any] = config["evaluations"][evaluation].get("finetuning", {})
    return own


def settings(
    experiment: Experiment, evaluation: str, weights: str, target: str, pipeline: str
) -> dict[str, Any]:
    """What of the config finetuning depends on, besides the optimiser."""
    shared, name = experiment.config["finetuning"], experiment.single_splits[target]["target"]
    own = schedule(experiment.config, evaluation, weights, name, pipeline)
    return {"schedule": own} | {key: shared[key] for key in ("validation", "clips")}


def memory(
    experiment: Experiment, evaluation: str, weights: str, threads: int, gpus: int | None = None
) -> int:
    """Of a job, in MB; `gpus` in place of the config's."""
    config, one = experiment.config, experiment.evaluations[evaluation]
    size = experiment.transform(evaluation)["geometry"]["size"]
    recipes = [experiment.recipes[name] for name in recipes_of(one)]
    batch = optimiser(config, evaluation, weights)["batch"]
    config = config if gpus is None else config | {"gpus": gpus}
    return resources.finetune(config, recipes, one["clip"], size, batch, threads)
