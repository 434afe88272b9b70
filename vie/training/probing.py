"""Linear probe: softmax classifiers on frozen features (protocol section 7)."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vie.data.clips import Batch, TrainClips, TrainOrder, View, loader, steps_per_epoch
from vie.data.colour import colour_noise
from vie.data.index import load_index
from vie.data.randomness import torch_seed
from vie.files import digest
from vie.models.encoders import build_encoder, feature_shapes
from vie.models.resnet import channels_last
from vie.training import checkpoints
from vie.training.loop import run
from vie.training.optimizer import sgd
from vie.training.recorder import Recorder
from vie.training.schedules import Schedule, probe_schedule

LAYERS = ("conv3", "conv4", "conv5")
POOL_ABOVE = 200_000  # numbers in a feature map, protocol section 7


def readout_vector(features: Tensor) -> Tensor:
    """Average over time, pool 2x2 where the map is very large, flatten over space.

    A single-frame network on several frames is the paper's Input-Single by this average.

    Args:
        features: (B, C, T, H, W).

    Returns:
        (B, C * H' * W') float32.
    """
    maps = features.mean(2, dtype=torch.float32)  # (B, C, T, H, W) -> (B, C, H, W)
    if maps[0].numel() > POOL_ABOVE:
        maps = F.avg_pool2d(maps, 2)  # (B, C, H // 2, W // 2)
    return maps.flatten(1)


class Classifiers(nn.Module):
    """A frozen trunk in evaluation mode and one linear classifier on each of `LAYERS`."""

    def __init__(self, trunk: nn.Module, widths: dict[str, int], classes: int) -> None:
        super().__init__()
        self.trunk = trunk.eval().requires_grad_(False)
        self.heads = nn.ModuleDict({k: nn.Linear(width, classes) for k, width in widths.items()})
        for head in self.heads.values():
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)

    def train(self, mode: bool = True) -> "Classifiers":
        """The trunk stays in evaluation mode, whatever the classifiers do."""
        super().train(mode)
        self.trunk.eval()
        return self

    def forward(self, clips: Tensor) -> dict[str, Tensor]:
        """(B, 3, T, H, W) normalised floats -> {layer: (B, classes) logits}."""
        with torch.no_grad():
            features = self.trunk(clips)
        return {name: head(readout_vector(features[name])) for name, head in self.heads.items()}


def build_classifiers(checkpoint: Path, view: View, classes: int, *, seed: int) -> Classifiers:
    """Classifiers, untrained, on the network of a checkpoint; widths follow from the view."""
    content = checkpoints.load(checkpoint)
    encoder = build_encoder(content["recipe"]["encoder"])
    encoder.load_state_dict(content["encoder"])
    size = view.geometry.size
    shapes = feature_shapes(encoder, (3, view.sampling.frames, size, size))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, "probe"))
        widths = {
            name: readout_vector(torch.empty(1, *shapes[name], device="meta")).shape[1]
            for name in LAYERS
        }
        return Classifiers(channels_last(encoder.trunk), widths, classes)


class Probing:
    """Training of the classifiers, all in one pass over the clips: a `loop.Task`."""

    def __init__(self, classifiers: Classifiers, optimiser: dict, schedule: Schedule) -> None:
        from accelerate import Accelerator

        self.accelerator = Accelerator()
        self.lr, self.schedule = optimiser["lr"], schedule
        settings = {k: v for k, v in optimiser.items() if k != "batch"}
        self.classifiers, self.optimiser = self.accelerator.prepare(
            classifiers, sgd(classifiers, **settings)
        )

    def before_step(self, step: int) -> dict[str, float]:
        """Nothing is due between steps."""
        return {}

    def step(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """One step of all classifiers; the losses do not touch each other's parameters."""
        device = self.accelerator.device
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.lr(self.lr, step)
        clips = colour_noise(batch.clips.to(device, non_blocking=True), batch.colour)
        labels = batch.labels.to(device, non_blocking=True)
        with self.accelerator.autocast():
            logits = self.classifiers(clips)
        loss = sum(F.cross_entropy(scores.float(), labels) for scores in logits.values())
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        self.optimiser.step()
        metrics = {"loss": loss.detach() / len(logits)}
        for name, scores in logits.items():
            metrics[f"{name}_top1"] = (scores.argmax(1) == labels).float().mean()
        return metrics

    def network(self) -> Classifiers:
        """The classifiers without what Accelerate wraps around them."""
        return self.accelerator.unwrap_model(self.classifiers)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds; the trunk is in the checkpoint that is read out."""
        return {
            "heads": self.network().heads.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, content: dict[str, Any]) -> None:
        """Take over a checkpoint."""
        self.network().heads.load_state_dict(content["heads"])
        self.optimiser.load_state_dict(content["optimiser"])


def train_probe(
    checkpoint: Path,
    probe: dict,
    view: View,
    index: Path,
    *,
    classes: int,
    seed: int,
    label: str,
    metrics: Path,
    tensorboard: Path,
    work: Path,
    code: str = "",
    workers: int = 0,
    checkpoint_seconds: float = 20,
) -> Classifiers:
    """Train classifiers on the frozen network of `checkpoint`, going on where a run was killed.

    Args:
        checkpoint: the network, trained or not.
        probe: `probe` of the config.
        view: clips and augmentation, as in pretraining but for the readout's sampling.
        index: index.parquet of the training videos.
        classes: number of classes.
        seed: of classifiers, order and clips.
        label: shown with the progress.
        metrics, tensorboard, work, code, workers, checkpoint_seconds: as in `pretrain`.

    Returns:
        The classifiers, trained, in evaluation mode.
    """
    videos, batch = len(load_index(index)), probe["optimiser"]["batch"]
    schedule = probe_schedule(probe["schedule"], steps_per_epoch(videos, batch))
    classifiers = build_classifiers(checkpoint, view, classes, seed=seed)
    task = Probing(classifiers, probe["optimiser"], schedule)
    identity = {
        "checkpoint": digest(checkpoint),
        "probe": probe,
        "view": repr(view),
        "index": digest(index),
        "seed": seed,
        "code": code,
    }
    resumable = checkpoints.Resumable(work / "checkpoint.pt", identity, checkpoint_seconds)
    content, step = resumable.load(), 0
    if content is not None:
        task.restore(content)
        step = content["step"]
    recorder = Recorder(work / "metrics.jsonl", tensorboard, step)
    order = TrainOrder(videos, batch, seed=seed, stage="probe", first=step, last=schedule.last)
    run(
        task,
        loader(TrainClips(index, view, seed=seed, stage="probe"), order, workers),
        schedule,
        start=step,
        resumable=resumable,
        recorder=recorder,
        label=label,
    )
    recorder.close()
    (work / "metrics.jsonl").replace(metrics)
    resumable.done()
    work.rmdir()
    return task.network().eval()
