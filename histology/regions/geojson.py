"""GeoJSON as QuPath and others export it (RFC 7946, in pixels of the finest level)."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from ..slide import Slide
from .shapes import Shape, Shapes, bad_region, rings_of

_NO_AREAS = ("Point", "LineString", "MultiPoint", "MultiLineString")
_LARGEST_BYTES = 1 << 30
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def read(path: Path, _slide: Slide) -> Shapes:
    """The polygons of a file; points, lines and empty geometries are passed over.

    Raises:
        RegionError: ``bad_region``.
    """
    try:
        content = json.loads(_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise bad_region(path, f"not JSON ({error})", "export it as GeoJSON") from error
    shapes = Shapes()
    try:
        _collect(path, content, "", shapes)
    except RecursionError as error:
        raise bad_region(path, "JSON nested too deeply", "export it as GeoJSON") from error
    return shapes


def _text(path: Path) -> str:
    data = path.read_bytes()
    if path.name.lower().endswith(".gz"):
        try:
            with gzip.open(path) as stream:
                data = stream.read(_LARGEST_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            raise bad_region(path, f"not gzip ({error})", "export it again") from error
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:  # names written with the code page of a Windows computer
        return data.decode("cp1252", errors="replace")


def _collect(path: Path, content: Any, name: str, shapes: Shapes) -> None:
    if isinstance(content, list):  # QuPath's older export: a bare list of features
        for item in content:
            _collect(path, item, name, shapes)
        return
    kind = content.get("type") if isinstance(content, dict) else None
    if kind == "FeatureCollection":
        _collect(path, list(content.get("features") or []), name, shapes)
    elif kind == "Feature":
        geometry = content.get("geometry")
        if geometry is None:  # RFC 7946 allows a feature without a place
            shapes.pass_over("feature without a geometry")
            return
        _collect(path, geometry, _class(content.get("properties")), shapes)
    elif kind == "GeometryCollection":
        _collect(path, list(content.get("geometries") or []), name, shapes)
    elif kind in _NO_AREAS:
        shapes.pass_over(str(kind))
    elif kind in ("Polygon", "MultiPolygon"):
        coordinates = content.get("coordinates")
        if not coordinates:
            shapes.pass_over(f"empty {kind}")
            return
        for part in [coordinates] if kind == "Polygon" else coordinates:
            shapes.areas.append(Shape(rings_of(path, part), name))
    else:
        raise bad_region(path, f"JSON that is not GeoJSON (type {kind!r})", "export it as GeoJSON")


def _class(properties: Any) -> str:
    """The class of a feature; QuPath's older exports give its name only."""
    if not isinstance(properties, dict):
        return ""
    found = properties.get("classification")
    if isinstance(found, dict):
        found = found.get("name") or ": ".join(map(str, found.get("names") or []))
    return str(found or properties.get("name") or "")
