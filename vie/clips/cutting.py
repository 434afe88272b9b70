"""From JPEGs to the pixels of one clip."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import simplejpeg
import torch
from torch import Tensor

from vie.clips.crops import Crop, crop_frames
from vie.frames.jpeg import fraction_of


def decode(jpeg: bytes, least: float | Callable[[int, int], float] | None = None) -> np.ndarray:
    """(H, W, 3) uint8 of a JPEG; with `least` pixels of its shorter side that are needed, at the
    fraction of its size that `fraction_of` allows."""
    fraction = fraction_of(jpeg, least) if least else {}
    image: np.ndarray = simplejpeg.decode_jpeg(jpeg, **fraction)
    return image


class UndecodableError(ValueError):
    """A JPEG cannot be decoded."""

    def __init__(self, frame: int, error: ValueError) -> None:
        super().__init__(str(error))
        self.frame = frame


def cut_clip(
    read: Callable[[np.ndarray], Sequence[bytes]],
    frames: np.ndarray,
    crop: Crop,
    size: int,
    shifts: np.ndarray | None = None,
) -> Tensor:
    """`load_clip` of a video whose JPEGs `read` gives for numbers of frames, each asked for once.

    A frame that occurs twice is also cut once, if frames are not shifted.

    Raises:
        UndecodableError: says which frame.
    """
    wanted = frames.tolist()
    unique = sorted(set(wanted))
    least = partial(crop.least, size) if crop.reduced_decoding else None

    def decoded(one: tuple[int, bytes]) -> np.ndarray:
        try:
            return decode(one[1], least)
        except ValueError as error:
            raise UndecodableError(one[0], error) from error

    jpegs = list(zip(unique, read(np.array(unique)), strict=True))
    if unique == wanted:
        return crop_frames(jpegs, crop, size, shifts, decoded)
    back = np.searchsorted(unique, frames)
    if shifts is None:
        return crop_frames(jpegs, crop, size, None, decoded)[:, torch.from_numpy(back)]
    pixels = [decoded(one) for one in jpegs]  # each is cut wherever its shifts say
    return crop_frames([pixels[i] for i in back], crop, size, shifts)
