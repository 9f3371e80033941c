"""Scale bars, arrows and lettering burnt into a picture, pure: flat, of a colour that stands alone.

Tissue has texture: few neighbours have exactly the same colour, and shades run into each other.
What a program drew is flat, and the colours next to its own are missing. So they are in a picture
saved with few colours, but there noise scatters each.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

#: Least distance of the channels: black and white drawings are found with the marks and the glass.
_COLOURED = 60
#: Least pixels of a drawn colour, colours that are tried, and the largest part that drawings cover
#: of all that is darker than white: where flat colours are more, the whole picture is drawn.
_LEAST_PX, _TRIED, _MOST_PART = 40, 12, 0.1
#: Colours of a drawing. Where more stand alone, or one of them is scattered, it is the picture's
#: own colours that do: it was saved with a palette, whose colours lie apart.
_MOST_COLOURS = 4
#: What is drawn lies this near to its colour, and is so large a part of all that lies within a
#: wider distance; within a still wider one if its colour is a pure one, which JPEG changes.
_NEAR, _AROUND, _AROUND_PURE, _ALONE = 2, 12, 60, 0.6
#: Least part of a drawn colour that lies in squares of this side: a line is two pixels wide (1.00
#: on drawn bars and lettering). In a picture of few colours noise scatters them (0.2 to 0.9).
_SOLID_PX, _SOLID = 2, 0.9
#: A bar: pixels along it, the same in each row or column, and how much of its box it fills.
_BAR_PX, _THICK_PX, _FILLS, _ASPECT = 40, 3, 0.9, 3.0
#: A channel of a pure colour is empty or full, give or take what JPEG changes.
_EMPTY, _FULL = 24, 231
#: What is mixed at the edges goes with it.
_MARGIN_PX = 3


def burnt_in(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where coloured scale bars, arrows and lettering are drawn over a picture.

    A flat colour counts as drawn if it stands alone, and a pure one (each channel empty or full)
    also if there is a bar of it: a long rectangle along the rows or columns. Black and white ones
    are found with the marks and the glass.

    Args:
        rgb: overview, shape (height, width, 3).
    """
    out = np.zeros(rgb.shape[:2], dtype=bool)
    red, green, blue = cv2.split(rgb)
    most, least = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    largest = _MOST_PART * np.count_nonzero(least < _FULL)
    empty, full = rgb <= _EMPTY, rgb >= _FULL
    if ((most >= _FULL) & (least <= _EMPTY)).any():
        for code in range(1, 7):  # red, green, blue and their mixtures; neither black nor white
            wanted = [full[..., n] if code >> n & 1 else empty[..., n] for n in range(3)]
            drawn = wanted[0] & wanted[1] & wanted[2]
            pure = np.array([255 * (code >> n & 1) for n in range(3)], dtype=np.uint8)
            if np.count_nonzero(drawn) >= _LEAST_PX and (
                _has_bar(drawn) or _stands_alone(rgb, pure, drawn, _AROUND_PURE)
            ):
                out |= drawn
    rough = cv2.split(cv2.morphologyEx(rgb, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)))
    flat = cv2.max(cv2.max(rough[0], rough[1]), rough[2]) == 0
    flat &= (cv2.subtract(most, least) >= _COLOURED) & ~out
    if _LEAST_PX <= np.count_nonzero(flat) <= largest:
        alone = [
            drawn
            for colour in _frequent(rgb[flat])
            if np.count_nonzero(drawn := _within(rgb, colour, _NEAR)) <= largest
            and _stands_alone(rgb, colour, drawn, _AROUND)
        ]
        if len(alone) <= _MOST_COLOURS and all(_is_solid(drawn) for drawn in alone):
            for drawn in alone:
                out |= drawn
    if not out.any():
        return out
    size = 2 * _MARGIN_PX + 1
    return cv2.dilate(out.view(np.uint8), np.ones((size, size), np.uint8)) > 0


def _frequent(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The few colours of (n, 3) that many pixels have."""
    codes = colours.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    values, counts = np.unique(codes, return_counts=True)
    first = np.argsort(-counts, kind="stable")[:_TRIED]
    codes = values[first][counts[first] >= _LEAST_PX]
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.uint8)


def _within(rgb: NDArray[np.uint8], colour: NDArray[np.uint8], reach: int) -> NDArray[np.bool_]:
    low, high = (tuple((colour.astype(float) + sign * reach).tolist()) for sign in (-1, 1))
    return np.asarray(cv2.inRange(rgb, low, high)) > 0


def _stands_alone(
    rgb: NDArray[np.uint8], colour: NDArray[np.uint8], drawn: NDArray[np.bool_], reach: int
) -> bool:
    """Whether few pixels have nearly its colour; those at its own blurred edges do not count."""
    edge = cv2.dilate(drawn.view(np.uint8), np.ones((5, 5), np.uint8)) > 0
    others = _within(rgb, colour, reach) & ~edge
    exact = np.count_nonzero(drawn)
    return bool(exact >= _ALONE * (exact + np.count_nonzero(others)))


def _is_solid(drawn: NDArray[np.bool_]) -> bool:
    square = np.ones((_SOLID_PX, _SOLID_PX), np.uint8)
    solid = cv2.morphologyEx(drawn.view(np.uint8), cv2.MORPH_OPEN, square)
    return bool(np.count_nonzero(solid) >= _SOLID * np.count_nonzero(drawn))


def _has_bar(drawn: NDArray[np.bool_]) -> bool:
    for box in ((_BAR_PX, _THICK_PX), (_THICK_PX, _BAR_PX)):  # columns, rows
        kernel = np.ones(box[::-1], np.uint8)
        bars = cv2.morphologyEx(drawn.view(np.uint8), cv2.MORPH_OPEN, kernel)
        _, _, stats, _ = cv2.connectedComponentsWithStats(bars, connectivity=8)
        for _, _, width, height, area in stats[1:].tolist():
            long, short = max(width, height), min(width, height)
            if long >= _ASPECT * short and area >= _FILLS * width * height:
                return True
    return False
