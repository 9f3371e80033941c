"""What lies on a slide and is no tissue: pen, coverslip edges, dirt. Pure, on an overview.

Three signs. Tissue of a stained section has colour, so what is darker than glass without colour is
a coverslip edge, dirt or black ink; a hue that neither stain can have is coloured ink; and a piece
that is all collagen colour without any counterstain is ink of that colour (a red pen on
picrosirius red). Red ink is also known by a colour far stronger than all else on the slide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .bands import blurred, by_label, count_by_label
from .stains import (
    StainDefinition,
    classify,
    colour_table,
    depth_from_white,
    hue_and_chroma,
    within_a_turn,
    wrap_deg,
)

_AVERAGING_UM = 6.0
#: Ink spreads and the lens blurs it: this much round a mark goes with it.
_MARGIN_UM = 10.0
#: Marks smaller than this stay tissue: pigment, a nucleus cluster.
_SMALLEST_MM2 = 0.002
_GREY_CHROMA, _GREY_PART = 9.0, 0.12
_INK_CHROMA, _INK_MARGIN_DEG = 22.0, 5.0
_WRONG_STAIN_PART = 0.5
_MONO_SHARE, _MONO_CHROMA = 0.9, 60.0
# Red pen: its hue and how far it may be off, and from where on collagen is no longer red itself;
# least chroma, how much stronger than the slide's strong colours, how strong where it fades, and
# how far from a stroke faded ink is looked for.
_PEN_HUE_DEG, _PEN_REACH_DEG, _PEN_APART_DEG = -8.0, 30.0, 45.0
_PEN_CHROMA, _PEN_TIMES, _PEN_FADED, _PEN_NEAR_UM = 95.0, 1.5, 1.1, 400.0
# Small strokes of an ink that larger ones have shown: least area as part of theirs, step of hue,
# and part of the larger strokes' pixels that must lie within a step.
_SMALL_STROKE_PART, _SAME_INK_DEG, _SAME_INK_PART = 0.1, 12.0, 0.2
# A stroke of collagen's colour in glass: least chroma, width and area, how near glass must be, and
# the part of its edge that must be so near.
_LONE_CHROMA, _LONE_UM, _LONE_MM2, _LONE_NEAR_UM, _LONE_PART = 30.0, 50.0, 0.02, 40.0, 0.7
#: Bits of :class:`MarkRules`: no glass; grey; a hue the stain cannot have; strong collagen colour;
#: collagen colour.
DARK, GREY, INK, STRONG, COLLAGEN_COLOUR = 1, 2, 4, 8, 16


@dataclass(frozen=True)
class Artefacts:
    """What to leave out.

    Attributes:
        grey: coverslip edges, dirt, black ink; bool, the overview's shape.
        ink: coloured ink.
        seen: bits of :class:`MarkRules` of each pixel, averaged over a cell.
    """

    grey: NDArray[np.bool_]
    ink: NDArray[np.bool_]
    seen: NDArray[np.uint8]


@dataclass(frozen=True)
class MarkRules:
    """What a colour of the overview says about marks, as a table for stains.classify.

    Attributes:
        table: bits :data:`DARK`, :data:`GREY`, :data:`INK`, :data:`STRONG` and
            :data:`COLLAGEN_COLOUR` of each colour.
    """

    table: NDArray[np.uint8]

    @classmethod
    def of(
        cls,
        white_rgb: tuple[float, float, float],
        definition: StainDefinition,
        darker: float,
        threads: int = 1,
    ) -> MarkRules:
        """Compile the rules of a slide.

        Args:
            white_rgb: colour of empty glass.
            definition: the declared stain: hues that neither of its colours can have are ink.
            darker: distance from white (0 to 255) from which a pixel is no glass.
            threads: parts of the table that are made at the same time.
        """
        ends = [
            float(definition.position(end))
            for hues in (definition.counter_hue_deg, definition.collagen_hue_deg)
            for end in (hues.low, hues.high)
        ]
        believed = min(ends) - _INK_MARGIN_DEG, max(ends) + _INK_MARGIN_DEG
        typical = float(definition.position(definition.collagen_hue_deg.typical))
        white = np.asarray(white_rgb, dtype=np.float32)
        gain = np.clip(white.mean() / white, 0.8, 1.25)

        def rule(colours: NDArray[np.float32]) -> NDArray[np.uint8]:
            depth = depth_from_white(colours, white)
            hue, chroma = hue_and_chroma(colours * gain)
            place = definition.position(hue)
            dark = depth > darker
            grey = dark & (chroma < np.maximum(_GREY_CHROMA, _GREY_PART * depth))
            ink = dark & (chroma >= _INK_CHROMA)
            ink &= (place < believed[0]) | (place > believed[1])
            beyond = place >= definition.threshold_part * typical
            strong, own = (beyond & (chroma >= c) for c in (_MONO_CHROMA, _LONE_CHROMA))
            bits = DARK * dark + GREY * grey + INK * ink + STRONG * strong + COLLAGEN_COLOUR * own
            return np.asarray(bits, dtype=np.uint8)

        return cls(colour_table(rule, threads))


def find_red_ink(
    rgb: NDArray[np.uint8],
    white_rgb: tuple[float, float, float],
    definition: StainDefinition,
    *,
    mpp_um: float,
    darker: float,
    threads: int = 1,
) -> NDArray[np.bool_]:
    """Red pen, whose hue collagen or cytoplasm may have too: far stronger than all the rest.

    A stroke is sought that is wide and half as strong again as the slide's strong colours (their
    90th percentile); what is red and stronger than these close to it goes with it. Where collagen
    is red itself, only wide strokes count.

    Args:
        rgb: overview, shape (height, width, 3).
        white_rgb: colour of empty glass.
        definition: the declared stain.
        mpp_um: pixel size of the overview, um.
        darker: distance from white (0 to 255) from which a pixel is no glass.
        threads: parts of the table of colours that are made at the same time.
    """
    white = np.asarray(white_rgb, dtype=np.float32)
    gain = np.clip(white.mean() / white, 0.8, 1.25)
    away = abs(wrap_deg(definition.collagen_hue_deg.typical - _PEN_HUE_DEG))
    width_um, sigma_um = (50.0, 8.0) if away < _PEN_APART_DEG else (20.0, _AVERAGING_UM)

    def rule(colours: NDArray[np.float32]) -> NDArray[np.uint8]:
        hue, chroma = hue_and_chroma(colours * gain)
        red = np.abs(within_a_turn(hue - _PEN_HUE_DEG + 180.0) - 180.0) < _PEN_REACH_DEG
        half = np.minimum(chroma / 2, 127) * (depth_from_white(colours, white) > darker)
        return np.asarray(np.rint(half) + 128 * red, dtype=np.uint8)

    table = colour_table(rule, threads)
    seen = blurred(rgb, max(1.0, sigma_um / mpp_um), lambda part: classify(part, table))
    chroma, red = 2 * (seen & 127), seen >= 128
    if not chroma.any():
        return np.zeros(rgb.shape[:2], dtype=bool)
    usual = _strong_chroma(seen)
    seeds = (red & (chroma >= max(_PEN_CHROMA, _PEN_TIMES * usual))).astype(np.uint8)
    strokes = cv2.morphologyEx(seeds, cv2.MORPH_OPEN, _disk(width_um / 2 / mpp_um))
    if not strokes.any():
        return strokes > 0
    near = cv2.dilate(strokes, _disk(_PEN_NEAR_UM / mpp_um)) > 0
    return _grown(near & red & (chroma >= _PEN_FADED * usual), mpp_um)


def _strong_chroma(seen: NDArray[np.uint8]) -> float:
    """90th percentile of the chroma that is not zero; ``seen`` holds half of it in seven bits."""
    counts = cv2.calcHist([seen], [0], None, [256], [0, 256]).ravel().astype(np.int64)
    counts = counts[:128] + counts[128:]
    counts[0] = 0
    last = np.cumsum(counts)
    # numpy's percentile of the values, from their counts
    place = 0.9 * float(last[-1] - 1)
    low, high = (int(np.searchsorted(last, np.floor(place) + more, "right")) for more in (0, 1))
    return 2 * (low + (high - low) * (place - float(np.floor(place))))


def _disk(radius_px: float) -> NDArray[np.uint8]:
    size = 2 * max(1, round(radius_px)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)))


def find_artefacts(rgb: NDArray[np.uint8], rules: MarkRules, mpp_um: float) -> Artefacts:
    """Find grey marks and coloured ink.

    Args:
        rgb: overview, shape (height, width, 3).
        rules: from :meth:`MarkRules.of`.
        mpp_um: pixel size of the overview, um.
    """
    # both as it is and averaged over a cell: a nucleus is grey only by itself, a seam between red
    # and green only in the average
    marks = np.full(rgb.shape[:2], GREY | INK, dtype=np.uint8)
    for sigma_px in sorted({1.0, max(1.0, _AVERAGING_UM / mpp_um)}):
        seen = blurred(rgb, sigma_px, lambda part: classify(part, rules.table))
        marks &= seen
    grey, ink = marks & GREY, marks & INK
    if np.count_nonzero(ink) > _WRONG_STAIN_PART * np.count_nonzero(seen & DARK):
        # most of what is there is no pen: the slide has another stain, which the colours will show
        ink[:] = 0
    strokes = _large(ink, _SMALLEST_MM2, mpp_um)
    if strokes.any():
        strokes |= _same_ink(rgb, (ink > 0) & ~strokes, strokes, mpp_um)
    return Artefacts(_grown(grey > 0, mpp_um), _margin(strokes, mpp_um), seen)


def _same_ink(
    rgb: NDArray[np.uint8], small: NDArray[np.bool_], strokes: NDArray[np.bool_], mpp_um: float
) -> NDArray[np.bool_]:
    """Pieces of ink too small to be believed alone, of a hue that many pixels of strokes have."""
    turns = int(360 / _SAME_INK_DEG)
    of_strokes, of_small = (
        (hue_and_chroma(rgb[mask])[0] // _SAME_INK_DEG).astype(np.int64) % turns
        for mask in (strokes, small)
    )
    share = np.bincount(of_strokes, minlength=turns) / len(of_strokes)
    near = share + np.roll(share, 1) + np.roll(share, -1)
    alike = np.zeros_like(small)
    alike[small] = (near >= _SAME_INK_PART)[of_small]
    return _large(alike, _SMALL_STROKE_PART * _SMALLEST_MM2, mpp_um)


def lone_strokes(
    seen: NDArray[np.uint8], tissue: NDArray[np.bool_], mpp_um: float
) -> NDArray[np.bool_]:
    """Wide strokes of collagen's colour with glass on both sides: pen, or a strand torn off.

    The colour cannot tell them apart (green pen on a green trichrome, blue pen on Masson), so they
    are counted, and the slide is flagged.

    Args:
        seen: as :func:`find_artefacts` gives it.
        tissue: the tissue's outline.
        mpp_um: pixel size of the overview, um.
    """
    own = (((seen & COLLAGEN_COLOUR) > 0) & tissue).view(np.uint8)
    strokes = cv2.morphologyEx(own, cv2.MORPH_OPEN, _disk(_LONE_UM / 2 / mpp_um))
    if not strokes.any():
        return np.zeros(tissue.shape, dtype=bool)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(strokes)
    outside = cv2.dilate((~tissue).view(np.uint8), _disk(_LONE_NEAR_UM / mpp_um)) > 0
    edge = (strokes > 0) & (cv2.erode(strokes, np.ones((3, 3), np.uint8)) == 0)
    edges, free = (count_by_label(at, labels, count) for at in (edge, edge & outside))
    lone = free >= _LONE_PART * np.maximum(edges, 1)
    lone &= stats[:, cv2.CC_STAT_AREA] * (mpp_um / 1000.0) ** 2 >= _LONE_MM2
    lone[0] = False
    return by_label(lone, labels)


def ink_pieces(
    rgb: NDArray[np.uint8], labels: NDArray[np.int32], areas_px: NDArray[np.int32], rules: MarkRules
) -> NDArray[np.bool_]:
    """Which pieces of "tissue" are nothing but strong collagen colour: ink, not a biopsy.

    Args:
        rgb: overview.
        labels: piece of each pixel, 0 = background.
        areas_px: pixels of each label, background first.
        rules: from :meth:`MarkRules.of`.

    Returns:
        One truth value a label.
    """
    strong = (classify(rgb, rules.table) & STRONG) > 0
    found = count_by_label(strong, labels, len(areas_px)) >= _MONO_SHARE * areas_px
    found[0] = False
    return np.asarray(found)


def _grown(mask: NDArray[Any], mpp_um: float) -> NDArray[np.bool_]:
    """Marks of a size that matters, with a margin."""
    return _margin(_large(mask, _SMALLEST_MM2, mpp_um), mpp_um)


def _large(mask: NDArray[Any], least_mm2: float, mpp_um: float) -> NDArray[np.bool_]:
    if not mask.any():
        return np.zeros(mask.shape, dtype=bool)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    keep = stats[:, cv2.CC_STAT_AREA] * (mpp_um / 1000.0) ** 2 >= least_mm2
    keep[0] = False
    return by_label(keep, labels)


def _margin(mask: NDArray[np.bool_], mpp_um: float) -> NDArray[np.bool_]:
    if not mask.any():
        return mask
    return np.asarray(cv2.dilate(mask.astype(np.uint8), _disk(_MARGIN_UM / mpp_um))) > 0
