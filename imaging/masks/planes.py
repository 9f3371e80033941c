"""Slices of an organ that nobody drew: found, and on request filled by shape. Pure."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_IN_PLANE_GAPS = 3
"""Along an axis that is not the slices' a mask of several pieces may have a gap or two of its own;
one drawn on every second sagittal or coronal plane has many."""
_STRAY = 0.05
"""Of what is drawn on both sides: in a plane with less, a few voxels were hit by chance."""


def missing_planes(mask: NDArray[np.bool_]) -> tuple[int, list[int]]:
    """Empty planes inside the organ.

    A gap counts where the drawings on both sides overlap, for then the organ runs through it. A
    plane with stray voxels alone counts as empty.

    Args:
        mask: (i, j, k) on the scan's grid, k across its slices.

    Returns:
        the axis across which planes are missing, and their indices, ascending; axis 2 and none
        where every plane is drawn.
    """
    for axis in (2, 1, 0):
        gaps = _gaps(mask, axis)
        if len(gaps) >= (1 if axis == 2 else _IN_PLANE_GAPS):
            return axis, [plane for low, high in gaps for plane in range(low + 1, high)]
    return 2, []


def _gaps(mask: NDArray[np.bool_], axis: int) -> list[tuple[int, int]]:
    """Pairs of drawn planes with empty ones between them that the organ runs through."""
    others = tuple(other for other in range(3) if other != axis)
    areas = np.count_nonzero(mask, axis=others)
    # the largest plane on either side: towards its ends an organ has less on one side alone
    beside = np.minimum(np.maximum.accumulate(areas), np.maximum.accumulate(areas[::-1])[::-1])
    drawn = np.flatnonzero((areas > 0) & (areas >= _STRAY * beside))
    return [
        (int(low), int(high))
        for low, high in itertools.pairwise(drawn)
        if high - low > 1 and (_plane(mask, axis, int(low)) & _plane(mask, axis, int(high))).any()
    ]


def fill_planes(mask: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    """Draw the missing planes by shape-based interpolation.

    Between two drawn planes the signed distance to the contour is interpolated linearly (Raya and
    Udupa, IEEE Trans Med Imaging 1990;9:32-42).

    Args:
        mask: (i, j, k).
        axis: across which planes are missing.
    """
    filled = mask.copy()
    for low, high in _gaps(mask, axis):
        below, above = (_distance(_plane(mask, axis, at)) for at in (low, high))
        for plane in range(low + 1, high):
            part = (plane - low) / (high - low)
            between = (1 - part) * below + part * above > 0
            filled[(slice(None),) * axis + (plane,)] = between
    return filled


def _plane(mask: NDArray[np.bool_], axis: int, index: int) -> NDArray[np.bool_]:
    return mask[(slice(None),) * axis + (index,)]


def _distance(plane: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Pixels to the contour, above 0 inside."""
    inside = ndimage.distance_transform_edt(np.pad(plane, 1))[1:-1, 1:-1]
    outside = ndimage.distance_transform_edt(~plane)
    return np.asarray(inside - outside)
