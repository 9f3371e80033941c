"""Thin a mask to its midlines. Pure.

The method of Zhang and Suen (Communications of the ACM 1984, 27:3) with the few exceptions that
scikit-image's ``skeletonize`` makes, for its result to the pixel. That one looks at all pixels each
time, and takes half a second to import; only those next to a change can have become the edge.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

#: The neighbours of a pixel clockwise from the upper left one, as rows and columns.
_NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
# In which pass, 1 or 2 or 1 + 2 = both, pixels go with neighbours whose bits are these, where that
# is another than the published rule says: oblique lines two pixels wide are not broken, and
# corners are taken off.
_EXCEPTIONS = {
    3: 1, 6: 1, 10: 3, 11: 1, 12: 1, 14: 1, 24: 2, 26: 2, 40: 3, 48: 0, 56: 2, 96: 2, 104: 2,
    108: 2, 129: 0, 130: 3, 131: 1, 134: 1, 160: 3, 161: 1, 176: 2, 192: 2, 194: 1, 198: 1, 224: 2,
}  # fmt: skip


def _passes(bits: int) -> int:
    """In which pass a pixel goes that has the neighbours given by bits of :data:`_NEIGHBOURS`."""
    if bits in _EXCEPTIONS:
        return _EXCEPTIONS[bits]
    ring = [bool(bits >> place & 1) for place in range(8)]
    begins = sum(ring[place] and not ring[place - 1] for place in range(8))
    if begins != 1 or not 2 <= sum(ring) <= 6:
        return 0
    above, right, below, left = ring[1::2]
    first = not (right and below and (above or left))
    second = not (above and left and (right or below))
    return first + 2 * second


_GOES = np.array([[_passes(bits) & number for bits in range(256)] for number in (1, 2)]) > 0


def thinned(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask thinned to lines of one pixel."""
    plane = np.pad(mask, 1)
    width = plane.shape[1]
    pixels = plane.reshape(-1)
    around = np.array([row * width + column for row, column in _NEIGHBOURS])
    last = np.zeros(pixels.size, dtype=np.int32)
    inner = cv2.erode(plane.view(np.uint8), np.ones((3, 3), np.uint8))
    edge = np.flatnonzero(plane & (inner == 0))
    before = edge[:0]
    still = number = 0
    while still < 2:
        # what was next to a change before the last pass has not been asked by this one's rule yet
        asked = np.concatenate([edge, before[pixels[before]]])
        bits = np.packbits(pixels[asked[:, None] + around], axis=1, bitorder="little")[:, 0]
        gone = asked[_GOES[number][bits]]
        pixels[gone] = False
        near = (gone[:, None] + around).reshape(-1)
        near = near[pixels[near]]
        order = np.arange(near.size, dtype=np.int32)
        last[near] = order
        before, edge = edge, near[last[near] == order]  # each once
        still = 0 if gone.size else still + 1
        number = 1 - number
    return plane[1:-1, 1:-1].copy()
