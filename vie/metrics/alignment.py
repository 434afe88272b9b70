"""What can be known of an embedding without labels: alignment, uniformity, same-video retrieval.

Alignment and uniformity are those of Wang and Isola (2020). All vectors have unit length.
"""

import math

import torch
from torch import Tensor

from vie.runtime.errors import VieError

TIED = 1e-6  # cosines that differ by less are the same


def alignment(first: Tensor, second: Tensor) -> float:
    """Mean squared distance of two clips of one video: 0 if they are the same, at most 4.

    Args:
        first, second: (V, D) of unit length, row by row of the same video.
    """
    _check(first, second)
    return float((first.float() - second.float()).square().sum(1).mean())


@torch.no_grad()
def uniformity(vectors: Tensor, chunk: int = 1024) -> float:
    """Log of the mean of exp(-2 d^2) over all pairs of different vectors, d their distance.

    0 if all vectors are the same; the lower, the more evenly they lie on the sphere.

    Args:
        vectors: (N, D) of unit length, N >= 2.
        chunk: vectors that are compared with all others at a time.

    Raises:
        VieError: there are fewer than two.
    """
    N = len(vectors)
    if N < 2:
        raise VieError(f"uniformity of {N} vectors: it needs 2 at least")
    vectors, total = vectors.float(), 0.0
    with torch.autocast(vectors.device.type, enabled=False):
        for part in vectors.split(chunk):
            squared = (2 - 2 * part @ vectors.T).clamp_(min=0)  # (c, D) x (D, N) -> (c, N)
            total += float(squared.mul_(-2).exp_().sum(dtype=torch.float64))
    return math.log((total - N) / (N * (N - 1)))  # a vector's pair with itself counts 1


@torch.no_grad()
def same_video_retrieval(
    first: Tensor, second: Tensor, files: Tensor | None = None, chunk: int = 1024
) -> float:
    """R@1 of one clip of each video among another clip of every video.

    A clip counts if no other video's clip is as near as its own video's: vectors that are all the
    same earn 0.

    Args:
        first, second: (V, D) of unit length, row by row of the same video.
        files: (V,) int64, the file of each: other pieces of its file do not compete with a video.
        chunk: clips that are compared with all others at a time.

    Returns:
        A share, 0 to 1. Chance is 1 / V, if no two videos are of one file.
    """
    _check(first, second)
    files = torch.arange(len(first)) if files is None else files
    second, files, hits = second.float(), files.to(first.device), 0
    with torch.autocast(first.device.type, enabled=False):
        for start, part in enumerate(first.float().split(chunk)):
            similarity = part @ second.T  # (c, D) x (D, V) -> (c, V)
            rows = torch.arange(len(part), device=part.device)
            own = similarity[rows, rows + start * chunk]  # (c,)
            same = files[rows + start * chunk, None] == files  # (c, 1) == (V,) -> (c, V)
            similarity[same] = -2
            hits += int((own > similarity.amax(1) + TIED).sum())
    return hits / len(first)


def _check(first: Tensor, second: Tensor) -> None:
    if first.shape != second.shape or first.ndim != 2 or not len(first):
        raise VieError(
            f"two clips of each video: {tuple(first.shape)} and {tuple(second.shape)} must both be "
            "(V, D), and not empty"
        )
