"""Linear probe: softmax classifiers on frozen features (protocol section 7)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vie.clips.color_jitter import apply_color_jitter
from vie.clips.loader import Batch, EpochBatchSampler, TrainClips, loader, steps_per_epoch
from vie.clips.transform import ClipTransform
from vie.config.settings import LAYERS
from vie.engine import checkpoints
from vie.engine.device import accelerator
from vie.engine.loop import run
from vie.engine.optimizer import sgd
from vie.engine.recorder import Recorder
from vie.engine.schedules import Schedule, probe_schedule
from vie.frames.index import load_index
from vie.models.encoders import Encoder, feature_shapes
from vie.models.load import load_encoder
from vie.models.resnet import channels_last
from vie.runtime.files import digest
from vie.runtime.randomness import torch_seed

POOL_ABOVE = 200_000  # numbers in a feature map, protocol section 7


def probe_features(features: Tensor) -> Tensor:
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


class FrozenEncoders(nn.Module):
    """What is read out: one frozen encoder, or several side by side."""

    def __init__(self, encoders: list[Encoder]) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(channels_last(encoder) for encoder in encoders)
        self.eval().requires_grad_(False)

    def forward(self, clips: Tensor) -> dict[str, Tensor]:
        """(B, 3, T, H, W) -> {layer: (B, C, T', H', W')}, all encoders' channels."""
        return self._concatenated([encoder.trunk(clips) for encoder in self.encoders])

    def with_embedding(self, clips: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The same, and the embedding: all encoders' one behind the other, (B, sum of D), of unit
        length."""
        features = [encoder.trunk(clips) for encoder in self.encoders]
        embeddings = [
            encoder.embed(one) for encoder, one in zip(self.encoders, features, strict=True)
        ]
        return self._concatenated(features), F.normalize(torch.cat(embeddings, 1), dim=1)

    @staticmethod
    def _concatenated(features: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        if len(features) == 1:
            return features[0]
        return {
            # Networks may differ in T', which the evaluation averages over in any case:
            # (B, C, T', H', W') -> (B, C, 1, H', W'), one behind the other
            name: torch.cat([one[name].mean(2, keepdim=True) for one in features], 1)
            for name in LAYERS
        }


class Classifiers(nn.Module):
    """A frozen network in evaluation mode and one linear classifier on each of `LAYERS`."""

    def __init__(self, network: FrozenEncoders, widths: dict[str, int], classes: int) -> None:
        super().__init__()
        self.network = network
        self.heads = nn.ModuleDict({k: nn.Linear(width, classes) for k, width in widths.items()})
        for head in self.heads.values():
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)

    def train(self, mode: bool = True) -> "Classifiers":
        """The network stays in evaluation mode, whatever the classifiers do."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, clips: Tensor) -> dict[str, Tensor]:
        """(B, 3, T, H, W) normalised floats -> {layer: (B, classes) logits}."""
        with torch.no_grad():
            features = self.network(clips)
        return self._logits(features)

    def with_embedding(self, clips: Tensor) -> dict[str, Tensor]:
        """The logits, and the network's embedding (B, D) under the name "embedding"."""
        features, embedding = self.network.with_embedding(clips)
        return {**self._logits(features), "embedding": embedding}

    def _logits(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: head(probe_features(features[name])) for name, head in self.heads.items()}


def build_classifiers(
    networks: Sequence[Path], transform: ClipTransform, classes: int, *, seed: int
) -> Classifiers:
    """Classifiers, untrained, on the networks of checkpoints; widths follow from the transform."""
    encoders = []
    for path in networks:
        encoders.append(load_encoder(path))
    network = FrozenEncoders(encoders)
    size = transform.geometry.size
    shapes = feature_shapes(network, (3, transform.sampling.frames, size, size))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, "probe"))
        widths = {name: probe_features(torch.empty(1, *shapes[name])).shape[1] for name in LAYERS}
        return Classifiers(network, widths, classes)


class Probing:
    """Training of the classifiers, all in one pass over the clips: a `loop.Task`."""

    finished = False  # before its schedule's end: never

    def __init__(
        self,
        classifiers: Classifiers,
        optimiser: dict,
        schedule: Schedule,
        precision: str = "float32",
    ) -> None:
        self.accelerator = accelerator(precision)
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
        clips = apply_color_jitter(batch.clips.to(device, non_blocking=True), batch.color_jitter)
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

    def at_end(self, step: int) -> dict[str, float]:
        """Nothing: testing is the caller's."""
        return {}

    def network(self) -> Classifiers:
        """The classifiers without what Accelerate wraps around them."""
        return self.accelerator.unwrap_model(self.classifiers)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds; the network is in the checkpoints that are read out."""
        return {
            "heads": self.network().heads.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, content: dict[str, Any]) -> None:
        """Take over a checkpoint."""
        self.network().heads.load_state_dict(content["heads"])
        self.optimiser.load_state_dict(content["optimiser"])


def train_probe(
    networks: Sequence[Path],
    probe: dict,
    transform: ClipTransform,
    index: Path,
    *,
    classes: int,
    seed: int,
    label: str,
    tensorboard: Path,
    work: Path,
    code: str = "",
    workers: int = 0,
    precision: str = "float32",
    checkpoint_seconds: float = 20,
) -> Classifiers:
    """Train classifiers on frozen networks, going on where a run was killed.

    Args:
        networks: checkpoints, trained or not; several are read out side by side.
        probe: `probe` of the config.
        transform: clips and augmentation, as in pretraining but for the evaluation's sampling.
        index: index.parquet of the training videos.
        classes: number of classes.
        seed: of classifiers, order and clips.
        label: shown with the progress.
        work: folder of what a run in progress needs; `metrics.jsonl` and a checkpoint of the end
            are left there.
        tensorboard, code, workers, precision, checkpoint_seconds: as in `pretrain`.

    Returns:
        The classifiers, trained, in evaluation mode.
    """
    videos, batch = len(load_index(index)), probe["optimiser"]["batch"]
    schedule = probe_schedule(probe["schedule"], steps_per_epoch(videos, batch))
    classifiers = build_classifiers(networks, transform, classes, seed=seed)
    task = Probing(classifiers, probe["optimiser"], schedule, precision)
    identity = {
        "networks": [digest(path) for path in networks],
        "probe": probe,
        "transform": repr(transform),
        "index": digest(index),
        "seed": seed,
        "precision": precision,
        "code": code,
    }
    resumable = checkpoints.Resumable(work / "checkpoint.pt", identity, checkpoint_seconds)
    content, step = resumable.load(), 0
    if content is not None:
        task.restore(content)
        step = content["step"]
    recorder = Recorder(work / "metrics.jsonl", tensorboard, step, complete=resumable.complete)
    order = EpochBatchSampler(
        videos, batch, seed=seed, stage="probe", first=step, last=schedule.last
    )
    run(
        task,
        loader(TrainClips(index, transform, seed=seed, stage="probe"), order, workers, clips=batch),
        schedule,
        start=step,
        resumable=resumable,
        recorder=recorder,
        label=label,
    )
    recorder.close()
    return task.network().eval()
