"""A few videos of a dataset, extracted by the real code, to measure extraction and loading on."""

import logging
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vie.datasets.layouts.video_files import listed
from vie.datasets.synthetic.write_videos import encode
from vie.datasets.video import Video
from vie.frames.extract import Shard, extract_shard, read_rejected
from vie.frames.ffmpeg import FrameSettings
from vie.frames.index import build_index, load_index
from vie.frames.manifest import class_names, write_manifest
from vie.plan.datasets import Datasets
from vie.runtime.errors import VieError

log = logging.getLogger(__name__)
SAMPLES = 16  # videos of a dataset
# A video where none is here: 10 s of 25 frames of the size that most of Kinetics has at least.
FRAMES, HEIGHT, WIDTH = 250, 360, 640
NATURAL = 1.4  # the spectrum of photographs falls off with about this power of the frequency
MADE = 4  # such videos


class Sample(NamedTuple):
    """Extracted videos.

    Attributes:
        index: index.parquet.
        seconds: of one core, to extract a video, CPU time.
        jpeg_bytes: of a frame, on average.
        what: the videos in words.
    """

    index: Path
    seconds: float
    jpeg_bytes: float
    what: str


def sample(name: str, datasets: Datasets, folder: Path, processes: int) -> Sample:
    """Extract up to `SAMPLES` videos of a dataset: its own if they are here and one of them can be
    used, else made ones.

    Args:
        name: of the dataset.
        datasets: of the config.
        folder: to work in.
        processes: ffmpeg processes at once.

    Raises:
        VieError: none of the videos can be used.
    """
    settings = datasets.config["datasets"][name]
    videos, root = _own(name, datasets)
    if videos:
        try:
            what = f"{len(videos)} of its videos"
            return _extracted(name, videos, root, folder / "own", settings, processes, what)
        except VieError as error:
            log.warning("%s; synthetic videos are measured in their place", error)
    (folder / "made").mkdir(parents=True)
    videos = _made(settings, folder / "made" / "videos")
    what = "embedded videos" if "generator" in settings else "synthetic videos"
    here = (folder / "made" / "videos", folder / "made")
    return _extracted(name, videos, *here, settings, processes, what)


def _extracted(
    name: str,
    videos: list[Video],
    root: Path,
    folder: Path,
    settings: dict[str, Any],
    processes: int,
    what: str,
) -> Sample:
    """Extract videos below `root` into `folder`."""
    (folder / "frames").mkdir(parents=True)
    write_manifest(videos, class_names(videos), folder / "manifest.parquet")
    files = [folder / "frames" / f"0.{suffix}" for suffix in ("tar", "parquet", "rejected.csv")]
    start = time.process_time() + children_seconds()
    extract_shard(
        Shard(folder / "manifest.parquet", 0, 1, *files),
        root,
        FrameSettings(**settings["frames"]),
        processes=processes,
    )
    seconds = time.process_time() + children_seconds() - start
    if len(refused := read_rejected(files[-1])) == len(videos):
        reasons = listed(list(dict.fromkeys(f"{row['path']}: {row['reason']}" for row in refused)))
        raise VieError(
            f"datasets.{name}: none of {len(videos)} videos of {root} can be used ({reasons})"
        )
    build_index(
        *(folder / "manifest.parquet", *([file] for file in files)),
        *(folder / "index.parquet", folder / "index.sizes.npy", folder / "rejected.csv"),
        min_frames=1,
    )
    index = load_index(folder / "index.parquet")
    mean = float(np.mean(index.sizes))
    return Sample(folder / "index.parquet", seconds / len(index), mean, f"{name}: {what}")


def children_seconds() -> float:
    """CPU time of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _own(name: str, datasets: Datasets) -> tuple[list[Video], Path]:
    """Evenly spaced videos of the dataset that are here, and the folder they lie in."""
    root, found = datasets.folders(name)[0], []
    for split in datasets.config["datasets"][name]["shards"]:
        try:
            listing = datasets.listing(name, split)
        except VieError:
            continue  # the job that reads the list will say what is wrong with it
        found += listing.there if listing else []
    return evenly(found, root), root


def evenly(videos: Sequence[Video], root: Path) -> list[Video]:
    """Up to `SAMPLES` evenly spaced ones of the videos: each chosen one, or where its file cannot
    be read (a link that leads nowhere) the next that can, of up to `SAMPLES` more."""
    chosen: dict[str, Video] = {}
    count = min(SAMPLES, len(videos))
    for first in (i * len(videos) // count for i in range(count)):
        for video in videos[first : first + SAMPLES]:
            if video.video not in chosen and (root / video.path).is_file():
                chosen[video.video] = video
                break
    return list(chosen.values())


def _made(settings: dict[str, Any], folder: Path) -> list[Video]:
    """Videos as the dataset's generator draws them, or with the spectrum of photographs."""
    folder.mkdir(parents=True)
    frames = _generated() if "generator" in settings else _natural()
    videos = []
    for i, one in enumerate(frames):
        encode(one, folder / f"{i}.mp4")
        videos.append(Video(f"{i}", f"{i}.mp4", "a"))
    return videos


def _generated() -> Sequence[np.ndarray]:
    from vie.datasets.synthetic.render import CLASSES, render

    return [render(CLASSES[i % len(CLASSES)], 0, i) for i in range(SAMPLES)]


def _natural() -> Sequence[np.ndarray]:
    """Pictures with the spectrum of photographs, over which the camera moves."""
    rng = np.random.default_rng(0)
    return [_panned(_picture(rng, HEIGHT * 2, WIDTH * 2), rng) for _ in range(MADE)]


def _picture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(height, width, 3) uint8."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    fall = 1 / np.maximum(frequency, 1 / height) ** NATURAL
    noise = np.fft.rfft2(rng.normal(size=(3, height, width)))
    planes = np.fft.irfft2(noise * fall, (height, width))
    planes = planes.mean(0) + 0.3 * planes  # channels of photographs are alike
    planes = (planes - planes.min()) / np.ptp(planes) * 255
    return planes.transpose(1, 2, 0).astype(np.uint8)  # (3, height, width) -> (height, width, 3)


def _panned(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(FRAMES, HEIGHT, WIDTH, 3): from one random place of a picture to another."""
    places = rng.random((2, 2)) * (HEIGHT, WIDTH)
    shares = np.linspace(0, 1, FRAMES)[:, None]
    path = (places[0] * (1 - shares) + places[1] * shares).astype(int)  # (FRAMES, 2)
    return np.stack([picture[y : y + HEIGHT, x : x + WIDTH] for y, x in path])
