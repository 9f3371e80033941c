"""Biopsy facts, pure: pieces of tissue, and the length along each core's midline."""

from __future__ import annotations

import heapq
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

_STEPS = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]


def label_fragments(outline: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Connected pieces of the outline, numbered from 1 in reading order; 0 is background."""
    count, labels = cv2.connectedComponents(outline.astype(np.uint8), connectivity=8)
    return labels.astype(np.int32), count - 1


def midline_length_mm(piece: NDArray[np.bool_], mpp_um: float) -> float:
    """Length of a core along its midline, mm.

    The longest path of the skeleton, lengthened at both ends by the distance from the skeleton's
    end to the edge (thinning eats half a core's width there).

    Args:
        piece: one piece of tissue, bool.
        mpp_um: pixel size, um.
    """
    padded = np.pad(piece, 1)
    inside = cv2.distanceTransform(padded.astype(np.uint8), cv2.DIST_L2, 5)
    # a smooth outline keeps the skeleton from growing branches into every bump
    radius = max(1, int(inside.max() / 3))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    smooth = cv2.morphologyEx(padded.astype(np.uint8), cv2.MORPH_OPEN, disk)
    skeleton = skeletonize(smooth > 0)
    if not skeleton.any():
        return float(2 * inside.max() * mpp_um / 1000.0)
    start = _farthest(skeleton, tuple(np.argwhere(skeleton)[0]))[0]
    end, length = _farthest(skeleton, start)
    return float((length + inside[start] + inside[end]) * mpp_um / 1000.0)


def _farthest(skeleton: NDArray[np.bool_], start: Any) -> tuple[tuple[int, int], float]:
    """The skeleton pixel farthest from ``start`` along the skeleton (Dijkstra), and how far."""
    start = (int(start[0]), int(start[1]))
    best = {start: 0.0}
    queue = [(0.0, start)]
    last, reach = start, 0.0
    while queue:
        distance, (row, column) = heapq.heappop(queue)
        if distance > best[(row, column)]:
            continue
        if distance >= reach:
            last, reach = (row, column), distance
        for step_row, step_column in _STEPS:
            there = (row + step_row, column + step_column)
            if not skeleton[there]:
                continue
            far = distance + (1.0 if 0 in (step_row, step_column) else 2**0.5)
            if far < best.get(there, np.inf):
                best[there] = far
                heapq.heappush(queue, (far, there))
    return last, reach
