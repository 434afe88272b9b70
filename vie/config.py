"""The config: checked against its schema, and the few values that are worked out from it.

Imports neither torch nor pandas: Snakemake runs this each time it builds the job graph.
"""

import functools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from vie.errors import VieError

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
    """Merge `overlay` into `base` key by key, in place; anything but a mapping is replaced."""
    for key, value in overlay.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value
    return base


def validate(config: dict[str, Any], schema: Path = SCHEMA) -> None:
    """Check a config against the schema and across its keys.

    Numbers that are written as text where the schema wants a number are made numbers, in place:
    Snakemake's --config hands over `seeds=[0,1,2]` as text.

    Raises:
        VieError: lists every wrong key with its value and what is allowed there.
    """
    with schema.open() as file:
        validator = jsonschema.Draft202012Validator(yaml.safe_load(file))
    for error in list(validator.iter_errors(config)):
        _read_number(config, error)
    # Unknown keys first: the rest of what is wrong often follows from a typo.
    errors = sorted(
        validator.iter_errors(config), key=lambda e: (e.validator != "additionalProperties", e.path)
    )
    problems = [_explain(error) for error in errors] or list(_across(config))
    if problems:
        raise VieError("the config has errors:\n" + "\n".join(f"  - {p}" for p in problems))


def _read_number(config: dict[str, Any], error: jsonschema.ValidationError) -> None:
    """Mend, in place, a violation that consists in a number written as text."""
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
        unknown = [k for k in error.instance if k not in known]
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
    keys = ", ".join(
        f"{name} ({value['type']}{' of at least ' + str(value['minimum'])})"
        for name, value in schema["properties"].items()
    )
    return f"a mapping with {keys}"


def _across(config: dict[str, Any]) -> Iterator[str]:
    """What a schema cannot say: names that must exist elsewhere in the config, ranges in order."""
    datasets, recipes, readouts = config["datasets"], config["recipes"], config["readouts"]
    if config["dataset"] not in datasets:
        known = ", ".join(datasets)
        yield f"dataset: {config['dataset']!r} is not among datasets: {known}"
    for kind in ("datasets", "recipes", "readouts"):
        for name in config[kind]:
            # Names become folders and wildcards.
            if not re.fullmatch(r"[A-Za-z0-9_]+", name):
                yield f"{kind}.{name}: a name has only letters, digits and underscores"
    for name, dataset in datasets.items():
        given = {"videos", "annotations"} & set(dataset)
        if ("generator" in dataset and given) or ("generator" not in dataset and len(given) < 2):
            yield (
                f"datasets.{name}: needs videos and annotations (a dataset you have) or generator "
                "(one that the workflow writes), and not both"
            )
    for name, readout in readouts.items():
        if readout["recipe"] not in recipes:
            known = ", ".join(recipes)
            yield f"readouts.{name}.recipe: {readout['recipe']!r} is not among recipes: {known}"
    for table, content in config["tables"].items():
        for readout in content["readouts"]:
            if readout not in readouts:
                yield f"tables.{table}.readouts: {readout!r} is not among readouts: " + ", ".join(
                    readouts
                )
    for name, recipe in recipes.items():
        low, high = recipe["geometry"]["train_shorter_side"]
        size = recipe["geometry"]["size"]
        if not size <= low <= high:
            yield (
                f"recipes.{name}.geometry.train_shorter_side: [{low}, {high}] must rise and start "
                f"at size ({size}) or above"
            )
        if recipe["geometry"]["test_shorter_side"] < size:
            yield f"recipes.{name}.geometry.test_shorter_side: must be at least size ({size})"
    if len(set(config["seeds"])) != len(config["seeds"]):
        yield f"seeds: {config['seeds']} names a seed twice"


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
