"""What a video file holds, read without decoding it: its tracks, their times, and what is missing.

One process of ffmpeg reads all packets of a file and prints one line for each; its share of the
time that a video takes is small.
"""

import contextlib
import math
import os
import re
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from vie.frames.avi import missing_frames
from vie.frames.container import check_file
from vie.frames.jpeg import split_jpegs
from vie.frames.messages import TOO_LARGE, Line, is_damage, reason, too_large
from vie.frames.process import MAX_PIXELS, open_video, stream_output
from vie.frames.structure import fault_of
from vie.frames.track import SHORT_SHARE, Track
from vie.frames.unusable import BY_SETTINGS, UnusableVideoError

READING = 20e6  # bytes per second that a slow disk gives at least
# Formats whose length is written down, and not found out by ffmpeg from the frames that there are,
# and how many seconds it may be wrong: tracks do not end together, the length of ASF may count the
# time before its start, and that of AVI counts a late start twice (its frames are counted instead).
PROMISING = {
    "matroska": 0.5,
    "mov": 0.5,
    "flv": 0.5,
    "mxf": 0.06,
    "rm": 0.5,
    "asf": 3.5,
    "avi": math.inf,
}
SLIDES = 0.1  # share of another track's frames that a film has more of
INPUT = re.compile(r"Input #0, (\S+), from")
LENGTH = re.compile(r"Duration: (\d+):(\d\d):(\d\d\.\d+)(?:, start: (\d+\.\d+))?")
TRACK = re.compile(r"Stream #0:(\d+).*?: (Video|Audio|Subtitle|Data|Attachment): (\w*)(.*)")
MAPPED = re.compile(r"Stream #0:(\d+) -> #0:(\d+)")
STILL = ("(attached pic)", "(still image)", "(timed thumbnails)")
DISCARDED = 4  # flag of a packet that is not shown
KEY = 1  # flag of a packet that can be decoded alone


@dataclass(frozen=True)
class Contents:
    """What a file holds.

    Attributes:
        track: the one whose pictures are the video: of those that move, one that the file calls
            default, else the largest.
        format: as ffmpeg names it, such as "matroska,webm".
        fault: why the file cannot be read to its end, if it cannot.
    """

    track: Track
    format: str
    fault: str | None

    @property
    def whole(self) -> bool:
        """Whether its first frame is the first one of the video: not where it was cut out of a
        stream at any moment, and nothing says how long it is."""
        return self.track.early is None or self.format.partition(",")[0] in PROMISING

    def span(self) -> tuple[float, float]:
        """`Track.span` of a whole file.

        Raises:
            UnusableVideoError: the fault.
        """
        if self.fault:
            raise UnusableVideoError(self.fault)
        return self.track.span()

    @property
    def timeless(self) -> bool:
        """Whether frames have no times of their own, as in AVI."""
        return self.format == "avi"

    def key_before(self, seconds: float) -> float:
        """Seconds of the last key frame but one up to then, 0 if there is none.

        A jump may land one key frame late in containers without an index.
        """
        base, keys = self.track.base, self.track.keys
        early = sorted(key for key in keys if key * base <= seconds)
        return max(float(early[-2] * base), 0) if len(early) > 1 else 0


def reading_seconds(path: Path, timeout_seconds: float) -> float:
    """Time limit for reading all of a file without decoding it (`read_contents`), in seconds.

    It grows with the file, as an hour of video may be a good video on a slow disk.
    """
    return timeout_seconds + (os.path.getsize(path) if os.path.exists(path) else 0) // READING


def video_span(
    video: Path, *, timeout_seconds: float, max_pixels: int = MAX_PIXELS
) -> tuple[float, float]:
    """Seconds from the start of a video file to its first frame, and to the end of its last one.

    The times of all frames are read, without decoding; the length in the file's header is not
    relied on. The result is exact to a few frames for containers without such times.

    Raises:
        UnusableVideoError: the message is the reason; also that a part of the file is missing.
        VieError: ffmpeg is missing or was killed from outside.
    """
    return read_contents(video, timeout_seconds=timeout_seconds, max_pixels=max_pixels).span()


