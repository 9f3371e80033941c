"""Find the tissue on an overview of the slide; the only place that decides what tissue is. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..colour.glass import Glass
from ..colour.stains import StainDefinition
from .artefacts import MarkRules, find_artefacts, ink_pieces, lone_strokes
from .bands import blurred, by_label, label_parts
from .burnt_in import burnt_in
from .marks import around, disk
from .red_ink import find_red_ink
from .white import percentile

#: Holes up to this area belong to the tissue's outline (and are then taken out again as lumens);
#: larger ones are tears or the space between cores.
LARGEST_HOLE_MM2 = 0.1
#: Pieces smaller than this are debris; on a small field those under this part of the field.
SMALLEST_PIECE_MM2, _SMALLEST_PIECE_PART = 0.01, 0.02
#: Gaps narrower than this inside tissue (sinusoids, cracks) do not split it.
CLOSING_UM = 14.0
#: Ink is inside tissue that closes over gaps of twice this width.
_CLOSED_UM = 60.0
#: More ink, and more grey marks, inside the tissue than this are another stain's fibres.
_INK_INSIDE, _GREY_INSIDE = 0.03, 0.05
#: Where zero lies on the 8-bit scale of distance from white.
_DEPTH_ZERO = 32


@dataclass(frozen=True)
class TissueOutline:
    """Where tissue is on an overview, and what was taken for something else."""

    tissue: NDArray[np.bool_]
    """Small lumens and gaps included; bool, shape (height, width)."""
    pen: NDArray[np.bool_]
    """Coloured ink."""
    coverslip_and_dirt: NDArray[np.bool_]
    """Grey marks: coverslip edges, dirt, black ink."""
    debris: NDArray[np.bool_]
    """Pieces smaller than :data:`SMALLEST_PIECE_MM2`."""
    doubtful: NDArray[np.bool_]
    """Tissue that may be pen of collagen's colour."""
    another_stain: bool = False
    """Whether so much ink, or so many grey marks, have tissue around them that they are fibres of
    another stain: black ones are such "dirt".
    """


def outline_tissue(
    rgb: NDArray[np.uint8],
    glass: Glass,
    definition: StainDefinition,
    mpp_um: float,
) -> TissueOutline:
    """The tissue's outline on an overview.

    Args:
        rgb: overview, shape (height, width, 3).
        glass: empty glass.
        definition: the declared stain.
        mpp_um: pixel size of the overview, um.
    """
    depth = blurred(rgb, 1.0, lambda part: _depth(part, glass))
    border = _border_depth(depth)
    rules = MarkRules.of(glass, definition, border)
    marks = find_artefacts(rgb, rules, mpp_um)
    red_ink = find_red_ink(rgb, glass, definition, mpp_um=mpp_um, darker=border)
    drawn = burnt_in(rgb)
    pen = marks.ink | red_ink.found | drawn
    foreign = marks.grey | pen
    mask = ((depth > border + _DEPTH_ZERO) & ~foreign).astype(np.uint8)
    size = max(1, round(CLOSING_UM / mpp_um / 2))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * size + 1, 2 * size + 1))
    padded = cv2.copyMakeBorder(mask, size, size, size, size, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disk)[size:-size, size:-size]
    pixel_mm2 = (mpp_um / 1000.0) ** 2
    smallest_px = min(SMALLEST_PIECE_MM2 / pixel_mm2, _SMALLEST_PIECE_PART * mask.size)
    kept = drop_small(closed.astype(bool), smallest_px)
    filled = ~drop_small(~kept, LARGEST_HOLE_MM2 / pixel_mm2, keep_at_edge=True)
    tissue, ink = _without_ink_pieces(filled & ~foreign, rgb, rules)
    tissue = drop_small(tissue, smallest_px)
    debris = (mask > 0) & ~(tissue | ink)
    doubtful = lone_strokes(marks.seen, tissue, mpp_um) | (red_ink.doubtful & tissue)
    another_stain = _holds(tissue, pen & ~drawn, _INK_INSIDE, mpp_um)
    another_stain = another_stain or _holds(tissue, marks.grey, _GREY_INSIDE, mpp_um)
    return TissueOutline(tissue, pen | ink, marks.grey, debris, doubtful, another_stain)


def _holds(
    tissue: NDArray[np.bool_], marked: NDArray[np.bool_], part: float, mpp_um: float
) -> bool:
    """Whether marks that the tissue closes round are more than this part of the tissue."""
    tissue_px = np.count_nonzero(tissue)
    # to close the tissue takes long, and mostly there are too few marks wherever they lie
    if tissue_px == 0 or np.count_nonzero(marked) / tissue_px <= part:
        return False
    element = disk(_CLOSED_UM / mpp_um)
    # what decides about the marks: it is dilated, and eroded again
    box = around(marked, 2 * (len(element) // 2))
    closed = cv2.morphologyEx(tissue[box].view(np.uint8), cv2.MORPH_CLOSE, element)
    return bool(np.count_nonzero(marked[box] & (closed > 0)) / tissue_px > part)


def _without_ink_pieces(
    tissue: NDArray[np.bool_], rgb: NDArray[np.uint8], rules: MarkRules
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pieces that are ink taken out, unless nothing else is there: a field may be all scar."""
    labels, areas_px = label_parts(tissue)
    found = ink_pieces(rgb, labels, areas_px, rules)
    if not found.any() or found.sum() == len(areas_px) - 1:
        return tissue, np.zeros_like(tissue)
    ink = by_label(found, labels)
    return tissue & ~ink, ink


def drop_small(
    mask: NDArray[np.bool_], smallest_px: float, *, keep_at_edge: bool = False
) -> NDArray[np.bool_]:
    """``mask`` without its connected pieces of fewer than ``smallest_px`` pixels (8-connected)."""
    if not mask.any():
        return mask
    labels, areas_px = label_parts(mask)
    keep = areas_px >= smallest_px
    if keep_at_edge:
        for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            keep[edge] = True
    if keep[1:].all():
        return mask
    keep[0] = False
    return by_label(keep, labels)


def _depth(rgb: NDArray[np.uint8], glass: Glass) -> NDArray[np.uint8]:
    """Largest distance of a channel from the glass, plus :data:`_DEPTH_ZERO`."""
    values = np.arange(256, dtype=np.float32)[:, None]
    away = np.asarray(glass.rgb, dtype=np.float32) - values + _DEPTH_ZERO
    table = np.clip(np.rint(away), 0, 255).astype(np.uint8)
    red, green, blue = cv2.split(cv2.LUT(rgb, table[None]))
    return np.asarray(cv2.max(cv2.max(red, green), blue))


def _border_depth(depth: NDArray[np.uint8]) -> float:
    """Where tissue begins on the scale of distance from white: above the glass's own noise."""
    glass = depth[depth < 20 + _DEPTH_ZERO]
    distance = np.abs(glass.astype(np.int16) - _DEPTH_ZERO).astype(np.uint8)
    noise = percentile(distance, 90) if glass.size else 0.0
    return float(np.clip(2.5 * noise, 8.0, 16.0))
