"""Stages of pretraining: the objective of each, and the clips that it is trained on."""

import torch
from torch import Tensor, nn

from vie.clips.transform import ClipTransform
from vie.objectives.base import Objective
from vie.objectives.instance_recognition import InstanceRecognition
from vie.objectives.local_aggregation import LocalAggregation
from vie.objectives.order_prediction import OrderPrediction
from vie.objectives.rotation import Rotation
from vie.objectives.supervised import Supervised
from vie.runtime.randomness import torch_seed

PER_FRAME = ("frame_shift", "channel_dropping")  # settings of an objective that concern its clips


def instance_recognition(
    recipe: dict, labels: Tensor, seed: int, encoder: nn.Module
) -> InstanceRecognition:
    """Objective of VIE's first stage."""
    objective = recipe["objective"]
    return InstanceRecognition(
        len(labels), temperature=objective["temperature"], **objective["instance_recognition"]
    )


def local_aggregation(
    recipe: dict, labels: Tensor, seed: int, encoder: nn.Module
) -> LocalAggregation:
    """Objective of VIE's second stage."""
    settings = dict(recipe["objective"]["local_aggregation"])
    return LocalAggregation(
        len(labels),
        temperature=recipe["objective"]["temperature"],
        iterations=settings.pop("kmeans_iterations"),
        threads=torch.get_num_threads(),
        **settings,
    )


def supervised(recipe: dict, labels: Tensor, seed: int, encoder: nn.Module) -> Supervised:
    """Objective of the supervised control; the only one that reads the labels."""
    return Supervised(
        labels,
        encoder.dimensions,
        temperature=recipe["objective"]["temperature"],
        seed=torch_seed(seed, "supervised"),
    )


def order_prediction(recipe: dict, labels: Tensor, seed: int, encoder: nn.Module) -> nn.Module:
    """Objective of OPN."""
    settings = recipe["objective"]["order_prediction"]
    head = {k: v for k, v in settings.items() if k not in PER_FRAME}
    frames = ClipTransform.of(recipe).sampling.frames
    return _seeded(OrderPrediction, seed, encoder.trunk.channels, frames=frames, **head)


def rotation(recipe: dict, labels: Tensor, seed: int, encoder: nn.Module) -> nn.Module:
    """Objective of RotNet and 3DRotNet."""
    return _seeded(Rotation, seed, encoder.trunk.channels, **recipe["objective"]["rotation"])


def _seeded(build, seed: int, *arguments, **settings) -> Objective:
    """An objective whose weights come from torch's global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, "objective"))
        return build(*arguments, **settings)


# Stage -> its objective, from a recipe, the classes (N,) of the training videos, the seed and the
# recipe's network.
OBJECTIVES = {
    "instance_recognition": instance_recognition,
    "local_aggregation": local_aggregation,
    "supervised": supervised,
    "order_prediction": order_prediction,
    "rotation": rotation,
}


def transform_of(recipe: dict, stage: str) -> ClipTransform:
    """Clips of a stage: the recipe's, with what its objective does to single frames."""
    settings = recipe["objective"].get(stage, {})
    return ClipTransform.of(recipe, **{key: settings[key] for key in PER_FRAME if key in settings})
