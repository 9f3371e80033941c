"""Agreement of two measurements of the same cases: two runs, two readers, two engines.

Pure functions of arrays of shape ``(n,)`` or ``(n, raters)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .statistics import CONFIDENCE, Estimate

FloatArray = NDArray[np.float64]
LEAST_CASES = 3


@dataclass(frozen=True)
class BlandAltman:
    """Bland and Altman's limits of agreement."""

    n: int
    """Pairs."""
    bias: Estimate
    """Mean difference, second minus first, with its t interval."""
    sd: float
    """Standard deviation of the differences."""
    lower: Estimate
    """Lower limit of agreement with its interval."""
    upper: Estimate
    """Upper limit of agreement with its interval."""
    slope: float | None
    """Of the difference against the mean: whether the error grows with the size."""
    slope_p: float | None
    """Two-sided p-value of a slope of zero, None if not defined."""


@dataclass(frozen=True)
class Repeatability:
    """Within-subject error of repeated measurements."""

    n: int
    """Cases."""
    within_sd: float
    """Within-subject standard deviation."""
    cov_percent: float | None
    """Within-subject coefficient of variation (root mean square), in per cent; None if a mean
    is not above zero."""
    repeatability_coefficient: Estimate
    """1.96 sqrt(2) within_sd: 95 % of two measurements differ by less, with its chi-square
    interval."""
    icc: Estimate
    """ICC(2,1), absolute agreement, with its interval."""

    @property
    def smallest_detectable(self) -> float:
        """The repeatability coefficient read as a change: what one patient's change must exceed."""
        return self.repeatability_coefficient.value


def _pairs(first: ArrayLike, second: ArrayLike) -> tuple[FloatArray, FloatArray]:
    one = np.asarray(first, dtype=np.float64)
    two = np.asarray(second, dtype=np.float64)
    if one.ndim != 1 or one.shape != two.shape:
        raise ValueError("both measurements must have one shape (n,)")
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        raise ValueError("measurements must be finite; leave out cases with unknown values")
    if one.size < LEAST_CASES:
        raise ValueError(f"needs at least {LEAST_CASES} cases, not {one.size}")
    return one, two


def bland_altman(
    first: ArrayLike, second: ArrayLike, confidence: float = CONFIDENCE
) -> BlandAltman:
    """Limits of agreement, second minus first (Bland & Altman, Lancet 1986 and SMMR 1999).

    The limits' intervals use the standard error ``sd sqrt(1/n + 1.96^2 / (2 (n - 1)))`` of the 1999
    paper with the t distribution.

    Raises:
        ValueError: shapes differ, values are not finite, fewer than 3 cases.
    """
    one, two = _pairs(first, second)
    difference = two - one
    n = difference.size
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    t = float(stats.t.ppf((1 + confidence) / 2, n - 1))
    z = float(stats.norm.ppf(0.975))
    bias_half = t * sd / math.sqrt(n)
    limit_half = t * sd * math.sqrt(1 / n + z**2 / (2 * (n - 1)))
    middle = (one + two) / 2
    slope = slope_p = None
    if np.ptp(middle) > 0 and sd > 0:
        line = stats.linregress(middle, difference)
        slope, slope_p = float(line.slope), float(line.pvalue)
    low, high = bias - z * sd, bias + z * sd
    return BlandAltman(
        n,
        Estimate(bias, bias - bias_half, bias + bias_half),
        sd,
        Estimate(low, low - limit_half, low + limit_half),
        Estimate(high, high - limit_half, high + limit_half),
        slope,
        slope_p,
    )


def icc_2_1(ratings: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """ICC(2,1): two-way random effects, absolute agreement, single measurement.

    Estimate of Shrout & Fleiss, Psychological Bulletin 1979, 86:420-428; interval of McGraw & Wong,
    Psychological Methods 1996, 1:30-46.

    Args:
        ratings: shape ``(n, raters)``, no gaps.
        confidence: of the interval.

    Raises:
        ValueError: fewer than 2 cases or raters, or a value is not finite.
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2 or not np.isfinite(table).all():
        raise ValueError("ratings must be finite and of shape (n, raters), both at least 2")
    n, k = table.shape
    grand = table.mean()
    rows = k * float(((table.mean(axis=1) - grand) ** 2).sum()) / (n - 1)
    columns = n * float(((table.mean(axis=0) - grand) ** 2).sum()) / (k - 1)
    total = float(((table - grand) ** 2).sum())
    error = max(0.0, (total - rows * (n - 1) - columns * (k - 1)) / ((n - 1) * (k - 1)))
    bottom = rows + (k - 1) * error + k * (columns - error) / n
    if bottom <= 0:
        raise ValueError("all ratings are equal: the ICC is not defined")
    icc = (rows - error) / bottom
    if error == 0 and columns == 0:
        return Estimate(icc, icc, icc)
    a = k * icc / (n * (1 - icc)) if icc < 1 else math.inf
    b = 1 + k * icc * (n - 1) / (n * (1 - icc)) if icc < 1 else math.inf
    if not math.isfinite(a):
        return Estimate(icc)
    df = (a * columns + b * error) ** 2 / (
        (a * columns) ** 2 / (k - 1) + (b * error) ** 2 / ((n - 1) * (k - 1))
    )
    upper = float(stats.f.ppf((1 + confidence) / 2, n - 1, df))
    lower = float(stats.f.ppf((1 + confidence) / 2, df, n - 1))
    noise = k * columns + (k * n - k - n) * error
    low = n * (rows - upper * error) / (upper * noise + n * rows)
    high = n * (lower * rows - error) / (noise + n * lower * rows)
    return Estimate(icc, low, high)


def repeatability(
    first: ArrayLike, second: ArrayLike, confidence: float = CONFIDENCE
) -> Repeatability:
    """Within-subject error of two measurements of each case.

    ``within_sd`` is the root of the mean of ``difference^2 / 2``, so a bias between the two counts
    as error; the smallest detectable change is ``1.96 sqrt(2) within_sd`` accordingly.

    Raises:
        ValueError: shapes differ, values are not finite, fewer than 3 cases, all values equal.
    """
    one, two = _pairs(first, second)
    n = one.size
    within = math.sqrt(float(((two - one) ** 2).mean()) / 2)
    z = float(stats.norm.ppf(0.975))
    coefficient = z * math.sqrt(2) * within
    tail = (1 - confidence) / 2
    # n independent differences: n degrees of freedom for a within-subject variance
    low = coefficient * math.sqrt(n / float(stats.chi2.ppf(1 - tail, n)))
    high = coefficient * math.sqrt(n / float(stats.chi2.ppf(tail, n)))
    means = (one + two) / 2
    cov = None
    if (means > 0).all():
        cov = 100 * math.sqrt(float((((two - one) / means) ** 2).mean()) / 2)
    return Repeatability(
        n,
        within,
        cov,
        Estimate(coefficient, low, high),
        icc_2_1(np.column_stack([one, two]), confidence),
    )
