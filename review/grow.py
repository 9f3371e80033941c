"""Grow an organ in one slice from what is painted to the edge of the tissue around it. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_RIM_MM = 25.0
"""How far from the painted part an edge is looked for."""
_BETA = 250.0
"""Of the random walker: how much a step in grey values stops it."""
_CLEAR_SD = 4.0
"""Grey values further from the painted part's mean are not the organ's, in standard deviations."""
_LEAST_SEED = 9
"""Painted pixels without which their grey values are not known well enough."""


def grow(
    grey: NDArray[np.floating],
    painted: NDArray[np.bool_],
    others: NDArray[np.bool_],
    spacing_mm: tuple[float, float],
) -> NDArray[np.bool_]:
    """Where an organ reaches in a slice, from a painted part of it.

    Random walks (L. Grady, IEEE Trans Pattern Anal Mach Intell 2006, 28:1768-83; scikit-image)
    decide between the painted part and what is clearly not the organ: other organs, and grey
    values far from those painted. Over 25 mm away nothing is looked at.

    Args:
        grey: grey values of the slice.
        painted: what was painted of the organ, the same shape.
        others: what other organs cover.
        spacing_mm: of a pixel along both axes.

    Returns:
        The painted part and what belongs to it; the painted part alone if it is too small (9
        pixels at least are needed) or there is no edge within 25 mm.
    """
    from scipy import ndimage  # noqa: PLC0415 - start-up time
    from skimage.segmentation import random_walker  # noqa: PLC0415

    if np.count_nonzero(painted) < _LEAST_SEED:
        return painted
    away = ndimage.distance_transform_edt(~painted, sampling=spacing_mm)
    rows, columns = (np.flatnonzero((away <= _RIM_MM).any(axis=axis)) for axis in (1, 0))
    box = np.s_[
        max(0, rows[0] - 1) : rows[-1] + 2,
        max(0, columns[0] - 1) : columns[-1] + 2,
    ]
    smooth = ndimage.gaussian_filter(grey[box].astype(np.float64), 0.7)
    inside = smooth[painted[box]]
    middle, spread = float(np.median(inside)), max(float(inside.std()), 1e-6)
    strange = np.abs(smooth - middle) > max(_CLEAR_SD * spread, _CLEAR_SD * _noise(grey[box]))
    if not (strange & ~painted[box] & (away[box] <= _RIM_MM)).any():
        return painted  # no edge within reach
    seeds = np.zeros(smooth.shape, np.int64)
    seeds[(others[box] | strange) & ~painted[box]] = 2
    seeds[away[box] > _RIM_MM] = -1  # not looked at
    seeds[painted[box]] = 1
    found = seeds == 1
    if (seeds == 0).any():
        found = random_walker(smooth, seeds, beta=_BETA, mode="bf", spacing=spacing_mm) == 1
    pieces, _ = ndimage.label(found)
    kept = np.isin(pieces, np.unique(pieces[painted[box]])) & found & ~others[box]
    out = painted.copy()
    out[box] |= ndimage.binary_fill_holes(kept) & ~others[box]
    return out


def _noise(grey: NDArray[np.floating]) -> float:
    """Standard deviation of the noise: differences of neighbours, by their median."""
    steps = np.abs(np.diff(grey.astype(np.float64), axis=0))
    return float(np.median(steps)) / 0.954  # of normal noise: 0.6745 sqrt(2) SD
