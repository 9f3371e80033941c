"""Parts of a picture that were never scanned and hold white, black or grey; pure, on an overview.

Scanner software fills them tile by tile and an export pads with them, so their borders are
straight and lie along the rows and columns. Glass that is white because the scan is overexposed
ends at tissue, whose outline is neither.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ..colour.glass import Glass

#: Fill of less than this part of the picture changes nothing.
_LEAST_PART = 0.003
#: JPEG changes a few of the filled pixels next to the border, by no more than this.
_OFF = 3
#: Glass itself is no darker than its colour by more than this.
_DARKER = 8.0
#: A border is straight for this many pixels of an overview, give or take one.
_RUN_PX = 32
#: Part of the border that is straight. Clipped glass: up to 0.15; fill, JPEG included: 0.92 to 1.
_STRAIGHT_PART = 0.6


def white_fill(rgb: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """Where a picture is filled with exact white.

    Args:
        rgb: overview, shape (height, width, 3).

    Returns:
        Shape (height, width), the pixels mixed at its border included; None if there is none.
    """
    exact = np.full(3, 255)
    if cv2.countNonZero(cv2.inRange(rgb, exact, exact)) < _LEAST_PART * rgb[..., 0].size:
        return None
    return _straight_edged(cv2.inRange(rgb, exact - _OFF + 1, exact))


def dark_fill_as_glass(rgb: NDArray[np.uint8], glass: Glass) -> NDArray[np.uint8]:
    """The picture with glass where it is filled with black or a grey, which would pass for dirt.

    Args:
        rgb: overview, shape (height, width, 3).
        glass: empty glass.

    Returns:
        ``rgb`` itself where there is no such fill.
    """
    red, green, blue = cv2.split(rgb)
    most, least = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    even = cv2.morphologyEx(green, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) == 0
    even &= (cv2.subtract(most, least) < _OFF) & (most < min(glass.rgb) - _DARKER)
    counts = np.bincount(green[even], minlength=1)
    value = int(counts.argmax())
    if counts[value] < _LEAST_PART * even.size:
        return rgb
    grey = np.full(3, float(value))
    fill = _straight_edged(cv2.inRange(rgb, grey - _OFF, grey + _OFF))
    if fill is None:
        return rgb
    return np.where(fill[..., None], np.rint(glass.rgb).astype(np.uint8), rgb)


def _straight_edged(found: NDArray[np.uint8] | cv2.typing.MatLike) -> NDArray[np.bool_] | None:
    """The mask with its mixed border where most of its border is straight; else None."""
    mask = cv2.medianBlur(found, 5)
    border = straight = 0
    for turned in (mask, cv2.transpose(mask)):
        crossed = np.not_equal(turned[1:], turned[:-1]).view(np.uint8)
        near = cv2.dilate(crossed, np.ones((3, 1), np.uint8))
        runs = cv2.morphologyEx(near, cv2.MORPH_OPEN, np.ones((1, _RUN_PX), np.uint8))
        border += cv2.countNonZero(crossed)
        straight += cv2.countNonZero(crossed & runs)
    if not border or straight < _STRAIGHT_PART * border:
        return None
    return np.asarray(cv2.dilate(found, np.ones((5, 5), np.uint8))) > 0
