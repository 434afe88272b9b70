"""Which frames make a clip: pure index arithmetic on 25 fps frames (protocol sections 2 and 9).

    single     f                       1 frame
    trn        f..........|.f.........|....f......|......f....   1 frame of each of 4 bins of 12,
                                                                 which start at frames 0, 12, 24 ...
    slow       f...............f...............f...............f  4 frames, one of every 16
    slowfast   f...f...f...f...  (16 frames, one of every 4)
    3dresnet   ffffffffffffffff  (16 consecutive)
    opn        f..f..f..f or f....f....f....f  (4 frames of a window of 10 or 16, where it moves)

A clip *spans* the frames from its first to its last possible one. Index arrays are int64; frame 0
is the first one.
"""

import math
from typing import Any

import numpy as np

from vie.config.clip_frames import CLIPS, ClipFrames, clip_settings
from vie.runtime.errors import VieError


class Sampling(ClipFrames):
    """Draws the frames of clips that are spaced as `ClipFrames` says."""

    @property
    def offsets(self) -> np.ndarray:
        """(frames,): how far each frame of a clip without noise is from the first; the frame itself
        is the sum with the first one's place, rounded down."""
        return self._spread(self.span) if self.windows else np.arange(self.frames) * self.stride

    def starts(self, n_frames: int) -> int:
        """Number of first frames (of first bins, where there are bins) that a clip can have."""
        if self.bin > 1:
            step, total = self._bins(n_frames)
            return -(-total // step) - self.frames + 1
        return max(1, int(self._room(n_frames)))

    def _room(self, n_frames: int) -> float:
        """Frames by which a clip can be moved.

        As the release counts: with `test_starts` "ends" a clip takes frames * stride frames. A
        video that is too short is repeated until there is room.
        """
        taken = self.frames if self.test_starts == "ends" else self.frames - 1
        needed = float(self.span - 1) if self.windows else taken * self.stride
        if n_frames <= needed:
            n_frames *= int(needed // n_frames) + 1
        return n_frames - needed

    def train(
        self, n_frames: int, rng: np.random.Generator, motion: np.ndarray | None = None
    ) -> np.ndarray:
        """One random clip of a video of `n_frames` -> (frames,) int64.

        The start is uniform over `starts`; a window's is drawn in proportion to how much more moves
        in it than in the window where least moves, or uniformly where that is 0 everywhere.
        `motion` (n_frames - 1,) at least, how much moves from each frame to the next, is for
        windows alone.

        Raises:
            VieError: a window without motion.
        """
        if self.windows:
            return self._window(n_frames, rng, motion)
        start = int(rng.integers(self.starts(n_frames)))
        if self.bin > 1:
            clips = self._of_bins(n_frames, np.array([start]), rng)
        else:
            clips = self._indices(n_frames, np.array([start]))
        return clips.ravel()  # (1, frames) -> (frames,)

    def test(self, n_frames: int, clips: int) -> np.ndarray:
        """`clips` clips whose starts are spread as `test_starts` says -> (clips, frames) int64.

        The arithmetic, in floating point, is the release's. A single clip lies in the middle.
        """
        number = np.arange(clips)
        if self.bin > 1:
            return self._of_bins(n_frames, (number + 1) * (self.starts(n_frames) // (clips + 1)))
        room, length = self._room(n_frames), self.frames * self.stride
        if self.test_starts == "ends" and clips == 1:
            return self.middle(n_frames)[None]
        if self.test_starts == "ends":
            first = (max(n_frames, clips * length) - length) / (clips - 1) * number
        elif self.test_starts == "inside":
            first = room / (clips + 1) * (number + 1)
        else:
            first = (room - (clips - 1) * (room / clips)) / 2 + room / clips * number
        return self._indices(n_frames, first)

    def middle(self, n_frames: int) -> np.ndarray:
        """The clip in the middle of a video or of some frames of it -> (frames,) int64."""
        start = np.array([max(0, n_frames - self.span + 1) / 2])
        if self.bin > 1:
            start = np.floor(start) + self.bin // 2
        return self._indices(n_frames, start).ravel()  # (1, frames) -> (frames,)

    def _indices(self, n_frames: int, starts: np.ndarray) -> np.ndarray:
        """(clips, frames) of clips that start at these places (clips,), which may be fractions."""
        # (clips, 1) + (frames,)
        return wrap(np.floor(starts[:, None] + self.offsets).astype(np.int64), n_frames)

    def _bins(self, n_frames: int) -> tuple[int, int]:
        """Frames from one bin to the next, and frames in all.

        Bins lie on a grid from the first frame on; the last one may be cut short. A short video has
        smaller bins, and one with no more frames than a clip is repeated.
        """
        if n_frames <= self.frames:
            n_frames *= self.frames // n_frames + 1
        return min(math.floor(self.stride), n_frames // self.frames), n_frames

    def _of_bins(
        self, n_frames: int, first: np.ndarray, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        """(clips, frames) from the bins that follow each of `first` (clips,): the middle of every
        bin, or a random frame of it."""
        step, total = self._bins(n_frames)
        low = (first[:, None] + np.arange(self.frames)) * step  # (clips, frames)
        end = np.minimum(low + min(self.bin, step), total)
        return wrap((low + end) // 2 if rng is None else rng.integers(low, end), n_frames)

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
        # Motion between the window's frames, above that of the least one: (starts,)
        inside = total[window - 1 :][:starts] - total[:starts] if starts > 1 else np.ones(1)
        inside = inside - inside.min()
        likely = inside / inside.sum() if inside.sum() > 0 else np.full(starts, 1 / starts)
        start = rng.choice(starts, p=likely)
        return wrap(start + self._spread(window), n_frames)


def wrap(indices: np.ndarray, n_frames: int) -> np.ndarray:
    """Numbers of frames, of any shape, within the video: one that is shorter than the clip starts
    again from its first frame (protocol section 2)."""
    return indices % n_frames


def sampling(setting: str | dict[str, Any]) -> Sampling:
    """Sampling of a config value: a name of protocol sections 2 and 9, or its own numbers.

    Raises:
        VieError: the name is unknown.
    """
    return Sampling(**clip_settings(setting))


SAMPLINGS: dict[str, Sampling] = {name: sampling(name) for name in CLIPS}
