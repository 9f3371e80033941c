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

import cv2
import numpy as np
from numpy.typing import NDArray

#: Bits kept per channel in a colour histogram.
CUBE_BITS = 6

# White: a pixel whose distance from glass is under this part of the tissue's own median distance.
_WHITE_PART, _WHITE_DEPTHS = 0.3, (10.0, 45.0)
# A hue can be told from this chroma on, absolute and as part of the slide's strong colours.
_LEAST_CHROMA, _LEAST_CHROMA_PART = 6.0, 0.12
# Part of the tissue that must be collagen before its own colour is trusted in full.
_PLENTY = 0.02
# Turns of settling the border and the colours on its two sides; it moves under a degree after 4.
_TURNS = 5
# Shift of the border, as part of the distance between the stains, for the sensitivity.
_SENSITIVITY = 0.08
# Part of the tissue that must have one of the stain's two colours.
_EXPLAINED = 0.5
# Parts of the coloured tissue: least of the counterstain, least of collagen's colour (a normal
# liver has 1 to 2 %), most of hues beyond both.
_LEAST_COUNTER, _LEAST_COLLAGEN, _NEITHER = 0.1, 0.001, 0.25
# Part of the tissue that must be read as collagen. With fewer pixels (0.03 mm2 of 1 um) tissue may
# have none, and neither this nor its colour is missed.
_LEAST_READ, _JUDGED_PX = 0.0005, 30_000
# Part of the tissue that must lie beyond the border before its darkness and hue say that it is
# nuclei, and the part of that which haematoxylin's hues must hold.
_LEAST_NUCLEI, _ALL_NUCLEI = 0.02, 0.9

# Cells may be a much purer or a much duller red than collagen is blue or green: what counts as pure
# then follows collagen: at most this quantile of the pixels that have its dye beyond doubt, and at
# least this part of that; in full if they are this part of the tissue.
_DYE_PURITY, _DYE_LEAST, _DYE_PLENTY = 0.75, 0.85, 0.008

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
    """What a stain looks like on an average slide; see configs/stains.yaml."""

    name: str
    """Key in configs/stains.yaml ("psr", "masson", …)."""
    title: str
    """In words."""
    family: str
    """Stains of different families are never compared."""
    counter_hue_deg: HueRange
    """The rest of the tissue."""
    collagen_hue_deg: HueRange
    """Collagen."""
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
    read_hue_deg: tuple[float, float] | None = None
    """Range of the middle hue of what is read as collagen; None = any."""
    haematoxylin_deg: float | None = None
    """Hue between haematoxylin's and collagen's, where the two can be told apart because collagen's
    dye lets blue light pass; None = they cannot.
    """
    dye_deg: float | None = None
    """From this hue on a pixel has collagen's dye beyond doubt; None = not known."""

    @property
    def direction(self) -> int:
        """Sense of rotation of the shorter way from the counterstain's hue to collagen's."""
        way = wrap_deg(self.collagen_hue_deg.typical - self.counter_hue_deg.typical)
        return 1 if way > 0 else -1

    def position(self, hue_deg: NDArray[np.floating[Any]] | float) -> Any:
        """Degrees from the typical counterstain hue, positive towards collagen, -120 to 240."""
        turned = self.direction * (np.asarray(hue_deg) - self.counter_hue_deg.typical)
        return within_a_turn(turned + 120.0) - 120.0


@dataclass(frozen=True)
class StainModel:
    """A slide's own colours, from which every pixel's class follows."""

    definition: StainDefinition
    """The declared stain."""
    white_rgb: tuple[float, float, float]
    """Colour of empty glass."""
    white_gain: tuple[float, float, float]
    """Factors that make the glass neutral, one per channel."""
    white_depth: float
    """A pixel nearer to white than this (largest channel difference) is no tissue."""
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
    collagen_seen: bool
    """Whether collagen was plentiful enough to estimate its colour."""
    unusual: bool
    """Whether the slide does not look like its declared stain."""


def within_a_turn(angle_deg: Any) -> Any:
    """Angles of -360 to 720 degrees brought to 0 to 360.

    The same to the bit as numpy's remainder, which takes ten times as long.
    """
    turn = angle_deg.dtype.type(360)
    return angle_deg + turn * ((angle_deg < 0).astype(angle_deg.dtype) - (angle_deg >= turn))


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


