"""The config: checked against its schema, and the few values that are worked out from it.

Imports neither torch nor pandas: Snakemake runs this each time it builds the job graph.
"""

import csv
import fnmatch
import functools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from vie.errors import VieError

# Stages of pretraining in their order; a recipe has those that its schedule names.
STAGES = (
    *("instance_recognition", "local_aggregation"),
    *("supervised", "order_prediction", "rotation"),
)
PRETEXTS = ("order_prediction", "rotation")  # stages that set a task with right answers
ALONE = ("supervised", *PRETEXTS)  # stages that neither follow nor precede another one
# Settings of its own that the objective of a stage needs.
SETTINGS = ("instance_recognition", "local_aggregation", *PRETEXTS)
LAYERS = ("conv3", "conv4", "conv5")  # that classifiers read, protocol section 7
# Settings of an encoder that one network alone has.
ONLY = {"frames": "trn", "fast_width": "slowfast", "stride": "slowfast"}
# JSON schema counts 1.0 among the integers; a shard or seed "1.0" would be another file.
Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)
TABLE_S1 = Path(__file__).parent / "reporting" / "published" / "table_s1.csv"
SCHEMA = Path(__file__).parent.parent / "schemas" / "config.schema.yaml"


def load_config(*paths: str | Path) -> dict[str, Any]:
    """Merge YAML files as Snakemake's --configfile does (later ones win), then check them."""
    config: dict[str, Any] = {}
    for path in paths:
        with Path(path).open() as file:
            merge(config, yaml.safe_load(file) or {})
    validate(config)
    return config


def merge(base: dict, overlay: dict) -> dict:
    """Merge `overlay` into `base` key by key, in place; anything but a mapping is replaced.

    Mappings that YAML's anchors share between keys become independent.
    """
    for key, value in overlay.items():
        if isinstance(value, dict):
            below = base.get(key)
            base[key] = merge(below if isinstance(below, dict) else {}, value)
        else:
            base[key] = value
    return base


def validate(config: dict[str, Any], schema: Path = SCHEMA) -> None:
    """Check a config against the schema and across its keys, and complete it.

    Every recipe gets a readout of its own name and clip, and patterns in tables become the names
    that they match.

    Numbers that are written as text where the schema wants a number are made numbers, in place:
    Snakemake's --config hands over `seeds=[0,1,2]` as text.

    Raises:
        VieError: lists every wrong key with its value and what is allowed there.
    """
    with schema.open() as file:
        validator = Validator(yaml.safe_load(file))
    for error in list(validator.iter_errors(config)):
        _read_number(config, error)
    # Unknown keys first: the rest of what is wrong often follows from a typo.
    errors = sorted(
        validator.iter_errors(config), key=lambda e: (e.validator != "additionalProperties", e.path)
    )
    problems = [_explain(error) for error in errors]
    if not problems:
        _complete(config)
        problems = list(_across(config))
    if problems:
        raise VieError("the config has errors:\n" + "\n".join(f"  - {p}" for p in problems))


def _read_number(config: dict[str, Any], error: jsonschema.ValidationError) -> None:
    """Mend, in place, a violation that consists in a number written as text."""
    for choice in error.context:  # of a oneOf: mended if one of its alternatives is a number
        if not choice.relative_path:
            _read_number(config, choice)
    kinds = {"integer": int, "number": float}
    wanted = error.validator_value if error.validator == "type" else None
    if wanted not in kinds or not isinstance(error.instance, str):
        return
    try:
        value = kinds[wanted](error.instance)
    except ValueError:
        return
    *parents, key = error.absolute_path
    if math.isfinite(value):
        functools.reduce(lambda node, part: node[part], parents, config)[key] = value


def _explain(error: jsonschema.ValidationError) -> str:
    """One schema violation as key, value and what is allowed."""
    key = ".".join(str(part) for part in error.absolute_path) or "(top level)"
    about = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    about = f" ({about})" if about else ""
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {}))
        unknown = [str(k) for k in error.instance if k not in known]
        return f"{key}: unknown key {', '.join(unknown)}; known here: {', '.join(known)}"
    if error.validator == "required":
        return f"{key}: {error.message}{about}"
    if error.validator == "enum":
        allowed = ", ".join(map(str, error.validator_value))
        return f"{key}: {error.instance!r} is not one of {allowed}{about}"
    if error.validator == "pattern":
        return f"{key}: {error.instance!r} is not written as it should be{about}"
    if error.validator == "oneOf":
        allowed = " or ".join(_alternative(choice) for choice in error.validator_value)
        return f"{key}: {error.instance!r} is not {allowed}{about}"
    return f"{key}: {error.message}{about}"


def _alternative(schema: dict) -> str:
    """One alternative of a schema in words."""
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "properties" not in schema:
        return schema["description"]
    least = " of at least {}"
    keys = ", ".join(
        f"{name} ({value['type']}{least.format(value['minimum']) if 'minimum' in value else ''})"
        for name, value in schema["properties"].items()
    )
    return f"a mapping with {keys}"


def _complete(config: dict[str, Any]) -> None:
    """Add what goes without saying, in place."""
    own = {
        name: {
            "label": recipe["label"],
            "recipe": name,
            "clip": _anywhere(recipe["clip"]),
            "weights": "trained",
        }
        for name, recipe in config["recipes"].items()
    }
    readouts = config["readouts"] = {**own, **config["readouts"]}
    for table in config["tables"].values():
        rows: list[str] = []
        for pattern in table["readouts"]:
            matching = [n for n in readouts if fnmatch.fnmatchcase(str(n), pattern)] or [pattern]
            rows += [name for name in matching if name not in rows]
        table["readouts"] = rows


