"""Optical flow of the frames of a shard (protocol section 9)."""

import contextlib
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import simplejpeg

from vie.frames.jpeg import fraction_of
from vie.frames.parquet import numbers, seal_of, write_array
from vie.frames.shards import Place, ShardReader, check_shard, read_shard_table
from vie.runtime.errors import VieError
from vie.runtime.progress import progress
from vie.runtime.workers import process_pool

# Flow is computed on frames at 1, 1/2, 1/4 or 1/8 of their size: the smallest whose shorter side
# has at least this many pixels. More pixels say nothing more about where a video moves.
LEAST_PIXELS = 64


def magnitudes(frames: Sequence[np.ndarray]) -> np.ndarray:
    """Mean length of the optical flow (DIS) from each frame to the next.

    Args:
        frames: T arrays (H, W) uint8, gray.

    Returns:
        (T,) float32 in shares of min(H, W); the last is 0.
    """
    import cv2

    cv2.setNumThreads(1)  # one process per video instead
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = np.zeros(len(frames), dtype=np.float32)
    for t, (one, two) in enumerate(itertools.pairwise(frames)):
        pair = np.ascontiguousarray(one), np.ascontiguousarray(two)
        across, down = cv2.split(flow.calc(*pair, None))  # type: ignore[call-overload]  # no start
        found[t] = cv2.magnitude(across, down).mean() / min(one.shape)
    return found


def write_shard_motion(tar: Path, table: Path, motion: Path, *, processes: int) -> None:
    """Write the motion of all frames of a shard, in the order of its table: (F,) float32 as .npy.

    Raises:
        VieError: the shard does not match its table, a frame cannot be decoded, or a process was
            killed.
    """
    rows = read_shard_table(table)
    check_shard(tar, rows)
    counts = numbers(rows["n_frames"])
    lists = zip(*(rows[name] for name in ("video", "offsets", "sizes", "checksums")), strict=True)
    jobs = [(tar, table, *(one.as_py() for one in row)) for row in lists]
    parts = [np.empty(0, np.float32)]
    with process_pool(processes) as pool:
        done = pool.map(_video_motion, *zip(*jobs, strict=True), chunksize=4) if jobs else ()
        parts += progress(done, total=len(jobs), label=f"motion {tar.stem}", unit="videos")
    values = np.concatenate(parts)
    if len(values) != counts.sum():
        raise VieError(f"{table}: {counts.sum()} frames, but {len(values)} were read from {tar}")
    write_array(values, motion, seal_of(rows))


def _video_motion(
    tar: Path, table: Path, video: str, offsets: list[int], sizes: list[int], checksums: list[int]
) -> np.ndarray:
    """Motion of the frames of one video -> (T,) float32."""
    frames = []
    with contextlib.closing(ShardReader([tar], table)) as reader:
        for frame, place in enumerate(zip(offsets, sizes, checksums, strict=True)):
            jpeg = reader.read(at := Place(0, *place, video, frame))
            try:
                reduced = fraction_of(jpeg, LEAST_PIXELS)
                pixels = simplejpeg.decode_jpeg(jpeg, colorspace="GRAY", **reduced)
            except ValueError as error:
                raise reader.undecodable(at, error) from error
            frames.append(np.asarray(pixels)[:, :, 0])  # (H, W, 1) -> (H, W)
    return magnitudes(frames)
