"""Supervised control: the same network, taught with the labels that VIE never sees."""

from typing import Self

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from vie.models.encoders import Encoder
from vie.objectives.base import Objective, Settings
from vie.objectives.table import BUILTIN
from vie.runtime.errors import VieError
from vie.runtime.randomness import torch_seed


class Supervised(Objective):
    """Cross-entropy of a linear classifier on the embedding.

    The logits are W f / temperature with f of unit length: the class weights stand where the
    memory bank stands in instance recognition, all else is the same.

    Args:
        labels: (N,) int64, the class of every training video.
        dimensions: D of the embedding.
        seed: of the initial class weights, drawn as the bank's first vectors are.
    """

    labels: Tensor
    facts = BUILTIN["supervised"].facts

    def __init__(self, labels: Tensor, dimensions: int, *, temperature: float, seed: int) -> None:
        super().__init__()
        if temperature <= 0:
            raise VieError(f"temperature {temperature} must be above 0")
        self.temperature = temperature
        self.register_buffer("labels", labels.clone())
        generator = Generator().manual_seed(seed)
        weight = torch.randn(int(labels.max()) + 1, dimensions, generator=generator)
        self.weight = nn.Parameter(F.normalize(weight, dim=1))  # (classes, D)

    @classmethod
    def build(
        cls, recipe: Settings, settings: Settings, labels: Tensor, seed: int, encoder: Encoder
    ) -> Self:
        """As for `Objective`."""
        return cls(
            labels,
            encoder.dimensions,
            temperature=recipe["objective"]["temperature"],
            seed=torch_seed(seed, "supervised"),
            **settings,
        )

    def forward(
        self, embedding: Tensor, instances: Tensor, bank: Tensor, generator: Generator | None = None
    ) -> Tensor:
        """As for `Objective.losses`, without bank and noise."""
        with torch.autocast(embedding.device.type, enabled=False):
            embedding = embedding.to(torch.promote_types(embedding.dtype, torch.float32))
            weight = self.weight.to(embedding.dtype)
            logits = embedding @ weight.T / self.temperature  # (B, D) x (D, C) -> (B, C)
            return F.cross_entropy(logits, self.labels[instances])
