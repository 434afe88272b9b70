"""What is wrong with a config, one sentence for each problem: where, the value, what is allowed."""

import difflib
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from vie.runtime.errors import VieError

UNKNOWN = ("extra_forbidden", "invalid_key")  # pydantic's types of errors
RENAMED = {
    "readouts": "evaluations",
    "colour": "color_jitter",
    "identity": "official_name",
    "draw": "dataset_seed",
    "early": "start_first",
    "jitter": "frame_shift",
}
BOUNDS = {
    "minimum": "of at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "of at most {}",
    "exclusiveMaximum": "below {}",
}
NAMED = ("recipes", "evaluations", "datasets")  # whose keys are names that users choose
LONGEST = 100  # characters of a value in a message

Place = tuple[str, ...]
Schema = dict[str, Any]


def all_of(problems: Iterable[str]) -> VieError:
    """One error for the user, with a line for each problem."""
    return VieError("the config has errors:\n" + "\n".join(f"  - {one}" for one in problems))


def explain(error: ValidationError, schema: Schema, given: Any = None) -> list[str]:
    """One sentence for each problem, unknown keys first: the rest often follows from a typo.

    Args:
        error: of `Config`.
        schema: of `Config`, as `vie.config.schema` makes it; says what is allowed.
        given: the config with its nulls, which take keys away.
    """
    unknown: dict[Place, tuple[Schema, list[str]]] = {}
    wrong: dict[Place, str] = {}
    absent: list[Place] = []
    general: dict[Place, str] = {}  # where none of several kinds of value fits
    for one in error.errors(include_url=False, include_context=False):
        *parents, key = one["loc"] or ("",)
        if one["type"] in UNKNOWN:
            place, node, _ = _find(schema, parents, schema["$defs"])
            node = next((n for n in node.get("anyOf", []) if "properties" in n), node)
            unknown.setdefault(place, (node, []))[1].append(str(key))
            continue
        place, node, choice = _find(schema, one["loc"], schema["$defs"])
        found = general if choice and one["type"] != "value_error" else wrong
        empty = one["type"] == "missing" and _is_null(given, place)
        found.setdefault(place, _sentence(place, node, one, empty=empty))
        if one["type"] == "missing" and found is wrong and not empty:
            absent.append(place)
    for entry, missing in _misspelt(absent, given).items():
        wrong[entry] = _no_entry(entry, [place[-1] for place in missing], given)
        for place in missing:
            del wrong[place]
    precise = [*unknown, *wrong]
    sentences = [_unknown(place, *found) for place, found in unknown.items()]
    sentences += wrong.values()
    return sentences + [
        text
        for place, text in general.items()
        if not any(other[: len(place)] == place for other in precise)
    ]


def _misspelt(absent: Iterable[Place], given: Any) -> dict[Place, list[Place]]:
    """Entries under names that users choose which lack most: an overlay meant another name."""
    found: dict[Place, list[Place]] = defaultdict(list)
    for place in absent:
        if len(place) == 3 and place[0] in NAMED and isinstance(given, dict):
            found[place[:2]].append(place)
    return {entry: missing for entry, missing in found.items() if len(missing) > 2}


def _no_entry(entry: Place, lacks: Iterable[str], given: Any) -> str:
    near = nearest(entry[1], [name for name in given[entry[0]] if name != entry[1]])
    text = f"no such entry to change, and a new one lacks {', '.join(lacks)}"
    return f"{_written(entry)}{near}: {text}"


def _find(node: Schema, loc: Iterable[Any], defs: Schema) -> tuple[Place, Schema, bool]:
    """Where pydantic's `loc` is: the place as users write it, its schema, and whether it is open
    which of several kinds of value was meant there."""
    node = _resolved(node, defs)
    rest = list(loc)
    if "anyOf" in node:
        node = {**node, "anyOf": [_resolved(choice, defs) for choice in node["anyOf"]]}
    if not rest:
        return (), node, False
    key = rest.pop(0)
    if "anyOf" in node:  # the key names one of the alternatives
        if not rest:
            return (), node, True
        for choice in node["anyOf"]:
            try:
                return _find(choice, rest, defs)
            except KeyError:
                continue
        raise KeyError(key)
    if rest == ["[key]"]:
        return (str(key),), node["propertyNames"], False
    if key in node.get("properties", {}):
        below = node["properties"][key]
    elif isinstance(key, int) and "items" in node:
        below = node["items"]
    elif isinstance(node.get("additionalProperties"), dict):
        below = node["additionalProperties"]
    else:
        raise KeyError(key)
    place, found, choice = _find(below, rest, defs)
    return (str(key), *place), found, choice


