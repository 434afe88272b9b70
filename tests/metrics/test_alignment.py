"""Alignment, uniformity and same-video retrieval against loops."""

import math

import pytest
import torch
import torch.nn.functional as F

from vie.metrics.alignment import alignment, same_video_retrieval, uniformity
from vie.runtime.errors import VieError


def pairs(V=23, D=4, noise=0.4):
    first = F.normalize(torch.randn(V, D), dim=1)
    return first, F.normalize(first + noise * torch.randn(V, D), dim=1)


@pytest.mark.parametrize("chunk", [1, 5, 1000])
def test_against_loops(chunk):
    first, second = pairs()
    a, b = first.double().tolist(), second.double().tolist()
    squared = [[math.dist(one, other) ** 2 for other in b] for one in a]
    V = len(a)
    assert alignment(first, second) == pytest.approx(sum(squared[i][i] for i in range(V)) / V)
    hits = [min(range(V), key=squared[i].__getitem__) == i for i in range(V)]
    assert 0 < sum(hits) < V
    assert same_video_retrieval(first, second, chunk=chunk) == sum(hits) / V
    terms = [math.exp(-2 * math.dist(a[i], a[j]) ** 2) for i in range(V) for j in range(i)]
    expected = math.log(sum(terms) / len(terms))
    assert uniformity(first, chunk) == pytest.approx(expected, abs=1e-5)


def test_collapse_shows():
    same = F.normalize(torch.randn(1, 7), dim=1).repeat(50, 1)
    assert same_video_retrieval(same, same) == 0
    assert alignment(same, same) == 0
    assert uniformity(same) == pytest.approx(0, abs=1e-5)
    assert uniformity(F.normalize(torch.randn(50, 7), dim=1)) < -1


def test_errors():
    first, second = pairs()
    for function in (alignment, same_video_retrieval):
        with pytest.raises(VieError, match=r"\(V, D\)"):
            function(first, second[1:])
    with pytest.raises(VieError, match="2 at least"):
        uniformity(first[:1])
