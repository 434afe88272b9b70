"""Supervised control: the same network, taught with the labels that VIE never sees."""

from typing import Self

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from vie.models.encoders import Encoder, glorot_
from vie.objectives.base import Objective, Settings
from vie.objectives.table import BUILTIN


class Supervised(Objective):
    """Cross-entropy of a linear classifier on the pooled features, as in the release.

    The classifier takes the place of the embedding's linear layer, so `encoder.embedding` is
    "pooled" in its recipes: a linear layer to an embedding would not be trained.

    Args:
        labels: (N,) int64, the class of every training video.
        channels: C of the trunk's pooled features.
    """

    labels: Tensor
    facts = BUILTIN["supervised"].facts

    def __init__(self, labels: Tensor, channels: int) -> None:
        super().__init__()
        self.register_buffer("labels", labels.clone())
        self.head = glorot_(nn.Linear(channels, int(labels.max()) + 1))

    @classmethod
    def build(
        cls, recipe: Settings, settings: Settings, labels: Tensor, seed: int, encoder: Encoder
    ) -> Self:
        """As for `Objective`."""
        return cls(labels, encoder.trunk.channels, **settings)

    def losses(
        self,
        embedding: Tensor,
        features: dict[str, Tensor],
        instances: Tensor,
        bank: Tensor,
        generator: Generator | None,
    ) -> dict[str, Tensor]:
        """The cross-entropy, of the features alone."""
        pooled = features["pooled"]  # (B, C), float32 under autocast too
        with torch.autocast(pooled.device.type, enabled=False):
            return {"loss": F.cross_entropy(self.head(pooled), self.labels[instances])}
