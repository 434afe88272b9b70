"""One process of ffmpeg for one video file: what it may open, use and print, and what it says.

Files come from the internet and may be broken or hostile. ffmpeg may open only the one local file
that it is given, and only as a container that cannot refer to other files. Its time, memory and
output are bounded.
"""

import contextlib
import functools
import os
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from vie.frames.messages import ERRORS, Line, parse, reason
from vie.frames.unusable import UnusableVideoError
from vie.runtime.errors import VieError

# Containers that are read. No playlists (hls, dash, concat, ...): they name other files or hosts.
FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,gif,mxf,rm"
MAX_PIXELS = 8192 * 8192  # of a decoded frame
MAX_OUTPUT_BYTES = 512 * 2**20  # of one video's JPEGs, held in memory
MAX_MESSAGE_BYTES = 64 * 2**10
MAX_LINE_BYTES = 4096  # of one message
MAX_MEMORY = 4 * 2**30  # bytes that a process of ffmpeg may have


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


def open_video(video: Path, **options: Any) -> Any:
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


def stream_output(
    video: Path,
    command: Any,
    timeout_seconds: float,
    in_all: bool = True,
    heard: Callable[[Line], None] = lambda line: None,
) -> Generator[bytes]:
    """Standard output of a command of ffmpeg-python for a video, piece by piece.

    Time and bytes are those of the whole output, or, unless `in_all`, the time between two pieces.
    `heard` is called with every line that ffmpeg says, before the output that follows it.
    """
    # -timelimit: CPU seconds, which end ffmpeg if this process is gone. (A pipe that nobody reads
    # ends it, too.)
    limit = ("-timelimit", str(int(timeout_seconds) + 1)) if in_all else ()
    command = command.global_args(
        *("-nostdin", "-nostats", "-hide_banner", "-v", "repeat+level+info"), *limit
    )
    argv = command.compile(cmd=ffmpeg_executable())
    code, message = yield from _run(argv, timeout_seconds, in_all, _Messages(heard))
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
        raise UnusableVideoError(reason(message))


class _Messages:
    """Lines of stderr: each is handed on, and the first errors are kept."""

    def __init__(self, heard: Callable[[Line], None]) -> None:
        self.heard, self.errors, self.rest = heard, "", b""
        self.level = ""  # of a line without one, which goes on from the line before

    def read(self, chunk: bytes) -> None:
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self.rest) > MAX_LINE_BYTES:
            self.rest = self.rest[:MAX_LINE_BYTES]

    def end(self) -> str:
        self._line(self.rest)
        return self.errors

    def _line(self, line: bytes) -> None:
        found = parse(line[:MAX_LINE_BYTES].decode("utf-8", "replace"))
        self.level = found.level or self.level
        if self.level in ("", *ERRORS) and len(self.errors) < MAX_MESSAGE_BYTES:
            self.errors += f"{found.text}\n"
        self.heard(found)


def _run(
    argv: list[str], timeout_seconds: float, in_all: bool, messages: _Messages
) -> Generator[bytes, None, tuple[int, str]]:
    """Run ffmpeg in bounded time and memory: its stdout in pieces -> (exit code, its errors).

    It is killed where the generator is closed early.
    """
    left, output_bytes = timeout_seconds, 0
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
                # What was said of a frame comes before the frame.
                for key, _ in sorted(events, key=lambda event: event[0].fileobj is process.stdout):
                    chunk = os.read(key.fd, 2**20)
                    if not chunk:
                        ready.unregister(key.fileobj)
                    elif key.fileobj is process.stderr:
                        messages.read(chunk)
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
    return code, messages.end()
