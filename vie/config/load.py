"""The config: merged from files, checked, and completed."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vie.config.ablations import add_ablations, read_overlays
from vie.config.checks import across
from vie.config.messages import all_of, explain
from vie.config.models import Config
from vie.config.reading import form_problems, read_yaml
from vie.config.settings import in_order_of, merge
from vie.runtime.errors import VieError


def load_config(*paths: str | Path) -> dict[str, Any]:
    """The config of YAML files, merged as Snakemake's --configfile does: later ones win.

    Raises:
        VieError: a file cannot be read; or lists every wrong key with its value and what is allowed
            there.
    """
    config: dict[str, Any] = {}
    for path in paths:
        overlay = read_yaml(path) or {}
        if not isinstance(overlay, dict):
            raise VieError(f"{path}: a config is a mapping of keys, not a {type(overlay).__name__}")
        merge(config, overlay)
    validate(config)
    return config


def validate(config: dict[str, Any], in_order: dict[str, Any] | None = None) -> None:
    """Check a config, and complete it in place.

    Equal configs become equal, whatever the order of their keys: defaults are filled in, 25.0
    becomes 25, and numbers that are written as text become numbers. A key whose value is null is
    taken away, as an overlay cannot take one away otherwise. Each ablation becomes a recipe and an
    evaluation; a config that has been completed before may be completed again.

    Args:
        in_order: a config whose keys come first, in its order; see `in_order_of`.

    Raises:
        VieError: lists every wrong key with its value and what is allowed there.
    """
    if problems := form_problems(config):
        raise all_of(problems)
    given = in_order_of(config, in_order or {})
    overlays = read_overlays(given.get("ablations"))
    for kind in ("recipes", "evaluations"):
        if isinstance(entries := given.get(kind), dict):  # those of an earlier time
            given[kind] = {
                name: entry
                for name, entry in entries.items()
                if str(name).partition(".")[2] not in overlays
            }
    found = _checked(given)
    add_ablations(found, overlays, _checked)
    config.clear()
    config.update(found)


def _checked(config: dict[str, Any]) -> dict[str, Any]:
    """The config, completed.

    Raises:
        VieError: as `validate`.
    """
    try:
        found = Config.model_validate(_without_null(config)).as_dict()
        problems = list(across(found))
    except ValidationError as error:
        from vie.config.schema import json_schema  # only here: it takes time

        problems = explain(error, json_schema(), config)
    if problems:
        raise all_of(problems)
    return found


def _without_null(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_null(value) for key, value in node.items() if value is not None}
    return node
