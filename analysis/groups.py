"""Two arms: the difference of their changes and of their courses. Plain arrays in, numbers out.

The comparison of arms adjusts for the baseline (analysis of covariance): after randomisation it is
unbiased and more precise than the difference of changes. For small arms the permutation test stands
next to it: it assumes nothing but that the labels could have fallen otherwise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .statistics import CONFIDENCE, Estimate, FloatArray, Test

_EXACT = 200_000  # ways that are counted one by one: C(20, 10) = 184,756
_EXACT_SUMS = 40  # subjects whose sums are met in the middle: two halves of 2**20
_MONTE_CARLO = 99_999


def _arms(arm: ArrayLike, n: int) -> NDArray[np.bool_]:
    second = np.asarray(arm, dtype=bool)
    if second.shape != (n,):
        raise ValueError("every subject needs an arm")
    if not 0 < int(second.sum()) < n:
        raise ValueError("both arms need a subject")
    return second


def ancova(
    first: ArrayLike, later: ArrayLike, arm: ArrayLike, confidence: float = CONFIDENCE
) -> tuple[Estimate, Test] | None:
    """The difference of the later values between arms at equal baselines, second minus first arm.

    Least squares of the later value on the baseline and the arm (R's ``lm(later ~ first + arm)``).
    The change gives the same difference as the later value does.

    Args:
        first: baselines, shape ``(n,)``.
        later: later values, shape ``(n,)``.
        arm: True for the second arm, shape ``(n,)``.
        confidence: of the interval.

    Returns:
        The difference with its t interval and its t test, None below 4 subjects or where baseline
        and arm cannot be distinguished.

    Raises:
        ValueError: shapes differ, a value is not finite, or an arm is empty.
    """
    baseline = np.asarray(first, dtype=np.float64)
    outcome = np.asarray(later, dtype=np.float64)
    second = _arms(arm, baseline.size)
    if not (np.isfinite(baseline).all() and np.isfinite(outcome).all()):
        raise ValueError("values must be finite; leave out pairs with unknown values")
    design = np.column_stack([np.ones(baseline.size), baseline - baseline.mean(), second])
    df = baseline.size - 3
    if df < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    inverse = np.linalg.inv(design.T @ design)
    weights = inverse @ design.T @ outcome
    residual = outcome - design @ weights
    error = math.sqrt(float(residual @ residual) / df * float(inverse[2, 2]))
    value = float(weights[2])
    if error <= 1e-12 * max(1.0, abs(value)):
        return Estimate(value), Test(math.inf, 0.0)
    half = float(stats.t.ppf((1 + confidence) / 2, df)) * error
    test = Test(value / error, 2 * float(stats.t.sf(abs(value) / error, df)))
    return Estimate(value, value - half, value + half), test


def difference(
    change: ArrayLike, arm: ArrayLike, confidence: float = CONFIDENCE
) -> Estimate | None:
    """The difference of the mean changes, second minus first arm, with Welch's interval.

    Returns:
        None if an arm has one subject or no spread at all.

    Raises:
        ValueError: an arm is empty.
    """
    values = np.asarray(change, dtype=np.float64)
    second = _arms(arm, values.size)
    one, two = values[~second], values[second]
    if min(one.size, two.size) < 2 or np.ptp(one) + np.ptp(two) == 0:
        return None
    limits = stats.ttest_ind(two, one, equal_var=False).confidence_interval(confidence)
    return Estimate(float(two.mean() - one.mean()), float(limits.low), float(limits.high))


def permutation(change: ArrayLike, arm: ArrayLike, seed: int = 0) -> Test:
    """Fisher and Pitman's permutation test of the difference of two arms' mean changes.

    All ways to deal the labels up to 40 subjects (the sums of two halves are met in the middle), or
    up to 200,000 ways; beyond that 99,999 random ones with the observed one counted in.

    Raises:
        ValueError: an arm is empty.
    """
    values = np.asarray(change, dtype=np.float64)
    second = _arms(arm, values.size)
    centred = values - values.mean()
    mean = float(values[second].mean() - values[~second].mean())
    if second.size <= _EXACT_SUMS:
        return Test(mean, _dealt(centred, second))

    def statistic(labels: NDArray[np.bool_]) -> FloatArray:
        return np.asarray(labels @ centred, dtype=np.float64)

    p_value, exact = permuted(statistic, second, seed)
    return Test(mean, p_value, exact)


def _dealt(centred: FloatArray, second: NDArray[np.bool_]) -> float:
    """Share of all ways to deal the labels whose sum is at least as far from zero."""
    k = int(second.sum())
    observed = abs(float(centred[second].sum()))
    least = observed - 1e-9 * max(1.0, observed, float(np.abs(centred).max()))
    if least <= 0:
        return 1.0
    left, right = (_sums_by_number(part) for part in (centred[::2], centred[1::2]))
    hits = 0
    for number, sums in left.items():
        other = right.get(k - number)
        if other is not None:
            hits += int((other.size - np.searchsorted(other, least - sums, side="left")).sum())
            hits += int(np.searchsorted(other, -least - sums, side="right").sum())
    return hits / math.comb(second.size, k)


def _sums_by_number(values: FloatArray) -> dict[int, FloatArray]:
    """Sums of all subsets, sorted, by the number of their members."""
    sums, numbers = np.zeros(1), np.zeros(1, dtype=np.int8)
    for value in values:
        sums = np.concatenate([sums, sums + value])
        numbers = np.concatenate([numbers, numbers + np.int8(1)])
    return {number: np.sort(sums[numbers == number]) for number in range(values.size + 1)}


def permuted(
    statistic: Callable[[NDArray[np.bool_]], FloatArray],
    second: NDArray[np.bool_],
    seed: int,
    draws: int = _MONTE_CARLO,
) -> tuple[float, bool]:
    """Share of the ways to deal the labels whose statistic is at least as far from zero.

    Args:
        statistic: of labels of shape ``(ways, n)``, one number a way; zero is its expectation.
        second: the labels as they fell.
        seed: of the random ways.
        draws: how many random ways, where there are more than 200,000.

    Returns:
        The two-sided p-value, and whether it is exact.
    """
    n, k = second.size, int(second.sum())
    observed = abs(float(statistic(second[None, :])[0]))
    slack = 1e-9 * max(1.0, observed)
    ways = math.comb(n, k)
    if ways <= _EXACT:
        chosen = np.array(list(itertools.combinations(range(n), k)))
        hits = 0
        for start in range(0, ways, 10_000):
            labels = np.zeros((chosen[start : start + 10_000].shape[0], n), dtype=bool)
            np.put_along_axis(labels, chosen[start : start + 10_000], values=True, axis=1)
            hits += int((np.abs(statistic(labels)) >= observed - slack).sum())
        return hits / ways, True
    rng = np.random.default_rng(seed)
    hits = 0
    for start in range(0, draws, 1000):
        rows = min(1000, draws - start)
        labels = rng.permuted(np.broadcast_to(second, (rows, n)), axis=1)
        hits += int((np.abs(statistic(labels)) >= observed - slack).sum())
    return (hits + 1) / (draws + 1), False


def log_rank(time: ArrayLike, event: ArrayLike, arm: ArrayLike) -> Test | None:
    """The log-rank test of two survival curves (R's ``survdiff``): chi-square with 1 df.

    Args:
        time: follow-up, shape ``(n,)``.
        event: whether it ended with the event.
        arm: True for the second arm.

    Returns:
        None if no event tells the arms apart.

    Raises:
        ValueError: an arm is empty.
    """
    times, happened = np.asarray(time, dtype=np.float64), np.asarray(event, dtype=bool)
    second = _arms(arm, times.size)
    score = variance = 0.0
    for t in np.unique(times[happened]):
        risk = times >= t
        n, k = int(risk.sum()), int((risk & second).sum())
        d = int((happened & (times == t)).sum())
        score += int((happened & (times == t) & second).sum()) - d * k / n
        if n > 1:
            variance += d * k / n * (1 - k / n) * (n - d) / (n - 1)
    if variance <= 0:
        return None
    return Test(score**2 / variance, float(stats.chi2.sf(score**2 / variance, 1)))


def gray(time: ArrayLike, code: ArrayLike, arm: ArrayLike, seed: int = 0) -> Test | None:
    """Gray's comparison of two cumulative incidences, with a permutation p-value.

    The score is Gray's (Annals of Statistics 1988, 16:1141-1154) with equal weights in time: events
    of the second arm less those expected, where who had a competing event stays at risk as far as
    they would not have been censored. The p-value comes from dealing the arms anew, so that it is
    exact for small trials; it assumes that both arms were followed alike.

    Args:
        time: follow-up, shape ``(n,)``.
        code: 1 the event, 2 a competing one, 0 censored.
        arm: True for the second arm.
        seed: of the random ways beyond 200,000.

    Returns:
        The score and its p-value; None without the event.

    Raises:
        ValueError: an arm is empty.
    """
    times, codes = np.asarray(time, dtype=np.float64), np.asarray(code)
    second = _arms(arm, times.size)
    if not (codes == 1).any():
        return None

    def scores(labels: NDArray[np.bool_]) -> FloatArray:
        return _gray_scores(times, codes, labels)

    p_value, exact = permuted(scores, second, seed, draws=9_999)
    return Test(float(scores(second[None, :])[0]), p_value, exact)


def _gray_scores(
    times: FloatArray, codes: NDArray[np.int_], labels: NDArray[np.bool_]
) -> FloatArray:
    """Events of the second arm less those expected from both arms' adjusted risk sets.

    Args:
        times: shape ``(n,)``.
        codes: shape ``(n,)``.
        labels: True for the second arm, shape ``(ways, n)``.

    Returns:
        Shape ``(ways,)``.
    """
    ways = len(labels)
    score = np.zeros(ways)
    arms = [(~labels).astype(np.float64), labels.astype(np.float64)]
    free = [np.ones(ways), np.ones(ways)]  # no event yet, by arm
    incidence = [np.zeros(ways), np.zeros(ways)]
    for t in np.unique(times[codes > 0]):
        risk = [arm @ (times >= t) for arm in arms]
        first = [arm @ ((times == t) & (codes == 1)) for arm in arms]
        other = [arm @ ((times == t) & (codes == 2)) for arm in arms]
        adjusted = [
            np.divide(y * (1 - f), s, out=np.zeros(ways), where=(y > 0) & (s > 0))
            for y, f, s in zip(risk, incidence, free, strict=True)
        ]
        total = adjusted[0] + adjusted[1]
        expected = np.divide(
            (first[0] + first[1]) * adjusted[1], total, out=np.zeros(ways), where=total > 0
        )
        score += np.where(total > 0, first[1] - expected, 0.0)
        for arm in (0, 1):
            here = np.maximum(risk[arm], 1)
            incidence[arm] = incidence[arm] + free[arm] * first[arm] / here
            free[arm] = free[arm] * (1 - (first[arm] + other[arm]) / here)
    return score
