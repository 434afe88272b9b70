"""Retrieval against brute-force loops."""

import numpy as np
import pytest

from vie.metrics.retrieval import KS, STEPS, nearest, rank, unit
from vie.runtime.errors import VieError


def brute(queries, query_labels, gallery, gallery_labels, left_out=None):
    """Ranks and average precisions, one query after the other, from the definitions."""
    firsts, precisions = [], []
    for q, (query, label) in enumerate(zip(queries, query_labels, strict=True)):
        items = []
        for row, (vector, other) in enumerate(zip(gallery, gallery_labels, strict=True)):
            if left_out is not None and row == left_out[q]:
                continue
            lengths = np.linalg.norm(query) * np.linalg.norm(vector)
            cosine = float(query @ vector / lengths) if lengths else 0.0
            items.append((-round(cosine * STEPS), other == label))
        items.sort()  # of equal similarities, False comes first
        places = [place for place, (_, right) in enumerate(items, 1) if right]
        firsts.append(places[0] if places else 0)
        shares = [(i + 1) / place for i, place in enumerate(places)]
        precisions.append(np.mean(shares) if shares else np.nan)
    return np.array(firsts), np.array(precisions)


def some(Q=40, N=130, D=6, classes=7, seed=0, integers=False):
    rng = np.random.default_rng(seed)
    draw = (lambda *shape: rng.integers(-1, 2, shape)) if integers else rng.normal
    sizes = ((Q, D), (N, D)) if integers else (((0, 1, (Q, D))), (0, 1, (N, D)))
    queries, gallery = (draw(*size).astype(np.float32) for size in sizes)
    return queries, rng.integers(classes, size=Q), gallery, rng.integers(classes - 1, size=N)


@pytest.mark.parametrize("at_once", [10**9, 1000, 1])
def test_against_loops(at_once):
    data = some()  # no gallery item is of the last class
    found = rank(*data, at_once=at_once)
    first, precision = brute(*data)
    np.testing.assert_array_equal(found.first, first)
    np.testing.assert_allclose(found.precision, precision, rtol=1e-12)
    assert np.isnan(found.precision[data[1] == 6]).all()
    for k in (*KS, 1000):  # also above the size of the gallery
        np.testing.assert_array_equal(found.hits(k), (first > 0) & (first <= k))
    shares = [(data[3] == label).mean() for label in data[1]]
    np.testing.assert_allclose(found.chance, shares)


def test_ties_are_misses_first_whatever_the_order_of_the_gallery():
    """Vectors of -1, 0 and 1 have many ties, also those that are 0."""
    queries, labels, gallery, others = some(D=3, integers=True)
    found = rank(queries, labels, gallery, others)
    first, precision = brute(queries, labels, gallery, others)
    np.testing.assert_array_equal(found.first, first)
    np.testing.assert_allclose(found.precision, precision, rtol=1e-12)
    order = np.random.default_rng(1).permutation(len(gallery))
    other = rank(queries, labels, gallery[order], others[order])
    np.testing.assert_array_equal(other.first, found.first)
    np.testing.assert_array_equal(other.precision, found.precision)


def test_a_collapsed_network_earns_nothing():
    vectors = np.full((60, 8), 0.3) * np.linspace(1, 2, 60)[:, None]
    labels = np.arange(60) % 3
    found = rank(vectors, labels, vectors, labels)
    assert not found.hits(20).any()
    np.testing.assert_array_equal(found.first, 41)


def test_a_query_of_the_gallery_does_not_find_itself():
    _, _, gallery, labels = some(N=50)
    rows = np.array([3, 17, 49])
    found = rank(gallery[rows], labels[rows], gallery, labels, left_out=rows)
    first, precision = brute(gallery[rows], labels[rows], gallery, labels, rows)
    np.testing.assert_array_equal(found.first, first)
    np.testing.assert_allclose(found.precision, precision, rtol=1e-12)
    np.testing.assert_allclose(
        found.chance, [(labels == n).sum() / 49 - 1 / 49 for n in labels[rows]]
    )
    near, cosines = nearest(gallery[rows], gallery, 4, left_out=rows)
    assert not (near == rows[:, None]).any()
    assert (np.diff(cosines) <= 1e-6).all()


def test_nearest_is_the_order_of_the_cosine():
    queries, _, gallery, _ = some(Q=5, N=30)
    rows, cosines = nearest(queries, gallery, 99)
    assert rows.shape == (5, 30)
    for query, found, shown in zip(queries, rows, cosines, strict=True):
        lengths = np.linalg.norm(query) * np.linalg.norm(gallery, axis=1)
        expected = gallery @ query / lengths
        np.testing.assert_array_equal(found, np.argsort(-expected))
        np.testing.assert_allclose(shown, expected[found], atol=1e-6)


def test_names_are_classes_too():
    queries, labels, gallery, others = some()
    found = rank(queries, labels.astype(str), gallery, others.astype(str))
    np.testing.assert_array_equal(found.first, rank(queries, labels, gallery, others).first)


def test_errors():
    queries, labels, gallery, others = some()
    with pytest.raises(VieError, match=r"\(Q, D\)"):
        rank(queries, labels[1:], gallery, others)
    with pytest.raises(VieError, match="not empty"):
        rank(queries[:0], labels[:0], gallery, others)
    with pytest.raises(VieError, match="diverged"):
        unit(np.array([[1, np.nan]]))
