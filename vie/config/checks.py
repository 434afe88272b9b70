"""What a schema cannot say of a config: names that must exist elsewhere, numbers that must fit.

Each check yields sentences that name the key, its value and what is allowed.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vie.config.settings import ALONE, PRETEXTS, SETTINGS, asks_for_motion, recipes_of, stages
from vie.runtime.errors import VieError

# Splits that the datasets of a layout may have: for pretraining, or for finetuning.
PRETRAINING, FINETUNING = {"train", "val"}, {"all"}
SPLITS = {
    "kinetics": [PRETRAINING],
    "ucf101": [FINETUNING],
    "hmdb51": [FINETUNING],
    "folders": [PRETRAINING, FINETUNING],
}
IDENTITIES = {"kinetics400": "kinetics", "ucf101": "ucf101", "hmdb51": "hmdb51"}  # their layouts
# Settings of the embedded dataset in a layout, besides its draw.
GROUPS = ("train_groups", "test_groups", "clips_per_group")
# Names of columns of tables 2 and 3, but for those that they have anyhow.
TARGET = re.compile(
    r"(?!(?:model|seeds|split|validation|comparable)$)(?!.*_(?:n|ci95|top5|published)$)"
    r"[A-Za-z_][A-Za-z0-9_]*"
)
GENERATORS = {
    "kinetics": ("train_videos_per_class", "val_videos_per_class"),
    "ucf101": GROUPS,
    "hmdb51": GROUPS,
}
TABLE_S1 = Path(__file__).parents[1] / "reporting" / "published" / "table_s1.csv"
# Settings of an encoder that one network alone has.
ONLY = {"frames": "trn", "fast_width": "slowfast", "stride": "slowfast"}


def across(config: dict[str, Any]) -> Iterator[str]:
    """What a schema cannot say: names that must exist elsewhere in the config, ranges in order."""
    datasets, recipes, evaluations = config["datasets"], config["recipes"], config["evaluations"]
    if config["dataset"] not in datasets:
        known = ", ".join(datasets)
        yield f"dataset: {config['dataset']!r} is not among datasets: {known}"
    for kind in ("datasets", "recipes", "evaluations"):
        for name in config[kind]:
            # Names become folders and wildcards.
            if not re.fullmatch(r"[A-Za-z0-9_]+", str(name)) or not isinstance(name, str):
                yield (
                    f"{kind}.{name}: a name has only letters, digits and underscores, and quotes "
                    "around it if it is a number"
                )
    for name, dataset in datasets.items():
        yield from _dataset(name, dataset)
    for name in config.get("roots", {}):
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
    for name, recipe in recipes.items():
        yield from _recipe(name, recipe, recipes)
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


def _dataset(name: str, dataset: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one dataset."""
    key, layout = f"datasets.{name}", dataset["layout"]
    needed = {"videos"} if layout == "folders" else {"videos", "annotations"}
    given = {"videos", "annotations"} & set(dataset)
    if ("generator" in dataset and given) or ("generator" not in dataset and given != needed):
        yield (
            f"{key}: layout {layout} needs {' and '.join(sorted(needed))} (a dataset you have) or "
            "generator (one that the workflow writes), and not both"
        )
    if "generator" in dataset and "official_name" in dataset:
        yield f"{key}.official_name: published values know no generated dataset"
    if (identity := dataset.get("official_name")) and IDENTITIES[identity] != layout:
        wanted = IDENTITIES[identity]
        yield f"{key}.official_name: {identity!r} has the layout {wanted}, not {layout}"
    if "generator" in dataset:
        wanted = {"dataset_seed", *GENERATORS.get(layout, ())}
        if layout not in GENERATORS or set(dataset["generator"]) != wanted:
            yield (
                f"{key}.generator: layout {layout} takes {', '.join(sorted(wanted))}"
                if layout in GENERATORS
                else f"{key}.generator: writes the layouts {', '.join(GENERATORS)}, not {layout}"
            )
    if layout == "folders" and "missing" in dataset:
        yield f"{key}.missing: layout folders has no lists of videos, so none can be missing"
    splits = set(dataset["shards"])
    if splits not in SPLITS[layout]:
        allowed = " or ".join(" and ".join(sorted(one)) for one in SPLITS[layout])
        found = ", ".join(sorted(splits))
        yield f"{key}.shards: layout {layout} has shards of {allowed}, not {found}"


