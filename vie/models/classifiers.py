"""Classifiers: linear ones on frozen networks (protocol section 7), and a whole network that is
trained with labels (section 8)."""

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vie.config.settings import LAYERS
from vie.models.encoders import Encoder
from vie.models.input import InputSpec
from vie.models.resnet import channels_last
from vie.models.trunks import SideBySide, global_pool, repeated

POOL_ABOVE = 200_000  # numbers in a feature map, protocol section 7


def probe_features(features: Tensor) -> Tensor:
    """Average over time, pool 2x2 (or 4x4) where the map is very large, flatten over space.

    (B, C, T, H, W) -> (B, C * H' * W') float32. A single-frame network on several frames is the
    paper's Input-Single by this average.
    """
    maps = features.mean(2, dtype=torch.float32)  # (B, C, T, H, W) -> (B, C, H, W)
    if maps[0].numel() > POOL_ABOVE:
        pool = 4 if maps[0].numel() / 4 > POOL_ABOVE else 2
        maps = F.avg_pool2d(maps, pool, ceil_mode=True)  # (B, C, H / pool, W / pool), rounded up
    return maps.flatten(1)


class FrozenEncoders(nn.Module):
    """What is read out: one frozen encoder, or several side by side.

    Args:
        encoders: on the same clips.
        frames: above 1, clips of one frame are shown repeated so many times.
        pooled: whether Conv5 is averaged over space (protocol section 10).
    """

    def __init__(self, encoders: list[Encoder], *, frames: int = 1, pooled: bool = False) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(channels_last(encoder) for encoder in encoders)
        self.frames, self.pooled = frames, pooled
        self.eval().requires_grad_(False)

    def forward(self, clips: Tensor) -> dict[str, Tensor]:
        """(B, 3, T, H, W) -> {layer: (B, W)}: `probe_features` of each encoder, one behind the
        other."""
        shown = [repeated(encoder.trunk, clips, self.frames) for encoder in self._each()]
        return self._together(shown)

    def with_embedding(self, clips: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The same, and all embeddings one behind the other: (B, sum of D), of unit length."""
        found = [(encoder, repeated(encoder.trunk, clips, self.frames)) for encoder in self._each()]
        embeddings = [encoder.embed(features) for encoder, features in found]
        features = self._together([features for _, features in found])
        return features, F.normalize(torch.cat(embeddings, 1), dim=1)

    def _each(self) -> list[Encoder]:
        return cast(list[Encoder], list(self.encoders))  # torch types them as modules

    def _together(self, features: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        vectors = dict.fromkeys(LAYERS, probe_features)
        if self.pooled:
            vectors["conv5"] = global_pool
        return {
            name: torch.cat([vector(one[name]) for one in features], 1)
            for name, vector in vectors.items()
        }


def new_classifier(width: int, classes: int) -> nn.Linear:
    """A classifier before its first step: normal of variance 2 / fan-in, no bias (protocol section
    4)."""
    head = nn.Linear(width, classes)
    nn.init.normal_(head.weight, std=math.sqrt(2 / width))
    nn.init.zeros_(head.bias)
    return head


class Classifiers(nn.Module):
    """A frozen network in evaluation mode and one linear classifier on each of `LAYERS`."""

    def __init__(self, network: FrozenEncoders, widths: dict[str, int], classes: int) -> None:
        super().__init__()
        self.network = network
        heads = {name: new_classifier(width, classes) for name, width in widths.items()}
        self.heads = nn.ModuleDict(heads)

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
        return {name: head(features[name]) for name, head in self.heads.items()}


class Classifier(nn.Module):
    """An encoder's trunk, whose pooled features go through one linear layer; all of it trains.

    Several encoders train together: they see the same clips, and what they pool is concatenated.
    Once trained, it has `input` and `metadata` as an encoder has.
    """

    input: InputSpec | None = None
    classes: tuple[str, ...] = ()  # names in the order of the logits, once trained

    def __init__(self, encoders: Encoder | Sequence[Encoder], classes: int) -> None:
        super().__init__()
        trunks = [one.trunk for one in ([encoders] if isinstance(encoders, Encoder) else encoders)]
        self.trunk = trunks[0] if len(trunks) == 1 else SideBySide(trunks)
        self.metadata: dict[str, Any] = {}
        self.head = new_classifier(self.trunk.channels, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """(B, 3, T, H, W) normalised floats -> (B, classes) logits, float32 under autocast."""
        features = self.trunk(clips)
        with torch.autocast(clips.device.type, enabled=False):
            logits: Tensor = self.head(self.trunk.pool(features))
        return logits