def _resolved(node: Schema, defs: Schema) -> Schema:
    """A schema with what it refers to; its own words come first."""
    if "$ref" not in node:
        return node
    below = defs[node["$ref"].rpartition("/")[2]]
    return {**below, **{key: value for key, value in node.items() if key != "$ref"}}


def _unknown(place: Place, node: Schema, keys: list[str]) -> str:
    known = sorted(node.get("properties", {}))
    words = ", ".join(key + nearest(RENAMED.get(key, key), known) for key in keys)
    return f"{_written(place)}: unknown key {words}; known here: {', '.join(known)}"


def _is_null(given: Any, place: Place) -> bool:
    for key in place:
        if not isinstance(given, dict) or key not in given:
            return False
        given = given[key]
    return given is None


def _sentence(place: Place, node: Schema, error: Any, *, empty: bool = False) -> str:
    where, about = _written(place), node.get("description", "").partition("\n\n")[0].rstrip(".")
    if error["type"] == "missing":
        return f"{where}: is missing{', as it is left empty' if empty else ''} ({about})"
    if error["loc"][-1:] == ("[key]",):
        return f"{where}: {about}"
    value = repr(error["input"])
    value = value if len(value) <= LONGEST else value[: LONGEST - 3] + "..."
    wanted = allowed(node)
    if error["type"] in ("string_too_long", "string_pattern_mismatch") and "maxLength" in node:
        wanted += f" (one line of at most {node['maxLength']} characters)"
    if error["type"] == "value_error":
        return f"{where}: {value}: {error['msg'].removeprefix('Value error, ')}"
    near = nearest(error["input"], node.get("enum", []))
    return f"{where}: {value} is not {wanted}{near}" + (f" ({about})" if about else "")


def _written(place: Place) -> str:
    return ".".join(place) or "(top level)"


def nearest(word: Any, known: Iterable[str]) -> str:
    """The known word that was probably meant."""
    found = difflib.get_close_matches(str(word), [*known], 1)
    return f" (did you mean {found[0]}?)" if found else ""


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) or value >= 10_000 else f"{value:g}"


def allowed(node: Schema) -> str:
    """What a schema allows, in words."""
    if "anyOf" in node:
        return " or ".join(allowed(choice) for choice in node["anyOf"])
    if "enum" in node:
        return "one of " + ", ".join(map(str, node["enum"]))
    if "const" in node:
        return str(node["const"])
    if "minimum" in node and "maximum" in node:
        bounds = f"from {_number(node['minimum'])} to {_number(node['maximum'])}"
    else:
        bounds = " and ".join(
            text.format(node[key]).removeprefix("of " if i else "")
            for i, (key, text) in enumerate((k, t) for k, t in BOUNDS.items() if k in node)
        )
    match node.get("type"):
        case "integer" | "number" as kind:
            return f"a {'whole ' if kind == 'integer' else ''}number {bounds}".rstrip()
        case "boolean":
            return "true or false"
        case "string":
            such = " or ".join(f'"{one}"' for one in node.get("examples", []))
            return f"a text such as {such}" if such else "a text that is not empty"
        case "array":
            least, most = node.get("minItems", 0), node.get("maxItems")
            if least == most:
                return f"a list of {least}"
            such = "".join(f", such as {one}" for one in node.get("examples", [])[:1])
            ends = ((f"at least {least}", least), (f"at most {most}", most))
            bounds = " and ".join(text for text, given in ends if given)
            return (f"a list of {bounds}" if bounds else "a list") + such
    if keys := node.get("properties"):
        return "a mapping with " + ", ".join(f"{k} ({allowed(v)})" for k, v in keys.items())
    return "a mapping" + (" with at least one key" if node.get("minProperties") else "")