def _finetuning(config: dict[str, Any]) -> Iterator[str]:
    """What is wrong with what networks are finetuned on, and with the rows of its tables."""
    datasets, evaluations = config["datasets"], config["evaluations"]
    for name, target in config["finetuning"]["targets"].items():
        key, chosen = f"finetuning.targets.{name}", target["dataset"]
        if not isinstance(name, str) or not TARGET.fullmatch(name):
            yield (
                f"{key}: a name has only letters, digits and underscores, does not begin with a "
                "digit, and is not one of the table's own columns"
            )
        if chosen not in datasets:
            yield f"{key}.dataset: {chosen!r} is not among datasets: {', '.join(datasets)}"
        elif "all" not in datasets[chosen]["shards"]:
            yield f"{key}.dataset: {chosen!r} has no shards of all: it is for pretraining"
        elif datasets[chosen]["layout"] != "folders" and target["split"] > 3:
            yield f"{key}.split: {target['split']} is not 1, 2 or 3"
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
    try:
        moving = asks_for_motion(evaluation["clip"])
    except VieError as error:
        yield f"evaluations.{name}.clip: {error}"
    else:
        if moving:
            yield f"evaluations.{name}.clip: evaluations take frames with a stride, not windows"
    shared = [key for key in ("geometry", "color_jitter") if key not in evaluation]
    transforms = [
        {key: recipes[recipe][key] for key in shared}
        for recipe in recipes_of(evaluation)
        if recipe in recipes
    ]
    if any(one != transforms[0] for one in transforms):
        yield (
            f"evaluations.{name}.recipe: {', '.join(recipes_of(evaluation))} are read "
            f"side by side, so their {' and '.join(shared)} must be the same"
        )


def _recipe(name: str, recipe: dict[str, Any], recipes: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one recipe."""
    low, high = recipe["geometry"]["train_shorter_side"]
    size = recipe["geometry"]["size"]
    if not size <= low <= high:
        yield (
            f"recipes.{name}.geometry.train_shorter_side: [{low}, {high}] must rise and start "
            f"at size ({size}) or above"
        )
    if recipe["geometry"]["test_shorter_side"] < size:
        yield f"recipes.{name}.geometry.test_shorter_side: must be at least size ({size})"
    yield from _encoder(name, recipe)
    found = stages(recipe)
    if not found or (len(found) > 1 and set(found) & set(ALONE)):
        yield (
            f"recipes.{name}.schedule: name instance_recognition and local_aggregation, one of "
            f"them, or one of {', '.join(ALONE)} alone"
        )
    for stage in SETTINGS:
        if stage in found and stage not in recipe["objective"]:
            yield f"recipes.{name}.objective: lacks {stage}, which its schedule names"
    if "order_prediction" in found and not any(True for _ in _encoder(name, recipe)):
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
    from vie.clips.sampling import sampling

    clip, geometry = sampling(recipe["clip"]), recipe["geometry"]
    settings = recipe["objective"].get("order_prediction", {})
    network = recipe["encoder"]["network"]
    if network != "single":
        yield (
            f"recipes.{name}.encoder.network: order prediction shuffles frames that the network "
            f"has seen one by one, so it needs single, not {network}"
        )
    if not 3 <= clip.frames <= 5:
        yield f"recipes.{name}.clip: order prediction needs 3 to 5 frames, not {clip.frames}"
    if recipe.get("min_frames", 1) < clip.span:
        yield (
            f"recipes.{name}.min_frames: must be at least the {clip.span} frames that its clip "
            "spans: a video that starts again from its first frame has no order"
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


def _encoder(name: str, recipe: dict[str, Any]) -> Iterator[str]:
    """Settings that only some networks have, and clips that do not fit the network."""
    encoder, key = recipe["encoder"], f"recipes.{name}.encoder"
    network = encoder["network"]
    for setting, owner in ONLY.items():
        if setting in encoder and network != owner:
            yield f"{key}.{setting}: only the network {owner} has it, not {network}"
    try:
        frames = _frames(recipe["clip"])
    except VieError as error:
        yield f"recipes.{name}.clip: {error}"
        return
    if network == ONLY["frames"] and frames != encoder.get("frames", 4):
        yield f"{key}.frames: {encoder.get('frames', 4)} is not the {frames} frames of its clip"
    if network == ONLY["stride"] and frames % encoder.get("stride", 4):
        yield (
            f"recipes.{name}.clip: has {frames} frames, which is no multiple of encoder.stride "
            f"({encoder.get('stride', 4)})"
        )


def _frames(clip: str | dict) -> int:
    """Frames of a clip setting.

    Raises:
        VieError: its numbers do not fit each other.
    """
    from vie.clips.sampling import sampling

    return sampling(clip).frames
