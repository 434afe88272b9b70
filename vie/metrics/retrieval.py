"""Retrieval: whether the gallery videos that are nearest to a query are of its class.

The similarity is the cosine. Two items whose similarities to a query are the same, to a millionth,
are tied, and of tied items those of other classes come first: the order of the gallery does not
matter, and a network that gives all videos one vector earns nothing.
"""

from typing import NamedTuple

import numpy as np

from vie.runtime.errors import VieError

KS = (1, 5, 10, 20, 50)
STEPS = 2**20  # similarities that are told apart, from 0 to 1
AT_ONCE = 2**25  # similarities in memory at a time: 128 MB, twice


class Ranking(NamedTuple):
    """Where the gallery's videos of each query's class are in the order of similarity."""

    first: np.ndarray  # (Q,) int64, rank of the nearest of them from 1 on; 0 where there is none
    precision: np.ndarray  # (Q,) float64, average precision; NaN where there is none
    chance: np.ndarray  # (Q,) float64, their share of the gallery: R@1 of a random order

    def hits(self, k: int) -> np.ndarray:
        """(Q,) bool: whether one of the k nearest is of the class. The mean is R@k."""
        found: np.ndarray = (self.first > 0) & (self.first <= k)
        return found


def rank(
    queries: np.ndarray,
    query_labels: np.ndarray,
    gallery: np.ndarray,
    gallery_labels: np.ndarray,
    *,
    left_out: np.ndarray | None = None,
    at_once: int = AT_ONCE,
) -> Ranking:
    """Rank the gallery for every query.

    Args:
        queries: (Q, D) floats of any length.
        query_labels: (Q,) classes, as numbers or names.
        gallery: (N, D).
        gallery_labels: (N,).
        left_out: (Q,) row of the gallery that a query is itself, where the gallery has it.
        at_once: similarities in memory at a time.

    Raises:
        VieError: shapes do not fit, there is nothing to rank, or a vector is not finite.
    """
    shapes = [np.shape(one) for one in (queries, query_labels, gallery, gallery_labels)]
    (Q, D), N = (*shapes[0], 0)[:2], shapes[2][0]
    if shapes != [(Q, D), (Q,), (N, D), (N,)] or not Q or not N:
        raise VieError(
            f"queries, their labels, gallery and its labels have the shapes {shapes}; they must be "
            "(Q, D), (Q,), (N, D) and (N,), and not empty"
        )
    rows, columns = unit(queries), unit(gallery)
    classes = np.unique(np.concatenate([query_labels, gallery_labels]), return_inverse=True)[1]
    own, others = classes[:Q], classes[Q:]
    first, precision = np.zeros(Q, np.int64), np.full(Q, np.nan)
    relevant = np.bincount(others, minlength=classes.max() + 1)[own].astype(np.int64)  # (Q,)
    if left_out is not None:
        relevant -= others[left_out] == own
    for start in range(0, Q, max(1, at_once // N)):
        here = slice(start, start + max(1, at_once // N))
        keys = _keys(rows[here], own[here], columns, others)  # (q, N), sorted below
        if left_out is not None:
            keys[np.arange(len(keys)), left_out[here]] = 2 * STEPS + 2  # last, and of no class
        keys.sort(axis=1)
        query, place = np.nonzero(keys & 1)  # of all relevant items, query by query
        counts = relevant[here]
        begins = np.cumsum(counts) - counts  # (q,)
        number = np.arange(len(place)) - begins[query]  # of a query's relevant items, from 0
        some = counts > 0
        first[here][some] = place[begins[some]] + 1
        total = np.bincount(query, (number + 1) / (place + 1), len(counts))  # (q,)
        precision[here][some] = total[some] / counts[some]
    return Ranking(first, precision, relevant / (N if left_out is None else max(N - 1, 1)))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (N, D) float32 of unit length; 0 stays 0.

    Raises:
        VieError: a number is NaN or infinite.
    """
    vectors = np.asarray(vectors, np.float32)
    if not np.isfinite(vectors).all():
        raise VieError("features contain NaN or infinite numbers; the network has diverged")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)  # (N, 1)
    unit_vectors: np.ndarray = vectors / np.maximum(lengths, 1e-12)
    return unit_vectors


def nearest(
    queries: np.ndarray, gallery: np.ndarray, k: int, *, left_out: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The k most similar gallery items of a few queries, nearest first.

    Of items that are tied the first in the gallery comes first. Args as for `rank`.

    Returns:
        Rows of the gallery (Q, k) int64 and cosines (Q, k) float32; fewer columns where the gallery
        has fewer items.
    """
    similarity = unit(queries) @ unit(gallery).T  # (Q, D) x (D, N) -> (Q, N)
    if left_out is not None:
        similarity[np.arange(len(similarity)), left_out] = -2
    k = min(k, similarity.shape[1] - (left_out is not None))
    rows = np.argsort(-np.round(similarity * STEPS), axis=1, kind="stable")[:, :k]
    return rows, np.take_along_axis(similarity, rows, axis=1)


def _keys(rows: np.ndarray, own: np.ndarray, columns: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(q, N) int32: less for the more similar; odd where the class is that of the query."""
    similarity = rows @ columns.T  # (q, D) x (D, N) -> (q, N)
    np.multiply(similarity, -STEPS, out=similarity)
    keys: np.ndarray = np.rint(similarity, out=similarity).astype(np.int32)
    keys *= 2
    keys += own[:, None] == others
    return keys
