"""Turn a rule over colours into a lookup table, and apply it to whole images."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from .glass import Appearance, Glass
from .hue import cube_axis
from .model import StainModel, classify_seen

#: Bits kept per channel in the table.
TABLE_BITS = 7
# Reds of a table that are made at a time, and pixels that are classified at a time.
_REDS_AT_ONCE, _CLASSIFIED_PX = 8, 1 << 16


def compile_table(model: StainModel, threads: int = 1) -> NDArray[np.uint8]:
    """The model as a lookup table for :func:`classify`, built with the given number of threads."""
    return colour_table(lambda seen: classify_seen(seen, model), model.glass, threads)


def colour_table(
    rule: Callable[[Appearance], NDArray[np.uint8]], glass: Glass, threads: int = 1
) -> NDArray[np.uint8]:
    """A rule over colours as a table for :func:`classify`.

    Args:
        rule: the class of each colour.
        glass: what colours are read against.
        threads: parts of the table that are made at the same time.

    Returns:
        A picture whose row is a colour's blue and whose column is red + 256 green, each with its
        last bit dropped; shape (128, 32640).
    """
    side = 1 << TABLE_BITS
    table = np.zeros((side, side, 256), dtype=np.uint8)

    def fill(red: int, seen: Appearance) -> None:
        classes = rule(seen).reshape(-1, side, side)
        table[:, :, red : red + _REDS_AT_ONCE] = classes.transpose(2, 1, 0)

    with ThreadPoolExecutor(threads) as pool:  # in parts, to spare memory
        list(pool.map(fill, range(0, side, _REDS_AT_ONCE), _seen_cube(glass, threads)))
    # OpenCV takes pictures of up to 32,766 columns; the last ones are never asked for
    return np.ascontiguousarray(table.reshape(side, side * 256)[:, : side * 256 - side])


@lru_cache(maxsize=1)  # 25 MB; the tables of a slide are all read against one glass
def _seen_cube(glass: Glass, threads: int) -> tuple[Appearance, ...]:
    """The colours of a table, so many reds at a time, as the rules ask for them."""
    axis = cube_axis(TABLE_BITS)

    def see(red: int) -> Appearance:
        reds = axis[red : red + _REDS_AT_ONCE, None, None]
        seen = glass.appearance(reds, axis[:, None], axis)
        for values in seen:
            values.flags.writeable = False  # every rule gets the same
        return seen

    with ThreadPoolExecutor(threads) as pool:
        return tuple(pool.map(see, range(0, 1 << TABLE_BITS, _REDS_AT_ONCE)))


def classify(
    rgb: NDArray[np.uint8], table: NDArray[np.uint8], out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """The table's value for each pixel of an RGB picture, shape (height, width).

    The picture, four bytes a pixel, is read as OpenCV's map of integer coordinates (two 16-bit
    numbers a pixel), and OpenCV does the look-up: five times as quick as numpy's.

    Args:
        rgb: shape (height, width, 3).
        table: from :func:`colour_table`.
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
        cv2.remap(table, place.view(np.int16), None, cv2.INTER_NEAREST, dst=part)
    return out
