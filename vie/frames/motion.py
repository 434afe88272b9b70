"""How much each frame of a video moves, for samplings with windows (protocol section 9).

`motion.npy` lies beside the index. It has one number per frame of the split, with the frames of all
videos back to back as in the index's array of JPEGs: how much moves from this frame to the next
one, 0 for the last frame of a video. `vie.frames.flow` computes the numbers of a shard. Both kinds
of files have a seal, which fits only the index or the table that they were made of.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vie.frames.index import Index, load_index
from vie.frames.parquet import numbers, read_array, seal_of, write_array
from vie.frames.shards import read_shard_table
from vie.runtime.errors import VieError, made_anew


class Motion:
    """The motion of every video of the index it lies beside, read from disk video by video.

    Raises:
        VieError: it cannot be read or is of another index.
    """

    def __init__(self, path: Path, index: Index) -> None:
        self.path, self.index = Path(path), index
        self.values = read_array(self.path, index.seal)

    def __reduce__(self) -> tuple[type["Motion"], tuple[Path, Index]]:
        # A worker gets the path, as for the index.
        return Motion, (self.path, self.index)

    def of(self, instance: int) -> np.ndarray:
        """(n_frames,) float32 of one video."""
        first = int(self.index.first_frames[instance])
        return np.asarray(self.values[first : first + int(self.index.n_frames[instance])])


def join_motion(
    index: Path, tars: Sequence[Path], tables: Sequence[Path], motions: Sequence[Path], out: Path
) -> None:
    """Join the motion of all shards of a split, which are in one order, as `motion.npy`.

    Raises:
        VieError: a shard does not match its motion or the index.
    """
    loaded = load_index(index)
    number = {path.resolve(): i for i, path in enumerate(loaded.reader.shards)}
    row_of = {video: i for i, video in enumerate(loaded.videos.to_pylist())}
    values = np.zeros(len(loaded.jpegs), dtype=np.float32)
    filled = np.zeros(len(loaded), dtype=bool)
    for tar, table, path in zip(tars, tables, motions, strict=True):
        rows, shard = read_shard_table(table), number.get(tar.resolve())
        counts, found = numbers(rows["n_frames"]), read_array(path, seal_of(rows))
        ends = np.cumsum(counts)
        for video, end, count in zip(rows["video"].to_pylist(), ends, counts, strict=True):
            row = row_of.get(video)
            if row is None:  # too short for the index
                continue
            if shard != loaded.shards[row] or count != loaded.n_frames[row]:
                raise VieError(
                    f"{path}: {video!r} lies in another shard of {index} or has other frames "
                    f"there; {made_anew(path, index)}"
                )
            first = loaded.first_frames[row]
            values[first : first + count] = found[end - count : end]
            filled[row] = True
    if not filled.all():
        raise VieError(f"some videos of {index} are in none of its shards; {made_anew(index)}")
    write_array(values, out, loaded.seal)
