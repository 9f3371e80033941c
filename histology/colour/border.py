"""Find the border between a slide's two stains from the slide's own colours. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .hue import weighted_quantile
from .stains import StainDefinition

#: Part of the tissue that must be collagen before its own colour is trusted in full.
PLENTY = 0.02
# Turns of settling the border and the colours on its two sides; it moves under a degree after 4.
_TURNS = 5


@dataclass(frozen=True)
class Seen:
    """The tissue's coloured pixels."""

    place: NDArray[np.floating[Any]]
    """Position on the definition's scale."""
    blue: NDArray[np.floating[Any]]
    """How far the blue channel lies below white: the blue light that is taken away."""
    coloured: NDArray[np.float64]
    """Weight of each colour, 0 if it has hardly any hue."""
    pure: NDArray[np.float64]
    """The same, 0 for nuclei and pigment as well."""
    purity: NDArray[np.floating[Any]]
    """Chroma per darkness."""
    tissue: float
    """Weight of all tissue: its pixels."""
    pixel_um2: float = 1.0
    """Area of a pixel, um2."""
    middle_purity: float = 1.0
    """Median chroma per darkness of all tissue."""
    black: float = 0.0
    """Weight of what is black (unusual.black_weight)."""


def find_border(seen: Seen, definition: StainDefinition) -> tuple[float, float, float, float]:
    """Where the border between the stains lies, by turns with the colours on its two sides.

    The border starts at its typical place. The counterstain is the middle of all that lies before
    it: nine tenths of most livers, so always well known, and moved by white balance, clipping and
    batch just as collagen's colour is. Where collagen is plentiful (a crop that is mainly scar)
    much of the rest is a mixture of both, and counts for as much as there is of it. Collagen is
    the middle of what lies beyond; a little of it is a poor witness of its own colour likewise.

    Returns:
        Border, counterstain, collagen, and how far collagen's own colour is trusted (0 to 1).
    """
    typical = float(definition.position(definition.collagen_hue_deg.typical))
    counter_low, counter_high = definition.span(definition.counter_hue_deg)
    collagen_low, collagen_high = definition.span(definition.collagen_hue_deg)
    part, follow = definition.threshold_part, definition.follow_part
    border, counter, collagen, trust = part * typical, 0.0, typical, 0.0
    plenty = definition.counter_plenty_part * float(seen.coloured.sum())
    for _ in range(_TURNS):
        before = seen.coloured * (seen.place < border)
        beyond = (
            seen.pure * (seen.place >= border) * (seen.place <= typical + definition.beyond_deg)
        )
        if before.sum() > 0:
            counter = weighted_quantile(seen.place, before, 0.5)
            seen_part = float(before.sum()) / max(plenty, 1.0)
            # the typical counterstain lies at 0
            counter = min(1.0, seen_part) * float(np.clip(counter, counter_low, counter_high))
        trust = min(1.0, float(beyond.sum()) / max(PLENTY * seen.tissue, 1.0))
        own_collagen = weighted_quantile(seen.place, beyond, 0.5) if trust > 0 else typical
        own_collagen = float(np.clip(own_collagen, collagen_low, collagen_high))
        collagen = trust * own_collagen + (1 - trust) * typical
        towards = typical + definition.own_collagen_part * (collagen - typical)
        own_border = counter + part * (towards - counter)
        border = follow * own_border + (1 - follow) * part * typical
    return border, counter, collagen, trust