def depth_from_white(
    colours: NDArray[np.floating[Any]], white_rgb: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Largest distance of a channel from white, shape (n, 3) -> (n,); negative where brighter."""
    # channel by channel: numpy's reduction over a last axis of three takes five times as long
    red, green, blue = (white_rgb[i] - colours[..., i] for i in range(3))
    return np.asarray(np.maximum(np.maximum(red, green), blue), dtype=np.float32)


def cube_colours(bits: int = CUBE_BITS, reds: slice = slice(None)) -> NDArray[np.float32]:
    """RGB at the middle of each bin of a colour cube, shape (2**(3 bits), 3); 0 and 255 kept.

    Args:
        bits: bits kept per channel.
        reds: only these bins of red.
    """
    side = 1 << bits
    step = 256 // side
    axis = (np.arange(side) * step + (step - 1) / 2).astype(np.float32)
    axis[0], axis[-1] = 0, 255  # a clipped channel stays clipped
    red, green, blue = np.meshgrid(axis[reds], axis, axis, indexing="ij")
    # channel after channel in memory: that is how they are used
    return np.stack([red.ravel(), green.ravel(), blue.ravel()]).T


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
    bins = [1 << CUBE_BITS] * 3
    counts = cv2.calcHist([rgb], [0, 1, 2], mask.view(np.uint8), bins, [0, 256] * 3)
    return np.asarray(counts.ravel(), dtype=np.int64)


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
    depth = depth_from_white(colours, white)
    hue, chroma = hue_and_chroma(colours * gain)
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
    usual_purity = weighted_quantile(purity[solid], weight[solid], 0.5)
    if definition.dye_deg is not None:
        dye = coloured & (place >= float(definition.position(definition.dye_deg)))
        dye &= place <= typical + definition.beyond_deg
        trust = min(1.0, float(weight[dye].sum()) / max(_DYE_PLENTY * tissue_weight, 1.0))
        own = weighted_quantile(purity[dye], weight[dye], _DYE_PURITY)
        usual_purity += trust * (float(np.clip(usual_purity, _DYE_LEAST * own, own)) - usual_purity)
    purity_floor = definition.purity_part * usual_purity
    pure = coloured & (purity >= purity_floor)
    blue = white[2] - colours[..., 2]
    seen = _Seen(place, blue, weight * coloured, weight * pure, tissue_weight)
    threshold, counter, collagen, trust = _border(seen, definition)
    found = pure & (place >= threshold) & (place <= typical + definition.beyond_deg)
    own_chroma = weighted_quantile(chroma[found], weight[found], 0.5)
    strength = trust * own_chroma + (1 - trust) * 0.5 * reference
    return StainModel(
        definition=definition,
        white_rgb=(float(white[0]), float(white[1]), float(white[2])),
        white_gain=(float(gain[0]), float(gain[1]), float(gain[2])),
        white_depth=white_depth,
        chroma_floor=float(max(least_chroma, definition.chroma_part * strength)),
        purity_floor=float(purity_floor),
        counter_deg=counter,
        collagen_deg=float(collagen),
        threshold_deg=threshold,
        sensitivity_deg=_SENSITIVITY * abs(typical),
        upper_deg=float(typical + definition.beyond_deg),
        collagen_seen=bool(trust >= 1.0),
        unusual=_is_unusual(seen, definition, threshold),
    )


@dataclass(frozen=True)
class _Seen:
    """The tissue's coloured pixels."""

    place: NDArray[np.floating[Any]]
    """Position on the definition's scale."""
    blue: NDArray[np.floating[Any]]
    """How far the blue channel lies below white: the blue light that is taken away."""
    coloured: NDArray[np.float64]
    """Weight of each colour, 0 where it has hardly any hue."""
    pure: NDArray[np.float64]
    """The same, 0 for nuclei and pigment as well."""
    tissue: float
    """Weight of all tissue."""


def _border(seen: _Seen, definition: StainDefinition) -> tuple[float, float, float, float]:
    """Where the border between the stains lies, by turns with the colours on its two sides.

    The border starts at its typical place. The counterstain is the middle of all that lies before
    it: nine tenths of most livers, so always well known, and moved by white balance, clipping and
    batch just as collagen's colour is. Where collagen is plentiful (a crop that is mostly scar)
    much of the rest is a mixture of both, and counts for as much as there is of it. Collagen is
    the middle of what lies beyond; a little of it is a poor witness of its own colour likewise.

    Returns:
        Border, counterstain, collagen, and how far collagen's own colour is trusted (0 to 1).
    """
    typical = float(definition.position(definition.collagen_hue_deg.typical))
    counter_low, counter_high = _positions(definition, definition.counter_hue_deg)
    collagen_low, collagen_high = _positions(definition, definition.collagen_hue_deg)
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
        trust = min(1.0, float(beyond.sum()) / max(_PLENTY * seen.tissue, 1.0))
        own_collagen = weighted_quantile(seen.place, beyond, 0.5) if trust > 0 else typical
        own_collagen = float(np.clip(own_collagen, collagen_low, collagen_high))
        collagen = trust * own_collagen + (1 - trust) * typical
        towards = typical + definition.own_collagen_part * (collagen - typical)
        own_border = counter + part * (towards - counter)
        border = follow * own_border + (1 - follow) * part * typical
    return border, counter, collagen, trust


def _is_unusual(seen: _Seen, definition: StainDefinition, border: float) -> bool:
    """Whether the tissue does not look like its stain.

    Too little of it has one of the two colours, hardly any has the counterstain's or collagen's
    (haematoxylin and eosin taken for picrosirius red is all "collagen", taken for a trichrome it
    often has none), or much has a hue that neither can have; or what is read as collagen has
    another stain's hue, or is nuclei.
    """
    ranges = [_positions(definition, definition.counter_hue_deg)]
    ranges.append(_positions(definition, definition.collagen_hue_deg))
    coloured = float(seen.coloured.sum())
    if seen.tissue <= 0 or coloured <= 0:
        return True

    def share(low: float, high: float) -> float:
        return float(seen.coloured[(seen.place >= low) & (seen.place <= high)].sum()) / coloured

    judged = seen.tissue >= _JUDGED_PX
    read = float(seen.pure[seen.place >= border].sum())
    explained = sum(share(low, high) for low, high in ranges) * coloured / seen.tissue
    neither = 1 - share(min(low for low, _ in ranges), max(high for _, high in ranges))
    return bool(
        explained < _EXPLAINED
        or share(ranges[0][0], border) < _LEAST_COUNTER
        or (judged and share(border, ranges[1][1]) < _LEAST_COLLAGEN)
        or (judged and read < _LEAST_READ * seen.tissue)
        or neither > _NEITHER
        or _has_another_hue(seen, definition, border)
        or _is_haematoxylin(seen, definition, border)
    )


def _has_another_hue(seen: _Seen, definition: StainDefinition, border: float) -> bool:
    """Whether the middle of what is read as collagen has a hue that its dye cannot have.

    Aniline blue declared as light green lies short of it, light green declared as blue past it.
    """
    if definition.read_hue_deg is None:
        return False
    read = seen.pure * (seen.place >= border)
    if read.sum() < _PLENTY * seen.tissue:
        return False
    low, high = _positions(definition, HueRange(0.0, *definition.read_hue_deg))
    return not low <= weighted_quantile(seen.place, read, 0.5) <= high


def _is_haematoxylin(seen: _Seen, definition: StainDefinition, border: float) -> bool:
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


def classify_colours(colours: NDArray[np.float32], model: StainModel) -> NDArray[np.uint8]:
    """Class of each RGB colour, shape (n, 3) -> (n,): WHITE, TISSUE or a collagen class."""
    white = np.asarray(model.white_rgb, dtype=np.float32)
    depth = depth_from_white(colours, white)
    hue, chroma = hue_and_chroma(colours * np.asarray(model.white_gain, dtype=np.float32))
    place = model.definition.position(hue)
    tinted = (
        (chroma >= model.chroma_floor)
        & (chroma >= model.purity_floor * depth)
        & (place <= model.upper_deg)
    )
    classes = np.full(len(colours), TISSUE, dtype=np.uint8)
    for offset, code in ((-1, COLLAGEN_LENIENT), (0, COLLAGEN), (1, COLLAGEN_STRICT)):
        border = model.threshold_deg + offset * model.sensitivity_deg
        classes[tinted & (place >= border)] = code
    classes[depth < model.white_depth] = WHITE
    return classes


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
