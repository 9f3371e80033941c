"""Tests and estimates for paired changes: plain arrays in, plain numbers out.

Every function takes the changes of ``n`` subjects, follow-up minus baseline, shape ``(n,)``, in the
unit of the measure. Nothing here reads or writes, draws or decides what is compared.

Trial-sized samples (n = 5 to 30) decide the choices made here: the distribution-free tests are
exact, ties and zeros included, because approximations are off where the sample is small; an
interval that cannot reach its confidence with this sample size is not given at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

FloatArray = NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 9999
_EXACT_SIGN_FLIPS = 40  # two halves of 2**20 sums each: exact in a second and 40 MB
_LONGEST_LATTICE = 2_000_000  # possible sums: 100 changes take about a second
EXACT_SUBSETS = 20
_MONTE_CARLO = 99_999


@dataclass(frozen=True)
class Estimate:
    """An estimate with its two-sided interval."""

    value: float
    """The estimate."""
    low: float | None = None
    """The lower limit, None if the sample cannot carry an interval."""
    high: float | None = None
    """The upper limit, None with ``low``."""


@dataclass(frozen=True)
class Test:
    """A two-sided test."""

    __test__ = False  # not a pytest class

    statistic: float
    """The test statistic."""
    p_value: float
    """Two-sided p-value."""
    exact: bool = True
    """Whether the p-value is exact rather than sampled."""


def as_changes(change: ArrayLike) -> FloatArray:
    """Check changes and free them of the noise that decimal fractions leave in a subtraction.

    10.3 - 10.2 and 20.3 - 20.2 differ in the 15th digit; without rounding they would not be tied,
    and a change of exactly nothing would not be zero. Twelve digits below the largest are kept.

    Raises:
        ValueError: not one-dimensional, or a value is not finite.
    """
    values = np.asarray(change, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"changes must have shape (n,), not {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("changes must be finite; leave out pairs with unknown values")
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0:
        return values
    return np.round(values, 9 - math.ceil(math.log10(largest)))


def needs(values: FloatArray, least: int) -> None:
    """Refuse fewer values than a method needs.

    Raises:
        ValueError: too few.
    """
    if values.size < least:
        raise ValueError(f"needs at least {least} pairs, not {values.size}")


def _constant(values: FloatArray) -> bool:
    return bool(np.ptp(values) <= 1e-12 * max(1e-300, float(np.abs(values).max())))


# --- the mean -------------------------------------------------------------------------------


def paired_t(change: ArrayLike) -> Test:
    """Student's paired t test of a mean change of zero.

    Raises:
        ValueError: fewer than 2 pairs, or all changes are equal: there is no t then.
    """
    values = as_changes(change)
    needs(values, 2)
    if _constant(values):
        raise ValueError("all changes are equal: the t statistic is not defined")
    result = stats.ttest_1samp(values, 0.0)
    return Test(float(result.statistic), float(result.pvalue))


def mean_t(values: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """The mean with Student's t interval, which assumes normal values.

    Raises:
        ValueError: no value.
    """
    array = as_changes(values)
    needs(array, 1)
    mean = float(array.mean())
    if array.size < 2 or _constant(array):
        return Estimate(mean)
    half = float(stats.t.ppf((1 + confidence) / 2, array.size - 1)) * float(stats.sem(array))
    return Estimate(mean, mean - half, mean + half)


def expanded_confidence(n: int, confidence: float = CONFIDENCE) -> float:
    """The nominal level at which a bootstrap of ``n`` values covers ``confidence``.

    A bootstrap distribution is narrower than the sampling distribution by ``sqrt((n - 1) / n)`` and
    by the difference between normal and t quantiles; Hesterberg (The American Statistician 2015,
    69:371-386, section 5.3) widens the tails by both: ``Phi(-sqrt(n / (n - 1)) t)``.
    """
    t = float(stats.t.ppf((1 + confidence) / 2, n - 1))
    return 1 - 2 * float(stats.norm.cdf(-math.sqrt(n / (n - 1)) * t))


def mean_bca(
    values: ArrayLike,
    confidence: float = CONFIDENCE,
    *,
    expand: bool = True,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """The mean with a bias-corrected, accelerated bootstrap interval (Efron 1987).

    Args:
        values: shape ``(n,)``.
        confidence: of the interval.
        expand: widen the tails for small samples, see :func:`expanded_confidence`; without it the
            interval of 6 values covers about 85 % instead of 95 %.
        seed: of the resampling.
        resamples: how many.

    Returns:
        The mean; no limits below 5 values or where all are equal.

    Raises:
        ValueError: no value.
    """
    array = as_changes(values)
    needs(array, 1)
    mean = float(array.mean())
    if array.size < 5 or _constant(array):
        return Estimate(mean)
    low, high = bca_limits(
        (array,),
        np.mean,
        expanded_confidence(array.size, confidence) if expand else confidence,
        seed=seed,
        resamples=resamples,
    )
    return Estimate(mean, low, high)


def bca_limits(
    columns: Sequence[FloatArray],
    statistic: Callable[..., object],
    confidence: float,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[float | None, float | None]:
    """BCa limits of a statistic of one or several columns resampled together.

    Args:
        columns: each of shape ``(n,)``.
        statistic: takes the columns and ``axis``, as SciPy's bootstrap wants it.
        confidence: of the interval.
        seed: of the resampling.
        resamples: how many.

    Returns:
        Both limits, or None twice where the bootstrap distribution is degenerate.
    """
    result = stats.bootstrap(
        tuple(columns),
        statistic,
        n_resamples=resamples,
        confidence_level=confidence,
        method="BCa",
        paired=len(columns) > 1,
        rng=np.random.default_rng(seed),
    )
    low, high = (float(limit) for limit in result.confidence_interval)
    if not (math.isfinite(low) and math.isfinite(high)):
        return None, None
    return low, high


def _half_sums(magnitudes: FloatArray) -> FloatArray:
    """All sums of ``magnitudes`` with every choice of signs, shape ``(2**n,)``."""
    sums = np.zeros(1)
    for magnitude in magnitudes:
        sums = np.concatenate([sums - magnitude, sums + magnitude])
    return sums


def lattice(values: FloatArray) -> NDArray[np.int64] | None:
    """Values as whole multiples of one unit with up to six decimals, None if they are not."""
    for decimals in range(7):
        scaled = values * 10.0**decimals
        whole = np.rint(scaled)
        largest = float(np.abs(whole).max())
        if largest < 2**53 and float(np.abs(scaled - whole).max()) <= 1e-9 * largest:
            units = whole.astype(np.int64)
            return units // max(1, int(np.gcd.reduce(np.abs(units))))
    return None


def _tail_of_sums(units: NDArray[np.int64], share: float) -> float:
    """Two-sided chance of a sum with random signs at least ``share`` of the largest from zero."""
    total = int(units.sum())
    chance = np.zeros(total + 1)  # of the sum of those with a plus
    chance[0] = 1.0
    reached = 0
    for unit in np.sort(units):
        chance[unit : reached + unit + 1] += chance[: reached + 1].copy()
        chance[: reached + unit + 1] /= 2
        reached += int(unit)
    farther = np.abs(2 * np.arange(total + 1) - total) >= round(share * total)
    return min(1.0, float(chance[farther].sum()))


def sign_flip(change: ArrayLike, seed: int = 0) -> Test:
    """Fisher's sign-flip (one-sample permutation) test on the mean.

    If treatment does nothing, each change is as likely with the other sign. The p-value is the
    share of all ``2**n`` sign patterns whose mean is at least as far from zero as the observed one.
    Exact up to 40 changes that are not zero (the sums of two halves are met in the middle), and
    beyond that where the changes are multiples of one unit, such as scores, days or tenths of a
    kilogram, with at most two million possible sums (by convolution). Otherwise from 99,999 random
    patterns with the observed one counted in.

    Raises:
        ValueError: no pair.
    """
    values = as_changes(change)
    needs(values, 1)
    magnitudes = np.abs(values[values != 0])  # zeros double every count and change nothing
    observed = abs(float(values.sum()))
    slack = 1e-9 * float(magnitudes.sum())
    if magnitudes.size == 0 or observed <= slack:
        return Test(float(values.mean()), 1.0)
    if magnitudes.size <= _EXACT_SIGN_FLIPS:
        left = _half_sums(magnitudes[::2])
        right = np.sort(_half_sums(magnitudes[1::2]))
        reached = right.size - np.searchsorted(right, observed - slack - left, side="left")
        p_value = 2 * int(reached.sum()) / 2.0**magnitudes.size
        return Test(float(values.mean()), min(1.0, p_value))
    if (units := lattice(magnitudes)) is not None and int(units.sum()) <= _LONGEST_LATTICE:
        return Test(float(values.mean()), _tail_of_sums(units, observed / magnitudes.sum()))
    rng = np.random.default_rng(seed)
    hits = 0
    for start in range(0, _MONTE_CARLO, 1000):
        rows = min(1000, _MONTE_CARLO - start)
        signs = rng.integers(0, 2, size=(rows, magnitudes.size)) * 2 - 1
        hits += int((np.abs(signs @ magnitudes) >= observed - slack).sum())
    return Test(float(values.mean()), (hits + 1) / (_MONTE_CARLO + 1), exact=False)


def mean_sign_flip(change: ArrayLike, confidence: float = CONFIDENCE, seed: int = 0) -> Estimate:
    """The mean with the interval of all shifts that the sign-flip test does not reject.

    The ``2**n - 1`` means of the non-empty subsets cut the line into ``2**n`` pieces, each as
    likely to hold the centre of a symmetric distribution (Hartigan, JASA 1969, 64:1303-1317): the
    limits are order statistics of those means. Above 20 changes, means of 99,999 random subsets.

    Returns:
        The mean; no limits where ``2**n`` pieces cannot reach the confidence (n below 6 for 95 %).

    Raises:
        ValueError: no pair.
    """
    values = as_changes(change)
    needs(values, 1)
    n = values.size
    mean = float(values.mean())
    if n <= EXACT_SUBSETS:
        sums, counts = np.zeros(1), np.zeros(1)
        for value in values:
            sums = np.concatenate([sums, sums + value])
            counts = np.concatenate([counts, counts + 1])
        means = sums[1:] / counts[1:]
    else:
        rng = np.random.default_rng(seed)
        parts = []
        for start in range(0, _MONTE_CARLO, 1000):  # all at once: 1.6 MB for each subject
            rows = min(1000, _MONTE_CARLO - start)
            chosen = rng.integers(0, 2, size=(rows, n)).astype(np.float64)
            chosen = chosen[chosen.any(axis=1)]
            parts.append((chosen @ values) / chosen.sum(axis=1))
        means = np.concatenate(parts)
    rank = math.floor((1 - confidence) / 2 * (means.size + 1) + 1e-9)
    if rank < 1:
        return Estimate(mean)
    low, high = rank - 1, means.size - rank
    ordered = np.partition(means, (low, high))  # half a million means: sorting all is slow
    return Estimate(mean, float(ordered[low]), float(ordered[high]))


# --- shape and multiplicity -----------------------------------------------------------------


def shapiro_wilk(change: ArrayLike) -> Test | None:
    """Shapiro and Wilk's look at normality, or None below 3 values or where all are equal.

    In samples this small a large p-value does not show that the changes are normal.
    """
    values = as_changes(change)
    if values.size < 3 or _constant(values):
        return None
    result = stats.shapiro(values)
    return Test(float(result.statistic), float(result.pvalue))


def share(k: int, n: int, confidence: float = CONFIDENCE) -> Estimate:
    """``k`` of ``n`` in per cent with Clopper and Pearson's exact limits."""
    exact = stats.binomtest(k, n).proportion_ci(confidence)
    return Estimate(100 * k / n, 100 * float(exact.low), 100 * float(exact.high))


