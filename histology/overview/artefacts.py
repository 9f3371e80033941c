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

from ..colour.lookup import classify, colour_table
from ..colour.stains import (
    StainDefinition,
    depth_from_white,
    hue_and_chroma,
    within_a_turn,
    wrap_deg,
)
from .bands import blurred, by_label, count_by_label

_AVERAGING_UM = 6.0
#: Ink spreads and the lens blurs it: this much round a mark goes with it.
_MARGIN_UM = 10.0
#: Marks smaller than this stay tissue: pigment, a nucleus cluster.
_SMALLEST_MM2 = 0.002
#: A picture of less than this along its longer side is searched for coloured ink as if it were so
#: large, but at most so many times: on a small field small strokes count.
_INK_FIELD_UM, _INK_FIELD_MOST = 1500.0, 2.5
_GREY_CHROMA, _GREY_PART = 9.0, 0.12
#: Least chroma of coloured ink, and how far its hue lies beyond the collagen's and beyond the
#: counterstain's: what passes for ink on that side is pigment or a yellowed field more often.
_INK_CHROMA, _INK_MARGIN_DEG, _INK_COUNTER_MARGIN_DEG = 22.0, 5.0, 15.0
_WRONG_STAIN_PART = 0.5
_MONO_SHARE, _MONO_CHROMA = 0.9, 60.0
# Red pen: its hue and how far it may be off, and from where on collagen is no longer red itself;
# least chroma, how much stronger than the slide's strong colours where it fades, and how far from
# a stroke faded ink is looked for.
_PEN_HUE_DEG, _PEN_REACH_DEG, _PEN_APART_DEG = -8.0, 30.0, 45.0
_PEN_CHROMA, _PEN_FADED, _PEN_NEAR_UM = 95.0, 1.1, 400.0
# Small strokes of an ink that larger ones have shown: least area as part of theirs, step of hue,
# and part of the larger strokes' pixels that must lie within a step.
_SMALL_STROKE_PART, _SAME_INK_DEG, _SAME_INK_PART = 0.1, 12.0, 0.2
# A stroke of collagen's colour in glass: least chroma, width and area, how near glass must be, and
# the part of its edge that must be so near.
_LONE_CHROMA, _LONE_UM, _LONE_MM2, _LONE_NEAR_UM, _LONE_PART = 30.0, 50.0, 0.02, 40.0, 0.7
#: Chroma that part of a stroke of coloured ink must have: pale casts of tissue and glass have less.
_INK_CORE_CHROMA, _INK_CORE_PART = 40.0, 0.05
#: Bits of :class:`MarkRules`: no glass; grey; a hue the stain cannot have; strong collagen colour;
#: collagen colour; strong colour of such a hue.
DARK, GREY, INK, STRONG, COLLAGEN_COLOUR, STRONG_INK = 1, 2, 4, 8, 16, 32


@dataclass(frozen=True)
class Artefacts:
    """What to leave out."""

    grey: NDArray[np.bool_]
    """Coverslip edges, dirt, black ink; bool, the overview's shape."""
    ink: NDArray[np.bool_]
    """Coloured ink."""
    seen: NDArray[np.uint8]
    """Bits of :class:`MarkRules` of each pixel, averaged over a cell."""


@dataclass(frozen=True)
class MarkRules:
    """What a colour of the overview says about marks, as a table for lookup.classify."""

    table: NDArray[np.uint8]
    """Bits :data:`DARK`, :data:`GREY`, :data:`INK`, :data:`STRONG`, :data:`COLLAGEN_COLOUR` and
    :data:`STRONG_INK` of each colour.
    """

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
        # positions grow from the counterstain to collagen
        believed = min(ends) - _INK_COUNTER_MARGIN_DEG, max(ends) + _INK_MARGIN_DEG
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
            return np.asarray(
                bits + STRONG_INK * (ink & (chroma >= _INK_CORE_CHROMA)), dtype=np.uint8
            )

        return cls(colour_table(rule, threads))


