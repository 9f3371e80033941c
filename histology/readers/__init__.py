"""Open slides: one module per format, tried in the order of one table.

Adding a format is one module with an ``open_content(path)`` and one line in :data:`READERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import SlideError
from ..slide import Opener, Slide, SlideContent, settle_pixel_size
from . import dicom, openslide_formats, picture, tiff
from .pixels import is_grey, ranked

#: A slide is dark where half of its pixels have no channel above this.
_DARK, _BLACK = 60, 3
#: Unless it is bright inside a dark surround (an eyepiece): part that is brighter than the
#: surround, and how bright the middle of that part is.
_SURROUND, _LIT_PART, _LIT = 40, 0.2, 130
#: A picture has one colour where 99 of 100 pixels have the other two channels under this.
_ONE_COLOUR = 20
_BLOCKS, _BLOCK_PX = 7, 64


@dataclass(frozen=True)
class ReaderEntry:
    """A line of the table."""

    name: str
    """The family of formats, in words."""
    suffixes: tuple[str, ...]
    """Lower-case file endings it is tried for."""
    accepts: Callable[[Path], bool]
    """Looks at the first bytes; suffixes alone would trust a renamed file."""
    open_content: Opener
    """Opens the file."""


# OpenSlide first: an MRXS file is a JPEG, and several vendors' files are TIFFs whose tags say less
# than their driver knows
READERS: tuple[ReaderEntry, ...] = (
    ReaderEntry(
        "slide format read by OpenSlide",
        openslide_formats.SUFFIXES,
        openslide_formats.accepts,
        openslide_formats.open_content,
    ),
    ReaderEntry(
        "PNG, JPEG or BMP picture", picture.SUFFIXES, picture.accepts, picture.open_content
    ),
    ReaderEntry("DICOM whole-slide image", dicom.SUFFIXES, dicom.accepts, dicom.open_content),
    ReaderEntry("TIFF, OME-TIFF or SVS", tiff.SUFFIXES, tiff.accepts, tiff.open_content),
)

#: Endings by which a folder is searched for slides.
SLIDE_SUFFIXES: tuple[str, ...] = tuple(
    sorted({suffix for entry in READERS for suffix in entry.suffixes})
)


def open_slide(path: str | Path, *, mpp_um: float | None = None, image: int | None = None) -> Slide:
    """Open a slide or a photographed field.

    Args:
        path: the file, or a folder of DICOM whole-slide files.
        mpp_um: micrometres per pixel of the finest level; needed where the file states none.
        image: number of the picture in a file of several; None if only one can be the slide.

    Raises:
        SlideError: ``unreadable_slide`` (damaged, dark as fluorescence is, or grey),
            ``no_pixel_size``, ``implausible_pixel_size`` or ``several_images``.
    """
    path = Path(path)
    if not path.exists():
        raise SlideError(
            "unreadable_slide",
            f"There is no file {path}",
            do="check the path; paths in study.csv are relative to study.csv",
        )
    if path.is_file() and path.stat().st_size == 0:
        raise SlideError("unreadable_slide", f"{path.name} is empty", do="copy the slide again")
    for entry in READERS:
        if entry.accepts(path):
            content = entry.open_content(path, image)
            try:
                mpp, source, stated = settle_pixel_size(path, content, mpp_um)
                _refuse_what_has_no_stain(path, content)
            except SlideError:
                content.reader.close()
                raise
            return Slide(
                path=path,
                levels=content.levels,
                mpp_um=mpp,
                mpp_source=source,
                mpp_stated_um=stated,
                format_name=content.format_name,
                has_icc=content.has_icc,
                reader=content.reader,
                image=content.image,
                images=content.images,
                properties=content.properties,
                scanner=content.scanner,
            )
    if path.is_file() and path.suffix.lower() in SLIDE_SUFFIXES:
        raise SlideError(
            "unreadable_slide",
            f"{path.name} is damaged, or it is not what its extension {path.suffix} says",
            found=f"first bytes {_first_bytes(path)}, which no such file begins with",
            do="copy the slide again, or export it from the scanner software",
        )
    raise SlideError(
        "unreadable_slide",
        f"{path.name} is not in a slide format that Fibrovol reads",
        found="a folder" if path.is_dir() else f"first bytes {_first_bytes(path)}",
        do="export it from the scanner software as SVS, tiled TIFF, OME-TIFF or DICOM",
    )


def image_numbers(path: Path) -> list[int | None]:
    """The pictures of a file that may be slides, by number; [None] where there is one or none."""
    if not tiff.accepts(path):
        return [None]
    return list(tiff.slide_numbers(path)) or [None]


def _refuse_what_has_no_stain(path: Path, content: SlideContent) -> None:
    """Refuse what is grey, of one colour, or dark where a brightfield slide has glass."""
    level = len(content.levels) - 1
    width, height = content.levels[level].width_px, content.levels[level].height_px
    columns, across = _places(width)
    rows, down = _places(height)
    seen = np.concatenate(
        [
            content.reader.read(level, x, y, across, down).reshape(-1, 3)
            for y in rows
            for x in columns
        ]
    )
    least, middle, most = ranked(seen)
    if is_grey(least, most):
        raise SlideError(
            "unreadable_slide",
            f"{path.name} is a grey picture; stains are identified by their colours",
            found="red, green and blue the same in every pixel",
            do="give the colour picture of the stained section",
        )
    second = float(np.percentile(middle, 99))
    if second < _ONE_COLOUR and most.max() >= _ONE_COLOUR:
        raise SlideError(
            "unreadable_slide",
            f"{path.name} has one colour channel only, as fluorescence and second harmonics "
            "have; white light through a stained section has all three",
            found=f"in 99 of 100 sampled pixels two channels are at most {second:.0f} of 255",
            do="give the brightfield scan of the stained section",
        )
    # black itself, and the dark surround of a round field, is how pictures fill what has no pixels
    lit = most[most > _SURROUND]
    part = lit.size / max(1, most.size)
    dark = most[most > _BLACK]
    if dark.size and np.median(dark) < _DARK and (part < _LIT_PART or np.median(lit) < _LIT):
        raise SlideError(
            "unreadable_slide",
            f"{path.name} is dark; a stained section on glass is bright, fluorescence is not",
            found=f"{100 * (1 - part):.0f} % of the sampled pixels are darker than {_SURROUND}, "
            f"half of those that are not black darker than {np.median(dark):.0f} of 255",
            do="give the brightfield scan of the stained section",
        )


def _places(length: int) -> tuple[list[int], int]:
    """Where blocks begin that sample one direction of a level, and their length."""
    if length <= _BLOCKS * _BLOCK_PX:
        return [0], length
    return [round(i * (length - _BLOCK_PX) / (_BLOCKS - 1)) for i in range(_BLOCKS)], _BLOCK_PX


def _first_bytes(path: Path) -> str:
    with path.open("rb") as stream:
        return stream.read(8).hex(" ")
