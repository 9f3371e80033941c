"""All visits at once: a mixed model for repeated measures, for those who did not come every time.

Means of each visit with an unstructured covariance between visits, fitted by restricted maximum
likelihood to every value that is there (R: ``nlme::gls`` with ``corSymm`` and ``varIdent``). It
assumes that who stays away can be foreseen from their values before (missing at random); the paired
analysis assumes that they stay away whatever their values are. Errors: mmrm_error.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats

from .mmrm_error import Model, Pattern, contrast_errors
from .statistics import CONFIDENCE, Estimate, FloatArray, Test

_LEAST = 6
_SETTLED = 1e-3  # slope of the deviance at its minimum


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
        confidence: of the intervals, by Student's t with Satterthwaite's degrees of freedom.

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

    best = optimize.minimize(
        _deviance, start, (patterns, visits), "BFGS", jac=True, options={"gtol": 1e-7}
    )
    covariance = _covariance(best.x, visits)[1]
    if not math.isfinite(best.fun) or float(np.abs(best.jac).max()) > _SETTLED:
        return None
    value, means = float(best.fun), Model(covariance, patterns).means
    changes, tests = [], []
    contrasts = np.eye(visits)[1:] - np.eye(visits)[0]
    errors = contrast_errors(covariance, patterns, contrasts)
    if errors is None:
        return None
    for weights, (variance, df) in zip(contrasts, errors, strict=True):
        error = math.sqrt(variance) * scale
        change = float(weights @ means) * scale
        reach = float(stats.t.ppf((1 + confidence) / 2, df))
        changes.append(Estimate(change, change - reach * error, change + reach * error))
        tests.append(Test(change / error, 2 * float(stats.t.sf(abs(change) / error, df))))
    observed = int(there.sum())
    likelihood = -(value + (observed - visits) * math.log(2 * math.pi)) / 2
    return Repeated(
        n, tuple(changes), tuple(tests), likelihood - (observed - visits) * math.log(scale)
    )


def _covariance(parameters: FloatArray, visits: int) -> tuple[FloatArray, FloatArray]:
    """``L`` and ``L L'`` with the logarithms of the diagonal of ``L`` among the parameters."""
    root = np.zeros((visits, visits))
    root[np.tril_indices(visits)] = parameters
    root[np.diag_indices(visits)] = np.exp(np.clip(np.diag(root), -30, 30))
    return root, root @ root.T


def _deviance(
    parameters: FloatArray, patterns: list[Pattern], visits: int
) -> tuple[float, FloatArray]:
    """Twice the negative restricted log-likelihood and its slope by the parameters."""
    root, covariance = _covariance(parameters, visits)
    lower = np.tril_indices(visits)
    try:
        model = Model(covariance, patterns)
    except np.linalg.LinAlgError:
        return math.inf, np.zeros(len(parameters))
    slope = np.zeros((visits, visits))
    slope[lower] = model.slope
    # an element below the diagonal stands twice in the covariance
    by_root = (slope + slope.T) @ root
    by_root[np.diag_indices(visits)] *= np.diag(root)
    return (model.deviance if math.isfinite(model.deviance) else 1e300), by_root[lower]
