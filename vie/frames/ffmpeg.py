"""Video files -> JPEG frames, one ffmpeg process per video.

Files come from the internet and may be broken or hostile: ffmpeg may open only the one local file
it is given, only as a container that cannot refer to other files, and has bounded time, frames,
pixels and output. A video is read whole, or the seconds that are asked for, or refused with a
reason; a part is never used silently.
"""

import contextlib
import functools
import os
import re
import selectors
import shutil
import signal
import stat
import struct
import subprocess
import time
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from vie.runtime.errors import VieError

# Containers read. No playlists (hls, dash, concat, ...): these name other files or hosts.
FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf"
MAX_PIXELS = 8192 * 8192  # of a decoded frame
MAX_OUTPUT_BYTES = 512 * 2**20  # of one video's JPEGs, held in memory
MAX_MESSAGE_BYTES = 64 * 2**10
SEEK_EARLY = 10  # seconds; most key frames are closer together
MISSING = "missing file"  # a reason that others look for
NO_TIME = -(2**63)  # ffmpeg's word for a time that is not known
# ffmpeg ends well on a Matroska file that stops early, and only says so.
ENDS_EARLY = ("File ended prematurely",)


class UnusableVideoError(VieError):
    """A video that cannot be used; the message is the reason: a category, then a detail."""


class Frames(NamedTuple):
    """The frames of one video.

    Attributes:
        jpegs: one JPEG per frame at the asked rate, in order.
        width, height: of every frame, in pixels.
    """

    jpegs: list[bytes]
    width: int
    height: int


@functools.cache
def ffmpeg_executable() -> str:
    """Path of the ffmpeg to run: the PATH's, else the one inside the imageio-ffmpeg package.

    Raises:
        VieError: there is neither.
    """
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()
    except (ImportError, RuntimeError) as error:
        raise VieError(
            "no ffmpeg: none on the PATH and none from imageio-ffmpeg; install ffmpeg with the "
            "system's package manager, or `pip install imageio-ffmpeg`"
        ) from error


@functools.cache
def ffmpeg_version() -> str:
    """First line of `ffmpeg -version`: JPEG bytes depend on it."""
    shown = subprocess.run(
        [ffmpeg_executable(), "-version"], capture_output=True, text=True, check=True
    )
    return shown.stdout.splitlines()[0]


def extract_jpegs(
    video: Path,
    *,
    fps: float,
    shorter_side: int,
    quality: int,
    timeout_seconds: float,
    max_seconds: float,
    excerpt: tuple[float, float] | None = None,
) -> Frames:
    """Decode a whole video, or an excerpt of it, into JPEG frames.

    Frames are taken at a constant rate from the first frame on, whatever the file's own rate;
    rotation and non-square pixels are applied, so that frames look as a player shows them; both
    sides are rounded to whole pixels, odd ones included. JPEGs are full-range BT.601 (JFIF) 4:2:0.
    Transport streams do not say how long they are: only for these can a cut go unnoticed.

    An excerpt has the frames whose times are at or after its start and before its end. Decoding
    starts `SEEK_EARLY` seconds before, and what precedes the excerpt is thrown away: in containers
    without an index a jump may land a little late.

    Args:
        video: a local file in one of `FORMATS`.
        fps: frames per second (25 in protocol section 1).
        shorter_side: of the frames, in pixels (320 in protocol section 1).
        quality: ffmpeg's JPEG scale, 2 (best) to 31.
        timeout_seconds: of wall-clock time for the whole video.
        max_seconds: of video; a longer one is refused, not cut. Of an excerpt, if there is one.
        excerpt: seconds of the file (start, end) to decode; left out: all of it.

    Raises:
        UnusableVideoError: the message is the reason.
        VieError: ffmpeg is missing or was killed from outside.
    """
    _check_file(video)
    max_frames = int(max_seconds * fps)
    stream, cut = _open(video), []
    if excerpt:
        stream, cut = _open_excerpt(video, *excerpt)
    argv = _command(stream, cut, fps, shorter_side, quality, timeout_seconds, max_frames)
    output = _output(video, argv, timeout_seconds)
    jpegs, sizes = split_jpegs(output)
    if not jpegs:
        raise UnusableVideoError("no frames")
    if len(jpegs) > max_frames:
        raise UnusableVideoError(f"too long: more than {max_seconds:g} s")
    if len(set(sizes)) > 1:
        raise UnusableVideoError(f"frame size changes: {sorted(set(sizes))}")
    return Frames(jpegs, *sizes[0])


