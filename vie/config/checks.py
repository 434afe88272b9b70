"""What the models cannot say: names that must exist elsewhere, numbers that must fit each other.

Each check yields sentences that name the key, its value and what is allowed.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vie.config.clip_frames import clip_frames
from vie.config.layouts import LAYOUTS, OFFICIAL_NAMES
from vie.config.settings import (
    ALONE,
    NETWORKS,
    PRETEXTS,
    SETTINGS,
    STAGES,
    asks_for_motion,
    recipes_of,
    stages,
)

TABLE_S1 = Path(__file__).parents[1] / "reporting" / "published" / "table_s1.csv"
# Names that an objective of the user's cannot have: keys and files of that name exist.
TAKEN = (*STAGES, "temperature", "bank_momentum", "lr_drops", "untrained")


def across(config: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a completed config."""
    datasets, recipes, evaluations = config["datasets"], config["recipes"], config["evaluations"]
    if config["dataset"] not in datasets:
        known = ", ".join(datasets)
        yield f"dataset: {config['dataset']!r} is not among datasets: {known}"
    for name, dataset in datasets.items():
        yield from _dataset(name, dataset)
    for name in config["roots"]:
        if name not in datasets:
            yield f"roots.{name}: is not among datasets: {', '.join(datasets)}"
        elif "generator" in datasets[name]:
            yield f"roots.{name}: the workflow itself writes this dataset, and knows where"
    if config["dataset"] in datasets and "train" not in datasets[config["dataset"]]["shards"]:
        yield f"dataset: {config['dataset']!r} has no shards of train and val: it is for finetuning"
    for name, evaluation in evaluations.items():
        yield from _evaluation(name, evaluation, recipes)
    for table, content in config["tables"].items():
        yield from _table(table, content["evaluations"], evaluations)
    yield from _own_code(config)
    for name, recipe in recipes.items():
        yield from _recipe(name, recipe, config)
    yield from _finetuning(config)
    pretexts = [r["label"] for r in recipes.values() if set(stages(r)) & set(PRETEXTS)]
    for label in {label for label in pretexts if pretexts.count(label) > 1}:
        yield f"recipes: two rows of results/pretext.csv would have the label {label!r}"
    for name, recipe in recipes.items():
        batch = recipe["optimiser"]["batch"]
        if batch % max(config["gpus"], 1):
            yield (
                f"gpus: {config['gpus']} GPUs cannot share the batch of {batch} in recipes.{name}."
                "optimiser.batch: choose a number that divides it"
            )
    threads, needed = config["threads"]["pretrain"], 2 * config["gpus"]
    if config["gpus"] > 1 and threads < needed:
        yield (
            f"threads.pretrain: {threads} leaves each of {config['gpus']} GPUs (gpus) a single "
            f"thread, and none that loads clips while it computes: choose at least {needed}"
        )
    if len(set(config["seeds"])) != len(config["seeds"]):
        yield f"seeds: {config['seeds']} names a seed twice"


