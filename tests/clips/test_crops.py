"""CropPolicy against torchvision's with the same boxes."""

import numpy as np
import pytest
import torch

from vie.clips.crops import Crop, RandomResizedCrop, ScaleCrop, crop_frames

PAPER = RandomResizedCrop(224, (256, 320), 256)


def frames(count, height, width, seed=0):
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(0, 255, (count, 3, height // 6, width // 6)))
    fine = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    fine = fine + torch.from_numpy(rng.normal(0, 6, fine.shape))
    return [f.clamp(0, 255).byte().permute(1, 2, 0).contiguous().numpy() for f in fine]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("height", "width"), [(320, 427), (427, 320), (80, 96)])
def test_equals_torchvisions_resized_crop(height, width, flip):
    from torchvision.transforms import functional

    clip = frames(2, height, width)
    crop = Crop(scale=0.81, top=0.3, left=0.9, flip=flip)
    top, left, side, _ = crop.box(height, width)
    ours = crop_frames(clip, crop, 64)
    for t, frame in enumerate(clip):
        image = torch.from_numpy(frame).permute(2, 0, 1)
        theirs = functional.resized_crop(image, top, left, side, side, [64, 64], antialias=True)
        theirs = functional.hflip(theirs) if flip else theirs
        assert (ours[:, t].int() - theirs.int()).abs().max() <= 1


@pytest.mark.parametrize(("height", "width"), [(320, 427), (427, 320)])
def test_squeezed_crops_are_those_of_a_squeezed_frame(height, width):
    """3DRotNet: frames of 136 x 136 whatever their form, then a crop (protocol section 9)."""
    from torchvision.transforms import functional

    (frame,) = frames(1, height, width)
    image = torch.from_numpy(frame).permute(2, 0, 1)
    squeezed = functional.resize(image, [136, 136], antialias=True)
    theirs = functional.center_crop(squeezed, [112, 112])
    policy = RandomResizedCrop(112, (136, 136), 136, squeeze=True)
    ours = crop_frames([frame], policy.centre_crop(), 112)[:, 0]
    square = crop_frames([frame], RandomResizedCrop(112, (136, 136), 136).centre_crop(), 112)[:, 0]
    off, apart = ((one.int() - theirs.int()).abs().float().mean() for one in (ours, square))
    assert off < apart / 3  # the box is in whole pixels of the frame
    rng = np.random.default_rng(0)
    boxes = np.array([policy.train_crop(rng).box(height, width) for _ in range(500)])
    assert {tuple(box) for box in boxes[:, 2:].tolist()} == {
        (round(112 / 136 * height), round(112 / 136 * width))
    }
    for axis, length in ((0, height), (1, width)):  # uniform over all places
        room = length - round(112 / 136 * length)
        assert boxes[:, axis].min() < 0.03 * room
        assert boxes[:, axis].max() > 0.97 * room
        assert abs(boxes[:, axis].mean() - room / 2) < 5 * room / (12 * 500) ** 0.5


def test_equals_resizing_the_frame_then_cropping():
    """The protocol's order of doing it, on whole frames, is within the rounding of the box."""
    from torchvision.transforms import functional

    (frame,) = frames(1, 320, 426)
    image = torch.from_numpy(frame).permute(2, 0, 1)
    resized = functional.resize(image, [256], antialias=True)  # (3, 256, 341)
    theirs = functional.center_crop(resized, [224, 224]).float()
    ours = crop_frames([frame], PAPER.centre_crop(), 224)[:, 0].float()
    assert (ours - theirs).abs().mean() < 2.5
    shifted = theirs.roll(3, dims=-1)
    assert (ours - shifted).abs().mean() > 4 * (ours - theirs).abs().mean()


def test_train_crops_follow_the_protocol():
    rng = np.random.default_rng(0)
    crops = [PAPER.train_crop(rng) for _ in range(20_000)]
    shorter = np.array([224 / crop.scale for crop in crops])
    assert {round(s) for s in shorter} == set(range(256, 321))
    assert abs(shorter.mean() - 288) < 1
    assert abs(np.mean([crop.flip for crop in crops]) - 0.5) < 0.02
    boxes = np.array([crop.box(320, 427)[:3] for crop in crops])
    assert boxes[:, 2].min() == 224
    assert boxes[:, 2].max() == 280
    # Positions reach both borders, and their mean is the middle.
    assert boxes[:, 0].min() == 0
    assert (boxes[:, 0] + boxes[:, 2]).max() == 320
    assert (boxes[:, 1] + boxes[:, 2]).max() == 427
    assert abs((boxes[:, 1] + boxes[:, 2] / 2).mean() - 427 / 2) < 1


def test_a_crop_never_leaves_the_frame():
    for height, width in [(17, 16), (320, 427), (81, 80)]:
        for scale in (0.05, 0.7, 1.0):
            for place in (0.0, 0.5, 1.0):
                top, left, side, _ = Crop(scale, place, place, False).box(height, width)
                assert 0 <= top <= height - side
                assert 0 <= left <= width - side


@pytest.mark.parametrize("flip", [False, True])
def test_jitter_moves_single_frames_and_never_leaves_the_frame(flip):
    """Pixels that say where they are: what is cut is where crop and shift say, flipped or not."""
    y, x = np.mgrid[:120, :160].astype(np.uint8)
    frame = np.stack([y, x, y], -1)
    geometry, rng = (
        RandomResizedCrop(80, (100, 120), 100, flip=float(flip)),
        np.random.default_rng(0),
    )
    for _ in range(200):
        crop = geometry.train_crop(rng, frame_shift=5)
        top, left, side, _ = crop.box(120, 160)
        shifts = rng.integers(-5, 6, size=(4, 2))
        found = crop_frames([frame] * 4, crop, 80, shifts).float()
        for t, (down, right) in enumerate(shifts * side / 80):
            # The mean of a cut is its centre: shifts are rounded to pixels of the frame.
            assert found[0, t].mean() == pytest.approx(top + down + (side - 1) / 2, abs=0.6)
            assert found[1, t].mean() == pytest.approx(left + right + (side - 1) / 2, abs=0.6)
            assert (found[1, t, :, 0].mean() > found[1, t, :, -1].mean()) == flip
    still = crop_frames([frame], crop, 80, np.zeros((1, 2), int))
    assert torch.equal(still, crop_frames([frame], crop, 80))


def test_without_jitter_crops_are_what_they_were():
    one, two = (PAPER.train_crop(np.random.default_rng(7), shift) for shift in (0, 5))
    assert (one.scale, one.top, one.left, one.flip) == (two.scale, two.top, two.left, two.flip)
    assert one.frame_shift == 0


def test_scale_crops_are_five_places_and_five_scales():
    """Protocol section 8, on a frame whose pixels say where they are."""
    scales = tuple(2 ** (-i / 4) for i in range(5))
    geometry, rng = ScaleCrop(64, scales, flip=0.5), np.random.default_rng(0)
    crops = [geometry.train_crop(rng) for _ in range(20_000)]
    height, width, seen = 320, 427, {}
    for crop in crops:
        top, left, side, _ = crop.box(height, width)
        room = height - side, width - side
        place = tuple(
            "start" if at == 0 and most else "end" if at == most and most else "middle"
            for at, most in zip((top, left), room, strict=True)
        )
        assert side in {round(320 * scale) for scale in scales}
        if side == 320:  # as tall as the frame: top and bottom are one place
            assert top == 0
            place = ("whole", place[1])
        if place == ("middle", "middle"):
            assert (top, left) == pytest.approx((room[0] / 2, room[1] / 2), abs=1)
        seen[side, place] = seen.get((side, place), 0) + 1
    below = {(s, p): n for (s, p), n in seen.items() if s != 320}
    corners = {(v, h) for v in ("start", "end") for h in ("start", "end")}
    assert {p for _, p in below} == corners | {("middle", "middle")}
    assert len(below) == 4 * 5
    # 20,000 / 25 = 800 each, standard deviation 28
    assert all(abs(n - 800) < 140 for n in below.values())
    assert {p: round(n / 800) for (s, p), n in seen.items() if s == 320} == {
        ("whole", "start"): 2,
        ("whole", "end"): 2,
        ("whole", "middle"): 1,
    }
    assert abs(np.mean([crop.flip for crop in crops]) - 0.5) < 0.02


def test_scale_crop_tests_on_the_centre_of_the_full_shorter_side():
    top, left, side, _ = ScaleCrop(64, (0.5,)).centre_crop().box(320, 427)
    assert (top, side) == (0, 320)
    assert left == pytest.approx((427 - 320) / 2, abs=1)
