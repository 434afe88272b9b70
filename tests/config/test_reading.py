"""Files that are no config are named, with the place; and what a config cannot hold."""

from datetime import date

import pytest
import yaml

from vie.config.load import load_config, validate
from vie.config.reading import MOST, form_problems, read_yaml, repeated_keys
from vie.runtime.errors import VieError

LAUGHS = "".join(
    f"{name}: &{name} [{', '.join([before] * 10)}]\n"
    for before, name in zip(["x", *(f"*{c}" for c in "abcdef")], "abcdefg", strict=True)
)
# What a file holds, and what is said of it.
WRONG = {
    "utf-16": ("seeds: [0]\n".encode("utf-16"), "line 1: is no UTF-8"),
    "latin-1": ("seeds: [0]\nlicence: é\n".encode("latin-1"), "line 2: is no UTF-8"),
    "nul": (b"experiment: a\0b\n", "cannot be read as YAML: unacceptable character"),
    "tab": (b"recipes:\n\tvie: 1\n", r"line 2, column 1: found character '\\t'"),
    "unclosed": (b"seeds: [0\n", r"line 2, column 1: expected ',' or '\]'"),
    "documents": (b"seeds: [0]\n---\nseeds: [1]\n", "line 2, column 1: but found another document"),
    "tag": (
        b"licence: !!python/object/apply:os.getcwd []\n",
        "line 1, column 10: could not determine a constructor for the tag",
    ),
    "merge": (b"recipes: {<<: 3}\n", "line 1, column 15: expected a mapping"),
    "key": (b"? [a, b]\n: 1\n", "line 1, column 3: found unhashable key"),
    "digits": (b"gpus: " + b"9" * 5000, "cannot be read as YAML: Exceeds the limit"),
    "hex": (b"gpus: 0x" + b"f" * 5000, "gpus: a whole number of more than 18 digits"),
    "no date": (b"experiment: 2020-13-40\n", "cannot be read as YAML: month must be in"),
    "twice": (b"seeds: [0]\ndataset: a\nseeds: [1]\n", "line 3: the key seeds stands in line 1"),
    "twice below": (b"recipes: {a: {x: 1, x: 2}}\n", "line 1: the key x stands in line 1 already"),
    "cyclic": (b"roots: &a {x: *a}\n", "an alias .* stands inside what it names"),
    "cyclic list": (b"seeds: &a [*a]\n", "an alias .* stands inside what it names"),
    "deep": (b"seeds: " + b"[" * 3000 + b"]" * 3000, "inside each other"),
    "deep blocks": (b"".join(b" " * i + b"a:\n" for i in range(900)), "inside each other"),
    "laughs": (LAUGHS.encode(), f"more than {MOST:,} values"),
    "true": (b"recipes: {yes: {label: a}}\n", "recipes: a key is true, as YAML reads yes, no, on"),
    "null": (b"threads: {~: 2}\n", "threads: a key is None, which YAML does not read as text"),
    "date": (
        b"experiment: 2020-01-01\n",
        "experiment: YAML reads 2020-01-01 as a date: put quotes",
    ),
    "set": (b"seeds: !!set {0, 1}\n", "seeds: YAML reads .* as a set"),
    "bytes": (b"experiment: !!binary aGVsbG8=\n", "experiment: YAML reads .* as a bytes"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_file_that_is_no_config_is_named_with_the_place(tmp_path, kind):
    content, said = WRONG[kind]
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(VieError, match=said) as raised:
        load_config(path)
    assert str(raised.value).startswith(f"{path}: ")


def test_what_is_no_file_or_too_large_is_not_read(tmp_path):
    for path, said in ((tmp_path, "is no file"), (tmp_path / "gone.yaml", "No such file")):
        with pytest.raises(VieError, match=said):
            load_config(path)
    large = tmp_path / "large.yaml"
    with large.open("wb") as file:
        file.truncate(10**7 + 1)
    with pytest.raises(VieError, match="more than 10,000,000 bytes"):
        load_config(large)


def test_right_files_are_read_as_yaml_reads_them(tmp_path):
    text = "\ufeffa: &one {x: 1}\nb:\n  <<: *one\n  y: [2, 0.5, on, ~]\nc: {<<: [*one, *one]}\r\n"
    path = tmp_path / "right.yaml"
    path.write_text(text, encoding="utf-8")
    assert read_yaml(path) == yaml.safe_load(text)
    assert repeated_keys(path) == repeated_keys(tmp_path / "gone.yaml") == []
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_yaml(tmp_path / "empty.yaml") is None


def test_a_config_that_somebody_else_has_read_is_looked_at_too():
    """As Snakemake hands it over."""
    cyclic = {"roots": {}}
    cyclic["roots"]["x"] = cyclic
    for config in (cyclic, {"recipes": {True: {}}}, {"seeds": [date(2020, 1, 1)]}):
        with pytest.raises(VieError, match="the config has errors:\n  - "):
            validate(config)
    assert form_problems({"a": [1, 1.5, None, True, "x", {"b": []}], "c": {2: 3, 0.5: 4}}) == []
