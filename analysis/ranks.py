"""Tests and estimates of paired changes by their ranks: plain arrays in, plain numbers out.

Exact for any sample, ties and zeros included, as in statistics.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from .statistics import CONFIDENCE, Estimate, FloatArray, Test, as_changes, needs


def signed_ranks(change: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Signed midranks of the changes that are not zero (Wilcoxon's rule: zeros are left out).

    Returns:
        Midranks of the magnitudes and the signs, each of shape ``(m,)`` with ``m`` non-zeros.
    """
    values = as_changes(change)
    values = values[values != 0]
    return np.asarray(stats.rankdata(np.abs(values)), dtype=np.float64), np.sign(values)


def wilcoxon(change: ArrayLike) -> Test:
    """Wilcoxon's signed-rank test, exact for any sample, ties and zeros included.

    The distribution is that of the midranks actually found, under all sign patterns, computed by
    convolution; tables and approximations for untied ranks are wrong with ties. Zeros are left out.

    Returns:
        The sum of the positive ranks and the two-sided p-value (1 where every change is zero).

    Raises:
        ValueError: no pair.
    """
    needs(as_changes(change), 1)
    ranks, signs = signed_ranks(change)
    if ranks.size == 0:
        return Test(0.0, 1.0)
    doubled = np.rint(2 * ranks).astype(int)  # midranks are halves: whole numbers when doubled
    total = int(doubled.sum())
    chance = np.zeros(total + 1)
    chance[0] = 1.0
    for rank in doubled:
        shifted = np.zeros_like(chance)
        shifted[rank:] = chance[: total + 1 - rank]
        chance = (chance + shifted) / 2
    positive = int(doubled[signs > 0].sum())
    farther = np.abs(2 * np.arange(total + 1) - total) >= abs(2 * positive - total)
    return Test(positive / 2, min(1.0, float(chance[farther].sum())))


def rank_biserial(change: ArrayLike) -> float:
    """The matched-pairs rank-biserial correlation (Kerby 2014): 1 if all went up, -1 if all down.

    The difference between the positive and the negative ranks' sums over the sum of all; 0 where
    every change is zero.
    """
    ranks, signs = signed_ranks(change)
    return float((ranks * signs).sum() / ranks.sum()) if ranks.size else 0.0


def hodges_lehmann(change: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """The Hodges-Lehmann estimate: the median of all pairwise means of the changes.

    The limits are order statistics of those means at the exact quantile of the signed-rank
    distribution (Hollander, Wolfe & Chicken, Nonparametric Statistical Methods, section 3.3), as
    R's ``wilcox.test(exact = TRUE, conf.int = TRUE)``; with ties they cover at least their
    confidence.

    Returns:
        The estimate; no limits where the sample cannot reach the confidence (n below 6 for 95 %).

    Raises:
        ValueError: no pair.
    """
    values = as_changes(change)
    needs(values, 1)
    n = values.size
    rows, columns = np.triu_indices(n)
    walsh = np.sort((values[rows] + values[columns]) / 2)
    estimate = float(np.median(walsh))
    count = walsh.size
    chance = np.zeros(count + 1)
    chance[0] = 1.0
    for rank in range(1, n + 1):
        shifted = np.zeros_like(chance)
        shifted[rank:] = chance[: count + 1 - rank]
        chance = (chance + shifted) / 2
    # the largest k with P(W <= k - 1) <= alpha / 2: the k-th means from both ends are the limits
    below = np.cumsum(chance)
    k = int(np.searchsorted(below, (1 - confidence) / 2 * (1 + 1e-12), side="right"))
    if k < 1:
        return Estimate(estimate)
    return Estimate(estimate, float(walsh[k - 1]), float(walsh[count - k]))


def median_exact(values: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """The median with the sign test's distribution-free interval (order statistics).

    Returns:
        The median; no limits where the sample cannot reach the confidence (n below 6 for 95 %).

    Raises:
        ValueError: no value.
    """
    array = np.sort(as_changes(values))
    needs(array, 1)
    n = array.size
    median = float(np.median(array))
    below = stats.binom.cdf(np.arange(n), n, 0.5)
    k = int(np.searchsorted(below, (1 - confidence) / 2 * (1 + 1e-12), side="right"))
    if k < 1:
        return Estimate(median)
    return Estimate(median, float(array[k - 1]), float(array[n - k]))
