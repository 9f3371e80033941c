"""Masks as polygons that QuPath reads, pure: pixel-exact outlines with their holes.

``cv2.findContours`` runs through the centres of border pixels and so loses half a pixel all round
(15 % of a fine collagen mesh). Here the outline follows the pixels' edges, so a polygon's area is
the number of its pixels, exactly.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.int64]
#: Of a coordinate in pixels of the finest level.
_DECIMALS = 1
#: Colours of QuPath's classes.
CLASS_RGB = {"Tissue": (40, 40, 40), "Collagen": (0, 200, 60)}


def mask_polygons(mask: NDArray[np.bool_]) -> list[list[Ring]]:
    """Polygons of a mask's 4-connected pieces, in pixel edges.

    Args:
        mask: shape (rows, columns).

    Returns:
        For each piece its rings, the outer one first, then its holes. A ring is (n, 2) x, y
        corners, not closed; outer rings run clockwise on the screen, holes the other way. Rings
        never cross or touch themselves.
    """
    part, corner = cropped(mask)
    across = part.shape[1] + 1
    walks, owners = _chain(*_directed_edges(part))
    if not walks:
        return []
    index = np.concatenate(walks)
    points = np.stack([index % across, index // across], axis=1) + corner
    ends = np.cumsum([len(walk) for walk in walks])
    following = np.arange(1, len(index) + 1)
    following[ends - 1] = [0, *ends[:-1]]
    (x, y), (x_next, y_next) = points.T, points[following].T
    areas = np.add.reduceat(x * y_next - x_next * y, [0, *ends[:-1]])
    pieces: dict[int, list[Ring]] = {}
    for ring in np.lexsort((-areas, np.array(owners))).tolist():  # outer rings have areas above 0
        start = ends[ring] - len(walks[ring])
        pieces.setdefault(owners[ring], []).append(points[start : ends[ring]])
    return list(pieces.values())


def cropped(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """The part of a mask in which pixels are set, with a frame of unset ones: pieces are small.

    Returns:
        The part, and the x, y of its first pixel in the mask.
    """
    rows, columns = (np.flatnonzero(np.any(mask, axis=axis)) for axis in (1, 0))
    if not len(rows):
        return np.zeros((2, 2), dtype=np.bool_), np.zeros(2, dtype=np.int64)
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.pad(part, 1), np.array([columns[0], rows[0]]) - 1


def corners(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where outlines turn, and where two turn at once.

    Args:
        mask: shape (rows, columns), its outermost pixels unset.

    Returns:
        For each corner that four pixels share, shape (rows - 1, columns - 1): whether one or three
        of them are set, or two diagonal ones; and whether it is two diagonal ones.
    """
    pixels = mask.view(np.uint8)
    left, right = pixels[:, :-1], pixels[:, 1:]
    around = left[:-1] + left[1:] + right[:-1] + right[1:]
    diagonal = (around == 2) & (left[:-1] == right[1:])
    return ((around & 1) > 0) | diagonal, diagonal


