"""Whether two changes go together: Spearman's rank correlation with an interval."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

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
        raise ValueError("values must be finite; leave out subjects that are not known")
    return stats.rankdata(one), stats.rankdata(two)


def _rho(one: FloatArray, two: FloatArray, axis: int = -1) -> FloatArray:
    """Spearman's rho of samples along an axis; 0 where a resample has no spread."""
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
