"""Non-tissue on a slide: pen, coverslip edges, dirt. Pure, on an overview.

Three signs. Tissue of a stained section has colour, so what is darker than glass without colour is
a coverslip edge, dirt or black ink; a hue that neither stain can have is coloured ink; and a piece
that is all collagen colour without any counterstain is ink of that colour (a red pen on
picrosirius red). Red ink is also known by a colour far stronger than all else (red_ink.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..colour.glass import Appearance, Glass
from ..colour.hue import hue_and_chroma
from ..colour.lookup import ColourTable, classify
from ..colour.stains import StainDefinition
from .bands import blurred, by_label, count_by_label, label_parts
from .marks import SMALLEST_MM2, grown, large, margin, opened, with_neighbour

#: What a mark is averaged over, and the least: single pixels are noise.
_AVERAGING_UM, _LEAST_SIGMA_PX = 6.0, 1.0
#: A picture of less than this along its longer side is searched for coloured ink as if it were so
#: large, but at most so many times: on a small field small strokes count.
_INK_FIELD_UM, _INK_FIELD_MOST = 1500.0, 2.5
_GREY_CHROMA, _GREY_PART = 9.0, 0.12
#: Least chroma of coloured ink, and how far its hue lies beyond the collagen's and beyond the
#: counterstain's: what passes for ink on that side is pigment or a yellowed field more often.
_INK_CHROMA, _INK_MARGIN_DEG, _INK_COUNTER_MARGIN_DEG = 22.0, 5.0, 15.0
_WRONG_STAIN_PART = 0.5
_MONO_SHARE, _MONO_CHROMA = 0.9, 60.0
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

    table: ColourTable
    """Bits :data:`DARK`, :data:`GREY`, :data:`INK`, :data:`STRONG`, :data:`COLLAGEN_COLOUR` and
    :data:`STRONG_INK` of each colour.
    """

    @classmethod
    def of(
        cls,
        glass: Glass,
        definition: StainDefinition,
        darker: float,
    ) -> MarkRules:
        """Compile the rules of a slide.

        Args:
            glass: empty glass.
            definition: the declared stain: hues that neither of its colours can have are ink.
            darker: distance from white (0 to 255) from which a pixel is not glass.
        """
        ends = [
            float(definition.position(end))
            for hues in (definition.counter_hue_deg, definition.collagen_hue_deg)
            for end in (hues.low, hues.high)
        ]
        # positions grow from the counterstain to collagen
        believed = min(ends) - _INK_COUNTER_MARGIN_DEG, max(ends) + _INK_MARGIN_DEG
        typical = float(definition.position(definition.collagen_hue_deg.typical))

        def rule(seen: Appearance) -> NDArray[np.uint8]:
            depth, hue, chroma = seen
            place = definition.position(hue)
            dark = depth > darker
            grey = dark & (chroma < np.maximum(_GREY_CHROMA, _GREY_PART * depth))
            ink = dark & (chroma >= _INK_CHROMA)
            ink &= (place < believed[0]) | (place > believed[1])
            beyond = place >= definition.threshold_part * typical
            strong, own = (beyond & (chroma >= c) for c in (_MONO_CHROMA, _LONE_CHROMA))
            strong_ink = ink & (chroma >= _INK_CORE_CHROMA)
            bits = np.zeros(depth.shape, dtype=np.uint8)
            for bit, where in (
                (DARK, dark), (GREY, grey), (INK, ink),
                (STRONG, strong), (COLLAGEN_COLOUR, own), (STRONG_INK, strong_ink),
            ):  # fmt: skip
                bits |= np.uint8(bit) * where.view(np.uint8)
            return bits

        return cls(ColourTable(rule, glass))


def find_artefacts(rgb: NDArray[np.uint8], rules: MarkRules, mpp_um: float) -> Artefacts:
    """Find grey marks and coloured ink.

    Args:
        rgb: overview, shape (height, width, 3).
        rules: from :meth:`MarkRules.of`.
        mpp_um: pixel size of the overview, um.
    """
    sharp = blurred(rgb, _LEAST_SIGMA_PX, lambda part: classify(part, rules.table))
    marks, seen = _marks(rgb, sharp, rules, mpp_um)
    grey = marks & GREY
    field_um = max(rgb.shape[:2]) * mpp_um
    ink_mpp_um = mpp_um * min(max(_INK_FIELD_UM / field_um, 1.0), _INK_FIELD_MOST)
    if ink_mpp_um > mpp_um:
        marks, _ = _marks(rgb, sharp, rules, ink_mpp_um)
    ink = marks & INK
    if np.count_nonzero(ink) > _WRONG_STAIN_PART * np.count_nonzero(seen & DARK):
        # most of what is there is not pen: the slide has another stain, which the colours will show
        ink[:] = 0
    strokes = _with_core(large(ink > 0, SMALLEST_MM2, ink_mpp_um), (marks & STRONG_INK) > 0)
    if strokes.any():
        strokes |= _same_ink(rgb, (ink > 0) & ~strokes, strokes, ink_mpp_um)
    return Artefacts(grown(grey > 0, mpp_um), margin(strokes, ink_mpp_um), seen)


def _marks(
    rgb: NDArray[np.uint8], sharp: NDArray[np.uint8], rules: MarkRules, mpp_um: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Grey and ink, both as it is and averaged over a cell; and what the averages say.

    A nucleus is grey only by itself, a seam between red and green has a strange hue only in the
    average. ``sharp`` holds the bits of the pixels as they are.
    """
    sigma_px, seen = _AVERAGING_UM / mpp_um, sharp
    if sigma_px > _LEAST_SIGMA_PX:
        seen = blurred(rgb, sigma_px, lambda part: classify(part, rules.table))
    return sharp & seen & np.uint8(GREY | INK | STRONG_INK), seen


def _with_core(strokes: NDArray[np.bool_], core: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The strokes of which at least a small part is core."""
    if not strokes.any():
        return strokes
    labels, areas_px = label_parts(strokes)
    found = count_by_label(core, labels, len(areas_px)) >= _INK_CORE_PART * areas_px
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
    return large(alike, _SMALL_STROKE_PART * SMALLEST_MM2, mpp_um)


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
    own = ((seen & COLLAGEN_COLOUR) > 0) & tissue
    strokes = opened(own, _LONE_UM / 2 / mpp_um)
    strokes = large(strokes, _LONE_MM2, mpp_um)
    if not strokes.any():
        return strokes
    return with_neighbour(strokes, ~tissue, _LONE_PART, _LONE_NEAR_UM / mpp_um)


def ink_pieces(
    rgb: NDArray[np.uint8], labels: NDArray[np.int32], areas_px: NDArray[np.int64], rules: MarkRules
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
