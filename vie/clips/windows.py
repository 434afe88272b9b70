"""A whole video as consecutive windows, for testing finetuned networks (protocol section 8).

The video is cut into windows of one length, from its first frame on. Each window gives the clip in
its middle. If frames are left after the last window, one more window ends with the video and
overlaps the one before, so every frame is in some window. A video that is shorter than a window is
one window, looped.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from vie.clips.loader import Batch, ClipDataset, load_clip
from vie.clips.sampling import Sampling, wrap
from vie.clips.transform import ClipTransform
from vie.frames.index import Index, load_index

WINDOW = 16  # frames, protocol section 8
CLIPS_TOGETHER = 64  # most clips of a batch, unless a single video has more


def window_length(sampling: Sampling, window: int = WINDOW) -> int:
    """Frames of a window: `window`, or the span of a clip where that is longer."""
    return max(window, sampling.span)


def windows(sampling: Sampling, n_frames: int, window: int = WINDOW) -> np.ndarray:
    """Frames of the clip in the middle of every window -> (windows, frames) int64.

    Args:
        sampling: of a clip.
        n_frames: of the video.
        window: frames of a window, if a clip fits into so many.
    """
    length = window_length(sampling, window)
    starts = np.arange(0, max(n_frames - length, 0) + 1, length)
    if (left := n_frames - length - starts[-1]) > 0:
        starts = np.append(starts, starts[-1] + left)
    middle = sampling.test(length, 1)[0]  # (frames,), of a video as long as a window
    return wrap(starts[:, None] + middle, n_frames)  # (windows, 1) + (frames,)


def window_counts(index: Index, videos: np.ndarray, sampling: Sampling) -> np.ndarray:
    """(V,) windows of each of some videos."""
    counts = index.n_frames[videos]
    return np.array([len(windows(sampling, int(n))) for n in counts], dtype=np.int64)


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


class WindowClips(ClipDataset):
    """All windows of one video after the other. A key is the list of videos of a batch."""

    def __init__(self, index: Path, transform: ClipTransform) -> None:
        self.index, self.transform = load_index(index), transform

    def __getitem__(self, instances: Sequence[int]) -> Batch:
        transform, clips, counts = self.transform, [], []
        crop, size = transform.geometry.centre_crop(), transform.geometry.size
        for instance in map(int, instances):
            frames = windows(transform.sampling, int(self.index.n_frames[instance]))
            # All windows at once: where the last one overlaps, frames are decoded once.
            many = load_clip(self.index, instance, frames.ravel(), crop, size)
            many = many.view(3, *frames.shape, size, size)  # (3, W * T, H, W) -> (3, W, T, H, W)
            clips.append(many.transpose(0, 1))  # (3, W, T, H, W) -> (W, 3, T, H, W)
            counts.append(len(frames))
        rows = np.repeat(np.asarray(instances, dtype=np.int64), counts)
        return Batch(
            torch.cat(clips),
            torch.from_numpy(rows),
            torch.from_numpy(self.index.labels[rows]),
            None,
        )
