"""What a video file holds, read without decoding it: its length, and the size of its frames."""

import contextlib
import os
from fractions import Fraction
from pathlib import Path

from vie.frames.container import check_file
from vie.frames.jpeg import split_jpegs
from vie.frames.process import open_video, stream_output
from vie.frames.unusable import UnusableVideoError

READING = 20e6  # bytes per second that a slow disk gives at least
NO_TIME = -(2**63)  # AV_NOPTS_VALUE: a time that is not known


def reading_seconds(path: Path, timeout_seconds: float) -> float:
    """Time limit for reading all of a file without decoding it (`video_span`), in seconds.

    It grows with the file, as an hour of video may be a good video on a slow disk.
    """
    return timeout_seconds + (os.path.getsize(path) if os.path.exists(path) else 0) / READING


def video_seconds(video: Path, *, timeout_seconds: float) -> float:
    """Seconds from the start of a video file to the end of its last frame; see `video_span`."""
    return video_span(video, timeout_seconds=timeout_seconds)[1]


def video_span(video: Path, *, timeout_seconds: float) -> tuple[float, float]:
    """Seconds from the start of a video file to its first frame, and to the end of its last one.

    The times of all frames are read, without decoding; the length in the file's header is not
    relied on. The result is exact to a few frames for containers without such times.

    Raises:
        UnusableVideoError: the message is the reason.
        VieError: ffmpeg is missing or was killed from outside.
    """
    import ffmpeg

    check_file(video)
    # One line per frame: stream, decoding time, time, duration, bytes, checksum. No -xerror: faults
    # such as times that do not rise (MPEG) matter to decoding only.
    copy = {"c:v": "copy", "format": "framecrc"}
    command = ffmpeg.output(open_video(video)["V:0"], "pipe:1", **copy)
    with contextlib.closing(stream_output(video, command, timeout_seconds)) as chunks:
        lines = b"".join(chunks).decode("ascii", "replace").splitlines()
    rows = [line.split(",") for line in lines if not line.startswith("#")]
    if not rows:
        raise UnusableVideoError("no frames")
    try:
        base = Fraction(next(line for line in lines if line.startswith("#tb 0:")).split()[2])
        # A frame without a time of its own (AVI has none) is shown when it is decoded, or later.
        numbers = [(int(row[1]), int(row[2]), int(row[3])) for row in rows]
        times = [(dts if pts == NO_TIME else pts, n) for dts, pts, n in numbers]
        first, last = min(time for time, _ in times), max(time + n for time, n in times)
        return float(first * base), float(last * base)
    except (ValueError, IndexError, StopIteration, ZeroDivisionError):
        raise UnusableVideoError("cannot be decoded: its frames have no times") from None


def frame_size(video: Path, *, timeout_seconds: float) -> tuple[int, int]:
    """(width, height) of the first frame of a video file, in pixels, as a player shows it.

    Raises:
        UnusableVideoError: the message is the reason.
        VieError: ffmpeg is missing or was killed from outside.
    """
    import ffmpeg

    check_file(video)
    one = {"frames:v": 1, "vf": "scale=w='round(ih*dar)':h=ih,format=yuvj420p", "c:v": "mjpeg"}
    command = ffmpeg.output(open_video(video)["V:0"], "pipe:1", format="image2pipe", **one)
    with contextlib.closing(stream_output(video, command, timeout_seconds)) as chunks:
        sizes = [size for _, size in split_jpegs(chunks)]
    if not sizes:
        raise UnusableVideoError("no frames")
    return sizes[0]
