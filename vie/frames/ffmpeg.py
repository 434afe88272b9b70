"""Video files -> JPEG frames, one ffmpeg process per video.

A video is read whole, or exactly the seconds that are asked for, or it is refused with a reason.
"""

import contextlib
import math
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from vie.frames.colours import frame_matrix, jpeg_filters, matrix_of
from vie.frames.contents import Contents, read_contents, reading_seconds
from vie.frames.jpeg import split_jpegs
from vie.frames.messages import OF_EARLIER, Line, is_damage
from vie.frames.process import MAX_PIXELS, ffmpeg_version, open_video, stream_output
from vie.frames.process import ffmpeg_executable as ffmpeg_executable
from vie.frames.unusable import UnusableVideoError

SEEK_EARLY = 10  # seconds; most key frames are closer together
SAME_SHAPE = 0.01  # difference of two shapes that rounding of sizes explains
LOST = 0.02  # share of the frames by which times may be wrong
FRAME = re.compile(r"^n: *\d+ pts:.* fmt:(\w+) .*sar:(\d+)/(\d+) s:(\d+)x(\d+) ")
TAGS = re.compile(r"^color_range:(\w+) color_space:(\w+)")  # of the frame of the lines before


@dataclass(frozen=True)
class FrameSettings:
    """How videos become frames: `frames` of the config."""

    fps: float  # frames per second (25 in protocol section 1)
    shorter_side: int  # of the frames, in pixels (320 in protocol section 1)
    quality: int | str  # ffmpeg's JPEG scale, 2 (best) to 31; "default": ffmpeg decides
    timeout_seconds: float  # wall-clock time that one video may take
    max_seconds: float  # longest clip; a longer one is refused, not cut
    damaged: float = 0  # share of a video's frames that may be damaged
    max_pixels: int = MAX_PIXELS  # of a frame; a video with larger ones is refused

    @property
    def made_by(self) -> dict[str, str]:
        """The program that the bytes of JPEGs depend on, and its version."""
        return {"ffmpeg": ffmpeg_version()}

    @property
    def max_frames(self) -> int:
        """Frames of the longest clip."""
        return int(self.max_seconds * self.fps)


class Frames(NamedTuple):
    """The frames of one video."""

    jpegs: Sequence[bytes]  # one per frame at the asked rate, in order
    width: int  # of every frame, in pixels
    height: int


def extract_jpegs(
    video: Path,
    settings: FrameSettings,
    excerpt: tuple[float, float] | None = None,
    contents: Contents | None = None,
) -> Frames:
    """Decode a whole video, or seconds of it from `excerpt`[0] to `excerpt`[1], into JPEG frames.

    Frames are taken at a constant rate from the first frame on, whatever the rate of the file.
    Rotation and non-square pixels are applied, so that frames look as a player shows them. Both
    sides are rounded to whole pixels, odd ones included. JPEGs are full-range BT.601 (JFIF) 4:2:0,
    and have the colours that the file's tags mean, or else the rule of `vie.frames.colours`.
    Of several video tracks it is the one of `vie.frames.contents`. A change of size or colours
    midway is followed, or refused where ffmpeg cannot; a change of shape is refused.

    A video is refused if more of its frames are lost or wrong than `damaged` allows, or if its file
    is shorter than it says. What nobody says goes unnoticed: the end of a transport or program
    stream that is cut between two packets; changed bytes within a picture where the container has
    no checksums and the codec decodes anything (VP8, VP9, often HEVC and MPEG-4).

    An excerpt has one frame for each tick of the rate from its start to before its end: the picture
    that stands then, however long it has stood. Decoding starts `SEEK_EARLY` seconds earlier or
    more, because a jump may land late in containers without an index. `max_seconds` is then of the
    excerpt. `contents` are those of the file, if they are known.

    Raises:
        UnusableVideoError: the message is the reason.
        VieError: ffmpeg is missing or was killed from outside.
    """
    with contextlib.closing(_frames(video, settings, excerpt, contents, in_all=True)) as frames:
        jpegs, sizes = zip(*frames, strict=True)
    return Frames(list(jpegs), *sizes[0])


