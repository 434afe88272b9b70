"""The config: merged from files, checked, and completed."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vie.config.checks import across
from vie.config.messages import explain
from vie.config.models import Config
from vie.runtime.errors import VieError


def load_config(*paths: str | Path) -> dict[str, Any]:
    """The config of YAML files, merged as Snakemake's --configfile does: later ones win.

    Raises:
        VieError: lists every wrong key with its value and what is allowed there.
    """
    config: dict[str, Any] = {}
    for path in paths:
        with Path(path).open() as file:
            overlay = yaml.safe_load(file) or {}
        if not isinstance(overlay, dict):
            raise VieError(f"{path}: a config is a mapping of keys, not a {type(overlay).__name__}")
        merge(config, overlay)
    validate(config)
    return config


def merge(base: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Merge `overlay` into `base` key by key, in place; anything but a mapping is replaced.

    Mappings that YAML's anchors share between keys become independent. As in Snakemake, an empty
    mapping replaces nothing.
    """
    for key, value in overlay.items():
        if isinstance(value, dict):
            below = base.get(key, {})
            base[key] = merge(below if isinstance(below, dict) or not value else {}, value)
        else:
            base[key] = value
    return base


def validate(config: dict[str, Any]) -> None:
    """Check a config, and complete it in place.

    Equal configs become equal, whatever the order of their keys: defaults are filled in, 25.0
    becomes 25, and numbers that are written as text become numbers. A key whose value is null is
    taken away, as an overlay cannot take one away otherwise.

    Raises:
        VieError: lists every wrong key with its value and what is allowed there.
    """
    try:
        found = Config.model_validate(_without_null(config)).as_dict()
        problems = list(across(found))
    except ValidationError as error:
        from vie.config.schema import json_schema  # only here: it takes time

        problems = explain(error, json_schema())
    if problems:
        raise VieError("the config has errors:\n" + "\n".join(f"  - {p}" for p in problems))
    config.clear()
    config.update(found)


def _without_null(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_null(value) for key, value in node.items() if value is not None}
    return node
