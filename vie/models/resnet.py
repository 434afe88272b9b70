"""One ResNet-18 whose parameters make every network of protocol section 4.

Clips travel through it as folded frames (`vie.models.convolutions`). The release's max pool pads
as TensorFlow's SAME does: an even size at its end only.
"""

from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vie.models.convolutions import FrameConvolution, fold, repeat, unfold
from vie.runtime.errors import VieError

FORMS = ("preactivation", "postactivation")
FEATURES = ("conv1", "conv2", "conv3", "conv4", "conv5")
BN_EPS = 1e-5  # protocol section 4
Network = TypeVar("Network", bound=nn.Module)
# The two of a block, and the projection of its input, where there is one.
Convolutions = tuple[FrameConvolution, FrameConvolution, FrameConvolution | None]


def _convolutions(
    inputs: int,
    outputs: int,
    stride: int,
    temporal_stride: int,
    kernels: tuple[int, int],
    project: bool,
) -> Convolutions:
    return (
        FrameConvolution(inputs, outputs, 3, stride, kernels[0], temporal_stride),
        FrameConvolution(outputs, outputs, 3, 1, kernels[1]),
        FrameConvolution(inputs, outputs, 1, stride, 1, temporal_stride) if project else None,
    )


class PreactivationBlock(nn.Module):
    """BN-ReLU-conv, twice; the projection, where there is one, reads the activated input."""

    def __init__(self, convolutions: Convolutions, momentum: float) -> None:
        super().__init__()
        conv1, conv2, projection = convolutions
        self.bn1 = nn.BatchNorm2d(conv1.weight.shape[1], BN_EPS, momentum)
        self.conv1 = conv1
        self.bn2 = nn.BatchNorm2d(conv2.weight.shape[1], BN_EPS, momentum)
        self.conv2 = conv2
        self.projection = projection

    def forward(self, x: Tensor, T: int, repeats: int = 1) -> tuple[Tensor, int, Tensor]:
        """(B*T, I, H, W) -> the output (B*T', O, H', W'), T', and the activated input.

        `repeats` as in `FrameConvolution`; the second convolution is temporal only if the first is.
        """
        activated = F.relu(self.bn1(x), inplace=True)
        shortcut = x if self.projection is None else self.projection(activated, T)[0]
        y, T = self.conv1(activated, T, repeats)
        y, T = self.conv2(F.relu(self.bn2(y), inplace=True), T)
        if repeats > 1 and self.conv1.temporal:
            shortcut = repeat(shortcut, T)
        return y.add_(shortcut), T, activated


class PostactivationBlock(nn.Module):
    """Conv-BN-ReLU, conv-BN, sum, ReLU: torchvision's BasicBlock."""

    def __init__(self, convolutions: Convolutions, momentum: float) -> None:
        super().__init__()
        conv1, conv2, projection = convolutions
        outputs = len(conv1.weight)
        self.conv1 = conv1
        self.bn1 = nn.BatchNorm2d(outputs, BN_EPS, momentum)
        self.conv2 = conv2
        self.bn2 = nn.BatchNorm2d(outputs, BN_EPS, momentum)
        self.projection = projection
        self.projection_bn = nn.BatchNorm2d(outputs, BN_EPS, momentum) if projection else None

    def forward(self, x: Tensor, T: int, repeats: int = 1) -> tuple[Tensor, int, Tensor]:
        """As of `PreactivationBlock`."""
        shortcut = x
        if self.projection is not None and self.projection_bn is not None:
            shortcut = self.projection_bn(self.projection(x, T)[0])
        y, T = self.conv1(x, T, repeats)
        y, T = self.conv2(F.relu(self.bn1(y), inplace=True), T)
        if repeats > 1 and self.conv1.temporal:
            shortcut = repeat(shortcut, T)
        return F.relu(self.bn2(y).add_(shortcut), inplace=True), T, x


