"""Masks as polygons that QuPath reads, pure: pixel-exact outlines with their holes.

``cv2.findContours`` runs through the centres of border pixels and so loses half a pixel all round
(15 % of a fine collagen mesh). Here the outline follows the pixels' edges, so a polygon's area is
the number of its pixels, exactly.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
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
    padded = np.pad(mask, 1)
    _, labels = cv2.connectedComponents(padded.astype(np.uint8), connectivity=4)
    starts, ends, owners = _directed_edges(padded, labels)
    pieces: dict[int, list[Ring]] = {}
    for owner, ring in _chain(starts, ends, owners, padded.shape[1] + 1):
        pieces.setdefault(owner, []).append(ring - 1)  # the padding off again
    out = []
    for owner in sorted(pieces):
        rings = sorted(pieces[owner], key=lambda ring: -_signed_area(ring))
        out.append(rings)
    return out


def _directed_edges(
    mask: NDArray[np.bool_], labels: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Unit edges between set and unset pixels, with the set pixel on their right hand.

    Returns:
        Start corner, end corner (both row * (columns + 1) + column) and the piece of the pixel.
    """
    across = mask.shape[1] + 1
    parts = []
    above = np.argwhere(mask[1:] & ~mask[:-1]) + np.array([1, 0])  # unset above: run left to right
    parts.append((above, (0, 0), (0, 1)))
    below = np.argwhere(mask[:-1] & ~mask[1:])  # unset below: right to left
    parts.append((below, (1, 1), (1, 0)))
    left = np.argwhere(mask[:, 1:] & ~mask[:, :-1]) + np.array([0, 1])  # unset left: bottom to top
    parts.append((left, (1, 0), (0, 0)))
    right = np.argwhere(mask[:, :-1] & ~mask[:, 1:])  # unset right: top to bottom
    parts.append((right, (0, 1), (1, 1)))
    starts = [(p[:, 0] + s[0]) * across + p[:, 1] + s[1] for p, s, _ in parts]
    ends = [(p[:, 0] + e[0]) * across + p[:, 1] + e[1] for p, _, e in parts]
    owners = [labels[p[:, 0], p[:, 1]].astype(np.int64) for p, _, _ in parts]
    return np.concatenate(starts), np.concatenate(ends), np.concatenate(owners)


def _chain(
    starts: NDArray[np.int64], ends: NDArray[np.int64], owners: NDArray[np.int64], across: int
) -> Iterable[tuple[int, Ring]]:
    """Close the edges into simple rings.

    At a corner where two pixels touch diagonally two edges leave. Either may be taken: a walk that
    comes back to a corner it has passed closes a ring there, so every ring is simple.
    """
    order = np.lexsort((ends, starts, owners))
    starts, ends, owners = starts[order], ends[order], owners[order]
    following: dict[tuple[int, int], list[int]] = {}
    for owner, start, end in zip(owners.tolist(), starts.tolist(), ends.tolist(), strict=True):
        following.setdefault((owner, start), []).append(end)
    for owner, start in list(following):
        while following[(owner, start)]:
            walk, place = [start], {start: 0}
            while walk:
                here = walk[-1]
                onward = following[(owner, here)]
                if not onward:
                    break
                there = onward.pop()
                if there in place:
                    first = place[there]
                    yield owner, _corners(walk[first:], across)
                    for corner in walk[first + 1 :]:
                        del place[corner]
                    del walk[first + 1 :]
                else:
                    place[there] = len(walk)
                    walk.append(there)
            assert len(walk) <= 1


def _corners(walk: list[int], across: int) -> Ring:
    """Corner coordinates (x, y) of a closed walk, points inside straight runs dropped."""
    index = np.asarray(walk, dtype=np.int64)
    points = np.stack([index % across, index // across], axis=1)
    before, after = np.roll(points, 1, axis=0), np.roll(points, -1, axis=0)
    turn = ((points - before) != (after - points)).any(axis=1)
    return np.asarray(points[turn])


def _signed_area(ring: Ring) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2.0


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
    return [[int(v) if v == int(v) else v for v in point] for point in points.tolist()]


def collection(features: list[dict[str, Any]]) -> str:
    """A FeatureCollection as text."""
    return (
        json.dumps({"type": "FeatureCollection", "features": features}, separators=(",", ":"))
        + "\n"
    )
