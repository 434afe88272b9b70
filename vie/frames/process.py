"""One process of ffmpeg for one video file: what it may open, use and print, and what it says.

Files come from the internet and may be broken or hostile. ffmpeg may open only the one local file
that it is given, and only as a container that cannot refer to other files. Its time, memory and
output are bounded.
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
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from vie.frames.messages import ERRORS, Line, is_damage, parse, reason
from vie.frames.unusable import UnusableVideoError
from vie.runtime.errors import VieError

# Containers that are read. No playlists (hls, dash, concat, ...): they name other files or hosts.
FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,ogg,asf,gif,mxf,rm"
OLDEST = (5, 1)  # version of ffmpeg
MAX_PIXELS = 50_000_000  # of a decoded frame, unless the config says otherwise; 8K has 33 million
# Bytes that a process may have. About half of the first number is address space without memory. 8K
# film takes 13 for a pixel, and 26 if it refers to 16 frames, which fits into the default's 50
# million times 20.
PROCESS_BYTES, BYTES_PER_PIXEL = 400_000_000, 20
FULL = 0.85  # of its memory: what then fails may have failed for want of it
MAX_OUTPUT_BYTES = 512 * 2**20  # of one video's JPEGs, held in memory
MAX_MESSAGE_BYTES = 64 * 2**10
MAX_LINE_BYTES = 4096  # of one message
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)


@functools.cache
def ffmpeg_executable() -> str:
    """Path of ffmpeg: the one on the PATH if it is new enough, else that of imageio-ffmpeg.

    Raises:
        VieError: there is neither.
    """
    found = shutil.which("ffmpeg")
    version = _version(found) if found else ""
    if found and not _too_old(version):
        return found
    try:
        import imageio_ffmpeg

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        oldest = ".".join(map(str, OLDEST))
        here = f"{found} is too old ({version[:40]})" if found else "none on the PATH"
        raise VieError(
            f"no ffmpeg: {here} and none from imageio-ffmpeg; install ffmpeg {oldest} or newer "
            "with the system's package manager, or `pip install imageio-ffmpeg`"
        ) from error


@functools.cache
def ffmpeg_version() -> str:
    """First line of `ffmpeg -version`. The bytes of JPEGs depend on the version."""
    return _version(ffmpeg_executable())


def _version(executable: str) -> str:
    argv = [executable, "-version"]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True)
    return shown.stdout.partition("\n")[0]


def _too_old(version: str) -> bool:
    """Whether an ffmpeg lacks `-fps_mode`; those made between two releases have no number."""
    number = re.match(r"ffmpeg version n?(\d+)\.(\d+)", version)
    return number is not None and tuple(map(int, number.groups())) < OLDEST


def open_video(video: Path, max_pixels: int = MAX_PIXELS, **options: Any) -> Any:
    """A local file as input of ffmpeg-python, with frames of `max_pixels` at most."""
    import ffmpeg  # takes 0.1 s, which jobs that read shards can do without

    return ffmpeg.input(
        # "file:" keeps names such as "-i", "http:x" or "concat:a|b" plain names. As bytes, names
        # that are no UTF-8 pass through ffmpeg-python.
        os.fsencode(f"file:{os.path.abspath(video)}"),
        protocol_whitelist="file",
        format_whitelist=FORMATS,
        threads=1,
        # Decoders count the pixels that they add at the edges, too.
        max_pixels=max_pixels * 5 // 4 + 2**18,
        **options,
    )


def max_memory(max_pixels: int) -> int:
    """Bytes that ffmpeg may have for frames of so many pixels."""
    return PROCESS_BYTES + BYTES_PER_PIXEL * max_pixels


def stream_output(
    video: Path,
    command: Any,
    timeout_seconds: float,
    in_all: bool = True,
    heard: Callable[[Line], None] = lambda line: None,
    max_pixels: int = MAX_PIXELS,
) -> Generator[bytes]:
    """Standard output of a command of ffmpeg-python for a video, piece by piece.

    Time and bytes are those of the whole output, or, unless `in_all`, the time between two pieces.
    `heard` is called with every line that ffmpeg says, before the output that follows it. Memory
    is what frames of `max_pixels` need. A process that is killed, as by a system without memory, is
    run again when no other one of this job runs; what it gave before is not given again.

    Raises:
        UnusableVideoError: the message is the reason.
        VieError: ffmpeg is missing or was killed from outside.
    """
    # -timelimit: CPU seconds, which end ffmpeg if this process is gone. (A pipe that nobody reads
    # ends it, too.)
    limit = ("-timelimit", str(int(timeout_seconds) + 1)) if in_all else ()
    memory = max_memory(max_pixels)
    command = command.global_args(
        *("-nostdin", "-nostats", "-hide_banner", "-v", "repeat+level+info"),
        # Else it has one for each core, and what a file may take depends on the machine.
        *("-filter_threads", "1", "-max_alloc", str(memory), *limit),
    )
    argv = command.compile(cmd=ffmpeg_executable())
    output = _Output(heard, memory)
    with TURNS.together():
        code = yield from _run(argv, timeout_seconds, in_all, output)
    if code in KILLED:
        output.again()
        with TURNS.alone():
            code = yield from _run(argv, timeout_seconds, in_all, output)
    if code in KILLED:
        raise UnusableVideoError(
            "killed twice while it was read, the second time with no other video beside it: it "
            "takes more memory than there is"
        )
    message = output.errors
    if code in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
        raise UnusableVideoError(f"timed out after {timeout_seconds:g} s")
    # On SIGTERM and SIGINT ffmpeg exits with 255 and prints nothing.
    stopped = code == 255 and not message.strip()
    if stopped or code in (-signal.SIGTERM, -signal.SIGINT):
        # The video is not at fault; rejecting it would lose a good video.
        raise VieError(
            f"{video}: ffmpeg was killed from outside (exit code {code}); run the job again"
        )
    if code < 0:
        raise UnusableVideoError(f"cannot be decoded: ffmpeg crashed with signal {-code}")
    if code != 0:
        raise UnusableVideoError(reason(message))


class Turns:
    """Threads that run something together, or one of them alone."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.running = 0
        self.taken = False  # by one that runs alone, or waits for it

    @contextlib.contextmanager
    def together(self) -> Generator[None]:
        with self.changed:
            self.changed.wait_for(lambda: not self.taken)
            self.running += 1
        try:
            yield
        finally:
            with self.changed:
                self.running -= 1
                self.changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Generator[None]:
        with self.changed:
            self.changed.wait_for(lambda: not self.taken)
            self.taken = True
        try:
            with self.changed:
                self.changed.wait_for(lambda: not self.running)
            yield
        finally:
            with self.changed:
                self.taken = False
                self.changed.notify_all()


