"""The pictures in a TIFF file: pages, series, planes and their levels, each listed once."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile

from .pixels import Normalise, Raw, from_cmyk, full_scale, on_white, to_8_bit

#: TIFF's numbers of colour models.
_RGB, _PALETTE, _CMYK, _YCBCR = 2, 3, 5, 6
_ASSOCIATED, _UNASSOCIATED = 1, 2
_PLANAR = 2
_COLOURS = 3
#: Names of pictures that accompany a slide.
_ASIDE = re.compile(r"label|macro|overview|thumb|preview|map|barcode|slide ?image", re.IGNORECASE)

Pages = tuple[Any, ...]


@dataclass(frozen=True)
class TiffImage:
    """One picture in a file."""

    number: int
    """From 1, in the file's order."""
    name: str
    """As the file calls it, "" if it does not."""
    levels: tuple[Pages, ...]
    """Its pages, the finest level first: one page a level, or three that are its colours."""
    aside: str = ""
    """What it is if not the slide: "label", "overview"; "" if it may be the slide."""

    @property
    def page(self) -> Any:
        """The first page of the finest level."""
        return self.levels[0][0]

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return int(self.page.imagewidth), int(self.page.imagelength)

    @property
    def area_px(self) -> int:
        """Pixels."""
        return math.prod(self.size_px)

    def __str__(self) -> str:
        parts = [f"{self.number}:", f"{self.size_px[0]} x {self.size_px[1]} pixels"]
        if self.name:
            parts.append(f"({self.name})")
        if self.aside:
            parts.append(f"- {self.aside}")
        return " ".join(parts)


def list_images(tiff: tifffile.TiffFile) -> list[TiffImage]:
    """The pictures of a file in its order; what tifffile takes for levels of one stays with it."""
    out: list[TiffImage] = []
    for series in tiff.series:
        planes = [_planes(level) for level in series.levels]
        for place, finest in enumerate(planes[0]):
            others = [p[place] for p in planes[1:] if len(p) == len(planes[0])]
            levels = (finest, *(pages for pages in others if colour_of(pages[0], len(pages))))
            name = str(series.name or "")
            if len(planes[0]) > 1:
                name = f"{name} {place + 1}".strip()
            aside = _ASIDE.search(name)
            out.append(
                TiffImage(len(out) + 1, name, levels, aside[0].lower() if aside is not None else "")
            )
    return out


def _planes(series: Any) -> list[Pages]:
    """The pages of each picture in a series: three together where they are its colours."""
    pages = [page.aspage() for page in series.pages if page is not None]
    if not pages:
        return []
    axes, shape = str(series.axes), series.shape
    channels = shape[axes.index("C")] if "C" in axes else 0
    if channels == _COLOURS and pages[0].samplesperpixel == 1 and len(pages) % _COLOURS == 0:
        stride = math.prod(shape[axes.index("C") + 1 :]) // math.prod(pages[0].shape)
        stride = max(1, stride)
        if stride == 1:
            return [tuple(pages[i : i + _COLOURS]) for i in range(0, len(pages), _COLOURS)]
        return [tuple(pages[i : i + _COLOURS * stride : stride]) for i in range(stride)]
    return [(page,) for page in pages]


def colour_of(page: Any, pages: int = 1) -> str:
    """How a page keeps colour: "rgb", "palette", "cmyk", "channels"; "" if it has none.

    Args:
        page: the first of the picture's pages.
        pages: how many make up the picture.
    """
    deep = page.dtype in (np.uint8, np.uint16) and getattr(page, "imagedepth", 1) == 1
    if not deep:
        return ""
    if pages == _COLOURS:
        return "channels"
    samples, model = page.samplesperpixel, page.photometric
    if model in (_RGB, _YCBCR) and samples in (_COLOURS, _COLOURS + 1):
        return "rgb"
    if model == _CMYK and samples == _COLOURS + 1:
        return "cmyk"
    if model == _PALETTE and samples == 1 and page.colormap is not None:
        return "palette"
    return ""


def is_planar(page: Any) -> bool:
    """Whether a page keeps its colours one after another."""
    return bool(page.planarconfig == _PLANAR and page.samplesperpixel > 1)


def normaliser(pages: Pages, largest: int) -> Normalise:
    """What makes 8-bit RGB of a picture's decoded segments, shape (height, width, samples).

    Args:
        pages: of one level.
        largest: the largest value on a coarse level, which tells 12 from 16 bits.
    """
    page, kind = pages[0], colour_of(pages[0], len(pages))
    if kind == "palette":
        table = np.ascontiguousarray((np.asarray(page.colormap) >> 8).astype(np.uint8).T)
        return lambda raw: table[raw[..., 0]]
    full = 255 if page.dtype == np.uint8 else full_scale(largest)
    if kind == "cmyk":
        return lambda raw: from_cmyk(to_8_bit(raw, full))
    extra = [int(one) for one in page.extrasamples]
    if kind == "rgb" and extra[:1] in ([_ASSOCIATED], [_UNASSOCIATED]):
        premultiplied = extra[0] == _ASSOCIATED

        def mixed(raw: Raw) -> Any:
            whole = to_8_bit(raw, full)
            return on_white(whole[..., :3], whole[..., 3:4], premultiplied=premultiplied)

        return mixed
    if full == 255:
        return lambda raw: np.ascontiguousarray(raw[..., :3])
    return lambda raw: to_8_bit(np.ascontiguousarray(raw[..., :3]), full)