@dataclass(frozen=True)
class _RedStroke:
    """What tells a stroke of red pen."""

    times: float
    """How much stronger it is than the slide's strong colours."""
    width_um: float
    """How wide it is at least."""
    sigma_um: float
    """What is averaged before, so that hatching and fibres do not count one by one."""
    on_glass: bool = True
    """Whether much of its edge must lie at glass. A scar on a slide with little other collagen is
    twice as strong as the rest too, but lies in tissue.
    """


#: The first kind is wider where collagen itself is red.
_WIDE_APART, _WIDE_ALIKE = _RedStroke(1.5, 20.0, _AVERAGING_UM), _RedStroke(1.5, 50.0, 8.0)
_STRONG, _STRONGEST = _RedStroke(2.0, 16.0, 3.0), _RedStroke(3.0, 16.0, 3.0, on_glass=False)
#: Part of a stroke's edge that must lie at glass, how near, and the glass that counts: a vessel's
#: lumen is smaller.
_GLASS_PART, _GLASS_NEAR_UM, _GLASS_MM2, _GLASS_FIELD_PART = 0.3, 40.0, 0.1, 0.02
#: How strong other strokes must be, as part of those at glass, to be of the same ink.
_SAME_RED = 0.75


@dataclass(frozen=True)
class RedInk:
    """Red pen."""

    found: NDArray[np.bool_]
    """Bool, the overview's shape."""
    doubtful: NDArray[np.bool_]
    """As strong, but in the middle of tissue, where it may be a scar."""


