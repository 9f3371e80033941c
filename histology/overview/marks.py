"""Marks on an overview, pure: their size, their margin, what lies next to them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .bands import by_label, count_by_label

#: Ink spreads and the lens blurs it: this much round a mark goes with it.
_MARGIN_UM = 10.0
#: Marks smaller than this stay tissue: pigment, a nucleus cluster.
SMALLEST_MM2 = 0.002


def disk(radius_px: float) -> NDArray[np.uint8]:
    """A round structuring element of at least 3 pixels across."""
    size = 2 * max(1, round(radius_px)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))


def with_neighbour(
    strokes: NDArray[np.bool_], outside: NDArray[np.bool_], part: float, reach_px: float
) -> NDArray[np.bool_]:
    """The strokes of whose edge at least ``part`` lies within ``reach_px`` of ``outside``."""
    plane = strokes.view(np.uint8)
    count, labels = cv2.connectedComponents(plane)
    # by distance: a disk of a hundred pixels takes ten times as long
    away_px = cv2.distanceTransform(1 - outside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = away_px <= max(1, round(reach_px))
    edge = strokes & (cv2.erode(plane, np.ones((3, 3), np.uint8)) == 0)
    edges, free = (count_by_label(at, labels, count) for at in (edge, edge & near))
    found = free >= part * np.maximum(edges, 1)
    found[0] = False
    return by_label(found, labels)


def grown(mask: NDArray[Any], mpp_um: float) -> NDArray[np.bool_]:
    """Marks of a size that matters, with a margin."""
    return margin(large(mask, SMALLEST_MM2, mpp_um), mpp_um)


def large(mask: NDArray[Any], least_mm2: float, mpp_um: float) -> NDArray[np.bool_]:
    """The pieces of a mask with at least ``least_mm2``."""
    if not mask.any():
        return np.zeros(mask.shape, dtype=bool)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    keep = stats[:, cv2.CC_STAT_AREA] * (mpp_um / 1000.0) ** 2 >= least_mm2
    keep[0] = False
    return by_label(keep, labels)


def margin(mask: NDArray[np.bool_], mpp_um: float) -> NDArray[np.bool_]:
    """A mask with what lies within the margin of a mark."""
    if not mask.any():
        return mask
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disk(_MARGIN_UM / mpp_um))) > 0
