"""How many subjects the next trial needs, from the variation that this one found.

Power of t tests from the noncentral t distribution, both tails counted (R: ``power.t.test(...,
strict = TRUE)``). For small samples that is exact where changes are normal; nothing is approximated
by a normal distribution.
"""

from __future__ import annotations

import math

from scipy import stats

from .power import noncentral_t

_MOST = 100_000


def power_of(n: int, difference: float, sd: float, *, arms: int = 1, alpha: float = 0.05) -> float:
    """The chance that a mean change (one arm) or a difference of changes (two arms) is found.

    Args:
        n: subjects compared, in each arm.
        difference: true mean change, or true difference of the arms' mean changes.
        sd: standard deviation of the changes, the same in both arms.
        arms: 1 or 2.
        alpha: two-sided level.

    Raises:
        ValueError: fewer than 2 subjects, no spread, or another number of arms.

    >>> round(power_of(10, 1.0, 1.0), 4)
    0.8031
    """
    if n < 2 or sd <= 0 or arms not in (1, 2):
        raise ValueError("needs at least 2 subjects, an sd above 0, and 1 or 2 arms")
    df = arms * (n - 1)
    ncp = abs(difference) / sd * math.sqrt(n / arms)
    critical = float(stats.t.ppf(1 - alpha / 2, df))
    above = float(stats.nct.sf(critical, df, ncp))
    if not math.isfinite(above):
        above = 1.0 if ncp > critical else 0.0
    return above + noncentral_t(-critical, df, ncp)


def subjects_needed(
    difference: float, sd: float, *, power: float = 0.8, arms: int = 1, alpha: float = 0.05
) -> int:
    """The fewest subjects to compare, in each arm, that reach a power.

    Args:
        difference: as in :func:`power_of`, not 0.
        sd: as in :func:`power_of`.
        power: wanted.
        arms: 1 or 2.
        alpha: two-sided level.

    Raises:
        ValueError: a power outside ``alpha`` to 1, no difference, or more than 100,000 subjects.
    """
    if not alpha < power < 1 or difference == 0:
        raise ValueError("needs a difference, and a power between alpha and 1")
    low, high = 1, 2
    while power_of(high, difference, sd, arms=arms, alpha=alpha) < power:
        low, high = high, 2 * high
        if high > _MOST:
            raise ValueError("more than 100,000 subjects: the difference is too small")
    while high - low > 1:
        middle = (low + high) // 2
        enough = power_of(middle, difference, sd, arms=arms, alpha=alpha) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def spread_high(sd: float, n: int) -> float:
    """The upper limit of a standard deviation that ``n`` normal values gave, 95 % two-sided.

    >>> round(spread_high(95.0, 18), 1)
    142.4
    """
    return sd * math.sqrt((n - 1) / float(stats.chi2.ppf(0.025, n - 1)))


def enrolled_for(needed: int, dropout: float) -> int:
    """How many to enrol so that ``needed`` are left when a share drops out.

    Raises:
        ValueError: a share outside 0 to below 1.
    """
    if not 0 <= dropout < 1:
        raise ValueError("the dropout must be a share from 0 to below 1")
    return math.ceil(needed / (1 - dropout) - 1e-9)
