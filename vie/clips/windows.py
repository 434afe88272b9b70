"""A whole video as consecutive windows, for testing finetuned networks (protocol section 8).

The video is cut into windows of one length, from its first frame on. Each window gives the clip in
its middle. If frames are left after the last window, one more window ends with the video and
overlaps the one before, so every frame is in some window. A video that is shorter than a window is
one window, looped.
"""

import numpy as np

from vie.clips.loader import VideoClips
from vie.clips.sampling import Sampling, wrap
from vie.frames.index import Index

WINDOW = 16  # frames, protocol section 8
CLIPS_TOGETHER = 64  # most clips of a batch, unless a single video has more


def window_length(sampling: Sampling) -> int:
    """Frames of a window: `WINDOW`, or the span of a clip where that is longer."""
    return max(WINDOW, sampling.span)


def windows(sampling: Sampling, n_frames: int) -> np.ndarray:
    """Frames of the clip in the middle of every window -> (windows, frames) int64."""
    length = window_length(sampling)
    starts = np.arange(0, max(n_frames - length, 0) + 1, length)
    if (left := n_frames - length - starts[-1]) > 0:
        starts = np.append(starts, starts[-1] + left)
    middle = sampling.middle(length)  # (frames,)
    return wrap(starts[:, None] + middle, n_frames)  # (windows, 1) + (frames,)


def window_counts(index: Index, videos: np.ndarray, sampling: Sampling) -> np.ndarray:
    """(V,) windows of each of some videos."""
    return np.array([len(windows(sampling, int(n))) for n in index.n_frames[videos]], np.int64)


def window_batches(counts: np.ndarray, videos: np.ndarray) -> list[np.ndarray]:
    """Videos in order, in batches of about `CLIPS_TOGETHER` windows: keys of `WindowClips`."""
    batches: list[list[int]] = []
    together = CLIPS_TOGETHER
    for video, count in zip(videos, counts, strict=True):
        if together + count > CLIPS_TOGETHER:
            batches.append([])
            together = 0
        batches[-1].append(int(video))
        together += int(count)
    return [np.array(batch) for batch in batches]


class WindowClips(VideoClips):
    """The clip in the middle of every window of every video."""

    def frames_of(self, n_frames: int) -> np.ndarray:
        """(windows, T)."""
        return windows(self.transform.sampling, n_frames)