class ResNet18(nn.Module):
    """ResNet-18 on clips (protocol section 4).

    Args:
        width: filters of the stem; the four stages have 1, 2, 4 and 8 times as many.
        form: "preactivation" (the release: BN-ReLU-conv, a final BN-ReLU, a 1x1 projection in the
            first block of every stage) or "postactivation" (torchvision's).
        bn_momentum: share of the new batch in the running averages; 0.003 is the release's.
        temporal_kernels: of the stem and of stages 1-4, odd.
        all_temporal: whether both convolutions of a block have its stage's temporal kernel
            (3DResNet) or only the first one (Slow, Fast).
        temporal_pool: temporal stride of the max pool; above 1 its window is 3 frames.
        temporal_strides: of stages 1-4, in the first convolution.
        laterals: channels that another pathway adds after the pool and after stages 1-4.

    Raises:
        VieError: for an unknown form, or kernels that cannot be centred on a frame.
    """

    def __init__(
        self,
        *,
        width: int = 64,
        form: str = "preactivation",
        bn_momentum: float = 0.003,
        temporal_kernels: tuple[int, ...] = (1, 1, 1, 1, 1),
        all_temporal: bool = False,
        temporal_pool: int = 1,
        temporal_strides: tuple[int, ...] = (1, 1, 1, 1),
        laterals: tuple[int, ...] = (0, 0, 0, 0, 0),
    ):
        super().__init__()
        if form not in FORMS:
            raise VieError(f"block form {form!r} is unknown; use one of: {', '.join(FORMS)}")
        if len(temporal_kernels) != 5 or any(k < 1 or k % 2 == 0 for k in temporal_kernels):
            raise VieError(
                f"temporal kernels {temporal_kernels}: give five odd numbers, for the stem and "
                "the four stages"
            )
        preactivation = form == "preactivation"
        self.temporal_pool = temporal_pool
        self.same_pool = preactivation
        self.stem = FrameConvolution(3, width, 7, 2, temporal_kernels[0], stem=True)
        self.stem_bn = None if preactivation else nn.BatchNorm2d(width, BN_EPS, bn_momentum)
        block = PreactivationBlock if preactivation else PostactivationBlock
        inputs, stages = width + laterals[0], []
        of_stages = zip(temporal_kernels[1:], temporal_strides, strict=True)
        for number, (kernel, step) in enumerate(of_stages):
            outputs, stride = width * 2**number, 1 if number == 0 else 2
            kernels = (kernel, kernel if all_temporal else 1)
            project = preactivation or stride * step > 1 or inputs != outputs
            first = _convolutions(inputs, outputs, stride, step, kernels, project)
            second = _convolutions(outputs, outputs, 1, 1, kernels, project=False)
            blocks = (block(each, bn_momentum) for each in (first, second))
            stages.append(nn.ModuleList(blocks))
            inputs = outputs + laterals[number + 1]
        self.stages = nn.ModuleList(stages)
        self.final_bn = nn.BatchNorm2d(inputs, BN_EPS, bn_momentum) if preactivation else None
        self.channels = inputs

    def forward(self, clip: Tensor) -> dict[str, Tensor]:
        """(B, 3, T, H, W) normalised floats -> features conv1 ... conv5, each (B, C, T', H', W').

        They are the pooled stem and stages 1-4, after the BN-ReLU that follows them. For the
        pre-activation form that is the first BN-ReLU of the next stage (the last: the final one),
        computed once and used by both.
        """
        return self.run(clip)[0]

    def run(
        self, clip: Tensor, laterals: list[Tensor] | None = None, repeats: int = 1
    ) -> tuple[dict[str, Tensor], list[tuple[Tensor, int]]]:
        """Features, and what lateral connections start from: the folded outputs of the pooled stem
        and stages 1-4, each with its T', before any BN of the next stage and without laterals.

        `laterals`, folded frames (B*T', C, H', W'), are concatenated to these outputs. With
        `repeats` above 1, the one frame of the clip stands for so many: it goes through the network
        once, up to the first layer in which frames see each other.
        """
        check_clip(clip)
        x, T = self.stem(fold(clip), clip.shape[2], repeats)
        repeats = 1 if self.stem.temporal else repeats
        if self.stem_bn is not None:
            x = F.relu(self.stem_bn(x), inplace=True)
        if repeats > 1 and self.temporal_pool > 1:
            x, T, repeats = repeat(x, repeats), repeats, 1
        x, T = self._pool(x, T)
        if repeats > 1 and laterals is not None:
            x, T, repeats = repeat(x, repeats), repeats, 1
        features, outputs = {}, []
        for number, stage in enumerate(self.stages):
            first, second = cast(nn.ModuleList, stage)
            outputs.append((x, T))
            if laterals is not None:
                x = torch.cat([x, laterals[number]], 1)  # (B*T, C + lateral, H, W)
            x, T_next, activated = first(x, T, repeats)
            features[FEATURES[number]] = _shown(activated, T, repeats)
            repeats = 1 if cast(FrameConvolution, first.conv1).temporal else repeats
            x, T, _ = second(x, T_next, repeats)
        outputs.append((x, T))
        if laterals is not None:
            x = torch.cat([x, laterals[-1]], 1)  # (B*T, C + lateral, H, W)
        if self.final_bn is not None:
            x = F.relu(self.final_bn(x), inplace=True)
        features["conv5"] = _shown(x, T, repeats)
        return features, outputs

    def _pool(self, x: Tensor, T: int) -> tuple[Tensor, int]:
        """3x3 max pool of stride 2, over 3 frames where it strides in time.

        The pre-activation form's is TensorFlow's SAME (protocol section 4): ceil(size / 2) windows,
        which start at -1 where the size is odd and at 0 where it is even.
        """
        sizes = (T, *x.shape[2:])
        padding = [size % 2 if self.same_pool else 1 for size in sizes]
        if self.temporal_pool == 1:
            return F.max_pool2d(x, 3, 2, padding[1:], ceil_mode=self.same_pool), T
        if x.is_cuda:
            return self._pool_twice(x, T, padding)
        stride = (self.temporal_pool, 2, 2)
        y = F.max_pool3d(unfold(x, T), 3, stride, padding, ceil_mode=self.same_pool)
        return fold(y), y.shape[2]

    def _pool_twice(self, x: Tensor, T: int, padding: list[int]) -> tuple[Tensor, int]:
        """The 3D max pool as one over space and one over time. Its result and gradient are the
        same, and on a GPU they have the same bits every time, which `max_pool3d`'s do not."""
        x = F.max_pool2d(x, 3, 2, padding[1:], ceil_mode=self.same_pool)
        x = x.contiguous(memory_format=torch.channels_last)
        height, width = x.shape[2:]
        # (B*T, C, H, W) -> (B, C, T, H * W), a view: time is an image's height
        rows = x.permute(0, 2, 3, 1).unflatten(0, (-1, T)).flatten(2, 3).permute(0, 3, 1, 2)
        stride, pad = (self.temporal_pool, 1), (padding[0], 0)
        y = F.max_pool2d(rows, (3, 1), stride, pad, ceil_mode=self.same_pool)
        # (B, C, T', H * W) -> (B*T', C, H, W), a view in channels-last memory
        frames = y.permute(0, 2, 3, 1).unflatten(2, (height, width)).flatten(0, 1)
        return frames.permute(0, 3, 1, 2), y.shape[2]


def _shown(x: Tensor, T: int, repeats: int) -> Tensor:
    """(B*T, C, H, W) -> (B, C, T, H, W); T = 1 frame that is repeated is not copied."""
    clips = unfold(x, T)
    return clips.expand(-1, -1, repeats, -1, -1) if repeats > 1 else clips


def check_clip(clip: Tensor) -> None:
    """Raise VieError unless `clip` is (B, 3, T, H, W) of floats."""
    if clip.ndim != 5 or clip.shape[1] != 3 or not clip.is_floating_point():
        raise VieError(
            f"a clip has the shape (B, 3, T, H, W) and holds floats, but this one is "
            f"{tuple(clip.shape)} of {clip.dtype}; single images need T = 1, and uint8 clips go "
            "through the colour functions first"
        )


def channels_last(network: Network) -> Network:
    """Lay convolution weights out channels-last, in place: about 1.5 times as fast on a CPU."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in network.parameters():
        if parameter.ndim in formats:
            parameter.data = parameter.data.contiguous(memory_format=formats[parameter.ndim])
    return network
