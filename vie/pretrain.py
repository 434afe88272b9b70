"""Pretraining, stage by stage (protocol sections 5, 6 and 9)."""

import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vie.clips.loader import Batch, long_enough, steps_per_epoch
from vie.config.clip_frames import trained_clip
from vie.config.settings import UNTRAINED, resolve_steps
from vie.engine.device import accelerator, at_least_float32, described, to_device
from vie.engine.monitor import Monitor, bank_measures, build_monitor
from vie.engine.recorder import Points
from vie.engine.resumable import CHECKPOINT
from vie.engine.run import Data, Run, TrainingClips, fit
from vie.engine.schedules import Schedule, pretraining_schedule
from vie.engine.task import Task
from vie.frames.index import load_index
from vie.models.batchnorm import share_statistics
from vie.models.checkpoint_format import describe, read
from vie.models.encoders import Encoder
from vie.models.resnet import channels_last
from vie.models.untrained import new_encoder
from vie.objectives.bank import MemoryBank
from vie.objectives.base import Objective
from vie.objectives.table import BEGUN, build_objective, transform_of
from vie.runtime import distributed
from vie.runtime.errors import VieError
from vie.runtime.files import link
from vie.runtime.randomness import torch_seed
from vie.runtime.torch_files import content_digest

log = logging.getLogger(__name__)


class EncoderWithLoss(torch.nn.Module):
    """A network and what is measured on it: all that has parameters, as one module."""

    def __init__(self, encoder: Encoder, objective: Objective) -> None:
        super().__init__()
        self.encoder, self.objective = encoder, objective

    def forward(
        self, clips: Tensor, instances: Tensor, vectors: Tensor, noise: torch.Generator
    ) -> tuple[dict[str, Tensor], Tensor]:
        """(V * B, 3, T, H, W) -> measures, and the embeddings (B, D) of the first view."""
        measures, embedding = self.objective.measures(
            self.encoder, clips, instances, vectors, noise
        )
        measures = {name: at_least_float32(value) for name, value in measures.items()}
        return measures, at_least_float32(embedding)


