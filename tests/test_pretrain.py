"""Pretraining: whole stages on a small dataset, killed, resumed, diverged."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch

from vie.clips.color_jitter import apply_color_jitter
from vie.clips.loader import EpochBatchSampler, TrainClips, loader
from vie.clips.transform import ClipTransform
from vie.engine.run import Data, Run
from vie.engine.schedules import pretraining_schedule
from vie.models.resnet import channels_last
from vie.models.untrained import new_encoder, write_untrained
from vie.pretrain import Pretraining, PretrainOutputs, train_stage
from vie.runtime import torch_files
from vie.runtime.errors import VieError

IR, LA = "instance_recognition", "local_aggregation"
ORDER, ROTATION = "order_prediction", "rotation"


def train(recipe, stage, dataset, folder, *, motion=None, monitor=None, **run):
    """Checkpoint at the end of a stage that was trained in this process."""
    train_stage(
        recipe,
        stage,
        Data(dataset / "train" / "index.parquet", motion=motion),
        Run(folder / f"{stage}.state", seed=1, name="test", **run),
        PretrainOutputs(folder / f"{stage}.pt", folder / f"{stage}.jsonl"),
        start_from=folder / f"{IR}.pt" if stage == LA else None,
        monitor=monitor,
    )
    return torch_files.load(folder / f"{stage}.pt")


def assert_same(one, other, path="checkpoint"):
    """Equal to the last bit, whatever is nested."""
    assert type(one) is type(other), path
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            assert_same(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{path}[{i}]")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), path
    else:
        assert one == other, path


def test_epochs_go_on_from_a_recipe_with_another_batch(recipe, small_dataset, tmp_path):
    """24 videos: 10 steps of batch 5 are 2.5 epochs, 12 more of batch 6 are 3."""
    train(recipe, IR, small_dataset, tmp_path)
    optimiser = recipe["optimiser"] | {"batch": 6}
    schedule = {LA: "12 steps", "lr_drops": []}
    second = train(
        recipe | {"optimiser": optimiser, "schedule": schedule},
        LA,
        small_dataset,
        tmp_path,
        monitor=lambda encoder, bank: {"knn_top1": 1.0},
    )
    rows = [json.loads(row) for row in (tmp_path / f"{LA}.jsonl").read_text().splitlines()]
    epochs = [(row["step"], row["epoch"]) for row in rows if "epoch" in row]
    assert epochs == [(10, 2.5), (12, 3.0), (16, 4.0), (20, 5.0), (22, 5.5)]
    assert second["epoch"] == 5.5


@pytest.mark.parametrize("checkpoint", ["of other settings", None])
def test_an_earlier_attempt_leaves_no_metrics(recipe, small_dataset, tmp_path, checkpoint):
    train(recipe, IR, small_dataset, tmp_path)
    work = tmp_path / f"{LA}.state"
    work.mkdir()
    (work / "metrics.jsonl").write_text('{"step": 3, "epoch": 0.6, "knn_top1": 50.0}\n')
    if checkpoint:
        torch_files.save(work / "checkpoint.pt", {"run_key": {"seed": 9}, "step": 4})
    train(recipe, LA, small_dataset, tmp_path)
    rows = [json.loads(row) for row in (tmp_path / f"{LA}.jsonl").read_text().splitlines()]
    assert all(row["step"] >= 10 for row in rows)


def test_momentum_goes_on_only_with_the_same_settings(recipe, small_dataset, tmp_path):
    """A recipe may start from labels' end, which had more parameters, and has its own optimiser."""
    schedule = {"supervised": "3 steps", "lr_drops": []}
    labelled = train(recipe | {"schedule": schedule}, "supervised", small_dataset, tmp_path)
    (tmp_path / "supervised.pt").rename(tmp_path / f"{IR}.pt")
    other = recipe | {"optimiser": recipe["optimiser"] | {"weight_decay": 0.5}}
    for settings in (recipe, other):
        after = train(settings, LA, small_dataset, tmp_path)
        decays = {group["weight_decay"] for group in after["optimiser"]["param_groups"]}
        assert settings["optimiser"]["weight_decay"] in decays
        assert after["step"] == labelled["step"] + 13


