"""All visits at once: a mixed model for repeated measures, for those who did not come every time.

Means of each visit with an unstructured covariance between visits, fitted by restricted maximum
likelihood to every value that is there (R: ``nlme::gls`` with ``corSymm`` and ``varIdent``). It
assumes that who stays away can be foreseen from their values before (missing at random); the paired
analysis assumes that they stay away whatever their values are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

from .statistics import CONFIDENCE, Estimate, FloatArray, Test

_LEAST = 6
_SETTLED = 0.02  # slope of the deviance at its minimum; numerical slopes carry 0.001 of noise

Pattern = tuple[NDArray[np.intp], FloatArray]
"""Visits that some subjects have, and their values there, shape ``(subjects, visits)``."""


@dataclass(frozen=True)
class Repeated:
    """The changes from the first visit that a mixed model estimates."""

    n: int
    """Subjects with at least one value."""
    changes: tuple[Estimate, ...]
    """Of each later visit, with t intervals."""
    tests: tuple[Test, ...]
    """Each change against none."""
    log_likelihood: float
    """Restricted, at the estimates, as nlme gives it."""


def mixed_model(values: ArrayLike, confidence: float = CONFIDENCE) -> Repeated | None:
    """Fit the means of all visits with an unstructured covariance by REML.

    Args:
        values: shape ``(n, visits)``, NaN if a subject was not measured.
        confidence: of the intervals, by Student's t with ``n - 1`` degrees of freedom.

    Returns:
        The changes from the first visit; None below 6 subjects, where a visit has fewer than 3
        values, where two visits share fewer than 3 subjects, or where the fit does not settle.

    Raises:
        ValueError: not two-dimensional, or an infinite value.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or np.isinf(table).any():
        raise ValueError("values must be finite or NaN, of shape (n, visits)")
    table = table[~np.isnan(table).all(axis=1)]
    there = ~np.isnan(table)
    n, visits = table.shape
    shared = there.T.astype(int) @ there.astype(int)
    if visits < 2 or n < max(_LEAST, visits + 2) or shared.min() < 3:
        return None
    scale = float(np.nanstd(table))
    if scale == 0:
        return None
    scaled = table / scale
    patterns: list[Pattern] = [
        (np.flatnonzero(pattern), scaled[(there == pattern).all(axis=1)][:, pattern])
        for pattern in np.unique(there, axis=0)
    ]
    lower = np.tril_indices(visits)
    start = np.diag(np.log(np.nanstd(scaled, axis=0, ddof=1) + 1e-3))[lower]

    def deviance(parameters: FloatArray) -> float:
        return _fit(parameters, patterns, visits)[0]

    best = optimize.minimize(
        deviance, start, method="BFGS", options={"gtol": 1e-9, "maxiter": 2000}
    )
    value, means, spread = _fit(best.x, patterns, visits)
    gradient = float(np.abs(best.jac).max())
    if not math.isfinite(value) or gradient > _SETTLED:
        return None
    changes, tests = [], []
    reach = float(stats.t.ppf((1 + confidence) / 2, n - 1))
    for visit in range(1, visits):
        change = float(means[visit] - means[0]) * scale
        variance = spread[visit, visit] + spread[0, 0] - 2 * spread[0, visit]
        error = math.sqrt(max(0.0, float(variance))) * scale
        if error == 0:
            return None
        changes.append(Estimate(change, change - reach * error, change + reach * error))
        tests.append(Test(change / error, 2 * float(stats.t.sf(abs(change) / error, n - 1))))
    observed = int(there.sum())
    likelihood = -(value + (observed - visits) * math.log(2 * math.pi)) / 2
    return Repeated(
        n, tuple(changes), tuple(tests), likelihood - (observed - visits) * math.log(scale)
    )


def _fit(
    parameters: FloatArray, patterns: list[Pattern], visits: int
) -> tuple[float, FloatArray, FloatArray]:
    """Twice the negative restricted log-likelihood, the means and their covariance.

    The covariance is ``L L'`` with the logarithms of the diagonal of ``L`` among the parameters.
    """
    root = np.zeros((visits, visits))
    root[np.tril_indices(visits)] = parameters
    root[np.diag_indices(visits)] = np.exp(np.clip(np.diag(root), -30, 30))
    covariance = root @ root.T
    information = np.zeros((visits, visits))
    weighted = np.zeros(visits)
    quadratic = determinant = 0.0
    try:
        for seen, rows in patterns:
            inverse = np.linalg.inv(covariance[np.ix_(seen, seen)])
            determinant += len(rows) * float(np.linalg.slogdet(covariance[np.ix_(seen, seen)])[1])
            information[np.ix_(seen, seen)] += len(rows) * inverse
            weighted[seen] += inverse @ rows.sum(axis=0)
            quadratic += float(np.einsum("ij,jk,ik->", rows, inverse, rows))
        spread = np.asarray(np.linalg.inv(information), dtype=np.float64)
        means = spread @ weighted
        determinant += float(np.linalg.slogdet(information)[1])
    except np.linalg.LinAlgError:
        return math.inf, np.zeros(visits), np.eye(visits)
    value = determinant + quadratic - float(weighted @ means)
    return (value if math.isfinite(value) else 1e300), means, spread
