"""One track of a video file: its pictures' form, and the times of its packets."""

from array import array
from dataclasses import dataclass, field
from fractions import Fraction
from statistics import median_low

SHORT_SHARE = 0.02  # of a length that may be missing
LATE_KEY = 0.5  # seconds without a key frame at the start of a file


@dataclass
class Track:
    """A track of a file; times are in seconds from the start of the file."""

    number: int  # in the file
    kind: str = ""  # "Video", "Audio", ...
    codec: str = ""
    size: tuple[int, int] = 0, 0  # width and height of a frame
    default: bool = False  # the file says that it is the one to show
    still: bool = False  # a cover picture, or thumbnails
    words: str = ""  # ffmpeg's on its pictures: codec, format, colours, size
    base: Fraction = Fraction(0)  # seconds of a tick
    times: "array[int]" = field(default_factory=lambda: array("q"))  # ticks, in decoding order
    durations: "array[int]" = field(default_factory=lambda: array("q"))
    keys: "array[int]" = field(default_factory=lambda: array("q"))  # ticks of key frames
    begun: bool = False  # there was a key frame
    early: int | None = None  # tick of the first frame, if it came before that
    end: int = 0  # ticks, of any packet

    @property
    def pixels(self) -> int:
        """Of a frame."""
        return self.size[0] * self.size[1]

    def ticks(self, fps: float) -> int:
        """How many frames there are from the first to the last one, at a constant rate."""
        return round(float((max(self.times) - min(self.times)) * self.base) * fps) + 1

    def headless(self) -> str | None:
        """What cannot be decoded before the first key frame, where there should be nothing."""
        lost = 0 if self.early is None else float((self.times[0] - self.early) * self.base)
        length = lost + float((max(self.times) - self.times[0]) * self.base)
        if lost > max(LATE_KEY, SHORT_SHARE * length):
            return f"cannot be decoded: no key frame in the first {lost:.1f} s"
        return None

    def span(self) -> tuple[float, float]:
        """Seconds of the first frame, and of the end of the last one.

        A packet's duration is often the time to the next one in the order of decoding: where
        frames are decoded in another order than they are shown, it is another frame's.
        """
        first, last = min(self.times), max(self.times)
        own = self.durations[self.times.index(last)]
        usual = median_low(self.durations)
        end = min(last + own, max(first + sum(self.durations), last + usual))
        return float(first * self.base), float(end * self.base)
