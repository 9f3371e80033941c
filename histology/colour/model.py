"""Estimate a slide's own two stain colours from the colours of its tissue. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .border import Seen, find_border
from .glass import Appearance, Glass
from .hue import cube_colours, weighted_quantile
from .stains import (
    COLLAGEN,
    COLLAGEN_LENIENT,
    COLLAGEN_STRICT,
    TISSUE,
    WHITE,
    StainDefinition,
)
from .unusual import black_weight, is_unusual
from .violet import find_violet

# White: a pixel whose distance from glass is under this part of the tissue's own median distance.
_WHITE_PART, _WHITE_DEPTHS = 0.3, (10.0, 45.0)
# A hue can be told from this chroma on, absolute and as part of the slide's strong colours.
_LEAST_CHROMA, _LEAST_CHROMA_PART = 6.0, 0.12
# Least purity as part of that of collagen's given colour: its fibres are mixed with other tissue.
_GIVEN_PURITY_PART = 0.4
# Shift of the border, as part of the distance between the stains, for the sensitivity.
_SENSITIVITY = 0.08
# Cells may be a much purer or a much duller red than collagen is blue or green: what counts as pure
# then follows collagen: at most this quantile of the pixels that have its dye beyond doubt, and at
# least this part of that; in full if they are this part of the tissue.
_DYE_PURITY, _DYE_LEAST, _DYE_PLENTY = 0.75, 0.85, 0.008


@dataclass(frozen=True)
class StainModel:
    """A slide's own colours, from which every pixel's class follows."""

    definition: StainDefinition
    """The declared stain."""
    glass: Glass
    """Empty glass."""
    white_depth: float
    """A pixel nearer to white than this (largest channel difference) is not tissue."""
    chroma_floor: float
    """Below this chroma (0-255) a hue cannot be told: no collagen."""
    purity_floor: float
    """Below this chroma per distance from white a pixel is a nucleus or pigment."""
    counter_deg: float
    """Estimated position of the counterstain on the definition's scale."""
    collagen_deg: float
    """Estimated position of collagen."""
    threshold_deg: float
    """Position of the border; collagen lies beyond it."""
    sensitivity_deg: float
    """How far the border may reasonably be moved either way."""
    upper_deg: float
    """Collagen ends here."""
    violet: float
    """How far violet tissue moved the border, 0 to 1 (violet.py)."""
    collagen_seen: bool
    """Whether collagen was plentiful enough to estimate its colour."""
    unusual: bool
    """Whether the slide does not look like its declared stain."""


def estimate_model(
    counts: NDArray[np.int64],
    glass: Glass,
    definition: StainDefinition,
    mpp_um: float = 1.0,
) -> StainModel:
    """A slide's own stain colours from the histogram of its tissue.

    Args:
        counts: tissue pixels per colour bin, from :func:`colour_histogram`.
        glass: empty glass.
        definition: the declared stain.
        mpp_um: size of the counted pixels, um.

    Returns:
        The model; with too few coloured pixels its colours are those of the definition, and
        ``unusual`` is set.
    """
    colours = cube_colours()
    filled = counts > 0
    weight, colours = counts[filled].astype(np.float64), colours[filled]
    depth = glass.depth(colours)
    hue, chroma = glass.hue_and_chroma(colours)
    white_depth = float(
        np.clip(_WHITE_PART * weighted_quantile(depth, weight, 0.5), *_WHITE_DEPTHS)
    )
    solid = depth >= white_depth
    tissue_weight = float(weight[solid].sum())
    reference = weighted_quantile(chroma[solid], weight[solid], 0.9)
    least_chroma = max(_LEAST_CHROMA, _LEAST_CHROMA_PART * reference)
    coloured = solid & (chroma >= least_chroma)
    purity = chroma / np.maximum(depth, 1.0)
    place = definition.position(hue)
    typical = float(definition.position(definition.collagen_hue_deg.typical))
    usual_purity = middle_purity = weighted_quantile(purity[solid], weight[solid], 0.5)
    black = black_weight(depth[solid], purity[solid], weight[solid])
    if definition.dye_deg is not None:
        dye = coloured & (place >= float(definition.position(definition.dye_deg)))
        dye &= place <= typical + definition.beyond_deg
        trust = min(1.0, float(weight[dye].sum()) / max(_DYE_PLENTY * tissue_weight, 1.0))
        own = weighted_quantile(purity[dye], weight[dye], _DYE_PURITY)
        usual_purity += trust * (float(np.clip(usual_purity, _DYE_LEAST * own, own)) - usual_purity)
    purity_floor = definition.purity_part * usual_purity
    if definition.collagen_purity is not None:  # a dye duller than the rest of the tissue
        purity_floor = min(purity_floor, _GIVEN_PURITY_PART * definition.collagen_purity)
    pure = coloured & (purity >= purity_floor)
    blue = np.float32(glass.rgb[2]) - colours[..., 2]
    seen = Seen(
        place, blue, weight * coloured, weight * pure, purity, tissue_weight,
        pixel_um2=mpp_um**2, middle_purity=middle_purity, black=black,
    )  # fmt: skip
    threshold, counter, collagen, trust = find_border(seen, definition)
    violet = find_violet(seen, definition)
    usual = threshold
    threshold, purity_floor = violet.border(usual), violet.purity_floor(purity_floor)
    pure = coloured & (purity >= purity_floor)
    found = pure & (place >= threshold) & (place <= typical + definition.beyond_deg)
    own_chroma = weighted_quantile(chroma[found], weight[found], 0.5)
    strength = trust * own_chroma + (1 - trust) * 0.5 * reference
    return StainModel(
        definition=definition,
        glass=glass,
        white_depth=white_depth,
        chroma_floor=float(max(least_chroma, definition.chroma_part * strength)),
        purity_floor=float(purity_floor),
        counter_deg=counter,
        collagen_deg=float(collagen),
        threshold_deg=threshold,
        sensitivity_deg=_SENSITIVITY * abs(typical),
        upper_deg=float(typical + definition.beyond_deg),
        violet=violet.weight,
        collagen_seen=bool(trust >= 1.0),
        unusual=is_unusual(seen, definition, threshold, usual),
    )


def classify_seen(seen: Appearance, model: StainModel) -> NDArray[np.uint8]:
    """Class of each colour, seen against the model's glass: WHITE, TISSUE or a collagen class."""
    depth, hue, chroma = seen
    place = model.definition.position(hue)
    tinted = (
        (chroma >= model.chroma_floor)
        & (chroma >= model.purity_floor * depth)
        & (place <= model.upper_deg)
    )
    classes = np.full(len(depth), TISSUE, dtype=np.uint8)
    for offset, code in ((-1, COLLAGEN_LENIENT), (0, COLLAGEN), (1, COLLAGEN_STRICT)):
        border = model.threshold_deg + offset * model.sensitivity_deg
        classes[tinted & (place >= border)] = code
    classes[depth < model.white_depth] = WHITE
    return classes
