"""Effect size and power of a paired comparison, both from the noncentral t distribution."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from .statistics import CONFIDENCE, Estimate, paired_t


def cohen_dz(change: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Cohen's dz: the mean change in standard deviations of the changes.

    The limits come from the noncentral t distribution (Cumming & Finch 2001): the noncentralities
    under which the observed t is the upper or lower 2.5 % point, over ``sqrt(n)``.

    Raises:
        ValueError: fewer than 2 pairs, or all changes are equal.
    """
    t = paired_t(change).statistic
    n = np.asarray(change).size
    low, high = (
        _noncentrality(t, n - 1, probability)
        for probability in ((1 + confidence) / 2, (1 - confidence) / 2)
    )
    root = math.sqrt(n)
    return Estimate(t / root, low / root, high / root)


def noncentral_t(t: float, df: int, ncp: float) -> float:
    """Distribution function of the noncentral t, where SciPy gives NaN in the far tail, too.

    A t of the other sign than its noncentrality needs a normal deviate beyond ``|ncp|``: where
    SciPy fails (``|ncp|`` from 7) that chance is below 1e-11, nothing to what is asked here.
    """
    value = float(stats.nct.cdf(t, df, ncp))
    if math.isfinite(value):
        return value
    if abs(ncp) < 7 or t * ncp > 0:
        raise ArithmeticError(f"no noncentral t at t={t}, df={df}, ncp={ncp}")
    return 0.0 if ncp > 0 else 1.0


def _noncentrality(t: float, df: int, probability: float) -> float:
    """The noncentrality under which a t of ``df`` is below ``t`` with ``probability``."""

    def excess(ncp: float) -> float:
        return noncentral_t(t, df, ncp) - probability

    reach = 2.0
    while not (excess(t - reach) > 0 > excess(t + reach)):
        reach *= 2
    return float(optimize.brentq(excess, t - reach, t + reach, xtol=1e-12))


def detectable_change(
    n: int, sd: float, power: float = 0.8, significance: float = 0.05
) -> float | None:
    """The mean change that a paired t test of ``n`` pairs detects with ``power``.

    Both tails count, as R's ``power.t.test(strict = TRUE)``. It says what this sample could have
    shown; it is not a power computed after the fact from the observed change.

    Args:
        n: pairs.
        sd: standard deviation of the changes.
        power: chance of a p-value below ``significance``.
        significance: two-sided.

    Returns:
        In the unit of ``sd``; None below 2 pairs or without spread.
    """
    if n < 2 or not sd > 0:
        return None
    df = n - 1
    critical = float(stats.t.ppf(1 - significance / 2, df))

    def lacking(ncp: float) -> float:
        above = float(stats.nct.sf(critical, df, ncp))
        return above + noncentral_t(-critical, df, ncp) - power

    reach = 4.0
    while lacking(reach) < 0:
        reach *= 2
    return float(optimize.brentq(lacking, 0, reach, xtol=1e-12)) * sd / math.sqrt(n)
