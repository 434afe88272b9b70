"""Encoders: a trunk that gives features, and a head that gives the embedding."""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vie.errors import VieError
from vie.models.resnet import ResNet18


class Encoder(nn.Module):
    """Trunk, global average pool, one linear layer, L2 normalisation (protocol section 4).

    `trunk(clip)` alone gives the features without the cost of the head: what a probe needs.

    Args:
        trunk: clip -> dict of features with "conv5", and its number of `channels`.
        embedding: dimensions D of the embedding.
    """

    def __init__(self, trunk: nn.Module, embedding: int = 128):
        super().__init__()
        self.trunk = trunk
        self.head = nn.Linear(trunk.channels, embedding)
        # The release does not state it: Glorot's uniform without bias, TensorFlow's default.
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, clip: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Embedding and features of a batch of clips.

        Args:
            clip: (B, 3, T, H, W) floats, normalised.

        Returns:
            The embedding (B, D) of unit length, in float32 under autocast, and the trunk's
            features. A 2D trunk gives features per frame, (B, C, T, H, W); the embedding is
            always of the whole clip: the pool averages over time too.
        """
        features = self.trunk(clip)
        conv5 = features["conv5"]
        # Unit length to float32's precision: the objectives divide by a small temperature.
        with torch.autocast(conv5.device.type, enabled=False):
            precise = torch.promote_types(conv5.dtype, torch.float32)
            pooled = conv5.mean(dim=(2, 3, 4), dtype=precise)  # (B, C, T, H, W) -> (B, C)
            return F.normalize(self.head(pooled), dim=1), features


def build_single(
    *,
    width: int = 64,
    embedding: int = 128,
    bn_momentum: float = 0.003,
    form: str = "preactivation",
) -> Encoder:
    """VIE-Single: the 2D ResNet-18, applied to every frame of a clip on its own."""
    return Encoder(ResNet18(width=width, form=form, bn_momentum=bn_momentum), embedding)


BUILDERS = {"single": build_single}


def build_encoder(settings: dict) -> nn.Module:
    """Encoder of a recipe, with random weights from torch's global generator.

    Args:
        settings: "network" names the builder; width, embedding, bn_momentum and form are its
            arguments, with the paper's values where left out.

    Raises:
        VieError: for an unknown network or key.
    """
    settings = dict(settings)
    network = settings.pop("network", None)
    if network not in BUILDERS:
        raise VieError(f"network {network!r} is unknown; use one of: {', '.join(BUILDERS)}")
    builder = BUILDERS[network]
    unknown = set(settings) - set(builder.__kwdefaults__)
    if unknown:
        raise VieError(
            f"network {network!r} has no setting {', '.join(sorted(unknown))}; it takes: "
            f"{', '.join(builder.__kwdefaults__)}"
        )
    return builder(**settings)


def feature_shapes(encoder: Encoder, clip_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Shape (C, T', H', W') of each feature for clips of shape (3, T, H, W).

    Found by running the trunk on shapes alone: costs neither arithmetic nor batch statistics.
    """
    trunk = copy.deepcopy(encoder.trunk).to("meta").eval()
    with torch.no_grad():
        features = trunk(torch.empty(1, *clip_shape, device="meta"))
    return {name: tuple(feature.shape[1:]) for name, feature in features.items()}
