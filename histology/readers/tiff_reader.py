"""Regions of the tiles and strips of a TIFF file, decoded once for neighbours and threads."""

from __future__ import annotations

import math
import struct
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ...errors import SlideError
from ..slide import RgbImage
from .jpeg import JPEG, REDUCTIONS, can_reduce, decode_reduced, decodes_alike, is_whole
from .pixels import Normalise
from .tiff_images import Pages, is_planar, normaliser

#: Decoded segments kept, so that neighbouring regions decode a tile once; enough for a row of tiles
#: of a panel (tiles.py) with the segments above and below it.
CACHE_BYTES = 64 << 20
#: Kept of strips: each is as wide as the picture, and needed again for each column of tiles.
#: A picture in one strip is kept whole, of whatever size.
_STRIPS_BYTES = 400 << 20
#: Strips of fewer rows are decoded so many rows at a time.
_STRIP_ROWS = 64
#: A level is put between two only where it is this much larger than the coarser one.
_GAP = 1.4
#: Pixels of a level of which the largest value is looked for.
_LOOKED_AT_PX = 4_000_000

#: What tifffile and the decoders raise where tags or tiles of a damaged file make no sense.
DAMAGE = (
    *(tifffile.TiffFileError, ValueError, TypeError, LookupError, ArithmeticError),
    *(AttributeError, RuntimeError, OSError, MemoryError, struct.error),
)


