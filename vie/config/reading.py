"""Files of YAML, and what no config may hold: Python's own words for such files name no place."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from vie.runtime.errors import VieError, shown

LONGEST = 10**7  # bytes of a file
DEEPEST = 40  # mappings and lists inside each other
MOST = 10**6  # values, counted each time that an alias repeats them
DIGITS = 18  # of a whole number
SUFFIXES = (".yaml", ".yml", ".json")


def read_yaml(path: str | Path) -> Any:
    """What a file says.

    Raises:
        VieError: it cannot be read, or is no YAML, or a key stands there twice; with the place.
    """
    try:
        loader = yaml.SafeLoader(_text(Path(path)))
        node = loader.get_single_node()
        if twice := next(_repeated(node), None):
            raise VieError(f"{path}: {twice}")
        content = loader.construct_document(node) if node else None
    except OSError as error:
        raise VieError(f"{path}: cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise VieError(f"{path}: {_too_deep()}") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a number or a date that is none
        if isinstance(error, VieError):
            raise
        raise VieError(f"{path}: cannot be read as YAML: {_place(error)}") from error
    if problems := form_problems(content):
        raise VieError("\n".join(f"{path}: {one}" for one in problems))
    return content


def check_words(configfiles: Sequence[Path], pairs: Sequence[str]) -> None:
    """Check the words behind --configfile and --config, of which Snakemake makes a traceback.

    Raises:
        VieError: a config file is not there or no mapping in YAML, or a setting has no value.
    """
    for path in configfiles:
        if not path.is_file() or path.suffix not in SUFFIXES:
            gone = "no config file" if path.is_file() else "there is no file"
            raise VieError(
                f"--configfile: {gone} {path}; if it is a file to make, put -- before it (the "
                "advice on your videos is made so, and is a config file after that)"
            )
        if not isinstance(read_yaml(path), dict):
            raise VieError(f"{path}: has no keys; a config file has lines such as `seeds: [0]`")
    for pair in pairs:
        if "=" not in pair:
            raise VieError(
                f"--config: {pair} is not KEY=VALUE; put -- before a file to make, and quotes "
                "around a value with blanks: --config 'seeds=[0, 1]' -- results/table_s1.csv"
            )


def repeated_keys(path: str | Path) -> list[str]:
    """A sentence for each key that a file has twice, of which YAML takes the last; none if the file
    cannot be read, which others say."""
    try:
        return [f"{path}: {one}" for one in _repeated(yaml.compose(_text(Path(path))))]
    except (VieError, OSError, ValueError, RecursionError, yaml.YAMLError):
        return []


def form_problems(content: Any) -> list[str]:
    """Sentences on keys that are neither text nor number, on values of kinds that only YAML knows,
    and on what does not end."""
    count, problems = 0, list[str]()
    open_nodes: list[tuple[Any, tuple[str, ...]]] = [(content, ())]
    while open_nodes:
        node, place = open_nodes.pop()
        count += 1
        where = ".".join(place[:5]) or "(top level)"
        if len(place) > DEEPEST:
            return [f"{where}: {_too_deep()}"]
        if count > MOST:
            return [f"{where}: here are more than {MOST:,} values, aliases (*name) counted"]
        if isinstance(node, dict):
            problems += [f"{where}: {_wrong_key(key)}" for key in node if not _may_be_key(key)]
            open_nodes += [(value, (*place, shown(key, 40))) for key, value in node.items()]
        elif isinstance(node, list | tuple):
            open_nodes += [(value, (*place, str(i))) for i, value in enumerate(node)]
        elif isinstance(node, date | bytes | set):
            kind = "date" if isinstance(node, date) else type(node).__name__
            problems.append(f"{where}: YAML reads {shown(node)} as a {kind}: put quotes around it")
        elif type(node) is int and abs(node) >= 10**DIGITS:
            problems.append(f"{where}: a whole number of more than {DIGITS} digits")
    return problems[:20]


def _may_be_key(key: Any) -> bool:
    return type(key) in (str, int, float)


def _wrong_key(key: Any) -> str:
    if isinstance(key, bool):
        return (
            f"a key is {str(key).lower()}, as YAML reads yes, no, on, off, true and false: put "
            "quotes around it"
        )
    return f"a key is {shown(key)}, which YAML does not read as text: put quotes around it"


def _text(path: Path) -> str:
    """Raises OSError or VieError."""
    if path.exists() and not path.is_file():
        raise VieError(f"{path}: is no file")
    if path.stat().st_size > LONGEST:
        raise VieError(f"{path}: has more than {LONGEST:,} bytes, which no config needs")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise VieError(f"{path}: line {line}: is no UTF-8: save the file as UTF-8") from error


def _repeated(root: yaml.Node | None) -> Iterator[str]:
    """Sentences on keys that a mapping has twice; `<<` may stand there more often."""
    seen, open_nodes = set[int](), [root] if root else []
    while open_nodes:
        node = open_nodes.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue
        seen.add(id(node))
        if not isinstance(node, yaml.MappingNode):
            open_nodes += node.value
            continue
        open_nodes += [value for _, value in node.value]
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        keys.sort(key=lambda key: (key.tag, key.value, key.start_mark.index))
        for one, other in pairwise(keys):
            if (one.tag, one.value) == (other.tag, other.value) and one.value != "<<":
                first, second = one.start_mark.line + 1, other.start_mark.line + 1
                yield (
                    f"line {second}: the key {shown(one.value)} stands in line {first} already, "
                    "and YAML would take the last one: write one of them"
                )


def _too_deep() -> str:
    return (
        f"mappings and lists are more than {DEEPEST} inside each other here, or an alias (*name) "
        "stands inside what it names"
    )


def _place(error: Exception) -> str:
    """What YAML says, and where."""
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark):
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())
