"""Closed contours to voxels: pure. A voxel is inside where its centre is, counted even-odd."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


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
