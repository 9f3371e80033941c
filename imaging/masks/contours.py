"""Closed contours to voxels: pure. A voxel is inside where its centre is, counted even-odd."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SAME_PX = 0.02
"""Corners this near to each other are the same, written once more."""
_CROSSING = 0.05
"""Of the smaller of two contours: this much inside and this much outside of the other one. Less is
the width of a line that two neighbours share, or a hole that touches the rim."""
_TWICE = 0.95
"""A contour that fills this much of another one is no hole in it."""


def without_copies(contours: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """The contours without those that are written twice: even-odd, a copy would empty them."""
    kept: dict[bytes, NDArray[np.float64]] = {}
    for contour in contours:
        corners = np.unique(np.round(contour / _SAME_PX) + 0.0, axis=0)  # + 0.0: no -0.0 in bytes
        kept.setdefault(corners.tobytes(), contour)
    return list(kept.values())


def overlap_in_part(contours: Sequence[NDArray[np.float64]], rows: int, columns: int) -> bool:
    """Whether two contours cross, or are one drawn twice: then it is unclear what is inside.

    Args:
        contours: as :func:`fill_contours` takes them.
        rows: of the image.
        columns: of the image.
    """
    if len(contours) < 2:
        return False
    low = np.array([contour.min(axis=0) for contour in contours])
    high = np.array([contour.max(axis=0) for contour in contours])
    near = (low[:, None] < high[None]).all(axis=2) & (low[None] < high[:, None]).all(axis=2)
    first_of, second_of = np.nonzero(np.triu(near, 1))
    filled = {
        int(n): fill_contours([contours[n]], rows, columns) for n in np.union1d(first_of, second_of)
    }
    for one, other in zip(first_of.tolist(), second_of.tolist(), strict=True):
        first, second = filled[one], filled[other]
        smaller, larger = sorted((int(first.sum()), int(second.sum())))
        shared = int((first & second).sum())
        inside, outside = shared > _CROSSING * smaller, smaller - shared > _CROSSING * smaller
        if (inside and outside) or (smaller and shared > _TWICE * larger):
            return True
    return False


def fill_contours(
    contours: Sequence[NDArray[np.float64]], rows: int, columns: int
) -> NDArray[np.bool_]:
    """The pixels whose centres lie inside an odd number of contours.

    So a contour inside another one is a hole and one inside the hole an island, and the two sides
    of a keyhole cancel each other. Contours that run through pixel centres count these on two of
    their four sides, so that the area is not biased.

    Args:
        contours: each of shape (n, 2), pixel coordinates (column, row) of its corners; the last
            corner is joined to the first.
        rows: of the image.
        columns: of the image.
    """
    toggles = np.zeros((rows, columns + 1), dtype=np.int64)
    for contour in contours:
        start, end = contour, np.roll(contour, -1, axis=0)
        upward = start[:, 1] < end[:, 1]
        low = np.where(upward[:, None], start, end)
        high = np.where(upward[:, None], end, start)
        # an edge crosses the rows from its lower end up to but not including its upper end
        first = np.clip(np.ceil(low[:, 1]), 0, rows).astype(int)
        last = np.clip(np.ceil(high[:, 1]), 0, rows).astype(int)
        count = last - first
        if not count.sum():
            continue
        edge = np.repeat(np.arange(len(contour)), count)
        row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
        slope = (high[edge, 0] - low[edge, 0]) / (high[edge, 1] - low[edge, 1])
        at = low[edge, 0] + (row - low[edge, 1]) * slope
        column = np.clip(np.ceil(at), 0, columns).astype(int)
        np.add.at(toggles, (row, column), 1)
    return np.cumsum(toggles[:, :-1], axis=1) % 2 == 1
