"""Color jitter and normalisation on a GPU, in two launches: the formulas of `color_jitter`.

The first launch finds the mean luma that contrast needs of every frame, the second does all the
rest, from uint8 to the network's type and memory format. Nothing waits for the device.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from vie.clips.color_jitter import GREY, MEAN, STD, ColorJitterDraws

BLOCK = 1024  # pixels of a program
RED, GREEN, BLUE = (tl.constexpr(share) for share in GREY)
# Of the channels: x / std - mean / std.
SCALES = tuple(tl.constexpr(1 / std) for std in STD)
SHIFTS = tuple(tl.constexpr(-mean / std) for mean, std in zip(MEAN, STD, strict=True))
SCALE_R, SCALE_G, SCALE_B = SCALES
SHIFT_R, SHIFT_G, SHIFT_B = SHIFTS


@triton.jit
def _unit(x):
    return tl.minimum(tl.maximum(x, 0.0), 1.0)


@triton.jit
def _luma(r, g, b):
    return r * RED + g * GREEN + b * BLUE


@triton.jit
def _turned(hue, centre, chroma):
    """clamp(|hue - centre|, 1, 2) * chroma."""
    return tl.minimum(tl.maximum(tl.abs(hue - centre), 1.0), 2.0) * chroma


@triton.jit
def _hue(r, g, b, shift):
    value = tl.maximum(tl.maximum(r, g), b)
    least = tl.minimum(tl.minimum(r, g), b)
    chroma = value - least
    scale = 1.0 / (chroma + 1e-12)
    hue = tl.where(g == value, (b - r) * scale + 2.0, (r - g) * scale + 4.0)
    hue = tl.where(r == value, (g - b) * scale, hue) / 6.0 + shift
    hue = (hue - tl.floor(hue)) * 6.0
    above = least + 2.0 * chroma
    red = least - chroma + _turned(hue, 3.0, chroma)
    return red, above - _turned(hue, 2.0, chroma), above - _turned(hue, 4.0, chroma)


@triton.jit
def _operation(r, g, b, operation, factor, mean):
    """One of `color_jitter.OPERATIONS`, by number; contrast blends with `mean`."""
    if operation == 0:
        r, g, b = _unit(r * factor), _unit(g * factor), _unit(b * factor)
    elif operation == 3:
        r, g, b = _hue(r, g, b, factor)
    else:
        if operation == 1:
            grey = mean * (1.0 - factor) + r * 0.0
        else:
            grey = _luma(r, g, b) * (1.0 - factor)
        r, g, b = _unit(r * factor + grey), _unit(g * factor + grey), _unit(b * factor + grey)
    return r, g, b


@triton.jit
def _load(clips, frame, pixels, inside, T, HW):
    """Channels in [0, 1] of pixels of a frame, of clips (B, 3, T, H, W)."""
    clip = (frame // T).to(tl.int64)
    start = clips + (clip * 3 * T + frame % T) * HW + pixels
    r = tl.load(start, inside, 0).to(tl.float32) / 255.0
    g = tl.load(start + T * HW, inside, 0).to(tl.float32) / 255.0
    b = tl.load(start + 2 * T * HW, inside, 0).to(tl.float32) / 255.0
    return r, g, b


@triton.jit
def _luma_sums(clips, factors, orders, sums, T, HW, BLOCK: tl.constexpr):
    """Sum of each block's luma when contrast is its clip's next operation: `sums` (B*T, blocks)."""
    frame, block = tl.program_id(0), tl.program_id(1)
    pixels = block * BLOCK + tl.arange(0, BLOCK)
    inside = pixels < HW
    r, g, b = _load(clips, frame, pixels, inside, T, HW)
    draws = (frame // T) * 4
    before = 1  # whether contrast is still to come
    for place in range(4):
        operation = tl.load(orders + draws + place)
        if operation == 1:
            before = 0
        if before == 1:
            factor = tl.load(factors + draws + operation)
            r, g, b = _operation(r, g, b, operation, factor, 0.0)
    luma = tl.where(inside, _luma(r, g, b), 0.0)
    tl.store(sums + frame * tl.num_programs(1) + block, tl.sum(luma, 0))


@triton.jit
def _finish(
    clips, factors, orders, greys, sums, out, T, HW, blocks,
    JITTER: tl.constexpr, BLOCK: tl.constexpr, BLOCKS: tl.constexpr,
):  # fmt: skip
    """`out` (B*T, H, W, 3): all operations, grey, normalised. Without JITTER the last only."""
    frame = tl.program_id(0)
    pixels = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = pixels < HW
    r, g, b = _load(clips, frame, pixels, inside, T, HW)
    if JITTER:
        every = tl.arange(0, BLOCKS)
        mean = tl.sum(tl.load(sums + frame * blocks + every, every < blocks, 0.0), 0) / HW
        draws = (frame // T) * 4
        for place in range(4):
            operation = tl.load(orders + draws + place)
            factor = tl.load(factors + draws + operation)
            r, g, b = _operation(r, g, b, operation, factor, mean)
        if tl.load(greys + frame // T) != 0:
            grey = _luma(r, g, b)
            r, g, b = grey, grey, grey
    start = out + (frame.to(tl.int64) * HW + pixels) * 3
    kind = out.dtype.element_ty
    tl.store(start, (r * SCALE_R + SHIFT_R).to(kind), inside)
    tl.store(start + 1, (g * SCALE_G + SHIFT_G).to(kind), inside)
    tl.store(start + 2, (b * SCALE_B + SHIFT_B).to(kind), inside)


def to_floats(clips: Tensor, draws: ColorJitterDraws | None, dtype: torch.dtype) -> Tensor:
    """`apply_color_jitter`, or `normalise` without draws: (B, 3, T, H, W) uint8 -> the same shape
    of `dtype`, whose frames (B*T, 3, H, W) are channels-last in memory.

    Draws that are on another device than the clips are copied there.
    """
    B, C, T, H, W = clips.shape
    clips, HW = clips.contiguous(), H * W
    out = torch.empty((B * T, H, W, C), dtype=dtype, device=clips.device)
    blocks = triton.cdiv(HW, BLOCK)
    grid = (B * T, blocks)
    factors = orders = greys = sums = None
    with torch.cuda.device_of(clips):
        if draws is not None:
            factors, orders, greys = (
                torch.as_tensor(part).to(clips.device, non_blocking=True) for part in draws
            )
            greys = greys.view(torch.uint8)
            sums = torch.empty((B * T, blocks), device=clips.device)
            _luma_sums[grid](clips, factors, orders, sums, T, HW, BLOCK)
        _finish[grid](
            clips, factors, orders, greys, sums, out, T, HW, blocks,
            draws is not None, BLOCK, triton.next_power_of_2(blocks),
        )  # fmt: skip
    # (B*T, H, W, 3) -> (B, T, H, W, 3) -> (B, 3, T, H, W), views
    return out.view(B, T, H, W, C).permute(0, 4, 1, 2, 3)