def stream_jpegs(
    video: Path, settings: FrameSettings, excerpt: tuple[float, float] | None = None
) -> Generator[bytes]:
    """The JPEGs of `extract_jpegs` one after the other: a video may be too long to be held.

    `timeout_seconds` is the longest time without output. Errors are those of `extract_jpegs` and
    may come after the last frame: a video without an error at its end is whole.
    """
    with contextlib.closing(_frames(video, settings, excerpt, None, in_all=False)) as frames:
        yield from (jpeg for jpeg, _ in frames)


def _frames(
    video: Path,
    settings: FrameSettings,
    excerpt: tuple[float, float] | None,
    contents: Contents | None,
    *,
    in_all: bool,
) -> Generator[tuple[bytes, tuple[int, int]]]:
    """(JPEG, its (width, height)) of every frame; then an error, if the video is not usable."""
    if contents is None:
        limit = reading_seconds(video, settings.timeout_seconds)
        contents = read_contents(video, timeout_seconds=limit, max_pixels=settings.max_pixels)
    if contents.fault and not excerpt:
        raise UnusableVideoError(contents.fault)
    decoding = _Decoding(contents, settings, excerpt, in_all)
    count, sizes = 0, set()
    with contextlib.closing(_decoded(video, decoding)) as frames:
        for jpeg, size in frames:
            count += 1
            sizes.add(size)
            yield jpeg, size
    if not count:
        raise UnusableVideoError(contents.fault or decoding.nothing())
    if count > settings.max_frames:
        raise UnusableVideoError(f"too long: more than {settings.max_seconds:g} s")
    if not excerpt and not contents.timeless:
        expected = contents.track.ticks(settings.fps)
        if expected - count > max(settings.fps / 2, max(settings.damaged, LOST) * expected):
            raise UnusableVideoError(
                f"cannot be decoded: {count} of {expected} frames come out, as where times jump"
            )
    if len(sizes) > 1:
        raise UnusableVideoError(f"frame size changes: {sorted(sizes)}")


def _decoded(video: Path, decoding: "_Decoding") -> Generator[tuple[bytes, tuple[int, int]]]:
    """(JPEG, its (width, height)) of what ffmpeg gives."""
    settings = decoding.settings
    limits = settings.timeout_seconds, decoding.in_all
    try:
        command = _command(video, decoding)
        with contextlib.closing(
            stream_output(video, command, *limits, decoding.hear, settings.max_pixels)
        ) as chunks:
            yield from split_jpegs(chunks)
    except _AnotherMatrixError:  # before the first frame
        decoding.begin()
        yield from _decoded(video, decoding)
    else:
        decoding.end()


class _AnotherMatrixError(Exception):
    """The first frame has to be read by another matrix."""


