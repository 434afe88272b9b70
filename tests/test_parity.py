"""benchmarks/parity.py: what it compares without the release, and what it gives it."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def module():
    """Imports one of the scripts, which find each other as they do when they are run."""
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module
    sys.path.remove(str(BENCHMARKS))


def test_the_stored_numbers_agree():
    command = [sys.executable, str(BENCHMARKS / "parity.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [line for line in done.stdout.splitlines() if "width 8" in line]
    assert len(rows) == 4
    assert all(row.endswith("| agrees |") for row in rows)


def test_one_part_of_the_release_is_not_enough():
    command = [sys.executable, str(BENCHMARKS / "parity.py"), "--python", "python3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "--release and --python belong together" in done.stderr


def test_what_differs_is_said(module, capsys):
    parity = module("parity")
    theirs = {"a": np.ones(3, "f4"), "b": np.ones(2)}
    assert not parity.compare("x", {"a": theirs["a"] * 1.01, "b": theirs["b"]}, theirs, 1e-3)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "| x | a | 3 | 1.0e-02 | 1e-03 | DIFFERS |"
    assert second.endswith("| agrees |")
    for other in (np.ones(4), np.array([1, np.nan, 1])):
        assert parity.error_of(other, theirs["a"]) == np.inf
        assert parity.change_error(other, theirs["a"], 0.0) == np.inf


def test_a_change_is_not_judged_below_what_float32_holds(module):
    start = np.full(3, 4, "f4")
    theirs = start + np.float32(1e-4)
    near, far = theirs + np.spacing(theirs), start + np.float32(2e-4)
    assert module("parity").change_error(near, theirs, start) == 0
    assert module("parity").change_error(far, theirs, start) == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize("name", ["single", "slowfast", "3dresnet"])
def test_every_weight_has_its_place_in_the_release(module, name):
    weights = module("parity_weights")
    network = weights.random_network(0, network=name, width=8)
    counted = [key for key in network.state_dict() if not key.endswith("num_batches_tracked")]
    assert sorted(weights.released_order(network)) == sorted(counted)
    [stem, *_] = weights.all_weights(network)
    assert stem.ndim == (4 if name == "single" else 5)


def test_the_worker_is_given_what_it_reads(module):
    """Of the cases that are cheap to make: every name that the worker looks up is there."""
    cases, source = module("parity_cases"), (BENCHMARKS / "parity_release.py").read_text()
    functions = {
        node.name: ast.get_source_segment(source, node)
        for node in ast.parse(source, feature_version=(3, 7)).body
        if isinstance(node, ast.FunctionDef)
    }
    for name in ("instance recognition", "local aggregation", "memory bank", "nearest neighbours"):
        case = cases.all_cases()[name]()
        text = functions[str(case.given["case"])]
        if "instance_model(release" in text:
            text += functions["instance_model"]
        assert set(re.findall(r'given\["(\w+)"\]', text)) <= set(case.given), name
        found = case.ours({})
        assert all(np.isfinite(array).all() for array in found.values()), name
