"""NDPA of Hamamatsu's NDP.view: nanometres from the middle of the slide."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..readers.pixel_size import read_number
from ..slide import Slide
from .shapes import Shape, Shapes, bad_region, ellipse
from .xml_file import number, read_xml

_OFFSETS = ("hamamatsu.XOffsetFromSlideCentre", "hamamatsu.YOffsetFromSlideCentre")
_AREAS = ("freehand", "circle", "ellipse", "rectangle", "polygon")


def read(path: Path, slide: Slide) -> Shapes:
    """The closed areas of a file; rulers, pins and open lines are passed over.

    Raises:
        RegionError: ``bad_region``: also where the slide does not say where it is.
    """
    root = read_xml(path)
    middle = _middle_nm(path, slide)
    shapes = Shapes()
    for view in root.iter("ndpviewstate"):
        name = (view.findtext("title") or "").strip()
        drawn = view.find("annotation")
        if drawn is None:
            shapes.pass_over("view without an annotation")
            continue
        kind = drawn.get("type", "")
        points = [
            (number(path, at.findtext("x")), number(path, at.findtext("y")))
            for at in drawn.iter("point")
        ]
        if kind in ("circle", "ellipse") and drawn.find("radius") is not None:
            x, y, radius = (number(path, drawn.findtext(key)) for key in ("x", "y", "radius"))
            ring = ellipse(x - radius, y - radius, x + radius, y + radius)
        elif kind in _AREAS and drawn.findtext("closed", "1") != "0" and len(points) >= 3:
            ring = np.array(points)
        else:
            shapes.pass_over(kind or "annotation without a type")
            continue
        pixels = (ring - middle) / (1000.0 * slide.mpp_um) + np.array(slide.size_px) / 2
        shapes.areas.append(Shape((pixels,), name))
    return shapes


def _middle_nm(path: Path, slide: Slide) -> np.ndarray:
    """Where the middle of the scan lies from the middle of the glass, nanometres."""
    found = [slide.properties.get(key) for key in _OFFSETS]
    numbers = [_signed(text) for text in found]
    if numbers[0] is None or numbers[1] is None:
        raise bad_region(
            path,
            "a slide that does not say where on the glass it lies",
            "give the NDPI file that the annotations belong to, or export them as GeoJSON",
        )
    return np.array(numbers, dtype=np.float64)


def _signed(text: str | None) -> float | None:
    if text is None:
        return None
    size = read_number(text.lstrip("+-"))
    if size is None:
        return 0.0 if text.strip("+-0.") == "" else None
    return -size if text.startswith("-") else size
