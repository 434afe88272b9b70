"""Which frames make a clip: pure index arithmetic on 25 fps frames (protocol sections 2 and 9).

    single     f                       1 frame
    trn        f..........|.f.........|....f......|......f....   1 frame of each of 4 bins of 12
    slow       f...............f...............f...............f  4 frames, one of every 16
    slowfast   f...f...f...f...  (16 frames, one of every 4)
    3dresnet   ffffffffffffffff  (16 consecutive)
    opn        f..f..f..f or f....f....f....f  (4 frames of a window of 10 or 16, where it moves)

A clip *spans* the frames from its first to its last possible one; it may start wherever its span
still ends inside the video. Index arrays are int64, sorted within a clip, 0 = first frame.
"""

from typing import Any

import numpy as np

from vie.config.clip_frames import CLIPS, ClipFrames, clip_settings
from vie.runtime.errors import VieError


class Sampling(ClipFrames):
    """Draws the frames of clips that are spaced as `ClipFrames` says."""

    def starts(self, n_frames: int) -> int:
        """Number of valid start positions in a video of `n_frames` (1 if the clip must loop)."""
        return max(n_frames - self.span, 0) + 1

    def train(
        self, n_frames: int, rng: np.random.Generator, motion: np.ndarray | None = None
    ) -> np.ndarray:
        """One random clip of a video of `n_frames` -> (frames,) int64.

        The start is uniform over the valid range; a window's is drawn in proportion to the motion
        inside the window, or uniformly where nothing moves. `motion` (n_frames - 1,) at least, how
        much moves from each frame to the next, is for windows alone.

        Raises:
            VieError: a window without motion.
        """
        if self.windows:
            return self._window(n_frames, rng, motion)
        start = int(rng.integers(self.starts(n_frames)))
        within = rng.integers(self.bin, size=self.frames) if self.bin > 1 else 0
        return self._indices(n_frames, start, within)

    def test(self, n_frames: int, clips: int) -> np.ndarray:
        """`clips` clips whose starts are evenly spaced over the valid range -> (clips, frames).

        With one clip, the middle of the range; with more, the first clip starts at the first
        frame and the last clip ends with the video.
        """
        last = self.starts(n_frames) - 1
        starts = np.linspace(0, last, clips) if clips > 1 else np.array([last / 2])
        starts = np.floor(starts + 0.5).astype(np.int64)  # halves up: 0.5 -> 1 for every parity
        return np.stack([self._indices(n_frames, start, self.bin // 2) for start in starts])

    def _indices(self, n_frames: int, start: int, within: np.ndarray | int) -> np.ndarray:
        if self.windows:
            return wrap(start + self._spread(self.span), n_frames)
        steps = np.floor(np.arange(self.frames) * self.stride).astype(np.int64)
        return wrap(start + steps + within, n_frames)

    def _spread(self, window: int) -> np.ndarray:
        """All frames evenly over a window, its first and its last among them."""
        return np.arange(self.frames) * (window - 1) // max(self.frames - 1, 1)

    def _window(
        self, n_frames: int, rng: np.random.Generator, motion: np.ndarray | None
    ) -> np.ndarray:
        if motion is None:
            raise VieError("clip sampling with windows: the motion of the video is not known")
        window = int(rng.choice(self.windows))
        starts = max(n_frames - window, 0) + 1
        total = np.concatenate([[0.0], np.cumsum(motion[: n_frames - 1], dtype=np.float64)])
        # Motion between the window's frames: (starts,)
        inside = total[window - 1 :][:starts] - total[:starts] if starts > 1 else np.ones(1)
        likely = inside / inside.sum() if inside.sum() > 0 else np.full(starts, 1 / starts)
        start = rng.choice(starts, p=likely)
        return wrap(start + self._spread(window), n_frames)


def wrap(indices: np.ndarray, n_frames: int) -> np.ndarray:
    """A video shorter than the clip starts again from its first frame (protocol section 2)."""
    return indices % n_frames


def sampling(setting: str | dict[str, Any]) -> Sampling:
    """Sampling of a config value: a name of protocol sections 2 and 9, or its own numbers.

    Raises:
        VieError: the name is unknown.
    """
    return Sampling(**clip_settings(setting))


SAMPLINGS: dict[str, Sampling] = {name: sampling(name) for name in CLIPS}
