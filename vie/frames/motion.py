"""How much each frame of a video moves, for samplings with windows (protocol section 9).

`motion.npy` lies beside the index. It has one number per frame of the split, with the frames of all
videos back to back as in the index's array of sizes: how much moves from this frame to the next
one, 0 for the last frame of a video. `vie.frames.flow` computes the numbers of a shard,
`vie.frames.join_motion` joins those of all shards.
"""

from pathlib import Path

import numpy as np

from vie.frames.index import Index
from vie.frames.parquet import read_array
from vie.runtime.errors import VieError


class Motion:
    """The motion of every video of an index, read from disk video by video.

    Args:
        path: motion.npy.
        index: the one it lies beside.

    Raises:
        VieError: it cannot be read or is of another index.
    """

    def __init__(self, path: Path, index: Index) -> None:
        self.path, self.index = Path(path), index
        self.values = read_array(self.path, advice="delete it and run again")
        if self.values.shape != index.sizes.shape or self.values.dtype != np.float32:
            raise VieError(
                f"{path}: {self.values.shape} {self.values.dtype}, but {index.path} has "
                f"{len(index.sizes)} frames; delete it and run again"
            )

    def __reduce__(self) -> tuple[type["Motion"], tuple[Path, Index]]:
        # A worker gets the path, as for the index.
        return Motion, (self.path, self.index)

    def of(self, instance: int) -> np.ndarray:
        """(n_frames,) float32 of one video."""
        first = int(self.index.first_frames[instance])
        return np.asarray(self.values[first : first + int(self.index.n_frames[instance])])
