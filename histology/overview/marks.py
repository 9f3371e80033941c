"""Marks on an overview, pure: their size, their margin, what lies next to them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .bands import by_label, count_by_label, label_parts

#: Ink spreads and the lens blurs it: this much round a mark goes with it.
_MARGIN_UM = 10.0
#: Marks smaller than this stay tissue: pigment, a nucleus cluster.
SMALLEST_MM2 = 0.002


def disk(radius_px: float) -> NDArray[np.uint8]:
    """A round structuring element of at least 3 pixels across."""
    size = 2 * max(1, round(radius_px)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))


def around(mask: NDArray[np.bool_] | NDArray[np.uint8], reach_px: int) -> tuple[slice, slice]:
    """Rows and columns of the smallest box round a mask, and so many pixels more on each side."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    return (
        slice(max(0, top - reach_px), top + height + reach_px),
        slice(max(0, left - reach_px), left + width + reach_px),
    )


def opened(mask: NDArray[np.bool_], radius_px: float) -> NDArray[np.bool_]:
    """A mask opened by a :func:`disk`: its parts as wide as that.

    Where no square fits that lies inside the disk, the disk does not fit either; squares take a
    fiftieth of the time, and mostly there are few places or none.
    """
    element = disk(radius_px)
    radius = len(element) // 2
    half = next(n for n in range(radius, -1, -1) if element[radius - n, radius - n])
    side = 2 * half + 1
    plane = mask.view(np.uint8)
    fits = np.asarray(cv2.erode(plane, np.ones((side, side), np.uint8)), dtype=np.uint8)
    if not fits.any():
        return np.zeros(mask.shape, dtype=bool)
    out = np.zeros(mask.shape, dtype=bool)
    box = around(fits, radius)  # all that disks reach whose middle may be in the mask
    centres = cv2.erode(plane[box], element) & fits[box]
    out[box] = cv2.dilate(centres, element) > 0
    return out


def with_neighbour(
    strokes: NDArray[np.bool_], outside: NDArray[np.bool_], part: float, reach_px: float
) -> NDArray[np.bool_]:
    """The strokes of whose edge at least ``part`` lies within ``reach_px`` of ``outside``."""
    plane = strokes.view(np.uint8)
    labels, areas_px = label_parts(strokes)
    reach = max(1, round(reach_px))
    box = around(strokes, reach)
    # by distance: a disk of a hundred pixels takes ten times as long
    inside = 1 - outside[box].view(np.uint8)
    near = np.zeros(strokes.shape, dtype=bool)
    near[box] = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= reach
    edge = strokes & (cv2.erode(plane, np.ones((3, 3), np.uint8)) == 0)
    edges, free = (count_by_label(at, labels, len(areas_px)) for at in (edge, edge & near))
    found = free >= part * np.maximum(edges, 1)
    found[0] = False
    return by_label(found, labels)


def grown(mask: NDArray[np.bool_], mpp_um: float) -> NDArray[np.bool_]:
    """Marks of a size that matters, with a margin."""
    return margin(large(mask, SMALLEST_MM2, mpp_um), mpp_um)


def large(mask: NDArray[np.bool_], least_mm2: float, mpp_um: float) -> NDArray[np.bool_]:
    """The pieces of a mask with at least ``least_mm2``."""
    if not mask.any():
        return np.zeros(mask.shape, dtype=bool)
    labels, areas_px = label_parts(mask)
    keep = areas_px * (mpp_um / 1000.0) ** 2 >= least_mm2
    keep[0] = False
    return by_label(keep, labels)


def margin(mask: NDArray[np.bool_], mpp_um: float) -> NDArray[np.bool_]:
    """A mask with what lies within the margin of a mark."""
    if not mask.any():
        return mask
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disk(_MARGIN_UM / mpp_um))) > 0
