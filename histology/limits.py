"""How sure a collagen fraction is, pure: block bootstrap and threshold sensitivity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Edge of the squares that are drawn together, mm. Septa and lobules repeat at about 1 mm, so
#: neighbouring pixels are no independent witnesses; squares of half that keep enough of them.
BLOCK_MM = 0.5
_LEAST_BLOCKS = 3


def caf_limits(
    tissue_px: NDArray[np.int64],
    collagen_px: NDArray[np.int64],
    lenient_strict: tuple[float, float],
    *,
    draws: int,
    seed: int,
) -> tuple[float, float]:
    """95 % limits of the collagen fraction, per cent.

    The sampling part comes from redrawing the tissue's squares with replacement (ratio estimator,
    basic spread around the estimate), the threshold's part from the fractions that a more lenient
    and a stricter border give, read as one standard error each way; both are added in quadrature.

    Args:
        tissue_px: tissue pixels of each square, shape (n,).
        collagen_px: collagen pixels of each square.
        lenient_strict: fraction in per cent at the lenient and at the strict border.
        draws: number of resamplings.
        seed: seed of the random generator.

    Returns:
        Lower and upper limit, inside 0 to 100.
    """
    used = tissue_px > 0
    tissue, collagen = tissue_px[used].astype(np.float64), collagen_px[used].astype(np.float64)
    n = len(tissue)
    estimate = 100.0 * collagen.sum() / tissue.sum()
    lenient, strict = lenient_strict
    up, down = max(lenient - estimate, 0.0), max(estimate - strict, 0.0)
    if n < _LEAST_BLOCKS:
        # too little tissue to see how it varies: nothing narrower can be said than "0 to 100"
        return 0.0, 100.0
    generator = np.random.default_rng(seed)
    fractions = np.empty(draws)
    for start in range(0, draws, 64):  # bounded memory for slides of many squares
        picks = generator.integers(0, n, size=(min(64, draws - start), n))
        sums = collagen[picks].sum(axis=1), tissue[picks].sum(axis=1)
        fractions[start : start + len(picks)] = 100.0 * sums[0] / sums[1]
    low, high = np.percentile(fractions, [2.5, 97.5])
    # few squares: the bootstrap is too narrow by about this factor (t against normal quantile)
    widen = np.sqrt(n / (n - 1.0)) * _t_over_z(n - 1)
    spread_down = widen * max(estimate - low, 0.0)
    spread_up = widen * max(high - estimate, 0.0)
    return (
        float(max(0.0, estimate - np.hypot(spread_down, 1.96 * down / 2))),
        float(min(100.0, estimate + np.hypot(spread_up, 1.96 * up / 2))),
    )


def _t_over_z(degrees: int) -> float:
    from scipy import stats  # noqa: PLC0415  late: not needed to open a slide

    return float(stats.t.ppf(0.975, degrees) / stats.norm.ppf(0.975))


def pool_squares(counts: NDArray[np.int64], merge: int) -> NDArray[np.int64]:
    """Sum a grid of square counts, shape (rows, columns, k), over ``merge`` x ``merge`` squares."""
    rows, columns, kinds = counts.shape
    padded = np.zeros((-(-rows // merge) * merge, -(-columns // merge) * merge, kinds), np.int64)
    padded[:rows, :columns] = counts
    shape = (padded.shape[0] // merge, merge, padded.shape[1] // merge, merge, kinds)
    return np.asarray(padded.reshape(shape).sum(axis=(1, 3)))
