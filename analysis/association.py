"""Measure whether two changes go together: Spearman's rank correlation with an interval."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .design import Design, Pair
from .quantities import Quantity
from .statistics import CONFIDENCE, Estimate, Test, bca_limits

FloatArray = NDArray[np.float64]

_EXACT = 8  # 8! = 40,320 orders
_MONTE_CARLO = 99_999
_BLOCK = 10_000
_INTERVAL_FROM = 8


def _ranks(first: ArrayLike, second: ArrayLike) -> tuple[FloatArray, FloatArray]:
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 1 or one.shape != two.shape:
        raise ValueError("both must have one shape (n,)")
    if not (np.isfinite(one).all() and np.isfinite(two).all()):
        raise ValueError("values must be finite; leave out subjects with unknown values")
    return stats.rankdata(one), stats.rankdata(two)


def _rho(one: FloatArray, two: FloatArray, axis: int = -1) -> FloatArray:
    """Spearman's rho of samples along an axis; 0 if a resample has no spread."""
    left, right = stats.rankdata(one, axis=axis), stats.rankdata(two, axis=axis)
    left = left - left.mean(axis=axis, keepdims=True)
    right = right - right.mean(axis=axis, keepdims=True)
    bottom = np.sqrt((left**2).sum(axis=axis) * (right**2).sum(axis=axis))
    top = (left * right).sum(axis=axis)
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def _permutation_p(one: FloatArray, two: FloatArray, seed: int) -> float:
    """Share of the orders of one side under which the correlation is at least as far from zero."""
    n = one.size
    left, right = one - one.mean(), two - two.mean()
    observed = abs(float(left @ right)) * (1 - 1e-9)
    if n <= _EXACT:
        orders = np.array(list(itertools.permutations(range(n))))
        return float((np.abs(left[orders] @ right) >= observed).mean())
    rng = np.random.default_rng(seed)
    hits = 0
    for start in range(0, _MONTE_CARLO, _BLOCK):
        rows = min(_BLOCK, _MONTE_CARLO - start)
        shuffled = rng.permuted(np.broadcast_to(left, (rows, n)), axis=1)
        hits += int((np.abs(shuffled @ right) >= observed).sum())
    return (hits + 1) / (_MONTE_CARLO + 1)


def spearman(
    first: ArrayLike, second: ArrayLike, *, confidence: float = CONFIDENCE, seed: int = 0
) -> tuple[Estimate, Test] | None:
    """Spearman's rank correlation with a BCa bootstrap interval and a permutation test.

    Args:
        first: shape ``(n,)``.
        second: shape ``(n,)``, of the same subjects.
        confidence: of the interval.
        seed: of the resampling.

    Returns:
        The correlation (no limits below 8 pairs) and the test: exact to 8 pairs, beyond that from
        99,999 random orders with the observed one counted in. None below 4 pairs or where one of
        both does not vary.

    Raises:
        ValueError: shapes differ or a value is not finite.
    """
    one, two = _ranks(first, second)
    n = one.size
    if n < 4 or np.ptp(one) == 0 or np.ptp(two) == 0:
        return None
    rho = float(_rho(one, two))
    test = Test(rho, _permutation_p(one, two, seed), exact=n <= _EXACT)
    if n < _INTERVAL_FROM:
        return Estimate(rho), test
    low, high = bca_limits(
        (np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)),
        _rho,
        confidence,
        seed=seed,
    )
    return Estimate(rho, low, high), test


@dataclass(frozen=True)
class Association:
    """How two changes go together."""

    first: str
    """Key of the measure on the horizontal axis."""
    second: str
    """Key of the other."""
    timepoint: str
    """The later visit."""
    points: tuple[tuple[str, float, float], ...]
    """Subject and both changes."""
    rho: Estimate | None
    """Spearman's correlation, None if it cannot be computed."""
    test: Test | None
    """Its permutation test."""

    def quantity(self) -> Quantity:
        """The row of statistics.csv, under the first measure."""
        rho, test = self.rho, self.test
        exact = "exact" if test is None or test.exact else "99,999 orders"
        return Quantity(
            f"spearman_with_{self.second}",
            len(self.points),
            rho.value if rho else None,
            rho.low if rho else None,
            rho.high if rho else None,
            test.p_value if test else None,
            method="rank correlation of the changes; BCa bootstrap, approximate; "
            f"permutation test, {exact}",
        )


ASSOCIATED = (
    ("liver_volume_ml", "caf_percent"),
    ("liver_volume_ml", "child_pugh_score"),
    ("liver_volume_ml", "meld"),
    ("liver_volume_ml", "albumin_g_dl"),
    ("caf_percent", "child_pugh_score"),
    ("caf_percent", "meld"),
    ("caf_percent", "albumin_g_dl"),
)


def associations(design: Design, pairs: Sequence[Pair]) -> list[Association]:
    """Rank correlations between the changes of :data:`ASSOCIATED`, at each later visit.

    Only subjects with both changes count. Those with fewer than 4 are left out.
    """
    changes: dict[tuple[str, str], dict[str, float]] = {}
    for pair in pairs:
        if pair.change is not None:
            changes.setdefault((pair.measure, pair.timepoint), {})[pair.subject] = pair.change
    found = []
    for first, second in ASSOCIATED:
        for later in design.timepoints[1:]:
            one, two = changes.get((first, later), {}), changes.get((second, later), {})
            points = tuple((s, one[s], two[s]) for s in design.subjects if s in one and s in two)
            if len(points) < 4:
                continue
            result = spearman([p[1] for p in points], [p[2] for p in points])
            rho, test = result if result else (None, None)
            found.append(Association(first, second, later, points, rho, test))
    return found
