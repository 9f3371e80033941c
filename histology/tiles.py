"""Walking over a slide tile by tile: decode, smooth, classify, count, in bounded memory.

Tiles only divide the work. Each is read with a margin as wide as the smoothing, on the fixed grid
of grid.py, so the class of a pixel does not depend on the tile it fell in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .grid import AnalysisGrid, read_block
from .regions import Region
from .slide import RgbImage, Slide
from .stains import COLLAGEN, COLLAGEN_STRICT, TISSUE, WHITE, classify

#: Edge of the squares in which pixels are counted, analysis pixels. Tiles are whole squares.
SQUARE_PX = 64
#: Columns of every table of counts: pixels inside the outline, then those of at least TISSUE,
#: COLLAGEN_LENIENT, COLLAGEN, COLLAGEN_STRICT. They are cumulative, as the classes are.
COUNTS = COLLAGEN_STRICT + 1
MARGIN_PX = 2


def thread_count(threads: int) -> int:
    """The number of worker threads for a setting; 0 = one per CPU core, at most 8."""
    return threads if threads > 0 else max(1, min(8, os.cpu_count() or 1))


def smooth(rgb: RgbImage) -> RgbImage:
    """Take single-pixel noise (JPEG chroma blocks, sensor) out before a pixel's hue is read."""
    return np.asarray(cv2.GaussianBlur(rgb, (3, 3), 0.8), dtype=np.uint8)


def raw_block(
    slide: Slide, grid: AnalysisGrid, x: int, y: int, width: int, height: int
) -> RgbImage:
    """A block with the margin that smoothing needs, :data:`MARGIN_PX` on all four sides."""
    m = MARGIN_PX
    return read_block(slide, grid, x - m, y - m, width + 2 * m, height + 2 * m)


def inner(block: RgbImage) -> RgbImage:
    """A block without its margin."""
    m = MARGIN_PX
    return block[m:-m, m:-m]


@dataclass(frozen=True)
class Box:
    """A rectangle of analysis pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Outline:
    """The tissue's pieces on the overview, read at the analysis resolution.

    Attributes:
        labels: number of the piece on the overview, 0 outside; shape (rows, columns).
        size_px: width and height of the analysis grid.
        include: only inside this region, None = everywhere.
        exclude: never inside this region.
    """

    labels: NDArray[np.int32]
    size_px: tuple[int, int]
    include: Region | None = None
    exclude: Region | None = None

    def pieces(self, box: Box) -> NDArray[np.int32]:
        """Piece of each analysis pixel in a box, excluded ones included."""
        row = self._nearest(box.y, box.height, axis=1)
        column = self._nearest(box.x, box.width, axis=0)
        return np.asarray(self.labels[row[0] : row[-1] + 1].take(column, axis=1)[row - row[0]])

    def numbers(self, box: Box) -> NDArray[np.int32]:
        """Which pieces reach into a box, 0 for background."""
        row = self._nearest(box.y, box.height, axis=1)
        column = self._nearest(box.x, box.width, axis=0)
        part = self.labels[row[0] : row[-1] + 1, column[0] : column[-1] + 1]
        first = part.flat[0]
        return np.array([first]) if (part == first).all() else np.unique(part)

    def kept(self, box: Box) -> NDArray[np.bool_] | None:
        """Which analysis pixels of a box the user's regions leave in; None = all."""
        if self.include is None and self.exclude is None:
            return None
        columns = slice(box.x, box.x + box.width)
        kept = np.ones((box.height, box.width), dtype=bool)
        if self.include is not None:
            kept &= self.include.rows(box.y, box.y + box.height, self.size_px)[:, columns]
        if self.exclude is not None:
            kept &= ~self.exclude.rows(box.y, box.y + box.height, self.size_px)[:, columns]
        return kept

    def _nearest(self, start: int, count: int, *, axis: int) -> NDArray[np.int64]:
        size, overview = self.size_px[axis], self.labels.shape[1 - axis]
        return (2 * np.arange(start, start + count) + 1) * overview // (2 * size)