def video_seconds(video: Path, *, timeout_seconds: float) -> float:
    """How long a video plays, in seconds from the start of the file to the end of its last frame.

    Told by the times of all frames, which are read and not decoded: what a file's header says of
    its length is not relied on. Exact to a few frames where a container has no such times.

    Args:
        video: a local file in one of `FORMATS`.
        timeout_seconds: of wall-clock time.

    Raises:
        UnusableVideoError: the message is the reason.
        VieError: ffmpeg is missing or was killed from outside.
    """
    import ffmpeg

    _check_file(video)
    # One line per frame: stream, decoding time, time, duration, bytes, checksum. Faults such as
    # times that do not rise (MPEG) end the decoding, where they matter, and not this.
    output = ffmpeg.output(
        _open(video)["V:0"], "pipe:1", **{"c:v": "copy"}, format="framecrc"
    ).global_args(*_global_args(timeout_seconds))
    argv = output.compile(cmd=ffmpeg_executable())
    lines = _output(video, argv, timeout_seconds).decode("ascii", "replace").splitlines()
    rows = [line.split(",") for line in lines if not line.startswith("#")]
    if not rows:
        raise UnusableVideoError("no frames")
    try:
        base = Fraction(next(line for line in lines if line.startswith("#tb 0:")).split()[2])
        # A frame without a time of its own (AVI has none) is shown when it is decoded, or later.
        times = [(int(row[1]), int(row[2]), int(row[3])) for row in rows]
        return float(max((dts if pts == NO_TIME else pts) + n for dts, pts, n in times) * base)
    except (ValueError, IndexError, StopIteration, ZeroDivisionError):
        raise UnusableVideoError("cannot be decoded: its frames have no times") from None


def _output(video: Path, argv: list[str], timeout_seconds: float) -> bytes:
    """What ffmpeg writes for a video.

    Raises:
        UnusableVideoError: the message is the reason why it cannot.
        VieError: it was killed from outside.
    """
    code, output, message = _run(argv, timeout_seconds)
    if code in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
        raise UnusableVideoError(f"timed out after {timeout_seconds:g} s")
    # ffmpeg answers SIGTERM and SIGINT by leaving with 255 and without a word.
    stopped = code == 255 and not message.strip()
    if stopped or code in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT):
        # Not the video's fault: recording it would lose a good video in silence.
        raise VieError(
            f"{video}: ffmpeg was killed from outside (exit code {code}; out of memory?); "
            "run the job again, with more memory or fewer processes"
        )
    if code < 0:
        raise UnusableVideoError(f"cannot be decoded: ffmpeg crashed with signal {-code}")
    if code != 0:
        raise UnusableVideoError(_reason(message))
    if any(words in message for words in ENDS_EARLY):
        raise UnusableVideoError("truncated: the file ends before its last frame")
    return output


def _check_file(video: Path) -> None:
    """Refuse what can be told from the file system and the first bytes."""
    try:
        status = video.stat()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        reason = MISSING if missing else f"cannot be read: {error.strerror}"
        raise UnusableVideoError(reason) from error
    if not stat.S_ISREG(status.st_mode):
        raise UnusableVideoError("not a regular file")
    if status.st_size == 0:
        raise UnusableVideoError("empty file")
    try:
        with video.open("rb") as file:
            declared = _declared_bytes(file, status.st_size)
    except OSError as error:
        raise UnusableVideoError(f"cannot be read: {error.strerror}") from error
    if declared > status.st_size + 1:  # an odd last chunk may lack its byte of padding
        raise UnusableVideoError(f"truncated: {status.st_size} bytes of {declared}")


