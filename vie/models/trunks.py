"""Trunks: one ResNet, one shared over frames, two pathways, several networks side by side.

A trunk gives features conv1 ... conv5, each (B, C, T', H', W'), and pools them to the vector
that the embedding is made of: `pool(features)` is (B, channels).
"""

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from vie.models.convolutions import FrameConvolution
from vie.models.resnet import ResNet18, check_clip
from vie.runtime.errors import VieError

LATERAL_KERNEL = 5  # frames, protocol section 4


# Of the stem and of stages 1-4, in the first convolution of each block.
SLOW_KERNELS = (1, 1, 1, 3, 3)
FAST_KERNELS = (5, 3, 3, 3, 3)


def frame_pool(features: Tensor) -> Tensor:
    """(B, C, T, H, W) -> (B, T, C), the average over space, float32 or better."""
    dtype = torch.promote_types(features.dtype, torch.float32)
    return features.mean(dim=(3, 4), dtype=dtype).transpose(1, 2)


def global_pool(features: Tensor) -> Tensor:
    """(B, C, T, H, W) -> (B, C), the average over time and space, float32 or better."""
    return features.mean(dim=(2, 3, 4), dtype=torch.promote_types(features.dtype, torch.float32))


class Trunk(nn.Module):
    """What an encoder asks of its trunk; one of the user's own need not be a subclass."""

    channels: int  # of the pooled features

    def pool(self, features: dict[str, Tensor]) -> Tensor:
        """(B, channels)."""
        raise NotImplementedError


def repeated(trunk: Trunk, clip: Tensor, frames: int) -> dict[str, Tensor]:
    """Features of (B, 3, 1, H, W) clips as if their frame were repeated `frames` times.

    The trunks of this file have a method `repeated` that convolves the frame once, up to the first
    layer in which frames see each other. For others it is repeated first.
    """
    if frames == 1:
        features: dict[str, Tensor] = trunk(clip)
    elif (once := getattr(trunk, "repeated", None)) is not None:
        features = once(clip, frames)
    else:
        features = trunk(clip.expand(-1, -1, frames, -1, -1))  # (B, 3, 1, H, W) -> (B, 3, T, H, W)
    return features


class ResNetTrunk(Trunk):
    """One ResNet; a 2D one sees every frame on its own and its average over time is taken."""

    def __init__(self, resnet: ResNet18):
        super().__init__()
        self.resnet, self.channels = resnet, resnet.channels

    def forward(self, clip: Tensor) -> dict[str, Tensor]:
        """(B, 3, T, H, W) -> features of the ResNet."""
        features: dict[str, Tensor] = self.resnet(clip)
        return features

    def repeated(self, clip: Tensor, frames: int) -> dict[str, Tensor]:
        """As the function `repeated`."""
        return self.resnet.run(clip, repeats=frames)[0]

    def pool(self, features: dict[str, Tensor]) -> Tensor:
        """Conv5's average over time and space: (B, C)."""
        return global_pool(features["conv5"])


class TRNTrunk(ResNetTrunk):
    """TRN: one 2D ResNet for each of T frames, whose pooled outputs are concatenated in order."""

    def __init__(self, resnet: ResNet18, frames: int):
        super().__init__(resnet)
        self.frames, self.channels = frames, frames * resnet.channels

    def pool(self, features: dict[str, Tensor]) -> Tensor:
        """(B, T * C): frame by frame, the average over space.

        Raises:
            VieError: the clips do not have T frames.
        """
        conv5 = features["conv5"]
        if conv5.shape[2] != self.frames:
            raise VieError(
                f"this network relates {self.frames} frames, but the clip has {conv5.shape[2]}: "
                "set encoder.frames to the frames of the recipe's clip"
            )
        return frame_pool(conv5).flatten(1)  # (B, T, C) -> (B, T * C)


