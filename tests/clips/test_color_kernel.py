"""The GPU's kernel against the CPU's path, in Triton's interpreter; `tests/gpu` has it on a GPU."""

import itertools

import numpy as np
import pytest
import torch

from vie.clips.color_jitter import (
    STD,
    ColorJitterDraws,
    apply_color_jitter,
    draw_color_jitter,
    normalise,
)

pytest.importorskip("triton")
LEVEL = 1 / 255 / max(STD)  # one level of uint8, in what normalisation makes of it


def clips_and_draws(B, T, H, W):
    generator = torch.Generator().manual_seed(B)
    clips = torch.randint(0, 256, (B, 3, T, H, W), generator=generator, dtype=torch.uint8)
    clips[0, :, :, :2], clips[-1, :, :, :2] = 128, 0  # grey pixels have no hue
    rng = np.random.default_rng(B)
    draws = [draw_color_jitter(rng) for _ in range(B)]
    stacked = (torch.from_numpy(np.stack(part)) for part in zip(*draws, strict=True))
    return clips, ColorJitterDraws(*stacked)


@pytest.mark.interpreted
@pytest.mark.parametrize("shape", [(3, 2, 9, 7), (1, 1, 1, 1), (2, 1, 40, 37)])
def test_colors_are_those_of_the_cpu(shape):
    from vie.clips.color_kernel import to_floats

    clips, draws = clips_and_draws(*shape)
    expected, found = apply_color_jitter(clips, draws), to_floats(clips, draws, torch.float32)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < LEVEL / 100
    frames = found.transpose(1, 2).flatten(0, 1)  # (B, 3, T, H, W) -> (B * T, 3, H, W)
    assert frames.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.interpreted
def test_every_order_of_operations_and_grey():
    from vie.clips.color_kernel import to_floats

    clips, draws = clips_and_draws(24, 1, 3, 3)
    orders = torch.tensor(list(itertools.permutations(range(4))))
    draws = draws._replace(order=orders, grey=torch.arange(24) % 5 == 0)
    expected, found = apply_color_jitter(clips, draws), to_floats(clips, draws, torch.float32)
    assert (found - expected).abs().max() < LEVEL / 100


@pytest.mark.interpreted
def test_clips_without_draws_are_normalised_and_bfloat16_is_rounded_once():
    from vie.clips.color_kernel import to_floats

    clips, draws = clips_and_draws(2, 2, 8, 6)
    plain = to_floats(clips, None, torch.float32)
    torch.testing.assert_close(plain, normalise(clips), rtol=1e-5, atol=1e-5)
    half = to_floats(clips, draws, torch.bfloat16)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half, to_floats(clips, draws, torch.float32).bfloat16())
