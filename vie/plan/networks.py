"""What networks cost whatever the machine: operations and parameters, counted on the real ones."""

import functools
import json
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from vie.clips.sampling import sampling
from vie.config.settings import LAYERS
from vie.models.encoders import build_encoder, feature_shapes
from vie.probe_training import FrozenEncoders, probe_features

BACKWARD = 2  # times the operations of the forward pass: gradients of inputs and of weights


class Shown(NamedTuple):
    """Networks side by side, and the clips that they are shown: what decides their speed.

    Attributes:
        encoders: settings of each encoder as JSON.
        frames: of a clip.
        size: of a frame, in pixels.
    """

    encoders: tuple[str, ...]
    frames: int
    size: int

    @classmethod
    def of(cls, recipes: list[dict[str, Any]], clip: str | dict, size: int) -> "Shown":
        """Of the networks of recipes on clips of a sampling."""
        ignored = ("embedding", "bn_momentum")  # cost nothing that could be seen
        settings = [{k: v for k, v in r["encoder"].items() if k not in ignored} for r in recipes]
        encoders = tuple(json.dumps(one, sort_keys=True) for one in settings)
        return cls(encoders, sampling(clip).frames, size)

    def __str__(self) -> str:
        names = [" ".join(str(v) for v in json.loads(one).values()) for one in self.encoders]
        return f"{' + '.join(names)}, {self.frames} x {self.size} x {self.size}"

    def build(self) -> list[torch.nn.Module]:
        """The encoders, with random weights."""
        return [build_encoder(json.loads(one)) for one in self.encoders]

    @property
    def width(self) -> int:
        """Channels of the widest stem."""
        return max(json.loads(one).get("width", 64) for one in self.encoders)


@functools.cache
def forward_flops(shown: Shown) -> float:
    """Floating-point operations of a forward pass of one clip."""
    clip = torch.zeros(1, 3, shown.frames, shown.size, shown.size)
    total = 0
    for encoder in shown.build():
        encoder.eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            encoder(clip)
        total += counter.get_total_flops()
    return total


def train_flops(shown: Shown) -> float:
    """Floating-point operations of a training step, per clip."""
    return (1 + BACKWARD) * forward_flops(shown)


@functools.cache
def readout_widths(shown: Shown) -> dict[str, int]:
    """Numbers that the linear classifier of each layer reads."""
    network = FrozenEncoders(shown.build())
    shapes = feature_shapes(network, (3, shown.frames, shown.size, shown.size))
    return {name: probe_features(torch.empty(1, *shapes[name])).shape[1] for name in LAYERS}


@functools.cache
def parameters(encoder: str, embedding: int | str = 128) -> int:
    """Numbers in an encoder: weights, biases and running statistics."""
    network = build_encoder({**json.loads(encoder), "embedding": embedding})
    return sum(tensor.numel() for tensor in network.state_dict().values())
