"""Where videos move: what samplings with windows read (protocol section 9).

`motion.npy` lies beside the index and has one number per frame of the split, frames of all videos
back to back as in the index's array of sizes: how much moves to the next frame of the video, 0 for
a last frame. `vie.frames.flow` finds them, `vie.frames.join_motion` joins them.
"""

from pathlib import Path

import numpy as np

from vie.frames.index import Index
from vie.runtime.errors import VieError


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
