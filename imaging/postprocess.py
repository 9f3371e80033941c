"""From a network's liver probability to one solid liver. Pure: arrays in, arrays out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def keep_largest(probability: NDArray[np.float32], threshold: float = 0.5) -> NDArray[np.float32]:
    """Blank everything but the largest region above the threshold and its soft rim.

    Args:
        probability: (x, y, z).
        threshold: what counts as inside.

    Returns:
        a copy; all zero where nothing is above the threshold.
    """
    regions, count = ndimage.label(probability > threshold)
    if count == 0:
        return np.zeros_like(probability)
    largest = int(np.argmax(np.bincount(regions.ravel())[1:])) + 1
    rim = ndimage.binary_dilation(regions == largest, iterations=2)
    others = (regions > 0) & (regions != largest)
    return np.where(rim & ~others, probability, 0).astype(np.float32)


def fill_holes(probability: NDArray[np.float32], threshold: float = 0.5) -> NDArray[np.float32]:
    """Raise to 1 what is fully enclosed by the organ: vessels and cysts belong to its volume."""
    inside = probability > threshold
    holes = ndimage.binary_fill_holes(inside) & ~inside
    return np.where(holes, np.float32(1.0), probability)


def solid_organ(probability: NDArray[np.float32], threshold: float = 0.5) -> NDArray[np.float32]:
    """The largest region alone, its holes filled: what the liver's volume is taken from.

    Args:
        probability: (x, y, z).
        threshold: what counts as inside.
    """
    return fill_holes(keep_largest(probability, threshold), threshold)
