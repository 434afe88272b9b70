"""Crops and flips of uint8 frames, on the CPU (protocol section 3).

The protocol resizes the shorter side to s (both sides, where frames are squeezed), then crops
size x size at random. Here a piece of size / s of the side is cut out first, and then resized to
size x size: this touches only the pixels that are used.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F

PIXELS_TOGETHER = 65_536  # of a crop, resized in one call
# Top and left of the four corners and of the centre, as shares of the room beside the square.
POSITIONS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5))
Frame = TypeVar("Frame")
TRIES = 10  # rectangles that are drawn for a random-sized crop, as torchvision's


@dataclass(frozen=True)
class Crop:
    """A crop as shares of the frame. It fits frames that are decoded at any size."""

    scale: float  # side of the crop as a share of the frame's shorter side, in (0, 1]
    top: float  # position as a share of the room beside the crop, in [0, 1]
    left: float
    flip: bool  # whether the crop is mirrored
    # How far single frames may be shifted, as a share of the crop's side. The crop keeps this
    # distance from the borders of the frame, if there is room.
    frame_shift: float = 0.0
    # Whether the crop has the form of the frame, and not that of a square: resized to a square, it
    # is squeezed. `scale` is a share of both sides then.
    squeeze: bool = False
    reduced_decoding: bool = False  # whether a JPEG may be decoded at a fraction of its size
    # Rectangles in place of the square: areas as shares of the frame's, and aspects (width over
    # height). The first that fits into the frame is the crop, resized to a square. If none fits, it
    # is the largest in the frame's middle with an aspect between the two of `aspects`.
    tries: tuple[tuple[float, float], ...] = ()
    aspects: tuple[float, float] = (1.0, 1.0)

    def least(self, size: int, height: int, width: int) -> float:
        """Pixels of a height x width frame's shorter side that size x size pixels of it need."""
        if not self.tries:
            return size / self.scale
        return size * min(height, width) / min(self.box(height, width)[2:])

    def box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """(top, left, height, width) in whole pixels of a height x width frame."""
        if self.tries:
            return self._rectangle(height, width)
        of = (height, width) if self.squeeze else (min(height, width),) * 2
        tall, wide = (
            max(1, min(round(self.scale * one), most))
            for one, most in zip(of, (height, width), strict=True)
        )
        return self._placed(height, width, tall, wide)

    def _placed(self, height: int, width: int, tall: int, wide: int) -> tuple[int, int, int, int]:
        top = _within(self.top, height, tall, round(self.frame_shift * tall))
        left = _within(self.left, width, wide, round(self.frame_shift * wide))
        return top, left, tall, wide

    def _rectangle(self, height: int, width: int) -> tuple[int, int, int, int]:
        for area, aspect in self.tries:
            # As shares of the frame's sides, so that the same one fits at any size of the frame.
            tall = math.sqrt(area / aspect * width / height)
            wide = math.sqrt(area * aspect * height / width)
            if tall <= 1 and wide <= 1:
                sides = max(1, round(tall * height)), max(1, round(wide * width))
                return self._placed(height, width, *sides)
        low, high = self.aspects
        tall = max(1, min(height, round(width / low)))
        wide = max(1, min(width, round(height * high)))
        return (height - tall) // 2, (width - wide) // 2, tall, wide


