"""The analysis grid: one fixed pixel size for every slide, whatever levels its pyramid has.

A grid pixel is the mean of a whole number of source pixels. Where the pyramid's pixel size does
not divide the wanted one within :data:`RATIO_TOLERANCE`, the means are interpolated at positions
computed once for the whole slide in fixed point, so that a pixel does not depend on the region it
was read with: any tile size gives the same pixels, to the bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..slide import RgbImage, Slide

#: How far the analysis pixel may differ from the configured one before it is interpolated.
RATIO_TOLERANCE = 0.02
_FRACTION_BITS = 5  # cv2.remap's fixed point: 1/32 pixel
_ROWS_AT_ONCE_PX = 4096  # source rows of a region read in one go, to bound memory
#: The overview has at least this many pixels where the slide has them, so that a small field is
#: outlined as finely as a large one needs it.
_OVERVIEW_LEAST_PX = 500_000
#: Beyond this the overview is made coarser, so that memory does not grow with the slide: tissue on
#: a slide of 25 cm2 is outlined in pixels of 16 um.
_OVERVIEW_MOST_PX = 10_000_000
#: The finest pixel that little tissue is analysed in, um. An objective of aperture 0.75 resolves
#: 0.45 um in green light, and two pixels of that distance show all there is.
FINEST_UM = 0.25


@dataclass(frozen=True)
class AnalysisGrid:
    """How analysis pixels lie on a slide."""

    level: int
    """The level that is read, the coarsest that is not coarser than the wanted pixel."""
    factor: int
    """Source pixels averaged along each side."""
    ratio: float
    """Distance of two analysis pixels in averaged pixels; 1 means no interpolation."""
    width_px: int
    """Analysis pixels along x."""
    height_px: int
    """Analysis pixels along y."""
    mpp_um: float
    """The analysis pixel in um."""

    @property
    def pixel_mm2(self) -> float:
        """Area of an analysis pixel, mm2."""
        return (self.mpp_um / 1000.0) ** 2


def plan_grid(slide: Slide, mpp_um: float) -> AnalysisGrid:
    """The grid on which ``slide`` is analysed at ``mpp_um``.

    A slide coarser than ``mpp_um`` is analysed at its own pixel size: nothing is made up.
    """
    wanted = mpp_um * (1 + RATIO_TOLERANCE)
    level = max(
        (i for i in range(len(slide.levels)) if slide.level_mpp_um(i) <= wanted),
        key=slide.level_mpp_um,
        default=0,
    )
    level_mpp = slide.level_mpp_um(level)
    exact = mpp_um / level_mpp
    if exact <= 1 + RATIO_TOLERANCE:
        factor, ratio = 1, 1.0
    else:
        factor = round(exact)
        ratio = 1.0
        if abs(factor / exact - 1) > RATIO_TOLERANCE:
            factor = math.floor(exact)
            ratio = exact / factor
    bounds = slide.levels[level]
    step = factor * ratio
    width = max(1, math.floor(bounds.width_px / step + 1e-6))
    height = max(1, math.floor(bounds.height_px / step + 1e-6))
    return AnalysisGrid(level, factor, ratio, width, height, level_mpp * step)


def pixel_for_um(slide: Slide, mpp_um: float, area_mm2: float, least_px: int) -> float:
    """The pixel in which ``area_mm2`` of tissue is analysed, um: finer where that is little.

    Its side shrinks in proportion to the area, so that nothing jumps at ``least_px``; down to
    about :data:`FINEST_UM` or the slide's own pixel, and always a whole number of its own pixels:
    interpolation would blur what the finer pixel is to show.

    Args:
        slide: the open slide.
        mpp_um: the usual analysis pixel.
        area_mm2: outlined tissue, lumens included.
        least_px: with at least so many usual pixels nothing changes; 0 for never.
    """
    pixels = area_mm2 * 1e6 / mpp_um**2
    if pixels >= least_px:
        return mpp_um
    wanted = max(mpp_um * pixels / least_px, FINEST_UM)
    own = slide.level_mpp_um(0)
    return min(mpp_um, own * max(1, math.floor(wanted * (1 + RATIO_TOLERANCE) / own)))


def plan_overview(slide: Slide, analysis_mpp_um: float, mpp: float) -> AnalysisGrid:
    """The coarse grid on which tissue is outlined, about ``mpp`` um a pixel."""
    while True:
        grid = plan_grid(slide, mpp)
        pixels = grid.width_px * grid.height_px
        if pixels > _OVERVIEW_MOST_PX:
            return plan_grid(slide, mpp * float(np.sqrt(pixels / _OVERVIEW_MOST_PX)))
        if pixels >= _OVERVIEW_LEAST_PX or mpp <= analysis_mpp_um:
            return grid
        mpp /= 2


def read_block(
    slide: Slide, grid: AnalysisGrid, x: int, y: int, width: int, height: int
) -> RgbImage:
    """Analysis pixels of a block; beyond the slide's edge the picture is mirrored.

    Args:
        slide: the open slide.
        grid: its grid.
        x: left column in analysis pixels; may be negative (a filter's margin).
        y: top row.
        width: columns.
        height: rows.

    Returns:
        RGB uint8, shape (height, width, 3).
    """
    x0, x1 = max(x, 0), min(x + width, grid.width_px)
    y0, y1 = max(y, 0), min(y + height, grid.height_px)
    if grid.ratio == 1.0:
        inside = _averaged(slide, grid, x0, y0, x1 - x0, y1 - y0)
    else:
        inside = _interpolated(slide, grid, x0, y0, x1 - x0, y1 - y0)
    left, right, top, bottom = x0 - x, x + width - x1, y0 - y, y + height - y1
    if left or right or top or bottom:
        # a margin wider than the whole slide cannot be mirrored; its edge is repeated
        fits = max(left, right) < inside.shape[1] and max(top, bottom) < inside.shape[0]
        border = cv2.BORDER_REFLECT_101 if fits else cv2.BORDER_REPLICATE
        inside = cv2.copyMakeBorder(inside, top, bottom, left, right, border)
    return np.asarray(inside, dtype=np.uint8)


def _averaged(
    slide: Slide, grid: AnalysisGrid, x: int, y: int, width: int, height: int
) -> RgbImage:
    """Means of ``factor`` x ``factor`` source pixels, in bands: memory stays bounded."""
    factor = grid.factor
    if factor == 1:
        return slide.read_region(grid.level, x, y, width, height)
    out = np.empty((height, width, 3), dtype=np.uint8)
    bounds = slide.levels[grid.level]
    band = max(1, _ROWS_AT_ONCE_PX // factor)
    for top in range(0, height, band):
        rows = min(band, height - top)
        source_w = min(width * factor, bounds.width_px - x * factor)
        source_h = min(rows * factor, bounds.height_px - (y + top) * factor)
        source = slide.read_region(grid.level, x * factor, (y + top) * factor, source_w, source_h)
        out[top : top + rows] = _box_mean(source, factor, width, rows)
    return out


def _box_mean(source: RgbImage, factor: int, width: int, height: int) -> RgbImage:
    missing_x, missing_y = width * factor - source.shape[1], height * factor - source.shape[0]
    if missing_x > 0 or missing_y > 0:
        source = cv2.copyMakeBorder(
            source, 0, max(missing_y, 0), 0, max(missing_x, 0), cv2.BORDER_REPLICATE
        )
    # for a whole factor INTER_AREA is the plain rounded mean of each box
    return np.asarray(cv2.resize(source, (width, height), interpolation=cv2.INTER_AREA))


def _interpolated(
    slide: Slide, grid: AnalysisGrid, x: int, y: int, width: int, height: int
) -> RgbImage:
    bounds = slide.levels[grid.level]
    limit_x, limit_y = bounds.width_px // grid.factor, bounds.height_px // grid.factor
    whole_x, part_x = _fixed_positions(x, width, grid.ratio, limit_x)
    whole_y, part_y = _fixed_positions(y, height, grid.ratio, limit_y)
    left, top = int(whole_x[0]), int(whole_y[0])
    right, bottom = min(int(whole_x[-1]) + 2, limit_x), min(int(whole_y[-1]) + 2, limit_y)
    source = _averaged(slide, grid, left, top, right - left, bottom - top)
    points = np.empty((height, width, 2), dtype=np.int16)
    points[..., 0] = (whole_x - left)[None, :]
    points[..., 1] = (whole_y - top)[:, None]
    parts = (part_y[:, None] * (1 << _FRACTION_BITS) + part_x[None, :]).astype(np.uint16)
    return np.asarray(
        cv2.remap(source, points, parts, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )


def _fixed_positions(
    start: int, count: int, ratio: float, limit: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whole and fractional source positions of analysis pixels, in 1/32 averaged pixels."""
    centres = (np.arange(start, start + count, dtype=np.float64) + 0.5) * ratio - 0.5
    fixed = np.rint(np.clip(centres, 0, limit - 1) * (1 << _FRACTION_BITS)).astype(np.int64)
    return fixed >> _FRACTION_BITS, fixed & ((1 << _FRACTION_BITS) - 1)
