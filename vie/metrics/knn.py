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

    A neighbour v votes for its class with the weight exp(v . f / temperature). The votes for all
    clips of a video are added, so a clip counts the more, the nearer its neighbours are.

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
    logits, classes_of = vectors.new_empty(V * C, k), labels.new_empty(V * C, k)
    with torch.autocast(vectors.device.type, enabled=False):
        for start in range(0, V * C, chunk):
            here = slice(start, start + chunk)
            rows = nearest(flat[here], vectors, k)  # (c, k)
            # (c, k, D) x (c, D, 1) -> (c, k, 1) -> (c, k)
            logits[here] = torch.bmm(vectors[rows], flat[here][:, :, None])[:, :, 0] / temperature
            classes_of[here] = labels[rows]
    # (V*C, k) -> (V, C*k): shares of all votes are a softmax, which cannot overflow
    weights = torch.softmax(logits.view(V, C * k), dim=1)
    probabilities = vectors.new_zeros(V, classes)
    return probabilities.scatter_add_(1, classes_of.view(V, C * k), weights)
