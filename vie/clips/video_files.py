"""Test clips straight from video files, without shards: the same frames, the same crops.

Threads read files, each with one ffmpeg, and hand clips over as they come. What they hold is
bounded: a file may be hours long.
"""

import queue
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vie.clips.loader import cut_clip
from vie.clips.sampling import wrap
from vie.clips.transform import ClipTransform
from vie.frames.ffmpeg import FrameSettings, stream_jpegs
from vie.frames.unusable import UnusableVideoError

HELD_BYTES = 32 * 2**20  # of the JPEGs of a video that are kept in memory; the others on disk
FRAMES_TOGETHER = 64  # of strided clips, decoded in one go
WAITING = 4  # parts of videos that are ready, for each thread
ROUNDED = 1.0  # seconds by which a place in a video may lie beyond its end


class VideoFile(NamedTuple):
    """A video, or the seconds `start` to `end` of one; both 0: all of it."""

    path: Path
    start: float = 0
    end: float = 0


@dataclass(frozen=True)
class FileClips:
    """Which clips of videos are read, and how.

    Attributes:
        transform: sampling and geometry; test crops, no colour noise.
        frames: how videos become JPEGs; `timeout_seconds` is the longest silence of ffmpeg.
        clips: evenly spaced clips of each video, or
        stride_seconds: one clip that starts every so many seconds.
        scratch: folder for JPEGs that do not fit the memory.
    """

    transform: ClipTransform
    frames: FrameSettings
    clips: int = 5
    stride_seconds: float | None = None
    scratch: Path = Path(tempfile.gettempdir())


class ReadClips(NamedTuple):
    """What a thread hands over of a video: some of its clips, or the end of it."""

    number: int  # of the video
    clips: Tensor | None = None  # (clips, 3, T, H, W) uint8; None: the end
    starts: np.ndarray = np.empty(0)  # (clips,) seconds in the file, of strided clips
    n_frames: int = 0  # of the whole video, at its end
    problem: str = ""  # why it cannot be used, at its end; earlier clips do not count then


class JpegStore:
    """The JPEGs of one video, in memory, or, where they are many, in a file that has no name."""

    def __init__(self, folder: Path) -> None:
        self.file = tempfile.SpooledTemporaryFile(HELD_BYTES, dir=str(folder))  # noqa: SIM115
        self.ends = [0]

    def add(self, jpeg: bytes) -> None:
        """Append a frame."""
        self.file.write(jpeg)
        self.ends.append(self.ends[-1] + len(jpeg))

    def __len__(self) -> int:
        return len(self.ends) - 1

    def read(self, frames: np.ndarray) -> list[bytes]:
        """JPEGs of frames by number."""
        found = []
        for frame in map(int, frames):
            self.file.seek(self.ends[frame])
            found.append(self.file.read(self.ends[frame + 1] - self.ends[frame]))
        return found

    def close(self) -> None:
        """Give memory and disk back."""
        self.file.close()


def read_videos(
    videos: Sequence[VideoFile], settings: FileClips, threads: int
) -> Iterator[ReadClips]:
    """Clips of all videos, in the order in which they are ready; each video has one end.

    So many `threads` read at once. Closing the iterator ends them and their ffmpeg.
    """
    ready: queue.Queue[ReadClips | BaseException] = queue.Queue(WAITING * threads)
    stop = threading.Event()

    def hand_over(part: ReadClips | BaseException) -> None:
        while not stop.is_set():
            try:
                return ready.put(part, timeout=0.2)
            except queue.Full:
                pass

    def read(number: int) -> None:
        try:
            with closing(read_video(videos[number], settings, number, stop)) as parts:
                for part in parts:
                    hand_over(part)
        except UnusableVideoError as error:
            hand_over(ReadClips(number, problem=str(error)))
        except BaseException as error:  # for the thread that asked
            hand_over(error)

    # Resizing is spread over threads by torch: here each reader has its own core already.
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        for number in range(len(videos)):
            pool.submit(read, number)
        left = len(videos)
        while left:
            part = ready.get()
            if isinstance(part, BaseException):
                raise part
            left -= part.clips is None
            yield part
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def read_video(
    video: VideoFile, settings: FileClips, number: int = 0, stop: threading.Event | None = None
) -> Generator[ReadClips]:
    """The clips of one video and its end, with frames as `extract_jpegs` gives them.

    Raises:
        UnusableVideoError: the message is the reason; it may come after clips.
        VieError: ffmpeg is missing or was killed from outside.
    """
    excerpt = (video.start, video.end) if video.end else None
    # The iterator stays in this frame, so that ffmpeg ends with it.
    with closing(stream_jpegs(video.path, settings.frames, excerpt)) as jpegs:
        parts = _strided if settings.stride_seconds else _spread
        yield from parts(_until(stop, jpegs), video, settings, number)