class SlowFast(Trunk):
    """A slow pathway on every `stride`-th frame that reads along with a fast one on all frames.

    After the pool and after each stage, the fast pathway's output goes through a convolution of
    5 x 1 x 1 with temporal stride `stride` to twice its channels, and is concatenated to the slow
    pathway's (protocol section 4). Features are the slow pathway's with these channels; the pool
    has both pathways'. `settings` are those of both ResNets.
    """

    def __init__(self, *, width: int, fast_width: int, stride: int, **settings: Any) -> None:
        super().__init__()
        self.stride = stride
        self.fast = ResNet18(width=fast_width, temporal_kernels=FAST_KERNELS, **settings)
        channels = [fast_width * factor for factor in (1, 1, 2, 4, 8)]  # pool, stages 1-4
        self.laterals = nn.ModuleList(
            FrameConvolution(C, 2 * C, 1, temporal_kernel=LATERAL_KERNEL, temporal_stride=stride)
            for C in channels
        )
        slow: dict[str, Any] = settings | {"laterals": tuple(2 * C for C in channels)}
        self.slow = ResNet18(width=width, temporal_kernels=SLOW_KERNELS, **slow)
        self.channels = self.slow.channels + self.fast.channels

    def forward(self, clip: Tensor) -> dict[str, Tensor]:
        """Features of the slow pathway, laterals included, and the fast pathway's conv5 as "fast".

        Raises:
            VieError: the clip is not (B, 3, T, H, W) of floats with T a multiple of the stride.
        """
        return self._run(clip, clip[:, :, :: self.stride], 1)

    def repeated(self, clip: Tensor, frames: int) -> dict[str, Tensor]:
        """As the function `repeated`: once in the slow pathway up to its first lateral."""
        return self._run(clip.expand(-1, -1, frames, -1, -1), clip, frames // self.stride)

    def _run(self, clip: Tensor, slow_clip: Tensor, repeats: int) -> dict[str, Tensor]:
        check_clip(clip)
        if clip.shape[2] % self.stride:
            raise VieError(
                f"a clip of {clip.shape[2]} frames for two pathways: its frames must be a multiple "
                f"of {self.stride}, as those of the sampling slowfast are"
            )
        fast, outputs = self.fast.run(clip)
        laterals = [
            convolution(x, T)[0]  # (B*T, C, H, W) -> (B*T / stride, 2C, H, W)
            for convolution, (x, T) in zip(self.laterals, outputs, strict=True)
        ]
        slow, _ = self.slow.run(slow_clip, laterals, repeats)
        return {**slow, "fast": fast["conv5"]}

    def pool(self, features: dict[str, Tensor]) -> Tensor:
        """(B, slow + fast channels): the average over time and space of either pathway."""
        return torch.cat([global_pool(features["conv5"]), global_pool(features["fast"])], 1)


class SideBySide(Trunk):
    """Several trunks that see the same clips: TwoPathway where it is finetuned (protocol section
    8)."""

    def __init__(self, trunks: Iterable[Trunk]) -> None:
        super().__init__()
        self.trunks = nn.ModuleList(trunks)
        self.channels = sum(trunk.channels for trunk in self._each())

    def forward(self, clip: Tensor) -> dict[str, Tensor]:
        """Features of each trunk, named as its own with its number in front: "0.conv5"."""
        return {
            f"{number}.{name}": feature
            for number, trunk in enumerate(self._each())
            for name, feature in trunk(clip).items()
        }

    def pool(self, features: dict[str, Tensor]) -> Tensor:
        """(B, sum of channels): what each trunk pools of its own features, one behind the other."""
        pooled = []
        for number, trunk in enumerate(self._each()):
            start = f"{number}."
            names = [name for name in features if name.startswith(start)]
            pooled.append(trunk.pool({name.removeprefix(start): features[name] for name in names}))
        return torch.cat(pooled, 1)

    def _each(self) -> list[Trunk]:
        return cast(list[Trunk], list(self.trunks))  # torch types them as modules
