"""Give pixels that were never scanned the colour of the glass next to them.

A file's own word for it is often plain white. Next to it scanned glass, which is darker, would be
taken for dirt, and lumens for tissue.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..overview.white import find_glass
from ..slide import RgbImage

#: Glass is looked for on the coarsest level with at least this many pixels.
_LEAST_PX, _MOST_PX = 500_000, 10_000_000

Colour = tuple[int, int, int]


def level_for_glass(sizes_px: Sequence[tuple[int, int]]) -> int | None:
    """The level on which to look for glass; None if that would be too large to read at once.

    Args:
        sizes_px: width and height of each level, finest first.
    """
    pixels = [width * height for width, height in sizes_px]
    level = max((n for n, count in enumerate(pixels) if count >= _LEAST_PX), default=0)
    return level if pixels[level] <= _MOST_PX else None


def glass_colour(rgb: RgbImage, scanned: NDArray[np.bool_]) -> Colour | None:
    """The colour of scanned glass; None if none is seen.

    Args:
        rgb: a level, shape (height, width, 3).
        scanned: which of its pixels were scanned, shape (height, width).
    """
    glass = find_glass(np.where(scanned[..., None], rgb, 0).astype(np.uint8))
    red, green, blue = (round(channel) for channel in glass.rgb)
    return (red, green, blue) if glass.seen else None
