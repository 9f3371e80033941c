"""NDPI, VMS, MRXS, SCN, BIF and the other vendors' formats, through OpenSlide."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide
from numpy.typing import NDArray

from ...errors import SlideError
from ..slide import RgbImage, SlideContent, SlideLevel, refuse_other_images
from .pixel_size import read_number
from .unscanned import Colour, glass_colour, level_for_glass

SUFFIXES = (".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide", ".czi")

#: OpenSlide's drivers that know more of their format than its TIFF tags tell. Aperio, plain TIFF
#: and DICOM have readers of their own here.
_VENDORS = (
    *("hamamatsu", "mirax", "leica", "ventana", "trestle", "philips"),
    *("sakura", "zeiss", "huron", "argos"),
)

#: A downsample this near a whole number is one: the level's size was rounded to whole pixels.
_WHOLE = 0.005
#: Levels whose downsample OpenSlide holds to be a fraction are read in blocks of this size.
_BLOCK_PX = 512
#: Background colours darker than this are not glass; some files say black where they know none.
_PALEST_DARK = 200

_COPY_AGAIN = "copy the slide again with all its side files, or export it from the scanner software"


@dataclass(frozen=True)
class _Window:
    """Where the scanned part of a level lies, in the level's own pixels as OpenSlide counts."""

    scale: float
    left: int
    top: int