def _is_avi(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"AVI "


def _declared_bytes(file, size: int) -> int:
    """Bytes that the container says it has, 0 where it does not say.

    An mp4 or avi file cut between two packets decodes without an error, so the decoder's word is
    not enough.
    """
    head = file.read(12)
    if _is_avi(head):
        declared = struct.unpack("<I", head[4:8])[0]
        return declared + 8 if declared < 2**31 else 0
    if head[4:8] not in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"):
        return 0
    start = 0
    for _ in range(1000):  # top-level boxes; fragmented files have many, and end the walk here
        file.seek(start)
        head = file.read(16)
        if len(head) < 8:
            return 0
        length = struct.unpack(">I", head[:4])[0]
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        if length < 8:  # 0: up to the end of the file; 2..7: not a box
            return 0
        start += length
        if start > size:
            return start if head[4:8] in (b"mdat", b"moov") else 0
    return 0


def _open_excerpt(video: Path, start: float, end: float) -> tuple[Any, list[str]]:
    """Some seconds of a local file -> (ffmpeg's input, filters that leave just these)."""
    with video.open("rb") as file:
        timeless = _is_avi(file.read(12))  # a jump would lose count of its frames
    jump = 0 if timeless else max(start - SEEK_EARLY, 0)
    zero = ["setpts=PTS-STARTPTS"] if timeless else []
    cut = [*zero, f"trim=start={start - jump}:end={end - jump}"]
    at = {"ss": jump} if jump else {}  # a jump to 0 is one, too
    return _open(video, **at, t=end - jump + SEEK_EARLY), cut


def _open(video: Path, **options: float):
    """A local file as ffmpeg's input."""
    import ffmpeg  # 0.1 s that reading frames from shards never needs

    return ffmpeg.input(
        # "file:" keeps names such as "-i", "http:x" or "concat:a|b" plain names.
        f"file:{os.path.abspath(video)}",
        protocol_whitelist="file",
        format_whitelist=FORMATS,
        max_pixels=MAX_PIXELS,
        threads=1,
        **options,
    )


def _global_args(timeout_seconds: float) -> tuple[str, ...]:
    return (
        *("-nostdin", "-hide_banner", "-v", "error"),
        *("-timelimit", str(int(timeout_seconds) + 1)),  # of CPU: ends an orphan that spins
    )


def _command(
    stream,
    cut: list[str],
    fps: float,
    shorter_side: int,
    quality: int,
    timeout_seconds: float,
    max_frames: int,
) -> list[str]:
    import ffmpeg

    # dar is the displayed width over height: storage size times the pixels' own aspect.
    longer_width = f"if(gte(dar,1),round({shorter_side}*dar),{shorter_side})"
    longer_height = f"if(gte(dar,1),{shorter_side},round({shorter_side}/dar))"
    filters = ",".join(
        [
            *cut,
            "setpts=PTS-STARTPTS",  # a late first frame is not padded
            f"fps={fps}",
            f"trim=end_frame={max_frames + 1}",  # frames days apart would be filled in for ever
            f"scale=w='{longer_width}':h='{longer_height}':out_range=full:out_color_matrix=bt601",
            "format=yuvj420p",
            "setsar=1",
        ]
    )
    output = ffmpeg.output(
        stream["V:0"],  # V: not a cover picture
        "pipe:1",
        vf=filters,
        **{"c:v": "mjpeg", "q:v": quality, "flags:v": "+bitexact"},
        threads=1,
        format="image2pipe",
    ).global_args("-xerror", *_global_args(timeout_seconds))
    return output.compile(cmd=ffmpeg_executable())


def _run(argv: list[str], timeout_seconds: float) -> tuple[int, bytes, str]:
    """Run ffmpeg within its time and memory -> (exit code, stdout, start of stderr)."""
    end = time.monotonic() + timeout_seconds
    output, message = bytearray(), bytearray()
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # its own group, so that a kill reaches its children too
    )
    try:
        with selectors.DefaultSelector() as ready, process.stdout, process.stderr:
            ready.register(process.stdout, selectors.EVENT_READ, output)
            ready.register(process.stderr, selectors.EVENT_READ, message)
            while ready.get_map():
                events = ready.select(max(end - time.monotonic(), 0))
                if time.monotonic() >= end:
                    raise UnusableVideoError(f"timed out after {timeout_seconds:g} s")
                for key, _ in events:
                    chunk = os.read(key.fd, 2**20)
                    if not chunk:
                        ready.unregister(key.fileobj)
                    key.data.extend(chunk)
                del message[MAX_MESSAGE_BYTES:]
                if len(output) > MAX_OUTPUT_BYTES:
                    raise UnusableVideoError(f"too large: over {MAX_OUTPUT_BYTES >> 20} MiB")
        try:
            code = process.wait(max(end - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            raise UnusableVideoError(f"timed out after {timeout_seconds:g} s") from None
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return code, bytes(output), message.decode("utf-8", "replace")


def _reason(message: str) -> str:
    """A reason out of ffmpeg's words: the first line is the cause, later ones its echo."""
    if "matches no streams" in message:
        return "no video stream"
    if "Format not on whitelist" in message or "not on whitelist" in message:
        return "not a video container: refused by the list of formats"
    lines = [
        # "[h264 @ 0x55d4c0550cc0] text": the address differs in every run.
        re.sub(r"\s+", " ", re.sub(r"\[[^\]]* @ 0x[0-9a-f]+\] ?", "", line)).strip()
        for line in message.splitlines()
    ]
    cause = next((line for line in lines if line), "ffmpeg does not say why")
    return f"cannot be decoded: {cause[:200].rstrip('.')}"


def split_jpegs(stream: bytes) -> tuple[list[bytes], list[tuple[int, int]]]:
    """Cut back-to-back JPEGs apart -> (JPEGs, their (width, height)).

    Segments up to the scan carry their lengths; inside the scan 0xFF is always followed by a
    stuffed 0 or a restart marker, so the next FF D9 is the image's end.

    Raises:
        UnusableVideoError: the stream is not a sequence of whole JPEGs.
    """
    jpegs, sizes = [], []
    start = 0
    while start < len(stream):
        size, place = None, start + 2
        whole = stream[start:place] == b"\xff\xd8"
        while whole:
            if place + 10 > len(stream) or stream[place] != 0xFF:
                whole = False
                break
            marker, length = struct.unpack_from(">xBH", stream, place)
            if 0xC0 <= marker <= 0xC2:  # SOF: length, precision, height, width
                height, width = struct.unpack_from(">HH", stream, place + 5)
                size = (width, height)
            place += 2 + length
            if marker == 0xDA:
                break
        end = stream.find(b"\xff\xd9", place) + 2 if whole and size else 1
        if end == 1:
            raise UnusableVideoError(f"cannot be decoded: frame {len(jpegs)} is not a whole JPEG")
        jpegs.append(stream[start:end])
        sizes.append(size)
        start = end
    return jpegs, sizes
