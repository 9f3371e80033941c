"""Compute volumes, their limits and what touches the edge of the scan. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def volume_ml(mask: NDArray[np.bool_], voxel_volume_ml: float) -> float:
    """Sum of the segmented voxels' volumes, in mL (DICOM's SumOfSegmentedVoxelMethodForVolume)."""
    return float(int(np.count_nonzero(mask)) * voxel_volume_ml)


def border_contact_mm2(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> float:
    """Area of the mask on the six faces of the scan, in mm2: where an organ may be cut off.

    Args:
        mask: (i, j, k).
        spacing_mm: voxel size along i, j, k.
    """
    area = 0.0
    for axis in range(3):
        others = [s for n, s in enumerate(spacing_mm) if n != axis]
        for face in (0, mask.shape[axis] - 1):
            plane = mask[(slice(None),) * axis + (face,)]  # a view: np.take copies the whole array
            area += int(np.count_nonzero(plane)) * others[0] * others[1]
    return area


def threshold_spread(
    probability: NDArray[np.float32], *, low: float, high: float, threshold: float = 0.5
) -> float:
    """How much the volume depends on the threshold: half of (V(low) - V(high)) over V(threshold).

    The network's own uncertainty about the border in one number; 0 for a crisp border.

    Returns:
        the relative half-width; infinity where nothing is above the threshold.
    """
    middle = int(np.count_nonzero(probability > threshold))
    if middle == 0:
        return float("inf")
    wide = int(np.count_nonzero(probability > low))
    narrow = int(np.count_nonzero(probability > high))
    return (wide - narrow) / (2.0 * middle)
