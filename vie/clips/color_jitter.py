"""Color jitter and normalisation, batched on the training device (protocol section 3).

The operations are torchvision's: the same formulas on floats in [0, 1]. All frames of a clip get
the same draws, one row of `ColorJitterDraws`.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vie.runtime import kernels

MEAN = (0.485, 0.456, 0.406)  # ImageNet, protocol section 3
STD = (0.229, 0.224, 0.225)
CACHED_PIXELS = 65_536  # of one float32 plane: with its temporaries, about a core's L2 cache
GREY = (0.2989, 0.587, 0.114)  # ITU-R 601-2 luma, as torchvision


class ColorJitterDraws(NamedTuple):
    """The random draws of one clip, or of a batch with a leading dimension B."""

    # (4,) float32: brightness, contrast, saturation factors and hue shift in turns.
    factors: np.ndarray | Tensor
    order: np.ndarray | Tensor  # (4,) int64 of 0..3: the operation done first, second, ...
    grey: np.ndarray | Tensor  # () bool: whether the clip ends without colour


def draw_color_jitter(
    rng: np.random.Generator, strength: float = 0.4, hue: float = 0.4, grey: float = 0.3
) -> ColorJitterDraws:
    """Draws of protocol section 3: factors in 1 +- 0.4, hue +-0.4 turns, grey with p = 0.3."""
    factors = [*rng.uniform(1 - strength, 1 + strength, size=3), rng.uniform(-hue, hue)]
    order = rng.permutation(4)
    return ColorJitterDraws(np.array(factors, np.float32), order, np.array(rng.random() < grey))


def normalise(clips: Tensor) -> Tensor:
    """(B, 3, T, H, W) uint8 -> in [0, 1], minus ImageNet's mean, over its deviation: float32, or
    what autocast computes in on a GPU."""
    if clips.is_cuda and kernels.usable():
        return _by_kernel(clips, None)
    mean, std = (clips.new_tensor(v, dtype=torch.float32) for v in (MEAN, STD))
    shape = (1, 3, 1, 1, 1)
    # One multiply-add: x / (255 std) - mean / std.
    return clips.float().mul_((1 / (255 * std)).view(shape)).sub_((mean / std).view(shape))


def apply_color_jitter(clips: Tensor, draws: ColorJitterDraws) -> Tensor:
    """Apply each clip's own draws to all its frames, then normalise.

    (B, 3, T, H, W) uint8, and draws of B clips -> (B, 3, T, H, W) as from `normalise`.
    """
    if clips.is_cuda and kernels.usable():
        return _by_kernel(clips, draws)
    B, C, T, H, W = clips.shape
    frames = clips.transpose(1, 2).reshape(B * T, C, H, W)  # (B, 3, T, H, W) -> (B*T, 3, H, W)
    per_frame = [torch.as_tensor(part).repeat_interleave(T, 0) for part in draws]  # (B*T, ...)
    # A CPU is several times faster on pieces that fit its cache, a GPU without Triton on one large
    # piece. Short clips each have their own order of operations, so a piece of them is worked on in
    # parts: it may be twice as large.
    cached = CACHED_PIXELS * (2 if 4 * T * H * W <= CACHED_PIXELS else 1)
    piece = max(1, cached // (H * W)) if clips.device.type == "cpu" else B * T
    out = torch.empty((B * T, C, H, W), device=clips.device)
    for i in range(0, B * T, piece):
        here = slice(i, i + piece)
        out[here] = _apply_color_jitter(frames[here], *(draw[here] for draw in per_frame))
    # (B*T, 3, H, W) -> (B, 3, T, H, W), a view: networks fold time into the batch again
    return out.view(B, T, C, H, W).transpose(1, 2)


def _by_kernel(clips: Tensor, draws: ColorJitterDraws | None) -> Tensor:
    from vie.clips.color_kernel import to_floats

    half = torch.is_autocast_enabled("cuda")
    return to_floats(clips, draws, torch.get_autocast_dtype("cuda") if half else torch.float32)


def _apply_color_jitter(frames: Tensor, factors: Tensor, orders: Tensor, grey: Tensor) -> Tensor:
    """(n, 3, H, W) uint8 -> float32; at each place in the order, one call per operation."""
    frames = frames.float().div_(255)
    device = frames.device
    for place in range(4):
        for operation in sorted(set(orders[:, place].tolist())):
            function = OPERATIONS[operation]
            chosen = (orders[:, place] == operation).nonzero()[:, 0]
            factor = factors[chosen, operation].view(-1, 1, 1, 1).to(device)  # (k,) -> (k, 1, 1, 1)
            if len(chosen) == len(frames):
                frames = function(frames, factor)
            else:
                chosen = chosen.to(device)
                frames[chosen] = function(frames[chosen], factor)
    if grey.any():
        chosen = grey.nonzero()[:, 0].to(device)
        frames[chosen] = to_grey(frames[chosen])
    mean, std = (frames.new_tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    return frames.sub_(mean).div_(std)


def luma(frames: Tensor) -> Tensor:
    """(n, 3, H, W) -> (n, 1, H, W)."""
    r, g, b = (frames[:, channel : channel + 1] for channel in range(3))  # 3 x (n, 1, H, W)
    return (r * GREY[0]).add_(g, alpha=GREY[1]).add_(b, alpha=GREY[2])


def to_grey(frames: Tensor) -> Tensor:
    """(n, 3, H, W) with all three channels equal to the luma."""
    return luma(frames).expand_as(frames)


def adjust_brightness(frames: Tensor, factor: Tensor) -> Tensor:
    """factor * frame, clamped to [0, 1]: (n, 3, H, W), with `factor` (n, 1, 1, 1), as below."""
    return (frames * factor).clamp_(0, 1)


def adjust_contrast(frames: Tensor, factor: Tensor) -> Tensor:
    """Blend with each frame's mean luma."""
    mean = luma(frames).mean(dim=(1, 2, 3), keepdim=True)  # (n, 1, 1, 1)
    return (frames * factor).add_(mean * (1 - factor)).clamp_(0, 1)