def _until(stop: threading.Event | None, jpegs: Iterator[bytes]) -> Iterator[bytes]:
    for jpeg in jpegs:
        if stop is not None and stop.is_set():
            raise UnusableVideoError("not read to its end")  # nobody is told
        yield jpeg


def _spread(
    jpegs: Iterator[bytes], video: VideoFile, settings: FileClips, number: int
) -> Iterator[ReadClips]:
    """Evenly spaced clips: where they lie is known when all frames are there."""
    with closing(JpegStore(settings.scratch)) as store:
        for jpeg in jpegs:
            store.add(jpeg)
        _check_length(video, len(store), settings)
        frames = settings.transform.sampling.test(len(store), settings.clips)
        yield ReadClips(number, _cut(store.read, frames, settings))
        yield ReadClips(number, n_frames=len(store))


def _strided(
    jpegs: Iterator[bytes], video: VideoFile, settings: FileClips, number: int
) -> Iterator[ReadClips]:
    """Clips that start every so many seconds and end within the video; at least one.

    Of the frames, those are held that clips need which are not complete yet.
    """
    assert settings.stride_seconds is not None
    sampling, fps = settings.transform.sampling, settings.frames.fps
    within = sampling.middle(sampling.span)  # (T,) frames of a clip from its start on
    places, together = set(within.tolist()), max(1, FRAMES_TOGETHER // len(within))
    held: dict[int, bytes] = {}
    begun: list[int] = []  # first frames of clips
    complete: list[int] = []
    n_frames = started = 0

    def cut() -> ReadClips:
        frames = np.stack(complete)[:, None] + within  # (clips, 1) + (T,)
        clips = _cut(lambda wanted: [held[int(frame)] for frame in wanted], frames, settings)
        starts = video.start + np.array(complete) / fps
        complete.clear()
        least = begun[0] if begun else n_frames
        for frame in [frame for frame in held if frame < least]:
            del held[frame]
        return ReadClips(number, clips, starts)

    for jpeg in jpegs:
        while round(started * settings.stride_seconds * fps) <= n_frames:
            begun.append(round(started * settings.stride_seconds * fps))
            started += 1
        # A video that is shorter than a clip is repeated: all its frames may be needed.
        if n_frames < sampling.span or any(n_frames - start in places for start in begun):
            held[n_frames] = jpeg
        n_frames += 1
        while begun and begun[0] + sampling.span <= n_frames:
            complete.append(begun.pop(0))
        if len(complete) >= together:
            yield cut()
    _check_length(video, n_frames, settings)
    if n_frames < sampling.span:
        frames = wrap(within, n_frames)[None]  # (1, T)
        short = _cut(lambda wanted: [held[int(frame)] for frame in wanted], frames, settings)
        yield ReadClips(number, short, np.array([video.start]))
    elif complete:
        yield cut()
    yield ReadClips(number, n_frames=n_frames)


def _cut(
    read: Callable[[np.ndarray], list[bytes]], frames: np.ndarray, settings: FileClips
) -> Tensor:
    """Clips (clips, 3, T, H, W) uint8 of `frames` (clips, T)."""
    geometry = settings.transform.geometry
    try:
        many = cut_clip(read, frames.ravel(), geometry.centre_crop(), geometry.size)
    except ValueError as error:
        raise UnusableVideoError(f"a frame cannot be decoded: {error}") from error
    # (3, clips * T, H, W) -> (3, clips, T, H, W) -> (clips, 3, T, H, W)
    clips: Tensor = many.unflatten(1, frames.shape).transpose(0, 1)
    return clips


def _check_length(video: VideoFile, n_frames: int, settings: FileClips) -> None:
    """Refuse seconds of a video that are not all there."""
    read, wanted = n_frames / settings.frames.fps, video.end - video.start
    if video.end and read < wanted - ROUNDED:
        raise UnusableVideoError(
            f"clip incomplete: {read:.1f} of {wanted:.1f} s from second {video.start:g} on can be "
            "read"
        )
