"""How it moves: four motions in a plane of height and size.

A video is a path in the square of (height, size), both from 0 to 1:

    size 1 |  s  s        rising, sinking    sweep the height at a fixed size
           |  i  i        growing, shrinking sweep the size at a fixed height
           |  n->r
         0 +---------- 1 height

Sinking is rising played backwards, shrinking is growing played backwards, and what stands still
stands anywhere with equal chance. So a single frame of any of the four motions shows a height and
a size that are uniform in the square: it says nothing about the motion. A horizontal flip changes
neither height nor size.
"""

from typing import NamedTuple

import numpy as np

MOTIONS = ("rising", "sinking", "growing", "shrinking")


class Path(NamedTuple):
    """(T,) float64 each: height above the floor and size, both in [0, 1]."""

    height: np.ndarray
    size: np.ndarray


def path(motion: str, n_frames: int, rng: np.random.Generator) -> Path:
    """Path of one instance: its own start, speed profile and resting value."""
    sweep, still = _sweep(n_frames, rng), np.full(n_frames, rng.uniform())
    if motion in ("sinking", "shrinking"):
        sweep = sweep[::-1]
    return Path(sweep, still) if motion in ("rising", "sinking") else Path(still, sweep)


def _sweep(n_frames: int, rng: np.random.Generator) -> np.ndarray:
    """From 0 to 1 within the video, at a speed of the instance's own that changes smoothly.

    The speed stays within 1 +- 0.4 of its mean.
    """
    time = np.linspace(0, 1, n_frames)
    wave = rng.uniform(0, 0.4) / (2 * np.pi)
    phase = rng.uniform(0, 2 * np.pi)
    return time + wave * (np.sin(2 * np.pi * time + phase) - np.sin(phase))
