"""torchvision's R(2+1)D-18 (Tran et al. 2018) as an encoder.

networks: {r2plus1d_18: "examples.r2plus1d:r2plus1d_18"}       # in the config
recipes: {my_recipe: {encoder: {network: r2plus1d_18, embedding: 128, ...}, ...}}
"""

from torch import nn
from torchvision.models.video import r2plus1d_18 as torchvision_r2plus1d_18

from vie.models.trunks import global_pool
from vie.runtime.errors import VieError


class Trunk(nn.Module):
    """Clips -> features conv1 (the stem) and conv2 ... conv5 (the four layers)."""

    channels = 512

    def __init__(self, network):
        super().__init__()
        self.stages = nn.ModuleList(
            [network.stem, *(getattr(network, f"layer{n}") for n in range(1, 5))]
        )

    def forward(self, clip):
        """(B, 3, T, H, W) normalised floats -> {"conv1": (B, C, T', H', W'), ...}."""
        features = {}
        for number, stage in enumerate(self.stages, 1):
            clip = features[f"conv{number}"] = stage(clip)
        return features

    def pool(self, features):
        """Conv5's average over time and space: (B, 512)."""
        return global_pool(features["conv5"])


def r2plus1d_18(*, width=64, bn_momentum=0.1):
    """The trunk, with random weights.

    Args:
        width: 64; torchvision has no other.
        bn_momentum: share of the new batch in the running averages of batch norm.
    """
    if width != 64:
        raise VieError(f"r2plus1d_18 has a width of 64, not {width}: set encoder.width to 64")
    trunk = Trunk(torchvision_r2plus1d_18(weights=None))
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.momentum = bn_momentum
    return trunk
