"""Convolutions of folded frames.

Between layers a clip travels as folded frames (B*T, C, H, W) with T beside it. A convolution
whose temporal kernel is 1 is then a plain 2D convolution, batch norm sees the same statistics as
in 3D, and nothing is reshaped in a network without temporal kernels. A temporal convolution
unfolds to (B, C, T, H, W) and folds back; in channels-last memory both are views.

Convolutions pad symmetrically, as torchvision's and the release's do.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CUT_NORMAL = 0.8796256610342398  # deviation of a standard normal without |x| > 2


def variance_scaling_(weight: Tensor) -> None:
    """Draw weights (O, I, ...) from a normal distribution of variance 1 / fan-in, without what
    lies beyond two standard deviations of the distribution that is cut: TensorFlow's default.
    """
    deviation = math.sqrt(1 / weight[0].numel()) / CUT_NORMAL
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
            if self.padding == 0 and stride > 1 and not x.is_cuda:
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
