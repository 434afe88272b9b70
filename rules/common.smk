# Functions that the rules use; no rules here.
from pathlib import Path

from snakemake.exceptions import WorkflowError

from vie.config import validate
from vie.errors import VieError
from vie.fingerprint import fingerprint

try:
    validate(config)
except VieError as error:
    raise WorkflowError(str(error)) from None

DATASET = config["dataset"]
GENERATED = [name for name, dataset in config["datasets"].items() if "generator" in dataset]
PUBLISHED = str(Path(workflow.basedir) / "vie" / "reporting" / "published" / "table_s1.csv")


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    split="train|val",
    shard=r"\d+",
    shards=r"\d+",
    recipe="|".join(config["recipes"]),
    readout="|".join(config["readouts"]),
    weights="trained|untrained",
    seed=r"\d+",


def dataset_of(wildcards):
    return config["datasets"][wildcards.dataset]


def videos_folder(wildcards):
    dataset = dataset_of(wildcards)
    return dataset.get("videos", f"resources/{wildcards.dataset}/videos")


def annotations_folder(wildcards):
    dataset = dataset_of(wildcards)
    return dataset.get("annotations", f"resources/{wildcards.dataset}/annotations")


def annotation(split):
    return lambda wildcards: Path(annotations_folder(wildcards)) / f"{split}.csv"


def shard_files(suffix):
    """Files of all shards of a split."""

    def files(wildcards):
        shards = dataset_of(wildcards)["shards"][wildcards.split]
        folder = f"resources/{wildcards.dataset}/{wildcards.split}/frames"
        return [f"{folder}/{shard}-of-{shards}{suffix}" for shard in range(shards)]

    return files


def recipe_of(wildcards):
    """The recipe of a wildcard `recipe`, or of the wildcard `readout`."""
    name = wildcards.get("recipe") or config["readouts"][wildcards.readout]["recipe"]
    return config["recipes"][name]


def stage_recipe(stage):
    """What of a recipe the result of a stage depends on.

    An edit of what only a later stage reads must not repeat an earlier one.
    """

    def recipe(wildcards):
        recipe = {k: v for k, v in recipe_of(wildcards).items() if k != "label"}
        if stage == "untrained":
            return {"encoder": recipe["encoder"]}
        if stage == "instance_recognition":
            recipe["schedule"] = dict(recipe["schedule"], local_aggregation="0 steps")
            recipe["objective"] = dict(recipe["objective"])
            del recipe["objective"]["local_aggregation"]
        return recipe

    return recipe


def checkpoint_of(wildcards):
    """The network that a readout reads: the end of pretraining, or its start."""
    recipe = config["readouts"][wildcards.readout]["recipe"]
    stage = {"trained": "local_aggregation", "untrained": "untrained"}[wildcards.weights]
    return f"results/{wildcards.dataset}/pretrain/{recipe}/seed{wildcards.seed}/{stage}.pt"


def readouts_of(table, weights, file):
    """`file` of every readout and seed of a table, readout by readout."""
    return expand(
        "results/{dataset}/probe/{readout}/{weights}/seed{seed}/{file}",
        dataset=DATASET,
        readout=config["tables"][table]["readouts"],
        weights=weights,
        seed=config["seeds"],
        file=file,
    )


def labels_of(table):
    """{readout: label} of a table's rows, in order."""
    return {name: config["readouts"][name]["label"] for name in config["tables"][table]["readouts"]}


def minutes(at_least):
    """Runtime that doubles with each attempt: a job that resumes is never lost to a limit."""
    return lambda wildcards, attempt: at_least * 2 ** (attempt - 1)
