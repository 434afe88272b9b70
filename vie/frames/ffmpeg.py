"""Video files -> JPEG frames, one ffmpeg process per video.

A video is read whole, or exactly the seconds that are asked for, or it is refused with a reason.
"""

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from vie.frames.container import check_file, is_avi
from vie.frames.jpeg import split_jpegs
from vie.frames.process import ffmpeg_executable as ffmpeg_executable
from vie.frames.process import ffmpeg_version, open_video, stream_output
from vie.frames.unusable import UnusableVideoError

SEEK_EARLY = 10  # seconds; most key frames are closer together


@dataclass(frozen=True)
class FrameSettings:
    """How videos become frames: `frames` of the config."""

    fps: float  # frames per second (25 in protocol section 1)
    shorter_side: int  # of the frames, in pixels (320 in protocol section 1)
    quality: int | str  # ffmpeg's JPEG scale, 2 (best) to 31; "default": ffmpeg decides
    timeout_seconds: float  # wall-clock time that one video may take
    max_seconds: float  # longest clip; a longer one is refused, not cut

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
    video: Path, settings: FrameSettings, excerpt: tuple[float, float] | None = None
) -> Frames:
    """Decode a whole video, or seconds of it from `excerpt`[0] to `excerpt`[1], into JPEG frames.

    Frames are taken at a constant rate from the first frame on, whatever the rate of the file.
    Rotation and non-square pixels are applied, so that frames look as a player shows them. Both
    sides are rounded to whole pixels, odd ones included. JPEGs are full-range BT.601 (JFIF) 4:2:0.
    Transport streams do not say how long they are: a cut in one may go unnoticed.

    An excerpt has the frames whose times are at or after its start and before its end. Decoding
    starts `SEEK_EARLY` seconds earlier, because a jump may land late in containers without an
    index; the frames before the excerpt are dropped. `max_seconds` is then of the excerpt.

    Raises:
        UnusableVideoError: the message is the reason.
        VieError: ffmpeg is missing or was killed from outside.
    """
    with contextlib.closing(_frames(video, settings, excerpt, in_all=True)) as frames:
        jpegs, sizes = zip(*frames, strict=True)
    return Frames(list(jpegs), *sizes[0])


def stream_jpegs(
    video: Path, settings: FrameSettings, excerpt: tuple[float, float] | None = None
) -> Generator[bytes]:
    """The JPEGs of `extract_jpegs` one after the other: a video may be too long to be held.

    `timeout_seconds` is the longest time without output. Errors are those of `extract_jpegs` and
    may come after the last frame: a video without an error at its end is whole.
    """
    with contextlib.closing(_frames(video, settings, excerpt, in_all=False)) as frames:
        yield from (jpeg for jpeg, _ in frames)


def _frames(
    video: Path, settings: FrameSettings, excerpt: tuple[float, float] | None, *, in_all: bool
) -> Generator[tuple[bytes, tuple[int, int]]]:
    """(JPEG, its (width, height)) of every frame; then an error, if the video is not usable."""
    check_file(video)
    stream, cut = _open_excerpt(video, *excerpt) if excerpt else (open_video(video), [])
    command = _command(stream, cut, settings)
    count, sizes = 0, set()
    with contextlib.closing(
        stream_output(video, command, settings.timeout_seconds, in_all)
    ) as chunks:
        for jpeg, size in split_jpegs(chunks):
            count += 1
            sizes.add(size)
            yield jpeg, size
    if not count:
        raise UnusableVideoError("no frames")
    if count > settings.max_frames:
        raise UnusableVideoError(f"too long: more than {settings.max_seconds:g} s")
    if len(sizes) > 1:
        raise UnusableVideoError(f"frame size changes: {sorted(sizes)}")


def _open_excerpt(video: Path, start: float, end: float) -> tuple[Any, list[str]]:
    """Some seconds of a local file -> (ffmpeg's input, filters that leave just these seconds)."""
    timeless = is_avi(video)  # after a jump the times of its frames would be wrong
    jump = 0 if timeless else max(start - SEEK_EARLY, 0)
    zero = ["setpts=PTS-STARTPTS"] if timeless else []
    cut = [*zero, f"trim=start={start - jump:.6f}:end={end - jump:.6f}"]
    seek = {"ss": jump} if jump else {}  # ffmpeg would also carry out a jump to 0
    return open_video(video, **seek, t=end - jump + SEEK_EARLY), cut


def _command(stream: Any, cut: list[str], settings: FrameSettings) -> Any:
    """ffmpeg's command that turns an input into JPEGs on standard output."""
    import ffmpeg

    # dar is the displayed width over height: storage size times the aspect of a pixel.
    side = settings.shorter_side
    width = f"if(gte(dar,1),round({side}*dar),{side})"
    height = f"if(gte(dar,1),{side},round({side}/dar))"
    filters = ",".join(
        [
            *cut,
            "setpts=PTS-STARTPTS",  # a late first frame is not padded
            f"fps={settings.fps}",
            # Between frames days apart the filter fps would fill in frames without end.
            f"trim=end_frame={settings.max_frames + 1}",
            f"scale=w='{width}':h='{height}':out_range=full:out_color_matrix=bt601",
            "format=yuvj420p",
            "setsar=1",
        ]
    )
    quality = {} if settings.quality == "default" else {"q:v": settings.quality}
    return ffmpeg.output(
        stream["V:0"],  # V: not a cover picture
        "pipe:1",
        vf=filters,
        **{"c:v": "mjpeg", **quality, "flags:v": "+bitexact"},
        threads=1,
        format="image2pipe",
    ).global_args("-xerror")
