"""Pretraining: instance recognition, then local aggregation (protocol sections 5 and 6)."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vie.config import resolve_steps
from vie.data.clips import Batch, TrainClips, TrainOrder, View, loader, steps_per_epoch
from vie.data.colour import colour_noise
from vie.data.index import load_index
from vie.data.randomness import torch_seed
from vie.errors import VieError
from vie.files import digest
from vie.models.encoders import build_encoder
from vie.models.resnet import channels_last
from vie.objectives.bank import MemoryBank
from vie.objectives.instance_recognition import InstanceRecognition
from vie.objectives.local_aggregation import LocalAggregation
from vie.training import checkpoints
from vie.training.loop import run
from vie.training.optimizer import sgd
from vie.training.recorder import Recorder
from vie.training.schedules import Schedule, pretraining_schedule

log = logging.getLogger(__name__)
Monitor = Callable[[torch.nn.Module, Tensor], dict[str, float]]


def instance_recognition(objective: dict, instances: int) -> InstanceRecognition:
    """Objective of the first stage from a recipe's `objective`."""
    return InstanceRecognition(
        instances, temperature=objective["temperature"], **objective["instance_recognition"]
    )


def local_aggregation(objective: dict, instances: int) -> LocalAggregation:
    """Objective of the second stage from a recipe's `objective`."""
    settings = dict(objective["local_aggregation"])
    return LocalAggregation(
        instances,
        temperature=objective["temperature"],
        iterations=settings.pop("kmeans_iterations"),
        threads=torch.get_num_threads(),
        **settings,
    )


OBJECTIVES = {
    "instance_recognition": instance_recognition,
    "local_aggregation": local_aggregation,
}


