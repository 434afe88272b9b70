"""How it moves: up or down, and otherwise as it likes.

Sinking is rising played backwards, and everything else (size, sideways path, camera, background) is
as likely as its own reverse. So the frames of a video, without their order, have the same
distribution for both motions: neither a single frame nor an average over frames says anything about
the motion, and a network that reads the motion has read the order. A horizontal flip changes
neither.
"""

import numpy as np

MOTIONS = ("rising", "sinking")


def heights(motion: str, n_frames: int, rng: np.random.Generator) -> np.ndarray:
    """(T,) float64: height above the lowest place, from 0 to 1 or back within the video.

    The speed is the instance's own: it changes smoothly within 1 +- 0.5 of its mean.
    """
    time = np.linspace(0, 1, n_frames)
    wave = rng.uniform(0, 0.5) / (2 * np.pi)
    phase = rng.uniform(0, 2 * np.pi)
    height = time + wave * (np.sin(2 * np.pi * time + phase) - np.sin(phase))
    return height if motion == "rising" else height[::-1]
