"""Measure how well two masks agree. Pure: arrays and spacings in, numbers out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Dice coefficient, 2 |A and B| / (|A| + |B|) (Dice, Ecology 1945); 1.0 for two empty masks.

    Raises:
        ValueError: the masks differ in shape.
    """
    _same_shape(first, second)
    total = int(first.sum()) + int(second.sum())
    return 1.0 if total == 0 else 2.0 * int((first & second).sum()) / total


def relative_volume_error_percent(measured: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Signed volume error in per cent of the true volume.

    Raises:
        ValueError: the masks differ in shape, or the true mask is empty.
    """
    _same_shape(measured, true)
    if not true.any():
        raise ValueError("the true mask is empty: a relative error has no meaning")
    return 100.0 * (int(measured.sum()) / int(true.sum()) - 1.0)


def surface_distances_mm(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances from each mask's surface voxels to the other mask's surface, in mm.

    Returns:
        distances from the first's surface, and from the second's.

    Raises:
        ValueError: the masks differ in shape, or one is empty.
    """
    _same_shape(first, second)
    if not first.any() or not second.any():
        raise ValueError("an empty mask has no surface")
    box = _bounding_box(first | second)
    surfaces = [
        mask & ~ndimage.binary_erosion(mask) for mask in (_pad(first, box), _pad(second, box))
    ]
    fields = [ndimage.distance_transform_edt(~surface, sampling=spacing_mm) for surface in surfaces]
    return fields[1][surfaces[0]], fields[0][surfaces[1]]


def hd95_mm(
    first: NDArray[np.bool_], second: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> float:
    """95th percentile Hausdorff distance in mm: the larger of the two directed percentiles."""
    forth, back = surface_distances_mm(first, second, spacing_mm)
    return float(max(np.percentile(forth, 95), np.percentile(back, 95)))


def mean_surface_distance_mm(
    first: NDArray[np.bool_], second: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> float:
    """Average symmetric surface distance in mm."""
    forth, back = surface_distances_mm(first, second, spacing_mm)
    return float(np.concatenate([forth, back]).mean())


def _same_shape(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> None:
    if first.shape != second.shape:
        raise ValueError(f"the masks differ in shape: {first.shape} and {second.shape}")


def _bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    boxes = ndimage.find_objects(mask.astype(np.uint8))
    return tuple(boxes[0])


def _pad(mask: NDArray[np.bool_], box: tuple[slice, ...]) -> NDArray[np.bool_]:
    """Crop to the box with one empty voxel around, so that border voxels count as surface."""
    return np.pad(mask[box], 1)