def new_encoder(recipe: dict, seed: int) -> torch.nn.Module:
    """The recipe's network with the random weights of `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, "encoder"))
        return build_encoder(recipe["encoder"])


def write_untrained(recipe: dict, seed: int, path: Path) -> None:
    """Checkpoint of the network before its first step: the control of every readout."""
    encoder = new_encoder(recipe, seed)
    checkpoints.save(
        path, {"recipe": recipe, "seed": seed, "step": 0, "encoder": encoder.state_dict()}
    )


class Pretraining:
    """A network, its memory bank, its objective and its optimiser: a `loop.Task`."""

    def __init__(
        self, recipe: dict, stage: str, schedule: Schedule, instances: int, *, seed: int
    ) -> None:
        from accelerate import Accelerator

        self.recipe, self.schedule, self.seed = recipe, schedule, seed
        self.accelerator = Accelerator()
        device = self.accelerator.device
        encoder = channels_last(new_encoder(recipe, seed))
        optimiser = {k: v for k, v in recipe["optimiser"].items() if k != "batch"}
        self.encoder, self.optimiser = self.accelerator.prepare(encoder, sgd(encoder, **optimiser))
        self.bank = MemoryBank(
            instances,
            recipe["encoder"]["embedding"],
            momentum=recipe["objective"]["bank_momentum"],
            seed=torch_seed(seed, "bank"),
        ).to(device)
        self.objective = OBJECTIVES[stage](recipe["objective"], instances).to(device)
        self.steps_per_epoch = steps_per_epoch(instances, recipe["optimiser"]["batch"])
        self.monitor: Monitor | None = None

    def network(self) -> torch.nn.Module:
        """The encoder without what Accelerate wraps around it."""
        return self.accelerator.unwrap_model(self.encoder)

    def before_step(self, step: int) -> dict[str, float]:
        """New clusters at every epoch's start; the monitor when it is due."""
        first = step == self.schedule.first
        if hasattr(self.objective, "recluster") and (first or step % self.steps_per_epoch == 0):
            epoch = step // self.steps_per_epoch
            seed = torch_seed(self.seed, "clustering", epoch) % 2**31
            self.objective.recluster(self.bank.vectors, seed)
        every = resolve_steps(self.recipe["monitor"]["every"], self.steps_per_epoch)
        if self.monitor is not None and (first or (every and step % every == 0)):
            return self.measure()
        return {}

    def measure(self) -> dict[str, float]:
        """What the monitor says of the network as it is now."""
        return self.monitor(self.network(), self.bank.vectors) if self.monitor else {}

    def step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """Forward, backward, update of the weights, update of the bank."""
        device = self.accelerator.device
        lr = self.schedule.lr(self.recipe["optimiser"]["lr"], step)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        clips = colour_noise(batch.clips.to(device, non_blocking=True), batch.colour)
        instances = batch.instances.to(device, non_blocking=True)
        noise = torch.Generator(device).manual_seed(torch_seed(self.seed, "noise", step))
        with self.accelerator.autocast():
            embedding, _ = self.encoder(clips)  # (B, 3, T, H, W) -> (B, D)
        loss = self.objective(embedding, instances, self.bank.vectors, noise)
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        self.optimiser.step()
        self.bank.update(instances, embedding.detach())
        return {"loss": loss.detach()}

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "encoder": self.network().state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "bank": self.bank.state_dict(),
            "objective": self.objective.state_dict(),
        }

    def restore(self, content: dict[str, Any], *, same_stage: bool) -> None:
        """Take over a checkpoint; the previous stage's has another objective."""
        self.network().load_state_dict(content["encoder"])
        self.optimiser.load_state_dict(content["optimiser"])
        if content["bank"]["vectors"].shape != self.bank.vectors.shape:
            raise VieError(
                f"the checkpoint's memory bank has {tuple(content['bank']['vectors'].shape)} "
                f"entries, the index and recipe ask for {tuple(self.bank.vectors.shape)}: pretrain "
                "the previous stage again"
            )
        self.bank.load_state_dict(content["bank"])
        if same_stage:
            self.objective.load_state_dict(content["objective"])


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
    monitor: Monitor | None = None,
    code: str = "",
    workers: int = 0,
    checkpoint_seconds: float = 20,
) -> None:
    """Train one stage of a recipe to its end, going on where a killed run stopped.

    Args:
        recipe: one entry of `recipes` in the config.
        stage: "instance_recognition" or "local_aggregation".
        index: index.parquet of the training videos.
        seed: of weights, bank, order, clips and noise.
        label: shown with the progress.
        checkpoint: written at the end: the whole state and the recipe.
        metrics: JSON lines, written at the end.
        tensorboard: folder of event files.
        work: folder of what a run in progress needs; nothing of it is left at the end.
        start_from: checkpoint of the previous stage.
        monitor: measures the network while it trains.
        code: fingerprint of the code; a run is not resumed with other code.
        workers: processes that load clips.
        checkpoint_seconds: shortest time between two checkpoints.

    Raises:
        VieError: a setting does not fit the data, or the loss is not finite.
    """
    instances = len(load_index(index))
    batch = recipe["optimiser"]["batch"]
    schedule = pretraining_schedule(recipe["schedule"], stage, steps_per_epoch(instances, batch))
    task = Pretraining(recipe, stage, schedule, instances, seed=seed)
    task.monitor = monitor
    identity = {
        "recipe": recipe,
        "stage": stage,
        "seed": seed,
        "index": digest(index),
        "start_from": digest(start_from) if start_from else None,
        "code": code,
    }
    resumable = checkpoints.Resumable(work / "checkpoint.pt", identity, checkpoint_seconds)
    content, step = resumable.load(), schedule.first
    if content is not None:
        task.restore(content, same_stage=True)
        step = content["step"]
    elif start_from is not None:
        task.restore(checkpoints.load(start_from), same_stage=False)
    recorder = Recorder(work / "metrics.jsonl", tensorboard, step)
    order = TrainOrder(
        instances, batch, seed=seed, stage="pretraining", first=step, last=schedule.last
    )
    clips = TrainClips(index, View.of(recipe), seed=seed, stage="pretraining")
    run(
        task,
        loader(clips, order, workers),
        schedule,
        start=step,
        resumable=resumable,
        recorder=recorder,
        label=label,
    )
    recorder.write(schedule.last, **task.measure())
    recorder.close()
    checkpoints.save(
        checkpoint,
        {
            "recipe": recipe,
            "stage": stage,
            "seed": seed,
            "step": schedule.last,
            "steps_per_epoch": order.steps_per_epoch,
            "n_train": instances,
            **task.state(),
        },
    )
    (work / "metrics.jsonl").replace(metrics)
    resumable.done()
    work.rmdir()
