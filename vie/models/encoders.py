"""Encoders: a trunk that gives features, and a head that gives the embedding."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vie.config.settings import NETWORKS
from vie.models.input import InputSpec
from vie.models.resnet import BN_EPS, ResNet18
from vie.models.trunks import FAST_KERNELS, SLOW_KERNELS, ResNetTrunk, SlowFast, TRNTrunk, Trunk
from vie.runtime.errors import VieError
from vie.runtime.importing import load_object

POOLED = "pooled"  # as the embedding, in place of its dimensions
BATCH = "batch"  # as the embedding's norm


def glorot_(layer: nn.Linear) -> nn.Linear:
    """Give a linear layer Glorot's uniform weights and no bias (protocol section 4)."""
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Encoder(nn.Module):
    """Trunk, pool, one linear layer, L2 normalisation (protocol section 4).

    `trunk(clip)` alone gives the features without the cost of the head: what a probe needs.

    Args:
        trunk: clip -> dict of features; its `pool(features)` is (B, `channels`).
        embedding: dimensions D of the embedding; "pooled" leaves the linear layer out, for
            networks whose objective has a head of its own (protocol section 9).
        embedding_norm: "batch" puts a batch norm without parameters between the linear layer and
            the unit length. It keeps the embeddings of a batch from being parallel; the paper has
            none.
        bn_momentum: of that batch norm.

    Raises:
        VieError: there is no linear layer whose outputs could be normalised.
    """

    dimensions: int  # D
    input: InputSpec | None = None  # what it expects to be shown, where a checkpoint says so

    def __init__(
        self,
        trunk: Trunk,
        embedding: int | str = 128,
        embedding_norm: str | None = None,
        bn_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.trunk = trunk
        self.metadata: dict[str, Any] = {}  # what its checkpoint says of it
        self.norm: nn.Module = nn.Identity()
        if embedding_norm not in (None, BATCH):
            raise VieError(f"embedding_norm {embedding_norm!r} is unknown; use {BATCH} or none")
        if embedding == POOLED:
            if embedding_norm:
                raise VieError(f"embedding_norm needs an embedding of its own, not {POOLED}")
            self.dimensions = trunk.channels
            self.head: nn.Module = nn.Identity()
            return
        self.dimensions = cast(int, embedding)
        head = self.head = nn.Linear(trunk.channels, self.dimensions)
        glorot_(head)
        if embedding_norm:
            self.norm = nn.BatchNorm1d(self.dimensions, BN_EPS, bn_momentum, affine=False)

    def forward(self, clip: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """(B, 3, T, H, W) normalised floats -> embedding and features.

        The embedding (B, D) has unit length, in float32 under autocast. The features are the
        trunk's, with their pool, (B, C), as "pooled". A 2D trunk gives features per frame,
        (B, C, T, H, W); pool and embedding are always of the whole clip.
        """
        features = self.trunk(clip)
        features["pooled"] = self.trunk.pool(features)
        return self.embed(features), features

    def embed(self, features: dict[str, Tensor]) -> Tensor:
        """(B, D) of unit length from the trunk's features, pooled already or not."""
        # Unit length to float32's precision: the objectives divide by a small temperature. Where
        # nothing is on, nothing is switched off: that would tie exported networks to a device.
        device = features["conv5"].device.type
        autocast = torch.is_autocast_enabled(device)
        with torch.autocast(device, enabled=False) if autocast else nullcontext():
            pooled = features["pooled"] if "pooled" in features else self.trunk.pool(features)
            return F.normalize(self.norm(self.head(pooled)), dim=1)

    def init_from(self, state: dict[str, Tensor]) -> None:
        """Take over the weights of another network's `state_dict`.

        Raises:
            VieError: that network is of another kind.
        """
        advice = "start_from needs a recipe with the same network and width"
        load_weights(self, state, f"this network cannot take over what it starts from; {advice}")


class TRNEncoder(Encoder):
    """TRN's encoder, which can start from the single-frame network that it repeats."""

    trunk: TRNTrunk

    def init_from(self, state: dict[str, Tensor]) -> None:
        """Take over another TRN, or VIE-Single's trunk: the linear layer, which has other inputs,
        and its norm stay as they are, as in the release (protocol section 4)."""
        given = state.get("head.weight")
        if given is not None and given.shape[1] * self.trunk.frames == self.trunk.channels:
            mine = self.state_dict().items()
            own = {name: value for name, value in mine if name.startswith(("head.", "norm."))}
            state = {**state, **own}
        super().init_from(state)


def build_resnet(*, embedding: int | str, embedding_norm: str | None, **settings: Any) -> Encoder:
    """One `ResNet18`, which sees all frames of a clip (a 2D one each on its own)."""
    trunk = ResNetTrunk(ResNet18(**settings))
    return Encoder(trunk, embedding, embedding_norm, settings["bn_momentum"])


def build_trn(
    *, embedding: int | str, embedding_norm: str | None, frames: int, **settings: Any
) -> Encoder:
    """VIE-TRN: the 2D ResNet-18 on each of `frames` frames, embedded together."""
    trunk = TRNTrunk(ResNet18(**settings), frames)
    return TRNEncoder(trunk, embedding, embedding_norm, settings["bn_momentum"])


def build_slowfast(*, embedding: int | str, embedding_norm: str | None, **settings: Any) -> Encoder:
    """VIE-SlowFast: both pathways with lateral connections."""
    return Encoder(SlowFast(**settings), embedding, embedding_norm, settings["bn_momentum"])


build_slow = partial(build_resnet, temporal_kernels=SLOW_KERNELS)
build_fast = partial(build_resnet, temporal_kernels=FAST_KERNELS)
# Temporal kernels in all convolutions, striding in time as in space.
build_3dresnet = partial(
    build_resnet,
    temporal_kernels=(7, 3, 3, 3, 3),
    all_temporal=True,
    temporal_pool=2,
    temporal_strides=(1, 2, 2, 2),
)

# Of the names in `NETWORKS`, which has their own settings.
BUILDERS: dict[str, Callable[..., Encoder]] = {
    "single": build_resnet,
    "trn": build_trn,
    "slow": build_slow,
    "fast": build_fast,
    "slowfast": build_slowfast,
    "3dresnet": build_3dresnet,
}
SHARED = {"embedding": 128, "embedding_norm": None, "form": "preactivation"}  # settings of all


def build_encoder(settings: dict[str, Any], classes: dict[str, str] | None = None) -> Encoder:
    """Encoder of a recipe, with random weights from torch's global generator.

    Args:
        settings: "network" names the builder; the others are its settings in `NETWORKS` and
            `SHARED`, with the paper's values where left out.
        classes: `classes` of the recipe: networks of the user's own by name, "module:callable".
            A network may also be such a path itself.

    Raises:
        VieError: for an unknown network or key.
    """
    settings = dict(settings)
    network = settings.pop("network", None)
    path = str((classes or {}).get(network, network))
    if ":" in path:
        return _own(path, settings)
    if network not in BUILDERS:
        raise VieError(
            f"network {network!r} is unknown; use one of: {', '.join(BUILDERS)}, or add its name "
            'and "module:callable" to networks in the config'
        )
    defaults = SHARED | NETWORKS[network]
    unknown = set(settings) - set(defaults)
    if unknown:
        raise VieError(
            f"network {network!r} has no setting {', '.join(sorted(unknown))}; it takes: "
            f"{', '.join(defaults)}"
        )
    return BUILDERS[network](**(defaults | settings))


def _own(path: str, settings: dict[str, Any]) -> Encoder:
    """Of a user's own callable, which gets all settings but those of the embedding, and returns a
    trunk or an `Encoder`."""
    embedding, norm = settings.pop("embedding", 128), settings.pop("embedding_norm", None)
    try:
        built = load_object(path)(**settings)
    except TypeError as error:
        if "argument" not in str(error):
            raise
        raise VieError(f"{path} does not take the settings in encoder: {error}") from error
    if isinstance(built, Encoder):
        if norm:
            raise VieError(
                f"{path} returns an encoder with a head of its own: leave embedding_norm out"
            )
        if embedding not in (POOLED, built.dimensions):
            raise VieError(
                f"{path} has an embedding of {built.dimensions} dimensions, but encoder.embedding "
                f"is {embedding}"
            )
        return built
    if missing := [name for name in ("channels", "pool") if not hasattr(built, name)]:
        raise VieError(
            f"{path} returns a {type(built).__name__} without {' and '.join(missing)}: a trunk has "
            "channels, pool(features) and forward(clip) -> features conv1 to conv5"
        )
    return Encoder(built, embedding, norm, settings.get("bn_momentum", 0.1))


def load_weights(network: nn.Module, state: dict[str, Tensor], complaint: str) -> None:
    """Load a `state_dict`; where it is another network's, raise VieError with the complaint."""
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise VieError(f"{complaint}: {str(error).splitlines()[-1].strip()}") from error


def feature_shapes(network: nn.Module, clip_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Shape (C, T', H', W') of each feature for clips of shape (3, T, H, W).

    Found on a black clip in evaluation mode. (torch's meta device costs five seconds of imports.)
    """
    training = network.training
    network.eval()
    with torch.no_grad():
        features = network(next(network.parameters()).new_zeros(1, *clip_shape))
    network.train(training)
    return {name: tuple(feature.shape[1:]) for name, feature in features.items()}