def smallest_p(n: int) -> float:
    """The smallest two-sided p-value that an exact sign-flip or signed-rank test can give."""
    return min(1.0, 2.0 ** (1 - n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979).

    Raises:
        ValueError: a p-value outside 0 to 1.
    """
    values = np.asarray(p_values, dtype=np.float64)
    if values.size and not ((values >= 0) & (values <= 1)).all():
        raise ValueError("p-values must lie between 0 and 1")
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate(values[order] * (values.size - np.arange(values.size)))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, steps)
    return [float(value) for value in adjusted]


def holm_levels(p_values: Sequence[float]) -> list[float]:
    """The confidence at which each interval agrees with Holm's corrected p-value.

    Holm rejects step by step at ``alpha / m``, ``alpha / (m - 1)``, ... and stops at the first that
    it cannot reject. Each test gets the level of its own step, those not rejected that of the step
    where it stopped: interval and corrected p-value then fall on the same side of no change.

    Raises:
        ValueError: a p-value outside 0 to 1.
    """
    corrected = holm(p_values)
    levels = [0.0] * len(corrected)
    stopped = None
    for step, index in enumerate(sorted(range(len(corrected)), key=lambda i: p_values[i])):
        left = len(corrected) - step if stopped is None else stopped
        if stopped is None and corrected[index] >= 1 - CONFIDENCE:
            stopped = left
        levels[index] = 1 - (1 - CONFIDENCE) / left
    return levels