TURNS = Turns()


class _Output:
    """What a process gives: its output, its lines on stderr, and the first errors of these."""

    def __init__(self, heard: Callable[[Line], None], memory: int) -> None:
        self.heard, self.memory = heard, memory  # bytes that it may have
        self.pid = 0
        self.bytes = self.lines = 0  # so far
        self.given = self.told = 0  # bytes and lines of an earlier run
        self._begin()

    def _begin(self) -> None:
        self.errors, self.rest = "", b""
        self.level = ""  # of a line without one, which goes on from the line before

    def again(self) -> None:
        """Expect the same output once more."""
        self.given, self.told = max(self.bytes, self.given), max(self.lines, self.told)
        self.bytes = self.lines = 0
        self._begin()

    def new(self, chunk: bytes) -> bytes:
        """Of the next bytes, those that were not given before."""
        known = max(self.given - self.bytes, 0)
        self.bytes += len(chunk)
        return chunk[known:]

    def read(self, chunk: bytes) -> None:
        """The next bytes of stderr."""
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self.rest) > MAX_LINE_BYTES:
            self.rest = self.rest[:MAX_LINE_BYTES]

    def end(self) -> None:
        """There is nothing more on stderr."""
        self._line(self.rest)

    def _line(self, line: bytes) -> None:
        found = parse(line[:MAX_LINE_BYTES].decode("utf-8", "replace"))
        self.level = found.level or self.level
        if self.level in ("", *ERRORS) and len(self.errors) < MAX_MESSAGE_BYTES:
            self.errors += f"{found.text}\n"
        if is_damage(found) and _peak(self.pid) > FULL * self.memory:
            # Some decoders say that memory is missing, others only that there is no frame.
            raise UnusableVideoError(
                f"too large: ffmpeg needs more memory than {self.memory / 1e6:.0f} MB "
                f"({found.text[:100]})"
            )
        self.lines += 1
        if self.lines > self.told:
            self.heard(found)


def _peak(pid: int) -> int:
    """Most bytes that a running process has had, address space and all; 0: not known."""
    try:
        found = re.search(r"VmPeak:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def _started(argv: list[str], memory: int) -> subprocess.Popen[bytes]:
    """A process with so many bytes of memory, and pipes for what it writes."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # its own group, so that a kill reaches its children too
        # Else every thread of it would reserve address space.
        env=os.environ | {"MALLOC_ARENA_MAX": "1"},
    )
    if sys.platform == "linux":  # a file may ask for any number of frames between two of its own
        resource.prlimit(process.pid, resource.RLIMIT_AS, (memory, memory))
    return process


def _run(
    argv: list[str], timeout_seconds: float, in_all: bool, output: _Output
) -> Generator[bytes, None, int]:
    """Run ffmpeg in bounded time and memory: its stdout in pieces -> its exit code.

    It is killed where the generator is closed early.
    """
    left = timeout_seconds
    process = _started(argv, output.memory)
    output.pid = process.pid
    assert process.stdout is not None  # both are pipes
    assert process.stderr is not None
    try:
        with selectors.DefaultSelector() as ready, process.stdout, process.stderr:
            os.set_blocking(process.stderr.fileno(), False)
            ready.register(process.stdout, selectors.EVENT_READ)
            ready.register(process.stderr, selectors.EVENT_READ)
            while ready.get_map():
                began = time.monotonic()
                events = ready.select(max(left, 0))
                left -= time.monotonic() - began  # what is done with a piece takes its own time
                if left <= 0:
                    raise subprocess.TimeoutExpired(argv, timeout_seconds)
                for key, _ in events:
                    chunk = os.read(key.fd, 2**20) if key.fileobj is process.stdout else b""
                    # What was said before this piece of output was written is there by now.
                    with contextlib.suppress(BlockingIOError):
                        said = os.read(process.stderr.fileno(), 2**20)
                        output.read(said)
                        if not said and process.stderr in ready.get_map():
                            ready.unregister(process.stderr)
                    if key.fileobj is process.stdout and not chunk:
                        ready.unregister(process.stdout)
                    elif chunk:
                        new = output.new(chunk)
                        left = left if in_all else timeout_seconds
                        if in_all and output.bytes > MAX_OUTPUT_BYTES:
                            raise UnusableVideoError(
                                f"too large: over {MAX_OUTPUT_BYTES >> 20} MiB"
                            )
                        if new:
                            yield new
        code = process.wait(max(left, 0.1))
    except subprocess.TimeoutExpired:
        raise UnusableVideoError(f"timed out after {timeout_seconds:g} s") from None
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    output.end()
    return code
