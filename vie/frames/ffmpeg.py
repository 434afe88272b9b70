"""Video files -> JPEG frames, one ffmpeg process per video.

Files come from the internet and may be broken or hostile. ffmpeg may open only the one local file
that it is given, and only as a container that cannot refer to other files. Its time, frames, pixels
and output are bounded. A video is read whole, or exactly the seconds that are asked for, or it is
refused with a reason.
"""

import contextlib
import functools
import os
import re
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from vie.frames.container import check_file, is_avi
from vie.frames.jpeg import split_jpegs
from vie.frames.unusable import UnusableVideoError
from vie.runtime.errors import VieError

# Containers that are read. No playlists (hls, dash, concat, ...): they name other files or hosts.
FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,gif,mxf,rm"
MAX_PIXELS = 8192 * 8192  # of a decoded frame
MAX_OUTPUT_BYTES = 512 * 2**20  # of one video's JPEGs, held in memory
MAX_MESSAGE_BYTES = 64 * 2**10
MAX_MEMORY = 4 * 2**30  # bytes that a process of ffmpeg may have
READING = 20e6  # bytes per second that a slow disk gives at least
SEEK_EARLY = 10  # seconds; most key frames are closer together
NO_TIME = -(2**63)  # AV_NOPTS_VALUE: a time that is not known
ENDS_EARLY = "File ended prematurely"  # printed for a Matroska file that stops early; exit code 0


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


@functools.cache
def ffmpeg_executable() -> str:
    """Path of ffmpeg: the one on the PATH, else the one of the package imageio-ffmpeg.

    Raises:
        VieError: there is neither.
    """
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise VieError(
            "no ffmpeg: none on the PATH and none from imageio-ffmpeg; install ffmpeg with the "
            "system's package manager, or `pip install imageio-ffmpeg`"
        ) from error


@functools.cache
def ffmpeg_version() -> str:
    """First line of `ffmpeg -version`. The bytes of JPEGs depend on the version."""
    shown = subprocess.run(
        [ffmpeg_executable(), "-version"], capture_output=True, text=True, check=True
    )
    return shown.stdout.splitlines()[0]


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
    stream, cut = _open_excerpt(video, *excerpt) if excerpt else (_open(video), [])
    command = _command(stream, cut, settings)
    count, sizes = 0, set()
    with contextlib.closing(_stream(video, command, settings.timeout_seconds, in_all)) as chunks:
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
    command = ffmpeg.output(_open(video)["V:0"], "pipe:1", **copy)
    with contextlib.closing(_stream(video, command, timeout_seconds)) as chunks:
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
    command = ffmpeg.output(_open(video)["V:0"], "pipe:1", format="image2pipe", **one)
    with contextlib.closing(_stream(video, command, timeout_seconds)) as chunks:
        sizes = [size for _, size in split_jpegs(chunks)]
    if not sizes:
        raise UnusableVideoError("no frames")
    return sizes[0]


def _stream(
    video: Path, command: Any, timeout_seconds: float, in_all: bool = True
) -> Generator[bytes]:
    """Standard output of a command of ffmpeg-python for a video, piece by piece.

    Time and bytes are those of the whole output, or, unless `in_all`, the time between two pieces.
    """
    # -timelimit: CPU seconds, which end ffmpeg if this process is gone. (A pipe that nobody reads
    # ends it, too.)
    limit = ("-timelimit", str(int(timeout_seconds) + 1)) if in_all else ()
    command = command.global_args("-nostdin", "-hide_banner", "-v", "error", *limit)
    argv = command.compile(cmd=ffmpeg_executable())
    code, message = yield from _run(argv, timeout_seconds, in_all)
    if code in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
        raise UnusableVideoError(f"timed out after {timeout_seconds:g} s")
    # On SIGTERM and SIGINT ffmpeg exits with 255 and prints nothing.
    stopped = code == 255 and not message.strip()
    if stopped or code in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT):
        # The video is not at fault; rejecting it would lose a good video.
        raise VieError(
            f"{video}: ffmpeg was killed from outside (exit code {code}; out of memory?); "
            "run the job again, with more memory or fewer processes"
        )
    if code < 0:
        raise UnusableVideoError(f"cannot be decoded: ffmpeg crashed with signal {-code}")
    if code != 0:
        raise UnusableVideoError(_reason(message))
    if ENDS_EARLY in message:
        raise UnusableVideoError("truncated: the file ends before its last frame")


