"""What the models cannot say: names that must exist elsewhere, numbers that must fit each other.

Each check yields sentences that name the key, its value and what is allowed.
"""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from vie.config.clip_frames import clip_frames
from vie.config.datasets import OF_VIDEOS
from vie.config.finetuning_checks import lengths, split_names
from vie.config.layouts import LAYOUTS, OFFICIAL_NAMES, misnamed
from vie.config.messages import nearest
from vie.config.probe_checks import image_probe, schedule
from vie.config.recipe_checks import geometry, pixels, recipe_problems
from vie.config.recipes import PRETEXTS, Objective, Schedule
from vie.config.settings import (
    IMPORTED,
    NETWORKS,
    recipes_of,
    stages,
)
from vie.runtime.importing import problem_with

TABLE_S1 = Path(__file__).parents[1] / "reporting" / "published" / "table_s1.csv"
# Names that an objective of the user's cannot have: keys and files of that name exist.
TAKEN = {*Schedule.model_fields, *Objective.model_fields, "untrained", IMPORTED}


def across(config: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a completed config."""
    datasets, recipes, evaluations = config["datasets"], config["recipes"], config["evaluations"]
    if config["dataset"] not in datasets:
        yield _absent("dataset", config["dataset"], "datasets", datasets)
    elif "train" not in datasets[config["dataset"]]["shards"]:
        yield f"dataset: {config['dataset']!r} has no shards of train and val: it is for finetuning"
    elif LAYOUTS[datasets[config["dataset"]]["layout"]].images:
        yield f"dataset: {config['dataset']!r} has images, and networks are pretrained on videos"
    for name, dataset in datasets.items():
        yield from _dataset(f"datasets.{name}", dataset)
    yield from misnamed(config)
    for name in config["roots"]:
        if name not in datasets:
            yield f"roots.{name}: is not among datasets: {', '.join(datasets)}"
        elif "generator" in datasets[name]:
            yield f"roots.{name}: the workflow itself writes this dataset, and knows where"
    for name, evaluation in evaluations.items():
        yield from _evaluation(f"evaluations.{name}", evaluation, recipes)
    for table, content in config["tables"].items():
        yield from _table(table, content["evaluations"], evaluations)
    yield from _own_code(config)
    for name, recipe in recipes.items():
        yield from recipe_problems(name, recipe, config)
    yield from _finetuning(config)
    yield from schedule("probe", config["probe"])
    if "image_probe" in config:
        yield from image_probe(config["image_probe"], datasets)
    for label in _twice(r["label"] for r in recipes.values() if set(stages(r)) & set(PRETEXTS)):
        yield f"recipes: two rows of results/pretext.csv would have the label {label!r}"
    yield from _shares(config)
    if _twice(config["seeds"]):
        yield f"seeds: {config['seeds']} names a seed twice"


def _absent(key: str, value: str, kind: str, known: Iterable[str]) -> str:
    names = [*known]
    return f"{key}: {value!r} is not among {kind}: {', '.join(names)}{nearest(value, names)}"


def _twice(values: Iterable[Any]) -> set[Any]:
    every = list(values)
    return {value for value in every if every.count(value) > 1}


def _shares(config: dict[str, Any]) -> Iterator[str]:
    """What several GPUs, or nodes, cannot share."""
    gpus, threads, nodes = config["gpus"], config["threads"]["pretrain"], config["nodes"]
    for name, recipe in config["recipes"].items():
        batch = recipe["optimiser"]["batch"]
        if stages(recipe) and batch % (nodes * max(gpus, 1)):
            who = f"gpus: {gpus} GPUs" if nodes == 1 else f"nodes: {nodes} with {gpus} GPUs each"
            yield (
                f"{who} cannot share the batch of {batch} in recipes.{name}."
                "optimiser.batch: choose a number that divides it"
            )
    if gpus > 1 and threads < 2 * gpus:
        yield (
            f"threads.pretrain: {threads} leaves each of {gpus} GPUs (gpus) a single thread, and "
            f"none that loads clips while it computes: choose at least {2 * gpus}"
        )


def _own_code(config: dict[str, Any]) -> Iterator[str]:
    for kind, taken in (("objectives", TAKEN), ("networks", NETWORKS)):
        for name, path in config[kind].items():
            if name in taken:
                yield f"{kind}.{name}: this name is taken; choose another one"
            if problem := problem_with(path):
                yield f"{kind}.{name}: {path!r} cannot be imported: {problem}"
    for name in config["objectives"]:
        if name in config["networks"]:
            yield f"networks.{name}: an objective has this name; choose another one"


def _dataset(key: str, dataset: dict[str, Any]) -> Iterator[str]:
    layout, generator = dataset["layout"], dataset.get("generator")
    facts, official = LAYOUTS[layout], dataset.get("official_name")
    given = {"videos", "annotations"} & set(dataset)
    needed = given - set(facts.may_have)
    if (generator is not None) == bool(given) or (given and needed != set(facts.needs)):
        yield (
            f"{key}: layout {layout} needs {' and '.join(facts.needs)} (a dataset you have) or "
            "generator (one that the workflow writes), and not both"
        )
    if generator and official:
        yield f"{key}.official_name: a generated dataset has no published results; leave it out"
    if official and OFFICIAL_NAMES[official] != layout:
        wanted = OFFICIAL_NAMES[official]
        yield f"{key}.official_name: {official!r} has the layout {wanted}, not {layout}"
    if generator and not facts.generator:
        written = ", ".join(name for name, one in LAYOUTS.items() if one.generator)
        yield f"{key}.generator: writes the layouts {written}, not {layout}"
    elif generator and set(generator) - set(facts.generator_may_have) != {
        "dataset_seed",
        *facts.generator,
    }:
        wanted = ", ".join(sorted(("dataset_seed", *facts.generator)))
        more = "".join(f", and perhaps {one}" for one in facts.generator_may_have)
        yield f"{key}.generator: layout {layout} takes {wanted}{more}"
    for own in ("cut", "val_share", "dataset_seed"):
        if own in dataset and not facts.finds:
            yield f"{key}.{own}: is for layout flat, not {layout}"
    if "cut" in dataset and dataset["cut"]["overlap"] >= dataset["cut"]["seconds"]:
        yield f"{key}.cut.overlap: must be less than seconds ({dataset['cut']['seconds']})"
    cut, longest = dataset.get("cut"), dataset["frames"].get("max_seconds")
    if cut and longest and 1.5 * cut["seconds"] > longest:
        yield (
            f"{key}.cut.seconds: {cut['seconds']}: pieces are up to half as much longer, and "
            f"frames.max_seconds is {longest:g}: lower the one or raise the other"
        )
    of_frames = dataset["frames"]
    if not facts.images and dataset["min_frames"] > of_frames["fps"] * of_frames["max_seconds"]:
        yield (
            f"{key}.min_frames: {dataset['min_frames']} is more than a video of frames.max_seconds "
            f"({of_frames['max_seconds']:g}) has at frames.fps ({of_frames['fps']:g}): all would "
            "be rejected"
        )
    if isinstance(dataset.get("videos"), list) and not facts.finds:
        yield f"{key}.videos: a list of folders is for layout flat, not {layout}"
    if facts.missing is None and "missing" in dataset:
        yield f"{key}.missing: layout {layout} has no lists of videos, so none can be missing"
    if facts.images:
        yield from _images(key, dataset)
    found = tuple(dataset["shards"])
    if found not in facts.splits:
        allowed = " or ".join(" and ".join(one) for one in facts.splits)
        yield f"{key}.shards: layout {layout} has shards of {allowed}, not {', '.join(found)}"


def _images(key: str, dataset: dict[str, Any]) -> Iterator[str]:
    """What only videos have."""
    for name in sorted(set(dataset["frames"]) & set(OF_VIDEOS)):
        yield f"{key}.frames.{name}: is of videos, and {dataset['layout']} has images; leave it out"
    if dataset["min_frames"] > 1:
        yield f"{key}.min_frames: an image is one frame, so it must be 1 or be left out"


def _finetuning(config: dict[str, Any]) -> Iterator[str]:
    """What networks are finetuned on, and the rows of its tables."""
    datasets, evaluations = config["datasets"], config["evaluations"]
    for name, target in config["finetuning"]["targets"].items():
        key, chosen = f"finetuning.targets.{name}", target["dataset"]
        if chosen not in datasets:
            yield _absent(f"{key}.dataset", chosen, "datasets", datasets)
            continue
        most = LAYOUTS[datasets[chosen]["layout"]].official_splits
        if "all" not in datasets[chosen]["shards"]:
            yield f"{key}.dataset: {chosen!r} has no shards of all: it is for pretraining"
        elif target["split"] != "all" and 0 < most < target["split"]:
            yield f"{key}.split: {target['split']} is not one of the official splits 1 to {most}"
    yield from split_names(config["finetuning"]["targets"])
    yield from lengths(config)
    for table in ("table_2", "table_3", "retrieval"):
        key, names = f"tables.{table}.evaluations", config["tables"][table]["evaluations"]
        rows = {name: evaluations[name] for name in names if name in evaluations}
        if not any(row["weights"] == "trained" for row in rows.values()):
            yield f"{key}: needs at least one evaluation with weights trained"
        for name, row in rows.items():
            if table == "retrieval" and len(recipes_of(row)) > 1:
                yield f"{key}: {name} is several networks, and the table is of one each"


def _table(table: str, names: list[str], evaluations: dict[str, Any]) -> Iterator[str]:
    key = f"tables.{table}.evaluations"
    for name in names:
        if name not in evaluations:
            yield _absent(key, name, "evaluations", evaluations)
    labels = [evaluations[name]["label"] for name in names if name in evaluations]
    for label in _twice(labels):
        yield f"{key}: two rows would have the label {label!r}"
    if table == "table_s1":
        with TABLE_S1.open(newline="") as file:
            known = [row["model"] for row in csv.DictReader(file)]
        for label in labels:
            if label not in known:
                yield f"{key}: {label!r} is not a row of the paper's: {', '.join(known)}"


def _evaluation(key: str, evaluation: dict[str, Any], recipes: dict[str, Any]) -> Iterator[str]:
    names = recipes_of(evaluation)
    for name in names:
        if name not in recipes:
            yield _absent(f"{key}.recipe", name, "recipes", recipes)
    if clip_frames(evaluation["clip"]).windows:
        yield f"{key}.clip: evaluations take frames with a stride, not windows"
    yield from schedule(key, evaluation)
    yield from schedule(f"{key}.image_probe", evaluation.get("image_probe", {}))
    if "geometry" in evaluation:
        yield from geometry(key, evaluation["geometry"])
    for name in [name for name in names if name in recipes][:1]:  # all have the same
        yield from pixels(key, evaluation["clip"], {**recipes[name], **evaluation}["geometry"])
    shared = [setting for setting in ("geometry", "color_jitter") if setting not in evaluation]
    transforms = [[recipes[name][one] for one in shared] for name in names if name in recipes]
    if any(one != transforms[0] for one in transforms):
        yield (
            f"{key}.recipe: {', '.join(names)} see the same clips, so their "
            f"{' and '.join(shared)} must be the same"
        )