def read_contents(video: Path, *, timeout_seconds: float, max_pixels: int = MAX_PIXELS) -> Contents:
    """Read all packets of a file, without decoding them.

    ffmpeg decodes a few, to tell what they are: `max_pixels` are those of a frame at most.

    Raises:
        UnusableVideoError: there are no moving pictures, or wrong ones; the message is the reason.
        VieError: ffmpeg is missing or was killed from outside.
    """
    check_file(video)
    with _readable():
        broken = fault_of(video)
    if broken and broken.hidden:
        raise UnusableVideoError(broken.reason)
    try:
        reading = _read(video, timeout_seconds, "0", max_pixels)
    except UnusableVideoError as error:  # perhaps by a track of another kind
        if str(error).startswith(BY_SETTINGS):
            raise
        reading = _read(video, timeout_seconds, "0:v", max_pixels)
    fault = (broken and broken.reason) or reading.fault()
    track = reading.best(fault)
    fault = fault or (track.headless() if reading.promises else None)
    if reading.format == "avi" and not fault:
        with _readable():
            fault = missing_frames(video, track.number, float(track.end * track.base))
    if not reading.promises and len(reading.tracks) > 1:
        # In such formats the first track that is read sets the clock; only this one is decoded.
        track = _read(video, timeout_seconds, f"0:{track.number}", max_pixels).best(fault)
    if track.pixels > max_pixels:
        raise UnusableVideoError(too_large("{}x{}".format(*track.size)))
    if reading.large and not track.pixels:
        raise UnusableVideoError(too_large(reading.large))
    return Contents(track, reading.format, fault)


@contextlib.contextmanager
def _readable() -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise UnusableVideoError(f"cannot be read: {error.strerror}") from error


def _read(video: Path, timeout_seconds: float, tracks: str, max_pixels: int) -> "_Reading":
    # One line per packet: track, decoding time, time, duration, bytes, checksum and, unless it is
    # just a key frame, flags. No -xerror: faults such as times that do not rise (MPEG) matter to
    # decoding only.
    reading, rest = _Reading(), b""
    stream = open_video(video, max_pixels=max_pixels)
    # Frames before the first key frame, too: it may be missing.
    copied = {"c": "copy", "copyinkf": None, "format": "framecrc"}
    every = stream.output("pipe:1", map=tracks, **copied)
    command = every.global_args("-ignore_unknown")
    with contextlib.closing(
        stream_output(video, command, timeout_seconds, heard=reading.hear, max_pixels=max_pixels)
    ) as chunks:
        for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                reading.take(line.decode("ascii", "replace"))
    reading.take_held()
    return reading


def frame_size(
    video: Path, contents: Contents, *, timeout_seconds: float, max_pixels: int = MAX_PIXELS
) -> tuple[int, int]:
    """(width, height) of the first frame of a video file, in pixels, as a player shows it.

    `contents` are the file's, of `read_contents`.

    Raises:
        UnusableVideoError: the message is the reason.
        VieError: ffmpeg is missing or was killed from outside.
    """
    import ffmpeg

    one = {"frames:v": 1, "vf": "scale=w='round(ih*dar)':h=ih,format=yuvj420p", "c:v": "mjpeg"}
    stream = open_video(video, max_pixels=max_pixels)[str(contents.track.number)]
    command = ffmpeg.output(stream, "pipe:1", format="image2pipe", **one)
    with contextlib.closing(
        stream_output(video, command, timeout_seconds, max_pixels=max_pixels)
    ) as chunks:
        sizes = [size for _, size in split_jpegs(chunks)]
    if not sizes:
        raise UnusableVideoError("no frames")
    return sizes[0]


