"""What holds of crops whatever their numbers and the frame's shape are."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from vie.clips.crops import Crop, RandomResizedCrop, ScaleCrop, crop_frames

sides, seeds = st.integers(1, 700), st.integers(0, 2**32 - 1)
shares = st.floats(0, 1)


@st.composite
def crops(draw):
    """Any crop that can be made."""
    scale = draw(st.floats(0.01, 1))
    return Crop(scale, draw(shares), draw(shares), draw(st.booleans()), draw(st.floats(0, 0.5)))


@given(crops(), sides, sides)
def test_a_box_lies_inside_its_frame(crop, height, width):
    top, left, side, _ = crop.box(height, width)
    assert 1 <= side <= min(height, width)
    assert 0 <= top <= height - side
    assert 0 <= left <= width - side


@given(crops(), sides, sides)
def test_a_shifted_box_stays_inside_where_there_is_room(crop, height, width):
    top, left, side, _ = crop.box(height, width)
    margin = round(crop.frame_shift * side)
    for start, length in ((top, height), (left, width)):
        room = min(margin, (length - side) // 2)
        assert room <= start <= length - side - room


@given(crops(), sides, sides)
def test_position_grows_with_its_share(crop, height, width):
    def box(top, left):
        return Crop(crop.scale, top, left, crop.flip, crop.frame_shift).box(height, width)

    low, high = sorted((crop.top, crop.left))
    assert box(low, low)[0] <= box(high, high)[0]
    assert box(low, low)[1] <= box(high, high)[1]


@given(st.integers(8, 224), st.integers(0, 100), st.integers(0, 100), seeds)
def test_a_random_crop_is_the_square_of_a_resized_frame(size, least, more, seed):
    low = size + least
    policy = RandomResizedCrop(size, (low, low + more), low)
    crop = policy.train_crop(np.random.default_rng(seed))
    assert low <= round(size / crop.scale) <= low + more
    assert policy.centre_crop().scale == size / low


@given(st.lists(st.floats(0.1, 1), min_size=1, max_size=5), seeds)
def test_a_scale_crop_has_one_of_its_scales(scales, seed):
    crop = ScaleCrop(112, tuple(scales)).train_crop(np.random.default_rng(seed))
    assert crop.scale in scales
    assert {crop.top, crop.left} <= {0.0, 0.5, 1.0}


@given(crops(), st.integers(2, 40), st.integers(2, 40), st.integers(1, 24), st.integers(0, 255))
def test_a_frame_of_one_color_stays_one(crop, height, width, size, level):
    frames = [np.full((height, width, 3), level, np.uint8)] * 2
    cut = crop_frames(frames, crop, size)
    assert cut.shape == (3, 2, size, size)
    assert (cut == level).all()


@given(crops(), st.integers(2, 40), st.integers(2, 40), seeds)
def test_a_flip_mirrors(crop, height, width, seed):
    frames = [np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)]
    plain, mirrored = (
        crop_frames(frames, Crop(crop.scale, crop.top, crop.left, flip), 16)
        for flip in (False, True)
    )
    assert torch.equal(plain.flip(-1), mirrored)