@dataclass(frozen=True)
class ReadLevel:
    """A level that is read: its pages, tiles decoded at ``1 / factor`` of their size (jpeg.py)."""

    pages: Pages
    factor: int = 1

    @property
    def page(self) -> Any:
        """The first page."""
        return self.pages[0]

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height; what is left at the right and below of a whole pixel is left out."""
        return self.page.imagewidth // self.factor, self.page.imagelength // self.factor

    @property
    def strips(self) -> int:
        """Strips that are decoded together; 1 for tiles."""
        return 1 if self.page.is_tiled else max(1, _STRIP_ROWS // self.page.rowsperstrip)

    @property
    def segment_grid(self) -> tuple[int, int, int]:
        """Width and height of a segment, and how many stand side by side."""
        step_x, step_y, across = segment_grid(self.page)
        return step_x // self.factor, step_y * self.strips // self.factor, across


class TiffReader:
    """Regions of tiled or striped pages; safe to call from several threads."""

    def __init__(self, tiff: tifffile.TiffFile, levels: tuple[Pages, ...], path: Path) -> None:
        self._tiff, self._path = tiff, path
        self.levels = [ReadLevel(pages) for pages in levels]
        self._file_lock = threading.Lock()
        self._cache_lock = threading.Lock()
        self._cache: OrderedDict[tuple[int, int], RgbImage] = OrderedDict()
        self._cached_bytes = 0
        self._pending: dict[tuple[int, int], threading.Event] = {}
        for page in (page for pages in levels for page in pages):
            needed = _segments(page) * (page.samplesperpixel if is_planar(page) else 1)
            if min(len(page.dataoffsets), len(page.databytecounts)) < needed:
                raise damaged(path, f"{len(page.dataoffsets)} of {needed} tiles")
            page.keyframe.decode  # noqa: B018  builds the decoder once, before threads share it
        largest = self._largest() if levels[0][0].dtype != np.uint8 else 255
        self._normalise: list[Normalise] = [normaliser(pages, largest) for pages in levels]

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
        out: list[ReadLevel] = []
        rules: list[Normalise] = []
        for number, level in enumerate(self.levels):
            out.append(level)
            rules.append(self._normalise[number])
            following = self.levels[number + 1 :]
            end = following[0].page.imagewidth if following else 0
            for factor in REDUCTIONS:
                small = ReadLevel(level.pages, factor)
                if min(small.size_px) < 1 or small.size_px[0] < _GAP * end:
                    break
                if not self._shows_the_same(number, factor):
                    break
                out.append(small)
                rules.append(self._normalise[number])
        self.levels, self._normalise = out, rules
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
                kept = CACHE_BYTES if self.levels[level].page.is_tiled else _STRIPS_BYTES
                while self._cached_bytes > kept and len(self._cache) > 1:
                    _, old = self._cache.popitem(last=False)
                    self._cached_bytes -= old.nbytes
        finally:
            with self._cache_lock:
                self._pending.pop(key).set()
        return segment

    def _bytes(self, page: Any, index: int) -> bytes:
        """A segment as stored in the file."""
        count = page.databytecounts[index]
        with self._file_lock:
            handle = self._tiff.filehandle
            handle.seek(page.dataoffsets[index])
            data = bytes(handle.read(count))
        if len(data) != count:
            raise damaged(self._path, f"a tile ends after {len(data)} of {count} bytes")
        if page.compression == JPEG and not is_whole(data):
            # the decoder would fill the rest with grey
            raise damaged(self._path, "a JPEG tile is cut short")
        return data

    def _decode(self, level: int, index: int) -> RgbImage:
        read = self.levels[level]
        step_x, step_y, _ = read.segment_grid
        if read.factor > 1:
            if read.page.databytecounts[index] == 0:  # left out by the scanner: glass
                return np.full((step_y, step_x, 3), 255, dtype=np.uint8)
            reduced = decode_reduced(self._bytes(read.page, index), read.page, read.factor)
            if reduced is None:
                raise damaged(self._path, "a JPEG tile is damaged")
            return reduced
        if read.strips == 1:
            return self._whole(level, index)
        last = min((index + 1) * read.strips, _segments(read.page))
        return np.concatenate(
            [self._whole(level, strip) for strip in range(index * read.strips, last)]
        )

    def _whole(self, level: int, index: int) -> RgbImage:
        """A tile or strip as 8-bit RGB, put together from its planes."""
        read = self.levels[level]
        if is_planar(read.page):
            parts = [
                (read.page, index + plane * _segments(read.page))
                for plane in range(read.page.samplesperpixel)
            ]
        else:
            parts = [(page, index) for page in read.pages]
        planes = [self._raw(page, place) for page, place in parts]
        found = [plane for plane in planes if plane is not None]
        if len(found) < len(planes):  # a tile that the scanner left out: glass
            step_x, step_y, _ = segment_grid(read.page)
            return np.full((step_y, step_x, 3), 255, dtype=np.uint8)
        raw = found[0] if len(found) == 1 else np.concatenate(found, axis=-1)
        return self._normalise[level](raw)

    def _raw(self, page: Any, index: int) -> NDArray[Any] | None:
        """A tile or strip as it is kept, shape (height, width, samples); None if left out."""
        if page.databytecounts[index] == 0:
            return None
        data = self._bytes(page, index)
        try:
            decoded, _, _ = page.keyframe.decode(
                data, index, jpegtables=page.jpegtables, _fullsize=page.is_tiled
            )
        except DAMAGE as error:
            raise damaged(self._path, f"{type(error).__name__}: {error}") from error
        return None if decoded is None else np.asarray(decoded).reshape(decoded.shape[-3:])

    def _largest(self) -> int:
        """The largest value of a picture of more than 8 bits, on its coarsest level."""
        read = self.levels[-1]
        if math.prod(read.size_px) > _LOOKED_AT_PX * 16:
            return int(np.iinfo(read.page.dtype).max)
        largest = 0
        for page in read.pages:
            for index in range(len(page.dataoffsets)):
                raw = self._raw(page, index)
                largest = max(largest, 0 if raw is None else int(raw.max()))
        return largest


def segment_grid(page: Any) -> tuple[int, int, int]:
    """Width and height of a tile or strip, and how many stand side by side."""
    if page.is_tiled:
        return page.tilewidth, page.tilelength, math.ceil(page.imagewidth / page.tilewidth)
    return page.imagewidth, min(page.rowsperstrip, page.imagelength), 1


def _segments(page: Any) -> int:
    """Tiles or strips of a page, of one of its planes where they are kept apart."""
    _, step_y, across = segment_grid(page)
    return int(across * math.ceil(page.imagelength / step_y))


def damaged(path: Path, found: str) -> SlideError:
    """The error for what cannot be decoded."""
    return SlideError(
        "unreadable_slide",
        f"{path.name} is damaged or uses a compression that cannot be decoded",
        found=" ".join(found.split())[:300],
        do="copy the slide again, or export it from the scanner software",
    )
