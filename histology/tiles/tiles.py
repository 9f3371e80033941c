"""Process a slide tile by tile in bounded memory: decode, smooth, classify, count.

Tiles only divide the work. Each is read with a margin as wide as the smoothing, on the fixed grid
of grid.py, so the class of a pixel does not depend on the tile it fell in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..colour.channels import NO_SHIFT, ChannelShift, move_back
from ..colour.lookup import ColourTable, classify
from ..colour.stains import COLLAGEN, COLLAGEN_LENIENT, COLLAGEN_STRICT, TISSUE, WHITE
from ..overview.regions import Region
from ..slide import RgbImage, Slide
from .grid import AnalysisGrid, read_block
from .masks import MASK_COLLAGEN, MASK_TISSUE, TILE_PX, SlideMask
from .threads import in_threads, thread_count

#: Edge of the squares in which pixels are counted, analysis pixels. Tiles are whole squares.
SQUARE_PX = 64
#: Columns of a table of counts: pixels inside the outline, then those of at least TISSUE,
#: COLLAGEN_LENIENT, COLLAGEN, COLLAGEN_STRICT. They are cumulative, as the classes are.
COUNTS = COLLAGEN_STRICT + 1
MARGIN_PX = 2
#: Up to this pixel size the smoothing is that of 1 um.
_SMOOTHED_ALIKE_UM = 1.03
#: Variance of all blur that a picture is brought to, um2: the weights' 0.5, a pixel's 1/12, and
#: about 0.25 that fine scans get while they are brought to pixels of 1 um.
_BLUR_UM2 = 0.5 + 1 / 12 + 0.25
#: Tiles are whole pairs of the mask's tiles, so that each encodes its part of the mask by itself.
_TILE_STEP = 2 * TILE_PX
#: Source pixels along a tile at most, and along a panel: what a panel's rows of tiles share at
#: their borders fits into a reader's cache, however wide the slide is.
_TILE_SOURCE_PX, _PANEL_SOURCE_PX = 1024, 8192
#: Tiles are twice as long where each thread gets so many of them.
_TILES_A_THREAD = 16
#: Rows smoothed and classified at a time: what lies between the steps stays in the core's cache.
_BAND_PX = 32
_MASK_VALUES = np.zeros(256, dtype=np.uint8)
_MASK_VALUES[TISSUE:COLLAGEN], _MASK_VALUES[COLLAGEN:COUNTS] = MASK_TISSUE, MASK_COLLAGEN


def smooth(rgb: RgbImage, mpp_um: float = 1.0, shift: ChannelShift = NO_SHIFT) -> RgbImage:
    """Take single-pixel noise (JPEG chroma blocks, sensor) out before a pixel's hue is read.

    With pixels of 1 um by the binomial weights 1 2 1. Larger pixels have averaged by themselves:
    they are smoothed by so much less that fibres are blurred alike (in um) on a coarse slide.

    Args:
        rgb: shape (height, width, 3).
        mpp_um: pixel size, um.
        shift: colour fringes to take out at the same time.
    """
    if mpp_um <= _SMOOTHED_ALIKE_UM:
        a = 0.25
        out = np.asarray(cv2.GaussianBlur(rgb, (3, 3), 0), dtype=np.uint8)
    else:
        # variances: the weights (a, 1 - 2a, a) have 2a pixels^2, a square pixel 1/12
        a = min(max((_BLUR_UM2 - mpp_um**2 / 12) / (2 * mpp_um**2), 0.0), 0.25)
        weights = np.array([a, 1 - 2 * a, a], dtype=np.float32)
        out = rgb if a == 0.0 else cv2.sepFilter2D(rgb, -1, weights, weights)
    return move_back(rgb, out, 2 * a, shift) if shift else out


def raw_block(
    slide: Slide, grid: AnalysisGrid, x: int, y: int, width: int, height: int
) -> RgbImage:
    """A block with the margin that smoothing needs, :data:`MARGIN_PX` on all four sides."""
    m = MARGIN_PX
    return read_block(slide, grid, x - m, y - m, width + 2 * m, height + 2 * m)


def block_classes(
    block: RgbImage, table: ColourTable, mpp_um: float, shift: ChannelShift = NO_SHIFT
) -> NDArray[np.uint8]:
    """Class of each pixel of a block of :func:`raw_block`, without its margin."""
    m = MARGIN_PX
    height, width = block.shape[0] - 2 * m, block.shape[1] - 2 * m
    codes = np.empty((height, width), dtype=np.uint8)
    for top in range(0, height, _BAND_PX):
        end = min(top + _BAND_PX, height)
        band = smooth(block[top : end + 2 * m], mpp_um, shift)
        classify(band[m:-m, m:-m], table, codes[top:end])
    return codes


@dataclass(frozen=True)
class Box:
    """A rectangle of analysis pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Outline:
    """The tissue's pieces on the overview, read at the analysis resolution."""

    labels: NDArray[np.int32]
    """Number of the piece on the overview, 0 outside; shape (rows, columns)."""
    size_px: tuple[int, int]
    """Width and height of the analysis grid."""
    include: Region | None = None
    """Only inside this region, None = everywhere."""
    exclude: Region | None = None
    """Never inside this region."""

    def pieces(self, box: Box) -> NDArray[np.int32]:
        """Piece of each analysis pixel in a box, excluded ones included."""
        row = self._nearest(box.y, box.height, axis=1)
        column = self._nearest(box.x, box.width, axis=0)
        return np.asarray(self.labels[row[0] : row[-1] + 1].take(column, axis=1)[row - row[0]])

    def numbers(self, box: Box) -> NDArray[np.int32]:
        """Which pieces reach into a box, 0 for background."""
        rows = self._reach(box.y, box.height, axis=1)
        part = self.labels[rows, self._reach(box.x, box.width, axis=0)]
        first = part.flat[0]
        if (part == first).all():
            return np.array([first])
        return np.flatnonzero(np.bincount(part.ravel())).astype(part.dtype)  # as np.unique sorts

    def kept(self, box: Box) -> NDArray[np.bool_] | None:
        """Which analysis pixels of a box the user's regions leave in; None = all."""
        if self.include is None and self.exclude is None:
            return None
        place = (box.x, box.y, box.width, box.height)
        kept = np.ones((box.height, box.width), dtype=bool)
        if self.include is not None:
            kept &= self.include.inside(*place, self.size_px)
        if self.exclude is not None:
            kept &= ~self.exclude.inside(*place, self.size_px)
        return kept

    def tissue_px(self) -> int:
        """Analysis pixels of all pieces, lumens included, without what regions leave out."""
        whole = Box(0, 0, *self.size_px)
        inside, kept = self.pieces(whole) > 0, self.kept(whole)
        return int(np.count_nonzero(inside if kept is None else inside & kept))

    def _nearest(self, start: int, count: int, *, axis: int) -> NDArray[np.int64]:
        size, overview = self.size_px[axis], self.labels.shape[1 - axis]
        return (2 * np.arange(start, start + count) + 1) * overview // (2 * size)

    def _reach(self, start: int, count: int, *, axis: int) -> slice:
        """The overview's pixels from the first to the last of :meth:`_nearest`."""
        size, overview = self.size_px[axis], self.labels.shape[1 - axis]
        last = start + count - 1
        return slice(
            (2 * start + 1) * overview // (2 * size), (2 * last + 1) * overview // (2 * size) + 1
        )


