"""Tiled and striped TIFF, OME-TIFF and Aperio SVS, through tifffile and imagecodecs."""

from __future__ import annotations

import math
import re
import struct
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree  # entities are refused below # nosec B405

import numpy as np
import tifffile

from ...errors import SlideError
from ..slide import RgbImage, SlideContent, SlideLevel
from .jpeg import JPEG, REDUCTIONS, can_reduce, decode_reduced, decodes_alike, is_whole

SUFFIXES = (".svs", ".tif", ".tiff", ".btf")

#: Decoded segments kept, so that neighbouring regions decode a tile once; enough for a row of tiles
#: of a panel (tiles.py) with the segments above and below it.
CACHE_BYTES = 64 << 20

#: A level is put between two only where it is this much larger than the coarser one.
_GAP = 1.4
_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_UM_PER_UNIT = {"nm": 1e-3, "µm": 1.0, "um": 1.0, "μm": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6}
#: Vendors whose own OpenSlide driver knows more than the TIFF tags tell.
_OTHER_VENDORS = ("NDPI", "SCN", "VENTANA", "iScan")


@dataclass(frozen=True)
class _Level:
    """A level that is read: a page, its tiles decoded at ``1 / factor`` of their size (jpeg.py)."""

    page: Any
    factor: int = 1

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height; what is left at the right and below of a whole pixel is left out."""
        return self.page.imagewidth // self.factor, self.page.imagelength // self.factor

    @property
    def segment_grid(self) -> tuple[int, int, int]:
        """Width and height of a segment, and how many stand side by side."""
        step_x, step_y, across = _segment_grid(self.page)
        return step_x // self.factor, step_y // self.factor, across


#: What tifffile and the decoders raise where tags or tiles of a damaged file make no sense.
_DAMAGE = (
    *(tifffile.TiffFileError, ValueError, TypeError, LookupError, ArithmeticError),
    *(AttributeError, RuntimeError, OSError, MemoryError, struct.error),
)


class TiffReader:
    """Regions of tiled or striped pages; safe to call from several threads."""

    def __init__(self, tiff: tifffile.TiffFile, pages: list[Any], path: Path) -> None:
        self._tiff, self._path = tiff, path
        self.levels = [_Level(page) for page in pages]
        self._file_lock = threading.Lock()
        self._cache_lock = threading.Lock()
        self._cache: OrderedDict[tuple[int, int], RgbImage] = OrderedDict()
        self._cached_bytes = 0
        self._pending: dict[tuple[int, int], threading.Event] = {}
        for page in pages:
            _, step_y, across = _segment_grid(page)
            needed = across * math.ceil(page.imagelength / step_y)
            if min(len(page.dataoffsets), len(page.databytecounts)) < needed:
                raise _damaged(path, f"{len(page.dataoffsets)} of {needed} tiles")
            page.keyframe.decode  # noqa: B018  builds the decoder once, before threads share it

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RgbImage:
        """See :class:`fibrovol.histology.slide.LevelReader`."""
        step_x, step_y, across = self.levels[level].segment_grid
        out = np.empty((height, width, 3), dtype=np.uint8)
        for row in range(y // step_y, (y + height - 1) // step_y + 1):
            for column in range(x // step_x, (x + width - 1) // step_x + 1):
                segment = self._segment(level, row * across + column)
                left, top = column * step_x, row * step_y
                x0, x1 = max(x, left), min(x + width, left + step_x)
                y0, y1 = max(y, top), min(y + height, top + step_y)
                out[y0 - y : y1 - y, x0 - x : x1 - x] = segment[
                    y0 - top : y1 - top, x0 - left : x1 - left
                ]
        return out

    def add_reduced_levels(self) -> None:
        """Put levels of a half, a quarter and an eighth of a JPEG page into the pyramid's gaps."""
        out: list[_Level] = []
        for number, level in enumerate(self.levels):
            out.append(level)
            following = self.levels[number + 1 :]
            end = following[0].page.imagewidth if following else 0
            for factor in REDUCTIONS:
                small = _Level(level.page, factor)
                if min(small.size_px) < 1 or small.size_px[0] < _GAP * end:
                    break
                if not self._shows_the_same(number, factor):
                    break
                out.append(small)
        self.levels = out
        self._cache.clear()
        self._cached_bytes = 0

    def _shows_the_same(self, level: int, factor: int) -> bool:
        """Whether the middle tile of a page, decoded at a part of its size, is the same picture."""
        page = self.levels[level].page
        if not can_reduce(page):
            return False
        filled = np.flatnonzero(np.asarray(page.databytecounts))
        if not len(filled):
            return False
        index = int(filled[len(filled) // 2])
        full = self._segment(level, index)
        return decodes_alike(decode_reduced(self._bytes(page, index), page, factor), full)

    def close(self) -> None:
        """Close the file and drop the decoded segments."""
        self._cache.clear()
        self._tiff.close()

    def _segment(self, level: int, index: int) -> RgbImage:
        key = (level, index)
        while True:
            with self._cache_lock:
                found = self._cache.get(key)
                if found is not None:
                    self._cache.move_to_end(key)
                    return found
                pending = self._pending.get(key)
                if pending is None:
                    self._pending[key] = threading.Event()
                    break
            pending.wait()  # another thread decodes it just now
        try:
            segment = self._decode(level, index)
            with self._cache_lock:
                self._cache[key] = segment
                self._cached_bytes += segment.nbytes
                while self._cached_bytes > CACHE_BYTES and len(self._cache) > 1:
                    _, old = self._cache.popitem(last=False)
                    self._cached_bytes -= old.nbytes
        finally:
            with self._cache_lock:
                self._pending.pop(key).set()
        return segment

    def _bytes(self, page: Any, index: int) -> bytes:
        """A segment as it stands in the file."""
        count = page.databytecounts[index]
        with self._file_lock:
            handle = self._tiff.filehandle
            handle.seek(page.dataoffsets[index])
            data = bytes(handle.read(count))
        if len(data) != count:
            raise _damaged(self._path, f"a tile ends after {len(data)} of {count} bytes")
        if page.compression == JPEG and not is_whole(data):
            # the decoder would fill the rest with grey
            raise _damaged(self._path, "a JPEG tile is cut short")
        return data

    def _decode(self, level: int, index: int) -> RgbImage:
        page, factor = self.levels[level].page, self.levels[level].factor
        step_x, step_y, _ = self.levels[level].segment_grid
        if page.databytecounts[index] == 0:  # a tile that the scanner left out: glass
            return np.full((step_y, step_x, 3), 255, dtype=np.uint8)
        data = self._bytes(page, index)
        if factor > 1:
            reduced = decode_reduced(data, page, factor)
            if reduced is None:
                raise _damaged(self._path, "a JPEG tile is damaged")
            return reduced
        tables = page.jpegtables
        try:
            decoded, _, _ = page.keyframe.decode(data, index, jpegtables=tables, _fullsize=True)
        except _DAMAGE as error:
            raise _damaged(self._path, f"{type(error).__name__}: {error}") from error
        if decoded is None:
            return np.full((step_y, step_x, 3), 255, dtype=np.uint8)
        return np.ascontiguousarray(decoded.reshape(decoded.shape[-3:])[..., :3])


def accepts(path: Path) -> bool:
    """Whether the file is a TIFF that is not one of OpenSlide's vendor formats."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        if stream.read(4) not in _MAGIC:
            return False
    if path.suffix.lower() in (".ndpi", ".scn", ".bif"):
        return False
    try:
        with tifffile.TiffFile(path) as tiff:
            software = str(getattr(tiff.pages.first, "software", ""))
            return not (
                tiff.is_ndpi
                or tiff.is_scn
                or tiff.is_bif
                or any(vendor in software for vendor in _OTHER_VENDORS)
            )
    except _DAMAGE:
        return True  # open_content says what is wrong with it


def open_content(path: Path) -> SlideContent:
    """Open a TIFF and find its pyramid and pixel size.

    Raises:
        SlideError: ``unreadable_slide``: damaged, not RGB, or a compression that is not known.
    """
    try:
        tiff = tifffile.TiffFile(path)
    except _DAMAGE as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    try:
        pages = _pyramid_pages(tiff, path)
        reader = TiffReader(tiff, pages, path)
        # decode one segment now: a file that cannot be decoded is refused before any measuring
        reader.read(len(pages) - 1, 0, 0, 1, 1)
        reader.add_reduced_levels()
        levels = tuple(
            SlideLevel(
                *level.size_px,
                downsample=level.factor * pages[0].imagewidth / level.page.imagewidth,
                reduction=level.factor,
            )
            for level in reader.levels
        )
        mpp, found = _pixel_size(tiff, pages[0])
    except SlideError:
        tiff.close()
        raise
    except _DAMAGE as error:
        tiff.close()
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    name = "SVS" if tiff.is_svs else "OME-TIFF" if tiff.is_ome else "TIFF"
    return SlideContent(
        reader=reader,
        levels=levels,
        mpp_um=mpp,
        format_name=name,
        has_icc=34675 in pages[0].tags,
        mpp_found=found,
    )


def _pyramid_pages(tiff: tifffile.TiffFile, path: Path) -> list[Any]:
    try:
        series = tiff.series
    except _DAMAGE as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error
    best: list[Any] = []
    largest = max(series, key=lambda one: _area(one.keyframe), default=None)
    if largest is not None:
        # the largest picture is the slide; a smaller RGB one beside it is its label or thumbnail
        pages = [level.pages[0] for level in largest.levels]
        if pages and pages[0] is not None and _is_rgb(pages[0]):
            best = [page for page in pages if page is not None and _is_rgb(page)]
    if not best:
        shapes = ", ".join(f"{one.shape} {one.dtype}" for one in series[:4]) or "no image"
        raise SlideError(
            "unreadable_slide",
            f"{path.name} holds no 8-bit RGB image",
            found=shapes,
            do="export the slide as 8-bit RGB brightfield TIFF",
        )
    return [best[0], *_other_levels(tiff, best)]


def _other_levels(tiff: tifffile.TiffFile, best: list[Any]) -> list[Any]:
    """Coarser levels; files without SubIFDs list them as further pages of the same picture."""
    first, kept = best[0], list(best[1:])
    if not kept and not tiff.is_ome:
        for listed in tiff.pages[1:]:
            page = listed.aspage()
            if not (_is_rgb(page) and page.is_tiled and first.is_tiled):
                continue
            across = first.imagewidth / page.imagewidth
            down = first.imagelength / page.imagelength
            # the same picture, smaller: both sides shrink alike, within a pixel of rounding
            if across > 1.5 and abs(across / down - 1) < 2 / min(page.imagewidth, page.imagelength):
                kept.append(page)
    kept.sort(key=_area, reverse=True)
    return [
        p
        for p in kept
        if abs((first.imagewidth / p.imagewidth) / (first.imagelength / p.imagelength) - 1) < 0.05
    ]


def _is_rgb(page: Any) -> bool:
    return (
        page.dtype == np.uint8
        and page.samplesperpixel in (3, 4)
        and page.planarconfig == 1
        and page.photometric in (2, 6)
        and getattr(page, "imagedepth", 1) == 1
    )


def _area(page: Any) -> int:
    return int(page.imagewidth * page.imagelength)


def _segment_grid(page: Any) -> tuple[int, int, int]:
    """Width and height of a tile or strip, and how many stand side by side."""
    if page.is_tiled:
        return page.tilewidth, page.tilelength, math.ceil(page.imagewidth / page.tilewidth)
    return page.imagewidth, min(page.rowsperstrip, page.imagelength), 1


def _pixel_size(tiff: tifffile.TiffFile, page: Any) -> tuple[tuple[float, float] | None, str]:
    """Pixel size in um from the vendor's own words first, the TIFF resolution tags last."""
    description = page.description or ""
    if tiff.is_svs:
        match = re.search(r"\|\s*MPP\s*=\s*([0-9.]+)", description)
        if match:
            return (float(match[1]), float(match[1])), ""
        return None, "an Aperio SVS whose description has no MPP entry"
    if tiff.is_ome and tiff.ome_metadata:
        return _ome_pixel_size(tiff.ome_metadata)
    x, y = page.tags.get("XResolution"), page.tags.get("YResolution")
    unit = page.tags.get("ResolutionUnit")
    per_unit = {2: 25400.0, 3: 10000.0}.get(int(unit.value) if unit else 1)
    if x is None or y is None or per_unit is None:
        return None, "a TIFF without a resolution in inches or centimetres"
    sizes = []
    for tag in (x, y):
        numerator, denominator = tag.value
        if numerator == 0 or denominator == 0:
            return None, "a TIFF whose resolution tag is zero"
        sizes.append(per_unit * denominator / numerator)
    return (sizes[0], sizes[1]), ""


def _ome_pixel_size(metadata: str) -> tuple[tuple[float, float] | None, str]:
    if "<!DOCTYPE" in metadata or "<!ENTITY" in metadata:
        # a few lines of entities can grow to gigabytes; OME-XML has none
        return None, "OME-XML with a document type, which is not read"
    try:
        root = ElementTree.fromstring(metadata)  # noqa: S314 # nosec B314
    except ElementTree.ParseError as error:
        return None, f"OME-XML that cannot be read ({error})"
    pixels = root.find(".//{*}Pixels")
    sizes = []
    for axis in "XY":
        text = None if pixels is None else pixels.get(f"PhysicalSize{axis}")
        unit = "µm" if pixels is None else pixels.get(f"PhysicalSize{axis}Unit", "µm")
        if text is None or unit not in _UM_PER_UNIT:
            return None, f"OME-XML without a usable PhysicalSize{axis}"
        sizes.append(float(text) * _UM_PER_UNIT[unit])
    return (sizes[0], sizes[1]), ""


def _damaged(path: Path, found: str) -> SlideError:
    return SlideError(
        "unreadable_slide",
        f"{path.name} is damaged or uses a compression that cannot be decoded",
        found=" ".join(found.split())[:300],
        do="copy the slide again, or export it from the scanner software",
    )