def _own_code(config: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the names of the user's own objectives and networks."""
    for kind, taken in (("objectives", TAKEN), ("networks", NETWORKS)):
        for name in config[kind]:
            if name in taken:
                yield f"{kind}.{name}: this name is taken; choose another one"
    for name in config["objectives"]:
        if name in config["networks"]:
            yield f"networks.{name}: an objective has this name; choose another one"


def _dataset(name: str, dataset: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one dataset."""
    key, layout = f"datasets.{name}", dataset["layout"]
    facts = LAYOUTS[layout]
    given = {"videos", "annotations"} & set(dataset)
    if ("generator" in dataset) == bool(given) or (given and given != set(facts.needs)):
        yield (
            f"{key}: layout {layout} needs {' and '.join(facts.needs)} (a dataset you have) or "
            "generator (one that the workflow writes), and not both"
        )
    if "generator" in dataset and "official_name" in dataset:
        yield f"{key}.official_name: a generated dataset has no published results; leave it out"
    official = dataset.get("official_name")
    if official and OFFICIAL_NAMES[official] != layout:
        wanted = OFFICIAL_NAMES[official]
        yield f"{key}.official_name: {official!r} has the layout {wanted}, not {layout}"
    if "generator" in dataset and not facts.generator:
        written = ", ".join(name for name, one in LAYOUTS.items() if one.generator)
        yield f"{key}.generator: writes the layouts {written}, not {layout}"
    elif "generator" in dataset and set(dataset["generator"]) != {"dataset_seed", *facts.generator}:
        wanted = ", ".join(sorted(("dataset_seed", *facts.generator)))
        yield f"{key}.generator: layout {layout} takes {wanted}"
    if facts.missing is None and "missing" in dataset:
        yield f"{key}.missing: layout {layout} has no lists of videos, so none can be missing"
    found = tuple(dataset["shards"])
    if found not in facts.splits:
        allowed = " or ".join(" and ".join(one) for one in facts.splits)
        yield f"{key}.shards: layout {layout} has shards of {allowed}, not {', '.join(found)}"


def _finetuning(config: dict[str, Any]) -> Iterator[str]:
    """What is wrong with what networks are finetuned on, and with the rows of its tables."""
    datasets, evaluations = config["datasets"], config["evaluations"]
    for name, target in config["finetuning"]["targets"].items():
        key, chosen = f"finetuning.targets.{name}", target["dataset"]
        if chosen not in datasets:
            yield f"{key}.dataset: {chosen!r} is not among datasets: {', '.join(datasets)}"
        elif "all" not in datasets[chosen]["shards"]:
            yield f"{key}.dataset: {chosen!r} has no shards of all: it is for pretraining"
        elif 0 < LAYOUTS[datasets[chosen]["layout"]].official_splits < target["split"]:
            most = LAYOUTS[datasets[chosen]["layout"]].official_splits
            yield f"{key}.split: {target['split']} is not one of the official splits 1 to {most}"
    most, every = (config["finetuning"]["schedule"][key] for key in ("most", "every"))
    (longest, unit), (between, other) = most.split(), every.split()
    if unit.rstrip("s") == other.rstrip("s") and not 0 < float(between) <= float(longest):
        yield f"finetuning.schedule.every: {every} must be more than 0 and at most {most} (most)"
    for table in ("table_2", "table_3"):
        rows = config["tables"][table]["evaluations"]
        if not any(evaluations[n]["weights"] == "trained" for n in rows if n in evaluations):
            yield f"tables.{table}.evaluations: needs at least one evaluation with weights trained"
        for name in config["tables"][table]["evaluations"]:
            if name in evaluations and len(recipes_of(evaluations[name])) > 1:
                yield f"tables.{table}.evaluations: {name} is several networks, not one to finetune"


def _table(table: str, names: list[str], evaluations: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the rows of one table."""
    key = f"tables.{table}.evaluations"
    for evaluation in names:
        if evaluation not in evaluations:
            yield f"{key}: {evaluation!r} is not among evaluations: {', '.join(evaluations)}"
    labels = [evaluations[name]["label"] for name in names if name in evaluations]
    for label in {label for label in labels if labels.count(label) > 1}:
        yield f"{key}: two rows would have the label {label!r}"
    if table == "table_s1":
        with TABLE_S1.open(newline="") as file:
            known = [row["model"] for row in csv.DictReader(file)]
        for label in labels:
            if label not in known:
                yield f"{key}: {label!r} is not a row of the paper's: {', '.join(known)}"


def _evaluation(name: str, evaluation: dict[str, Any], recipes: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one evaluation."""
    known = ", ".join(recipes)
    absent = [recipe for recipe in recipes_of(evaluation) if recipe not in recipes]
    for recipe in absent:
        yield f"evaluations.{name}.recipe: {recipe!r} is not among recipes: {known}"
    if asks_for_motion(evaluation["clip"]):
        yield f"evaluations.{name}.clip: evaluations take frames with a stride, not windows"
    shared = [key for key in ("geometry", "color_jitter") if key not in evaluation]
    transforms = [
        {key: recipes[recipe][key] for key in shared}
        for recipe in recipes_of(evaluation)
        if recipe in recipes
    ]
    if any(one != transforms[0] for one in transforms):
        yield (
            f"evaluations.{name}.recipe: {', '.join(recipes_of(evaluation))} see the same clips, "
            f"so their {' and '.join(shared)} must be the same"
        )


def _recipe(name: str, recipe: dict[str, Any], config: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one recipe."""
    recipes = config["recipes"]
    low, high = recipe["geometry"]["train_shorter_side"]
    size = recipe["geometry"]["size"]
    if not size <= low <= high:
        yield (
            f"recipes.{name}.geometry.train_shorter_side: [{low}, {high}] must rise and start "
            f"at size ({size}) or above"
        )
    if recipe["geometry"]["test_shorter_side"] < size:
        yield f"recipes.{name}.geometry.test_shorter_side: must be at least size ({size})"
    wrong_encoder = list(_encoder(name, recipe, config["networks"]))
    yield from wrong_encoder
    found, alone = stages(recipe), (*ALONE, *config["objectives"])
    if not found or (len(found) > 1 and set(found) & set(alone)):
        yield (
            f"recipes.{name}.schedule: name instance_recognition and local_aggregation, one of "
            f"them, or one of {', '.join(alone)} alone"
        )
    for stage in SETTINGS:
        if stage in found and stage not in recipe["objective"]:
            yield f"recipes.{name}.objective: lacks {stage}, which its schedule names"
    if "order_prediction" in found and not wrong_encoder:
        yield from _order(name, recipe)
    chain, origin = [name], recipe.get("start_from")
    while origin is not None:
        if origin not in recipes or origin in chain:
            yield (
                f"recipes.{chain[-1]}.start_from: {origin!r} must be another recipe that does not "
                f"start from this one; there are: {', '.join(recipes)}"
            )
            return
        chain.append(origin)
        origin = recipes[origin].get("start_from")


def _order(name: str, recipe: dict[str, Any]) -> Iterator[str]:
    """What order prediction asks of its recipe."""
    clip, geometry = clip_frames(recipe["clip"]), recipe["geometry"]
    settings = recipe["objective"].get("order_prediction", {})
    network = recipe["encoder"]["network"]
    if network != "single":
        yield (
            f"recipes.{name}.encoder.network: order prediction shuffles features of single frames, "
            f"so it needs single, not {network}"
        )
    if not 3 <= clip.frames <= 5:
        yield f"recipes.{name}.clip: order prediction needs 3 to 5 frames, not {clip.frames}"
    if recipe.get("min_frames", 1) < clip.span:
        yield (
            f"recipes.{name}.min_frames: must be at least the {clip.span} frames that its clip "
            "spans: a shorter video would start again from its first frame, out of order"
        )
    room, shift = (
        geometry["train_shorter_side"][0] - geometry["size"],
        settings.get("frame_shift", 0),
    )
    if 0 <= room < 2 * shift:
        yield (
            f"recipes.{name}.objective.order_prediction.frame_shift: {shift} pixels to "
            f"either side do not fit: geometry.train_shorter_side must exceed size by twice as much"
        )


def _encoder(name: str, recipe: dict[str, Any], own: dict[str, str]) -> Iterator[str]:
    """Settings that only some networks have, and clips that do not fit the network."""
    encoder, key = recipe["encoder"], f"recipes.{name}.encoder"
    network = encoder["network"]
    if network in own:
        return  # takes any settings
    if network not in NETWORKS:
        known = ", ".join((*NETWORKS, *own))
        yield f"{key}.network: {network!r} is not one of {known}; add your own to networks"
        return
    for setting in ("frames", "fast_width", "stride"):
        owners = [name for name, settings in NETWORKS.items() if setting in settings]
        if setting in encoder and network not in owners:
            yield f"{key}.{setting}: only the network {owners[0]} has it, not {network}"
    frames = clip_frames(recipe["clip"]).frames
    if network == "trn" and frames != encoder["frames"]:
        yield f"{key}.frames: {encoder['frames']} is not the {frames} frames of its clip"
    if network == "slowfast" and frames % encoder["stride"]:
        yield (
            f"recipes.{name}.clip: has {frames} frames, which is no multiple of encoder.stride "
            f"({encoder['stride']})"
        )