class Pretraining(Task[Encoder]):
    """A network, its objective and its memory bank."""

    def __init__(
        self,
        recipe: dict[str, Any],
        stage: str,
        schedule: Schedule,
        labels: Tensor,
        *,
        seed: int,
        steps_per_epoch: int,
        precision: str = "float32",
    ) -> None:
        self.recipe, self.schedule, self.seed = recipe, schedule, seed
        self.steps_per_epoch = steps_per_epoch
        there = accelerator(precision)
        log.info("training on %s", described(there.device, precision))
        encoder = share_statistics(channels_last(new_encoder(recipe, seed)).to(there.device))
        self.objective = build_objective(recipe, stage, labels, seed, encoder).to(there.device)
        model = EncoderWithLoss(encoder, self.objective)
        super().__init__(encoder, recipe["optimiser"], there, model)
        self.bank = MemoryBank(
            len(labels),
            encoder.dimensions,
            momentum=recipe["objective"]["bank_momentum"],
            seed=torch_seed(seed, "bank"),
        ).to(there.device)
        self.parts |= {"encoder": encoder, "bank": self.bank, "objective": self.objective}
        self.first_epoch = 0.0
        self.done = schedule.first  # steps
        self.monitor: Monitor | None = None
        self.begun = False  # whether it is logged that instance recognition has gained something

    def before_step(self, step: int) -> dict[str, float]:
        """New clusters at every epoch's start; the monitor when it is due."""
        first = step == self.schedule.first
        if first or step % self.steps_per_epoch == 0:
            epoch = step // self.steps_per_epoch
            seed = torch_seed(self.seed, "clustering", epoch) % 2**31
            self.objective.before_epoch(self.bank.vectors, seed)
        self.objective.before_step(step - self.schedule.first, self.steps_per_epoch)
        every = resolve_steps(self.recipe["monitor"]["every"], self.steps_per_epoch)
        return self.at_end(step) if first or (every and step % every == 0) else {}

    def reported(self, step: int, means: dict[str, float]) -> None:
        """Log when instance recognition begins."""
        if not self.begun and means.get("gained", 0) >= BEGUN:
            self.begun = True
            log.info(
                "instance recognition has begun: in the steps up to %d (epoch %.1f) it gained %.2f "
                "of %.2f nats",
                *(
                    step + 1,
                    self.epoch(step + 1),
                    means["gained"],
                    math.log(len(self.bank.vectors)),
                ),
            )

    def epoch(self, step: int) -> float:
        """Epochs before `step`, those of the recipes it started from with their own batch."""
        return self.first_epoch + (step - self.schedule.first) / self.steps_per_epoch

    def at_end(self, step: int) -> dict[str, float]:
        """What the monitor says of the network as it is before `step`."""
        if self.monitor is None:
            return {}
        epoch = round(self.epoch(step), 3)
        return {"epoch": epoch, **self.monitor(self.network(), self.bank.vectors)}

    def step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """Forward, backward, update of the weights, of the bank and of the objective's state.

        Where several processes train, `batch` is this one's share.
        """
        device = self.accelerator.device
        noise = torch.Generator(device).manual_seed(torch_seed(self.seed, "noise", step))
        with self.accelerator.autocast():
            clips, instances, _, _ = to_device(batch, device)
            measures, embedding = self.model(clips, instances, self.bank.vectors, noise)
        self.update(measures["loss"], self.schedule.lr(self.lr, step))
        self.bank.update(distributed.gather(instances), distributed.gather(embedding.detach()))
        self.objective.after_step(self.network())
        self.done = step + 1
        return {name: distributed.mean(value.detach()) for name, value in measures.items()}

    def shown(self) -> dict[str, float]:
        return super().shown() | self.objective.shown()

    def shown_at_times(self) -> dict[str, float]:
        return bank_measures(self.bank)

    def seen(self, batch: Batch) -> Tensor:
        return self.objective.inputs(super().seen(batch))

    def points(self) -> Points | None:
        """Of the validation videos, as the monitor has last embedded them."""
        return getattr(self.monitor, "points", None)

    def state(self) -> dict[str, Any]:
        return super().state() | {"epoch": self.epoch(self.done), "begun": self.begun}

    def restore(self, content: dict[str, Any]) -> None:
        super().restore(content)
        self.done, self.begun = content["step"], content.get("begun", False)

    def start_from(self, content: dict[str, Any]) -> None:
        """Take over the end of the previous stage, or of the recipe that this one starts from.

        Network and bank go on; so does the optimiser's momentum between stages with the same
        parameters and settings. A network that was imported has no momentum, and not always a
        bank.

        Raises:
            VieError: the bank is of another dataset or network.
        """
        self.first_epoch = content.get("epoch", 0.0)
        self.network().init_from(content["encoder"])
        if "optimiser" in content:
            self._take_momentum(content)
        imported = content.get("imported_from")
        shape = content["bank"]["vectors"].shape if "bank" in content else None
        if shape == self.bank.vectors.shape:
            self.bank.load_state_dict(content["bank"])
        elif imported:
            log.info("%s has no memory bank of these videos: a new, random one is used", imported)
        else:
            raise VieError(
                f"the checkpoint's memory bank has {tuple(shape or ())} entries, the index and "
                f"recipe ask for {tuple(self.bank.vectors.shape)}: pretrain what it starts from "
                "again"
            )

    def _take_momentum(self, content: dict[str, Any]) -> None:
        settings = ("encoder", "optimiser")
        same = all(content["recipe"][key] == self.recipe[key] for key in settings)
        # A head that an objective brought along is a new one here, and so is its momentum.
        heads = any(parameter.requires_grad for parameter in self.objective.parameters())
        groups = content["optimiser"]["param_groups"], self.optimiser.param_groups
        before, after = ([len(group["params"]) for group in each] for each in groups)
        if same and not heads and before == after:
            self.optimiser.load_state_dict(content["optimiser"])


@dataclass(frozen=True)
class PretrainOutputs:
    """Files of a stage's end: its whole state with the recipe, and its metrics as JSON lines."""

    checkpoint: Path
    metrics: Path


