"""Check whether a slide looks like its declared stain, from the colours of its tissue. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .border import Seen
from .hue import weighted_quantile
from .stains import HueRange, StainDefinition

# Part of the tissue that must have one of the stain's two colours.
_EXPLAINED = 0.5
# Parts of the coloured tissue: least of the counterstain, least of collagen's colour (a normal
# liver has 1 to 2 %), most of hues beyond both.
_LEAST_COUNTER, _LEAST_COLLAGEN, _NEITHER = 0.1, 0.001, 0.25
# Part of the tissue that must be read as collagen. With fewer pixels of 1 um (0.03 mm2) tissue may
# have none, and neither this nor its colour is missed.
_LEAST_READ, _JUDGED_PX = 0.0005, 30_000
# Part of the tissue that must lie beyond the border before its darkness and hue say that it is
# nuclei, and the part of that which haematoxylin's hues must hold.
_LEAST_NUCLEI, _ALL_NUCLEI = 0.02, 0.9
# Black: so many times as dark as the middle of the tissue, with under so much chroma per darkness,
# as part of the tissue's median and absolute.
_BLACK_DEPTH, _BLACK_PURITY_PART, _BLACK_PURITY = 1.3, 0.45, 0.2
# Part of the tissue that must be black: 450 versions of real fields, dark and thick ones among
# them, have up to 0.013, drawn silver stains from 0.027. And the median chroma per darkness under
# which tissue is dull.
_BLACK_PART, _DULL = 0.02, 0.45


def is_unusual(seen: Seen, definition: StainDefinition, border: float, usual_border: float) -> bool:
    """Whether the tissue does not look like its stain.

    Too little of it has one of the two colours, hardly any has the counterstain's or collagen's
    (haematoxylin and eosin taken for picrosirius red is all "collagen", taken for a trichrome it
    often has none), or much has a hue that neither can have; or what is read as collagen has
    another stain's hue, or is nuclei; or fibres are black. Whether the counterstain is missing, and
    whether all is nuclei, is asked of the usual border, before violet tissue moved it.
    """
    ranges = [definition.span(definition.counter_hue_deg)]
    ranges.append(definition.span(definition.collagen_hue_deg))
    coloured = float(seen.coloured.sum())
    if seen.tissue <= 0 or coloured <= 0:
        return True

    def share(low: float, high: float) -> float:
        return float(seen.coloured[(seen.place >= low) & (seen.place <= high)].sum()) / coloured

    judged = seen.tissue * min(1.0, seen.pixel_um2) >= _JUDGED_PX
    read = float(seen.pure[seen.place >= border].sum())
    explained = sum(share(low, high) for low, high in ranges) * coloured / seen.tissue
    neither = 1 - share(min(low for low, _ in ranges), max(high for _, high in ranges))
    return bool(
        explained < _EXPLAINED
        or share(ranges[0][0], usual_border) < _LEAST_COUNTER
        or (judged and share(border, ranges[1][1]) < _LEAST_COLLAGEN)
        or (judged and read < _LEAST_READ * seen.tissue)
        or neither > _NEITHER
        or _has_another_hue(seen, definition, border)
        or _is_haematoxylin(seen, definition, usual_border)
        or (judged and _is_black_stain(seen, definition, read))
    )


def black_weight(
    depth: NDArray[np.floating[Any]],
    purity: NDArray[np.floating[Any]],
    weight: NDArray[np.float64],
) -> float:
    """Weight of pixels that are far darker than the tissue and next to colourless.

    Relative to the tissue's own middle, so that an under-exposed field, which is dark and dull all
    over, has none.

    Args:
        depth: distance from white of each of the tissue's colours.
        purity: their chroma per darkness.
        weight: their pixels.
    """
    dull = min(_BLACK_PURITY_PART * weighted_quantile(purity, weight, 0.5), _BLACK_PURITY)
    deep = _BLACK_DEPTH * weighted_quantile(depth, weight, 0.5)
    return float(weight[(purity < dull) & (depth >= deep)].sum())


def _is_black_stain(seen: Seen, definition: StainDefinition, read: float) -> bool:
    """Whether fibres are black: silver (reticulin, Jones, von Kossa) or elastin.

    Black has no hue, so nothing else notices it. Iron haematoxylin makes nuclei black: on tissue of
    lively colours black counts only if there is more of it than of what is read as collagen.
    """
    if definition.collagen_purity is not None:  # a given dye may be as dull
        return False
    if seen.black < _BLACK_PART * seen.tissue:
        return False
    return seen.middle_purity < _DULL or seen.black > read


def _has_another_hue(seen: Seen, definition: StainDefinition, border: float) -> bool:
    """Whether the middle of what is read as collagen has a hue that its dye cannot have.

    Aniline blue declared as light green lies short of it, light green declared as blue past it.
    """
    if definition.read_hue_deg is None:
        return False
    read = seen.pure * (seen.place >= border)
    if read.sum() < _LEAST_READ * seen.tissue:
        return False
    low, high = definition.span(HueRange(0.0, *definition.read_hue_deg))
    return not low <= weighted_quantile(seen.place, read, 0.5) <= high


def _is_haematoxylin(seen: Seen, definition: StainDefinition, border: float) -> bool:
    """Whether all that lies beyond the border is nuclei, as on haematoxylin and eosin.

    Two things must come together. Nearly all of it has a hue on this side of the blue dye's: the
    published vectors put methyl and aniline blue at hues of 217 to 230 degrees, haematoxylin at
    245 to 286. And its middle is darker in blue light than the middle of the rest: aniline blue
    lets blue light pass, which scarlet and fuchsin take away; haematoxylin takes away more than
    eosin. Which of two middles is darker in one channel stays the same under any exposure,
    contrast or gamma.
    """
    if definition.haematoxylin_deg is None:
        return False
    before = seen.coloured * (seen.place < border)
    beyond = seen.coloured * (seen.place >= border)
    if beyond.sum() < _LEAST_NUCLEI * seen.tissue:
        return False
    limit = float(definition.position(definition.haematoxylin_deg))
    if weighted_quantile(seen.place, beyond, _ALL_NUCLEI) >= limit:
        return False
    darkness = [weighted_quantile(seen.blue, side, 0.5) for side in (beyond, before)]
    return darkness[0] > darkness[1]
