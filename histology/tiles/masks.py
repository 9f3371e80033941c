"""The mask of a whole slide in little memory: encoded tiles, as they go into the mask's TIFF file.

A tile is encoded once, by the thread that classified it; writing the file copies the bytes. Beyond
a few megabytes they are kept in a temporary file, so that memory does not grow with the slide.
"""

from __future__ import annotations

import tempfile
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray

#: Edge of an encoded tile, pixels.
TILE_PX = 256
#: Values of the mask.
MASK_TISSUE, MASK_COLLAGEN = 1, 2
#: Encoded bytes kept in memory; what comes after is kept in a temporary file.
_IN_MEMORY = 16 << 20

Classes = NDArray[np.uint8]


def encode_tile(classes: Classes) -> bytes:
    """A tile as PackBits, TIFF's run-length code: every reader knows it, and it is quick.

    Args:
        classes: shape up to (:data:`TILE_PX`, :data:`TILE_PX`); filled up with background.
    """
    if classes.shape != (TILE_PX, TILE_PX):
        whole = np.zeros((TILE_PX, TILE_PX), dtype=np.uint8)
        whole[: classes.shape[0], : classes.shape[1]] = classes
        classes = whole
    return bytes(imagecodecs.packbits_encode(np.ascontiguousarray(classes), axis=-1))


def _decode_tile(encoded: bytes) -> Classes:
    decoded = imagecodecs.packbits_decode(encoded, out=TILE_PX * TILE_PX)
    return np.frombuffer(decoded, dtype=np.uint8).reshape(TILE_PX, TILE_PX)


#: A tile of nothing.
EMPTY_TILE = encode_tile(np.zeros((TILE_PX, TILE_PX), np.uint8))


