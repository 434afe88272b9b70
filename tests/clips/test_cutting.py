"""Clips of JPEGs beside a plain implementation: one frame after the other, nothing shared."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from vie.clips import crops
from vie.clips.crops import Crop
from vie.clips.cutting import UndecodableError, cut_clip, decode


def jpegs(count, height, width):
    """Noise on a coarse picture, all different."""
    rng = np.random.default_rng(height)
    for _ in range(count):
        coarse = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
        picture = np.asarray(
            Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        )
        noisy = np.clip(picture + rng.normal(0, 8, picture.shape), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(noisy).save(file, "JPEG", quality=90)
        yield file.getvalue()


def plainly(files, frames, crop, size, shifts):
    """(3, T, size, size) as int: torchvision cuts and resizes every frame by itself."""
    from torchvision.transforms import functional

    least = (lambda h, w: crop.least(size, h, w)) if crop.reduced_decoding else None
    cuts = []
    for t, frame in enumerate(frames):
        image = torch.from_numpy(decode(files[frame], least)).permute(2, 0, 1).contiguous()
        height, width = image.shape[1:]
        top, left, tall, wide = crop.box(height, width)
        if shifts is not None:
            top = min(max(top + round(shifts[t, 0] * tall / size), 0), height - tall)
            left = min(max(left + round(shifts[t, 1] * wide / size), 0), width - wide)
        cut = functional.resized_crop(image, top, left, tall, wide, [size, size], antialias=True)
        cuts.append(functional.hflip(cut) if crop.flip else cut)
    return torch.stack(cuts, 1).int()


CROPS = {
    "square": Crop(0.8, 0.3, 0.9, False),
    "mirrored": Crop(0.7, 1.0, 0.2, True),
    "whole": Crop(1.0, 0.5, 0.5, False),
    "squeezed": Crop(0.82, 0.4, 0.1, True, squeeze=True),
    "rectangle": Crop(1.0, 0.6, 0.3, True, tries=((0.3, 1.8),), aspects=(0.5, 2.0)),
    "reduced": Crop(0.9, 0.2, 0.7, True, reduced_decoding=True),
}


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("crop", CROPS.values(), ids=CROPS)
@pytest.mark.parametrize(
    ("height", "width", "size"), [(240, 320, 112), (333, 250, 224), (60, 80, 48), (50, 37, 32)]
)
def test_equals_a_plain_implementation(monkeypatch, height, width, size, crop, shifted):
    """Frames that occur twice, out of order; large ones alone, small ones in twos and threes."""
    files, frames = list(jpegs(5, height, width)), np.array([4, 0, 3, 0, 1, 4, 4])
    monkeypatch.setattr(crops, "PIXELS_TOGETHER", 3 * 50 * 50)
    shifts = np.random.default_rng(0).integers(-9, 10, (7, 2)) if shifted else None
    asked = []

    def read(wanted):
        asked.extend(wanted.tolist())
        return [files[frame] for frame in wanted]

    found = cut_clip(read, frames, crop, size, shifts)
    assert asked == [0, 1, 3, 4]
    assert found.dtype == torch.uint8
    assert (found.int() - plainly(files, frames, crop, size, shifts)).abs().max() <= 1


@pytest.mark.parametrize("shifts", [None, np.zeros((4, 2), int)])
@pytest.mark.parametrize("bad", [2, 7])
def test_says_which_frame_cannot_be_decoded(bad, shifts):
    files = dict(enumerate(jpegs(8, 40, 52)))
    files[bad] = files[bad][:200]
    frames = np.array([2, 5, 7, 5])
    with pytest.raises(UndecodableError) as raised:
        cut_clip(lambda wanted: [files[f] for f in wanted], frames, CROPS["whole"], 32, shifts)
    assert raised.value.frame == bad
