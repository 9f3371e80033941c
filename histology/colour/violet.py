"""Violet tissue between a trichrome's two colours, pure: where the border lies if there is much.

Haematoxylin on cytoplasm, mucus and casts is violet: between the counterstain's red and aniline
blue in hue, and less pure than the dye. On most sections it is little, and a border half way
between red and blue tells all fibres. Where much of the tissue is violet that border counts it as
collagen, and people do not: on eight lung fields the fraction was 16 to 19 points above that of
three annotators. There the border is moved between violet and the dye itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .border import Seen
from .hue import weighted_quantile
from .stains import StainDefinition

#: Violet begins at this part of the way to where the dye is beyond doubt, and ends just before it.
_FROM, _TO = 0.5, 0.97
#: The dye's own pixels lie this far beyond that place.
_SURE_DEG = 5.0
#: Part of the coloured tissue that is violet, and that is surely dye, from which the border begins
#: to move and at which it has moved. Mixed edges of fine fibres are violet too: up to 0.1; a
#: section whose collagen itself is violet has next to no sure dye.
_VIOLET, _SURE = (0.17, 0.24), (0.008, 0.02)
#: Where the least purity lies between that of violet tissue and the dye's.
_PURITY_PART = 0.4


@dataclass(frozen=True)
class Violet:
    """The border between violet tissue and the dye."""

    weight: float
    """How far it counts, 0 (there is little violet, or no dye) to 1."""
    border_deg: float
    """Its position on the definition's scale."""
    purity: float
    """Below this chroma per darkness a pixel is violet."""

    def border(self, usual: float) -> float:
        """The border, moved from its usual position towards the dye."""
        return usual + self.weight * max(0.0, self.border_deg - usual)

    def purity_floor(self, usual: float) -> float:
        """The least purity, raised from its usual value."""
        return usual + self.weight * max(0.0, self.purity - usual)


NO_VIOLET = Violet(0.0, 0.0, 0.0)


def find_violet(seen: Seen, definition: StainDefinition) -> Violet:
    """Where violet tissue ends and the dye begins.

    Args:
        seen: the tissue's colours.
        definition: the stain; ``violet_part`` says where between the two middles the border lies.
    """
    total = float(seen.coloured.sum())
    if definition.violet_part is None or definition.dye_deg is None or total <= 0:
        return NO_VIOLET
    dye_from = float(definition.position(definition.dye_deg))
    violet = seen.coloured * ((seen.place >= _FROM * dye_from) & (seen.place < _TO * dye_from))
    dye = seen.pure * (seen.place >= dye_from)
    sure = seen.pure * (seen.place >= dye_from + _SURE_DEG)
    weight = _ramp(float(violet.sum()) / total, _VIOLET) * _ramp(float(sure.sum()) / total, _SURE)
    if weight <= 0:
        return NO_VIOLET
    middles = [weighted_quantile(seen.place, one, 0.5) for one in (violet, dye)]
    pure = [weighted_quantile(seen.purity, one, 0.5) for one in (violet, sure)]
    return Violet(
        weight,
        middles[0] + definition.violet_part * (middles[1] - middles[0]),
        pure[0] + _PURITY_PART * (pure[1] - pure[0]),
    )


def _ramp(value: float, ends: tuple[float, float]) -> float:
    return float(np.clip((value - ends[0]) / (ends[1] - ends[0]), 0.0, 1.0))
