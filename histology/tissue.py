"""What is tissue: the one owner of that question, pure, on an overview of the slide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .artefacts import find_artefacts, is_ink_piece
from .stains import StainDefinition

#: Holes up to this area belong to the tissue's outline (and are then taken out again as lumens);
#: larger ones are tears or the space between cores.
LARGEST_HOLE_MM2 = 0.1
#: Pieces smaller than this are debris.
SMALLEST_PIECE_MM2 = 0.01
#: Gaps narrower than this inside tissue (sinusoids, cracks) do not split it.
CLOSING_UM = 14.0


def estimate_white(rgb: NDArray[np.uint8]) -> tuple[tuple[float, float, float], bool]:
    """Colour of empty glass on an overview, and whether any was seen.

    Glass is neutral, smooth, and as bright as anything on the slide. A field that is tissue from
    edge to edge shows none; (255, 255, 255) is returned then.
    """
    smooth = cv2.blur(rgb, (3, 3)).astype(np.float32)
    brightness = smooth.mean(axis=2)
    spread = smooth.max(axis=2) - smooth.min(axis=2)
    rough = cv2.morphologyEx(rgb[..., 1], cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    top = float(np.percentile(brightness, 99.5))
    glass = (brightness > 0.88 * top) & (spread < 0.10 * top) & (rough < 14) & (top > 60)
    if glass.mean() < 0.003:
        return (255.0, 255.0, 255.0), False
    red, green, blue = np.median(smooth[glass], axis=0)
    return (float(red), float(green), float(blue)), True


@dataclass(frozen=True)
class TissueOutline:
    """Where tissue is on an overview, and what was taken for something else.

    Attributes:
        tissue: small lumens and gaps included; bool, shape (height, width).
        pen: coloured ink.
        coverslip_and_dirt: grey marks: coverslip edges, dirt, black ink.
    """

    tissue: NDArray[np.bool_]
    pen: NDArray[np.bool_]
    coverslip_and_dirt: NDArray[np.bool_]


def outline_tissue(
    rgb: NDArray[np.uint8],
    white_rgb: tuple[float, float, float],
    definition: StainDefinition,
    mpp_um: float,
) -> TissueOutline:
    """The tissue's outline on an overview.

    Args:
        rgb: overview, shape (height, width, 3).
        white_rgb: colour of empty glass.
        definition: the declared stain.
        mpp_um: pixel size of the overview, um.
    """
    white = np.asarray(white_rgb, dtype=np.float32)
    smooth = cv2.GaussianBlur(rgb, (0, 0), 1.0).astype(np.float32)
    depth = (white - smooth).max(axis=2)
    border = _border_depth(depth)
    marks = find_artefacts(rgb, white_rgb, definition, mpp_um=mpp_um, darker=border)
    foreign = marks.grey | marks.ink
    mask = ((depth > border) & ~foreign).astype(np.uint8)
    size = max(1, round(CLOSING_UM / mpp_um / 2))
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * size + 1, 2 * size + 1))
    padded = cv2.copyMakeBorder(mask, size, size, size, size, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disk)[size:-size, size:-size]
    pixel_mm2 = (mpp_um / 1000.0) ** 2
    kept = drop_small(closed.astype(bool), SMALLEST_PIECE_MM2 / pixel_mm2)
    filled = ~drop_small(~kept, LARGEST_HOLE_MM2 / pixel_mm2, keep_at_edge=True)
    tissue, ink = _without_ink_pieces(filled & ~foreign, rgb, white_rgb, definition)
    tissue = drop_small(tissue, SMALLEST_PIECE_MM2 / pixel_mm2)
    return TissueOutline(tissue, marks.ink | ink, marks.grey)


def _without_ink_pieces(
    tissue: NDArray[np.bool_],
    rgb: NDArray[np.uint8],
    white_rgb: tuple[float, float, float],
    definition: StainDefinition,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pieces that are ink taken out, unless nothing else is there: a field may be all scar."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        tissue.astype(np.uint8), connectivity=8
    )
    ink_labels = []
    for label in range(1, count):
        x, y, width, height = stats[label, :4]
        box = (slice(y, y + height), slice(x, x + width))
        if is_ink_piece(rgb[box], labels[box] == label, white_rgb, definition):
            ink_labels.append(label)
    if not ink_labels or len(ink_labels) == count - 1:
        return tissue, np.zeros_like(tissue)
    ink = np.isin(labels, ink_labels)
    return tissue & ~ink, ink


def drop_small(
    mask: NDArray[np.bool_], smallest_px: float, *, keep_at_edge: bool = False
) -> NDArray[np.bool_]:
    """``mask`` without its connected pieces of fewer than ``smallest_px`` pixels (8-connected)."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8
    )
    keep = stats[:, cv2.CC_STAT_AREA] >= smallest_px
    if keep_at_edge and mask.size:
        height, width = mask.shape
        at_edge = (
            (stats[:, cv2.CC_STAT_LEFT] == 0)
            | (stats[:, cv2.CC_STAT_TOP] == 0)
            | (stats[:, cv2.CC_STAT_LEFT] + stats[:, cv2.CC_STAT_WIDTH] == width)
            | (stats[:, cv2.CC_STAT_TOP] + stats[:, cv2.CC_STAT_HEIGHT] == height)
        )
        keep |= at_edge
    keep[0] = False
    assert count == len(keep)
    return np.asarray(keep[labels])


def _border_depth(depth: NDArray[Any]) -> float:
    """Where tissue begins on the scale of distance from white: above the glass's own noise."""
    glass = depth[depth < 20]
    noise = float(np.percentile(np.abs(glass), 90)) if glass.size else 0.0
    return float(np.clip(2.5 * noise, 8.0, 16.0))