class OpenSlideReader:
    """Regions through OpenSlide, which is safe to call from several threads."""

    def __init__(
        self, slide: openslide.OpenSlide, path: Path, windows: tuple[_Window, ...]
    ) -> None:
        self._slide, self._path, self._windows = slide, path, windows
        self._glass: NDArray[np.uint16] | None = None
        self._glass_lock = threading.Lock()

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RgbImage:
        """See :class:`fibrovol.histology.slide.LevelReader`; unscanned pixels become glass."""
        window = self._windows[level]
        x, y = x + window.left, y + window.top
        if window.scale.is_integer():
            return self._paint(level, x, y, width, height)
        # A place is asked for in pixels of level 0 and OpenSlide divides it by its fraction, so
        # that a pixel would depend on where the region begins. Blocks always begin at one place.
        region = np.empty((height, width, 3), np.uint8)
        for top in range(y // _BLOCK_PX * _BLOCK_PX, y + height, _BLOCK_PX):
            for left in range(x // _BLOCK_PX * _BLOCK_PX, x + width, _BLOCK_PX):
                block = self._paint(level, left, top, _BLOCK_PX, _BLOCK_PX)
                y0, y1 = max(top, y), min(top + _BLOCK_PX, y + height)
                x0, x1 = max(left, x), min(left + _BLOCK_PX, x + width)
                region[y0 - y : y1 - y, x0 - x : x1 - x] = block[
                    y0 - top : y1 - top, x0 - left : x1 - left
                ]
        return region

    def _paint(self, level: int, x: int, y: int, width: int, height: int) -> RgbImage:
        scale = self._windows[level].scale
        rgba = self._rgba(level, (round(x * scale), round(y * scale)), (width, height))
        if rgba[..., 3].min() == 255:
            return np.ascontiguousarray(rgba[..., :3])
        alpha = rgba[..., 3:].astype(np.uint16)
        # OpenSlide's pixels are not premultiplied once they are PIL images
        mixed = (rgba[..., :3] * alpha + self._glass_rgb() * (255 - alpha) + 127) // 255
        return mixed.astype(np.uint8)

    def _rgba(self, level: int, place: tuple[int, int], size: tuple[int, int]) -> RgbImage:
        try:
            return np.asarray(self._slide.read_region(place, level, size))
        except openslide.OpenSlideError as error:
            raise SlideError(
                "unreadable_slide",
                f"A region of {self._path.name} cannot be decoded: the slide is damaged or a part "
                "of it is missing",
                found=_without_folder(error, self._path),
                do=_COPY_AGAIN,
            ) from error

    def _glass_rgb(self) -> NDArray[np.uint16]:
        with self._glass_lock:
            if self._glass is None:
                self._glass = np.array(self._find_glass(), dtype=np.uint16)
            return self._glass

    def _find_glass(self) -> Colour:
        sizes = self._slide.level_dimensions
        level, found = level_for_glass(sizes), None
        if level is not None:
            rgba = self._rgba(level, (0, 0), sizes[level])
            found = glass_colour(rgba[..., :3], rgba[..., 3] == 255)
        return found or _stated_background(self._slide)

    def close(self) -> None:
        """Close the slide."""
        self._slide.close()


_PLACE_ENDS = ("FromSlideCentre", ".bounds-x", ".bounds-y")
"""Ends of the properties that say where on the glass the scan is."""


def accepts(path: Path) -> bool:
    """Whether OpenSlide knows the format, or the name says that it should.

    The name counts as well: an MRXS file is itself a JPEG, the picture of the whole glass, which
    must not be measured in place of a slide whose folder is missing.
    """
    return path.is_file() and (_vendor(path) in _VENDORS or path.suffix.lower() in SUFFIXES)


def open_content(path: Path, image: int | None = None) -> SlideContent:
    """Open a vendor format; where it says which part was scanned, that part is the slide.

    Viewers count pixels from the corner of the scanned part, QuPath among them, and so do the
    regions that they export.

    Raises:
        SlideError: ``unreadable_slide``.
    """
    refuse_other_images(path, image)
    _refuse_what_is_not_whole(path)
    try:
        slide = openslide.OpenSlide(str(path))
    except (openslide.OpenSlideError, OSError) as error:
        raise _not_opened(path, _without_folder(error, path)) from error
    properties = slide.properties
    if "FLUORESCENCE" in properties.get("mirax.GENERAL.SLIDE_TYPE", "").upper():
        slide.close()
        raise _fluorescence(path, "SLIDE_TYPE_FLUORESCENCE in Slidedat.ini")
    names = (openslide.PROPERTY_NAME_MPP_X, openslide.PROPERTY_NAME_MPP_Y)
    x, y = (read_number(properties.get(name)) for name in names)
    mpp = None if x is None or y is None else (x, y)
    levels, windows = _levels(slide)
    vendor = properties.get(openslide.PROPERTY_NAME_VENDOR, "unknown vendor")
    return SlideContent(
        reader=OpenSlideReader(slide, path, windows),
        levels=levels,
        mpp_um=mpp,
        format_name=f"OpenSlide {vendor}",
        has_icc="openslide.icc-size" in properties,
        properties={k: v for k, v in properties.items() if k.endswith(_PLACE_ENDS)},
        mpp_found=f"a slide of format {vendor} without a pixel size",
        scanner=_scanner(properties),
    )


def _scanner(properties: Mapping[str, str]) -> dict[str, str]:
    """Maker, model and objective; serial numbers stay in the file."""
    vendor = properties.get(openslide.PROPERTY_NAME_VENDOR, "")
    found = {
        "manufacturer": "" if vendor.startswith("generic") else vendor,
        "model": properties.get("leica.device-model", ""),
        "objective_power": properties.get(openslide.PROPERTY_NAME_OBJECTIVE_POWER, ""),
    }
    return {name: text for name, text in found.items() if text}


def _levels(slide: openslide.OpenSlide) -> tuple[tuple[SlideLevel, ...], tuple[_Window, ...]]:
    """The levels, cut to the scanned part, and where each lies."""
    names = ("x", "y", "width", "height")
    bounds = [slide.properties.get(f"openslide.bounds-{name}") for name in names]
    known = [int(text) for text in bounds if text is not None]
    left, top, width, height = known if len(known) == 4 else (0, 0, *slide.dimensions)
    levels, windows = [], []
    for (columns, rows), scale in zip(slide.level_dimensions, slide.level_downsamples, strict=True):
        window = _Window(scale, round(left / scale), round(top / scale))
        across = min(columns - window.left, round(width / scale))
        down = min(rows - window.top, round(height / scale))
        if across < 1 or down < 1:
            continue  # a level of a few pixels; level 0 always stays
        whole = max(1, round(scale))
        downsample = float(whole) if abs(scale / whole - 1) < _WHOLE else scale
        levels.append(SlideLevel(across, down, downsample))
        windows.append(window)
    return tuple(levels), tuple(windows)


def _stated_background(slide: openslide.OpenSlide) -> Colour:
    """The colour that the file gives to what was never scanned; white where it is not pale."""
    colour = slide.properties.get(openslide.PROPERTY_NAME_BACKGROUND_COLOR, "FFFFFF")
    red, green, blue = (int(colour[i : i + 2], 16) for i in (0, 2, 4))
    return (red, green, blue) if min(red, green, blue) >= _PALEST_DARK else (255, 255, 255)


def _vendor(path: Path) -> str | None:
    return openslide.OpenSlide.detect_format(str(path))


def _refuse_what_is_not_whole(path: Path) -> None:
    """Say what is missing where OpenSlide would only say that it does not know the format."""
    vendor, suffix = _vendor(path), path.suffix
    if vendor in _VENDORS:
        return
    if suffix.lower() == ".mrxs":
        folder = path.with_suffix("")
        if not (folder / "Slidedat.ini").is_file():
            raise SlideError(
                "unreadable_slide",
                f"The pixels of {path.name} are missing: they are in the folder {folder.name} "
                "next to it",
                found="no such folder" if not folder.is_dir() else "no Slidedat.ini in the folder",
                do=f"copy the folder {folder.name} with everything in it next to {path.name}",
            )
        if suffix != ".mrxs":
            raise SlideError(
                "unreadable_slide",
                f"The extension of {path.name} must be .mrxs",
                found=suffix,
                do=f"rename the file to {path.stem}.mrxs",
            )
    raise SlideError(
        "unreadable_slide",
        f"{path.name} is damaged or cut short, or it is not a {suffix.lower()[1:].upper()} file",
        found="content of an unknown format" if vendor is None else f"content of format {vendor}",
        do=_COPY_AGAIN,
    )


def _not_opened(path: Path, found: str) -> SlideError:
    """The messages of OpenSlide that have another remedy than copying the slide again."""
    if "main image" in found and "Can't find" in found:  # Leica's word for a brightfield scan
        return _fluorescence(path, found)
    if "dissimilar main images" in found or "Inconsistent main image" in found:
        return SlideError(
            "unreadable_slide",
            f"{path.name} contains several scans of different magnification",
            found=found,
            do="export the one scan that is to be measured from the scanner software",
        )
    return SlideError(
        "unreadable_slide", f"{path.name} could not be opened", found=found, do=_COPY_AGAIN
    )


def _without_folder(error: Exception, path: Path) -> str:
    """OpenSlide's message without the folder that it names, which may be a patient's."""
    return str(error).replace(f"{path.parent}{os.sep}", "")


def _fluorescence(path: Path, found: str) -> SlideError:
    return SlideError(
        "unreadable_slide",
        f"{path.name} contains no brightfield scan; fluorescence cannot be measured",
        found=found,
        do="give the brightfield scan of the stained section",
    )
