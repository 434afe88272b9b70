"""Objects that a config names as `module:Name`, among them a user's own.

Only what a config names is imported. A checkpoint may name anything, so what it names has to be
trusted first.
"""

import importlib
import importlib.machinery
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vie.runtime.errors import VieError

_trusted: set[str] = set()


def load_object(path: str) -> Any:
    """Import what `path` names: "package.module:Name".

    The current folder is searched after the installed packages, so a file beside the config can be
    named: "my_networks:build" or "examples.moco:MoCo".

    Raises:
        VieError: the path is not written so, or the module or the name in it is missing.
    """
    module_name, colon, name = path.partition(":")
    if not (module_name and colon and name.isidentifier()):
        raise VieError(f'{path!r} is not written as "package.module:Name"')
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        if missing == module_name or module_name.startswith(f"{missing}."):
            raise VieError(
                f"{path}: there is no module {missing!r}, neither installed nor in {here}: name "
                "the file without .py, folders with dots, and start where it lies"
            ) from error
        raise VieError(f"{path}: its module needs {missing!r}, which is not installed") from error
    try:
        return getattr(module, name)
    except AttributeError as error:
        raise VieError(f"{path}: the module {module_name} has no {name!r}") from error


def own_file(path: str) -> Path | None:
    """The file of `path`'s module in the current folder, if it is there."""
    file = Path(os.getcwd(), *path.partition(":")[0].split("."))
    beside = (file.with_suffix(".py"), file / "__init__.py")
    return next((one for one in beside if one.is_file()), None)


def problem_with(path: str) -> str | None:
    """Why `load_object` cannot import `path`, as far as files tell; no module of `path` runs."""
    module_name, _, name = path.partition(":")
    here, beside = os.getcwd(), own_file(path)
    package = importlib.machinery.PathFinder.find_spec(module_name.split(".")[0])
    places = list(package.submodule_search_locations or [package.origin or ""]) if package else []
    if not beside and all(Path(place).parent == Path(here) for place in places):
        return f"there is no module {module_name!r}, neither installed nor in {here}"
    text = beside.read_text(errors="replace") if beside else name
    if not re.search(rf"\b{re.escape(name)}\b|import \*", text):
        return f"{beside} has no {name!r}"
    return None


def trust(paths: Iterable[str]) -> None:
    """Let this process import what checkpoints name, where it is one of `paths`."""
    _trusted.update(paths)


def check_trusted(path: str, source: str) -> None:
    """Raise VieError unless `path`, which the file `source` names, is vie's own or trusted."""
    if path.partition(":")[0].split(".")[0] != "vie" and path not in _trusted:
        raise VieError(
            f"{source} was made with {path}, which is not part of vie. Loading it runs that "
            "module's code: if you know it, pass trust=True"
        )
