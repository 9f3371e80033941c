"""Turn a network's liver probability into one solid liver. Pure: arrays in, arrays out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..models.regions import label_largest

_RIM_VOXELS = 2  # of soft border that stays with the organ


def keep_largest(probability: NDArray[np.float32], threshold: float = 0.5) -> NDArray[np.float32]:
    """Blank everything but the largest region above the threshold and its soft rim.

    Args:
        probability: (x, y, z).
        threshold: what counts as inside.

    Returns:
        a copy; all zero where nothing is above the threshold.
    """
    regions, largest = label_largest(probability > threshold)
    if not largest:
        return np.zeros_like(probability)
    # in its box alone: a whole abdomen took longer than the network
    region = ndimage.find_objects(regions)[largest - 1]
    box = tuple(slice(max(s.start - _RIM_VOXELS, 0), s.stop + _RIM_VOXELS) for s in region)
    rim = ndimage.binary_dilation(regions[box] == largest, iterations=_RIM_VOXELS)
    others = (regions[box] > 0) & (regions[box] != largest)
    kept = np.zeros_like(probability, dtype=np.float32)
    kept[box] = np.where(rim & ~others, probability[box], 0)
    return kept


def fill_holes(probability: NDArray[np.float32], threshold: float = 0.5) -> NDArray[np.float32]:
    """Raise to 1 what is fully enclosed by the organ: vessels and cysts belong to its volume."""
    inside = probability > threshold
    found = ndimage.find_objects(inside.view(np.uint8))
    if not found:
        return probability
    holes = ndimage.binary_fill_holes(inside[found[0]]) & ~inside[found[0]]
    filled = probability.copy()
    filled[found[0]][holes] = 1.0
    return filled


def solid_organ(probability: NDArray[np.float32], threshold: float = 0.5) -> NDArray[np.float32]:
    """The largest region alone, its holes filled: what the liver's volume is taken from.

    Args:
        probability: (x, y, z).
        threshold: what counts as inside.
    """
    return fill_holes(keep_largest(probability, threshold), threshold)