def _open_excerpt(video: Path, start: float, end: float) -> tuple[Any, list[str]]:
    """Some seconds of a local file -> (ffmpeg's input, filters that leave just these seconds)."""
    timeless = is_avi(video)  # after a jump the times of its frames would be wrong
    jump = 0 if timeless else max(start - SEEK_EARLY, 0)
    zero = ["setpts=PTS-STARTPTS"] if timeless else []
    cut = [*zero, f"trim=start={start - jump:.6f}:end={end - jump:.6f}"]
    seek = {"ss": jump} if jump else {}  # ffmpeg would also carry out a jump to 0
    return _open(video, **seek, t=end - jump + SEEK_EARLY), cut


def _open(video: Path, **options: float) -> Any:
    """A local file as input of ffmpeg-python."""
    import ffmpeg  # takes 0.1 s, which jobs that read shards can do without

    return ffmpeg.input(
        # "file:" keeps names such as "-i", "http:x" or "concat:a|b" plain names. As bytes, names
        # that are no UTF-8 pass through ffmpeg-python.
        os.fsencode(f"file:{os.path.abspath(video)}"),
        protocol_whitelist="file",
        format_whitelist=FORMATS,
        max_pixels=MAX_PIXELS,
        threads=1,
        **options,
    )


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


def _run(
    argv: list[str], timeout_seconds: float, in_all: bool
) -> Generator[bytes, None, tuple[int, str]]:
    """Run ffmpeg in bounded time and memory: its stdout in pieces -> (exit code, start of stderr).

    It is killed where the generator is closed early.
    """
    left, output_bytes = timeout_seconds, 0
    message = bytearray()
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # its own group, so that a kill reaches its children too
    )
    if sys.platform == "linux":  # a file may ask for any number of frames between two of its own
        resource.prlimit(process.pid, resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    assert process.stdout is not None  # both are pipes
    assert process.stderr is not None
    try:
        with selectors.DefaultSelector() as ready, process.stdout, process.stderr:
            ready.register(process.stdout, selectors.EVENT_READ)
            ready.register(process.stderr, selectors.EVENT_READ)
            while ready.get_map():
                began = time.monotonic()
                events = ready.select(max(left, 0))
                left -= time.monotonic() - began  # what is done with a piece takes its own time
                if left <= 0:
                    raise subprocess.TimeoutExpired(argv, timeout_seconds)
                for key, _ in events:
                    chunk = os.read(key.fd, 2**20)
                    if not chunk:
                        ready.unregister(key.fileobj)
                    elif key.fileobj is process.stderr:
                        message.extend(chunk)
                        del message[MAX_MESSAGE_BYTES:]
                    else:
                        output_bytes += len(chunk)
                        left = left if in_all else timeout_seconds
                        if in_all and output_bytes > MAX_OUTPUT_BYTES:
                            raise UnusableVideoError(
                                f"too large: over {MAX_OUTPUT_BYTES >> 20} MiB"
                            )
                        yield chunk
        code = process.wait(max(left, 0.1))
    except subprocess.TimeoutExpired:
        raise UnusableVideoError(f"timed out after {timeout_seconds:g} s") from None
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return code, message.decode("utf-8", "replace")


def _reason(message: str) -> str:
    """The reason in ffmpeg's messages: the first line is the cause, the others follow from it."""
    if "matches no streams" in message:
        return "no video stream"
    if "not on whitelist" in message:
        return "not a video container: refused by the list of formats"
    lines = [
        # "[h264 @ 0x55d4c0550cc0] text": the address differs in every run.
        re.sub(r"\s+", " ", re.sub(r"\[[^\]]* @ 0x[0-9a-f]+\] ?", "", line)).strip()
        for line in message.splitlines()
    ]
    cause = next((line for line in lines if line), "ffmpeg does not say why")
    return f"cannot be decoded: {cause[:200].rstrip('.')}"
