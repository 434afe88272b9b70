"""The stand-in for ImageNet: what it shows, and that the real reader reads it."""

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from vie.config.load import load_config
from vie.datasets.facts import expected
from vie.datasets.layouts import LAYOUTS
from vie.datasets.synthetic import actions, appearance, images
from vie.datasets.synthetic.images import BAD, CLASSES, ODD, SIDES, plan, render_image, write_images
from vie.frames.images import ImageSettings, image_frames, quiet
from vie.frames.unusable import UnusableVideoError
from vie.runtime.errors import VieError

SETTINGS = {"dataset_seed": 3, "train_images_per_class": 2, "val_images_per_class": 1}


def test_classes_are_not_those_of_any_video():
    assert not set(images.FIGURES) & (set(appearance.FIGURES) | set(actions.FIGURES))


def test_images_are_of_their_number_and_seed():
    one = render_image("fish", 1, 7)
    assert one.dtype == np.uint8
    assert all(SIDES[0] <= side <= SIDES[1] for side in one.shape[:2])
    assert np.array_equal(one, render_image("fish", 1, 7))
    for other in (render_image("fish", 1, 8), render_image("fish", 2, 7)):
        assert one.shape != other.shape or not np.array_equal(one, other)


@pytest.mark.parametrize("label", CLASSES)
def test_figures_stand_out_and_are_whole(label):
    """A figure is drawn inside of its image: its edges change little from one to the other side."""
    for number in range(4):
        pixels = render_image(label, 9, number).astype(float).mean(2)  # (H, W)
        border = np.concatenate([pixels[[0, -1]].ravel(), pixels[:, [0, -1]].ravel()])
        share = (np.abs(pixels - np.median(pixels)) > 3 * border.std()).mean()
        assert 0.005 < share < 0.5


def test_the_layout_reads_it(tmp_path):
    write_images(SETTINGS, tmp_path / "images", tmp_path / "annotations", 1)
    planned = plan(SETTINGS)
    assert len({image.path for image in planned}) == len(planned)
    layout = LAYOUTS["imagefolder"]
    for split in ("train", "val"):
        folder = layout.annotations(tmp_path / "images", tmp_path / "annotations", split)
        found = {one.path: one.label for one in layout.read(tmp_path / "images", folder, split)}
        here = [image for image in planned if image.path.startswith(split)]
        assert found == {image.path: image.label for image in here}
        assert {image.kind for image in here} == {"", *ODD, *BAD}
        good = [image for image in here if image.kind not in BAD]
        assert len(good) == SETTINGS[f"{split}_images_per_class"] * len(CLASSES)
        for image in here:
            path = tmp_path / "images" / image.path
            if image.kind in BAD:
                with pytest.raises(UnusableVideoError), quiet():
                    image_frames(path, ImageSettings(80))
                continue
            with quiet():
                (jpeg,) = image_frames(path, ImageSettings(80)).jpegs
            shown = Image.fromarray(render_image(image.label, 3, image.number))
            size = [max(1, round(side * 80 / min(shown.size))) for side in shown.size]
            wanted = np.asarray(shown.resize(size, Image.Resampling.BICUBIC), float)
            if image.kind == "grey":
                wanted = np.asarray(shown.convert("L").convert("RGB").resize(size), float)
            assert np.abs(simplejpeg.decode_jpeg(jpeg) - wanted).mean() < 8, image


def test_its_settings_say_how_many_images_there_are(tmp_path):
    dataset = load_config("config.yaml")["datasets"]["stand_in_imagenet"]
    for split in ("train", "val"):
        here = [image for image in plan(dataset["generator"]) if image.path.startswith(split)]
        size = expected(dataset, split)
        assert size.videos == len(here) - len(BAD)
        assert (size.classes, size.seconds) == (len({image.label for image in here}), 1)
    with pytest.raises(VieError, match="val_images_per_class is 0"):
        plan(SETTINGS | {"val_images_per_class": 0})
