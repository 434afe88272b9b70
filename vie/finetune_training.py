"""Finetuning, and training from scratch, with labels (protocol section 8)."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vie.clips.color_jitter import apply_color_jitter, normalise
from vie.clips.crops import ScaleCrop
from vie.clips.loader import Batch, EpochBatchSampler, TrainClips, loader, steps_per_epoch
from vie.clips.sampling import sampling
from vie.clips.transform import ClipTransform
from vie.config.settings import resolve_steps
from vie.engine import checkpoints
from vie.engine.device import accelerator
from vie.engine.loop import run
from vie.engine.optimizer import sgd
from vie.engine.plateau import Plateau
from vie.engine.recorder import Recorder
from vie.engine.schedules import Schedule
from vie.models.classifiers import Classifier
from vie.models.load import load_encoder
from vie.models.resnet import channels_last
from vie.runtime.errors import VieError
from vie.runtime.files import digest
from vie.runtime.randomness import torch_seed

# (top-1 as a fraction, mean loss) of a network on the validation videos
Validation = Callable[[nn.Module], tuple[float, float]]


def scale_crop(recipe: dict, clip: str | dict, settings: dict) -> ClipTransform:
    """CropPolicy at five places and scales, no colour noise: the paper's Table 2."""
    geometry, scales = recipe["geometry"], tuple(settings["scales"])
    return ClipTransform(
        sampling(clip), ScaleCrop(geometry["size"], scales, geometry["flip"]), None
    )


def color_jitter(recipe: dict, clip: str | dict, settings: dict) -> ClipTransform:
    """CropPolicy and colour noise as in pretraining: the paper's Table 3."""
    return ClipTransform.of(recipe, clip)


# Preprocessing pipeline -> its transform, from geometry and colour of a recipe, a clip sampling,
# and `finetuning.scale_crop` of the config.
PIPELINES = {"scale_crop": scale_crop, "color_jitter": color_jitter}


def build_classifier(checkpoint: Path, classes: int, *, seed: int) -> Classifier:
    """The network of a checkpoint, pretrained or not, with a new linear layer."""
    encoder = load_encoder(checkpoint)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, "finetuning"))
        return channels_last(Classifier(encoder, classes)).train()