def _directed_edges(
    mask: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Straight edges from turn to turn between set and unset pixels, the set ones to the right.

    Along a row of corners outlines run from the first turn to the second, from the third to the
    fourth and so on, and along a column as well.

    Returns:
        Start corner, end corner (both row * (columns + 1) + column) and the piece of the pixels.
    """
    _, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)
    turns, double = corners(mask)
    rows, columns = np.nonzero(turns)
    twice = 1 + double[rows, columns]
    rows, columns = np.repeat(rows + 1, twice), np.repeat(columns + 1, twice)
    across = mask.shape[1] + 1
    parts = []
    for order, step in (
        (np.arange(len(rows)), (-1, 0)),  # from left to right with set pixels below
        (np.lexsort((rows, columns)), (0, -1)),  # from the top down with set pixels on the left
    ):
        one, other = order[::2], order[1::2]
        row, column = rows[one], columns[one]
        here = labels[row, column]  # below, or on the right
        beside = labels[row + step[0], column + step[1]]
        onwards = (here if step[0] else beside) > 0
        corner = rows * across + columns
        starts, ends = np.where(onwards, (corner[one], corner[other]), (corner[other], corner[one]))
        parts.append((starts, ends, np.maximum(here, beside).astype(np.int64)))
    starts, ends, owners = (np.concatenate(both) for both in zip(*parts, strict=True))
    return starts, ends, owners


def _chain(
    starts: NDArray[np.int64], ends: NDArray[np.int64], owners: NDArray[np.int64]
) -> tuple[list[NDArray[np.int64]], list[int]]:
    """Close the edges into simple rings.

    At a corner where two pixels touch diagonally two edges leave. Either may be taken: a walk that
    comes back to a corner it has passed closes a ring there, so every ring is simple.

    Returns:
        The corners of each ring, and the piece that it belongs to.
    """
    if not len(starts):
        return [], []
    order = np.lexsort((ends, starts, owners))
    starts, ends, owners = starts[order], ends[order], owners[order]
    # one number for a corner of a piece; where two edges leave, the second is followed first
    size = int(starts.max()) + 1
    leaving = owners * size + starts
    last = np.append(leaving[1:] != leaving[:-1], True)
    numbers = leaving[last]
    reached = np.searchsorted(numbers, owners * size + ends)
    onward = reached[last].tolist()
    again = np.full(len(numbers), -1)
    again[np.searchsorted(numbers, leaving[~last])] = reached[~last]
    later = again.tolist()
    place = [-1] * len(numbers)  # of a corner in the walk
    rings = []
    for start in range(len(numbers)):
        if onward[start] < 0:
            continue
        walk, place[start], here = [start], 0, start
        while (there := onward[here]) >= 0:
            onward[here], later[here] = later[here], -1
            if place[there] < 0:
                place[there] = len(walk)
                walk.append(there)
            else:
                first = place[there]
                rings.append(walk[first:])
                for corner in walk[first + 1 :]:
                    place[corner] = -1
                del walk[first + 1 :]
            here = there
        assert walk == [start]
        place[start] = -1
    places, pieces = starts[last], owners[last].tolist()
    return [places[ring] for ring in rings], [pieces[ring[0]] for ring in rings]


def feature(
    polygons: Sequence[Sequence[NDArray[Any]]],
    *,
    name: str,
    scale: float,
    measurements: dict[str, float],
    title: str = "",
    parent: str = "",
) -> dict[str, Any]:
    """A GeoJSON feature as QuPath writes it, one annotation.

    Args:
        polygons: for each its rings, the outer one first, in mask pixels.
        name: QuPath class, a key of :data:`CLASS_RGB`.
        scale: level-0 pixels along one mask pixel.
        measurements: shown in QuPath's measurement table.
        title: the object's own name; its id is made from it. "" for the class's.
        parent: id of the object that it lies in.
    """
    coordinates = [[_closed(ring, scale) for ring in rings] for rings in polygons]
    one = len(coordinates) == 1
    title = title or name
    return {
        "type": "Feature",
        "id": object_id(title),
        "geometry": {
            "type": "Polygon" if one else "MultiPolygon",
            "coordinates": coordinates[0] if one else coordinates,
        },
        "properties": {
            "objectType": "annotation",
            "name": title,
            "classification": {"name": name, "color": list(CLASS_RGB[name])},
            "isLocked": True,
            "measurements": measurements,
            **({"parent": parent} if parent else {}),
        },
    }


def object_id(title: str) -> str:
    """An id as QuPath wants it, the same for the same title."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, title))


def _closed(ring: NDArray[Any], scale: float) -> list[list[float]]:
    points = np.round(np.concatenate([ring, ring[:1]]) * scale, _DECIMALS)
    # whole numbers without ".0": a third of the file
    whole = points.astype(np.int64)
    if (whole == points).all():
        return whole.tolist()
    return [[int(v) if v == int(v) else v for v in point] for point in points.tolist()]


def collection(features: list[dict[str, Any]]) -> str:
    """A FeatureCollection as text."""
    return (
        json.dumps({"type": "FeatureCollection", "features": features}, separators=(",", ":"))
        + "\n"
    )
