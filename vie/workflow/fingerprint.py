"""Fingerprints of library code, so that Snakemake re-runs what an edit concerns and only that.

Snakemake does not look into `vie/`. Each rule has as a param the fingerprint of the module it
runs: a hash of that module and of all `vie` modules that it imports, directly or not.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
# What these do is seen on the screen, never in a result.
COSMETIC = {
    "vie.runtime.errors",
    "vie.runtime.signals",
    "vie.runtime.logs",
    "vie.runtime.progress",
    "vie.runtime.threads",
}


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


@functools.cache
def _path(module: str) -> Path | None:
    base = PACKAGE.parent.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


class _Code:
    """What a module does, without comments, docstrings and formatting.

    One pass in place of `ast.dump` and `ast.walk`: the start of every run waits for it.

    Attributes:
        parts: kinds and values of all nodes of the syntax tree, in order.
        imports: its nodes that import.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.parts: list[str] = []
        self.imports: list[ast.Import | ast.ImportFrom] = []
        self._add(tree)

    def _add(self, node: ast.AST) -> None:
        self.parts.append(type(node).__name__)
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            self.imports.append(node)
        for field in node._fields:
            value = getattr(node, field, None)
            if field == "type_params" and not value:
                continue  # Python 3.12 has it: the same code has one fingerprint
            if isinstance(value, ast.AST):
                self._add(value)
            elif isinstance(value, list):
                first = int(field == "body" and _has_docstring(node))
                self.parts.append("[")
                for item in value[first:]:
                    if isinstance(item, ast.AST):
                        self._add(item)
                    else:
                        self.parts.append(repr(item))
                self.parts.append("]")
            else:
                self.parts.append(repr(value))


def _has_docstring(node: ast.AST) -> bool:
    if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    first = node.body[0] if node.body else None
    return (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )


@functools.cache
def _code(module: str) -> _Code:
    path = _path(module)
    if path is None:
        raise ModuleNotFoundError(f"no module {module!r} in {PACKAGE.parent}")
    return _Code(ast.parse(path.read_text(encoding="utf-8")))


@functools.cache
def _imports(module: str) -> frozenset[str]:
    names: set[str] = set()
    for node in _code(module).imports:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif node.module and node.level == 0:
            names.add(node.module)
            # `from vie.frames import index` imports a module, `... index import Index` a name.
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(n for n in names if n.split(".")[0] == PACKAGE.name and _path(n))


@functools.cache
def _code_hash(module: str) -> str:
    return hashlib.sha256("\0".join(_code(module).parts).encode()).hexdigest()
