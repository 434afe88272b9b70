"""One ResNet-18 whose parameters make every network of protocol section 4.

Between layers a clip travels as folded frames (B*T, C, H, W) with T beside it. A convolution
whose temporal kernel is 1 is then a plain 2D convolution, batch norm sees the same statistics as
in 3D, and nothing is reshaped in a network without temporal kernels. A temporal convolution
unfolds to (B, C, T, H, W) and folds back; in channels-last memory both are views.

Convolutions pad symmetrically, as torchvision's and the release's do. The release's max pool pads
as TensorFlow's SAME does: an even size at its end only.
"""

import math
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vie.runtime.errors import VieError

FORMS = ("preactivation", "postactivation")
FEATURES = ("conv1", "conv2", "conv3", "conv4", "conv5")
BN_EPS = 1e-5  # protocol section 4
CUT_NORMAL = 0.8796256610342398  # deviation of a standard normal without |x| > 2
Network = TypeVar("Network", bound=nn.Module)


def variance_scaling_(weight: Tensor, scale: float = 1) -> None:
    """Draw weights (O, I, ...) from a normal distribution of variance scale / fan-in, without what
    lies beyond two standard deviations of the distribution that is cut: TensorFlow's default.
    """
    deviation = math.sqrt(scale / weight[0].numel()) / CUT_NORMAL
    nn.init.trunc_normal_(weight, std=deviation, a=-2 * deviation, b=2 * deviation)


def fold(clip: Tensor) -> Tensor:
    """(B, C, T, H, W) -> (B*T, C, H, W)."""
    return clip.transpose(1, 2).flatten(0, 1)


def unfold(frames: Tensor, T: int) -> Tensor:
    """(B*T, C, H, W) -> (B, C, T, H, W), a transform."""
    clips: Tensor = frames.unflatten(0, (-1, T))  # (B*T, C, H, W) -> (B, T, C, H, W)
    return clips.transpose(1, 2)


def repeat(x: Tensor, frames: int) -> Tensor:
    """(B, C, H, W) -> (B * frames, C, H, W), each frame so many times, channels-last in memory."""
    return x.permute(0, 2, 3, 1).repeat_interleave(frames, 0).permute(0, 3, 1, 2)


def narrow_convolution(
    x: Tensor, weight: Tensor, T: int, stride: int, padding: tuple[int, int]
) -> Tensor:
    """`conv3d` to few channels, as a spatial convolution that makes several frames at once.

    A CPU computes 8 to 16 channels in one instruction and leaves most of it idle where a pathway
    has fewer. n output frames together, 16 / O or what T is a multiple of, are a spatial
    convolution of the n + k_t - 1 input frames that they see, to n * O channels; weights of frames
    that an output does not see are 0. Worth it for a stem: where `x` needs a gradient, gathering it
    costs what this saves.

    `x` (B*T, I, H, W), `weight` (O, I, k_t, k, k) with odd k_t -> (B*T, O, H', W'). The stride is
    in space, the padding in time and space.
    """
    outputs, inputs, kernel = weight.shape[:3]
    n = math.gcd(T, max(1, 16 // outputs))
    planes = weight.transpose(1, 2).flatten(1, 2)  # (O, I, k_t, k, k) -> (O, k_t * I, k, k)
    shifted = [F.pad(planes, (0, 0, 0, 0, j * inputs, (n - 1 - j) * inputs)) for j in range(n)]
    # n x (O, (n + k_t - 1) * I, k, k) -> (n * O, (n + k_t - 1) * I, k, k)
    weights = torch.cat(shifted).contiguous(memory_format=torch.channels_last)
    clips = x.reshape(-1, T * inputs, *x.shape[2:])  # (B*T, I, H, W) -> (B, T * I, H, W)
    clips = F.pad(clips, (0, 0, 0, 0, padding[0] * inputs, padding[0] * inputs))
    # Overlapping windows of frames: (B, T / n, H, W, (n + k_t - 1) * I)
    windows = clips.unfold(1, (n + kernel - 1) * inputs, n * inputs)
    # (B, T / n, H, W, C) -> (B * T / n, C, H, W), channels-last in memory
    windows = windows.flatten(0, 1).permute(0, 3, 1, 2)
    windows = windows.contiguous(memory_format=torch.channels_last)
    y = F.conv2d(windows, weights, None, stride, padding[1])  # (B * T / n, n * O, H', W')
    # (B * T / n, n * O, H', W') -> (B*T, O, H', W')
    frames: Tensor = y.unflatten(1, (n, outputs)).flatten(0, 1)
    return frames.contiguous(memory_format=torch.channels_last)


class FrameConvolution(nn.Module):
    """Convolution of folded frames, without bias, padded to keep the size at stride 1.

    The weight is (O, I, k, k) for a temporal kernel of 1, else (O, I, k_t, k, k), at first as
    `variance_scaling_` says (protocol section 4).
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        temporal_kernel: int = 1,
        temporal_stride: int = 1,
        stem: bool = False,
    ):
        super().__init__()
        self.stride, self.temporal_stride = stride, temporal_stride
        self.padding, self.temporal_padding = kernel // 2, temporal_kernel // 2
        temporal = (temporal_kernel,) if temporal_kernel > 1 else ()
        self.narrow_stem = stem and bool(temporal) and temporal_stride == 1 and outputs <= 8
        self.temporal = bool(temporal) or temporal_stride > 1  # whether frames see each other
        self.weight = nn.Parameter(torch.empty(outputs, inputs, *temporal, kernel, kernel))
        variance_scaling_(self.weight)

    def forward(self, x: Tensor, T: int, repeats: int = 1) -> tuple[Tensor, int]:
        """(B*T, I, H, W) -> (B*T', O, H', W') and T' = ceil(T / temporal stride).

        With `repeats` above 1, T = 1 frame stands for so many, which are made of it only if this
        convolution is temporal.
        """
        if repeats > 1 and self.temporal:
            x, T = repeat(x, repeats), repeats
        if self.weight.ndim == 4:
            if self.temporal_stride > 1:
                strided = unfold(x, T)[:, :, :: self.temporal_stride]  # (B, I, T', H, W)
                x, T = fold(strided), strided.shape[2]  # (B*T', I, H, W)
            stride = self.stride
            if self.padding == 0 and stride > 1:
                # The same numbers; oneDNN's strided 1x1 kernel corrupts memory at 4 channels.
                x, stride = x[:, :, ::stride, ::stride], 1  # (B*T', I, H', W')
            return F.conv2d(x, self.weight, None, stride, self.padding), T
        if self.narrow_stem and x.device.type in ("cpu", "meta"):  # costs are counted on meta
            padding = (self.temporal_padding, self.padding)
            return narrow_convolution(x, self.weight, T, self.stride, padding), T
        y = F.conv3d(
            unfold(x, T),  # (B*T, I, H, W) -> (B, I, T, H, W)
            self.weight,
            None,
            (self.temporal_stride, self.stride, self.stride),
            (self.temporal_padding, self.padding, self.padding),
        )
        return fold(y), y.shape[2]  # (B, O, T', H', W') -> (B*T', O, H', W')


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
        stride = (self.temporal_pool, 2, 2)
        y = F.max_pool3d(unfold(x, T), 3, stride, padding, ceil_mode=self.same_pool)
        return fold(y), y.shape[2]


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
