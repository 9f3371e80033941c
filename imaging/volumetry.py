"""Compute volumes, their limits and what touches the edge of the scan. Pure."""

from __future__ import annotations

from typing import Any

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


def content_box(array: NDArray[Any]) -> tuple[slice, slice, slice]:
    """The scan without the planes at its faces that hold one value alone.

    Software pads scans and blanks parts of them: where the padding begins, the scan ends, and an
    organ that reaches there may go on.

    Args:
        array: (i, j, k).
    """
    box = []
    for axis, size in enumerate(array.shape):
        low, high = 0, size
        while low < high - 1 and _is_blank(array, axis, low):
            low += 1
        while high - 1 > low and _is_blank(array, axis, high - 1):
            high -= 1
        box.append(slice(low, high))
    return box[0], box[1], box[2]


def occupied_planes(mask: NDArray[np.bool_], axis: int) -> NDArray[np.intp]:
    """Indices along an axis of the planes in which something of a mask lies.

    Args:
        mask: (i, j, k).
        axis: of the three.
    """
    others = tuple(other for other in range(3) if other != axis)
    return np.flatnonzero(mask.any(axis=others))


_NEXT_PLANES = 3
"""A blank that separates an end of the organ begins this near: the smaller piece is not kept."""


def blank_planes(array: NDArray[Any], mask: NDArray[np.bool_]) -> int:
    """How many planes of the scan between the ends of an organ, or next to them, hold one value.

    Padding at the faces of the scan does not count: there an organ is cut off, not holed.

    Args:
        array: (i, j, k).
        mask: the organ, of the same shape.
    """
    seen = content_box(array)
    array, mask = array[seen], mask[seen]
    blank = 0
    for axis, size in enumerate(mask.shape):
        drawn = occupied_planes(mask, axis)
        if not len(drawn):
            return 0
        near = range(max(drawn[0] - _NEXT_PLANES, 0), min(drawn[-1] + 1 + _NEXT_PLANES, size))
        blank += sum(_is_blank(array, axis, place) for place in near)
    return blank


_MOST_REPEATED = 0.2
"""Of the slices: more of them repeat each other in drawn pictures and phantoms alone."""


def repeated_planes(array: NDArray[Any]) -> int:
    """How many slices have the same voxels as another that is not among their equal neighbours.

    No two slices of a scanner are equal to the last bit of noise. Neighbours are where a scan was
    resampled by nearest neighbour; blank slices do not count.

    Args:
        array: (i, j, k), slices along k.
    """
    places: dict[bytes, list[int]] = {}
    for k in range(array.shape[2]):
        few = np.ascontiguousarray(array[::4, ::4, k])
        if few.min() < few.max():
            places.setdefault(few.tobytes(), []).append(k)
    repeated = 0
    for found in places.values():
        if found[-1] - found[0] >= len(found):  # not one run
            repeated += sum(
                np.array_equal(array[:, :, k], array[:, :, found[0]]) for k in found[1:]
            )
    return repeated if repeated <= _MOST_REPEATED * array.shape[2] else 0


def _is_blank(array: NDArray[Any], axis: int, place: int) -> bool:
    plane = array[(slice(None),) * axis + (place,)]
    few = plane[::7, ::7]  # tells nearly every plane that is not blank, at a fiftieth of the time
    return bool(few.min() == few.max() and plane.min() == plane.max())


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
