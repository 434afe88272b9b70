"""Ablations: small overlays that change one recipe each, as recipes and evaluations of their own.

That of the file `clusters_4000.yaml`, which changes the recipe vie_single, is named
`vie_single.clusters_4000`. A dot cannot be in the name of any other recipe, so no pattern of a
table matches it, and `without_ablations` finds all others.
"""

import copy
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from vie.config.messages import all_of
from vie.config.reading import read_yaml
from vie.config.settings import merge
from vie.runtime.errors import VieError
from vie.runtime.home import HOME

Value = TypeVar("Value")
TRIAL = "ablation__"  # the name that a changed recipe has while it is checked


class Overlay(NamedTuple):
    """What files of one name say together."""

    paths: list[Path]
    content: dict[str, Any]

    def error(self, *problems: str) -> VieError:
        """An error that names the files."""
        files = " and ".join(map(str, self.paths))
        return all_of(f"ablations: {files}: {problem}" for problem in problems)


def base_of(name: str) -> str:
    """The recipe that an ablation changes; any other recipe is its own."""
    return name.partition(".")[0]


def without_ablations(entries: Mapping[str, Value]) -> dict[str, Value]:
    """Recipes or evaluations of the config but for those of ablations."""
    return {name: entry for name, entry in entries.items() if base_of(name) == name}


def read_overlays(folders: Any) -> dict[str, Overlay]:
    """{name of a file without its end: what it says}, numbers in names in the order of numbers.

    Args:
        folders: `ablations` of a config that has not been checked; anything but a list of texts
            is left to the checks. They are relative to `HOME`; where that has none, to the
            current folder.

    Raises:
        VieError: a folder is not there or has no overlays, or a file cannot be one.
    """
    found: dict[str, Overlay] = {}
    listed = folders if isinstance(folders, list) else []
    for given in [one for one in listed if isinstance(one, str) and one]:
        place = os.path.expanduser(given)
        inside = os.path.join(HOME, place)
        folder = Path(inside if os.path.isdir(inside) else place)
        files = sorted(folder.glob("*.yaml")) if os.path.isdir(folder) else []
        if not files:
            raise all_of(
                [
                    f"ablations: {given!r}: there is no such folder with files *.yaml in {HOME} or "
                    f"in {Path.cwd()}: name one, or set ablations to []"
                ]
            )
        for path in files:
            before = found.get(path.stem, Overlay([], {}))
            now = Overlay([*before.paths, path], before.content)
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", path.stem):
                raise now.error("the name of an ablation has letters, digits and . _ - alone")
            try:
                content = read_yaml(path)
            except VieError as error:
                raise all_of([f"ablations: {error}"]) from None
            if not isinstance(content, dict):
                raise now.error("an overlay is a mapping of keys")
            found[path.stem] = now._replace(content=merge(now.content, content))
    return dict(sorted(found.items(), key=lambda one: _in_order(one[0])))


def _in_order(name: str) -> list[tuple[str, int]]:
    return [(text, int(part or 0)) for text, part in re.findall(r"(\D*)(\d*)", name)]


def add_ablations(
    config: dict[str, Any],
    overlays: Mapping[str, Overlay],
    checked: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    """Add the recipe and the evaluation of every overlay to a checked config, in place.

    An evaluation is that of the recipe's name, with the label of the changed recipe: its own, else
    the file's name. Recipes whose weights come from a file have no ablations.

    Args:
        checked: checks and completes a config.

    Raises:
        VieError: an overlay does not change one recipe, or the changed one has errors or the label
            of another one.
    """
    recipes: dict[str, Any] = {}
    evaluations: dict[str, Any] = {}
    for stem, overlay in overlays.items():
        base = _changed_recipe(overlay, config)
        if "weights" in config["recipes"][base]:  # it is not trained, so there is nothing to change
            continue
        own = merge(copy.deepcopy(config["recipes"][base]), overlay.content["recipes"][base] or {})
        row = merge(
            copy.deepcopy(config["evaluations"][base]),
            overlay.content.get("evaluations", {}).get(base) or {},
        )
        own.pop("start_first", None)
        if own.get("label") == config["recipes"][base]["label"]:
            own["label"] = stem
        trial = {
            "recipes": config["recipes"] | {TRIAL: own},
            "evaluations": config["evaluations"]
            | {TRIAL: row | {"recipe": TRIAL, "label": own.get("label")}},
        }
        try:
            found = checked(config | trial)
        except VieError as error:
            lines = str(error).replace(TRIAL, base).splitlines()[1:]
            raise overlay.error(*(line.removeprefix("  - ") for line in lines)) from None
        name, label = f"{base}.{stem}", found["recipes"][TRIAL]["label"]
        rows = {one["label"] for key, one in recipes.items() if base_of(key) == base}
        if label in rows | {one["label"] for one in config["recipes"].values()}:
            raise overlay.error(f"recipes.{base}.label: {label!r} is another row's: choose another")
        recipes[name] = found["recipes"][TRIAL]
        evaluations[name] = found["evaluations"][TRIAL] | {"recipe": name}
    config["recipes"] |= recipes
    config["evaluations"] |= evaluations


def _changed_recipe(overlay: Overlay, config: dict[str, Any]) -> str:
    """The recipe that an overlay changes."""
    changed = overlay.content.get("recipes")
    changed = changed if isinstance(changed, dict) else {}
    names, others = list(changed), overlay.content.keys() - {"recipes", "evaluations"}
    rows = overlay.content.get("evaluations", {})
    if len(names) != 1 or others or not isinstance(rows, dict) or rows.keys() - set(names):
        raise overlay.error(
            "an ablation changes one recipe (recipes.<name>), perhaps with the evaluation of its "
            "name (evaluations.<name>), and nothing else"
        )
    (name,) = names
    if name not in config["recipes"]:
        raise overlay.error(
            f"changes recipe {name!r}, which the config lacks: take the file out of its folder, or "
            "the folder out of ablations"
        )
    for kind, entry in (("recipes", changed[name]), ("evaluations", rows.get(name))):
        if entry is not None and not isinstance(entry, dict):
            raise overlay.error(f"{kind}.{name}: {entry!r} is no mapping of keys")
    return str(name)