def _within(place: float, length: int, side: int, margin: int) -> int:
    """Start of a side on a length: at `place` in [0, 1] of the room that the margins leave."""
    margin = min(margin, (length - side) // 2)
    room = length - side - 2 * margin
    return margin + min(int(place * (room + 1)), room)


@dataclass(frozen=True)
class RandomResizedCrop:
    """A square at random, after resizing the shorter side to a random length."""

    size: int  # pixels of the network's square input
    train_shorter_side: tuple[int, int]  # range in training, in pixels, both ends included
    test_shorter_side: int  # in testing, in pixels
    flip: float = 0.5  # probability of a horizontal flip in training
    squeeze: bool = False  # whether frames are resized to squares, not by their shorter sides
    reduced_decoding: bool = False  # whether JPEGs are decoded at no more than the needed fraction

    def train_crop(self, rng: np.random.Generator, frame_shift: int = 0) -> Crop:
        """Random crop of a clip: shorter side uniform in its range, position uniform, flip.

        Single frames may be shifted by `frame_shift` pixels of the network's input.
        """
        low, high = self.train_shorter_side
        shorter_side = rng.integers(low, high + 1)
        top, left, flip = rng.random(3)
        place = self.size / shorter_side, top, left, flip < self.flip, frame_shift / self.size
        return Crop(*place, self.squeeze, self.reduced_decoding)

    def centre_crop(self) -> Crop:
        """Centre crop, no flip."""
        scale = self.size / self.test_shorter_side
        return Crop(scale, 0.5, 0.5, False, 0.0, self.squeeze, self.reduced_decoding)


@dataclass(frozen=True)
class ScaleCrop:
    """The scale-crop pipeline of finetuning (protocol section 8)."""

    size: int  # pixels of the network's square input
    scales: tuple[float, ...]  # sides of the square in training, as shares of the shorter side
    flip: float = 0.5  # probability of a horizontal flip in training
    reduced_decoding: bool = False  # as of `RandomResizedCrop`

    def train_crop(self, rng: np.random.Generator, frame_shift: int = 0) -> Crop:
        """One of the scales, at one of the four corners or in the centre, perhaps mirrored."""
        scale = self.scales[rng.integers(len(self.scales))]
        top, left = POSITIONS[rng.integers(len(POSITIONS))]
        place = scale, top, left, rng.random() < self.flip, frame_shift / self.size
        return Crop(*place, reduced_decoding=self.reduced_decoding)

    def centre_crop(self) -> Crop:
        """The full shorter side in the centre, no flip."""
        return Crop(1.0, 0.5, 0.5, False, reduced_decoding=self.reduced_decoding)


@dataclass(frozen=True)
class RandomSizedCrop:
    """A rectangle of random area and aspect, resized to a square (protocol section 10)."""

    size: int  # pixels of the network's square input
    area: tuple[float, float]  # range in training, as shares of the frame's
    aspect: tuple[float, float]  # range of width over height in training
    test_shorter_side: int  # in testing, in pixels
    flip: float = 0.5  # probability of a horizontal flip in training
    squeeze: bool = False  # in testing, as of `RandomResizedCrop`
    reduced_decoding: bool = False  # as of `RandomResizedCrop`

    def train_crop(self, rng: np.random.Generator, frame_shift: int = 0) -> Crop:
        """Area uniform in its range, logarithm of the aspect too, position uniform, flip.

        As torchvision's. All tries are drawn, as the size of the frame is not known yet.
        """
        areas = rng.uniform(*self.area, TRIES)
        low, high = np.log(self.aspect)
        aspects = np.exp(rng.uniform(low, high, TRIES))
        top, left, flip = rng.random(3)
        place = 1.0, top, left, flip < self.flip, frame_shift / self.size
        tries = tuple(zip(areas.tolist(), aspects.tolist(), strict=True))
        return Crop(*place, False, self.reduced_decoding, tries, self.aspect)

    def centre_crop(self) -> Crop:
        """Centre crop, no flip."""
        scale = self.size / self.test_shorter_side
        return Crop(scale, 0.5, 0.5, False, 0.0, self.squeeze, self.reduced_decoding)


CropPolicy = RandomResizedCrop | RandomSizedCrop | ScaleCrop


def crop_frames(
    frames: Sequence[Frame],
    crop: Crop,
    size: int,
    shifts: np.ndarray | None = None,
    decode: Callable[[Frame], np.ndarray] = np.asarray,
) -> torch.Tensor:
    """Cut the T frames (H, W, 3) uint8 of one clip and resize them -> (3, T, size, size) uint8.

    Resized bilinearly with antialiasing. `shifts` (T, 2), down and right in pixels of the result,
    say by how much each frame's crop is moved (at most `crop.frame_shift`). `decode` makes pixels
    of what `frames` holds: one frame after the other, so that it is cut while it is in the cache.
    """
    opened = map(decode, frames)
    first = next(opened)
    height, width = first.shape[:2]
    top, left, tall, wide = crop.box(height, width)
    corners = [(top, left)] * len(frames)
    if shifts is not None:
        moved = np.rint(shifts * [tall / size, wide / size]) + np.array([top, left])
        corners = np.clip(moved, 0, [height - tall, width - wide]).astype(int).tolist()
    out = torch.empty((3, len(frames), size, size), dtype=torch.uint8)
    # Several small frames in one call, but a large frame alone, so that it stays in the cache.
    together = min(len(frames), max(1, PIXELS_TOGETHER // (tall * wide)))
    pieces = np.empty((together, tall, wide, 3), np.uint8)
    every = zip(itertools.chain([first], opened), corners, strict=True)
    for t in range(0, len(frames), together):
        n = min(together, len(frames) - t)
        for piece, (frame, (y, x)) in zip(pieces[:n], every, strict=False):
            piece[:] = frame[y : y + tall, x : x + wide]
        cut = torch.from_numpy(pieces[:n]).permute(0, 3, 1, 2)  # (n, tall, wide, 3) -> (n, 3, ...)
        if (tall, wide) != (size, size):
            cut = F.interpolate(cut, size=(size, size), mode="bilinear", antialias=True)
        pixels = cut.numpy()[..., ::-1] if crop.flip else cut.numpy()
        # (n, 3, size, size) -> (3, n, size, size). NumPy: torch takes twice as long for this copy.
        out.numpy()[:, t : t + n] = pixels.swapaxes(0, 1)
    return out
