"""Stains, pure: what one looks like on an average slide, and the classes of its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .hue import within_a_turn, wrap_deg

# Classes of a pixel, ordered: each collagen class also belongs to those before it.
WHITE, TISSUE, COLLAGEN_LENIENT, COLLAGEN, COLLAGEN_STRICT = 0, 1, 2, 3, 4


@dataclass(frozen=True)
class HueRange:
    """A typical hue and the range that is believed, degrees."""

    typical: float
    low: float
    high: float


_NO_HUE = HueRange(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class StainDefinition:
    """What a stain looks like on an average slide; see configs/stains.yaml."""

    name: str
    """Key in configs/stains.yaml ("psr", "masson", …)."""
    title: str
    """In words, as the report prints it."""
    family: str
    """Slides are only paired with slides of one family."""
    threshold_part: float
    """Place of the border between the hues, 0 = counterstain, 1 = collagen."""
    follow_part: float
    """How far the border follows the slide's own counterstain, 0 to 1."""
    own_collagen_part: float
    """How far the slide's own collagen moves the border, 0 to 1."""
    counter_plenty_part: float
    """Part of the coloured tissue that must be counterstain before its own colour is trusted in
    full; 0 = it always is.
    """
    purity_part: float
    """Least chroma per darkness, as part of the tissue's median, kept near the dye's own (dye_deg):
    nuclei and pigment are dark without much colour.
    """
    chroma_part: float
    """Least chroma, as part of collagen's usual one. One half keeps an edge that is blurred into
    white in its place; less where the stains' hues oppose each other and their mixture is grey.
    """
    beyond_deg: float
    """How far past the collagen's hue a pixel still counts as collagen."""
    counter_hue_deg: HueRange = _NO_HUE
    """The rest of the tissue; "custom" has none until the user's is put in."""
    collagen_hue_deg: HueRange = _NO_HUE
    """Collagen."""
    read_hue_deg: tuple[float, float] | None = None
    """Range of the middle hue of what is read as collagen; None = any."""
    haematoxylin_deg: float | None = None
    """Hue between haematoxylin's and collagen's, where they can be distinguished because collagen's
    dye lets blue light pass; None = they cannot.
    """
    dye_deg: float | None = None
    """From this hue on a pixel has collagen's dye beyond doubt; None = not known."""
    violet_part: float | None = None
    """Where violet tissue is plentiful: place of the border between it (0) and the dye (1); None =
    no such tissue lies between the two colours (violet.py).
    """
    collagen_purity: float | None = None
    """Chroma per darkness of collagen's given colour, where a user gave one; None = not known."""

    @property
    def direction(self) -> int:
        """Sense of rotation of the shorter way from the counterstain's hue to collagen's."""
        way = wrap_deg(self.collagen_hue_deg.typical - self.counter_hue_deg.typical)
        return 1 if way > 0 else -1

    def position(self, hue_deg: NDArray[np.floating[Any]] | float) -> Any:
        """Degrees from the typical counterstain hue, positive towards collagen, -120 to 240."""
        turned = self.direction * (np.asarray(hue_deg) - self.counter_hue_deg.typical)
        return within_a_turn(turned + 120.0) - 120.0

    def span(self, hues: HueRange) -> tuple[float, float]:
        """The believed range of some hues as positions, lower end first."""
        ends = sorted(float(self.position(hue)) for hue in (hues.low, hues.high))
        return ends[0], ends[1]
