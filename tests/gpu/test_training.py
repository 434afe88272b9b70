"""Training and evaluation on a GPU: the CPU's numbers, and the same bits after a kill."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.conftest import ROOT, write_split
from tests.golden import groups, precision, synthetic, training
from tests.golden.groups import GROUPS, differences, load, measure
from tests.test_pretrain import IR, LA, ORDER, ROTATION, appears, assert_same, start
from vie.clips.color_jitter import ColorJitterDraws
from vie.clips.loader import Batch
from vie.config.load import load_config, merge
from vie.engine.run import Data, Run
from vie.pretrain import PretrainOutputs, train_stage
from vie.runtime import torch_files

pytestmark = pytest.mark.gpu
TRAINED = (
    *("nce_paper", "nce_estimated", "softmax", "local_aggregation", "supervised"),
    *("order_prediction", "rotation", "networks", "pooled_encoder", "probe", "probe_of_two"),
    *("image_probe", "features", "features_of_two"),
    *("finetune_scale_crop", "finetune_color_jitter"),
)


@pytest.mark.parametrize("name", TRAINED)
def test_numbers_in_float64_are_those_of_the_cpu(name, tmp_path, monkeypatch):
    """Twenty steps of every objective and readout. Sums in another order leave 1e-9 or so."""
    monkeypatch.setattr(precision, "ON_GPU", True)
    loose = groups.Group(GROUPS[name].kinds, GROUPS[name].make, rtol=1e-5, atol=1e-6)
    lines = differences(load(name)["numbers"], measure(name, tmp_path), loose)
    assert not lines, "\n".join(lines[:8])


def ended(run):
    """Wait for a run that is to succeed."""
    _, errors = run.communicate(timeout=300)
    assert run.returncode == 0, errors.decode()


@pytest.mark.parametrize(
    ("stage", "kind"),
    [(stage, "bf16") for stage in (IR, LA, ORDER, ROTATION)]
    + [(stage, kind) for stage in (IR, LA) for kind in ("tf32", "float32")],
)
def test_a_run_that_is_killed_ends_with_the_same_bits(
    recipe, single_stage, small_dataset, motion, tmp_path, stage, kind
):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    if stage == LA:
        ended(start(recipe, IR, small_dataset, whole, precision=kind))
        (killed / f"{IR}.pt").write_bytes((whole / f"{IR}.pt").read_bytes())
    recipe = single_stage(stage) if stage in (ORDER, ROTATION) else recipe
    settings = {"motion": motion if stage == ORDER else None, "precision": kind}
    ended(start(recipe, stage, small_dataset, whole, **settings))
    run = start(recipe, stage, small_dataset, killed, slow=0.1, **settings)
    appears(killed / f"{stage}.state" / "checkpoint.pt", run)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    assert not (killed / f"{stage}.pt").exists()
    ended(start(recipe, stage, small_dataset, killed, **settings))
    ends = [torch_files.load(folder / f"{stage}.pt") for folder in (killed, whole)]
    assert_same(*ends)


@pytest.mark.parametrize("network", ["trn", "slow", "slowfast", "3dresnet"])
def test_every_network_repeats_its_bits(recipe, small_dataset, tmp_path, network):
    """Without an operation that torch knows to have no deterministic kernel: it would warn."""
    recipe |= {"clip": network}
    recipe["encoder"] = recipe["encoder"] | {"network": network}
    recipe["schedule"] = {IR: "6 steps", "lr_drops": []}
    ends = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        ended(start(recipe, IR, small_dataset, tmp_path / name, precision="bf16"))
        ends.append(torch_files.load(tmp_path / name / f"{IR}.pt"))
    assert_same(*ends)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("stage", [IR, LA, "supervised", ORDER, ROTATION])
def test_a_step_does_not_wait_for_the_gpu(stage):
    """The next batch is copied, and the next kernels are started, while this step is computed."""
    changed = {"clip": {"frames": 3, "windows": [9, 12]}} if stage == ORDER else {}
    if stage in ("supervised", ORDER, ROTATION):
        changed["encoder"] = synthetic.recipe()["encoder"] | {"embedding": "pooled"}
    recipe = synthetic.recipe(**changed)
    task = training.new_pretraining(recipe, stage)
    frames = 3 if stage == ORDER else 2
    for step, batch in enumerate(synthetic.batches(3, frames, recipe["color_jitter"])):
        draws = ColorJitterDraws(*(part.pin_memory() for part in batch.color_jitter))
        batch = Batch(*(part.pin_memory() for part in batch[:3]), draws)
        task.before_step(step)
        try:
            torch.cuda.set_sync_debug_mode("error" if step else "default")
            task.step(step, batch)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.fixture(scope="module")
def some_videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_split(folder, "train", 96, 6, height=64, width=80)
    return folder


def losses(recipe, dataset, folder, **run):
    """Of 200 steps, means of 50 at a time."""
    folder.mkdir()
    train_stage(
        recipe,
        IR,
        Data(dataset / "train" / "index.parquet"),
        Run(folder / "state", seed=1, name="test", **run),
        PretrainOutputs(folder / "end.pt", folder / "rows.jsonl"),
    )
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    return np.array([row["loss"] for row in rows if "loss" in row])


def test_precisions_train_alike(some_videos, tmp_path):
    """The demo's VIE-Single over 200 steps: paths part, but losses fall alike."""
    config = load_config(ROOT / "config.yaml")
    recipe = merge({}, config["recipes"]["vie_single"])
    recipe["optimiser"]["batch"] = 32
    recipe["schedule"] = {IR: "200 steps", "lr_drops": []}
    found = {
        kind: losses(
            recipe, some_videos, tmp_path / kind, precision=kind, threads=2, checkpoint_seconds=1e6
        )
        for kind in ("float32", "tf32", "bf16")
    }
    expected = found["float32"]
    assert expected[-1] < expected[0]  # it learns
    for kind in ("tf32", "bf16"):
        np.testing.assert_allclose(found[kind], expected, rtol=0.15)


def trained_by(processes, gpus, recipe, dataset, folder, **settings):
    """Checkpoint at the end of a few steps by so many processes, in a process of their own."""
    folder.mkdir()
    settings |= {"recipe": recipe, "index": str(dataset / "train" / "index.parquet")}
    settings |= {"processes": processes, "gpus": gpus, "folder": str(folder)}
    program = [sys.executable, "-m", "tests.gpu.processes", json.dumps(settings)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return torch_files.load(folder / "end.pt"), done.stdout.split()


@pytest.mark.parametrize(("gpus", "backend"), [(1, "gloo"), (2, "nccl")])
def test_two_processes_train_the_network_of_one(recipe, small_dataset, tmp_path, gpus, backend):
    if torch.cuda.device_count() < gpus:
        pytest.skip(f"needs {gpus} GPUs")
    recipe["optimiser"]["batch"] = 4
    recipe["schedule"] = {IR: "3 steps", "lr_drops": []}  # later ones magnify the last bits
    one, _ = trained_by(1, 1, recipe, small_dataset, tmp_path / "one")
    two, backends = trained_by(2, gpus, recipe, small_dataset, tmp_path / "two")
    assert set(backends) == {backend}
    for part in ("encoder", "bank"):
        for name, value in one[part].items():
            torch.testing.assert_close(two[part][name], value, rtol=1e-2, atol=1e-3)