def test_both_stages_leave_a_whole_checkpoint(recipe, small_dataset, tmp_path):
    calls = []

    def monitor(encoder, bank):
        calls.append(bank.clone())
        return {"knn_top1": float(len(calls))}

    first = train(recipe, IR, small_dataset, tmp_path, monitor=monitor)
    assert (first["step"], first["steps_per_epoch"], first["n_train"]) == (10, 4, 24)
    # Before steps 0, 4, 8, and at the end.
    assert len(calls) == 4
    second = train(recipe, LA, small_dataset, tmp_path, monitor=monitor)
    assert second["step"] == 23
    assert second["objective"]["labels"].shape == (2, 24)
    assert not torch.equal(first["bank"]["vectors"], second["bank"]["vectors"])
    norms = second["bank"]["vectors"].norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(24))
    rows = [json.loads(line) for line in (tmp_path / f"{LA}.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows if "knn_top1" in r] == [10, 12, 16, 20, 23]
    assert all(np.isfinite(r["loss"]) for r in rows if "loss" in r)
    assert list((tmp_path / f"{IR}.state" / "tensorboard").iterdir())


def test_steps_equal_a_loop_written_out_in_plain_torch(recipe, small_dataset, tmp_path):
    """Three steps of instance recognition: plain torch.optim, the bank row by row in numpy."""
    recipe["objective"]["instance_recognition"] = {"estimator": "softmax", "negatives": 1}
    recipe["schedule"] |= {IR: "3 steps", "lr_drops": ["1 steps"]}
    # Batch norm over a handful of numbers would magnify the last bits of float32.
    recipe["geometry"] |= {"size": 64, "train_shorter_side": [66, 80]}
    ours = train(recipe, IR, small_dataset, tmp_path)

    # In the same memory layout: other kernels round otherwise, more than is allowed for here.
    encoder = channels_last(new_encoder(recipe, 1))
    labels = torch.zeros(24, dtype=torch.int64)
    schedule = pretraining_schedule(recipe["schedule"], IR, 4)
    task = Pretraining(recipe, IR, schedule, labels, seed=1, steps_per_epoch=4)
    bank = task.bank.vectors.cpu().numpy().copy()
    norms = [m for m in encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    plain = {id(p) for m in norms for p in m.parameters()}
    optimiser = torch.optim.SGD(
        [
            {"params": [p for p in encoder.parameters() if id(p) in plain], "weight_decay": 0},
            {"params": [p for p in encoder.parameters() if id(p) not in plain]},
        ],
        lr=1.0,
        momentum=0.9,
        weight_decay=1e-4,
    )
    clips = TrainClips(
        small_dataset / "train" / "index.parquet",
        ClipTransform.of(recipe),
        seed=1,
        stage="pretraining",
    )
    order = EpochBatchSampler(24, 5, seed=1, stage="pretraining", first=0, last=3)
    for rate, batch in zip([0.05, 0.05, 0.005], loader(clips, order, 0, clips=8), strict=True):
        for group in optimiser.param_groups:
            group["lr"] = rate
        f, _ = encoder(apply_color_jitter(batch.clips, batch.color_jitter))
        similarity = torch.exp(f @ torch.from_numpy(bank).T / 0.07)
        p = similarity[torch.arange(5), batch.instances] / similarity.sum(1)
        optimiser.zero_grad()
        (-p.log().mean()).backward()
        optimiser.step()
        for row, i in enumerate(batch.instances.tolist()):
            mixed = 0.5 * bank[i] + 0.5 * f[row].detach().numpy()
            bank[i] = mixed / np.sqrt((mixed**2).sum())
    np.testing.assert_allclose(ours["bank"]["vectors"].numpy(), bank, atol=1e-4)
    for name, value in encoder.state_dict().items():
        torch.testing.assert_close(ours["encoder"][name], value, atol=1e-4, rtol=1e-3, msg=name)


SCRIPT = """
    import json, sys, time
    from pathlib import Path
    import torch
    torch.set_num_threads(1)
    from vie import pretrain as pretraining
    from vie.engine.run import Data, Run

    recipe, stage, dataset, folder, slow, motion, every, precision = json.loads(sys.argv[1])
    folder = Path(folder)
    step = pretraining.Pretraining.step

    def slowly(self, number, batch):
        time.sleep(slow)
        return step(self, number, batch)

    pretraining.Pretraining.step = slowly
    pretraining.pretrain(
        recipe,
        stage,
        Data(Path(dataset), motion=Path(motion) if motion else None),
        Run(
            folder / f"{stage}.state",
            seed=1, name="test", workers=1, checkpoint_seconds=every, precision=precision,
        ),
        pretraining.PretrainOutputs(folder / f"{stage}.pt", folder / f"{stage}.jsonl"),
        start_from=folder / "instance_recognition.pt" if stage == "local_aggregation" else None,
    )
"""


def start(recipe, stage, dataset, folder, *, slow=0.0, motion=None, every=0, precision="float32"):
    """A process that trains a stage with one worker, both in a process group of their own."""
    index = str(dataset / "train" / "index.parquet")
    motion = str(motion) if motion else None
    arguments = json.dumps([recipe, stage, index, str(folder), slow, motion, every, precision])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), arguments],
        start_new_session=True,
        stderr=subprocess.PIPE,
    )