def find_red_ink(
    rgb: NDArray[np.uint8],
    white_rgb: tuple[float, float, float],
    definition: StainDefinition,
    *,
    mpp_um: float,
    darker: float,
    threads: int = 1,
) -> RedInk:
    """Red pen, whose hue collagen or cytoplasm may have too: far stronger than all the rest.

    A stroke is sought that lies at glass and is half as strong again as the slide's strong colours
    (their 90th percentile) and wide, or twice as strong; or that is stronger still, wherever it
    lies. What is red and stronger than the slide's colours close to it goes with it. The first
    kinds in the middle of tissue are only doubtful.

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

    def rule(colours: NDArray[np.float32]) -> NDArray[np.uint8]:
        hue, chroma = hue_and_chroma(colours * gain)
        red = np.abs(within_a_turn(hue - _PEN_HUE_DEG + 180.0) - 180.0) < _PEN_REACH_DEG
        half = np.minimum(chroma / 2, 127) * (depth_from_white(colours, white) > darker)
        return np.asarray(np.rint(half) + 128 * red, dtype=np.uint8)

    table = colour_table(rule, threads)
    found, doubtful = (np.zeros(rgb.shape[:2], dtype=bool) for _ in range(2))
    blur_px, seen = 0.0, np.zeros((0, 0), dtype=np.uint8)
    wide = _WIDE_ALIKE if away < _PEN_APART_DEG else _WIDE_APART
    for stroke in (wide, _STRONG, _STRONGEST):
        sigma_px = max(1.0, stroke.sigma_um / mpp_um)
        if sigma_px != blur_px:
            blur_px, seen = sigma_px, blurred(rgb, sigma_px, lambda part: classify(part, table))
        ink, in_tissue = _red_strokes(seen, stroke, mpp_um)
        found |= ink
        doubtful |= in_tissue
    return RedInk(found, _large(doubtful & ~found, _LONE_MM2, mpp_um))


def _red_strokes(
    seen: NDArray[np.uint8], stroke: _RedStroke, mpp_um: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Strokes of one kind with the faded ink near them, and what would be but lies in tissue.

    Args:
        seen: half the chroma of each pixel, 0 for glass, and 128 more where it is red.
        stroke: the kind.
        mpp_um: pixel size, um.
    """
    chroma, red = 2 * (seen & 127), seen >= 128
    usual = _strong_chroma(seen) if chroma.any() else np.inf
    seeds = (red & (chroma >= max(_PEN_CHROMA, stroke.times * usual))).astype(np.uint8)
    strokes = cv2.morphologyEx(seeds, cv2.MORPH_OPEN, _disk(stroke.width_um / 2 / mpp_um)) > 0
    ink = strokes
    if stroke.on_glass and strokes.any():
        least_mm2 = min(_GLASS_MM2, _GLASS_FIELD_PART * seen.size * (mpp_um / 1000.0) ** 2)
        glass = _large((seen & 127) == 0, least_mm2, mpp_um)
        ink = _beside(strokes, glass, _GLASS_PART, _GLASS_NEAR_UM / mpp_um)
        if ink.any():  # what is about as strong is of the same ink, wherever it lies
            ink |= strokes & (chroma >= _SAME_RED * float(np.median(chroma[ink])))
    if not ink.any():
        return ink, strokes
    # by distance: a disk of hundreds of pixels would take seconds
    away_px = cv2.distanceTransform(1 - ink.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = away_px <= _PEN_NEAR_UM / mpp_um
    return _grown(near & red & (chroma >= _PEN_FADED * usual), mpp_um), strokes & ~ink


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
    marks, seen = _marks(rgb, rules, mpp_um)
    grey = marks & GREY
    field_um = max(rgb.shape[:2]) * mpp_um
    ink_mpp_um = mpp_um * min(max(_INK_FIELD_UM / field_um, 1.0), _INK_FIELD_MOST)
    if ink_mpp_um > mpp_um:
        marks, _ = _marks(rgb, rules, ink_mpp_um)
    ink = marks & INK
    if np.count_nonzero(ink) > _WRONG_STAIN_PART * np.count_nonzero(seen & DARK):
        # most of what is there is no pen: the slide has another stain, which the colours will show
        ink[:] = 0
    strokes = _with_core(_large(ink, _SMALLEST_MM2, ink_mpp_um), (marks & STRONG_INK) > 0)
    if strokes.any():
        strokes |= _same_ink(rgb, (ink > 0) & ~strokes, strokes, ink_mpp_um)
    return Artefacts(_grown(grey > 0, mpp_um), _margin(strokes, ink_mpp_um), seen)


def _marks(
    rgb: NDArray[np.uint8], rules: MarkRules, mpp_um: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Grey and ink, both as it is and averaged over a cell; and what the averages say.

    A nucleus is grey only by itself, a seam between red and green has a strange hue only in the
    average.
    """
    marks = np.full(rgb.shape[:2], GREY | INK | STRONG_INK, dtype=np.uint8)
    for sigma_px in sorted({1.0, max(1.0, _AVERAGING_UM / mpp_um)}):
        seen = blurred(rgb, sigma_px, lambda part: classify(part, rules.table))
        marks &= seen
    return marks, seen


def _with_core(strokes: NDArray[np.bool_], core: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The strokes of which at least a small part is core."""
    if not strokes.any():
        return strokes
    count, labels, stats, _ = cv2.connectedComponentsWithStats(strokes.view(np.uint8))
    found = count_by_label(core, labels, count) >= _INK_CORE_PART * stats[:, cv2.CC_STAT_AREA]
    found[0] = False
    return by_label(found, labels)


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
    strokes = cv2.morphologyEx(own, cv2.MORPH_OPEN, _disk(_LONE_UM / 2 / mpp_um)) > 0
    if not strokes.any():
        return strokes
    lone = _beside(strokes, ~tissue, _LONE_PART, _LONE_NEAR_UM / mpp_um)
    return _large(lone, _LONE_MM2, mpp_um)


def _beside(
    strokes: NDArray[np.bool_], outside: NDArray[np.bool_], part: float, reach_px: float
) -> NDArray[np.bool_]:
    """The strokes of whose edge at least ``part`` lies within ``reach_px`` of ``outside``."""
    plane = strokes.view(np.uint8)
    count, labels = cv2.connectedComponents(plane)
    near = cv2.dilate(outside.view(np.uint8), _disk(reach_px)) > 0
    edge = strokes & (cv2.erode(plane, np.ones((3, 3), np.uint8)) == 0)
    edges, free = (count_by_label(at, labels, count) for at in (edge, edge & near))
    found = free >= part * np.maximum(edges, 1)
    found[0] = False
    return by_label(found, labels)


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
