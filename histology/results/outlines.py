"""Outlines of masks made light, pure: chamfered, thinned out, on whole pixels, of the same area."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from .geojson import Ring, corners, cropped, mask_polygons

FloatRing = NDArray[np.float64]

#: What is dropped lies this near to the line through what is kept, pixels.
_TOLERANCE_PX = 0.6
#: Specks and pinholes of single pixels, half of all rings on a fine mesh, are smoothed away, and
#: then those of fewer pixels than the second.
_SMOOTHED_PX, _LEAST_RING_PX = 3, 14
#: An outline of so few corners, altogether or for each of the picture's pixels, stays exact: both
#: outlines of 2 mm of tissue are under a megabyte then.
_FEW, _FEW_A_PX = 4000, 0.01
#: How near the area must come, as part of it, and turns of looking for it.
_AREA_PART, _TURNS = 2e-4, 24
#: How far points may be moved for it, in pixels from the outer end of their edge.
_MOVED_PX = (-1.8, 0.8)
#: Spreads the corners that lean outwards evenly along the outlines.
_GOLDEN = (5**0.5 - 1) / 2


def light_outlines(mask: NDArray[np.bool_]) -> list[list[FloatRing]]:
    """Polygons of a mask that a viewer opens at once.

    Exact where there are few corners. Of a fine mesh a quarter of them are kept: single pixels and
    specks are smoothed away, the middles of pixels' edges are joined, so that stairs become slopes,
    and what lies near a line is dropped. What is kept moves along its edge to a whole pixel, mostly
    one of the edge's own ends; which is chosen so that the area stays that of the mask, with what
    was smoothed away.

    Args:
        mask: shape (rows, columns).

    Returns:
        Polygons of rings as geojson.mask_polygons gives them; those of a mesh are within a pixel of
        the smoothed mask's edges.
    """
    if corner_count(mask) <= max(_FEW, _FEW_A_PX * mask.size):
        return _floats(mask_polygons(mask))
    wanted = np.count_nonzero(mask)
    smooth = cv2.medianBlur(mask.view(np.uint8), _SMOOTHED_PX) > 0
    rings: list[NDArray[np.float64]] = []
    owners: list[int] = []
    for number, polygon in enumerate(mask_polygons(smooth)):
        for ring in polygon:
            if abs(_area(ring)) < _LEAST_RING_PX:
                if ring is polygon[0]:
                    break
                continue
            rings.append(_thinned(ring))
            owners.append(number)
    settled = _on_whole_pixels(rings, float(wanted)) if rings else None
    if settled is None:
        return _floats(mask_polygons(mask))
    out: dict[int, list[FloatRing]] = {}
    for owner, light in zip(owners, settled, strict=True):
        out.setdefault(owner, []).append(_without_needless(light))
    return [one for polygon in out.values() for one in _valid([r for r in polygon if len(r) > 2])]


def corner_count(mask: NDArray[np.bool_]) -> int:
    """Corners of the exact outlines, geojson.mask_polygons', without drawing them."""
    turns, double = corners(cropped(mask)[0])
    return int(np.count_nonzero(turns)) + int(np.count_nonzero(double))


def _floats(polygons: list[list[Ring]]) -> list[list[FloatRing]]:
    return [[ring.astype(np.float64) for ring in polygon] for polygon in polygons]


def _valid(rings: list[FloatRing]) -> list[list[FloatRing]]:
    """A polygon whose thinned rings cross taken apart into such as do not."""
    whole = shapely.Polygon(rings[0], rings[1:])
    if whole.is_valid:
        return [rings]
    mended = shapely.set_precision(shapely.make_valid(whole), 1.0)
    # lines may be left over, beside the polygons
    flat = shapely.get_parts(shapely.get_parts(mended)).tolist()
    parts = [one for one in flat if one.geom_type == "Polygon"]
    return [
        [np.asarray(ring.coords, dtype=np.float64)[:-1] for ring in (one.exterior, *one.interiors)]
        for one in (shapely.orient_polygons(part, exterior_cw=False) for part in parts)
    ]


def _thinned(ring: Ring) -> FloatRing:
    """Middles of unit edges of a ring, as few as will do."""
    ahead = _next(ring)
    unit = np.sign(ahead - ring)
    middles = np.empty((2 * len(ring), 2))
    middles[::2], middles[1::2] = ring + 0.5 * unit, ahead - 0.5 * unit
    kept = (middles != _previous(middles)).any(axis=1)
    points = middles[kept].astype(np.float32)
    thin = cv2.approxPolyDP(points[:, None], _TOLERANCE_PX, closed=True)[:, 0].astype(np.float64)
    return thin if len(thin) >= 3 else points.astype(np.float64)


def _on_whole_pixels(rings: list[FloatRing], wanted: float) -> list[FloatRing] | None:
    """Each point moved along its edge, for the wanted area; None if that is not reached."""
    points = np.concatenate(rings)
    starts = np.cumsum([0, *(len(ring) for ring in rings)])
    index = np.arange(len(points))
    following, before = index + 1, index - 1
    following[starts[1:] - 1], before[starts[:-1]] = starts[:-1], starts[1:] - 1
    step, across = np.ceil(points) - np.floor(points), points[following] - points[before]
    outwards = np.where(step[:, 0] * across[:, 1] < step[:, 1] * across[:, 0], -1.0, 1.0)
    turn = (index * _GOLDEN) % 1.0
    least, most = _MOVED_PX
    for _ in range(_TURNS):
        part = (least + most) / 2
        # evenly mixed: at 0 all points lie half a pixel outside their edge's middle, at -1 inside
        found = points + (outwards * (np.floor(part + turn) + 0.5))[:, None] * step
        ahead = found[following]
        area = float((found[:, 0] * ahead[:, 1] - ahead[:, 0] * found[:, 1]).sum()) / 2
        if abs(area - wanted) <= _AREA_PART * wanted:
            return np.split(found, starts[1:-1])
        least, most = (part, most) if area < wanted else (least, part)
    return None


def _without_needless(ring: FloatRing) -> FloatRing:
    """A ring without points that coincide with the next or lie on the line through both sides."""
    while len(ring) > 2:
        ring = ring[(ring != _previous(ring)).any(axis=1)]
        back, ahead = ring - _previous(ring), _next(ring) - ring
        turns = back[:, 0] * ahead[:, 1] != back[:, 1] * ahead[:, 0]
        if turns.all():
            break
        ring = ring[turns]
    return ring


def _area(ring: NDArray[np.int64] | FloatRing) -> float:
    (x, y), (x_next, y_next) = ring.T, _next(ring).T
    return float((x * y_next - x_next * y).sum()) / 2.0


def _next(ring: NDArray[Any]) -> NDArray[Any]:
    """For each point the one after it; np.roll takes five times as long on a short ring."""
    return np.concatenate((ring[1:], ring[:1]))


def _previous(ring: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate((ring[-1:], ring[:-1]))
