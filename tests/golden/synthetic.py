"""Clips, batches and recipes made of integer formulas: no codec, no file."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from vie.clips.color_jitter import ColorJitterDraws, draw_color_jitter
from vie.clips.loader import Batch, EpochBatchSampler
from vie.runtime.randomness import generator

VIDEOS, CLASSES, BATCH, STEPS = 24, 4, 5, 20
SIZE = 32
SHOWN = (0, 1, 4, 9, 14, 19)  # steps whose losses are recorded
LABELS = torch.arange(VIDEOS) % CLASSES


def recipe(**changed: object) -> dict:
    """A recipe that trains within a second."""
    return {
        "encoder": {"network": "single", "width": 4, "embedding": 8, "bn_momentum": 0.1},
        "clip": {"frames": 2, "stride": 4},
        "geometry": {
            "size": SIZE,
            "train_shorter_side": [34, 40],
            "test_shorter_side": 36,
            "flip": 0.5,
        },
        "color_jitter": {"strength": 0.4, "hue": 0.4, "grey": 0.3},
        "objective": {
            "temperature": 0.07,
            "bank_momentum": 0.5,
            "instance_recognition": {"estimator": "nce_estimated", "negatives": 16},
            "local_aggregation": {
                "clusters": 4,
                "clusterings": 2,
                "kmeans_iterations": 5,
                "neighbours": 10,
            },
            "order_prediction": {"hidden": 8, "frame_shift": 1, "channel_dropping": True},
            "rotation": {"hidden": 6},
        },
        "optimiser": {"batch": BATCH, "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4},
        "schedule": {"lr_drops": ["12 steps"]},
        "monitor": {"every": "0 epochs", "neighbours": 3, "clips": 2},
    } | changed


def pixels(instance: int, clip: int, frames: int, height: int, width: int) -> np.ndarray:
    """(T, height, width, 3) uint8: stripes whose slant depends on the class, and which move."""
    t, y, x, c = np.ogrid[:frames, :height, :width, :3]
    slant = 3 + 4 * (instance % CLASSES)
    waves = slant * y + 9 * x + (7 + slant) * t + 31 * c + 13 * clip
    return ((waves + (y * x * (1 + instance)) // 5 + 17 * instance) % 256).astype(np.uint8)


def clips(instances: np.ndarray, clip: int, frames: int = 2) -> Tensor:
    """(B, 3, T, SIZE, SIZE) uint8."""
    many = np.stack([pixels(int(i), clip, frames, SIZE, SIZE) for i in instances])
    # (B, T, S, S, 3) -> (B, 3, T, S, S)
    return torch.from_numpy(many).permute(0, 4, 1, 2, 3).contiguous()


def draws(instances: np.ndarray, epoch: int, settings: dict) -> ColorJitterDraws:
    """Color jitter of a batch, as the loader draws it."""
    each = [draw_color_jitter(generator(3, "golden", epoch, int(i)), **settings) for i in instances]
    return ColorJitterDraws(*(torch.from_numpy(np.stack(part)) for part in zip(*each, strict=True)))


def batches(steps: int = STEPS, frames: int = 2, jitter: dict | None = None) -> Iterator[Batch]:
    """Batches of training clips, in the order of training."""
    order = EpochBatchSampler(VIDEOS, BATCH, seed=3, stage="golden", first=0, last=steps)
    for epoch, instances in order:
        yield Batch(
            clips(instances, epoch, frames),
            torch.from_numpy(np.asarray(instances, dtype=np.int64)),
            LABELS[torch.from_numpy(np.asarray(instances))],
            draws(instances, epoch, jitter) if jitter else None,
        )


def fingerprint(tensors: list[Tensor]) -> list[float]:
    """Sum, norm, and projection onto a fixed direction of numbers laid one behind the other."""
    if not tensors:
        return []
    values = torch.cat([tensor.detach().cpu().double().flatten() for tensor in tensors]).numpy()
    places = np.arange(len(values), dtype=np.int64)
    direction = (places * 7919 + 12345) % 104729 / 104729 - 0.5
    return [float(values.sum()), float(np.sqrt((values**2).sum())), float(values @ direction)]


def weights(network: nn.Module) -> dict[str, list[float]]:
    """Fingerprints of a network: its weights, batch norm's, and batch norm's running statistics.

    They stand in the order of definition, so a name may change.
    """
    groups: dict[str, list[Tensor]] = {"weights": [], "batch_norm": [], "statistics": []}
    for module in network.modules():
        normalises = isinstance(module, nn.modules.batchnorm._BatchNorm)
        groups["batch_norm" if normalises else "weights"] += module.parameters(recurse=False)
        if normalises:
            groups["statistics"] += [module.running_mean, module.running_var]
    return {name: fingerprint(tensors) for name, tensors in groups.items()}
