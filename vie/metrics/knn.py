"""Weighted nearest-neighbour classification: the monitor of protocol section 5."""

import torch
from torch import Tensor

from vie.objectives.bank import nearest
from vie.runtime.errors import VieError


@torch.no_grad()
def knn_predict(
    vectors: Tensor,
    labels: Tensor,
    queries: Tensor,
    *,
    classes: int,
    k: int = 10,
    temperature: float = 0.07,
    chunk: int = 1024,
) -> Tensor:
    """Class probabilities of videos from their nearest bank entries.

    A neighbour v votes for its class with the weight exp(v . f / temperature). The votes are
    normalised per clip, then averaged over the clips of a video.

    Args:
        vectors: (N, D) of unit length, the bank.
        labels: (N,) int64, class of each.
        queries: (V, C, D) of unit length: C clips of each of V videos.
        k: neighbours, at most N.
        temperature: tau.
        chunk: clips at a time.

    Returns:
        (V, classes), in the bank's type, on its device; rows sum to 1.

    Raises:
        VieError: if shapes do not fit, or the bank holds fewer than k videos.
    """
    if queries.ndim != 3 or queries.shape[2] != vectors.shape[1] or len(labels) != len(vectors):
        raise VieError(
            f"bank {tuple(vectors.shape)}, labels {tuple(labels.shape)} and queries "
            f"{tuple(queries.shape)} must have the shapes (N, D), (N,) and (V, C, D)"
        )
    V, C, _ = queries.shape
    labels = labels.to(vectors.device)
    flat = queries.flatten(0, 1).to(vectors)  # (V, C, D) -> (V*C, D)
    probabilities = vectors.new_zeros(V * C, classes)
    with torch.autocast(vectors.device.type, enabled=False):
        for start in range(0, V * C, chunk):
            part = flat[start : start + chunk]
            rows = nearest(part, vectors, k)  # (c, k)
            # (c, k, D) x (c, D, 1) -> (c, k, 1) -> (c, k)
            similarity = torch.bmm(vectors[rows], part[:, :, None])[:, :, 0]
            # Normalised weights are a softmax, which cannot overflow.
            weights = torch.softmax(similarity / temperature, dim=1)
            probabilities[start : start + chunk].scatter_add_(1, labels[rows], weights)
    return probabilities.view(V, C, classes).mean(1)  # (V, C, classes) -> (V, classes)
