"""Random networks and clips for `parity.py`, and weights as the authors' release lays them out."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vie.clips.color_jitter import normalise
from vie.models.encoders import Encoder, build_encoder
from vie.models.release import weights
from vie.models.trunks import ResNetTrunk, SlowFast

Arrays = dict[str, NDArray[Any]]


def released_order(network: Encoder) -> list[str]:
    """Names in our `state_dict`, in the order in which the release's graph makes its variables."""
    state, trunk = network.state_dict(), network.trunk
    if not isinstance(trunk, SlowFast):
        return [weight.ours for weight in weights(network) if weight.ours in state]
    fast, slow = _pathway(trunk, "fast"), []
    for name in _pathway(trunk, "slow"):
        slow.append(name)  # the pool and the stages end with these, and then comes a lateral
        if name == "trunk.slow.stem.weight" or name.endswith(".1.conv2.weight"):
            lateral = sum(each.startswith("trunk.laterals") for each in slow)
            slow.append(f"trunk.laterals.{lateral}.weight")
    return [*fast, *slow, "head.weight", "head.bias"]


def _pathway(trunk: SlowFast, name: str) -> Iterator[str]:
    """Names of one pathway's arrays in the order of a network that has no other."""
    alone = Encoder(ResNetTrunk(getattr(trunk, name)), "pooled")
    return (
        weight.ours.replace("trunk.resnet", f"trunk.{name}")
        for weight in weights(alone)
        if weight.ours.startswith("trunk")
    )


def as_theirs(network: Encoder, array: Tensor) -> NDArray[Any]:
    """A weight as it is laid out in the release: (O, I, ...) -> (..., I, O), with time in
    networks of volumes."""
    if array.ndim < 2:
        return array.detach().numpy().copy()
    volumes = any(parameter.ndim == 5 for parameter in network.parameters())
    if array.ndim == 4 and volumes:
        array = array[:, :, None]  # (O, I, H, W) -> (O, I, 1, H, W)
    turned = array.detach().permute(*range(2, array.ndim), 1, 0)
    return turned.contiguous().numpy().copy()


def numbered(name: str, arrays: list[NDArray[Any]]) -> Arrays:
    """{"weight000": the first, ...}."""
    return {f"{name}{i:03d}": array for i, array in enumerate(arrays)}


def all_weights(network: Encoder) -> list[NDArray[Any]]:
    """All arrays of a network in the release's order and layout."""
    state = network.state_dict()
    return [as_theirs(network, state[name]) for name in released_order(network)]


def random_network(seed: int, **settings: Any) -> Encoder:
    """A network with random weights, statistics of batch norm included."""
    torch.manual_seed(seed)
    network = build_encoder(settings)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            for positive in (module.weight, module.running_var):
                nn.init.uniform_(positive, 0.5, 1.5)
            for either in (module.bias, module.running_mean):
                nn.init.normal_(either, std=0.3)
    if isinstance(network.head, nn.Linear):
        nn.init.normal_(network.head.bias, std=0.1)
    return network.eval()


def random_clip(seed: int, *shape: int) -> NDArray[Any]:
    """(B, T, S, S, 3) uint8: noise on a pattern of large squares, the same in all frames."""
    rng, (B, _, size) = np.random.default_rng(seed), shape
    squares = rng.integers(192, size=(B, 1, size // 16, size // 16, 3))
    pattern = squares.repeat(16, 2).repeat(16, 3)  # (B, 1, S, S, 3)
    return (pattern + rng.integers(64, size=(*shape, size, 3))).astype(np.uint8)


def clips_of(clip: NDArray[Any]) -> Tensor:
    """(B, T, H, W, 3) uint8 -> (B, 3, T, H, W) normalised floats."""
    return normalise(torch.from_numpy(clip).permute(0, 4, 1, 2, 3))