def appears(path, run):
    """Wait until a running process has made a file."""
    deadline = time.monotonic() + 60
    while not path.exists():
        assert run.poll() is None, run.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_last_checkpoint_knows_the_objectives_of_all_stages(recipe, small_dataset, tmp_path):
    """Each stage is given its own settings only; a table asks for all of them."""
    whole = recipe["objective"]
    recipe["schedule"] |= {IR: "1 steps", LA: "1 steps"}
    recipe["objective"] = {k: v for k, v in whole.items() if k != LA}
    train(recipe, IR, small_dataset, tmp_path)
    recipe["objective"] = {k: v for k, v in whole.items() if k != IR}
    assert train(recipe, LA, small_dataset, tmp_path)["objectives"] == whole


@pytest.mark.parametrize(
    "stage", [IR, LA, *(pytest.param(one, marks=pytest.mark.slow) for one in (ORDER, ROTATION))]
)
def test_a_run_that_is_killed_ends_with_the_same_bits(
    recipe, single_stage, small_dataset, motion, tmp_path, stage
):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    torch.set_num_threads(1)
    if stage == LA:
        train(recipe, IR, small_dataset, whole)
        (killed / f"{IR}.pt").write_bytes((whole / f"{IR}.pt").read_bytes())
    recipe = single_stage(stage) if stage in (ORDER, ROTATION) else recipe
    motion = motion if stage == ORDER else None
    expected = train(recipe, stage, small_dataset, whole, motion=motion)

    rng = np.random.default_rng()  # at a moment that nobody chose
    settings = {"motion": motion}
    run = start(recipe, stage, small_dataset, killed, slow=0.1, **settings)
    saved = killed / f"{stage}.state" / "checkpoint.pt"
    (saved.parent).mkdir()
    (saved.parent / ".checkpoint.torntorn.pt").touch()  # as left by a kill while saving
    appears(saved, run)
    time.sleep(rng.uniform(0, 0.6))
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()  # and close its pipe
    assert not (killed / f"{stage}.pt").exists()
    step = torch_files.load(saved)["step"]
    assert 0 < step < expected["step"]

    run = start(recipe, stage, small_dataset, killed, **settings)
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 0, errors.decode()
    assert_same(torch_files.load(killed / f"{stage}.pt"), expected)
    rows = [json.loads(line) for line in (killed / f"{stage}.jsonl").read_text().splitlines()]
    steps = [row["step"] for row in rows]
    assert steps == sorted(set(steps))
    left = sorted(path.name for path in saved.parent.iterdir())
    assert left == ["checkpoint.pt", "metrics.jsonl", "tensorboard"]


