"""How much moves from each frame to the next: the magnitude of optical flow (protocol section 9).

Needed by clip samplings with windows alone. `motion.npy` lies beside the index and has one number
per frame of the split, frames of all videos back to back as in the index's array of sizes: the
mean length of the flow to the next frame of the video in shares of the shorter side, 0 for a last
frame.
"""

import itertools
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import simplejpeg

from vie.data.index import Index, load_index
from vie.data.shards import ShardReader, read_shard_table
from vie.data.tables import numbers
from vie.errors import VieError
from vie.files import whole
from vie.progress import progress

# Flow is found on frames decoded at a half, a quarter or an eighth of their size, the smallest
# with a shorter side of this many pixels: where a video moves does not need more.
LEAST_PIXELS = 64


class Motion:
    """The motion of every video of an index; read from disk video by video.

    Args:
        path: motion.npy.
        index: the one it lies beside.

    Raises:
        VieError: it cannot be read or is not of this index.
    """

    def __init__(self, path: Path, index: Index) -> None:
        self.path, self.index = Path(path), index
        try:
            self.values = np.load(self.path, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise VieError(f"{path}: cannot be read ({error}); delete it and run again") from error
        if self.values.shape != index.sizes.shape or self.values.dtype != np.float32:
            raise VieError(
                f"{path}: {self.values.shape} {self.values.dtype}, but {index.path} has "
                f"{len(index.sizes)} frames; delete it and run again"
            )

    def __reduce__(self) -> tuple:
        # Sent to a worker by its path, as the index is.
        return Motion, (self.path, self.index)

    def of(self, instance: int) -> np.ndarray:
        """(n_frames,) float32 of one video."""
        first = int(self.index.first_frames[instance])
        return np.asarray(self.values[first : first + int(self.index.n_frames[instance])])


def magnitudes(frames: Sequence[np.ndarray]) -> np.ndarray:
    """Mean length of the optical flow (DIS) from each frame to the next.

    Args:
        frames: T arrays (H, W) uint8, grey.

    Returns:
        (T,) float32 in shares of min(H, W); the last is 0.
    """
    import cv2

    cv2.setNumThreads(1)  # videos are done side by side
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = np.zeros(len(frames), dtype=np.float32)
    for t, (one, two) in enumerate(itertools.pairwise(frames)):
        pair = np.ascontiguousarray(one), np.ascontiguousarray(two)
        across, down = cv2.split(flow.calc(*pair, None))
        found[t] = cv2.magnitude(across, down).mean() / min(one.shape)
    return found


def write_shard_motion(tar: Path, table: Path, motion: Path, *, processes: int) -> None:
    """Motion of all frames of a shard, in the order of its table -> (F,) float32 as .npy.

    Args:
        tar, table: the shard.
        motion: to write.
        processes: videos at once.

    Raises:
        VieError: the shard does not match its table, or a frame cannot be decoded.
    """
    rows = read_shard_table(table)
    counts = numbers(rows["n_frames"])
    videos = rows["video"].to_pylist()
    jobs = [
        (tar, video, offsets.as_py(), sizes.as_py())
        for video, offsets, sizes in zip(videos, rows["offsets"], rows["sizes"], strict=True)
    ]
    parts = [np.empty(0, np.float32)]
    with ProcessPoolExecutor(processes) as pool:
        done = pool.map(_video_motion, *zip(*jobs, strict=True), chunksize=4) if jobs else ()
        parts += progress(done, total=len(jobs), label=f"motion {tar.stem}", unit="videos")
    values = np.concatenate(parts)
    if len(values) != counts.sum():
        raise VieError(f"{table}: {counts.sum()} frames, but {len(values)} were read from {tar}")
    with whole(motion) as temporary:
        np.save(temporary, values)


def _video_motion(tar: Path, video: str, offsets: list[int], sizes: list[int]) -> np.ndarray:
    reader = ShardReader([tar])
    frames = []
    try:
        for frame, (offset, size) in enumerate(zip(offsets, sizes, strict=True)):
            frames.append(_grey(reader.read(0, offset, size, video, frame)))
    except ValueError as error:
        if isinstance(error, VieError):
            raise
        raise VieError(
            f"{tar}: video {video!r} has a frame that cannot be decoded ({error}); delete the "
            "shard and its table to have them made again"
        ) from error
    finally:
        reader.close()
    return magnitudes(frames)


def _grey(jpeg: bytes) -> np.ndarray:
    """(H, W) uint8, decoded at a fraction of its size where that is enough."""
    height, width, *_ = simplejpeg.decode_jpeg_header(jpeg)
    fraction = 1
    while min(height, width) // (2 * fraction) >= LEAST_PIXELS and fraction < 8:
        fraction *= 2
    least = {} if fraction == 1 else {"min_height": height // fraction, "min_width": 1}
    return simplejpeg.decode_jpeg(jpeg, colorspace="GRAY", **least)[:, :, 0]


def join_motion(
    index: Path, tars: Sequence[Path], tables: Sequence[Path], motions: Sequence[Path], out: Path
) -> None:
    """Motion of all shards of a split -> `motion.npy`, in the order of the index.

    Args:
        index: index.parquet of the split.
        tars, tables, motions: of each shard, in one order.
        out: to write.

    Raises:
        VieError: a shard does not match its motion or the index.
    """
    loaded = load_index(index)
    number = {path.resolve(): i for i, path in enumerate(loaded.reader.shards)}
    row_of = {video: i for i, video in enumerate(loaded.videos.to_pylist())}
    values = np.full(len(loaded.sizes), np.nan, dtype=np.float32)
    again = "delete it and run again"
    for tar, table, path in zip(tars, tables, motions, strict=True):
        rows, found = read_shard_table(table), np.load(path)
        counts = numbers(rows["n_frames"])
        if found.shape != (counts.sum(),):
            raise VieError(
                f"{path}: {found.shape}, but its shard has {counts.sum()} frames; {again}"
            )
        ends = np.cumsum(counts)
        for video, end, count in zip(rows["video"].to_pylist(), ends, counts, strict=True):
            row = row_of.get(video)
            if row is None:  # too short for the index
                continue
            if number.get(Path(tar).resolve()) != loaded.shards[row]:
                raise VieError(f"{path}: {video!r} lies in another shard of {index}; {again}")
            first = loaded.first_frames[row]
            values[first : first + count] = found[end - count : end]
    if np.isnan(values).any():
        raise VieError(f"{out}: some videos of {index} are in none of its shards; build it again")
    with whole(out) as temporary:
        np.save(temporary, values)
