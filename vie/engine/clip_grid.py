"""A picture of clips as a network sees them: after crops and colour noise."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vie.clips.color_jitter import MEAN, STD, ColorJitterDraws
from vie.clips.loader import Batch

ROWS, FRAMES = 8, 8  # at most, of a picture
GAP = 2  # pixels between frames


def first_videos(batch: Batch) -> Batch:
    """All views of the first `ROWS` videos of a batch."""

    def of_clips(part: Tensor) -> Tensor:  # (V * B, ...) -> (V * ROWS, ...)
        views = part.view(-1, len(batch.instances), *part.shape[1:])
        return views[:, :ROWS].flatten(0, 1)

    draws = batch.color_jitter
    if draws is not None:
        draws = ColorJitterDraws(*(of_clips(torch.as_tensor(part)) for part in draws))
    return Batch(of_clips(batch.clips), batch.instances[:ROWS], batch.labels[:ROWS], draws)


def clip_grid(clips: Tensor, videos: int) -> Tensor:
    """A row for each clip, with evenly spaced frames from left to right; a row of single frames.

    Args:
        clips: (V * videos, 3, T, H, W) normalised floats, view by view. Rows come video by video.
        videos: of which they are.

    Returns:
        (3, height, width) uint8 on the CPU.
    """
    # (V * videos, ...) -> (V, videos, ...) -> (videos * V, ...)
    rows = clips.detach().unflatten(0, (-1, videos)).transpose(0, 1).flatten(0, 1)[:ROWS]
    T = rows.shape[2]
    frames = torch.linspace(0, T - 1, min(T, FRAMES)).round().long()
    rows = rows.float().cpu()[:, :, frames]  # (rows, 3, frames, H, W)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1, 1) for v in (MEAN, STD))
    rows = F.pad(rows * std + mean, (0, GAP, 0, GAP), value=1.0)
    if T == 1:
        rows = rows.transpose(0, 2)  # (rows, 3, 1, H, W) -> (1, 3, rows, H, W)
    # (rows, 3, frames, H, W) -> (3, rows, H, frames, W) -> (3, rows * H, frames * W)
    picture = rows.permute(1, 0, 3, 2, 4).flatten(3, 4).flatten(1, 2)
    return (255 * picture.clamp(0, 1)).round().byte()
