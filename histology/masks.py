"""A mask of a whole slide in little memory: strips of rows, bits packed and deflated."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Rows per strip.
STRIP_ROWS = 256


@dataclass(frozen=True)
class PackedMask:
    """A bool mask at the analysis resolution.

    Attributes:
        height_px: rows.
        width_px: columns.
        strips: one compressed strip per :data:`STRIP_ROWS` rows.
    """

    height_px: int
    width_px: int
    strips: tuple[bytes, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height_px, self.width_px

    def rows(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Rows ``start`` to ``stop`` as bool, shape (stop - start, width_px)."""
        first, last = start // STRIP_ROWS, max(start, stop - 1) // STRIP_ROWS
        parts = [self._strip(i) for i in range(first, last + 1)]
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        offset = first * STRIP_ROWS
        return joined[start - offset : stop - offset]

    def iter_strips(self) -> Iterator[tuple[int, NDArray[np.bool_]]]:
        """First row and pixels of each strip, from the top."""
        for i in range(len(self.strips)):
            yield i * STRIP_ROWS, self._strip(i)

    def to_array(self) -> NDArray[np.bool_]:
        """The whole mask, shape (height_px, width_px): a byte a pixel."""
        return self.rows(0, self.height_px)

    def reduced(self, factor: int) -> NDArray[np.float32]:
        """Share of set pixels in boxes of ``factor`` pixels, for pictures; edges rounded down.

        Args:
            factor: a power of two up to :data:`STRIP_ROWS`.
        """
        height, width = max(1, self.height_px // factor), max(1, self.width_px // factor)
        out = np.zeros((height, width), dtype=np.float32)
        for top, strip in self.iter_strips():
            row = top // factor
            rows = min(strip.shape[0] // factor, height - row)
            if rows <= 0:
                continue
            part = strip[: rows * factor, : width * factor]
            if part.shape[1] < factor:
                continue
            boxes = part.reshape(rows, factor, -1, factor)
            out[row : row + rows] = boxes.mean(axis=(1, 3), dtype=np.float32)
        return out

    def _strip(self, index: int) -> NDArray[np.bool_]:
        rows = min(STRIP_ROWS, self.height_px - index * STRIP_ROWS)
        bits = np.frombuffer(zlib.decompress(self.strips[index]), dtype=np.uint8)
        packed = bits.reshape(rows, -1)
        return np.unpackbits(packed, axis=1, count=self.width_px).view(np.bool_)


class MaskWriter:
    """Collects packed rows from the top into a :class:`PackedMask`."""

    def __init__(self, height_px: int, width_px: int) -> None:
        self._height, self._width = height_px, width_px
        self._strips: list[bytes] = []
        self._waiting: list[NDArray[np.uint8]] = []
        self._rows_waiting = 0
        self._rows_in = 0

    def append(self, bits: NDArray[np.uint8]) -> None:
        """Add the next rows, packed eight pixels to a byte, shape (rows, ceil(width / 8))."""
        assert bits.shape[1] == -(-self._width // 8)
        self._waiting.append(bits)
        self._rows_waiting += bits.shape[0]
        self._rows_in += bits.shape[0]
        if self._rows_waiting >= STRIP_ROWS:
            joined = np.concatenate(self._waiting)
            whole = joined.shape[0] // STRIP_ROWS * STRIP_ROWS
            for top in range(0, whole, STRIP_ROWS):
                self._pack(joined[top : top + STRIP_ROWS])
            rest = joined[whole:].copy()
            self._waiting, self._rows_waiting = [rest], rest.shape[0]

    def finish(self) -> PackedMask:
        """The mask, after all rows were added."""
        assert self._rows_in == self._height
        if self._rows_waiting:
            self._pack(np.concatenate(self._waiting))
        return PackedMask(self._height, self._width, tuple(self._strips))

    def _pack(self, bits: NDArray[np.uint8]) -> None:
        self._strips.append(zlib.compress(bits.tobytes(), 1))


def pack_mask(mask: NDArray[np.bool_]) -> PackedMask:
    """A bool array as a :class:`PackedMask`."""
    writer = MaskWriter(*mask.shape)
    writer.append(np.packbits(mask, axis=1))
    return writer.finish()
