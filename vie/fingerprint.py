"""Fingerprints of library code, so that Snakemake re-runs what an edit concerns and only that.

Snakemake does not look into `vie/`. Each rule has as a param the fingerprint of the module it
runs: a hash of that module and of all `vie` modules that it imports, directly or not.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).parent
# What these do is seen on the screen, never in a result.
COSMETIC = {"vie.errors", "vie.interruption", "vie.logs", "vie.progress", "vie.threads"}


def fingerprint(*modules: str, without: Iterable[str] = ()) -> str:
    """12 hex digits of the code of `modules` (such as "vie.training.probe") and their imports.

    Comments, docstrings and formatting do not count: only an edit that can change what runs does.

    Args:
        modules: names of vie modules.
        without: modules that are imported but do not run; what only they import is left out too.
    """
    code = hashlib.sha256()
    for name in sorted(closure(modules, without)):
        code.update(f"{name}:{_code_hash(name)}".encode())
    return code.hexdigest()[:12]


def closure(modules: Iterable[str], without: Iterable[str] = ()) -> set[str]:
    """`modules` and every vie module that they import, at the top or inside functions."""
    left_out = COSMETIC | set(without)
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found and name not in left_out:
            found.add(name)
            waiting.extend(_imports(name))
    return found


def _path(module: str) -> Path | None:
    base = PACKAGE.parent.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@functools.cache
def _tree(module: str) -> ast.Module:
    path = _path(module)
    if path is None:
        raise ModuleNotFoundError(f"no module {module!r} in {PACKAGE.parent}")
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def _imports(module: str) -> frozenset[str]:
    names: set[str] = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names.add(node.module)
            # `from vie.data import index` imports a module, `from vie.files import whole` a name.
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(n for n in names if n.split(".")[0] == PACKAGE.name and _path(n))


@functools.cache
def _code_hash(module: str) -> str:
    tree = _tree(module)
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    dump = ast.dump(_without_docstrings(tree, bodies))
    return hashlib.sha256(dump.encode()).hexdigest()


def _without_docstrings(tree: ast.Module, bodies: list) -> ast.Module:
    for node in bodies:
        first = node.body[0] if node.body else None
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            node.body = node.body[1:]
    return tree
