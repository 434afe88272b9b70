"""What some videos of a dataset say of all of them: how many can be used, how long, how large."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

from vie.datasets.file_names import on_disk
from vie.datasets.finding import Found
from vie.datasets.layouts.flat import cut_up
from vie.datasets.video import Video
from vie.frames.contents import frame_size, read_contents, reading_seconds
from vie.frames.process import MAX_PIXELS
from vie.frames.unusable import MISSING, UnusableVideoError
from vie.runtime.errors import VieError
from vie.runtime.randomness import generator

MOST = 100  # videos that are opened
TIMED_OUT = "timed out"  # reason of a file that takes too long to read, and may be a good one


class Survey(NamedTuple):
    """Of the videos of a dataset, before their frames are extracted."""

    train: int  # videos or pieces that are listed to train on
    val: int  # and to validate
    seconds: list[float]  # length of each one that was looked at and can be read, sorted
    shorter_side: int  # pixels, median of these
    broken: Counter[str]  # reason -> how many of those looked at cannot be read

    @property
    def sampled(self) -> int:
        """How many were looked at."""
        return len(self.seconds) + self.broken.total()

    def longer(self, most_seconds: float) -> int:
        """How many of them play longer than that."""
        return sum(length > most_seconds for length in self.seconds)

    def usable(self, listed: int, most_seconds: float, cut: dict[str, int] | None = None) -> int:
        """How many of some listed videos can be used, by the share of those that were looked at;
        with `cut`, how many pieces they make."""
        kept = [length for length in self.seconds if cut or length <= most_seconds]
        if cut:
            pieces = sum(len(cut_up(Found("a", "a"), length, cut)) for length in kept)
        else:
            pieces = len(kept)
        return listed * pieces // max(self.sampled, 1)

    def mean_seconds(self, most_seconds: float, cut: dict[str, int] | None = None) -> float:
        """Mean length of those that can be used, or of their pieces."""
        if cut:
            return min(float(cut["seconds"]), mean(self.seconds or [0]))
        return mean([length for length in self.seconds if length <= most_seconds] or [0])


def survey(
    folder: Path,
    train: Sequence[Video],
    val: Sequence[Video],
    *,
    timeout_seconds: float,
    processes: int,
    max_pixels: int = MAX_PIXELS,
) -> Survey:
    """Look at up to `MOST` videos, which are drawn by address: the same ones every time.

    Args:
        folder: that the videos' paths are relative to.
        train, val: of the manifests.
        timeout_seconds: for one file; a large one has more (`reading_seconds`).
        processes: of ffmpeg at once.
        max_pixels: of a frame.

    Raises:
        VieError: none of the videos that were looked at can be read, or ffmpeg is missing.
    """
    every = [*train, *val]
    drawn = generator(0, "survey").permutation(len(every))[:MOST]
    seconds, sides, broken = [], [], Counter[str]()
    with ThreadPoolExecutor(max(processes, 1)) as pool:
        limits = timeout_seconds, max_pixels
        looked = [pool.submit(_look, folder, every[i], *limits) for i in drawn]
        for one in looked:
            try:
                length, side = one.result()
            except UnusableVideoError as error:
                reason = str(error).partition(":")[0]
                broken[TIMED_OUT if reason.startswith(TIMED_OUT) else reason] += 1
            else:
                seconds.append(length)
                sides.append(side)
    if not seconds:
        reason, count = broken.most_common(1)[0]
        raise VieError(
            f"none of {len(drawn)} videos in {folder} that were looked at can be read "
            f"({count} of them: {reason}): there is nothing to give advice on"
        )
    return Survey(len(train), len(val), sorted(seconds), int(median(sides)), broken)


def _look(folder: Path, video: Video, timeout_seconds: float, max_pixels: int) -> tuple[float, int]:
    """Seconds of a video, or of the piece of its file that it is, and its shorter side."""
    path = on_disk(folder, video.path)
    if not os.path.exists(path):
        raise UnusableVideoError(MISSING)
    allowed = reading_seconds(path, timeout_seconds)
    contents = read_contents(path, timeout_seconds=allowed, max_pixels=max_pixels)
    length = contents.span()[1]
    size = frame_size(path, contents, timeout_seconds=timeout_seconds, max_pixels=max_pixels)
    if video.end:
        length = min(length, video.end) - video.start
    return max(length, 0), min(size)
