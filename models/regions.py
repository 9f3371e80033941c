"""Find connected regions of a mask. Pure: arrays in, arrays out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def label_largest(mask: NDArray[np.bool_]) -> tuple[NDArray[Any], int]:
    """Number the regions of a mask, whose pixels touch by their faces.

    Returns:
        each pixel's region, of the mask's shape, 0 outside; and the number of the largest region, 0
        where the mask is empty.
    """
    regions, count = ndimage.label(mask)
    if not count:
        return regions, 0
    return regions, int(np.argmax(np.bincount(regions.ravel())[1:])) + 1
