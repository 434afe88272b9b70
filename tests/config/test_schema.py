"""The JSON schema that editors read."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from vie.config.ablations import without_ablations
from vie.config.load import load_config, merge
from vie.config.schema import REFERENCE, RENEW, SCHEMA, reference_text, schema_text

ROOT = Path(__file__).parents[2]
OVERLAYS = sorted((ROOT / "experiments").glob("*.yaml"))


@pytest.mark.parametrize(("path", "text"), [(SCHEMA, schema_text), (REFERENCE, reference_text)])
def test_the_committed_files_are_what_the_models_say(path, text):
    assert path.read_text() == text(), (
        f"{path.relative_to(ROOT)} is not what vie/config says: run `{RENEW}` and commit it"
    )


def test_the_reference_has_every_model_once():
    defined = set(json.loads(SCHEMA.read_text())["$defs"]) | {"Config"}
    titles = [line[3:] for line in REFERENCE.read_text().splitlines() if line.startswith("## ")]
    assert sorted(titles) == sorted(defined)


def every_schema(schema, path=""):
    """(path, subschema) of everything that describes a value."""
    for name, child in [*schema.get("properties", {}).items(), *schema.get("$defs", {}).items()]:
        yield f"{path}.{name}", child
        yield from every_schema(child, f"{path}.{name}")
    for kind in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(kind), dict):
            yield f"{path}.{kind}", schema[kind]
            yield from every_schema(schema[kind], f"{path}.{kind}")


def test_every_key_has_a_description_and_unknown_keys_are_refused():
    found = list(every_schema(json.loads(SCHEMA.read_text())))
    assert len(found) > 130
    for path, child in found:
        assert child.get("description") or "$ref" in child, f"{path} has no description"
        if child.get("type") == "object":
            assert "additionalProperties" in child, f"{path} accepts unknown keys"


@pytest.mark.parametrize("overlay", [None, *OVERLAYS], ids=lambda p: p.stem if p else "config")
def test_editors_find_nothing_wrong_with_the_shipped_experiments(overlay):
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    merge(config, yaml.safe_load(overlay.read_text()) if overlay else {})
    validator.validate(config)
    completed = load_config(*filter(None, (ROOT / "config.yaml", overlay)))
    kinds = ("recipes", "evaluations")  # no user writes the names of ablations
    validator.validate(completed | {kind: without_ablations(completed[kind]) for kind in kinds})


@pytest.mark.parametrize(
    ("key", "value"),
    [("seeds", []), ("seeds", [-1]), ("gpu", 1), ("precision", "fp16"), ("datasets", {"a b": {}})],
)
def test_editors_see_what_is_wrong(key, value):
    config = load_config(ROOT / "config.yaml") | {key: value}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, json.loads(SCHEMA.read_text()))
