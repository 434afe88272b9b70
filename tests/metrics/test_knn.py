"""Weighted nearest neighbours against loops."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vie.metrics.knn import knn_predict
from vie.runtime.errors import VieError


@pytest.mark.parametrize(("k", "chunk"), [(1, 1024), (10, 1024), (10, 4), (23, 5)])
def test_against_loops(k, chunk):
    torch.manual_seed(0)
    N, D, V, C, classes, tau = 23, 4, 5, 3, 6, 0.07
    vectors = F.normalize(torch.randn(N, D), dim=1)
    labels = torch.randint(classes - 1, (N,))  # the last class has no video
    queries = F.normalize(torch.randn(V, C, D), dim=2)
    got = knn_predict(vectors, labels, queries, classes=classes, k=k, chunk=chunk)
    expected = np.zeros((V, classes))
    for v in range(V):
        for c in range(C):
            f = queries[v, c].double().numpy()
            similarity = [float(np.dot(row, f)) for row in vectors.double().numpy()]
            best = sorted(range(N), key=lambda j: -similarity[j])[:k]
            for j in best:  # raw votes of all clips, added: protocol section 5
                expected[v][labels[j]] += math.exp(similarity[j] / tau)
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_clip_with_nearer_neighbours_counts_more():
    """Normalised clip by clip, the two clips of the second class would win."""
    vectors, labels = torch.eye(3), torch.tensor([0, 1, 2])
    near, far = torch.tensor([1.0, 0, 0]), F.normalize(torch.tensor([0.0, 0.8, 0.8]), dim=0)
    found = knn_predict(vectors, labels, torch.stack([near, far, far])[None], classes=3, k=1)
    assert found.argmax(1).tolist() == [0]


def test_small_temperatures_do_not_overflow():
    vectors, labels = torch.eye(2), torch.tensor([0, 1])
    found = knn_predict(vectors, labels, vectors[None], classes=2, k=2, temperature=1e-3)
    torch.testing.assert_close(found, torch.tensor([[0.5, 0.5]]))


def test_errors():
    vectors, labels = torch.eye(3), torch.arange(3)
    with pytest.raises(VieError, match="10 nearest neighbours of 3"):
        knn_predict(vectors, labels, torch.ones(2, 1, 3), classes=3)
    with pytest.raises(VieError, match=r"\(2, 3\)"):
        knn_predict(vectors, labels, torch.ones(2, 3), classes=3, k=1)
