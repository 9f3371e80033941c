"""NDPI, MRXS, SCN, BIF, VMS and the other vendor formats, through OpenSlide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide

from ...errors import SlideError
from ..slide import RgbImage, SlideContent, SlideLevel

SUFFIXES = (".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide", ".czi")


class OpenSlideReader:
    """Regions through OpenSlide, which is safe to call from several threads."""

    def __init__(self, slide: openslide.OpenSlide, path: Path, paper: tuple[int, int, int]) -> None:
        self._slide, self._path, self._paper = slide, path, paper

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RgbImage:
        """See :class:`fibrovol.histology.slide.LevelReader`; unscanned pixels are background."""
        scale = self._slide.level_downsamples[level]
        try:
            region = self._slide.read_region(
                (round(x * scale), round(y * scale)), level, (width, height)
            )
        except openslide.OpenSlideError as error:
            raise SlideError(
                "unreadable_slide",
                f"A region of {self._path.name} cannot be decoded",
                found=str(error),
                do="copy the slide again with all its side files",
            ) from error
        rgba = np.asarray(region)
        alpha = rgba[..., 3:].astype(np.uint16)
        paper = np.array(self._paper, dtype=np.uint16)
        # OpenSlide's pixels are not premultiplied once they are PIL images
        mixed = (rgba[..., :3].astype(np.uint16) * alpha + paper * (255 - alpha) + 127) // 255
        return mixed.astype(np.uint8)

    def close(self) -> None:
        """Close the slide."""
        self._slide.close()


def accepts(path: Path) -> bool:
    """Whether OpenSlide knows the format."""
    return path.is_file() and openslide.OpenSlide.detect_format(str(path)) is not None


def open_content(path: Path) -> SlideContent:
    """Open a vendor format.

    Raises:
        SlideError: ``unreadable_slide``.
    """
    try:
        slide = openslide.OpenSlide(str(path))
    except (openslide.OpenSlideError, OSError) as error:
        raise SlideError(
            "unreadable_slide",
            f"{path.name} could not be opened",
            found=str(error),
            do="copy the slide again with all its side files",
        ) from error
    properties = slide.properties
    mpp = None
    if openslide.PROPERTY_NAME_MPP_X in properties and openslide.PROPERTY_NAME_MPP_Y in properties:
        mpp = (
            float(properties[openslide.PROPERTY_NAME_MPP_X]),
            float(properties[openslide.PROPERTY_NAME_MPP_Y]),
        )
    colour = properties.get(openslide.PROPERTY_NAME_BACKGROUND_COLOR, "FFFFFF")
    paper = (int(colour[0:2], 16), int(colour[2:4], 16), int(colour[4:6], 16))
    levels = tuple(
        SlideLevel(width, height, float(scale))
        for (width, height), scale in zip(
            slide.level_dimensions, slide.level_downsamples, strict=True
        )
    )
    vendor = properties.get(openslide.PROPERTY_NAME_VENDOR, "unknown vendor")
    return SlideContent(
        reader=OpenSlideReader(slide, path, paper),
        levels=levels,
        mpp_um=mpp,
        format_name=f"OpenSlide {vendor}",
        has_icc=slide.color_profile is not None,
        mpp_found=f"a slide of format {vendor} without a pixel size",
    )
