"""Regions drawn by a pathologist, read from what annotation programs write: one table of formats.

Adding a format is one module with a function that gives :class:`Shapes`, and one line in
:data:`FORMATS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import RegionError
from ..overview.regions import PolygonRegion, Region
from ..slide import Slide
from . import aperio, geojson, imagej, masks, ndpa
from .shapes import Shapes, bad_region

#: What a file is by the ending of its name.
FORMATS: dict[tuple[str, ...], Callable[[Path, Slide], Shapes]] = {
    (".geojson", ".json", ".geojson.gz", ".json.gz"): geojson.read,
    (".roi", ".zip"): imagej.read,
    (".xml",): aperio.read,
    (".ndpa",): ndpa.read,
}
#: A slide of more pixels than the first along a side has regions of more than the second.
_LARGE_PX, _SPECK_PX = 1000, 100


@dataclass(frozen=True)
class RegionChoice:
    """What of a region file is meant."""

    label: str = ""
    """Of a mask with several labels or colours: those that are inside, joined by ";"."""
    classes: tuple[str, ...] = ()
    """Of annotations with classes: those that are meant; all where there are none."""


@dataclass(frozen=True)
class ReadRegion:
    """A region and what was found in its file."""

    region: Region
    classes: tuple[str, ...] = ()
    """The classes of the annotations that were taken."""
    notes: tuple[str, ...] = ()
    """What was passed over."""


def read_region(path: str | Path, slide: Slide, choice: RegionChoice | None = None) -> ReadRegion:
    """Read a region file.

    Args:
        path: GeoJSON of QuPath, ImageJ ROI or RoiSet.zip, Aperio XML, NDPA (in pixels of the
            finest level, or of known places on the slide), or a mask picture of the slide's
            proportions.
        slide: the slide it belongs to.
        choice: which labels or classes are meant.

    Raises:
        RegionError: ``bad_region``: it cannot be read, or what is meant is not clear.
    """
    path, choice = Path(path), choice or RegionChoice()
    if not path.is_file():
        raise bad_region(path, "the file does not exist", "check the path")
    name = path.name.lower()
    for endings, read in FORMATS.items():
        if name.endswith(endings):
            return _polygons(path, read(path, slide), slide, choice)
    if choice.classes:
        raise bad_region(
            path, "a picture, which has no classes", "choose among its labels with --region-label"
        )
    return ReadRegion(masks.read(path, slide.size_px, choice.label))


def _polygons(path: Path, shapes: Shapes, slide: Slide, choice: RegionChoice) -> ReadRegion:
    if choice.label:
        raise bad_region(
            path, "annotations, which have no labels", "choose among their classes by name"
        )
    named = sorted({shape.name for shape in shapes.areas if shape.name})
    for wanted in choice.classes:
        if wanted.casefold() not in {name.casefold() for name in named}:
            found = f"no class {wanted!r} among {', '.join(named) or 'none'}"
            raise bad_region(path, found, "give the name of a class as the file spells it")
    wanted_names = {name.casefold() for name in choice.classes}
    areas = [a for a in shapes.areas if not wanted_names or a.name.casefold() in wanted_names]
    # QuPath's classes that end in * are not structures: "Ignore*" marks what is not meant
    taken = [a.rings for a in areas if not a.taken_out and not a.ignored]
    holes = [a.rings for a in areas if a.taken_out or a.ignored]
    if not taken:
        raise bad_region(path, "no area in it", "draw at least one closed area")
    highest = np.max([ring.max(axis=0) for rings in taken for ring in rings], axis=0)
    lowest = np.min([ring.min(axis=0) for rings in taken for ring in rings], axis=0)
    span = f"x {lowest[0]:g}-{highest[0]:g}, y {lowest[1]:g}-{highest[1]:g}"
    size = np.array(slide.size_px)
    on_slide = f"{span} on a slide of {size[0]} x {size[1]} pixels"
    do = "export in pixels of the full-resolution slide, from the same slide"
    if (lowest >= size).any() or (highest <= 0).any():
        raise bad_region(path, on_slide, do)
    if size.max() >= _LARGE_PX and (highest - lowest).max() < _SPECK_PX:
        mm = size * slide.mpp_um / 1000.0
        if (highest <= mm * 1.02).all():
            raise bad_region(path, f"{on_slide}, which look like millimetres", do)
    if (highest > 1.02 * size).any() and (highest <= 1.02 * size * slide.mpp_um).all():
        raise bad_region(path, f"{on_slide}, which look like micrometres", do)
    region = PolygonRegion(tuple(taken), slide.size_px, tuple(holes))
    return ReadRegion(region, tuple(named), shapes.notes)


__all__ = ["ReadRegion", "RegionChoice", "RegionError", "read_region"]
