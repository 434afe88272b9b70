"""What README and docs tell people to type is there: commands, files to make, keys, names."""

import ast
import importlib
import re
import shlex
import subprocess
import sys
import textwrap
from collections import defaultdict
from pathlib import Path

import jsonschema
import pytest
import yaml
from snakemake.cli import get_argument_parser

import vie
from vie.config.schema import json_schema

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```$", re.M | re.S)
RULES = ("configfile:", "module ")  # how a Snakefile begins


def blocks(language):
    """All blocks of code of the pages."""
    return [
        pytest.param(textwrap.dedent(text), id=f"{page.stem}-{number}")
        for page in PAGES
        for number, (found, text) in enumerate(BLOCK.findall(page.read_text()))
        if found == language
    ]


def commands(start):
    """What follows `start` in blocks and in lines, each once."""
    text = "\n".join(page.read_text() for page in PAGES).replace("\\\n", " ")
    found = re.findall(rf"^ *{start} ([^\n]*)|`(?:uv run )?{start} ([^`\n]*)`", text, re.M)
    return sorted({shlex.join(shlex.split(a or b, comments=True)) for a, b in found})


SNAKEMAKE = commands("(?:uv run )?(?:snakemake|vie run)")


@pytest.mark.parametrize("code", blocks("python"))
def test_names_in_python_exist(code):
    if code.startswith(RULES):
        return
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            for name in node.names:
                importlib.import_module(name.name)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, name.name) for name in node.names), ast.unparse(node)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "vie":
            assert hasattr(vie, node.attr), ast.unparse(node)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_keys_in_yaml_exist(text):
    """And have values of their kinds. A part of a config lacks what stands elsewhere."""
    if "<<: *" in text:
        pytest.skip("needs the anchors of config.yaml")
    found, schema = yaml.safe_load(text), json_schema()
    if set(found) <= set(schema["properties"]):
        errors = jsonschema.Draft202012Validator(schema).iter_errors(found)
        assert not [one for one in errors if one.validator != "required" and one.instance]
    else:
        known = {key for node in schema["$defs"].values() for key in node.get("properties", ())}
        profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
        assert set(found) <= known | set(profile)


def test_there_are_commands():
    assert len(SNAKEMAKE) > 20


@pytest.mark.parametrize("command", SNAKEMAKE)
def test_snakemake_knows_the_options(command):
    get_argument_parser().parse_args(shlex.split(command))


def asked_for():
    """(config files, settings) of commands -> all files that are asked for with them."""
    found = defaultdict(set)
    for command in SNAKEMAKE:
        parsed = get_argument_parser().parse_args(shlex.split(command))
        files = [str(path) for path in parsed.configfile or ()]
        # Other files are made by a command before, and the reader's own folders are called my_.
        if all((ROOT / path).exists() for path in files) and "my_" not in command:
            found[tuple(files), tuple(parsed.config or ())] |= {*parsed.targets}
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("config", "targets"), asked_for().items())
def test_configs_are_valid_and_rules_make_what_is_asked_for(config, targets):
    argv = [sys.executable, "-m", "snakemake", "--list-rules", "--cores", "1"]
    for option, values in zip(("--configfile", "--config"), config, strict=True):
        argv += [option, *values] if values else []
    done = subprocess.run(
        [*argv, "--", *sorted(targets)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", commands("uv run python -m"))
def test_modules_and_their_options_exist(command):
    module, *arguments = shlex.split(command)
    source = importlib.util.find_spec(module).origin
    options = {one.partition("=")[0] for one in arguments if one.startswith("--") and one != "--"}
    assert not [one for one in options if one not in Path(source).read_text()]
