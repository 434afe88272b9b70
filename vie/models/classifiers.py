"""A whole network that is trained with labels (protocol section 8)."""

from typing import Any

import torch
from torch import Tensor, nn

from vie.models.encoders import Encoder
from vie.models.input import InputSpec


class Classifier(nn.Module):
    """A network whose pooled Conv5 goes through one linear layer; all of it trains.

    Args:
        encoder: whose trunk is taken; what it is embedded by is left behind.
        classes: number of classes.

    Attributes:
        input, metadata: as an encoder's, once trained.
        classes: names in the order of the logits, once trained.
    """

    input: InputSpec | None = None
    classes: tuple[str, ...] = ()

    def __init__(self, encoder: Encoder, classes: int) -> None:
        super().__init__()
        self.trunk = encoder.trunk
        self.metadata: dict[str, Any] = {}
        self.head = nn.Linear(encoder.trunk.channels, classes)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, clips: Tensor) -> Tensor:
        """(B, 3, T, H, W) normalised floats -> (B, classes) logits, float32 under autocast."""
        features = self.trunk(clips)
        with torch.autocast(clips.device.type, enabled=False):
            return self.head(self.trunk.pool(features))
