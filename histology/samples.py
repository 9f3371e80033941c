"""Samples spread over the tissue: the slide's colours, its sharpness, its exposure.

They lie on their own fixed lattice, so the size of the tiles does not touch them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .focus import detail_ratio
from .grid import AnalysisGrid
from .slide import Slide
from .stains import CUBE_BITS, colour_histogram
from .tiles import Box, Outline, inner, raw_block, smooth

#: Edge of a sample in analysis pixels, and the greatest number of samples.
SAMPLE_PX, SAMPLE_LIMIT = 256, 96
#: A pixel with its darkest channel above this is white or nearly so: clipping there loses nothing.
_TINTED_BELOW = 200


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
    """Look at up to :data:`SAMPLE_LIMIT` samples, evenly spread over the tissue."""
    counts = np.zeros(1 << (3 * CUBE_BITS), dtype=np.int64)
    detail, clipped, coloured = [np.zeros(0)], 0, 0
    for box in _sample_boxes(grid, outline):
        block = raw_block(slide, grid, box.x, box.y, box.width, box.height)
        inside = outline.pieces(box) > 0
        kept = outline.kept(box)
        if kept is not None:
            inside &= kept
        counts += colour_histogram(inner(smooth(block)), inside)
        rgb = inner(block)
        detail.append(detail_ratio(rgb, inside))
        red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
        tinted = inside & (np.minimum(np.minimum(red, green), blue) < _TINTED_BELOW)
        coloured += int(np.count_nonzero(tinted))
        clipped += int(np.count_nonzero(tinted & (np.maximum(np.maximum(red, green), blue) == 255)))
    return Samples(counts, np.concatenate(detail), clipped / coloured if coloured else 0.0)


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
