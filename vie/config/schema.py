"""The JSON schema of the config, for editors, and docs/config.md, the same for readers.

`python -m vie.config.schema` renews both.
"""

import functools
import json
import re
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from vie.config.messages import allowed
from vie.config.models import Config
from vie.runtime.files import atomic_write

ROOT = Path(__file__).parents[2]
SCHEMA, REFERENCE = ROOT / "schemas" / "config.schema.json", ROOT / "docs" / "config.md"
RENEW = "uv run python -m vie.config.schema"


class _Generator(GenerateJsonSchema):
    """Pydantic's schema without titles, and with names of keys as descriptions say them."""

    def generate(self, schema: CoreSchema, mode: Any = "validation") -> JsonSchemaValue:
        found = _tidy(super().generate(schema, mode))
        return {"$schema": self.schema_dialect, "title": "VIE workflow", **found}

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        # None stands for "left out".
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        found = super().dict_schema(schema)
        by_pattern = found.pop("patternProperties", None)
        if by_pattern is not None:
            (found["additionalProperties"],) = by_pattern.values()
            found["propertyNames"] = self.generate_inner(schema["keys_schema"])
        return found


def _tidy(node: Any, key: str = "") -> Any:
    """Without titles and empty defaults; a paragraph of a description is one line."""
    if isinstance(node, list):
        return [_tidy(one) for one in node]
    if isinstance(node, dict):
        return {
            name: _tidy(value, name)
            for name, value in node.items()
            if not (name == "title" and isinstance(value, str))
            and not (name == "default" and value is None)
        }
    if key == "description":
        return re.sub(r"(?<!\n)\n(?!\n)", " ", node)
    return node


@functools.cache
def json_schema() -> dict[str, Any]:
    """The schema as JSON has it; not to be changed."""
    return Config.model_json_schema(schema_generator=_Generator)


def schema_text() -> str:
    """What `schemas/config.schema.json` has to contain."""
    return json.dumps(_with_null(json_schema()), indent=2, ensure_ascii=False) + "\n"


def _with_null(node: Any) -> Any:
    """A schema where null may stand for an entry that has a name: overlays take it away so."""
    if isinstance(node, list):
        return [_with_null(one) for one in node]
    if not isinstance(node, dict):
        return node
    found = {name: _with_null(value) for name, value in node.items()}
    entry = node.get("additionalProperties")
    if isinstance(entry, dict) and "$ref" in entry:
        either = {"anyOf": [entry, {"type": "null"}]}
        found["additionalProperties"] = {"description": "null takes it away", **either}
    return found


def reference_text() -> str:
    """What `docs/config.md` has to contain: a table of keys for every mapping of the config."""
    schema = json_schema()
    parts = [
        "# The config\n",
        f"Every key of `config.yaml` and of overlays. Generated: `{RENEW}` renews this file.\n",
        "What is not allowed is refused before the first job, all of it at once. Where Snakemake "
        "says that a config file is not valid, this names the line:\n",
        "    uv run python -c \"import vie; vie.load_config('config.yaml', 'mine.yaml')\"\n",
    ]
    names = ["Config", *_references(schema["properties"], schema["$defs"], [])]
    for name in names:
        node = schema if name == "Config" else schema["$defs"][name]
        required = node.get("required", [])
        parts += [f"## {name}\n", node["description"] + "\n", "| key | value | default | |"]
        parts.append("|---|---|---|---|")
        for key, value in node["properties"].items():
            default = value.get("default", "required" if key in required else "")
            default = default if default in ("", "required", {}) else f"`{json.dumps(default)}`"
            below = schema["$defs"].get(value.get("$ref", "").removeprefix("#/$defs/"), {})
            about = value.get("description") or below.get("description", "").split("\n")[0]
            parts.append(f"| `{key}` | {_value(value)} | {default or ''} | {about} |")
        parts.append("")
    return "\n".join(parts)


def _references(node: Any, defs: dict[str, Any], found: list[str]) -> list[str]:
    """Names of the models below a node, each once, in the order in which they are met."""
    for name in re.findall(r"#/\$defs/(\w+)", json.dumps(node)):
        if name not in found:
            found.append(name)
            _references(defs[name], defs, found)
    return found


def _value(node: dict[str, Any]) -> str:
    """What a key may have, in words; a mapping with keys of its own as a link."""
    if "$ref" in node:
        name = node["$ref"].removeprefix("#/$defs/")
        return f"[{name}](#{name.lower()})"
    if "anyOf" in node:
        return " or ".join(map(_value, node["anyOf"]))
    if isinstance(below := node.get("additionalProperties"), dict):
        return f"for each name: {_value(below)}"
    if "items" in node:
        return f"{allowed(node)}, each {allowed(node['items'])}"
    return allowed(node)


if __name__ == "__main__":
    for path, text in ((SCHEMA, schema_text()), (REFERENCE, reference_text())):
        with atomic_write(path) as temporary:
            temporary.write_text(text)
