"""The motion of all shards of a split, in the order of its index."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vie.frames.index import load_index
from vie.frames.parquet import numbers, read_array
from vie.frames.shards import read_shard_table
from vie.runtime.errors import VieError
from vie.runtime.files import atomic_write

AGAIN = "delete it and run again"


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
    values = np.zeros(len(loaded.sizes), dtype=np.float32)
    filled = np.zeros(len(loaded), dtype=bool)
    for tar, table, path in zip(tars, tables, motions, strict=True):
        rows, shard = read_shard_table(table), number.get(tar.resolve())
        counts, found = numbers(rows["n_frames"]), read_array(path, advice=AGAIN)
        if not np.isfinite(found).all():
            raise VieError(f"{path}: has numbers that are not finite; {AGAIN}")
        if found.shape != (counts.sum(),):
            raise VieError(
                f"{path}: {found.shape}, but its shard has {counts.sum()} frames; {AGAIN}"
            )
        ends = np.cumsum(counts)
        for video, end, count in zip(rows["video"].to_pylist(), ends, counts, strict=True):
            row = row_of.get(video)
            if row is None:  # too short for the index
                continue
            if shard != loaded.shards[row] or count != loaded.n_frames[row]:
                raise VieError(
                    f"{path}: {video!r} lies in another shard of {index} or has other frames "
                    f"there; {AGAIN}"
                )
            first = loaded.first_frames[row]
            values[first : first + count] = found[end - count : end]
            filled[row] = True
    if not filled.all():
        raise VieError(f"{out}: some videos of {index} are in none of its shards; build it again")
    with atomic_write(out) as temporary:
        np.save(temporary, values)
