"""Crops and flips on uint8 frames, on the CPU (protocol section 3).

"Resize the shorter side to s, then crop size x size at random" cuts a square of size / s of the
shorter side out of the frame and resizes it to size x size. Doing it in that order touches only
the pixels that are used.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

PIXELS_TOGETHER = 65_536  # of a crop, resized in one call


@dataclass(frozen=True)
class Geometry:
    """Where a clip is cut.

    Attributes:
        size: pixels of the network's square input.
        train_shorter_side: range of the shorter side in training, in pixels, both ends included.
        test_shorter_side: shorter side in testing, in pixels.
        flip: probability of a horizontal flip in training.
    """

    size: int
    train_shorter_side: tuple[int, int]
    test_shorter_side: int
    flip: float = 0.5


@dataclass(frozen=True)
class Crop:
    """A square crop as shares of the frame: resolution-free, so one crop serves any decoding.

    Attributes:
        scale: side of the square as a share of the frame's shorter side, in (0, 1].
        top, left: position as a share of what is left over, in [0, 1].
        flip: whether the crop is mirrored.
    """

    scale: float
    top: float
    left: float
    flip: bool

    def box(self, height: int, width: int) -> tuple[int, int, int]:
        """(top, left, side) in whole pixels of a height x width frame."""
        side = max(1, min(round(self.scale * min(height, width)), height, width))
        return (
            min(int(self.top * (height - side + 1)), height - side),
            min(int(self.left * (width - side + 1)), width - side),
            side,
        )


def train_crop(geometry: Geometry, rng: np.random.Generator) -> Crop:
    """Random crop of a clip: shorter side uniform in its range, position uniform, flip."""
    low, high = geometry.train_shorter_side
    shorter_side = rng.integers(low, high + 1)
    top, left, flip = rng.random(3)
    return Crop(geometry.size / shorter_side, top, left, flip < geometry.flip)


def centre_crop(geometry: Geometry) -> Crop:
    """Centre crop, no flip."""
    return Crop(geometry.size / geometry.test_shorter_side, 0.5, 0.5, False)


def crop_frames(frames: list[np.ndarray], crop: Crop, size: int) -> "torch.Tensor":
    """Cut and resize the frames of one clip.

    Args:
        frames: T arrays (H, W, 3) uint8, all of one size.
        crop: what to cut, the same for every frame.
        size: side of the result, in pixels.

    Returns:
        (3, T, size, size) uint8, resized bilinearly with antialiasing.
    """
    import torch

    height, width = frames[0].shape[:2]
    top, left, side = crop.box(height, width)
    out = torch.empty((3, len(frames), size, size), dtype=torch.uint8)
    # Several small frames in one call; a large frame alone, for it then stays in the cache.
    together = max(1, PIXELS_TOGETHER // side**2)
    for t in range(0, len(frames), together):
        cut = np.stack([f[top : top + side, left : left + side] for f in frames[t : t + together]])
        cut = torch.from_numpy(cut).permute(0, 3, 1, 2)  # (n, side, side, 3) -> (n, 3, side, side)
        if side != size:
            cut = torch.nn.functional.interpolate(
                cut, size=(size, size), mode="bilinear", antialias=True
            )
        cut = cut.flip(-1) if crop.flip else cut
        out[:, t : t + together] = cut.transpose(0, 1)  # (n, 3, size, size) -> (3, n, size, size)
    return out
