"""How closely networks, losses and readouts agree with the authors' release.

    uv run python benchmarks/parity.py
    uv run python benchmarks/parity.py --release VIE --python PYTHON

Alone: the features that the release's graph gave for a checkpoint of width 8, which is kept with
the tests, against those of vie's network with the weights of that checkpoint.

With VIE, a checkout of github.com/neuroailab/VIE, and PYTHON, an interpreter with numpy and
TensorFlow 1.15 (or 2 up to 2.15): random weights and tensors go through the release's own graph at
its own width (`parity_release.py`, run by PYTHON) and through vie (`parity_cases.py`), in float32
on the CPU. Takes 3 to 5 minutes on two cores.

Prints one line per quantity with max |difference| / max |theirs|, and fails if one is above its
tolerance. Of steps of training it prints the worst of all arrays' |difference| / |theirs| in
Euclidean norms, for the first gradient, and for the change of weights and batch norm's statistics.
(A max pool may choose another of two numbers that are the same but for rounding; this moves single
numbers of a gradient.)
"""

import argparse
import fnmatch
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from parity_cases import FORWARD, LAYERS, Case, all_cases
from parity_weights import Arrays, clips_of

from vie.config.load import load_config
from vie.models.checkpoint_format import encoder_of
from vie.models.release import read_release

ROOT = Path(__file__).parent.parent
STORED = ROOT / "tests/models/released"
WORKER = Path(__file__).with_name("parity_release.py")
HEAD = "| case | quantity | shape | error | tolerance | |\n|---|---|---|---|---|---|"


def error_of(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    """max |difference| / max |theirs|; infinite for other shapes or numbers that are not finite."""
    if ours.shape != theirs.shape or not np.isfinite(ours).all():
        return float("inf")
    largest = np.abs(theirs).max()
    difference = np.abs(ours.astype(np.float64) - theirs).max()
    return float(difference / largest) if largest else float(difference)


def change_error(ours: NDArray[Any], theirs: NDArray[Any], start: NDArray[Any] | float) -> float:
    """|difference| / |change of theirs since `start`|, as Euclidean norms.

    What float32 rounds off numbers of this size does not count.
    """
    if ours.shape != theirs.shape or not np.isfinite(ours).all():
        return float("inf")
    difference = np.abs(ours.astype(np.float64) - theirs)
    if not np.isscalar(start):
        difference = np.maximum(difference - 2 * np.spacing(np.abs(theirs)), 0)
    change = np.linalg.norm(theirs.astype(np.float64) - start)
    return float(np.linalg.norm(difference) / (change or 1.0))


def line(case: str, quantity: str, shape: str, error: float, tolerance: float) -> bool:
    """Print a row of the table; whether it is under the tolerance."""
    good = error <= tolerance
    said = "agrees" if good else "DIFFERS"
    print(f"| {case} | {quantity} | {shape} | {error:.1e} | {tolerance:.0e} | {said} |", flush=True)
    return good


def compare(name: str, ours: Arrays, theirs: Arrays, tolerance: float) -> bool:
    """Print a row for every quantity; whether all agree."""
    good = []
    for quantity in theirs:
        shapes = ["x".join(map(str, side[quantity].shape)) for side in (theirs, ours)]
        shape = shapes[0] if shapes[0] == shapes[1] else f"{shapes[0]}, ours {shapes[1]}"
        error = error_of(ours[quantity], theirs[quantity])
        good.append(line(name, quantity, shape or "1", error, tolerance))
    return all(good)


def compare_steps(name: str, case: Case, ours: Arrays, theirs: Arrays) -> bool:
    """Print a row for all gradients, and one for all weights and statistics: the worst array."""
    good = []
    for kind, said in {"gradient": "first gradient", "weight": "change of weights"}.items():
        names = [key for key in theirs if key.startswith(kind) and key[-3:].isdigit()]
        errors = [
            change_error(ours[key], theirs[key], case.given[key] if kind == "weight" else 0.0)
            for key in names
        ]
        shape = f"worst of {len(names)} arrays"
        good.append(line(name, said, shape, max(errors), case.tolerance))
    return all(good)


def stored_case() -> bool:
    """The narrow checkpoint's features against those stored beside it."""
    config = load_config(ROOT / "config.yaml", ROOT / "experiments/kinetics400.yaml")
    content = read_release(STORED / "checkpoint-1450000.index", config["recipes"]["vie_3dresnet"])
    stored = np.load(STORED / "outputs.npz")
    network = encoder_of(content).requires_grad_(False)
    embedding, features = network(clips_of(stored["clip"]))
    # (B, C, T, H, W) -> (B, T, H, W, C)
    ours = {layer: np.moveaxis(features[layer].numpy(), 1, -1) for layer in LAYERS}
    ours["embedding"] = embedding.numpy()
    theirs = {quantity: stored[quantity] for quantity in ours}
    return compare("3dresnet, width 8", ours, theirs, FORWARD)


def answered(name: str, case: Case, release: Path, python: str) -> Arrays:
    """What the release finds for a case."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.given.npz"
        np.savez(path, **case.given)  # type: ignore[arg-type]  # all are arrays
        command = [python, str(WORKER), str(release.resolve()), folder]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{name}: {' '.join(command)} failed:\n{done.stderr[-3000:]}")
        with np.load(path.with_name("case.found.npz")) as found:
            return {name: found[name] for name in found.files}


def release_case(name: str, case: Case, release: Path, python: str) -> bool:
    """Ask both sides; whether all agrees."""
    theirs = answered(name, case, release, python)
    ours = case.ours(theirs)
    if missing := set(theirs) ^ set(ours):
        sys.exit(f"{name}: not on both sides: {', '.join(sorted(missing))}")
    if not any(key.startswith("gradient0") for key in theirs):
        return compare(name, ours, theirs, case.tolerance)
    single = {key: array for key, array in theirs.items() if not key[-3:].isdigit()}
    agree = compare(name, ours, single, case.tolerance)
    return compare_steps(name, case, ours, theirs) and agree


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--release", type=Path, help="checkout of github.com/neuroailab/VIE")
    parser.add_argument("--python", help="interpreter with TensorFlow, for --release")
    parser.add_argument("--cases", default="*", help="pattern of names, with --release")
    asked = parser.parse_args()
    if bool(asked.release) != bool(asked.python):
        parser.error("--release and --python belong together")
    cases = {k: v for k, v in all_cases().items() if fnmatch.fnmatchcase(k, asked.cases)}
    if not cases:
        parser.error(f"--cases {asked.cases}: there are {', '.join(all_cases())}")
    print(HEAD)
    if asked.release:
        good = [release_case(k, v(), asked.release, asked.python) for k, v in cases.items()]
    else:
        good = [stored_case()]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
