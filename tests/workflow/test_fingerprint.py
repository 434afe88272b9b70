"""Fingerprints change with the code that a rule runs, and with nothing else."""

import ast
import shutil
from pathlib import Path

import pytest

from vie.workflow import fingerprint as module

ROOT = Path(module.__file__).parents[2]
PRETRAIN = ("vie.pretrain", "vie.pretrain_monitored")
PROBE = ("vie.probe_training", "vie.probe")


@pytest.fixture
def edit(tmp_path, monkeypatch):
    """A copy of the package, and a function that edits it and returns both fingerprints."""
    shutil.copytree(ROOT / "vie", tmp_path / "vie", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(module, "PACKAGE", tmp_path / "vie")

    def edit(file=None, old="", new=""):
        if file:
            path = tmp_path / "vie" / file
            text = path.read_text()
            assert old in text
            path.write_text(text.replace(old, new, 1))
        for cached in (module._path, module._code, module._imports, module._code_hash):
            cached.cache_clear()
        return module.fingerprint(*PRETRAIN), module.fingerprint(*PROBE)

    yield edit
    for cached in (module._path, module._code, module._imports, module._code_hash):
        cached.cache_clear()


def test_an_edit_of_the_probe_concerns_the_probe_alone(edit):
    before = edit()
    after = edit("training/probing.py", "std=0.01", "std=0.02")
    assert after[0] == before[0]
    assert after[1] != before[1]


def test_an_edit_of_shared_code_concerns_both(edit):
    before = edit()
    after = edit("data/geometry.py", 'mode="bilinear"', 'mode="bicubic"')
    assert after[0] != before[0]
    assert after[1] != before[1]


def test_an_edit_of_an_objective_concerns_pretraining_alone(edit):
    before = edit()
    after = edit("objectives/local_aggregation.py", "EPSILON = 1e-7", "EPSILON = 1e-6")
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_comments_docstrings_and_progress_concern_nothing(edit):
    before = edit()
    after = edit("training/probing.py", '"""Linear probe:', '# why\n"""Linear  probe:')
    assert after == before
    assert edit("progress.py", "every_seconds: float = 5.0", "every_seconds: float = 9.0") == before


def test_newer_syntax_trees_of_the_same_code_are_the_same(edit, monkeypatch):
    """Those of Python 3.12 have a list of type parameters in every function and class."""
    before = edit()
    for kind in (ast.FunctionDef, ast.ClassDef):
        fields = tuple(name for name in kind._fields if name != "type_params")
        monkeypatch.setattr(kind, "_fields", fields)
    older = edit()
    for kind in (ast.FunctionDef, ast.ClassDef):
        monkeypatch.setattr(kind, "_fields", (*kind._fields, "type_params"))
        monkeypatch.setattr(kind, "type_params", [], raising=False)
    assert edit() == older == before


def test_closure_follows_imports_inside_functions():
    found = module.closure(["vie.probe"])
    assert {"vie.probe_training", "vie.clips.loader", "vie.models.resnet"} <= found
    assert "vie.objectives.local_aggregation" not in found


def test_unknown_modules():
    with pytest.raises(ModuleNotFoundError, match=r"vie\.absent"):
        module.fingerprint("vie.absent")


def test_optical_flow_and_the_probe_are_nobody_elses_business():
    """A constant of the flow re-runs no network; neither does one of the probe a pretext task."""
    for modules in (PRETRAIN, PROBE, ("vie.pretext",)):
        found = module.closure(modules)
        assert not found & {"vie.frames.flow", "vie.frames.join_motion"}
    assert "vie.frames.index" not in module.closure(["vie.frames.flow"])
    probing = {"vie.probe_training", "vie.probe"}
    assert not module.closure(["vie.pretext"]) & probing
