"""A stand-in for ImageNet: images of figures that no synthetic video has, in class folders.

    <split>/<class>/<class>_<number>.JPEG

Each image is an instance of its own: proportions, place, size, colours and background vary. As in
copies of ImageNet, a few files are odd, and each split has two that are broken.
"""

import functools
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from vie.datasets.synthetic.appearance import Polyline, arc, sprite
from vie.datasets.synthetic.render import linear, resampling
from vie.datasets.synthetic.write_videos import truncate, write_videos
from vie.runtime.errors import VieError
from vie.runtime.randomness import generator

# As in appearance.py: x to the right, y down, in units of half the figure's height.
FIGURES: dict[str, list[Polyline]] = {
    "bottle": [
        [(-0.15, -0.95), (-0.15, -0.4), (-0.5, -0.05), (-0.5, 0.95), (0.5, 0.95), (0.5, -0.05)],
        [(0.5, -0.05), (0.15, -0.4), (0.15, -0.95), (-0.15, -0.95)],
    ],
    "bridge": [
        [(-0.95, -0.3), (0.95, -0.3)],
        [(-0.95, -0.3), (-0.95, 0.7)],
        [(0.95, -0.3), (0.95, 0.7)],
        arc(0, 0.7, 0.75, 0.5, 1, 10),
    ],
    "candle": [
        [(-0.25, 0.95), (-0.25, -0.3), (0.25, -0.3), (0.25, 0.95), (-0.25, 0.95)],
        [(0, -0.3), (0, -0.5)],
        [(0, -0.95), (0.16, -0.65), (0, -0.5), (-0.16, -0.65), (0, -0.95)],
    ],
    "comb": [
        [(-0.8, -0.6), (0.8, -0.6)],
        *([(x, -0.6), (x, 0.7)] for x in (-0.8, -0.4, 0.0, 0.4, 0.8)),
    ],
    "fish": [
        [(-0.9, 0), (-0.3, -0.5), (0.4, -0.35), (0.95, 0.4), (0.95, -0.4), (0.4, 0.35)],
        [(0.4, 0.35), (-0.3, 0.5), (-0.9, 0)],
    ],
    "glasses": [
        arc(-0.5, 0.2, 0.38, 0, 1, 10),
        arc(0.5, 0.2, 0.38, 0, 1, 10),
        [(-0.12, 0.2), (0.12, 0.2)],
        [(-0.88, 0.2), (-0.95, -0.4)],
        [(0.88, 0.2), (0.95, -0.4)],
    ],
    "hammer": [
        [(0, 0.95), (0, -0.4)],
        [(-0.65, -0.4), (-0.65, -0.9), (0.45, -0.9), (0.75, -0.4), (-0.65, -0.4)],
    ],
    "heart": [
        [(0, 0.9), (-0.8, -0.05), *arc(-0.4, -0.4, 0.42, 0.4, 1, 8)],
        [(0, 0.9), (0.8, -0.05), *arc(0.4, -0.4, 0.42, 1.1, 0.5, 8)],
    ],
    "rocket": [
        [(0, -0.95), (0.35, -0.4), (0.35, 0.5), (-0.35, 0.5), (-0.35, -0.4), (0, -0.95)],
        [(-0.35, 0.1), (-0.75, 0.8), (-0.35, 0.5)],
        [(0.35, 0.1), (0.75, 0.8), (0.35, 0.5)],
    ],
    "scissors": [
        [(-0.45, -0.95), (0.35, 0.4)],
        [(0.45, -0.95), (-0.35, 0.4)],
        arc(-0.45, 0.65, 0.28, 0, 1, 8),
        arc(0.45, 0.65, 0.28, 0, 1, 8),
    ],
    "star": [
        [
            *((0.9 * np.sin(turn), -0.9 * np.cos(turn)) for turn in np.arange(6) * 0.8 * np.pi),
        ],
    ],
    "sword": [
        [(0, -0.95), (0, 0.95)],
        [(-0.45, 0.35), (0.45, 0.35)],
        arc(0, 0.8, 0.15, 0, 1, 6),
    ],
    "tent": [
        [(0, -0.8), (-0.9, 0.8), (0.9, 0.8), (0, -0.8)],
        [(0, -0.1), (-0.35, 0.8)],
        [(0, -0.1), (0.35, 0.8)],
    ],
    "windmill": [
        [(-0.15, -0.2), (-0.4, 0.95), (0.4, 0.95), (0.15, -0.2)],
        [(-0.7, -0.9), (0.7, 0.5)],
        [(0.7, -0.9), (-0.7, 0.5)],
    ],
}
CLASSES = tuple(FIGURES)
SIDES = (80, 128)  # pixels of an image, both ends included
RADIUS = (0.2, 0.34)  # half the height of a figure, in shorter sides
ODD = ("CMYK", "PNG", "rotated", "grey")  # one image of each in each split
BAD = ("truncated", "empty")  # and one of each of these, besides the others
ROTATED = 6  # EXIF's orientation of an image that is to be turned by a quarter


class EmbeddedImage(NamedTuple):
    """A file of the stand-in."""

    path: str  # relative to the folder of images
    label: str  # of CLASSES
    number: int  # in the dataset: it decides, with the dataset's seed, what is shown
    kind: str = ""  # of ODD or BAD, or "" for an ordinary image


