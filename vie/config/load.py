"""The config: checked against its schema, and the few values that are worked out from it.

Imports neither torch nor pandas: Snakemake runs this each time it builds the job graph.
"""

import fnmatch
import functools
import math
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from vie.config.checks import across
from vie.runtime.errors import VieError

# JSON schema counts 1.0 among the integers; a shard or seed "1.0" would be another file.
Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)
SCHEMA = Path(__file__).parents[2] / "schemas" / "config.schema.yaml"
# Eight times as fast, where PyYAML has it.
SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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

    Every recipe gets an evaluation of its own name and clip, and patterns in tables become the
    names that they match.

    Numbers that are written as text where the schema wants a number are made numbers, in place:
    Snakemake's --config hands over `seeds=[0,1,2]` as text.

    Raises:
        VieError: lists every wrong key with its value and what is allowed there.
    """
    targets = config.get("finetuning", {}).get("targets", {})
    for name in [name for name, target in targets.items() if target is None]:
        del targets[name]  # an overlay can only add keys: null takes one away
    with schema.open() as file:
        validator = Validator(yaml.load(file, Loader=SafeLoader))
    for error in list(validator.iter_errors(config)):
        _read_number(config, error)
    # Unknown keys first: the rest of what is wrong often follows from a typo.
    errors = sorted(
        validator.iter_errors(config), key=lambda e: (e.validator != "additionalProperties", e.path)
    )
    problems = [_explain(error) for error in errors]
    if not problems:
        _complete(config)
        problems = list(across(config))
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
    for dataset in config["datasets"].values():
        whole = dataset["layout"] in ("ucf101", "hmdb51")  # small, and complete if got at all
        if dataset["layout"] != "folders":
            dataset.setdefault("missing", "error" if whole else "reject")
    own = {
        name: {
            "label": recipe["label"],
            "recipe": name,
            "clip": _anywhere(recipe["clip"]),
            "weights": "trained",
        }
        for name, recipe in config["recipes"].items()
    }
    evaluations = config["evaluations"] = {**own, **config["evaluations"]}
    for table in config["tables"].values():
        rows: list[str] = []
        for pattern in table["evaluations"]:
            matching = [n for n in evaluations if fnmatch.fnmatchcase(str(n), pattern)] or [pattern]
            rows += [name for name in matching if name not in rows]
        table["evaluations"] = rows


def _anywhere(clip: str | dict) -> str | dict:
    """The clip of a recipe's own evaluation: its longest window, wherever the video moves."""
    from vie.clips.sampling import sampling

    try:
        found = sampling(clip)
    except VieError:
        return clip  # is reported with the recipe
    if not found.windows:
        return clip
    return {"frames": found.frames, "stride": (found.span - 1) / max(found.frames - 1, 1)}
