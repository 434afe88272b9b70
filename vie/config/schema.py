"""The JSON schema of the config, for editors: `python -m vie.config.schema` renews it."""

import json
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from vie.config.models import Config
from vie.runtime.files import atomic_write

SCHEMA = Path(__file__).parents[2] / "schemas" / "config.schema.json"
RENEW = "uv run python -m vie.config.schema"


class _Generator(GenerateJsonSchema):
    """Pydantic's schema without titles, and with names of keys as descriptions say them."""

    def generate(self, schema: CoreSchema, mode: Any = "validation") -> JsonSchemaValue:
        found = _untitled(super().generate(schema, mode))
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


def _untitled(node: Any) -> Any:
    if isinstance(node, list):
        return [_untitled(one) for one in node]
    if isinstance(node, dict):
        return {
            key: _untitled(value)
            for key, value in node.items()
            if not (key == "title" and isinstance(value, str))
            and not (key == "default" and value is None)
        }
    return node


def json_schema() -> dict[str, Any]:
    """The schema as JSON has it."""
    return Config.model_json_schema(schema_generator=_Generator)


def schema_text() -> str:
    """What `schemas/config.schema.json` has to contain."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    with atomic_write(SCHEMA) as temporary:
        temporary.write_text(schema_text())
