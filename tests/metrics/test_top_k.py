"""Top-k against sorting, the interval against its coverage and the textbook."""

import math

import numpy as np
import pytest

from vie.metrics.top_k import top_k
from vie.reporting.statistics import interval
from vie.runtime.errors import VieError


def test_top_k_against_a_stable_sort():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, size=(200, 7)) / 4  # many ties
    labels = rng.integers(0, 7, size=200)
    for k in (1, 3, 7):
        expected = [
            label in sorted(range(7), key=lambda c: (-row[c], c))[:k]
            for row, label in zip(scores, labels, strict=True)
        ]
        np.testing.assert_array_equal(top_k(scores, labels, k), expected)
    np.testing.assert_array_equal(top_k(scores, labels), scores.argmax(1) == labels)


def test_constant_scores_earn_only_the_first_class():
    assert top_k(np.ones((5, 5)), np.arange(5)).tolist() == [True, False, False, False, False]


def test_top_k_errors():
    with pytest.raises(VieError, match="NaN"):
        top_k(np.array([[np.nan, 1]]), np.array([0]))
    with pytest.raises(VieError, match=r"0\.\.2, but there are 2"):
        top_k(np.zeros((2, 2)), np.array([0, 2]))
    with pytest.raises(VieError, match="shapes"):
        top_k(np.zeros((2, 2)), np.array([0]))


def test_videos_of_a_group_are_one_draw():
    """Against a simulation: recordings of 1 to 9 videos that tend to be right together."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 10, size=60)
    groups = np.repeat(np.arange(60), sizes)
    means, halves, plain = [], [], []
    for _ in range(2000):
        easy = rng.beta(0.6, 0.6, size=60)
        correct = rng.random(len(groups)) < easy[groups]
        mean, half = interval(correct, groups)
        means.append(mean)
        halves.append(half)
        plain.append(interval(correct)[1])
    inside = np.abs(np.array(means) - 0.5) < halves
    assert 0.93 < inside.mean() < 0.98
    assert (np.abs(np.array(means) - 0.5) < plain).mean() < 0.85  # without groups: too narrow


def test_groups_of_one_video_change_nothing():
    correct = np.random.default_rng(1).random((3, 50)) < 0.3
    names = [f"video {i}" for i in range(50)]
    assert interval(correct, names) == pytest.approx(interval(correct))


def test_one_seed_is_the_binomial_interval():
    for hits, n in [(300, 1000), (3, 40)]:
        mean, half = interval(np.arange(n) < hits)
        assert mean == hits / n
        p = (hits + 2) / (n + 4)  # Agresti and Coull's "plus four"
        assert half == pytest.approx(1.959964 * math.sqrt(p * (1 - p) / (n + 4)), rel=1e-6)
    assert half > 0.07
    _, half = interval(np.zeros(20, dtype=bool))
    assert half > 0.05  # nothing right out of twenty is not a certain zero


def test_seeds_that_agree_add_nothing_and_seeds_that_differ_do():
    one = np.random.default_rng(0).random(400) < 0.4
    assert interval(np.stack([one, one, one])) == pytest.approx(interval(one))
    accuracies = np.array([0.2, 0.4, 0.6])
    correct = np.arange(100)[None] < 100 * accuracies[:, None]
    mean, half = interval(correct)
    assert mean == pytest.approx(0.4)
    # Textbook: Student's t with 2 degrees of freedom for three seeds.
    videos = np.concatenate([correct.mean(0), [0, 0, 1, 1]])
    squared = (1.959964**2) * videos.var() / 104 + (4.303 * accuracies.std(ddof=1)) ** 2 / 3
    assert half == pytest.approx(math.sqrt(squared), rel=1e-4)


@pytest.mark.parametrize(("S", "n"), [(1, 300), (2, 300), (3, 300), (8, 300), (8, 30)])
def test_coverage(S, n):
    """Videos differ in difficulty and seeds in quality: the interval holds the true accuracy."""
    rng = np.random.default_rng(0)
    spread = 0.05 if S > 1 else 0.0
    trials, hits = 1500, 0
    for _ in range(trials):
        difficulty = rng.beta(1, 2, size=n)  # mean 1/3
        quality = rng.normal(0, spread, size=(S, 1))
        correct = rng.random((S, n)) < np.clip(difficulty + quality, 0, 1)
        mean, half = interval(correct)
        hits += abs(mean - 1 / 3) <= half
    # Clipping shifts the truth by well under 1 %.
    assert 0.93 < hits / trials < 0.995


def test_nothing_to_average():
    with pytest.raises(VieError, match="0 videos"):
        interval(np.zeros((2, 0), dtype=bool))
