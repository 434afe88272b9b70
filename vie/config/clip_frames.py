"""How the frames of a clip are spaced: the named clips of the paper, and what any clip must fulfil,
in the config as in files of strangers.

`vie.clips.sampling` draws the clips.
"""

import math
from dataclasses import dataclass
from typing import Any

from vie.runtime.errors import VieError

# Where the clips of a test lie, as in the release (protocol section 2): evenly spaced without the
# first and the last possible start, with these two, or in the middle of equal parts of the video.
TEST_STARTS = ("inside", "ends", "parts")
MOST = 10**5  # frames or pixels of a length
LARGEST = 4096  # frames of a clip, pixels of the input
FPS = 0.01, 1000  # frames per second
SIDES = 16, 8192  # pixels of a frame's shorter side
QUALITIES = 2, 31  # of ffmpeg's JPEGs, best first
COLOR_JITTER = {"strength": 1, "hue": 0.5, "grey": 1}  # at most; at least 0
MOST_PIXELS = 2**28  # of a clip: 3 GB as float32 in three channels


@dataclass(frozen=True)
class ClipFrames:
    """How the frames of one clip are spaced.

    Attributes:
        frames: frames in a clip.
        stride: frames from one sample to the next; 25/16 samples a 25 fps video at 16 fps.
        bin: if above 1, each sample is drawn from `bin` consecutive frames (random in training,
            the middle one in testing), and bins follow each other every `stride` frames.
        windows: in place of stride and bin: lengths of windows, over any of which the frames are
            spread evenly. In training one of the lengths, placed where the video moves; in testing
            the longest.
        test_starts: where the clips of a test lie (`TEST_STARTS`). With "ends" a clip takes
            frames * stride frames of its video, in training too.

    Raises:
        VieError: the numbers do not fit each other.
    """

    frames: int
    stride: float = 1.0
    bin: int = 1
    windows: tuple[int, ...] = ()
    test_starts: str = "inside"

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
        if self.test_starts not in TEST_STARTS:
            raise VieError(
                f"clip sampling with test_starts {self.test_starts!r}: use one of: "
                f"{', '.join(TEST_STARTS)}"
            )

    @property
    def span(self) -> int:
        """Frames from the first to the last that a clip may touch, both counted."""
        if self.windows:
            return max(self.windows)
        return math.floor((self.frames - 1) * self.stride) + self.bin


# Name -> clip, of protocol sections 2 and 9.
CLIPS: dict[str, dict[str, Any]] = {
    "single": {"frames": 1, "test_starts": "parts"},
    "trn": {"frames": 4, "stride": 12, "bin": 12},
    "slow": {"frames": 4, "stride": 16},
    "slowfast": {"frames": 16, "stride": 4, "test_starts": "ends"},
    "3dresnet": {"frames": 16, "test_starts": "ends"},
    "3dresnet_16fps": {"frames": 16, "stride": 25 / 16},
    "opn": {"frames": 4, "windows": [10, 16]},
}


def clip_settings(setting: str | dict[str, Any]) -> dict[str, Any]:
    """Arguments of `ClipFrames` from a config value: a name in `CLIPS`, or its own numbers.

    Raises:
        VieError: the name is unknown.
    """
    if isinstance(setting, str):
        if setting not in CLIPS:
            raise VieError(f"clip sampling {setting!r} is unknown; known: {', '.join(CLIPS)}")
        setting = CLIPS[setting]
    return {**setting, "windows": tuple(setting.get("windows", ()))}


def trained_clip(setting: str | dict[str, Any]) -> dict[str, Any]:
    """Numbers of a clip that training depends on: where test clips lie is none of them, unless the
    clips of training, too, take a stride after their last frame."""
    settings = clip_settings(setting)
    if settings.get("test_starts") != "ends":
        settings.pop("test_starts", None)
    return settings


def clip_frames(setting: str | dict[str, Any]) -> ClipFrames:
    """Spacing of a config value.

    Raises:
        VieError: the name is unknown, or the numbers do not fit each other.
    """
    return ClipFrames(**clip_settings(setting))
