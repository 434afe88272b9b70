"""The motion of a figure: up or down. All else about its path is random.

Sinking is rising played backwards. Everything else (size, sideways path, camera, background) is as
likely as its own reverse. So the frames of a video, without their order, have the same distribution
for both motions: neither a single frame nor an average over frames tells the motion, only the order
of frames does. A horizontal flip does not change the motion.
"""

import numpy as np

MOTIONS = ("rising", "sinking")
# Cycles per frame of a figure that sways. Those of the second kind are 1/16 higher: seen at every
# sixteenth frame, as by the paper's slow networks, the two are alike. At every fourth they differ.
SWAYS = {"swaying": (0.0234, 0.039), "trembling": (0.0859, 0.1015)}
SWAY_PIXELS = (6.0, 10.0)  # amplitude, another one in each video


def heights(motion: str, n_frames: int, rng: np.random.Generator) -> np.ndarray:
    """(T,) float64: height above the lowest place, from 0 to 1 or back within the video.

    The speed is the instance's own: it changes smoothly within 1 +- 0.5 of its mean.
    """
    time = np.linspace(0, 1, n_frames)
    wave = rng.uniform(0, 0.5) / (2 * np.pi)
    phase = rng.uniform(0, 2 * np.pi)
    height = time + wave * (np.sin(2 * np.pi * time + phase) - np.sin(phase))
    return np.asarray(height if motion == "rising" else height[::-1])


def sway(kind: str, n_frames: int, rng: np.random.Generator) -> np.ndarray:
    """(T,) float64: pixels to the side, a sine of a kind of SWAYS.

    Each instance has its own frequency and amplitude.
    """
    cycles = rng.uniform(*SWAYS[kind]) * np.arange(n_frames) + rng.uniform()
    return np.asarray(rng.uniform(*SWAY_PIXELS) * np.sin(2 * np.pi * cycles))
