"""Red pen, pure, on an overview: far stronger than all the rest of a slide's colours."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..colour.glass import Appearance, Glass
from ..colour.hue import within_a_turn, wrap_deg
from ..colour.lookup import ColourTable, classify
from ..colour.stains import StainDefinition
from .bands import blurred
from .marks import grown, large, opened, with_neighbour

_AVERAGING_UM = 6.0
# Red pen: its hue and how far it may be off, and from where on collagen is no longer red itself;
# least chroma, how much stronger than the slide's strong colours where it fades, and how far from
# a stroke faded ink is looked for.
_PEN_HUE_DEG, _PEN_REACH_DEG, _PEN_APART_DEG = -8.0, 30.0, 45.0
_PEN_CHROMA, _PEN_FADED, _PEN_NEAR_UM = 95.0, 1.1, 400.0


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
#: Least area of a doubtful stroke.
_DOUBTFUL_MM2 = 0.02
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
    glass: Glass,
    definition: StainDefinition,
    *,
    mpp_um: float,
    darker: float,
) -> RedInk:
    """Red pen, whose hue collagen or cytoplasm may have too: far stronger than all the rest.

    A stroke is sought that lies at glass and is half as strong again as the slide's strong colours
    (their 90th percentile) and wide, or twice as strong; or that is stronger still, wherever it
    lies. What is red and stronger than the slide's colours close to it goes with it. The first
    kinds in the middle of tissue are only doubtful.

    Args:
        rgb: overview, shape (height, width, 3).
        glass: empty glass.
        definition: the declared stain.
        mpp_um: pixel size of the overview, um.
        darker: distance from white (0 to 255) from which a pixel is not glass.
    """
    away = abs(wrap_deg(definition.collagen_hue_deg.typical - _PEN_HUE_DEG))

    def rule(seen: Appearance) -> NDArray[np.uint8]:
        depth, hue, chroma = seen
        red = np.abs(within_a_turn(hue - _PEN_HUE_DEG + 180.0) - 180.0) < _PEN_REACH_DEG
        half = np.rint(np.minimum(chroma / 2, 127)).astype(np.uint8)
        return half * (depth > darker).view(np.uint8) | np.uint8(128) * red.view(np.uint8)

    table = ColourTable(rule, glass)
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
    return RedInk(found, large(doubtful & ~found, _DOUBTFUL_MM2, mpp_um))


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
    seeds = red & (chroma >= max(_PEN_CHROMA, stroke.times * usual))
    strokes = opened(seeds, stroke.width_um / 2 / mpp_um)
    ink = strokes
    if stroke.on_glass and strokes.any():
        least_mm2 = min(_GLASS_MM2, _GLASS_FIELD_PART * seen.size * (mpp_um / 1000.0) ** 2)
        glass = large((seen & 127) == 0, least_mm2, mpp_um)
        ink = with_neighbour(strokes, glass, _GLASS_PART, _GLASS_NEAR_UM / mpp_um)
        if ink.any():  # what is about as strong is of the same ink, wherever it lies
            ink |= strokes & (chroma >= _SAME_RED * float(np.median(chroma[ink])))
    if not ink.any():
        return ink, strokes
    # by distance: a disk of hundreds of pixels would take seconds
    away_px = cv2.distanceTransform(1 - ink.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near = away_px <= _PEN_NEAR_UM / mpp_um
    return grown(near & red & (chroma >= _PEN_FADED * usual), mpp_um), strokes & ~ink


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
