"""Walking over a slide strip by strip: decode, smooth, classify, in bounded memory.

Tiles only divide the work. Each is read with a margin as wide as the smoothing, on the fixed grid
of grid.py, so the classes of a pixel do not depend on the tile it fell in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .focus import detail_ratio
from .grid import AnalysisGrid, read_block
from .regions import Region
from .slide import RgbImage, Slide
from .stains import CUBE_BITS, WHITE, classify, colour_histogram

#: Edge of the squares in which pixels are counted, analysis pixels.
SQUARE_PX = 64
#: Edge of the samples from which the slide's colours are estimated, and their greatest number.
SAMPLE_PX, SAMPLE_LIMIT = 256, 192
_MARGIN_PX = 2
#: A pixel with its darkest channel above this is white or nearly so: clipping there loses nothing.
_TINTED_BELOW = 200


def thread_count(threads: int) -> int:
    """The number of worker threads for a setting; 0 = one per CPU core, at most 8."""
    return threads if threads > 0 else max(1, min(8, os.cpu_count() or 1))


def smooth(rgb: RgbImage) -> RgbImage:
    """Take single-pixel noise (JPEG chroma blocks, sensor) out before a pixel's hue is read."""
    return np.asarray(cv2.GaussianBlur(rgb, (3, 3), 0.8), dtype=np.uint8)


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

    def rows(self, start: int, stop: int) -> NDArray[np.int32]:
        """Piece of each analysis pixel in rows ``start`` to ``stop``, excluded ones included."""
        row = _nearest(start, stop, self.size_px[1], self.labels.shape[0])
        column = _nearest(0, self.size_px[0], self.size_px[0], self.labels.shape[1])
        return np.asarray(self.labels[row][:, column])

    def kept_rows(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Which analysis pixels the user's regions leave in, for rows ``start`` to ``stop``."""
        kept = np.ones((stop - start, self.size_px[0]), dtype=bool)
        if self.include is not None:
            kept &= self.include.rows(start, stop, self.size_px)
        if self.exclude is not None:
            kept &= ~self.exclude.rows(start, stop, self.size_px)
        return kept


def _nearest(start: int, stop: int, size: int, overview: int) -> NDArray[np.int64]:
    return ((2 * np.arange(start, stop) + 1) * overview // (2 * size)).astype(np.int64)


def read_overview(slide: Slide, grid: AnalysisGrid) -> RgbImage:
    """The whole slide on a coarse grid, read in bands."""
    out = np.empty((grid.height_px, grid.width_px, 3), dtype=np.uint8)
    band = max(1, 2048 // grid.factor)
    for top in range(0, grid.height_px, band):
        rows = min(band, grid.height_px - top)
        out[top : top + rows] = read_block(slide, grid, 0, top, grid.width_px, rows)
    return out


@dataclass(frozen=True)
class Samples:
    """What samples spread over the tissue tell about the slide.

    Attributes:
        counts: colour histogram (stains.colour_histogram).
        detail: focus.detail_ratio of the judged squares.
        clipped_part: part of the coloured pixels with a channel at its upper end.
    """

    counts: NDArray[np.int64]
    detail: NDArray[np.float64]
    clipped_part: float


def sample_tissue(slide: Slide, grid: AnalysisGrid, outline: Outline) -> Samples:
    """Look at samples of the tissue on their own fixed lattice, whatever the tile size."""
    counts = np.zeros(1 << (3 * CUBE_BITS), dtype=np.int64)
    detail, clipped, coloured = [], 0, 0
    for left, top in _sample_places(grid, outline):
        width = min(SAMPLE_PX, grid.width_px - left)
        height = min(SAMPLE_PX, grid.height_px - top)
        rgb = _raw_block(slide, grid, left, top, width, height)
        inside = outline.rows(top, top + height)[:, left : left + width] > 0
        inside &= outline.kept_rows(top, top + height)[:, left : left + width]
        m = _MARGIN_PX
        counts += colour_histogram(smooth(rgb)[m : m + height, m : m + width], inside)
        rgb = rgb[m : m + height, m : m + width]
        detail.append(detail_ratio(rgb, inside))
        tinted = inside & (rgb.min(axis=2) < _TINTED_BELOW)
        coloured += int(np.count_nonzero(tinted))
        clipped += int(np.count_nonzero(tinted & (rgb.max(axis=2) == 255)))
    return Samples(
        counts,
        np.concatenate(detail) if detail else np.zeros(0),
        clipped / coloured if coloured else 0.0,
    )


def _sample_places(grid: AnalysisGrid, outline: Outline) -> list[tuple[int, int]]:
    """Left and top of the samples, evenly spread over those with tissue."""
    places: list[tuple[int, int]] = []
    for top in range(0, grid.height_px, SAMPLE_PX):
        stop = min(top + SAMPLE_PX, grid.height_px)
        inside = (outline.rows(top, stop) > 0) & outline.kept_rows(top, stop)
        places += [
            (left, top)
            for left in range(0, grid.width_px, SAMPLE_PX)
            if inside[:, left : left + SAMPLE_PX].any()
        ]
    if len(places) > SAMPLE_LIMIT:
        picks = np.linspace(0, len(places) - 1, SAMPLE_LIMIT).round().astype(int)
        places = [places[i] for i in picks]
    return places


@dataclass(frozen=True)
class Strip:
    """Classified rows of the slide.

    Attributes:
        top: first row.
        classes: class of each pixel (stains.py); WHITE outside the outline.
        pieces: number of the piece of tissue, 0 outside.
        kept: whether the user's regions leave the pixel in.
    """

    top: int
    classes: NDArray[np.uint8]
    pieces: NDArray[np.int32]
    kept: NDArray[np.bool_]


def classified_strips(
    slide: Slide,
    grid: AnalysisGrid,
    outline: Outline,
    table: NDArray[np.uint8],
    *,
    tile_px: int,
    threads: int,
) -> Iterator[Strip]:
    """Classify the slide from the top, ``tile_px`` rows at a time."""
    with ThreadPoolExecutor(thread_count(threads)) as pool:
        for top in range(0, grid.height_px, tile_px):
            rows = min(tile_px, grid.height_px - top)
            pieces = outline.rows(top, top + rows)
            kept = outline.kept_rows(top, top + rows)
            classes = np.full(pieces.shape, WHITE, dtype=np.uint8)
            tiles = [
                (left, min(tile_px, grid.width_px - left))
                for left in range(0, grid.width_px, tile_px)
            ]
            wanted = [t for t in tiles if (pieces[:, t[0] : t[0] + t[1]] > 0).any()]

            def work(tile: tuple[int, int], top: int = top, rows: int = rows) -> NDArray[np.uint8]:
                return classify(_smooth_block(slide, grid, tile[0], top, tile[1], rows), table)

            for (left, width), found in zip(wanted, pool.map(work, wanted), strict=True):
                classes[:, left : left + width] = found
            classes[pieces == 0] = WHITE
            yield Strip(top, classes, pieces, kept)


def _smooth_block(
    slide: Slide, grid: AnalysisGrid, x: int, y: int, width: int, height: int
) -> RgbImage:
    m = _MARGIN_PX
    return smooth(_raw_block(slide, grid, x, y, width, height))[m : m + height, m : m + width]


def _raw_block(
    slide: Slide, grid: AnalysisGrid, x: int, y: int, width: int, height: int
) -> RgbImage:
    """A block with the margin that smoothing needs, on all four sides."""
    m = _MARGIN_PX
    return read_block(slide, grid, x - m, y - m, width + 2 * m, height + 2 * m)