class TileStore:
    """Encoded tiles of one level by row and column; tiles never put are empty.

    Args:
        height_px: rows of the level.
        width_px: columns.
    """

    def __init__(self, height_px: int, width_px: int) -> None:
        self.height_px, self.width_px = height_px, width_px
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  lives as long as the mask
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()
        self._places: dict[tuple[int, int], tuple[int, int]] = {}
        self._end = 0

    @property
    def tiles_px(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return -(-self.height_px // TILE_PX), -(-self.width_px // TILE_PX)

    def put(self, row: int, column: int, encoded: bytes) -> None:
        """Keep a tile; safe from several threads."""
        with self._lock:
            self._file.seek(self._end)
            self._file.write(encoded)
            self._places[row, column] = (self._end, len(encoded))
            self._end += len(encoded)

    def encoded(self, row: int, column: int) -> bytes:
        """A tile as it was put."""
        place = self._places.get((row, column))
        if place is None:
            return EMPTY_TILE
        with self._lock:
            self._file.seek(place[0])
            return self._file.read(place[1])

    def iter_encoded(self) -> Iterator[bytes]:
        """All tiles in reading order."""
        rows, columns = self.tiles_px
        for row in range(rows):
            for column in range(columns):
                yield self.encoded(row, column)

    def rows(self, start: int, stop: int) -> Classes:
        """Pixel rows ``start`` to ``stop``, shape (stop - start, width_px)."""
        out = np.zeros((max(0, stop - start), self.width_px), dtype=np.uint8)
        for row in range(start // TILE_PX, -(-stop // TILE_PX)):
            top = row * TILE_PX
            first, last = max(start, top), min(stop, top + TILE_PX)
            for column in range(self.tiles_px[1]):
                if (row, column) in self._places:
                    left = column * TILE_PX
                    tile = _decode_tile(self.encoded(row, column))[first - top : last - top]
                    part = out[first - start : last - start, left : left + TILE_PX]
                    part[:] = tile[:, : part.shape[1]]
        return out

    def halved(self) -> TileStore:
        """The next level: every second pixel."""
        out = TileStore(-(-self.height_px // 2), -(-self.width_px // 2))
        for row in range(out.tiles_px[0]):
            top = 2 * row * TILE_PX
            band = self.rows(top, min(top + 2 * TILE_PX, self.height_px))[::2, ::2]
            for column in range(out.tiles_px[1]):
                part = band[:, column * TILE_PX : (column + 1) * TILE_PX]
                if part.any():
                    out.put(row, column, encode_tile(part))
        return out


@dataclass(frozen=True)
class SlideMask:
    """Background, tissue and collagen of a slide at the analysis resolution."""

    full: TileStore = field(repr=False)
    """Every pixel."""
    half: TileStore = field(repr=False)
    """Every second pixel, the next level of the mask's pyramid."""

    @classmethod
    def empty(cls, height_px: int, width_px: int) -> SlideMask:
        """A mask to be filled with :meth:`put`."""
        return cls(TileStore(height_px, width_px), TileStore(-(-height_px // 2), -(-width_px // 2)))

    def put(self, x: int, y: int, classes: Classes) -> None:
        """Encode and keep a block whose corner lies at multiples of twice :data:`TILE_PX`."""
        assert x % (2 * TILE_PX) == 0
        assert y % (2 * TILE_PX) == 0
        for store, pixels, step in ((self.full, classes, 1), (self.half, classes[::2, ::2], 2)):
            row, column = y // (TILE_PX * step), x // (TILE_PX * step)
            for top in range(0, pixels.shape[0], TILE_PX):
                for left in range(0, pixels.shape[1], TILE_PX):
                    tile = pixels[top : top + TILE_PX, left : left + TILE_PX]
                    place = row + top // TILE_PX, column + left // TILE_PX
                    store.put(*place, encode_tile(tile))

    def shares(self, factor: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Share of tissue and of collagen in boxes of ``factor`` pixels, for pictures.

        Large boxes are judged by 4 x 4 pixels spread over them; edges are rounded down.

        Args:
            factor: a power of two up to :data:`TILE_PX`.
        """
        height = max(1, self.full.height_px // factor)
        width = max(1, self.full.width_px // factor)
        tissue, collagen = (np.zeros((height, width), dtype=np.float32) for _ in range(2))
        step = max(1, factor // 4)
        box = factor // step
        for top, band in self.stepped(step):
            first = top // box
            rows = min(band.shape[0] // box, height - first)
            if rows > 0 and band.shape[1] >= width * box:
                part = band[: rows * box, : width * box]
                for least, out in ((MASK_TISSUE, tissue), (MASK_COLLAGEN, collagen)):
                    plane = cv2.compare(part, least, cv2.CMP_GE)
                    mean = cv2.resize(plane, (width, rows), interpolation=cv2.INTER_AREA)
                    out[first : first + rows] = mean.astype(np.float32) / 255
        return tissue, collagen

    def stepped(self, step: int) -> Iterator[tuple[int, Classes]]:
        """Every ``step``-th pixel along both sides, in bands of rows from the top.

        Args:
            step: a power of two up to :data:`TILE_PX`.

        Yields:
            The band's first row among the stepped rows, and its pixels.
        """
        store, left = (self.full, 1) if step == 1 else (self.half, step // 2)
        for top in range(0, store.height_px, TILE_PX):
            band = store.rows(top, min(top + TILE_PX, store.height_px))
            yield top // left, band[::left, ::left]


@dataclass(frozen=True)
class BoolMask:
    """Tissue, or collagen, of a :class:`SlideMask` as a bool mask."""

    mask: SlideMask
    """The slide's mask."""
    least: int
    """The smallest value that belongs to it: :data:`MASK_TISSUE`, :data:`MASK_COLLAGEN`."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.mask.full.height_px, self.mask.full.width_px

    def rows(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Rows ``start`` to ``stop`` as bool, shape (stop - start, columns)."""
        return self.mask.full.rows(start, stop) >= self.least

    def to_array(self) -> NDArray[np.bool_]:
        """The whole mask as bool, shape (rows, columns): one byte per pixel."""
        return self.rows(0, self.shape[0])
