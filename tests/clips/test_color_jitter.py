"""Colour noise against torchvision's functions with the same draws."""

import numpy as np
import pytest
import torch

from vie.clips import color_jitter as module
from vie.clips.color_jitter import (
    ColorJitterDraws,
    apply_color_jitter,
    draw_color_jitter,
    normalise,
)


@pytest.fixture
def clips():
    generator = torch.Generator().manual_seed(0)
    clips = torch.randint(0, 256, (6, 3, 2, 20, 24), generator=generator, dtype=torch.uint8)
    clips[0, :, :, :5] = 128  # grey pixels have no hue
    clips[1, :, :, :5] = 0
    clips[2, :, :, :5] = 255
    return clips


def batch(draws):
    return ColorJitterDraws(
        *(torch.from_numpy(np.stack(part)) for part in zip(*draws, strict=True))
    )


def torchvision_noise(frame, factors, order, grey):
    """One frame (3, H, W) uint8 by torchvision."""
    from torchvision.transforms import functional

    functions = (
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    )
    frame = frame.float() / 255
    for operation in order:
        frame = functions[operation](frame, float(factors[operation]))
    if grey:
        frame = functional.rgb_to_grayscale(frame, 3)
    return functional.normalize(frame, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize("cached", [1, 700, 10**9])
def test_equals_torchvision(clips, cached, monkeypatch):
    """Whatever the size of the pieces that are worked on at a time."""
    monkeypatch.setattr(module, "CACHED_PIXELS", cached)
    rng = np.random.default_rng(1)
    draws = [draw_color_jitter(rng) for _ in clips]
    assert any(d.grey for d in draws)
    assert not all(d.grey for d in draws)
    ours = apply_color_jitter(clips, batch(draws))
    for b, (factors, order, grey) in enumerate(draws):
        for t in range(clips.shape[2]):
            theirs = torchvision_noise(clips[b, :, t], factors, order, grey)
            torch.testing.assert_close(ours[b, :, t], theirs, atol=2e-5, rtol=0)


@pytest.mark.parametrize(
    ("operation", "value"),
    [(op, value) for op in range(3) for value in (0.0, 0.6, 1.0, 1.4)]
    + [(3, value) for value in (-0.4, -0.1, 0.0, 0.25, 0.4)],
)
def test_each_operation_equals_torchvision(clips, operation, value):
    from torchvision.transforms import functional

    name = ("adjust_brightness", "adjust_contrast", "adjust_saturation", "adjust_hue")[operation]
    frames = clips[:, :, 0].float() / 255
    ours = module.OPERATIONS[operation](frames, torch.full((len(frames), 1, 1, 1), value))
    theirs = torch.stack([getattr(functional, name)(frame, value) for frame in frames])
    torch.testing.assert_close(ours, theirs, atol=5e-6, rtol=0)


def test_all_frames_of_a_clip_get_the_same_draws(clips):
    same = clips[:, :, :1].expand(-1, -1, 3, -1, -1)
    rng = np.random.default_rng(2)
    out = apply_color_jitter(same, batch([draw_color_jitter(rng) for _ in same]))
    assert torch.equal(out[:, :, 0], out[:, :, 1])
    assert torch.equal(out[:, :, 0], out[:, :, 2])


def test_draws_follow_the_protocol():
    rng = np.random.default_rng(3)
    draws = [draw_color_jitter(rng) for _ in range(20_000)]
    factors = np.stack([d.factors for d in draws])
    for column, (low, high) in enumerate([(0.6, 1.4)] * 3 + [(-0.4, 0.4)]):
        values = factors[:, column]
        assert low <= values.min() < low + 0.01
        assert high - 0.01 < values.max() <= high
        assert abs(values.mean() - (low + high) / 2) < 0.01
        assert abs(values.std() - (high - low) / np.sqrt(12)) < 0.01
    assert len({tuple(d.order) for d in draws}) == 24
    assert abs(np.mean([d.grey for d in draws]) - 0.3) < 0.015


def test_normalise_by_hand(clips):
    out = normalise(clips)
    value = (float(clips[3, 1, 1, 7, 9]) / 255 - 0.456) / 0.224
    assert out.dtype == torch.float32
    assert abs(float(out[3, 1, 1, 7, 9]) - value) < 1e-5
