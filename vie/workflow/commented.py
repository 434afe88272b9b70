"""YAML with comments that say why a value is what it is."""

import textwrap
from typing import Any, NamedTuple

import yaml

WIDTH = 98


class Why(NamedTuple):
    """A value, and a comment on it; "": none."""

    value: Any
    text: str


class Anchor(NamedTuple):
    """A mapping that others refer to by name (`Alias`)."""

    name: str
    value: dict[str, Any]


class Alias(NamedTuple):
    """The mapping of an anchor."""

    name: str


def plain(tree: Any, anchors: dict[str, Any] | None = None) -> Any:
    """The value without comments, what aliases refer to in their place."""
    anchors = {} if anchors is None else anchors
    if isinstance(tree, Why):
        return plain(tree.value, anchors)
    if isinstance(tree, Anchor):
        anchors[tree.name] = plain(tree.value, anchors)
        return anchors[tree.name]
    if isinstance(tree, Alias):
        return anchors[tree.name]
    if isinstance(tree, dict):
        return {key: plain(value, anchors) for key, value in tree.items()}
    return tree


def wrapped(text: str, indent: str = "") -> list[str]:
    """Lines of a comment."""
    return textwrap.wrap(text, WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


def to_yaml(tree: dict[str, Any], header: list[str]) -> str:
    """Text of a mapping below some lines of comments; `plain` of it is what YAML reads."""
    return "\n".join([*header, "", *_lines(tree, "")]) + "\n"


def _lines(tree: dict[str, Any], indent: str) -> list[str]:
    lines = []
    for key, value in tree.items():
        mark = ""
        if isinstance(value, Why):
            lines += wrapped(value.text, indent)
            value = value.value
        if isinstance(value, Anchor):
            mark, value = f" &{value.name}", value.value
        name = _flow(key)
        if isinstance(value, Alias):
            lines.append(f"{indent}{name}: *{value.name}")
        elif isinstance(value, dict) and any(isinstance(v, tuple | dict) for v in value.values()):
            lines += [f"{indent}{name}:{mark}", *_lines(value, f"{indent}  ")]
        else:
            lines.append(f"{indent}{name}:{mark} {_flow(value)}")
    return lines


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
    return text.removesuffix("\n").removesuffix("\n...")
