"""How much likelier a grey value is in a liver than beside it, read in the scan itself.

An MR's grey values have no unit, and coils make them drift, so no network can know them. But where
the network is sure, the scan shows which grey values liver has here and which its neighbours have.
Where it is unsure, many voxels lie across the border and hold some of both: their grey lies
between, where sure liver is never seen. So such mixtures are counted as well.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SURE = (0.05, 0.95)
"""Probabilities beyond which a voxel counts as neighbour, and as liver."""

MOST = 4.0
"""Log likelihood ratio that none exceeds: a grey value that was never seen proves nothing."""

_BINS = 32
_GREY_SMOOTH_MM, _GREY_SMOOTH_MOST = 1.0, 2.0  # and at most this many voxels
_CELL_MM, _REACH_MM = 4.0, 10.0  # of a histogram, and how far it counts
_EVIDENCE = 0.2  # voxels of the whole scan mixed in
_NEVER = 1e-4  # share of each bin, so that nothing is impossible
_ACROSS = 0.25  # share of the unsure voxels that hold both
_MOSTLY = (0.55, 0.65, 0.75, 0.85, 0.95)  # how much of such a voxel is what most of it is
_AT_ONCE = 5000  # cells, which bounds the memory


def log_likelihood_ratio(
    grey: NDArray[np.float32],
    probability: NDArray[np.float32],
    spacing_mm: NDArray[np.float64],
    *,
    seen: NDArray[np.bool_],
    where: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Natural logarithm of how much likelier the grey of voxels is as liver than as a neighbour.

    Both are histograms of the voxels about it that are surely one or the other, weighted by a
    Gaussian of 10 mm; where few lie near, the whole part's count. A quarter of the unsure voxels
    are taken to hold both, and to count as what most of them is.

    Args:
        grey: (x, y, z), of any unit.
        probability: of the liver, of the same shape.
        spacing_mm: voxel size along x, y, z.
        seen: of the same shape, which voxels the scan has: what repeats its last ones is no
            neighbour, although no liver was found there.
        where: of the same shape, which voxels are asked for.

    Returns:
        float32 (n,) of the voxels asked for, at most :data:`MOST` either way; 0 where nothing is
        sure.
    """
    liver, beside = (probability > SURE[1]) & seen, (probability < SURE[0]) & seen
    if not liver.any() or not beside.any():
        return np.zeros(np.count_nonzero(where), np.float32)
    sigma = np.minimum(_GREY_SMOOTH_MM / spacing_mm, _GREY_SMOOTH_MOST)
    smooth = ndimage.gaussian_filter(grey, sigma)
    low, high = np.percentile(smooth, [1, 99])
    level = ((smooth - low) / max(high - low, 1e-6) * (_BINS - 1)).clip(0, _BINS - 1)
    sides = np.maximum(1, np.round(_CELL_MM / spacing_mm).astype(int))
    cells = tuple(-(-n // side) for n, side in zip(grey.shape, sides, strict=True))
    reach = (1.0, *(_REACH_MM / (spacing_mm * sides)))

    def cells_of(places: tuple[NDArray[np.intp], ...]) -> tuple[NDArray[np.intp], ...]:
        return tuple(at // side for at, side in zip(places, sides, strict=True))

    def shares(chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
        bin_and_cell = np.ravel_multi_index(
            (level[chosen].astype(np.int64), *cells_of(np.nonzero(chosen))), (_BINS, *cells)
        )
        counts = np.bincount(bin_and_cell, minlength=_BINS * int(np.prod(cells)))
        near = ndimage.gaussian_filter(counts.reshape(_BINS, *cells).astype(np.float32), reach)
        everywhere = near.sum((1, 2, 3), keepdims=True) / near.sum()
        mixed = (near + _EVIDENCE * everywhere) / (near.sum(0) + _EVIDENCE)
        return np.asarray((mixed + _NEVER) / (1 + _BINS * _NEVER), np.float32)

    places = np.nonzero(where)
    asked = np.zeros(cells, bool)
    asked[cells_of(places)] = True
    asked = ndimage.binary_dilation(asked, np.ones((3, 3, 3)))  # it is interpolated between cells
    ratio = np.zeros((_BINS, *cells), np.float32)
    ratio[:, asked] = _log_ratio(shares(liver)[:, asked], shares(beside)[:, asked])
    # a bin and a cell are known in their middle
    middles = [(at + 0.5) / side - 0.5 for at, side in zip(places, sides, strict=True)]
    at = [(level[where] - 0.5).clip(0, _BINS - 1), *middles]
    found = ndimage.map_coordinates(ratio, at, order=1, mode="nearest")
    return np.asarray(found.clip(-MOST, MOST), np.float32)


def _log_ratio(liver: NDArray[np.float32], beside: NDArray[np.float32]) -> NDArray[np.float32]:
    """The ratio of two histograms (bins, cells), each blurred by voxels that hold both."""
    ratio = np.empty_like(liver)
    for start in range(0, liver.shape[1], _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        more, less = liver[:, part], beside[:, part]
        ratio[:, part] = np.log(_with_mixed(more, less) / _with_mixed(less, more))
    return ratio


def _with_mixed(mostly: NDArray[np.float32], partly: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shares (bins, cells) of grey values of voxels that hold one tissue, or most of it."""
    both = (mostly[:, None] * partly[None]).reshape(_BINS**2, -1)
    return np.asarray((1 - _ACROSS) * mostly + _ACROSS * (_mixtures() @ both), np.float32)


@functools.cache
def _mixtures() -> NDArray[np.float32]:
    """How often levels m and p together give level g, (g, m * bins + p), where m has more of it."""
    m, p = (level.ravel() for level in np.indices((_BINS, _BINS)))
    shares = np.zeros((_BINS, _BINS**2), np.float32)
    for mostly in _MOSTLY:
        level = mostly * m + (1 - mostly) * p
        below = np.minimum(level.astype(int), _BINS - 2)
        shares[below, np.arange(_BINS**2)] += (below + 1 - level) / len(_MOSTLY)
        shares[below + 1, np.arange(_BINS**2)] += (level - below) / len(_MOSTLY)
    return shares
