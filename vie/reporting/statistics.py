"""Accuracy over videos, with its interval."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from vie.runtime.errors import VieError

Z95 = 1.959964  # 97.5 % quantile of the normal distribution


class Added(NamedTuple):
    """Videos that are added to keep an interval from vanishing where all videos agree."""

    values: tuple[int, ...]
    weight: float  # of each


TWO_RIGHT_TWO_WRONG = Added((0, 0, 1, 1), 1)  # Agresti and Coull, 1998
HALF_OF_EACH = Added((-1, 0, 0, 1), 0.5)  # of pairs: Agresti and Min, 2005


def interval(
    correct: np.ndarray,
    groups: Sequence[str] | np.ndarray | None = None,
    weights: np.ndarray | None = None,
    added: Added = TWO_RIGHT_TWO_WRONG,
) -> tuple[float, float]:
    """Mean accuracy and the half-width of its 95 % interval, as fractions.

    Two things are random: which videos were tested and which seed trained the network. With
    c_v the share of seeds that get video v right and a_s the accuracy of seed s,

        half-width^2 = 1.96^2 var_v(c_v) / n + t^2 var_s(a_s) / S

    with Student's t for S - 1 degrees of freedom, since few seeds say little of their variance. The
    second term is 0 for one seed: the interval then says nothing about other seeds. Both terms
    hold the part of the noise that belongs to a single (seed, video), so the interval errs to the
    wide side. For the first term four videos are added, two always right and two always wrong
    (Agresti and Coull, 1998): an accuracy of 0 or 1 on a few videos is not certain.

    Videos of one group, cut from one recording, are right or wrong together. With groups, the
    first term is the variance of a mean over clusters: 1.96^2 sum_g (sum_{v in g} (c_v - m))^2 /
    n^2, m the mean; with a group for every video it is the same as without. With weights w_v, m
    is the weighted mean, and c_v - m counts w_v times.

    For the difference of two networks, `correct` is their difference: 1, 0 or -1 for each seed and
    video. The interval is then paired: a video that both get right, or both wrong, adds nothing.
    Half a video is added of each kind: both right, both wrong, one or the other right.

    Args:
        correct: (S, n) bool, seeds x the same videos; (n,) is one seed.
        groups: (n,) names of groups; left out, videos are independent.
        weights: (n,) of videos, whose sum is n; left out, 1.
        added: videos that are added.

    Raises:
        VieError: if there is no video.
    """
    correct = np.atleast_2d(np.asarray(correct, dtype=np.float64))
    S, n = correct.shape
    if S == 0 or n == 0:
        raise VieError(f"accuracy of {n} videos and {S} seeds: there is nothing to average")
    weights = np.ones(n) if weights is None else np.asarray(weights)
    means, extra = correct.mean(axis=0), np.array(added.values)  # (n,), (few,)
    total = n + added.weight * len(extra)
    mean = ((weights * means).sum() + added.weight * extra.sum()) / total
    numbers = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums = np.bincount(numbers, weights * (means - mean))  # (groups,)
    squares = (sums**2).sum() + added.weight * ((extra - mean) ** 2).sum()
    squared = Z95**2 * squares / total**2
    if S > 1:
        from scipy.special import stdtrit  # takes a while to import

        t = stdtrit(S - 1, 0.975)
        squared += t**2 * (correct @ weights / n).var(ddof=1) / S
    return float((means * weights).sum() / n), float(np.sqrt(squared))


def percent(shares: float | np.ndarray | list[np.ndarray]) -> float:
    """Mean of shares, in percent with two digits."""
    return round(100 * float(np.mean(shares)), 2)


def accuracies(
    correct: Mapping[str, np.ndarray],
    groups: Mapping[str, np.ndarray] | None = None,
    weights: Mapping[str, np.ndarray] | None = None,
) -> dict[str, float]:
    """Columns of a table: {name: accuracy} and {name_ci95: half-width of `interval`}, in percent.

    Args:
        correct, groups, weights: of each name, as for `interval`.
    """
    groups, weights = groups or {}, weights or {}
    found = {
        name: interval(values, groups.get(name), weights.get(name))
        for name, values in correct.items()
    }
    means = {name: percent(mean) for name, (mean, _) in found.items()}
    return means | {f"{name}_ci95": percent(half) for name, (_, half) in found.items()}


def paired_differences(
    correct: Mapping[str, np.ndarray], others: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Columns of a table: {name_difference: points above the others} and
    {name_difference_ci95: half-width of the paired `interval`}.

    Args:
        correct, others: of each name, (S, n) bool of the same seeds and videos.
    """
    columns = {}
    for name, values in correct.items():
        gains = values.astype(np.int8) - others[name].astype(np.int8)
        mean, half = interval(gains, added=HALF_OF_EACH)
        columns[f"{name}_difference"], columns[f"{name}_difference_ci95"] = map(
            percent, (mean, half)
        )
    return columns