def write_images(settings: dict[str, Any], images: Path, annotations: Path, processes: int) -> None:
    """Write all images; the folder is replaced, and appears when it is complete.

    Args:
        settings: dataset_seed (of everything in the dataset), train_images_per_class and
            val_images_per_class (of images that can be read; broken ones are added).
        images: folder.
        annotations: none are written: folders say the classes.
        processes: that draw images at once.
    """
    write = functools.partial(_write, dataset_seed=settings["dataset_seed"])
    write_videos(write, plan(settings), images, processes, unit="images")


def plan(settings: dict[str, Any]) -> list[EmbeddedImage]:
    """Every image of the dataset, good and bad.

    Raises:
        VieError: a number of images is below 1.
    """
    planned: list[EmbeddedImage] = []
    for split in ("train", "val"):
        per_class = settings[f"{split}_images_per_class"]
        if per_class < 1:
            raise VieError(f"{split}_images_per_class is {per_class}; it must be at least 1")
        labels = [label for _ in range(per_class) for label in CLASSES]
        kinds = [*ODD, *[""] * (len(labels) - len(ODD)), *BAD]
        for label, kind in zip([*labels, *CLASSES[: len(BAD)]], kinds, strict=True):
            number = len(planned)
            path = f"{split}/{label}/{label}_{number}.JPEG"
            planned.append(EmbeddedImage(path, label, number, kind))
    return planned


def render_image(label: str, dataset_seed: int, number: int) -> np.ndarray:
    """Image `number` of the dataset, with the figure of its label.

    Returns:
        (H, W, 3) uint8, H and W in SIDES.
    """
    rng = generator(dataset_seed, "embedded image", instance=number)
    height, width = (int(side) for side in rng.integers(SIDES[0], SIDES[1] + 1, 2))
    shorter = min(height, width)
    radius = np.array([shorter * rng.uniform(*RADIUS)])
    y, x = (
        np.array([side / 2 + rng.uniform(-1, 1) * (side - shorter * 0.76) / 2])
        for side in (height, width)
    )
    figure = sprite(FIGURES[label], rng)
    rows, columns = resampling(y, radius, height)[0], resampling(x, radius, width)[0]
    # Not `@`: BLAS would start threads, which cost several times what they save.
    opacity = np.einsum("hs,st->ht", rows, figure)
    opacity = np.einsum("ht,wt->hw", opacity, columns)[:, :, None]  # -> (H, W, 1)
    scene, level = _background(height, width, rng)
    # Lighter or darker than what is behind it, whichever has more room.
    contrast = rng.uniform(0.3, 0.5) * (1 if level < 0.5 else -1)
    colour = level + contrast + rng.uniform(-0.1, 0.1, 3)
    pixels = scene + opacity * (colour - scene)
    return np.asarray((pixels * 255 + 0.5).clip(0, 255).astype(np.uint8))


def _background(height: int, width: int, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Clouds on a slope of colour, on some with stripes -> ((H, W, 3), their mean level)."""
    level = rng.uniform(0.2, 0.8)
    tint = rng.uniform(-0.1, 0.1, 3)
    knots = rng.normal(0, 0.06, (7, 8, 1)) + rng.normal(0, 0.03, (7, 8, 3))
    clouds = np.einsum("hj,jkc->hkc", linear(height, 7), knots)  # (H, 8, 3)
    clouds = np.einsum("hkc,wk->hwc", clouds, linear(width, 8))
    y, x = np.linspace(-1, 1, height)[:, None, None], np.linspace(-1, 1, width)[None, :, None]
    slope = y * rng.normal(0, 0.06, 3) + x * rng.normal(0, 0.06, 3)
    turn, waves, shift = rng.uniform(0, np.pi), rng.uniform(6, 14), rng.uniform(0, 2 * np.pi)
    stripes = np.sin(waves * (np.cos(turn) * x + np.sin(turn) * y) + shift)
    strength = rng.choice((0.0, 0.06))
    return level + tint + clouds + slope + strength * stripes, level


def _write(image: EmbeddedImage, *, dataset_seed: int, root: Path) -> None:
    path = root / image.path
    if image.kind == "empty":
        path.touch()
        return
    shown = Image.fromarray(render_image(image.label, dataset_seed, image.number))
    path.write_bytes(_encoded(shown, image.kind))
    if image.kind == "truncated":
        truncate(path)


def _encoded(shown: Image.Image, kind: str) -> bytes:
    """The content of a file."""
    file, options = io.BytesIO(), dict[str, Any]()
    if kind == "PNG":
        shown.save(file, "PNG")
        return file.getvalue()
    if kind == "CMYK":
        shown = shown.convert("CMYK")
    elif kind == "grey":
        shown = shown.convert("L")
    elif kind == "rotated":
        # Stored lying on its side; the tag says how to turn it.
        shown, exif = shown.transpose(Image.Transpose.ROTATE_90), Image.Exif()
        exif[0x0112] = ROTATED
        options["exif"] = exif
    shown.save(file, "JPEG", quality=90, **options)
    return file.getvalue()
