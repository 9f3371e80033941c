"""Stain colours, pure: hue, colour histograms, and a slide's own two colours estimated from them.

Why hue. A brighter lamp, a longer exposure, or the brightness and contrast sliders of camera
software map every channel by the same straight line, v -> a v + b. The differences between channels
are then all multiplied by ``a`` and their angle, the hue, does not move, while saturation, optical
density and every fixed threshold on them do. A thicker section or a stronger stain moves the hue
little as well. So hue says *which* stain a pixel has; how much colour it has only decides whether
it can be told at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Bits kept per channel in a colour histogram and in the lookup table of a classifier.
CUBE_BITS, TABLE_BITS = 6, 7

# White: a pixel whose distance from glass is under this part of the tissue's own median distance.
_WHITE_PART, _WHITE_DEPTHS = 0.3, (10.0, 45.0)
# A hue can be told from this chroma on, absolute and as part of the slide's strong colours.
_LEAST_CHROMA, _LEAST_CHROMA_PART = 6.0, 0.12
# Collagen has at least half its usual chroma: the half-way point at which an edge, blurred by
# optics or by a coarser pixel, keeps its place.
_HALF = 0.5
# Part of the tissue that must be collagen before its own colour is trusted in full.
_PLENTY = 0.02
# Shift of the border, as part of the distance between the stains, for the sensitivity.
_SENSITIVITY = 0.08
# Part of the tissue that must have one of the stain's two colours.
_EXPLAINED = 0.5

# Classes of a pixel, ordered: each collagen class also belongs to those before it.
WHITE, TISSUE, COLLAGEN_LENIENT, COLLAGEN, COLLAGEN_STRICT = 0, 1, 2, 3, 4


@dataclass(frozen=True)
class HueRange:
    """A typical hue and the range that is believed, degrees."""

    typical: float
    low: float
    high: float


@dataclass(frozen=True)
class StainDefinition:
    """What a stain looks like on an average slide; see configs/stains.yaml.

    Attributes:
        name: key in configs/stains.yaml ("psr", "masson", …).
        title: in words.
        family: stains of different families are never compared.
        counter_hue_deg: the rest of the tissue.
        collagen_hue_deg: collagen.
        threshold_part: place of the border between the hues, 0 = counterstain, 1 = collagen.
        follow_part: how far the border follows the slide's own counterstain, 0 to 1.
        beyond_deg: how far past the collagen's hue a pixel still counts as collagen.
    """

    name: str
    title: str
    family: str
    counter_hue_deg: HueRange
    collagen_hue_deg: HueRange
    threshold_part: float
    follow_part: float
    beyond_deg: float

    @property
    def direction(self) -> int:
        """Sense of rotation of the shorter way from the counterstain's hue to collagen's."""
        way = wrap_deg(self.collagen_hue_deg.typical - self.counter_hue_deg.typical)
        return 1 if way > 0 else -1

    def position(self, hue_deg: NDArray[np.floating[Any]] | float) -> Any:
        """Degrees from the typical counterstain hue, positive towards collagen, -120 to 240."""
        turned = self.direction * (np.asarray(hue_deg) - self.counter_hue_deg.typical)
        return (turned + 120.0) % 360.0 - 120.0


@dataclass(frozen=True)
class StainModel:
    """A slide's own colours, from which every pixel's class follows.

    Attributes:
        definition: the declared stain.
        white_rgb: colour of empty glass.
        white_gain: factors that make the glass neutral, one per channel.
        white_depth: a pixel nearer to white than this (largest channel difference) is no tissue.
        chroma_floor: below this chroma (0-255) a hue cannot be told: no collagen.
        counter_deg: estimated position of the counterstain on the definition's scale.
        collagen_deg: estimated position of collagen.
        threshold_deg: position of the border; collagen lies beyond it.
        sensitivity_deg: how far the border may reasonably be moved either way.
        upper_deg: collagen ends here.
        collagen_seen: whether collagen was plentiful enough to estimate its colour.
        unusual: whether the slide does not look like its declared stain.
    """

    definition: StainDefinition
    white_rgb: tuple[float, float, float]
    white_gain: tuple[float, float, float]
    white_depth: float
    chroma_floor: float
    counter_deg: float
    collagen_deg: float
    threshold_deg: float
    sensitivity_deg: float
    upper_deg: float
    collagen_seen: bool
    unusual: bool


def wrap_deg(angle: float) -> float:
    """An angle brought to -180 .. 180 degrees."""
    return (angle + 180.0) % 360.0 - 180.0


def hue_and_chroma(rgb: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Hue in degrees (-180 to 180) and chroma (0 to 255) of RGB colours, shape (..., 3).

    The hexagonal hue's circular form (Preucil's circle): hue = atan2(sqrt(3) (G - B), 2R - G - B).
    """
    red, green, blue = (rgb[..., i].astype(np.float32) for i in range(3))
    across = np.float32(np.sqrt(3.0)) * (green - blue)
    along = 2 * red - green - blue
    return np.degrees(np.arctan2(across, along)), np.hypot(across, along) / 2


