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
            votes = np.zeros(classes)
            for j in best:
                votes[labels[j]] += math.exp(similarity[j] / tau)
            expected[v] += votes / votes.sum() / C
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_errors():
    vectors, labels = torch.eye(3), torch.arange(3)
    with pytest.raises(VieError, match="10 nearest neighbours of 3"):
        knn_predict(vectors, labels, torch.ones(2, 1, 3), classes=3)
    with pytest.raises(VieError, match=r"\(2, 3\)"):
        knn_predict(vectors, labels, torch.ones(2, 3), classes=3, k=1)
