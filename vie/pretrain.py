"""Pretraining, stage by stage (protocol sections 5, 6 and 9)."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vie.clips.color_jitter import apply_color_jitter
from vie.clips.loader import (
    Batch,
    EpochBatchSampler,
    TrainClips,
    loader,
    long_enough,
    steps_per_epoch,
)
from vie.config.settings import resolve_steps
from vie.engine import checkpoints
from vie.engine.device import accelerator, described
from vie.engine.loop import run
from vie.engine.optimizer import sgd
from vie.engine.recorder import Recorder
from vie.engine.schedules import Schedule, pretraining_schedule
from vie.frames.index import load_index
from vie.models.batchnorm import share_statistics
from vie.models.checkpoint_format import describe
from vie.models.encoders import Encoder
from vie.models.resnet import channels_last
from vie.objectives.bank import MemoryBank
from vie.objectives.base import Objective
from vie.objectives.table import build_objective, transform_of
from vie.runtime import distributed
from vie.runtime.errors import VieError
from vie.runtime.files import atomic_write, digest
from vie.runtime.randomness import torch_seed
from vie.untrained import new_encoder

log = logging.getLogger(__name__)
Monitor = Callable[[torch.nn.Module, Tensor], dict[str, float]]


class EncoderWithLoss(torch.nn.Module):
    """A network and what is measured on it: all that has parameters, as one module."""

    def __init__(self, encoder: Encoder, objective: Objective) -> None:
        super().__init__()
        self.encoder, self.objective = encoder, objective

    def forward(
        self, clips: Tensor, instances: Tensor, vectors: Tensor, noise: torch.Generator
    ) -> tuple[dict[str, Tensor], Tensor]:
        """(V * B, 3, T, H, W) -> the objective's measures, and the embeddings (B, D) of the first
        view."""
        return self.objective.measures(self.encoder, clips, instances, vectors, noise)


class Pretraining:
    """A network, its memory bank, its objective and its optimiser: a `loop.Task`."""

    finished = False  # before its schedule's end: never

    def __init__(
        self,
        recipe: dict,
        stage: str,
        schedule: Schedule,
        labels: Tensor,
        *,
        seed: int,
        steps_per_epoch: int,
        precision: str = "float32",
    ) -> None:
        self.recipe, self.schedule, self.seed = recipe, schedule, seed
        self.accelerator = accelerator(precision)
        device = self.accelerator.device
        instances = len(labels)
        log.info("training on %s", described(device, precision))
        encoder = share_statistics(channels_last(new_encoder(recipe, seed)).to(device))
        self.objective = build_objective(recipe, stage, labels, seed, encoder).to(device)
        optimiser = {k: v for k, v in recipe["optimiser"].items() if k != "batch"}
        model = EncoderWithLoss(encoder, self.objective)
        self.model, self.optimiser = self.accelerator.prepare(model, sgd(model, **optimiser))
        self.bank = MemoryBank(
            instances,
            encoder.dimensions,
            momentum=recipe["objective"]["bank_momentum"],
            seed=torch_seed(seed, "bank"),
        ).to(device)
        self.steps_per_epoch = steps_per_epoch
        self.first_epoch = 0.0
        self.monitor: Monitor | None = None

    def network(self) -> torch.nn.Module:
        """The encoder without what Accelerate wraps around it."""
        return self.accelerator.unwrap_model(self.model).encoder

    def before_step(self, step: int) -> dict[str, float]:
        """New clusters at every epoch's start; the monitor when it is due."""
        first = step == self.schedule.first
        if first or step % self.steps_per_epoch == 0:
            epoch = step // self.steps_per_epoch
            seed = torch_seed(self.seed, "clustering", epoch) % 2**31
            self.objective.before_epoch(self.bank.vectors, seed)
        every = resolve_steps(self.recipe["monitor"]["every"], self.steps_per_epoch)
        if first or (every and step % every == 0):
            return self.measure(step)
        return {}

    def epoch(self, step: int) -> float:
        """Epochs before `step`, those of the recipes it started from with their own batch."""
        return self.first_epoch + (step - self.schedule.first) / self.steps_per_epoch

    def measure(self, step: int) -> dict[str, float]:
        """What the monitor says of the network as it is before `step`."""
        if self.monitor is None:
            return {}
        epoch = self.epoch(step)
        return {"epoch": round(epoch, 3), **self.monitor(self.network(), self.bank.vectors)}

    def step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """Forward, backward, update of the weights, of the bank and of the objective's state.

        Where several processes train, `batch` is this one's share.
        """
        device = self.accelerator.device
        lr = self.schedule.lr(self.recipe["optimiser"]["lr"], step)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        clips = apply_color_jitter(batch.clips.to(device, non_blocking=True), batch.color_jitter)
        instances = batch.instances.to(device, non_blocking=True)
        noise = torch.Generator(device).manual_seed(torch_seed(self.seed, "noise", step))
        with self.accelerator.autocast():
            measures, embedding = self.model(clips, instances, self.bank.vectors, noise)
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(measures["loss"])
        self.optimiser.step()
        self.bank.update(distributed.gather(instances), distributed.gather(embedding.detach()))
        self.objective.after_step(self.network())
        return {name: distributed.mean(value.detach()) for name, value in measures.items()}

    def at_end(self, step: int) -> dict[str, float]:
        """What the monitor says of the network in the end."""
        return self.measure(step)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "encoder": self.network().state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "bank": self.bank.state_dict(),
            "objective": self.objective.state_dict(),
        }

    def resume(self, content: dict[str, Any]) -> None:
        """Take over a checkpoint of this very run."""
        self.network().load_state_dict(content["encoder"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.bank.load_state_dict(content["bank"])
        self.objective.load_state_dict(content["objective"])

    def start_from(self, content: dict[str, Any]) -> None:
        """Take over the end of the previous stage, or of the recipe that this one starts from.

        Network and bank go on; so does the optimiser's momentum between stages with the same
        parameters and settings.
        """
        self.network().init_from(content["encoder"])
        settings = ("encoder", "optimiser")
        same = all(content["recipe"][key] == self.recipe[key] for key in settings)
        # A head that an objective brought along is a new one here, and so is its momentum.
        heads = any(parameter.requires_grad for parameter in self.objective.parameters())
        groups = content["optimiser"]["param_groups"], self.optimiser.param_groups
        before, after = ([len(group["params"]) for group in each] for each in groups)
        if same and not heads and before == after:
            self.optimiser.load_state_dict(content["optimiser"])
        if content["bank"]["vectors"].shape != self.bank.vectors.shape:
            raise VieError(
                f"the checkpoint's memory bank has {tuple(content['bank']['vectors'].shape)} "
                f"entries, the index and recipe ask for {tuple(self.bank.vectors.shape)}: pretrain "
                "what it starts from again"
            )
        self.bank.load_state_dict(content["bank"])


def pretrain(
    recipe: dict,
    stage: str,
    index: Path,
    *,
    seed: int,
    label: str,
    checkpoint: Path,
    metrics: Path,
    tensorboard: Path,
    work: Path,
    start_from: Path | None = None,
    motion: Path | None = None,
    monitor: Monitor | None = None,
    code: str = "",
    workers: int = 0,
    precision: str = "float32",
    checkpoint_seconds: float = 20,
) -> None:
    """Train one stage of a recipe to its end, going on where a killed run stopped.

    Args:
        recipe: one entry of `recipes` in the config.
        stage: a key of `OBJECTIVES`.
        index: index.parquet of the training videos.
        seed: of weights, bank, order, clips and noise.
        label: shown with the progress.
        checkpoint: written at the end: the whole state and the recipe.
        metrics: JSON lines, written at the end.
        tensorboard: folder of event files.
        work: folder of what a run in progress needs; a checkpoint of the end is left there.
        start_from: checkpoint of the previous stage, or of the recipe that this one starts from;
            its step is the first of this stage.
        motion: motion.npy beside the index, for clips that ask where videos move.
        monitor: measures the network while it trains.
        code: fingerprint of the code; a run is not resumed with other code.
        workers: processes that load clips.
        precision: as for `vie.engine.device.accelerator`.
        checkpoint_seconds: shortest time between two checkpoints.

    Raises:
        VieError: a setting does not fit the data, or the loss is not finite.
    """
    labels = torch.from_numpy(load_index(index).labels)
    videos, batch = long_enough(index, recipe.get("min_frames", 1)), recipe["optimiser"]["batch"]
    previous = checkpoints.load(start_from) if start_from else None
    steps = steps_per_epoch(len(videos), batch)
    first = previous["step"] if previous else 0
    schedule = pretraining_schedule(recipe["schedule"], stage, steps, first=first)
    task = Pretraining(
        recipe, stage, schedule, labels, seed=seed, steps_per_epoch=steps, precision=precision
    )
    if batch % distributed.world_size():
        raise VieError(
            f"optimiser.batch {batch} cannot be shared by {distributed.world_size()} GPUs: choose "
            "a multiple, or other gpus"
        )
    task.monitor = monitor
    task.first_epoch = previous["epoch"] if previous else 0.0
    identity = {
        "recipe": recipe,
        "stage": stage,
        "seed": seed,
        "index": digest(index),
        "motion": digest(motion) if motion else None,
        "start_from": digest(start_from) if start_from else None,
        "precision": precision,
        "code": code,
    }
    resumable = checkpoints.Resumable(work / "checkpoint.pt", identity, checkpoint_seconds)
    content, step = resumable.load(), schedule.first
    if content is not None:
        task.resume(content)
        step = content["step"]
    elif previous is not None:
        task.start_from(previous)
    recorder = Recorder(work / "metrics.jsonl", tensorboard, step, complete=resumable.complete)
    address = {"seed": seed, "stage": "pretraining"}
    order = EpochBatchSampler(videos, batch, first=step, last=schedule.last, **address)
    n_views = task.objective.facts.n_views
    clips = TrainClips(
        index, transform_of(recipe, stage), motion=motion, n_views=n_views, **address
    )
    run(
        task,
        loader(clips, order, workers, clips=batch * n_views),
        schedule,
        start=step,
        resumable=resumable,
        recorder=recorder,
        label=label,
    )
    recorder.close()
    if not distributed.is_main_process():
        return
    checkpoints.save(
        checkpoint,
        {
            **describe(recipe, clips.transform, clips.index.fps),
            "stage": stage,
            "seed": seed,
            "step": schedule.last,
            "epoch": task.epoch(schedule.last),
            "steps_per_epoch": order.steps_per_epoch,
            "n_train": len(videos),
            # Of all stages so far: a stage's own recipe may have been stripped of the others'.
            "objectives": {**(previous["objectives"] if previous else {}), **recipe["objective"]},
            **task.state(),
        },
    )
    with atomic_write(metrics) as temporary:
        shutil.copyfile(work / "metrics.jsonl", temporary)