def cube_colours(bits: int = CUBE_BITS) -> NDArray[np.float32]:
    """RGB at the middle of each bin of a colour cube, shape (2**(3 bits), 3); 0 and 255 kept."""
    side = 1 << bits
    step = 256 // side
    axis = (np.arange(side) * step + (step - 1) / 2).astype(np.float32)
    axis[0], axis[-1] = 0, 255  # a clipped channel stays clipped
    red, green, blue = np.meshgrid(axis, axis, axis, indexing="ij")
    return np.stack([red.ravel(), green.ravel(), blue.ravel()], axis=1)


def cube_index(rgb: NDArray[np.uint8], bits: int = CUBE_BITS) -> NDArray[np.int32]:
    """Bin of each RGB pixel in a colour cube; shape without the last axis."""
    shift = 8 - bits
    index = (rgb[..., 0] >> shift).astype(np.int32)
    index <<= bits
    index |= rgb[..., 1] >> shift
    index <<= bits
    index |= rgb[..., 2] >> shift
    return index


def colour_histogram(rgb: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Counts of the colours inside ``mask``, over the bins of :func:`cube_colours`."""
    return np.bincount(cube_index(rgb[mask]), minlength=1 << (3 * CUBE_BITS)).astype(np.int64)


def estimate_model(
    counts: NDArray[np.int64], white_rgb: tuple[float, float, float], definition: StainDefinition
) -> StainModel:
    """A slide's own stain colours from the histogram of its tissue.

    Args:
        counts: tissue pixels per colour bin, from :func:`colour_histogram`.
        white_rgb: colour of empty glass.
        definition: the declared stain.

    Returns:
        The model; with too few coloured pixels its colours are those of the definition, and
        ``unusual`` is set.
    """
    white = np.asarray(white_rgb, dtype=np.float32)
    gain = np.clip(white.mean() / white, 0.8, 1.25).astype(np.float32)
    colours = cube_colours()
    filled = counts > 0
    weight, colours = counts[filled].astype(np.float64), colours[filled]
    depth = (white - colours).max(axis=1)
    hue, chroma = hue_and_chroma(colours * gain)
    white_depth = float(
        np.clip(_WHITE_PART * weighted_quantile(depth, weight, 0.5), *_WHITE_DEPTHS)
    )
    solid = depth >= white_depth
    tissue_weight = float(weight[solid].sum())
    reference = weighted_quantile(chroma[solid], weight[solid], 0.9)
    least_chroma = max(_LEAST_CHROMA, _LEAST_CHROMA_PART * reference)
    coloured = solid & (chroma >= least_chroma)
    place = definition.position(hue)
    typical = float(definition.position(definition.collagen_hue_deg.typical))
    threshold, counter = _border(place, weight * coloured, definition)
    found = coloured & (place >= threshold) & (place <= typical + definition.beyond_deg)
    found_weight = float(weight[found].sum())
    # a little collagen is a poor witness of its own colour: it counts for as much as there is of it
    trust = min(1.0, found_weight / max(_PLENTY * tissue_weight, 1.0))
    collagen = trust * weighted_quantile(place[found], weight[found], 0.5) + (1 - trust) * typical
    own_chroma = weighted_quantile(chroma[found], weight[found], 0.5)
    strength = trust * own_chroma + (1 - trust) * 0.5 * reference
    return StainModel(
        definition=definition,
        white_rgb=(float(white[0]), float(white[1]), float(white[2])),
        white_gain=(float(gain[0]), float(gain[1]), float(gain[2])),
        white_depth=white_depth,
        chroma_floor=float(max(least_chroma, _HALF * strength)),
        counter_deg=counter,
        collagen_deg=float(collagen),
        threshold_deg=threshold,
        sensitivity_deg=_SENSITIVITY * abs(typical),
        upper_deg=float(max(collagen, typical) + definition.beyond_deg),
        collagen_seen=bool(trust >= 1.0),
        unusual=_is_unusual(place, weight * coloured, tissue_weight, definition),
    )


def _border(
    place: NDArray[np.floating[Any]], weight: NDArray[np.float64], definition: StainDefinition
) -> tuple[float, float]:
    """Position of the border between the stains, and the slide's own counterstain.

    The border starts at its typical place and is carried along with the slide's counterstain, the
    middle of all that lies before it: nine tenths of most livers, so always well known, and moved
    by white balance, clipping and batch just as collagen's colour is.
    """
    typical = float(definition.position(definition.collagen_hue_deg.typical))
    low, high = _positions(definition, definition.counter_hue_deg)
    usual = definition.threshold_part * typical
    border, counter = usual, 0.0
    for _ in range(3):
        before = place < border
        if weight[before].sum() > 0:
            counter = float(np.clip(weighted_quantile(place[before], weight[before], 0.5), low, high))
        own = counter + definition.threshold_part * (typical - counter)
        border = definition.follow_part * own + (1 - definition.follow_part) * usual
    return border, counter


def _is_unusual(
    place: NDArray[np.floating[Any]],
    weight: NDArray[np.float64],
    tissue_weight: float,
    definition: StainDefinition,
) -> bool:
    """Whether too little of the tissue has one of the stain's two colours."""
    explained = sum(
        float(weight[(place >= low) & (place <= high)].sum())
        for low, high in (
            _positions(definition, definition.counter_hue_deg),
            _positions(definition, definition.collagen_hue_deg),
        )
    )
    return bool(tissue_weight <= 0 or explained < _EXPLAINED * tissue_weight)


def classify_colours(colours: NDArray[np.float32], model: StainModel) -> NDArray[np.uint8]:
    """Class of each RGB colour, shape (n, 3) -> (n,): WHITE, TISSUE or a collagen class."""
    white = np.asarray(model.white_rgb, dtype=np.float32)
    depth = (white - colours).max(axis=1)
    hue, chroma = hue_and_chroma(colours * np.asarray(model.white_gain, dtype=np.float32))
    place = model.definition.position(hue)
    tinted = (chroma >= model.chroma_floor) & (place <= model.upper_deg)
    classes = np.full(len(colours), TISSUE, dtype=np.uint8)
    for offset, code in ((-1, COLLAGEN_LENIENT), (0, COLLAGEN), (1, COLLAGEN_STRICT)):
        border = model.threshold_deg + offset * model.sensitivity_deg
        classes[tinted & (place >= border)] = code
    classes[depth < model.white_depth] = WHITE
    return classes


def compile_table(model: StainModel) -> NDArray[np.uint8]:
    """The model as a lookup table over colours with 7 bits a channel: 2 MB, one read a pixel."""
    return classify_colours(cube_colours(TABLE_BITS), model)


def classify(rgb: NDArray[np.uint8], table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Class of each pixel of an RGB picture, shape (height, width)."""
    return table.take(cube_index(rgb, TABLE_BITS))


def _positions(definition: StainDefinition, hues: HueRange) -> tuple[float, float]:
    ends = sorted(float(definition.position(hue)) for hue in (hues.low, hues.high))
    return ends[0], ends[1]


def weighted_quantile(
    values: NDArray[np.floating[Any]], weight: NDArray[np.float64], part: float
) -> float:
    """Value below which ``part`` of the weight lies; 0 without values."""
    if values.size == 0 or weight.sum() <= 0:
        return 0.0
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(total, part * total[-1])])
