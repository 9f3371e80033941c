"""What a person says about one slide, applied to it: its glass, and where it is measured."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import RegionError
from .colour.glass import Glass
from .overview.regions import AllOf, AnyOf, Region
from .overview.white import find_glass
from .regions import ReadRegion, RegionChoice, geojson, read_region
from .settings import DRAWN_IN, DRAWN_OUT, SlideChoices
from .slide import Slide

_RECTANGLE, _PICKED_PX = 4, 1024
#: Regions that take out less than this part of the tissue have no effect.
_NO_EFFECT = 1e-4


@dataclass(frozen=True)
class GivenRegions:
    """The user's regions and those that a reader drew."""

    include: tuple[ReadRegion, ...] = ()
    """Tissue is measured where all of them cover it."""
    exclude: tuple[ReadRegion, ...] = ()
    """Tissue is left out where any of them covers it."""

    @property
    def inside(self) -> Region | None:
        """Where tissue may be measured, None for everywhere."""
        return AllOf(tuple(read.region for read in self.include)) if self.include else None

    @property
    def outside(self) -> Region | None:
        """What is left out, None for nothing."""
        return AnyOf(tuple(read.region for read in self.exclude)) if self.exclude else None

    @property
    def notes(self) -> list[str]:
        """What of the files was passed over."""
        return [note for read in (*self.include, *self.exclude) for note in read.notes]

    @property
    def nothing_left(self) -> str:
        """Why nothing is left of the tissue, for the message."""
        named = []
        for what, reads in (("none inside", self.include), ("all left out by", self.exclude)):
            for read in reads:
                classes = ", ".join(read.classes)
                more = f" (classes in the file: {classes})" if classes else ""
                named.append(f"{what} the regions{more}")
        if not named:
            return "no pixel of the outlined tissue is darker than glass"
        return "tissue, but none is left: " + ", ".join(named)

    def without_effect(self, tissue_mm2: float, taken_out_mm2: float) -> bool:
        """Whether regions were given and changed nothing, or next to nothing."""
        given = self.include or self.exclude
        return bool(given) and taken_out_mm2 < _NO_EFFECT * (tissue_mm2 + taken_out_mm2)


def read_regions(
    slide: Slide, include: str | Path | None, exclude: str | Path | None, choices: SlideChoices
) -> GivenRegions:
    """Read the region files for a slide, the user's and the reader's.

    Raises:
        RegionError: ``bad_region``.
    """

    def read(path: str | Path | None, classes: tuple[str, ...]) -> tuple[ReadRegion, ...]:
        if path is None:
            return ()
        found = read_region(path, slide, RegionChoice(choices.region_label, classes))
        for note in found.notes:
            logging.getLogger("fibrovol.case").info("%s: %s", Path(path).name, note)
        return (found,)

    def drawn(name: str) -> tuple[ReadRegion, ...]:
        if choices.drawn is None or name not in drawn_classes(choices.drawn, slide):
            return ()
        return (read_region(choices.drawn, slide, RegionChoice(classes=(name,))),)

    return GivenRegions(
        read(include, choices.include_classes) + drawn(DRAWN_IN),
        read(exclude, choices.exclude_classes) + drawn(DRAWN_OUT),
    )


def drawn_classes(path: Path, slide: Slide) -> set[str]:
    """The classes of the areas in a reader's file.

    Raises:
        RegionError: ``bad_region``.
    """
    return {area.name for area in geojson.read(path, slide).areas}


def glass_of(slide: Slide, overview: NDArray[np.uint8], white: tuple[float, ...]) -> Glass:
    """Empty glass: as given, picked in a rectangle, or looked for."""
    if not white:
        return find_glass(overview)
    if len(white) == _RECTANGLE:
        white = tuple(np.median(_picked(slide, white), axis=(0, 1)).tolist())
    red, green, blue = white
    return Glass((red, green, blue))


def _picked(slide: Slide, rectangle: tuple[float, ...]) -> NDArray[np.uint8]:
    """Pixels in the middle of a rectangle of the finest level."""
    x, y, width, height = (round(value) for value in rectangle)
    across, down = slide.size_px
    if width < 1 or height < 1 or x < 0 or y < 0 or x + width > across or y + height > down:
        raise RegionError(
            "bad_region",
            f"The rectangle of empty glass does not lie on {slide.path.name}",
            found=f"{x}, {y}, {width}, {height} on a slide of {across} x {down} pixels",
            do="give x, y, width and height in pixels of the full-resolution slide",
        )
    wide, high = min(width, _PICKED_PX), min(height, _PICKED_PX)
    return slide.read_region(0, x + (width - wide) // 2, y + (height - high) // 2, wide, high)
