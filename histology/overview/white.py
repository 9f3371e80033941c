"""Empty glass on an overview, pure: the bright, smooth mode, whatever colour the lamp gives it."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ..colour.glass import ASSUMED_WHITE, Glass
from .fill import white_fill

#: Least part of an overview that is glass, for its colour to be known.
_SEEN = 0.003
#: Next to parts filled with white: part of the rest that must be glass, most that the middle half
#: of its pixels may differ, and how much darker it must be, which is where tissue begins.
_PLENTY, _ALIKE, _CLEARLY_DARKER = 0.03, 6.0, 8.0
#: Glass under a lamp of another colour: how bright it is against the brightest, bits kept of a
#: channel while its mode is looked for, and how far its pixels lie from that.
_BRIGHT, _MODE_BITS, _NEAR_MODE, _OF_MODE = 0.88, 6, 8, 6
#: A tint is the distance of the channels as part of the largest. Up to each tint there may be
#: so many pixels just darker than the mode, as part of those in it: a
#: field of pale yellow tissue from edge to edge has no valley below its brightest colours.
_TINTS = ((0.20, 1.2), (0.255, 0.9))
_VALLEY = (12, 24)
#: Open glass of more than the first part of the picture has a deeper valley than the narrow gaps
#: between cells, by the second; an overexposed field of pale tissue has not.
_OPEN_PART, _OPEN = 0.05, 0.42
#: Pale tissue that a blue lamp makes neutral is no mode of its own: coloured pixels just darker
#: than it abound. So many there may be, as part of those like it: where it is less than the part
#: of the picture that counts as open glass, and where it is more. A pixel is coloured if its
#: channels lie so far apart, as part of its distance: glass in the shade of a vignette is not.
_DISTINCT, _DISTINCT_OPEN, _COLOURED_PART = 2.5, 1.3, 0.3
_LEAST_PX = 30
#: Where something neutral was seen as well, a mode with so much tint is the glass if it is so much
#: brighter: under a blue lamp pale yellow tissue is neutral.
_TINTED, _BRIGHTER = 0.06, 3.0


def find_glass(rgb: NDArray[np.uint8]) -> Glass:
    """Empty glass on an overview.

    Glass is smooth, as bright as anything on the slide, and of one colour: neutral under most
    lamps, else that of the brightest mode, up to a tint of a quarter of its brightness. A field
    that is tissue from edge to edge shows none; :data:`ASSUMED_WHITE` is returned then. Where parts
    that were never scanned are filled with white, the glass next to them counts if it is plenty,
    alike and clearly darker. Neutral "glass" that darker, coloured pixels run into may be pale
    tissue: it is returned as not seen for sure.

    Args:
        rgb: overview, shape (height, width, 3).
    """
    fill = white_fill(rgb)
    picture = _Smoothed.of(rgb)
    if fill is not None:
        scanned = _neutral_glass(picture, ~fill)
        if (
            scanned.part >= _PLENTY
            and scanned.spread <= _ALIKE
            and min(scanned.colour) <= 255.0 - _CLEARLY_DARKER
        ):
            return Glass(scanned.colour)
        tinted = _tinted_glass(_Smoothed.of(np.where(fill[..., None], 0, rgb).astype(np.uint8)))
        if tinted is not None:
            return Glass(tinted.colour)
    neutral, tinted = _neutral_glass(picture), _tinted_glass(picture)
    if tinted is not None:
        tint = 1 - min(tinted.colour) / max(tinted.colour)
        brighter = (sum(tinted.colour) - sum(neutral.colour)) / len(tinted.colour)
        if neutral.part < _SEEN or (tint >= _TINTED and brighter >= _BRIGHTER):
            return Glass(tinted.colour)
    if neutral.part < _SEEN:
        return ASSUMED_WHITE
    return Glass(neutral.colour, seen=_is_distinct(picture.rgb, neutral))


class _Smoothed(NamedTuple):
    """An overview averaged over 3 x 3 pixels."""

    rgb: NDArray[np.uint8]
    """Shape (height, width, 3)."""
    brightness: NDArray[np.uint8]
    """Mean of the channels, shape (height, width)."""
    rough: NDArray[np.uint8]
    """How far green differs within 3 x 3 pixels before averaging."""

    @classmethod
    def of(cls, rgb: NDArray[np.uint8]) -> _Smoothed:
        smooth = np.asarray(cv2.blur(rgb, (3, 3)), dtype=np.uint8)
        brightness = cv2.transform(smooth, np.full((1, 3), 1 / 3, np.float32))
        green = np.ascontiguousarray(rgb[..., 1])
        rough = cv2.morphologyEx(green, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        return cls(smooth, np.asarray(brightness), np.asarray(rough))


def _is_distinct(smooth: NDArray[np.uint8], glass: _Seen) -> bool:
    """Whether few coloured pixels of the smoothed overview are just darker than the glass."""
    colour = np.rint(glass.colour)
    most, least = _ends(_below(colour, smooth))
    valley = (most > _VALLEY[0]) & (most <= _VALLEY[1])
    valley &= cv2.subtract(most, least) > _COLOURED_PART * most
    low, high = (tuple(colour + sign * _OF_MODE) for sign in (-1, 1))
    near = cv2.countNonZero(cv2.inRange(smooth, low, high))
    limit = _DISTINCT_OPEN if near >= _OPEN_PART * most.size else _DISTINCT
    return bool(np.count_nonzero(valley) <= limit * near)


class _Seen(NamedTuple):
    """Glass on an overview: its colour, its part of the area, how far its brightness spreads."""

    colour: tuple[float, float, float]
    part: float
    spread: float


def _neutral_glass(picture: _Smoothed, where: NDArray[np.bool_] | None = None) -> _Seen:
    """Neutral glass on an overview, or on the part of it given by ``where``."""
    smooth, brightness, rough = picture
    most, least = _ends(smooth)
    top = percentile(brightness if where is None else brightness[where], 99.5)
    glass = (brightness > 0.88 * top) & (cv2.subtract(most, least) < 0.10 * top) & (rough < 14)
    area_px = glass.size
    if where is not None:
        glass &= where
        area_px = np.count_nonzero(where)
    if top <= 60 or not glass.any():
        return _Seen(ASSUMED_WHITE.rgb, 0.0, 0.0)
    part = np.count_nonzero(glass) / area_px
    red, green, blue = _medians(smooth, glass)
    seen = brightness[glass]
    return _Seen((red, green, blue), part, percentile(seen, 75) - percentile(seen, 25))


def _tinted_glass(picture: _Smoothed) -> _Seen | None:
    """The brightest smooth mode of colour, where it stands apart from darker colours as glass."""
    smooth, brightness, rough = picture
    top = percentile(brightness, 99.5)
    even = rough < 14
    bright = (even & (brightness > _BRIGHT * top)).view(np.uint8)
    if top <= 60 or cv2.countNonZero(bright) < _LEAST_PX:
        return None
    mode = _mode(smooth, bright)
    distance = cv2.absdiff(smooth, _scalar(mode))
    near = even & (_ends(distance)[0] <= _NEAR_MODE)
    if np.count_nonzero(near) < _SEEN * near.size:
        return None
    colour = np.array(_medians(smooth, near))
    low, high = (tuple(colour + sign * _OF_MODE) for sign in (-1, 1))
    inside = float(cv2.countNonZero(cv2.inRange(smooth, low, high)))
    darker, _ = _ends(_below(colour, smooth))
    below = np.count_nonzero((darker > _VALLEY[0]) & (darker <= _VALLEY[1]))
    tint = float((colour.max() - colour.min()) / colour.max())
    part = float(near.mean())
    inside *= _OPEN if part >= _OPEN_PART else 1.0
    if not any(tint <= limit and below <= most * inside for limit, most in _TINTS):
        return None
    red, green, blue = colour.tolist()
    return _Seen((red, green, blue), part, 0.0)


def _mode(rgb: NDArray[np.uint8], where: NDArray[np.uint8]) -> list[float]:
    """The most frequent colour where the mask is set."""
    side, step = 1 << _MODE_BITS, 256 >> _MODE_BITS
    counts = cv2.calcHist([rgb], [0, 1, 2], where, [side] * 3, [0, 256] * 3)
    for axis in range(3):  # with the neighbouring bins: noise spreads over them
        padded = np.pad(counts, [(1, 1) if n == axis else (0, 0) for n in range(3)])
        parts = [np.take(padded, range(k, k + side), axis=axis) for k in range(3)]
        counts = parts[0] + parts[1] + parts[2]
    places = np.unravel_index(int(np.argmax(counts)), counts.shape)
    return [float(place * step + step // 2) for place in places]


def _ends(rgb: NDArray[np.uint8] | cv2.typing.MatLike) -> tuple[NDArray[np.uint8], ...]:
    """The largest and the least channel of each pixel."""
    red, green, blue = cv2.split(rgb)
    ends = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    return tuple(np.asarray(end) for end in ends)


def _below(colour: NDArray[np.float64], rgb: NDArray[np.uint8]) -> cv2.typing.MatLike:
    """How far each channel lies below a colour of whole numbers, 0 where it does not."""
    return cv2.subtract(_scalar(colour), rgb)


def _scalar(colour: NDArray[np.float64] | list[float]) -> NDArray[np.float64]:
    """A colour as OpenCV takes it in place of a picture: four numbers."""
    return np.array([*colour, 0.0])


def _medians(rgb: NDArray[np.uint8], where: NDArray[np.bool_]) -> list[float]:
    """Median of each channel where the mask is set."""
    return [
        _percentile_of_counts(
            cv2.calcHist([rgb], [channel], where.view(np.uint8), [256], [0, 256]), 50.0
        )
        for channel in range(3)
    ]


def percentile(values: NDArray[np.uint8], percent: float = 50.0) -> float:
    """Percentile of 8-bit values, without sorting them."""
    return _percentile_of_counts(
        cv2.calcHist([values.reshape(1, -1)], [0], None, [256], [0, 256]), percent
    )


def _percentile_of_counts(counts: cv2.typing.MatLike, percent: float) -> float:
    total = np.cumsum(counts.ravel(), dtype=np.float64)
    return float(np.searchsorted(total, percent / 100.0 * total[-1]))
