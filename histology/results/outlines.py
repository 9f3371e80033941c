"""Outlines of masks made light, pure: chamfered, thinned out, of the same area."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .geojson import Ring, mask_polygons

FloatRing = NDArray[np.float64]

#: A chamfer cuts a pixel's corner off at 0.354 pixels, thinning out may add so much to that.
_TOLERANCE_PX = 0.5
#: Specks and pinholes of single pixels, half of all rings on a fine mesh, are smoothed away.
_SMOOTHED_PX = 3
#: Rings of more corners than this take part in making up for the area that chamfers cost.
_LARGE = 12
_ROUNDS = 2


def light_outlines(mask: NDArray[np.bool_]) -> list[list[FloatRing]]:
    """Polygons of a mask that a viewer opens at once: a third of the exact ones' corners.

    Single pixels are smoothed away; each corner is cut off between the middles of its edges, so
    that stairs become slopes; what lies near a line is dropped. The outlines are then moved by a
    small part of a pixel, so that the area stays that of the mask.

    Args:
        mask: shape (rows, columns).

    Returns:
        Polygons of rings as geojson.mask_polygons gives them, within a pixel of the mask's edges.
    """
    smooth = cv2.medianBlur(mask.view(np.uint8), _SMOOTHED_PX) > 0
    if not smooth.any():
        return [[ring.astype(np.float64) for ring in rings] for rings in mask_polygons(mask)]
    light = [[_thinned(ring) for ring in rings] for rings in mask_polygons(smooth)]
    large = [ring for rings in light for ring in rings if len(ring) > _LARGE]
    length = sum(_length(ring) for ring in large)
    if length <= 0:
        return light
    wanted = float(np.count_nonzero(mask))
    for _ in range(_ROUNDS):
        shift = (wanted - sum(_area(ring) for rings in light for ring in rings)) / length
        light = [
            [_moved(ring, shift) if len(ring) > _LARGE else ring for ring in rings]
            for rings in light
        ]
    return light


def _thinned(ring: Ring) -> FloatRing:
    ahead = np.roll(ring, -1, axis=0)
    unit = np.sign(ahead - ring)
    middles = np.empty((2 * len(ring), 2))
    middles[::2], middles[1::2] = ring + 0.5 * unit, ahead - 0.5 * unit
    kept = (middles != np.roll(middles, 1, axis=0)).any(axis=1)
    points = middles[kept].astype(np.float32)
    thin = cv2.approxPolyDP(points[:, None], _TOLERANCE_PX, closed=True)[:, 0].astype(np.float64)
    return thin if len(thin) >= 3 else points.astype(np.float64)


def _moved(ring: FloatRing, shift: float) -> FloatRing:
    """The ring moved outwards by ``shift``: outer ones become larger, holes smaller."""
    back, ahead = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    normals = []
    for edge in (back, ahead):
        size = np.maximum(np.hypot(edge[:, 0], edge[:, 1]), 1e-9)[:, None]
        normals.append(np.stack([edge[:, 1], -edge[:, 0]], axis=1) / size)
    middle = normals[0] + normals[1]
    size = np.maximum(np.hypot(middle[:, 0], middle[:, 1]), 0.5)[:, None]
    return np.asarray(ring + shift * middle / size)


def _area(ring: NDArray[np.int64] | FloatRing) -> float:
    x, y = ring[:, 0].astype(np.float64), ring[:, 1].astype(np.float64)
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2.0


def _length(ring: FloatRing) -> float:
    edges = np.roll(ring, -1, axis=0) - ring
    return float(np.hypot(edges[:, 0], edges[:, 1]).sum())
