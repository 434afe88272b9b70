"""Seconds and memory of the index at the paper's scale: 240,000 videos, 60 million frames.

    uv run python benchmarks/index.py
    uv run python benchmarks/index.py --images

Writes the tables of 200 shards; with --images those of ImageNet, 1,281,167 videos of a single frame
in 128 shards. Their tars are as long as real ones, but mostly holes. Builds the index from them as
rule `index` does, and loads it in a new process as a worker of the loader does:

    lists   seconds of writing the manifest, and the largest resident memory of its process
    build   seconds, and the largest resident memory of the process that builds
    load    seconds of `load_index`, without importing its modules
    worker  resident memory of the process afterwards, with its modules, and the part of the loading
"""

import argparse
import multiprocessing
import resource
import tarfile
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np

from vie.datasets.video import Video
from vie.frames.extract import write_rejected
from vie.frames.index import build_index, load_index
from vie.frames.manifest import class_names, write_manifest
from vie.frames.parquet import Column, make_table, write_table
from vie.frames.shards import (
    BLOCK,
    SPOT_CHECKS,
    TABLE_SCHEMA,
    blocks,
    frame_offsets,
    member_name,
    tar_bytes,
)

CLASSES = 400
IMAGES, IMAGE_SHARDS, IMAGE_CLASSES = 1_281_167, 128, 1_000


def header(video: str, size: int) -> bytes:
    """The tar header of a video's first frame."""
    info = tarfile.TarInfo(member_name(video, 0))
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)


def write_shard(
    folder: Path,
    name: str,
    videos: list[Video],
    rng: np.random.Generator,
    frames: tuple[int, int] = (200, 301),
) -> None:
    """Table and tar of one shard. Only the bytes of the tar that a build reads are written.

    `frames`: the least of a video, and one more than the most.
    """
    counts = rng.integers(*frames, len(videos))
    sizes = rng.integers(8_000, 40_000, counts.sum())
    offsets = frame_offsets(BLOCK, sizes)
    ends = np.cumsum(counts)
    starts = ends - counts
    checksums = rng.integers(2**32, size=counts.sum())
    with (folder / f"{name}.tar").open("wb") as tar:
        for i in np.unique(np.linspace(0, len(videos) - 1, SPOT_CHECKS).astype(int)):
            start = starts[i]
            tar.seek(int(offsets[start]) - BLOCK)
            tar.write(header(videos[i].video, int(sizes[start])))
            checksums[start] = zlib.crc32(bytes(int(sizes[start])))
        tar.truncate(tar_bytes(int(offsets[-1] + blocks(int(sizes[-1])))))
    columns: dict[str, Column] = {
        "video": [video.video for video in videos],
        "path": [video.path for video in videos],
        "label": [video.label for video in videos],
        "class": [int(video.label.split()[1]) for video in videos],
        "n_frames": counts,
        "width": np.full(len(videos), 427),
        "height": np.full(len(videos), 320),
        "offsets": np.split(offsets, ends[:-1]),
        "sizes": np.split(sizes, ends[:-1]),
        "checksums": np.split(checksums, ends[:-1]),
    }
    settings = {"fps": "25", "shorter_side": "320", "quality": "3", "shards": "0"}
    table = make_table(columns, TABLE_SCHEMA.with_metadata(settings))
    write_table(table, folder / f"{name}.parquet")
    write_rejected([], folder / f"{name}.rejected.csv")


def list_videos(folder: Path, videos: list[Video]) -> tuple[float, float]:
    """(seconds, largest resident MiB) of writing a manifest."""
    start = time.perf_counter()
    write_manifest(videos, class_names(videos), folder / "manifest.parquet")
    taken = time.perf_counter() - start
    return taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def build(folder: Path, shards: int, least: int) -> tuple[float, float]:
    """(seconds, largest resident MiB) of a build."""
    names = [str(folder / "frames" / str(i)) for i in range(shards)]
    start = time.perf_counter()
    build_index(
        folder / "manifest.parquet",
        [Path(f"{name}.tar") for name in names],
        [Path(f"{name}.parquet") for name in names],
        [Path(f"{name}.rejected.csv") for name in names],
        folder / "index.parquet",
        folder / "index.sizes.npy",
        folder / "rejected.csv",
        min_frames=least,
    )
    taken = time.perf_counter() - start
    return taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def resident() -> float:
    """Resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def load(path: Path) -> tuple[float, float, float]:
    """(seconds, resident MiB after, MiB that loading added)."""
    before, start = resident(), time.perf_counter()
    index = load_index(path)
    taken = time.perf_counter() - start
    index.jpegs[int(index.first_frames[-1])]  # one video's sizes, as for a clip
    return taken, resident(), resident() - before


def main() -> None:
    """Write the shards, then measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--videos", type=int, default=240_000)
    parser.add_argument("--shards", type=int, default=200)
    parser.add_argument("--images", action="store_true")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    if arguments.images:
        count, shards, classes, frames = IMAGES, IMAGE_SHARDS, IMAGE_CLASSES, (1, 2)
    else:
        count, shards, classes, frames = arguments.videos, arguments.shards, CLASSES, (200, 301)
    least = min(frames[0], 3)
    videos = [
        Video(f"video{i:011d}_000010_000020", f"train/video{i}.mp4", f"class {i % classes:03d}")
        for i in range(count)
    ]
    new = multiprocessing.get_context("spawn").Pool
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "frames").mkdir()
        print(f"{count:,} {'images' if arguments.images else 'videos'} in {shards} shards")
        with new(1) as pool:
            seconds, memory = pool.apply(list_videos, (folder, videos))
        print(f"lists   {seconds:6.1f} s  {memory:7.0f} MiB")
        for shard in range(shards):
            write_shard(folder / "frames", str(shard), videos[shard::shards], rng, frames)
        with new(1) as pool:
            seconds, memory = pool.apply(build, (folder, shards, least))
        print(f"build   {seconds:6.1f} s  {memory:7.0f} MiB")
        with new(1) as pool:
            seconds, memory, added = pool.apply(load, (folder / "index.parquet",))
        print(f"load    {seconds:6.3f} s")
        print(f"worker  {memory:6.0f} MiB, of which loading added {added:.0f}")


if __name__ == "__main__":
    main()
