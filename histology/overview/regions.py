"""Regions drawn by a pathologist: QuPath GeoJSON, or a black-and-white mask picture."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from ...errors import RegionError

#: How far a mask picture's proportions may differ from the slide's.
_SHAPE_TOLERANCE = 0.01


class Region(Protocol):
    """Part of a slide, asked for by boxes of any grid laid over the whole slide."""

    def inside(
        self, x: int, y: int, width: int, height: int, size_px: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """Which pixels of a box of a grid of ``size_px`` (width, height) lie inside."""
        ...


@dataclass(frozen=True)
class MaskRegion:
    """A mask picture that covers the whole slide: pixels above half are inside."""

    mask: NDArray[np.bool_]

    def inside(
        self, x: int, y: int, width: int, height: int, size_px: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """See :class:`Region`; the nearest mask pixel decides."""
        row = (np.arange(y, y + height) + 0.5) * self.mask.shape[0] / size_px[1]
        column = (np.arange(x, x + width) + 0.5) * self.mask.shape[1] / size_px[0]
        return np.asarray(self.mask[row.astype(np.int64)][:, column.astype(np.int64)])


@dataclass(frozen=True)
class PolygonRegion:
    """Polygons in level-0 pixels; a pixel is inside if its centre is."""

    polygons: tuple[tuple[NDArray[np.float64], ...], ...]
    """For each polygon its rings (n, 2); even-odd rule, so holes are further rings."""
    slide_px: tuple[int, int]
    """Width and height of level 0."""

    def inside(
        self, x: int, y: int, width: int, height: int, size_px: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """See :class:`Region`."""
        scale = np.array([size_px[0] / self.slide_px[0], size_px[1] / self.slide_px[1]])
        out = np.zeros((height, width), dtype=bool)
        for rings in self.polygons:
            toggles = np.zeros((height, width + 1), dtype=np.uint8)
            for ring in rings:
                _toggle_crossings(ring * scale, x, y, toggles)
            if toggles.any():
                out |= (np.bitwise_xor.accumulate(toggles, axis=1)[:, :width]) > 0
        return out


def _toggle_crossings(
    ring: NDArray[np.float64], x: int, y: int, toggles: NDArray[np.uint8]
) -> None:
    """Flip ``toggles`` where the ring crosses each row's centre line; left of the box: at 0.

    Computed in the grid's own coordinates, so that no pixel depends on the box it is asked with.
    """
    rows, columns = toggles.shape[0], toggles.shape[1] - 1
    starts, ends = ring, np.roll(ring, -1, axis=0)
    # centres at row + 0.5; half-open so that a vertex counts once
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    first = np.ceil(low - 0.5).clip(y, y + rows).astype(np.int64)
    last = np.ceil(high - 0.5).clip(y, y + rows).astype(np.int64)
    for edge in np.flatnonzero(first < last):
        (x0, y0), (x1, y1) = starts[edge], ends[edge]
        row = np.arange(first[edge], last[edge])
        crossing = x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        column = np.clip(np.ceil(crossing - 0.5) - x, 0, columns).astype(np.int64)
        toggles[row - y, column] ^= 1  # an edge crosses each centre line once


def read_region(path: str | Path, slide_px: tuple[int, int]) -> Region:
    """Read a region file.

    Args:
        path: QuPath GeoJSON (level-0 pixels) or a mask picture of the slide's proportions.
        slide_px: width and height of level 0.

    Raises:
        RegionError: ``bad_region``.
    """
    path = Path(path)
    if not path.is_file():
        raise _bad(path, "the file does not exist", "check the path")
    if path.suffix.lower() in (".geojson", ".json"):
        return _read_geojson(path, slide_px)
    decoded = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    if decoded is None:
        raise _bad(path, "neither GeoJSON nor a picture", "export annotations as GeoJSON")
    height, width = decoded.shape
    if abs(width / height / (slide_px[0] / slide_px[1]) - 1) > _SHAPE_TOLERANCE:
        found = f"mask {width} x {height}, slide {slide_px[0]} x {slide_px[1]} pixels"
        raise _bad(path, found, "give a mask that covers the whole slide")
    return MaskRegion(np.asarray(decoded) > 127)


def _read_geojson(path: Path, slide_px: tuple[int, int]) -> PolygonRegion:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise _bad(path, f"not JSON ({error})", "export it again from QuPath") from error
    polygons: list[tuple[NDArray[np.float64], ...]] = []
    for geometry in _geometries(path, content):
        kind, coordinates = geometry.get("type"), geometry.get("coordinates")
        if kind == "Polygon":
            polygons.append(_rings(path, coordinates))
        elif kind == "MultiPolygon" and coordinates:
            polygons.extend(_rings(path, part) for part in coordinates)
        else:
            raise _bad(path, f"a geometry of type {kind}", "draw closed areas, not points or lines")
    if not polygons:
        raise _bad(path, "no area in it", "draw at least one closed area")
    highest = np.max([ring.max(axis=0) for rings in polygons for ring in rings], axis=0)
    lowest = np.min([ring.min(axis=0) for rings in polygons for ring in rings], axis=0)
    if (lowest >= np.array(slide_px)).any() or (highest <= 0).any():
        found = f"x {lowest[0]:g}-{highest[0]:g}, y {lowest[1]:g}-{highest[1]:g}"
        raise _bad(
            path,
            f"{found} on a slide of {slide_px[0]} x {slide_px[1]} pixels",
            "export in pixels of the full-resolution slide, from the same slide",
        )
    return PolygonRegion(tuple(polygons), slide_px)


def _geometries(path: Path, content: Any) -> list[dict[str, Any]]:
    if isinstance(content, list):  # QuPath's older export: a bare list of features
        return [one for item in content for one in _geometries(path, item)]
    kind = content.get("type") if isinstance(content, dict) else None
    if kind == "FeatureCollection":
        return [one for item in content.get("features", []) for one in _geometries(path, item)]
    if kind == "Feature":
        return _geometries(path, content.get("geometry"))
    if kind == "GeometryCollection":
        return [one for item in content.get("geometries", []) for one in _geometries(path, item)]
    if kind in ("Polygon", "MultiPolygon", "Point", "LineString", "MultiPoint", "MultiLineString"):
        return [content]
    raise _bad(path, f"JSON that is not GeoJSON (type {kind!r})", "export it as GeoJSON")


def _rings(path: Path, coordinates: Any) -> tuple[NDArray[np.float64], ...]:
    try:
        rings = tuple(np.asarray(ring, dtype=np.float64)[:, :2] for ring in coordinates)
    except (ValueError, TypeError, IndexError) as error:
        raise _bad(
            path, "a polygon whose coordinates are not numbers", "export it again"
        ) from error
    if not rings or any(len(ring) < 3 or not np.isfinite(ring).all() for ring in rings):
        raise _bad(path, "a polygon with fewer than 3 corners", "draw it again")
    return rings


def _bad(path: Path, found: str, do: str) -> RegionError:
    return RegionError(
        "bad_region", f"The region file {path.name} cannot be used", found=found, do=do
    )