def read_overview(slide: Slide, grid: AnalysisGrid, threads: int = 0) -> RgbImage:
    """The whole slide on a coarse grid."""
    out = np.empty((grid.height_px, grid.width_px, 3), dtype=np.uint8)
    edge = max(1, _TILE_SOURCE_PX // grid.factor)

    def work(box: Box) -> None:
        block = read_block(slide, grid, box.x, box.y, box.width, box.height)
        out[box.y : box.y + box.height, box.x : box.x + box.width] = block

    for _ in in_threads(work, _boxes(grid, edge, edge), threads):
        pass
    return out


@dataclass(frozen=True)
class TileCounts:
    """What was found in a tile."""

    box: Box
    """Where it is; x and y are multiples of :data:`SQUARE_PX`."""
    squares: NDArray[np.int64]
    """Tissue and collagen pixels of each square, shape (rows, columns, 2)."""
    pieces: dict[int, NDArray[np.int64]]
    """Counts of each piece of tissue by its number."""
    excluded_px: int
    """Pixels of tissue that the user's regions took out."""


def counted_tiles(
    slide: Slide,
    grid: AnalysisGrid,
    outline: Outline,
    table: ColourTable,
    mask: SlideMask,
    *,
    shift: ChannelShift,
    tile_px: int,
    threads: int,
) -> Iterator[TileCounts]:
    """Classify and count the slide, and fill its mask.

    Args:
        slide: the open slide.
        grid: its analysis grid.
        outline: the tissue.
        table: the slide's colour classes (lookup.compile_table).
        mask: an empty mask of the grid's size, filled here.
        shift: the slide's colour fringes, taken out.
        tile_px: longest edge of a tile; rounded up to whole tiles of the mask, and smaller where
            many source pixels make an analysis pixel or the slide is small.
        threads: tiles in work at the same time.
    """
    edge = _tile_edge(grid, tile_px, threads)
    panel = max(1, int(_PANEL_SOURCE_PX / (grid.factor * grid.ratio)) // edge) * edge

    def work(box: Box) -> TileCounts:
        return _count_tile(slide, grid, outline, _Rule(table, shift), mask, box)

    yield from in_threads(work, _boxes(grid, edge, panel), threads)


def _tile_edge(grid: AnalysisGrid, tile_px: int, threads: int) -> int:
    """Edge of a tile: twice as long where even so each thread gets many.

    The threads wait less for each other then.
    """
    step = grid.factor * grid.ratio
    source_px = 2 * _TILE_SOURCE_PX
    tiles = (grid.width_px * step / source_px) * (grid.height_px * step / source_px)
    if tiles < _TILES_A_THREAD * thread_count(threads):
        source_px = _TILE_SOURCE_PX
    return _TILE_STEP * min(-(-tile_px // _TILE_STEP), max(1, int(source_px / step) // _TILE_STEP))


def _boxes(grid: AnalysisGrid, edge: int, panel: int) -> Iterator[Box]:
    """Tiles row by row in panels as high as the slide: neighbours follow each other closely."""
    for start in range(0, grid.width_px, panel):
        for top in range(0, grid.height_px, edge):
            for left in range(start, min(start + panel, grid.width_px), edge):
                size = min(edge, grid.width_px - left), min(edge, grid.height_px - top)
                yield Box(left, top, *size)


@dataclass(frozen=True)
class _Rule:
    """How pixels are told: the colours' classes, and the fringes to take out before."""

    table: ColourTable
    shift: ChannelShift


def _count_tile(
    slide: Slide,
    grid: AnalysisGrid,
    outline: Outline,
    rule: _Rule,
    mask: SlideMask,
    box: Box,
) -> TileCounts:
    shape = (-(-box.height // SQUARE_PX), -(-box.width // SQUARE_PX), 2)
    numbers = outline.numbers(box)
    if not numbers.any():
        return TileCounts(box, np.zeros(shape, np.int64), {}, 0)
    block = raw_block(slide, grid, box.x, box.y, box.width, box.height)
    codes = block_classes(block, rule.table, grid.mpp_um, rule.shift)
    pieces = None if len(numbers) == 1 else outline.pieces(box)
    kept = outline.kept(box)
    excluded_px = 0
    inside = None if pieces is None else pieces > 0  # None: all of the tile
    if kept is not None:
        inside = np.ones(codes.shape, dtype=bool) if inside is None else inside
        excluded_px = int(np.count_nonzero(inside & ~kept))
        inside &= kept
    if inside is not None:
        codes[~inside] = WHITE
    mask.put(box.x, box.y, cv2.LUT(codes, _MASK_VALUES))
    squares = np.stack(
        [_count_squares(codes >= code, shape[0], shape[1]) for code in (TISSUE, COLLAGEN)], axis=2
    )
    present = numbers[numbers > 0]
    if len(present) == 1:
        tissue, collagen = squares.sum(axis=(0, 1))
        lenient, strict = (
            np.count_nonzero(codes >= code) for code in (COLLAGEN_LENIENT, COLLAGEN_STRICT)
        )
        inside_px = codes.size if inside is None else np.count_nonzero(inside)
        by_piece = {int(present[0]): np.array([inside_px, tissue, lenient, collagen, strict])}
    else:
        assert pieces is not None
        assert inside is not None
        by_piece = _count_pieces(pieces, inside, codes, present)
    return TileCounts(box, squares, by_piece, excluded_px)


def _count_squares(plane: NDArray[np.bool_], rows: int, columns: int) -> NDArray[np.int64]:
    """Set pixels in each square."""
    bits = np.packbits(plane, axis=1)  # eight pixels to a byte
    if plane.shape == (rows * SQUARE_PX, columns * SQUARE_PX):
        words = bits
    else:
        words = np.zeros((rows * SQUARE_PX, columns * SQUARE_PX // 8), dtype=np.uint8)
        words[: bits.shape[0], : bits.shape[1]] = bits
    counts = np.bitwise_count(words.reshape(-1).view(np.uint64)).reshape(rows, SQUARE_PX, columns)
    return np.asarray(np.add.reduce(counts, axis=1, dtype=np.uint16).astype(np.int64))


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