class _Decoding:
    """What ffmpeg says while it decodes: how many frames there are, and what is wrong with them."""

    def __init__(
        self,
        contents: Contents,
        settings: FrameSettings,
        excerpt: tuple[float, float] | None,
        in_all: bool,
    ) -> None:
        self.contents, self.settings, self.excerpt = contents, settings, excerpt
        self.total = _frames_of(excerpt, settings) if excerpt else len(contents.track.times)
        self.allowed = settings.damaged * self.total
        self.in_all = in_all
        self.matrix = matrix_of(contents.track.words)
        # Where decoding begins: in seconds, 0 where the file does. After a jump the times of frames
        # in a file without times would be wrong.
        self.jump = 0.0
        if excerpt and not contents.timeless:
            self.jump = contents.key_before(excerpt[0] - SEEK_EARLY)
        self.begin()

    def begin(self) -> None:
        """Expect the first frame."""
        self.frames = self.damaged = 0
        self.wrong = False  # since the last frame
        self.error = self.early = ""  # the first one, and that of frames before the first whole one
        self.shape = 0.0  # width over height, as shown
        self.pixels = "", 0  # format and lines of the last frame
        self.full = False  # whether the last frame has the full range

    def hear(self, line: Line) -> None:
        if found := FRAME.search(line.text):
            self.pixels = found[1], int(found[5])
            self._frame(*map(int, found.groups()[1:]))
        elif found := TAGS.search(line.text):
            self._tagged(*found.groups())
        elif is_damage(line):
            # A stream that begins between two key frames has errors of its decoder before its first
            # frame. So have other tracks, which are looked into while the file is opened.
            of_file = line.who.startswith("in#") or line.who == self.contents.format
            of_first = line.who == self.contents.track.codec and not OF_EARLIER.search(line.text)
            if self.frames or of_file or (of_first and self.contents.whole and not self.jump):
                self.error, self.wrong = self.error or line.text, True
            self.early = self.early or line.text

    def end(self) -> None:
        self.damaged += self.wrong
        self.wrong = False
        self._check()

    def nothing(self) -> str:
        """Why there are no frames."""
        return f"cannot be decoded: {self.early}" if self.early else "no frames"

    def _frame(self, across: int, down: int, width: int, height: int) -> None:
        self.frames += 1
        self.damaged += self.wrong
        self.wrong = False
        if not self.in_all:  # what was read before may be used
            self._check()
        shape = (across or 1) * width / max((down or 1) * height, 1)
        self.shape = self.shape or shape
        if abs(shape / self.shape - 1) > SAME_SHAPE:
            raise UnusableVideoError(
                f"frame shape changes: {self.shape:.2f} and {shape:.2f} times as wide as high"
            )

    def _tagged(self, extent: str, tag: str) -> None:
        """Tags of the last frame; those of the first one decide how all are read."""
        pixels, lines = self.pixels
        full = extent == "pc" or (extent == "unknown" and pixels.startswith("yuvj"))
        meant = frame_matrix(self.contents.track.words, self.matrix, tag, pixels, lines)
        if meant != self.matrix and self.frames == 1:
            self.matrix = meant
            raise _AnotherMatrixError
        if meant != self.matrix or (self.full and not full):
            raise UnusableVideoError(
                f"colours change midway: frame {self.frames} is tagged {extent}, {tag}, and ffmpeg "
                "would read it as those before"
            )
        self.full = full

    def _check(self) -> None:
        if self.damaged > self.allowed:
            raise UnusableVideoError(
                self.contents.fault
                or f"cannot be decoded: {self.damaged} of {self.total} frames are damaged "
                f"({self.error[:100]})"
            )


def _frames_of(excerpt: tuple[float, float], settings: FrameSettings) -> int:
    """How many frames an excerpt has."""
    return math.ceil((excerpt[1] - excerpt[0]) * settings.fps - 1e-6)


def _command(video: Path, decoding: _Decoding) -> Any:
    """ffmpeg's command that turns a file, or seconds of it, into JPEGs on standard output."""
    import ffmpeg

    contents, settings, excerpt = decoding.contents, decoding.settings, decoding.excerpt
    jump = decoding.jump
    # Where colours or sizes change, a new graph of filters would count frames from 0 again.
    seek: dict[str, Any] = {"reinit_filter": 0, "max_pixels": settings.max_pixels}
    start = ["setpts=PTS-STARTPTS", f"fps={settings.fps}"]  # a late first frame is not padded
    most = settings.max_frames + 1
    if excerpt:
        if jump:  # ffmpeg would also carry out a jump to 0
            # Not accurate: the picture that stands at the start may begin before the jump.
            seek |= {"ss": f"{jump:.6f}", "noaccurate_seek": None}
        zero = ["setpts=PTS-STARTPTS"] if contents.timeless else []
        start = [*zero, f"fps={settings.fps}:start_time={excerpt[0] - jump:.6f}"]
        most = min(most, _frames_of(excerpt, settings))
    filters = ",".join(
        [
            "showinfo=checksum=0",  # one line for each frame, among those of errors
            *start,
            # Between frames days apart the filter fps would fill in frames without end.
            f"trim=end_frame={most}",
            *jpeg_filters(settings.shorter_side, contents.track.words, decoding.matrix),
            "setsar=1",
        ]
    )
    quality = {} if settings.quality == "default" else {"q:v": settings.quality}
    return ffmpeg.output(
        open_video(video, **seek)[str(contents.track.number)],
        "pipe:1",
        vf=filters,
        **{"c:v": "mjpeg", **quality, "flags:v": "+bitexact"},
        fps_mode="passthrough",  # the filters decide; ffmpeg adds and drops none
        threads=1,
        format="image2pipe",
    )
