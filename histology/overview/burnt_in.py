"""Scale bars and lettering burnt into a picture, pure: flat, in a colour that no stain has."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

#: A channel of a drawn colour is empty or full, give or take what JPEG changes.
_EMPTY, _FULL = 24, 231
#: A bar fills its box, is so many times longer than wide and so many pixels long.
_FILLS, _ASPECT, _LEAST_PX = 0.9, 3.0, 20
#: What is mixed at the edges of lettering goes with it.
_MARGIN_PX = 3


def burnt_in(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where a coloured scale bar, and lettering of its colour, are drawn over a picture.

    Black and white ones are found with the marks and the glass. Each drawn colour counts only if
    there is a bar of it: a long rectangle along the rows or columns.

    Args:
        rgb: overview, shape (height, width, 3).
    """
    out = np.zeros(rgb.shape[:2], dtype=bool)
    empty, full = rgb <= _EMPTY, rgb >= _FULL
    if not (empty | full).all(axis=2).any():
        return out
    for code in range(1, 7):  # red, green, blue and their mixtures; neither black nor white
        wanted = [full[..., n] if code >> n & 1 else empty[..., n] for n in range(3)]
        drawn = wanted[0] & wanted[1] & wanted[2]
        if np.count_nonzero(drawn) >= _LEAST_PX and _has_bar(drawn):
            out |= drawn
    if not out.any():
        return out
    size = 2 * _MARGIN_PX + 1
    return cv2.dilate(out.view(np.uint8), np.ones((size, size), np.uint8)) > 0


def _has_bar(drawn: NDArray[np.bool_]) -> bool:
    _, _, stats, _ = cv2.connectedComponentsWithStats(drawn.view(np.uint8), connectivity=8)
    for _, _, width, height, area in stats[1:].tolist():
        long, short = max(width, height), min(width, height)
        if long >= max(_LEAST_PX, _ASPECT * short) and area >= _FILLS * width * height:
            return True
    return False