def adjust_saturation(frames: Tensor, factor: Tensor) -> Tensor:
    """Blend with each pixel's luma."""
    return (frames * factor).add_(luma(frames) * (1 - factor)).clamp_(0, 1)


def adjust_hue(frames: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue by `shift` turns, (n, 1, 1, 1), in HSV space.

    Value v, chroma c and m = v - c stay. With the turned hue h in [0, 6) sixths of a turn, the
    channels are m + c * clamp(x, 0, 1) with x = |h - 3| - 1 for red, 2 - |h - 2| for green and
    2 - |h - 4| for blue.
    """
    r, g, b = frames.unbind(1)  # 3 x (n, H, W)
    value = torch.maximum(torch.maximum(r, g), b)
    least = torch.minimum(torch.minimum(r, g), b)
    chroma = value - least
    # A grey pixel has no hue: its chroma of 0 hides whatever comes out here.
    scale = (chroma + 1e-12).reciprocal_()
    hue = torch.where(g == value, (b - r).mul_(scale).add_(2), (r - g).mul_(scale).add_(4))
    hue = torch.where(r == value, (g - b).mul_(scale), hue)  # (n, H, W) in [-1, 5]
    hue.mul_(1 / 6).add_(shift.view(-1, 1, 1))  # (n, 1, 1, 1) -> (n, 1, 1)
    hue.sub_(hue.floor()).mul_(6)  # remainder_() does the same several times slower
    # clamp(x, 0, 1) is clamp(|h - 3|, 1, 2) - 1 or 2 - clamp(|h - centre|, 1, 2).
    below, above = least - chroma, torch.add(least, chroma, alpha=2)
    out = torch.empty_like(frames)
    for channel, (centre, base, sign) in enumerate(((3, below, 1), (2, above, -1), (4, above, -1))):
        x = (hue - centre).abs_().clamp_(1, 2)
        torch.addcmul(base, x, chroma, value=sign, out=out[:, channel])
    return out


OPERATIONS = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)
