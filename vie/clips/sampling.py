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

import math
from dataclasses import dataclass

import numpy as np

from vie.runtime.errors import VieError


@dataclass(frozen=True)
class Sampling:
    """How the frames of one clip are spaced.

    Attributes:
        frames: frames in a clip.
        stride: frames from one sample to the next; 25/16 samples a 25 fps video at 16 fps.
        bin: if above 1, each sample is drawn from `bin` consecutive frames (random in training,
            the middle one in testing), and bins follow each other every `stride` frames.
        windows: in place of stride and bin: lengths of windows, over any of which the frames are
            spread evenly. In training one of the lengths, placed where the video moves; in testing
            the longest.
    """

    frames: int
    stride: float = 1.0
    bin: int = 1
    windows: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.windows and ((self.stride, self.bin) != (1, 1) or min(self.windows) < self.frames):
            raise VieError(
                f"clip sampling with frames {self.frames}, stride {self.stride}, bin {self.bin}, "
                f"windows {list(self.windows)}: a window takes the place of stride and bin, and "
                "has room for all frames"
            )
        if self.frames < 1 or self.stride < 1 or not 1 <= self.bin <= max(self.stride, 1):
            raise VieError(
                f"clip sampling with frames {self.frames}, stride {self.stride}, bin {self.bin}: "
                "frames and stride must be at least 1 and a bin must fit into its stride"
            )

    @property
    def span(self) -> int:
        """Frames from the first to the last that a clip may touch, both counted."""
        if self.windows:
            return max(self.windows)
        return math.floor((self.frames - 1) * self.stride) + self.bin

    def starts(self, n_frames: int) -> int:
        """Number of valid start positions in a video of `n_frames` (1 if the clip must loop)."""
        return max(n_frames - self.span, 0) + 1

    def train(
        self, n_frames: int, rng: np.random.Generator, motion: np.ndarray | None = None
    ) -> np.ndarray:
        """One random clip -> (frames,) int64.

        The start is uniform over the valid range; a window's is drawn in proportion to the motion
        inside the window.

        Args:
            n_frames: of the video.
            rng: of the clip.
            motion: (n_frames - 1,) at least: how much moves from each frame to the next. Only
                windows need it; where nothing moves their start is uniform.

        Raises:
            VieError: a window without motion.
        """
        if self.windows:
            return self._window(n_frames, rng, motion)
        start = rng.integers(self.starts(n_frames))
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


SAMPLINGS: dict[str, Sampling] = {
    "single": Sampling(frames=1),
    "trn": Sampling(frames=4, stride=12, bin=12),
    "slow": Sampling(frames=4, stride=16),
    "slowfast": Sampling(frames=16, stride=4),
    "3dresnet": Sampling(frames=16),
    "3dresnet_16fps": Sampling(frames=16, stride=25 / 16),
    "opn": Sampling(frames=4, windows=(10, 16)),
}


def sampling(setting: str | dict) -> Sampling:
    """Sampling of a config value: a name of protocol section 2, or its own numbers.

    Raises:
        VieError: the name is unknown.
    """
    if isinstance(setting, dict):
        return Sampling(**{**setting, "windows": tuple(setting.get("windows", ()))})
    if setting not in SAMPLINGS:
        raise VieError(f"clip sampling {setting!r} is unknown; known: {', '.join(SAMPLINGS)}")
    return SAMPLINGS[setting]
