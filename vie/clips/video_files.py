"""Test clips straight from video files, without shards: the same frames, the same crops.

Threads read files, each with one ffmpeg, and hand clips over as they come. What they hold is
bounded: a file may be hours long.
"""

import queue
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vie.clips.cutting import cut_clip
from vie.clips.sampling import wrap
from vie.clips.transform import ClipTransform
from vie.frames.ffmpeg import FrameSettings, stream_jpegs
from vie.frames.pieces import ROUNDED, Spool, Stored, extract_pieces
from vie.frames.unusable import UnusableVideoError

FRAMES_TOGETHER = 64  # of strided clips, decoded in one go
WAITING = 4  # parts of videos that are ready, for each thread


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
        scratch: folder for JPEGs of videos that do not fit the memory; None: the system's.
    """

    transform: ClipTransform
    frames: FrameSettings
    clips: int = 5
    stride_seconds: float | None = None
    scratch: Path | None = None


class ReadClips(NamedTuple):
    """What a thread hands over of a video: some of its clips, or the end of it."""

    number: int  # of the video
    clips: Tensor | None = None  # (clips, 3, T, H, W) uint8; None: the end
    starts: np.ndarray = np.empty(0)  # (clips,) seconds in the file, of strided clips
    n_frames: int = 0  # of the whole video, at its end
    problem: str = ""  # why it cannot be used, at its end; earlier clips do not count then


def read_clips(
    videos: Sequence[VideoFile],
    settings: FileClips,
    threads: int,
    done: Collection[int] = (),
) -> Iterator[ReadClips]:
    """Clips of all videos but those that are done, in the order in which they are ready.

    Each video has one end. So many `threads` read at once. Closing the iterator ends them and
    their ffmpeg.

    Raises:
        VieError: ffmpeg is missing or was killed from outside.
    """
    ready: queue.Queue[ReadClips | BaseException] = queue.Queue(WAITING * threads)
    stop = threading.Event()

    def hand_over(part: ReadClips | BaseException) -> None:
        while not stop.is_set():
            try:
                return ready.put(part, timeout=0.2)
            except queue.Full:
                pass

    def read(numbers: list[int]) -> None:
        try:
            together = {number: videos[number] for number in numbers}
            for part in _parts(together, settings, stop):
                if part.number not in done:
                    hand_over(part)
        except BaseException as error:  # for the thread that asked
            hand_over(error)

    # Resizing is spread over threads by torch: here each reader has its own core already.
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        for numbers in _together(videos, settings):
            if not all(number in done for number in numbers):
                pool.submit(read, numbers)
        left = len(videos) - len(done)
        while left:
            part = ready.get()
            if isinstance(part, BaseException):
                raise part
            left -= part.clips is None
            yield part
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _together(videos: Sequence[VideoFile], settings: FileClips) -> list[list[int]]:
    """Numbers of videos that are read together: the pieces of one file, as for shards."""
    groups: dict[tuple[Path, int], list[int]] = {}
    for number, video in enumerate(videos):
        alone = not video.end or settings.stride_seconds is not None
        groups.setdefault((video.path, number if alone else -1), []).append(number)
    return list(groups.values())


def _parts(
    videos: dict[int, VideoFile], settings: FileClips, stop: threading.Event
) -> Iterator[ReadClips]:
    """Clips and ends of videos that are read together."""
    (number, video), *_ = videos.items()
    try:
        if settings.stride_seconds is not None:
            yield from _strided(number, video, settings, stop)
        elif video.end:
            yield from _pieces(videos, settings, stop)
        else:
            jpegs = Stored(spool := Spool(settings.scratch))
            for jpeg in _stream(video, settings.frames, stop):
                jpegs.places.append((spool.file.tell(), len(jpeg)))
                spool.file.write(jpeg)
            yield from _spread(number, jpegs, settings)
    except UnusableVideoError as error:
        yield ReadClips(number, problem=str(error))


def _stream(video: VideoFile, settings: FrameSettings, stop: threading.Event) -> Generator[bytes]:
    excerpt = (video.start, video.end) if video.end else None
    with closing(stream_jpegs(video.path, settings, excerpt)) as jpegs:
        for jpeg in jpegs:
            if stop.is_set():
                raise CancelledError  # nobody is told
            yield jpeg


def _pieces(
    videos: dict[int, VideoFile], settings: FileClips, stop: threading.Event
) -> Iterator[ReadClips]:
    """Evenly spaced clips of some pieces of a file."""
    path = next(iter(videos.values())).path
    pieces = [(video.start, video.end) for video in videos.values()]
    found = extract_pieces(
        path,
        settings.frames,
        pieces,
        settings.scratch,
        lambda path, whole, excerpt: _stream(VideoFile(path, *excerpt), whole, stop),
    )
    for number, frames in zip(videos, found, strict=True):
        if isinstance(frames, UnusableVideoError):
            yield ReadClips(number, problem=str(frames))
        else:
            yield from _spread(number, frames.jpegs, settings)


def _spread(number: int, jpegs: Sequence[bytes], settings: FileClips) -> Iterator[ReadClips]:
    """Evenly spaced clips: where they lie is known when all frames are there."""
    frames = settings.transform.sampling.test(len(jpegs), settings.clips)
    try:
        yield ReadClips(number, _cut(jpegs.__getitem__, frames, settings))
    except UnusableVideoError as error:
        yield ReadClips(number, problem=str(error))
    else:
        yield ReadClips(number, n_frames=len(jpegs))


def _strided(
    number: int, video: VideoFile, settings: FileClips, stop: threading.Event
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
        clips = _cut(held.__getitem__, frames, settings)
        starts = video.start + np.array(complete) / fps
        complete.clear()
        least = begun[0] if begun else n_frames
        for frame in [frame for frame in held if frame < least]:
            del held[frame]
        return ReadClips(number, clips, starts)

    for jpeg in _stream(video, settings.frames, stop):
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
    read, missing = n_frames / fps, (video.end - video.start) - n_frames / fps
    if video.end and missing > ROUNDED:
        raise UnusableVideoError(
            f"clip incomplete: {read:.1f} s from second {video.start:g} on can be read"
        )
    if n_frames < sampling.span:
        frames = wrap(within, n_frames)[None]  # (1, T)
        short = _cut(held.__getitem__, frames, settings)
        yield ReadClips(number, short, np.array([video.start]))
    elif complete:
        yield cut()
    yield ReadClips(number, n_frames=n_frames)


def _cut(jpeg_of: Callable[[int], bytes], frames: np.ndarray, settings: FileClips) -> Tensor:
    """Clips (clips, 3, T, H, W) uint8 of `frames` (clips, T)."""
    geometry = settings.transform.geometry

    def read(wanted: np.ndarray) -> list[bytes]:
        return [jpeg_of(int(frame)) for frame in wanted]

    try:
        many = cut_clip(read, frames.ravel(), geometry.centre_crop(), geometry.size)
    except ValueError as error:
        raise UnusableVideoError(f"a frame cannot be decoded: {error}") from error
    # (3, clips * T, H, W) -> (3, clips, T, H, W) -> (clips, 3, T, H, W)
    clips: Tensor = many.unflatten(1, frames.shape).transpose(0, 1)
    return clips
