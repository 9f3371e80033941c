"""What one subject's change is against the error of measuring it and what an unchanged liver shows.

- The limits of a change join both visits' limits by the square-and-add rule (MOVER; Zou & Donner,
  Statistics in Medicine 2008, 27:1693-1702).
- A change whose limits hold zero is within measurement error; one whose limits exclude it never is.
- Beyond that it is called only where it also exceeds what a stable patient varies over time, and,
  for a biopsy, what two samples of one unchanged liver differ.
- Without limits nothing is called.
"""

from __future__ import annotations

import math

from scipy import stats

from ..vocabulary import Call
from .design import Visit

_TWO_SIDED = float(stats.norm.ppf(0.975))


def change_limits(first: Visit, later: Visit) -> tuple[float, float] | None:
    """The measurement-error limits of a change by square-and-add, None if a limit is missing."""
    if first.value is None or first.low is None or first.high is None:
        return None
    if later.value is None or later.low is None or later.high is None:
        return None
    change = later.value - first.value
    below = math.hypot(later.value - later.low, first.high - first.value)
    above = math.hypot(later.high - later.value, first.value - first.low)
    return change - below, change + above


def within_sampling(
    first: float, later: float, cv_percent: float, samples: tuple[int, int]
) -> bool:
    """Whether two values differ no more than samples of one unchanged organ do, in 95 %.

    Samples of one liver scatter in proportion to their mean, so that their logarithms have the
    standard deviation ``sqrt(log(1 + cv^2))``; the mean of ``n`` samples scatters ``sqrt(n)`` less.

    Args:
        first: the earlier value.
        later: the later value.
        cv_percent: coefficient of variation between samples, in per cent.
        samples: how many samples went into each.

    >>> within_sampling(20.0, 12.0, 43.0, (1, 1))
    True
    >>> within_sampling(20.0, 5.0, 43.0, (1, 1))
    False
    """
    if first <= 0 or later <= 0:
        return first == later
    sd = math.sqrt(math.log1p((cv_percent / 100) ** 2))
    reach = _TWO_SIDED * sd * math.sqrt(1 / samples[0] + 1 / samples[1])
    return abs(math.log(later / first)) <= reach


def call_change(
    change: float,
    percent_change: float | None,
    limits: tuple[float, float] | None,
    variation_percent: float | None,
    *,
    sampling: bool = False,
) -> tuple[Call, tuple[str, ...]]:
    """What a change is.

    Args:
        change: follow-up minus baseline.
        percent_change: change over baseline in per cent.
        limits: 95 % measurement-error limits of the change.
        variation_percent: how far a stable patient varies, None if not configured.
        sampling: whether it is within what two samples of one unchanged organ differ.

    Returns:
        The call, and flags that explain it.
    """
    if limits is None:
        return Call.NO_LIMITS, ("no_limits",)
    if limits[0] <= 0 <= limits[1]:
        return Call.WITHIN_ERROR, ()
    flags = []
    if (
        variation_percent is not None
        and percent_change is not None
        and abs(percent_change) <= variation_percent
    ):
        flags.append("within_biological_variation")
    if sampling:
        flags.append("within_sampling_error")
    if flags:
        return Call.WITHIN_VARIATION, tuple(flags)
    return (Call.INCREASED if change > 0 else Call.DECREASED), ()
