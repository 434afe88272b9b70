"""Rotation: by which multiple of 90 degrees is a clip turned? (protocol section 9)."""

import itertools
from typing import Self

import torch
from torch import Tensor, nn

from vie.models.encoders import Encoder, glorot_
from vie.objectives.base import Pretext, Settings
from vie.objectives.table import BUILTIN, ROTATIONS


class Rotation(Pretext):
    """RotNet and 3DRotNet: all four rotations of every clip are in the batch.

    A clip is decoded and given its colours once. A quarter turn of a square only moves pixels, so
    it leaves neither a border nor a trace of interpolation.

    Args:
        channels: C of the trunk's pooled features.
        hidden: units of a linear layer between these and the four answers; 0 for none. 3DRotNet
            has 64, without a non-linearity between the two layers.
    """

    facts = BUILTIN["rotation"].facts
    chance = 1 / ROTATIONS

    def __init__(self, channels: int, *, hidden: int = 0) -> None:
        super().__init__()
        sizes = [channels, hidden, ROTATIONS] if hidden else [channels, ROTATIONS]
        layers = (glorot_(nn.Linear(*each)) for each in itertools.pairwise(sizes))
        self.head = nn.Sequential(*layers)

    @classmethod
    def build(
        cls, recipe: Settings, settings: Settings, labels: Tensor, seed: int, encoder: Encoder
    ) -> Self:
        """As for `Objective`."""
        return cls(encoder.trunk.channels, **settings)

    def inputs(self, clips: Tensor) -> Tensor:
        """(B, 3, T, S, S) -> (4 B, 3, T, S, S): all upright, then all turned once, ..."""
        return torch.cat([torch.rot90(clips, turn, (3, 4)) for turn in range(ROTATIONS)])

    def answers(self, features: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """As for `Pretext`, Q = K = 4: question q is the clip turned q times."""
        pooled = features["pooled"]  # (4 B, C), float32 under autocast too
        with torch.autocast(pooled.device.type, enabled=False):
            # (4 B, 4) -> (4, B, 4) -> (B, 4, 4)
            scores = self.head(pooled).unflatten(0, (ROTATIONS, -1)).transpose(0, 1)
        return scores, torch.arange(ROTATIONS, device=pooled.device)
