"""XML of Aperio ImageScope, and of ASAP: pixels of the finest level."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element  # nosec B405

import numpy as np
from numpy.typing import NDArray

from ..slide import Slide
from .shapes import Shape, Shapes, bad_region, ellipse
from .xml_file import number, read_xml

#: ImageScope's types of regions: freehand and rectangle are areas by their corners.
_BY_CORNERS, _ELLIPSE = ("0", "1"), "2"
_OTHERS = {"3": "arrow", "4": "line"}


def read(path: Path, _slide: Slide) -> Shapes:
    """The areas of a file; arrows and lines are passed over, negative regions taken out.

    Raises:
        RegionError: ``bad_region``.
    """
    root = read_xml(path)
    shapes = Shapes()
    if root.tag == "Annotations":
        for layer in root.iter("Annotation"):
            name = layer.get("Name") or ""
            for region in layer.iter("Region"):
                _add(path, region, name, shapes)
    elif root.tag == "ASAP_Annotations":
        for one in root.iter("Annotation"):
            points = [
                (number(path, at.get("X")), number(path, at.get("Y")))
                for at in one.iter("Coordinate")
            ]
            group = one.get("PartOfGroup") or ""
            _add_ring(np.array(points), "" if group == "None" else group, shapes)
    else:
        raise bad_region(
            path, f"XML of another kind ({root.tag})", "export the annotations as GeoJSON"
        )
    return shapes


def _add(path: Path, region: Element, name: str, shapes: Shapes) -> None:
    points = np.array(
        [(number(path, at.get("X")), number(path, at.get("Y"))) for at in region.iter("Vertex")]
    )
    kind = region.get("Type", "0")
    negative = region.get("NegativeROA") == "1"
    if kind == _ELLIPSE and len(points) >= 2:
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        shapes.areas.append(Shape((ellipse(left, top, right, bottom),), name, negative))
    elif kind in _BY_CORNERS:
        _add_ring(points, name, shapes, negative=negative)
    else:
        shapes.pass_over(_OTHERS.get(kind, f"region of type {kind}"))


def _add_ring(
    points: NDArray[np.float64], name: str, shapes: Shapes, *, negative: bool = False
) -> None:
    if len(points) < 3:
        shapes.pass_over("point or line")
        return
    shapes.areas.append(Shape((points,), name, negative))