def pretrain(
    recipe: dict[str, Any],
    stage: str,
    data: Data,
    run: Run,
    outputs: PretrainOutputs,
    start_from: Path | None = None,
) -> None:
    """Train one stage of a recipe to its end, going on where a killed run stopped.

    With several GPUs, one process for each, which share batches and threads. With several nodes,
    each has these GPUs and threads, or one process on its CPUs.

    Args:
        recipe: one entry of `recipes` in the config.
        stage: a key of `OBJECTIVES`.
        data: the videos; the recipe's `monitor` takes those for validation, if there are any.
        start_from: checkpoint of the previous stage, or of the recipe that this one starts from;
            its step is the first of this stage.

    Raises:
        VieError: a setting does not fit the data, the loss is not finite, or the machine has fewer
            GPUs, or the job fewer nodes, than several that are asked for.
    """
    processes = max(run.gpus, 1)
    distributed.launch(
        processes,
        train_stage,
        gpus=run.gpus,
        nodes=run.nodes,
        recipe=recipe,
        stage=stage,
        data=data,
        run=replace(run, threads=max(1, run.threads // processes)),
        outputs=outputs,
        start_from=start_from,
    )


def train_stage(
    recipe: dict[str, Any],
    stage: str,
    data: Data,
    run: Run,
    outputs: PretrainOutputs,
    start_from: Path | None = None,
    monitor: Monitor | None = None,
) -> None:
    """One process of `pretrain`; `monitor` takes the place of the recipe's.

    The result is another name of the checkpoint in the work folder, which stays there: Snakemake
    removes a result before it makes it again, and a longer schedule goes on from this one's end.

    Raises:
        VieError, StoppedError: as `pretrain` and `fit`.
    """
    workers = run.use_threads()
    index, videos = load_index(data.train), long_enough(data.train, recipe.get("min_frames", 1))
    batch, processes = recipe["optimiser"]["batch"], distributed.world_size()
    if batch % processes:
        raise VieError(
            f"optimiser.batch {batch} cannot be shared by {processes} processes: choose a "
            "multiple, or other gpus or nodes"
        )
    previous = read(start_from) if start_from else None
    first = previous["step"] if previous else 0
    steps = steps_per_epoch(len(videos), batch)
    task = Pretraining(
        recipe,
        stage,
        pretraining_schedule(recipe["schedule"], stage, steps, first=first),
        torch.from_numpy(index.labels),
        seed=run.seed,
        steps_per_epoch=steps,
        precision=run.precision,
    )
    task.monitor = monitor or build_monitor(recipe, data, workers)
    if previous is not None:
        task.start_from(previous)
    transform, n_views = transform_of(recipe, stage), task.objective.facts.n_views
    fit(
        task,
        run,
        TrainingClips(data.train, transform, videos, batch, "pretraining", data.motion, n_views),
        task.schedule,
        key=_key(recipe, stage, previous),
        metadata={
            **describe(recipe, transform, index.fps),
            "stage": stage,
            "seed": run.seed,
            "steps_per_epoch": steps,
            "n_train": len(videos),
            # Of all stages so far: a stage's own recipe may have been stripped of the others'.
            "objectives": {**((previous or {}).get("objectives") or {}), **recipe["objective"]},
        },
    )
    if distributed.is_main_process():
        link(run.work / CHECKPOINT, outputs.checkpoint)
        run.copy_metrics(outputs.metrics)


def _key(recipe: dict[str, Any], stage: str, previous: dict[str, Any] | None) -> dict[str, Any]:
    """What the steps of a stage depend on besides data, seed and schedule."""
    left_out = {*UNTRAINED, "start_from", "schedule"}  # `same_so_far` compares the durations
    trains = {name: value for name, value in recipe.items() if name not in left_out}
    # Mappings are settings of a stage.
    objective = recipe["objective"].items()
    trains["objective"] = {k: v for k, v in objective if k == stage or not isinstance(v, dict)}
    # Test clips and test crops are the monitor's.
    trains["clip"] = trained_clip(recipe["clip"])
    geometry = recipe["geometry"].items()
    trains["geometry"] = {k: v for k, v in geometry if k != "test_shorter_side"}
    passed_on = _passed_on(previous) if previous else None
    return {"recipe": trains, "stage": stage, "start_from": passed_on}


def _passed_on(content: dict[str, Any]) -> str:
    """Digest of what `Pretraining.start_from` and the schedule take from a checkpoint."""
    recipe, names = content["recipe"], ("step", "epoch", "encoder", "optimiser", "bank")
    settings = [recipe["encoder"], recipe.get("optimiser"), sorted(recipe.get("schedule", {}))]
    taken = {name: content[name] for name in names if name in content}
    return content_digest(taken | {"settings": settings})