def _anywhere(clip: str | dict) -> str | dict:
    """The clip of a recipe's own readout: its longest window, wherever the video moves."""
    from vie.data.sampling import sampling

    try:
        found = sampling(clip)
    except VieError:
        return clip  # is reported with the recipe
    if not found.windows:
        return clip
    return {"frames": found.frames, "stride": (found.span - 1) / max(found.frames - 1, 1)}


def _across(config: dict[str, Any]) -> Iterator[str]:
    """What a schema cannot say: names that must exist elsewhere in the config, ranges in order."""
    datasets, recipes, readouts = config["datasets"], config["recipes"], config["readouts"]
    if config["dataset"] not in datasets:
        known = ", ".join(datasets)
        yield f"dataset: {config['dataset']!r} is not among datasets: {known}"
    for kind in ("datasets", "recipes", "readouts"):
        for name in config[kind]:
            # Names become folders and wildcards.
            if not re.fullmatch(r"[A-Za-z0-9_]+", str(name)) or not isinstance(name, str):
                yield (
                    f"{kind}.{name}: a name has only letters, digits and underscores, and quotes "
                    "around it if it is a number"
                )
    for name, dataset in datasets.items():
        given = {"videos", "annotations"} & set(dataset)
        if ("generator" in dataset and given) or ("generator" not in dataset and len(given) < 2):
            yield (
                f"datasets.{name}: needs videos and annotations (a dataset you have) or generator "
                "(one that the workflow writes), and not both"
            )
        if "generator" in dataset and "identity" in dataset:
            yield f"datasets.{name}.identity: published values know no generated dataset"
    for name, readout in readouts.items():
        yield from _readout(name, readout, recipes)
    for table, content in config["tables"].items():
        yield from _table(table, content["readouts"], readouts)
    for name, recipe in recipes.items():
        yield from _recipe(name, recipe, recipes)
    pretexts = [r["label"] for r in recipes.values() if set(stages(r)) & set(PRETEXTS)]
    for label in {label for label in pretexts if pretexts.count(label) > 1}:
        yield f"recipes: two rows of results/pretext.csv would have the label {label!r}"
    if len(set(config["seeds"])) != len(config["seeds"]):
        yield f"seeds: {config['seeds']} names a seed twice"


def _table(table: str, names: list[str], readouts: dict[str, Any]) -> Iterator[str]:
    """What is wrong with the rows of one table."""
    key = f"tables.{table}.readouts"
    for readout in names:
        if readout not in readouts:
            yield f"{key}: {readout!r} is not among readouts: {', '.join(readouts)}"
    labels = [readouts[name]["label"] for name in names if name in readouts]
    for label in {label for label in labels if labels.count(label) > 1}:
        yield f"{key}: two rows would have the label {label!r}"
    if table == "table_s1":
        with TABLE_S1.open(newline="") as file:
            known = [row["model"] for row in csv.DictReader(file)]
        for label in labels:
            if label not in known:
                yield f"{key}: {label!r} is not a row of the paper's: {', '.join(known)}"


def _readout(name: str, readout: dict[str, Any], recipes: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one readout."""
    known = ", ".join(recipes)
    absent = [recipe for recipe in recipes_of(readout) if recipe not in recipes]
    for recipe in absent:
        yield f"readouts.{name}.recipe: {recipe!r} is not among recipes: {known}"
    try:
        moving = asks_for_motion(readout["clip"])
    except VieError as error:
        yield f"readouts.{name}.clip: {error}"
    else:
        if moving:
            yield f"readouts.{name}.clip: readouts take frames with a stride, not windows"
    shared = [key for key in ("geometry", "colour") if key not in readout]
    views = [
        {key: recipes[recipe][key] for key in shared}
        for recipe in recipes_of(readout)
        if recipe in recipes
    ]
    if any(view != views[0] for view in views):
        yield (
            f"readouts.{name}.recipe: {', '.join(recipes_of(readout))} are read side by side, so "
            f"their {' and '.join(shared)} must be the same"
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
    from vie.data.sampling import sampling

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
    room, jitter = geometry["train_shorter_side"][0] - geometry["size"], settings.get("jitter", 0)
    if 0 <= room < 2 * jitter:
        yield (
            f"recipes.{name}.objective.order_prediction.jitter: {jitter} pixels to "
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
    from vie.data.sampling import sampling

    return sampling(clip).frames


def asks_for_motion(clip: str | dict) -> bool:
    """Whether a clip setting places its frames where the video moves.

    Raises:
        VieError: its numbers do not fit each other.
    """
    from vie.data.sampling import sampling

    return bool(sampling(clip).windows)


def stages(recipe: dict[str, Any]) -> list[str]:
    """Stages of a recipe's pretraining, in order."""
    return [stage for stage in STAGES if stage in recipe["schedule"]]


def recipes_of(readout: dict[str, Any]) -> list[str]:
    """Recipes whose networks a readout reads, one or several side by side."""
    recipe = readout["recipe"]
    return [recipe] if isinstance(recipe, str) else list(recipe)


def resolve_steps(duration: str, steps_per_epoch: int) -> int:
    """Steps of a duration such as "500 steps" or "2.5 epochs", rounded up.

    Raises:
        VieError: it is neither.
    """
    found = re.fullmatch(r"(?:(\d+) steps?|(\d+(?:\.\d+)?) epochs?)", str(duration))
    if not found:
        raise VieError(f'a duration is written "500 steps" or "2.5 epochs", but got {duration!r}')
    steps, epochs = found.groups()
    return int(steps) if steps else math.ceil(float(epochs) * steps_per_epoch - 1e-9)