@pytest.mark.parametrize(
    "asked", [signal.SIGTERM, pytest.param(signal.SIGUSR1, marks=pytest.mark.slow)]
)
def test_a_run_that_is_asked_to_stop_saves_its_state_first(recipe, small_dataset, tmp_path, asked):
    """The signal reaches the process that loads clips too, as in a job of SLURM."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    whole.mkdir()
    stopped.mkdir()
    torch.set_num_threads(1)
    expected = train(recipe, IR, small_dataset, whole)
    run = start(recipe, IR, small_dataset, stopped, slow=0.3, every=3600)
    work = stopped / f"{IR}.state"
    appears(work / "metrics.jsonl", run)
    time.sleep(np.random.default_rng().uniform(0.5, 2))
    assert not (work / "checkpoint.pt").exists()
    os.killpg(run.pid, asked)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 1, errors.decode()
    assert f"stopped by {asked.name}" in errors.decode()
    assert 0 < torch_files.load(work / "checkpoint.pt")["step"] < expected["step"]
    run = start(recipe, IR, small_dataset, stopped)
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 0, errors.decode()
    assert_same(torch_files.load(stopped / f"{IR}.pt"), expected)


def test_a_diverged_run_says_so_and_keeps_its_last_good_checkpoint(
    recipe, small_dataset, tmp_path, monkeypatch
):
    step = Pretraining.step

    def diverge(self, number, batch):
        metrics = step(self, number, batch)
        return {"loss": metrics["loss"] * float("nan")} if number == 6 else metrics

    monkeypatch.setattr(Pretraining, "step", diverge)
    with pytest.raises(VieError, match=r"loss became nan in steps \d+ to \d+;.*Lower optimiser.lr"):
        train(recipe, IR, small_dataset, tmp_path, checkpoint_seconds=0)
    kept = torch_files.load(tmp_path / f"{IR}.state" / "checkpoint.pt")
    assert 0 < kept["step"] <= 6
    assert all(torch.isfinite(v).all() for v in kept["encoder"].values())
    assert not (tmp_path / f"{IR}.pt").exists()


@pytest.mark.parametrize("stage", [IR, LA])
def test_outputs_that_are_lost_with_a_jobs_end_cost_no_step(
    recipe, small_dataset, tmp_path, monkeypatch, stage
):
    """As Snakemake removes them, if the job is killed before its end is on record."""
    for one in dict.fromkeys((IR, stage)):
        train(recipe, one, small_dataset, tmp_path)
    outputs = [tmp_path / f"{stage}.pt", tmp_path / f"{stage}.jsonl"]
    before = torch_files.load(outputs[0]), outputs[1].read_text()
    for output in outputs:
        output.unlink()
    monkeypatch.setattr(Pretraining, "step", None)
    train(recipe, stage, small_dataset, tmp_path)
    assert_same(torch_files.load(outputs[0]), before[0])
    assert outputs[1].read_text() == before[1]


def test_another_recipe_does_not_resume(recipe, small_dataset, tmp_path, caplog, monkeypatch):
    step = Pretraining.step

    def die(self, number, batch):
        if number == 6:
            raise KeyboardInterrupt
        return step(self, number, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Pretraining, "step", die)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, IR, small_dataset, tmp_path / "a", checkpoint_seconds=0)
    recipe["objective"]["temperature"] = 0.2
    resumed = train(recipe, IR, small_dataset, tmp_path / "a")
    assert "other settings (recipe.objective.temperature 0.07 -> 0.2)" in caplog.text
    fresh = train(recipe, IR, small_dataset, tmp_path / "b")
    assert_same(resumed, fresh)


def test_untrained_is_where_pretraining_starts(recipe, small_dataset, tmp_path):
    recipe["schedule"] |= {IR: "0 steps"}
    write_untrained(recipe, 1, tmp_path / "untrained.pt")
    started = train(recipe, IR, small_dataset, tmp_path)
    untrained = torch_files.load(tmp_path / "untrained.pt")
    assert_same(untrained["encoder"], started["encoder"])
    assert untrained["step"] == 0


def test_a_bank_of_another_dataset_is_refused(recipe, small_dataset, tmp_path):
    train(recipe, IR, small_dataset, tmp_path)
    content = torch_files.load(tmp_path / f"{IR}.pt")
    content["bank"]["vectors"] = content["bank"]["vectors"][:20]
    torch_files.save(tmp_path / f"{IR}.pt", content)
    with pytest.raises(VieError, match=r"memory bank has \(20, 8\).*ask for \(24, 8\)"):
        train(recipe, LA, small_dataset, tmp_path)