class _Reading:
    """What ffmpeg says while it copies the packets of a file."""

    def __init__(self) -> None:
        self.tracks: dict[int, Track] = {}  # by their numbers in the file
        self.outputs: dict[int, Track] = {}  # by their numbers in the output
        self.mapped = False  # all outputs are known
        self.held: list[str] = []  # lines that came before that
        self.promised = 0.0  # seconds, from 0 or from the start
        self.start = 0.0  # of times
        self.format = ""
        self.ended = ""  # what ffmpeg says of a file that ends early
        self.large = ""  # a size that it refuses

    def hear(self, line: Line) -> None:
        self.mapped = bool(self.outputs) and not MAPPED.search(line.text)
        if found := INPUT.match(line.text):
            self.format = found[1]
        elif "prematurely" in line.text and is_damage(line):
            self.ended = line.text
        elif found := TOO_LARGE.search(line.text):
            self.large = found[1]
        elif found := MAPPED.search(line.text):
            self.outputs[int(found[2])] = self._track(int(found[1]))
        elif not self.outputs and (found := TRACK.search(line.text)):
            track = self._track(int(found[1]))
            track.kind, track.codec, rest = found.groups()[1:]
            track.default = "(default)" in rest
            track.still = any(word in rest for word in STILL)
            track.words = rest
        elif not self.outputs and (found := LENGTH.match(line.text)):
            hours, minutes, seconds, self.start = (float(text or 0) for text in found.groups())
            self.promised = 3600 * hours + 60 * minutes + seconds

    def take(self, line: str) -> None:
        """A line of the list of packets."""
        self.held.append(line)
        if self.mapped:
            self.take_held()

    def take_held(self) -> None:
        """What came before ffmpeg said, on its other pipe, which outputs there are."""
        for line in self.held:
            self._take(line)
        self.held.clear()

    def _take(self, line: str) -> None:
        try:
            if line.startswith("#"):
                self._head(line)
                return
            number, dts, pts, duration, *rest = line.split(",")
            flags = int(rest[2].strip()[2:], 16) if rest[2:] and "F=" in rest[2] else KEY
            track, lasts = self.outputs[int(number)], int(duration)
            # A frame without a time of its own (AVI has none) is shown when it is decoded.
            known = [time for time in (_ticks(pts), _ticks(dts)) if time is not None]
            time = known[0] if known else track.end
        except (ValueError, IndexError, KeyError, ZeroDivisionError):
            raise UnusableVideoError("cannot be decoded: its frames have no times") from None
        track.begun |= bool(flags & KEY)
        if flags & DISCARDED:
            return
        track.end = max(track.end, time + lasts)
        if track.kind == "Video":
            if not track.begun:
                track.early = time if track.early is None else track.early
                return
            track.times.append(time)
            track.durations.append(lasts)
            if flags & KEY:
                track.keys.append(time)

    def _head(self, line: str) -> None:
        name, *words = line[1:].split()
        if name == "tb":
            self.outputs[int(words[0][:-1])].base = Fraction(words[1])
        elif name == "dimensions":
            width, height = map(int, words[1].split("x"))
            self.outputs[int(words[0][:-1])].size = width, height

    @property
    def promises(self) -> bool:
        """Whether its container says how long a file is."""
        return self.format.partition(",")[0] in PROMISING

    def best(self, fault: str | None) -> Track:
        """The track whose pictures are the video; a fault may be why there is none."""
        tracks = [track for track in self.tracks.values() if track.kind == "Video"]
        films = [track for track in tracks if not track.still]
        if not films:
            raise UnusableVideoError(
                "no video stream" + (": only a cover picture" if tracks else "")
            )
        moving = [track for track in films if len(track.times) > 1]
        if not moving:
            if not fault and any(track.times for track in films):
                fault = "no video: a single picture"
            raise UnusableVideoError(
                fault or "no frames: the file names a video track and holds none of its pictures"
            )
        # A slide show beside a film may be called the default.
        most = max(len(track.times) for track in moving)
        moving = [track for track in moving if len(track.times) > SLIDES * most]
        return max(moving, key=lambda track: (track.default, track.pixels, -track.number))

    def fault(self) -> str | None:
        """What the file promises and does not hold."""
        if self.ended:
            return reason(self.ended)
        tracks = self.tracks.values()
        read = max((float(track.end * track.base) for track in tracks), default=0) + self.start
        most = PROMISING.get(self.format.partition(",")[0])
        if most and self.promised - read > max(most, SHORT_SHARE * self.promised):
            return f"truncated: {read:.1f} of {self.promised:.1f} s"
        return None

    def _track(self, number: int) -> Track:
        return self.tracks.setdefault(number, Track(number))


def _ticks(number: str) -> int | None:
    """A time in ticks; None: not known."""
    number = number.strip()
    return None if number == "NOPTS" or int(number) == -(2**63) else int(number)