class Finetuning:
    """Training of a whole network with labels until validation saturates: a `loop.Task`.

    Args:
        classifier: the network.
        optimiser: of the config.
        plateau: of the learning rate.
        validate: measures the network.
        every: steps between two validations.
        precision: as for `vie.engine.device.accelerator`.
    """

    def __init__(
        self,
        classifier: Classifier,
        optimiser: dict,
        plateau: Plateau,
        validate: Validation,
        every: int,
        precision: str = "float32",
    ) -> None:
        self.accelerator = accelerator(precision)
        self.lr, self.plateau, self.validate, self.every = optimiser["lr"], plateau, validate, every
        settings = {k: v for k, v in optimiser.items() if k != "batch"}
        self.classifier, self.optimiser = self.accelerator.prepare(
            classifier, sgd(classifier, **settings)
        )
        self.best: dict[str, Tensor] = {}
        self.ended = 0

    @property
    def finished(self) -> bool:
        """Whether validation has saturated."""
        return self.plateau.finished

    def network(self) -> Classifier:
        """The network without what Accelerate wraps around it."""
        return self.accelerator.unwrap_model(self.classifier)

    def before_step(self, step: int) -> dict[str, float]:
        """Validation when it is due."""
        return self.measure(step) if step and step % self.every == 0 else {}

    def at_end(self, step: int) -> dict[str, float]:
        """Validation, unless the last one ended it."""
        return {} if self.finished else self.measure(step)

    def measure(self, step: int) -> dict[str, float]:
        """Validate the network as it is before `step`, and keep it if it is the best so far."""
        network = self.network().eval()
        top1, loss = self.validate(network)
        network.train()
        self.ended = step
        if self.plateau.see(step, (top1, -loss)):
            self.best = {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}
        return {
            "validation_top1": round(100 * top1, 2),
            "validation_loss": round(loss, 4),
            "lr": self.plateau.lr(self.lr),
        }

    def step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """One step of the whole network."""
        device = self.accelerator.device
        for group in self.optimiser.param_groups:
            group["lr"] = self.plateau.lr(self.lr)
        clips = batch.clips.to(device, non_blocking=True)
        clips = (
            normalise(clips)
            if batch.color_jitter is None
            else apply_color_jitter(clips, batch.color_jitter)
        )
        labels = batch.labels.to(device, non_blocking=True)
        with self.accelerator.autocast():
            logits = self.classifier(clips)
        loss = F.cross_entropy(logits.float(), labels)
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        self.optimiser.step()
        return {"loss": loss.detach(), "top1": (logits.argmax(1) == labels).float().mean()}

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {
            "network": self.network().state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "plateau": asdict(self.plateau),
            "best": self.best,
            "ended": self.ended,
        }

    def restore(self, content: dict[str, Any]) -> None:
        """Take over a checkpoint."""
        self.network().load_state_dict(content["network"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.plateau = Plateau(**content["plateau"])
        self.best, self.ended = content["best"], content["ended"]


def train_finetuned(
    checkpoint: Path,
    optimiser: dict,
    settings: dict,
    transform: ClipTransform,
    index: Path,
    videos: np.ndarray,
    *,
    classes: int,
    validate: Validation,
    depends: dict[str, Any],
    seed: int,
    label: str,
    tensorboard: Path,
    work: Path,
    workers: int = 0,
    precision: str = "float32",
    checkpoint_seconds: float = 20,
) -> Finetuning:
    """Train a network to its end, going on where a run was killed.

    Args:
        checkpoint: of the network to start from.
        optimiser: `finetuning.trained` or `finetuning.untrained` of the config.
        settings: `finetuning.schedule` of the config.
        transform: of the training clips.
        index: index.parquet that holds the training videos.
        videos: instances (V,) of these.
        classes: number of classes.
        validate: measures a network on the validation videos.
        depends: what else the result depends on, such as code and validation videos; a run is not
            resumed with others.
        seed: of the linear layer, order and clips.
        label: shown with the progress.
        tensorboard, workers, precision, checkpoint_seconds: as in `pretrain`.
        work: folder of what a run in progress needs; `metrics.jsonl` and a checkpoint of the end
            are left there.

    Returns:
        The task at its end, its network the best one of all validations, in evaluation mode.

    Raises:
        VieError: a batch is larger than the training set, or the loss is not finite.
    """
    steps = steps_per_epoch(len(videos), optimiser["batch"])
    schedule = Schedule(0, resolve_steps(settings["most"], steps))
    every = resolve_steps(settings["every"], steps)
    if not 0 < every <= schedule.last:
        raise VieError(
            f"finetuning.schedule: validations every {settings['every']} within "
            f"{settings['most']} of {steps} steps an epoch: there would be none"
        )
    task = Finetuning(
        build_classifier(checkpoint, classes, seed=seed),
        optimiser,
        Plateau(settings["patience"], settings["drops"]),
        validate,
        every,
        precision,
    )
    identity = {
        "checkpoint": digest(checkpoint),
        "optimiser": optimiser,
        "schedule": settings,
        "transform": repr(transform),
        "index": digest(index),
        "videos": videos.tolist(),
        "seed": seed,
        "precision": precision,
        **depends,
    }
    resumable = checkpoints.Resumable(work / "checkpoint.pt", identity, checkpoint_seconds)
    content, step = resumable.load(), 0
    if content is not None:
        task.restore(content)
        step = content["step"]
    recorder = Recorder(work / "metrics.jsonl", tensorboard, step, complete=resumable.complete)
    address = {"seed": seed, "stage": "finetuning"}
    order = EpochBatchSampler(videos, optimiser["batch"], first=step, last=schedule.last, **address)
    run(
        task,
        loader(TrainClips(index, transform, **address), order, workers, clips=optimiser["batch"]),
        schedule,
        start=step,
        resumable=resumable,
        recorder=recorder,
        label=label,
    )
    recorder.close()
    task.network().load_state_dict(task.best)
    task.network().eval()
    return task
