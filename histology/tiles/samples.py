"""Samples spread over the tissue: the slide's colours, its sharpness, its exposure.

They lie on their own fixed lattice, so the size of the tiles does not touch them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..colour.channels import NO_SHIFT, ChannelShift, channel_shift, settle_shift
from ..colour.hue import CUBE_BITS, colour_histogram
from ..slide import Slide
from .focus import detail_ratio
from .grid import AnalysisGrid, read_block
from .threads import in_threads
from .tiles import Box, Outline, smooth

#: Edge of a sample in analysis pixels, and the greatest number of samples.
SAMPLE_PX, SAMPLE_LIMIT = 256, 96
#: Samples in which colour fringes are measured at most, and their least side: with fewer pixels the
#: place of a peak is chance.
SHIFT_SAMPLES, _LEAST_SHIFT_PX = 24, 64
#: Focus is judged in pixels of about this size, finer ones averaged: the finest detail that a lens
#: resolves is soft in pixels of 0.25 um.
_FOCUS_UM = 1.0
#: A pixel with its darkest channel above this is white or nearly so: clipping there loses nothing.
_TINTED_BELOW = 200


@dataclass(frozen=True)
class Samples:
    """What samples spread over the tissue tell about the slide."""

    counts: NDArray[np.int64]
    """Colour histogram (stains.colour_histogram)."""
    detail: NDArray[np.float64]
    """Focus.detail_ratio of the judged squares."""
    coloured_px: int
    """Tissue pixels that are not nearly white."""
    clipped_px: int
    """Those of them with a channel at its upper end."""
    shift: ChannelShift = NO_SHIFT
    """The slide's colour fringes, analysis pixels."""

    @property
    def clipped_part(self) -> float:
        """Part of the coloured pixels with a channel at its upper end."""
        return self.clipped_px / self.coloured_px if self.coloured_px else 0.0


def sample_tissue(slide: Slide, grid: AnalysisGrid, outline: Outline, threads: int = 0) -> Samples:
    """Look at up to :data:`SAMPLE_LIMIT` samples, evenly spread over the tissue."""
    boxes = _sample_boxes(grid, outline)
    shift = _find_shift(slide, grid, boxes, threads)

    def look(box: Box) -> Samples:
        return _sample(slide, grid, outline, box, shift)

    counts = np.zeros(1 << (3 * CUBE_BITS), dtype=np.int64)
    detail, clipped, coloured = [np.zeros(0)], 0, 0
    for seen in in_threads(look, boxes, threads):
        counts += seen.counts
        detail.append(seen.detail)
        coloured += seen.coloured_px
        clipped += seen.clipped_px
    return Samples(counts, np.concatenate(detail), coloured, clipped, shift)


def _find_shift(slide: Slide, grid: AnalysisGrid, boxes: list[Box], threads: int) -> ChannelShift:
    """Colour fringes from a few of the samples: they are the same all over a slide."""
    large = [box for box in boxes if min(box.width, box.height) >= _LEAST_SHIFT_PX]
    few = large[:: max(1, len(large) // SHIFT_SAMPLES)][:SHIFT_SAMPLES]

    def look(box: Box) -> NDArray[np.float64]:
        return channel_shift(read_block(slide, grid, box.x, box.y, box.width, box.height))

    return settle_shift(list(in_threads(look, few, threads)))


def _sample(
    slide: Slide, grid: AnalysisGrid, outline: Outline, box: Box, shift: ChannelShift
) -> Samples:
    # without a margin: what the smoothing mirrors at its edges has the same colours
    rgb = read_block(slide, grid, box.x, box.y, box.width, box.height)
    inside = outline.pieces(box) > 0
    kept = outline.kept(box)
    if kept is not None:
        inside &= kept
    red, green, blue = cv2.split(rgb)
    step = max(1, round(_FOCUS_UM / grid.mpp_um))
    tinted = inside & (cv2.min(cv2.min(red, green), blue) < _TINTED_BELOW)
    clipped = tinted & (cv2.max(cv2.max(red, green), blue) == 255)
    return Samples(
        counts=colour_histogram(smooth(rgb, grid.mpp_um, shift), inside),
        detail=detail_ratio(_every(rgb, step), _every(inside.view(np.uint8), step) > 0),
        coloured_px=int(np.count_nonzero(tinted)),
        clipped_px=int(np.count_nonzero(clipped)),
    )


def _every(picture: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Means of ``step`` x ``step`` pixels."""
    if step == 1:
        return picture
    size = max(1, picture.shape[1] // step), max(1, picture.shape[0] // step)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _sample_boxes(grid: AnalysisGrid, outline: Outline) -> list[Box]:
    boxes = [
        Box(
            left,
            top,
            min(SAMPLE_PX, grid.width_px - left),
            min(SAMPLE_PX, grid.height_px - top),
        )
        for top in range(0, grid.height_px, SAMPLE_PX)
        for left in range(0, grid.width_px, SAMPLE_PX)
    ]
    boxes = [box for box in boxes if outline.numbers(box).any()]
    if outline.include is not None or outline.exclude is not None:
        boxes = [box for box in boxes if np.any(outline.kept(box))]
    if len(boxes) > SAMPLE_LIMIT:
        picks = np.linspace(0, len(boxes) - 1, SAMPLE_LIMIT).round().astype(int)
        boxes = [boxes[i] for i in picks]
    return boxes