def read_overview(slide: Slide, grid: AnalysisGrid) -> RgbImage:
    """The whole slide on a coarse grid, read in bands."""
    out = np.empty((grid.height_px, grid.width_px, 3), dtype=np.uint8)
    band = max(1, 1024 // grid.factor)
    for top in range(0, grid.height_px, band):
        rows = min(band, grid.height_px - top)
        out[top : top + rows] = read_block(slide, grid, 0, top, grid.width_px, rows)
    return out


@dataclass(frozen=True)
class TileCounts:
    """What was found in a tile.

    Attributes:
        box: where it lies; x and y are multiples of :data:`SQUARE_PX`.
        tissue_bits: tissue, packed along rows (numpy.packbits); None = none.
        collagen_bits: collagen likewise.
        squares: counts of each square, shape (rows, columns, :data:`COUNTS`).
        pieces: counts of each piece of tissue by its number.
        excluded_px: pixels of tissue that the user's regions took out.
    """

    box: Box
    tissue_bits: NDArray[np.uint8] | None
    collagen_bits: NDArray[np.uint8] | None
    squares: NDArray[np.int64]
    pieces: dict[int, NDArray[np.int64]]
    excluded_px: int


def counted_tiles(
    slide: Slide,
    grid: AnalysisGrid,
    outline: Outline,
    table: NDArray[np.uint8],
    *,
    tile_px: int,
    threads: int,
) -> Iterator[list[TileCounts]]:
    """Classify and count the slide, a row of tiles at a time from the top.

    Args:
        slide: the open slide.
        grid: its analysis grid.
        outline: the tissue.
        table: the slide's colour classes (stains.compile_table).
        tile_px: wanted edge of a tile; rounded up to whole squares.
        threads: tiles in work at the same time.
    """
    edge = -(-tile_px // SQUARE_PX) * SQUARE_PX

    def work(box: Box) -> TileCounts:
        return _count_tile(slide, grid, outline, table, box)

    with ThreadPoolExecutor(thread_count(threads)) as pool:
        for top in range(0, grid.height_px, edge):
            height = min(edge, grid.height_px - top)
            yield list(
                pool.map(
                    work,
                    [
                        Box(left, top, min(edge, grid.width_px - left), height)
                        for left in range(0, grid.width_px, edge)
                    ],
                )
            )


def _count_tile(
    slide: Slide, grid: AnalysisGrid, outline: Outline, table: NDArray[np.uint8], box: Box
) -> TileCounts:
    shape = (-(-box.height // SQUARE_PX), -(-box.width // SQUARE_PX), COUNTS)
    numbers = outline.numbers(box)
    if not numbers.any():
        return TileCounts(box, None, None, np.zeros(shape, np.int64), {}, 0)
    codes = classify(
        inner(smooth(raw_block(slide, grid, box.x, box.y, box.width, box.height))), table
    )
    whole = len(numbers) == 1
    pieces = None if whole else outline.pieces(box)
    kept = outline.kept(box)
    excluded_px = 0
    inside = np.ones(codes.shape, dtype=bool) if pieces is None else pieces > 0
    if kept is not None:
        excluded_px = int(np.count_nonzero(inside & ~kept))
        inside &= kept
    codes[~inside] = WHITE
    planes = [np.packbits(inside, axis=1)]
    planes += [np.packbits(codes >= code, axis=1) for code in range(TISSUE, COUNTS)]
    squares = np.stack([_count_squares(plane, shape[0], shape[1]) for plane in planes], axis=2)
    present = numbers[numbers > 0]
    if len(present) == 1:
        by_piece = {int(present[0]): squares.sum(axis=(0, 1))}
    else:
        assert pieces is not None
        by_piece = _count_pieces(pieces, inside, codes, present)
    return TileCounts(box, planes[TISSUE], planes[COLLAGEN], squares, by_piece, excluded_px)


def _count_squares(bits: NDArray[np.uint8], rows: int, columns: int) -> NDArray[np.int64]:
    """Set bits in each square, from rows packed eight pixels to a byte."""
    words = np.zeros((rows * SQUARE_PX, columns * SQUARE_PX // 8), dtype=np.uint8)
    words[: bits.shape[0], : bits.shape[1]] = bits
    counts = np.bitwise_count(words.view(np.uint64))
    return np.asarray(counts.reshape(rows, SQUARE_PX, columns).sum(axis=1, dtype=np.int64))


def _count_pieces(
    pieces: NDArray[np.int32],
    inside: NDArray[np.bool_],
    codes: NDArray[np.uint8],
    present: NDArray[np.int32],
) -> dict[int, NDArray[np.int64]]:
    lowest = int(present[0])
    key = (pieces[inside] - lowest) * COUNTS + codes[inside]
    table = np.bincount(key, minlength=(int(present[-1]) - lowest + 1) * COUNTS)
    # from "exactly this class" to "at least this class"
    cumulative = table.reshape(-1, COUNTS)[:, ::-1].cumsum(axis=1)[:, ::-1]
    return {int(number): cumulative[int(number) - lowest] for number in present}
