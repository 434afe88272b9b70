"""Random-sized crops against torchvision's own `RandomResizedCrop.get_params`."""

import io
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vie.clips.crops import Crop, RandomSizedCrop, crop_frames
from vie.clips.cutting import cut_clip
from vie.clips.sampling import sampling
from vie.clips.transform import ClipTransform, crop_policy
from vie.runtime.errors import VieError

PAPER = RandomSizedCrop(224, (0.2, 1.0), (3 / 4, 4 / 3), 256)
SHAPES = [(375, 500), (500, 375), (320, 320), (100, 1000), (1000, 100)]


def boxes(policy, shape, count=4000):
    rng = np.random.default_rng(0)
    return np.array([policy.train_crop(rng).box(*shape) for _ in range(count)])


def torchvisions(shape, count=4000):
    from torchvision.transforms import RandomResizedCrop

    image = torch.empty(3, *shape)
    ranges = [0.2, 1.0], [3 / 4, 4 / 3]
    return np.array([RandomResizedCrop.get_params(image, *ranges) for _ in range(count)])


@pytest.mark.parametrize("shape", SHAPES)
def test_boxes_are_distributed_as_torchvisions(shape):
    """Two-sample Kolmogorov-Smirnov statistics, 1.95 sqrt(2 / n) once in a thousand."""
    from scipy.stats import ks_2samp

    torch.manual_seed(0)
    ours, theirs = boxes(PAPER, shape), torchvisions(shape)
    for of in (
        lambda box: box[:, 2] * box[:, 3],
        lambda box: box[:, 3] / box[:, 2],
        lambda box: box[:, 0],
        lambda box: box[:, 1],
    ):
        assert ks_2samp(of(ours), of(theirs)).statistic < 2 * 1.95 * (2 / 4000) ** 0.5


@pytest.mark.parametrize("shape", SHAPES)
def test_equal_draws_are_equal_boxes(shape, monkeypatch):
    """torchvision is handed our draws, one after the other."""
    from torchvision.transforms import RandomResizedCrop

    waiting = []
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda self, *_: self.fill_(waiting.pop(0)))
    rng, tried, (height, width) = np.random.default_rng(1), set(), shape
    for _ in range(200):
        crop = PAPER.train_crop(rng)
        areas, aspects = np.array(crop.tries).T
        sides = np.stack([areas * aspects * height / width, areas / aspects * width / height])
        if (np.abs(np.sqrt(sides) - 1) < 0.51 / np.array([[width], [height]])).any():
            continue  # they round a side to whole pixels before they ask whether it fits
        waiting[:] = [x for area, aspect in crop.tries for x in (area, math.log(aspect))]
        places = iter((crop.top, crop.left))
        monkeypatch.setattr(
            torch, "randint", lambda _, most, size, at=places: torch.tensor([int(next(at) * most)])
        )
        ranges = [0.2, 1.0], [3 / 4, 4 / 3]
        theirs = RandomResizedCrop.get_params(torch.empty(3, *shape), *ranges)
        # They compute in float32: a side may be rounded the other way.
        assert np.abs(np.subtract(crop.box(*shape), theirs)).max() <= 1
        tried.add(len(waiting))
    assert len(tried) > 1 or tried == {0}  # the first try does not always fit


@given(
    st.integers(1, 700),
    st.integers(1, 700),
    st.floats(0.01, 1),
    st.floats(0.02, 50),
    st.floats(0, 0.5),
    st.integers(0, 2**32 - 1),
)
def test_a_box_lies_inside_its_frame(height, width, area, aspect, shift, seed):
    policy = RandomSizedCrop(32, (area, 1.0), (aspect, 50.0), 40)
    crop = policy.train_crop(np.random.default_rng(seed), round(32 * shift))
    top, left, tall, wide = crop.box(height, width)
    assert 1 <= tall <= height
    assert 1 <= wide <= width
    assert 0 <= top <= height - tall
    assert 0 <= left <= width - wide
    margin = round(crop.frame_shift * tall)
    assert min(margin, (height - tall) // 2) <= top or not crop.tries


def test_rectangles_become_squares():
    """Pixels that say where they are: what is cut reaches from border to border of the box."""
    y, x = np.mgrid[:120, :160].astype(np.uint8)
    crop = Crop(1.0, 0.5, 0.25, False, tries=((0.3, 2.0),), aspects=(1.0, 2.0))
    top, left, tall, wide = crop.box(120, 160)
    assert wide == pytest.approx(2 * tall, abs=1)
    cut = crop_frames([np.stack([y, x, y], -1)], crop, 32).float()
    assert cut[0].mean() == pytest.approx(top + (tall - 1) / 2, abs=0.6)
    assert cut[1].mean() == pytest.approx(left + (wide - 1) / 2, abs=0.6)
    assert cut[1, 0, 0, -1] - cut[1, 0, 0, 0] == pytest.approx(wide * 31 / 32, abs=2)


def test_reduced_decoding_keeps_the_pixels_that_a_crop_needs():
    smooth = np.random.default_rng(0).uniform(0, 255, (3, 4, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(smooth).resize((640, 480), Image.Resampling.BICUBIC).save(file, "JPEG")
    fast = RandomSizedCrop(32, (0.2, 1.0), (3 / 4, 4 / 3), 36, reduced_decoding=True)
    slow = RandomSizedCrop(32, (0.2, 1.0), (3 / 4, 4 / 3), 36)
    for seed in range(20):
        one, two = (policy.train_crop(np.random.default_rng(seed), 4) for policy in (fast, slow))
        need = one.least(32, 480, 640)
        assert need == pytest.approx(32 * 480 / min(one.box(480, 640)[2:]))
        pair = [
            cut_clip(lambda _: [file.getvalue()], np.array([0]), crop, 32).float()
            for crop in (one, two)
        ]
        assert (pair[0] - pair[1]).abs().mean() < 8  # boxes are in whole pixels of 1/8 of the frame


def test_a_recipe_with_such_crops_survives_a_file():
    geometry = {
        "size": 64,
        "train_shorter_side": [73, 91],
        "test_shorter_side": 73,
        "flip": 0.5,
        "squeeze": False,
        "reduced_decoding": False,
    }
    sized = geometry | {"random_sized": {"area": [0.2, 1], "aspect": [0.75, 1.333333]}}
    transform = ClipTransform(sampling("single"), crop_policy(sized), None)
    content = transform.to_dict()
    assert content["crop"]["policy"] == "random_sized"
    assert "train_shorter_side" not in content["crop"]
    assert ClipTransform.from_dict(content) == transform
    plain = ClipTransform(sampling("single"), crop_policy(geometry), None).to_dict()["crop"]
    assert plain == {"policy": "random_resized", **geometry}


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        *(("area", bad) for bad in ([0.5], [0, 1], [0.5, 0.2], [0.2, 1.5], "x", [0.2, None])),
        *(("aspect", bad) for bad in ([1], [0, 1], [2, 1], [1, math.inf], 1)),
        ("test_shorter_side", 10),
    ],
)
def test_ranges_of_strangers_are_refused_by_name(key, bad):
    content = ClipTransform(sampling("single"), PAPER, None).to_dict()
    content["crop"][key] = bad
    with pytest.raises(VieError, match=rf"transform\.crop\.{key}"):
        ClipTransform.from_dict(content)
