"""Turn a rule over colours into a lookup table, and apply it to whole images."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from .glass import Appearance, Glass
from .hue import cube_axis
from .model import StainModel, classify_seen

#: Bits kept per channel in the table.
TABLE_BITS = 7
# Pixels that are classified at a time.
_CLASSIFIED_PX = 1 << 16
#: Value of a colour that was not met yet. A rule may give it too: such colours are worked out
#: again each time.
_UNKNOWN = 255
# Last bits of a channel in which colours may differ that are worked out together: one at a time,
# every part of a slide would bring a few new ones. After so many times the rest follows, so many
# cells at once.
_CELL_BITS, _TIMES, _CELLS_AT_ONCE = 2, 64, 2048


class ColourTable:
    """A rule over colours, worked out for those that are met.

    A picture has some hundredth of all the colours there are: to work out the others took longer
    than all else that is done to a photographed field. Threads may share a table: at worst they
    work out the same values.

    Args:
        rule: the class of each colour.
        glass: what colours are read against.
    """

    def __init__(self, rule: Callable[[Appearance], NDArray[np.uint8]], glass: Glass) -> None:
        self._rule, self._glass = rule, glass
        side = 1 << TABLE_BITS
        #: A picture whose row is a colour's blue and whose column is red + 256 green, each with
        #: its last bit dropped. OpenCV takes pictures of up to 32,766 columns; the last ones are
        #: never asked for.
        self.values = np.full((side, side * 256 - side), _UNKNOWN, dtype=np.uint8)
        self._times = 0

    def learn(self, words: NDArray[np.uint32]) -> None:
        """Work out colours given as red + 256 green + 65536 blue, each without its last bit."""
        self._times += 1
        step = 1 << _CELL_BITS
        if self._times == _TIMES:
            cells = _cube(range(0, 1 << TABLE_BITS, step))
        else:
            cells = np.unique(words & np.uint32(0x010101 * ((1 << TABLE_BITS) - step)))
        axis, within = cube_axis(TABLE_BITS), _cube(range(step))
        for first in range(0, len(cells), _CELLS_AT_ONCE):  # in parts, to spare memory
            words = (cells[first : first + _CELLS_AT_ONCE, None] | within).reshape(-1)
            red, green, blue = (axis[words >> shift & 0x7F] for shift in (0, 8, 16))
            classes = self._rule(self._glass.appearance(red, green, blue))
            self.values[words >> 16, words & 0x7F7F] = classes


def _cube(steps: range) -> NDArray[np.uint32]:
    """All colours of such channels, as :meth:`ColourTable.learn` takes them."""
    axis = np.array(steps, dtype=np.uint32)
    words = axis[:, None, None] << 16 | axis[:, None] << 8 | axis
    return np.asarray(words, dtype=np.uint32).reshape(-1)


def compile_table(model: StainModel) -> ColourTable:
    """The model as a lookup table for :func:`classify`."""
    return ColourTable(lambda seen: classify_seen(seen, model), model.glass)


def classify(
    rgb: NDArray[np.uint8], table: ColourTable, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """The table's value for each pixel of an RGB picture, shape (height, width).

    The picture, four bytes a pixel, is read as OpenCV's map of integer coordinates (two 16-bit
    numbers a pixel), and OpenCV does the look-up: five times as quick as numpy's.

    Args:
        rgb: shape (height, width, 3).
        table: what is looked up.
        out: where to put the values, whole rows of an array; made where it is missing.
    """
    out = np.empty(rgb.shape[:2], dtype=np.uint8) if out is None else out
    rows = max(1, _CLASSIFIED_PX // max(1, rgb.shape[1]))
    for top in range(0, len(rgb), rows):  # in parts, to spare memory
        place = cv2.cvtColor(rgb[top : top + rows], cv2.COLOR_RGB2RGBA)
        words = place.reshape(-1).view(np.uint32)
        np.right_shift(words, 1, out=words)
        np.bitwise_and(words, np.uint32(0x007F7F7F), out=words)
        part = out[top : top + rows]
        cv2.remap(table.values, place.view(np.int16), None, cv2.INTER_NEAREST, dst=part)
        unknown = part.reshape(-1) == _UNKNOWN
        if unknown.any():
            table.learn(words[unknown])
            cv2.remap(table.values, place.view(np.int16), None, cv2.INTER_NEAREST, dst=part)
    return out
