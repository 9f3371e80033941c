"""Pure geometry of a stack of parallel slices: order, gaps, tilt, and the way to a regular grid.

DICOM places the centre of a slice's first voxel with ImagePositionPatient (PS3.3 C.7.6.2.1.1).
Slices are ordered by the projection of that point on the normal of their plane; InstanceNumber and
file names say nothing about space. Coordinates are LPS mm here; affines that leave are RAS+ mm.

Array axes are (i, j, k): i runs along a row (DICOM column index), j along a column (row index), k
along the normal ``row x column``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ScanError
from ..grid_limits import (
    MAX_EDGE,
    MAX_EXTENT_MM,
    MAX_GAP_MM,
    MAX_VOXELS,
    MIN_SLICES,
    SPACING_RANGE_MM,
)

GAP_TOLERANCE = 0.01
"""Gaps that differ by less than 1 % are one spacing."""
ROUNDING_MM = 0.05
"""Positions are often rounded to a tenth of a millimetre: this much is no unevenness."""
ALIGNED_PIXELS = 0.5
"""A sideways drift over the whole stack below half a pixel is rounding, not tilt."""
TILT_MIN_DEGREES = 0.5
TILT_MAX_DEGREES = 45.0

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class StackGeometry:
    """Where each slice of a stack lies, and the regular grid it is brought to."""

    order: NDArray[np.intp]
    """Indices of the given slices, ascending along the normal."""
    heights_mm: NDArray[np.float64]
    """Shape (n,), the slices' positions along the normal, ascending from 0."""
    offsets_px: NDArray[np.float64]
    """Shape (n, 2), where voxel (0, 0) of each slice falls on the grid, in voxels along i and j;
    all zero when the slices are aligned."""
    shape: tuple[int, int, int]
    """(ni, nj, nk) of the grid."""
    grid_step_mm: float
    """Distance of the grid's planes."""
    affine: NDArray[np.float64]
    """4 x 4, grid indices to RAS+ mm."""
    flags: tuple[str, ...]
    """``missing_slices``, ``uneven_slices``, ``gantry_tilt``, ``shifted_slices``."""

    @property
    def resampled(self) -> bool:
        """Whether the grid differs from the slices as acquired."""
        return bool(self.flags)


def plane_axes(
    orientation: Sequence[float],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors along a row, along a column and along the normal, in LPS.

    Raises:
        ScanError: ``no_orientation``: the two directions are not unit vectors at a right angle.
    """
    row = np.asarray(orientation[:3], dtype=np.float64)
    column = np.asarray(orientation[3:6], dtype=np.float64)
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not all(0.98 < length < 1.02 for length in lengths) or abs(float(row @ column)) > 0.01:
        raise ScanError(
            "no_orientation",
            "ImageOrientationPatient is not two unit vectors at a right angle",
            found="\\".join(f"{value:g}" for value in orientation),
            do="export the series again from the scanner or PACS",
        )
    row = row / lengths[0]
    column = column - (column @ row) * row
    column = column / np.linalg.norm(column)
    return row, column, np.cross(row, column)


def check_plane(rows: int, columns: int, spacing_mm: Sequence[float]) -> None:
    """Refuse matrix sizes and pixel spacings that no scanner produces.

    Raises:
        ScanError: ``implausible_geometry``.
    """
    low, high = SPACING_RANGE_MM
    sizes_ok = 4 <= rows <= MAX_EDGE and 4 <= columns <= MAX_EDGE
    spacing_ok = all(low <= value <= high for value in spacing_mm)
    if (
        not sizes_ok
        or not spacing_ok
        or rows * spacing_mm[0] > MAX_EXTENT_MM
        or columns * spacing_mm[1] > MAX_EXTENT_MM
    ):
        raise ScanError(
            "implausible_geometry",
            "The size or the pixel spacing is outside what a scanner produces",
            found=f"{rows} rows x {columns} columns of {spacing_mm[0]:g} x {spacing_mm[1]:g} mm",
            do="check the header; export the series again",
        )


def stack_geometry(
    positions_mm: NDArray[np.float64],
    orientation: Sequence[float],
    pixel_spacing_mm: Sequence[float],
    rows: int,
    columns: int,
) -> StackGeometry:
    """Order a stack and work out the regular grid that represents it truly.

    Args:
        positions_mm: shape (n, 3), ImagePositionPatient of each slice, LPS, no two at one place.
        orientation: the six numbers of ImageOrientationPatient, common to all slices.
        pixel_spacing_mm: between rows, between columns.
        rows: number of rows of a slice.
        columns: number of columns of a slice.

    Raises:
        ScanError: ``too_few_slices``, ``slice_gap_too_large``, ``implausible_geometry``.
    """
    check_plane(rows, columns, pixel_spacing_mm)
    row, column, normal = plane_axes(orientation)
    count = len(positions_mm)
    if count < MIN_SLICES:
        raise ScanError(
            "too_few_slices",
            "Too few slices to measure a volume",
            found=f"{count} positions, at least {MIN_SLICES} are needed",
            do="give the whole series",
        )
    along = positions_mm @ normal
    order = np.argsort(along, kind="stable")
    first = positions_mm[order[0]]
    heights = along[order] - along[order[0]]
    step, planes, flags = _grid_along_normal(heights)

    relative = positions_mm[order] - first
    shifts_px = np.stack(
        [relative @ row / pixel_spacing_mm[1], relative @ column / pixel_spacing_mm[0]], axis=1
    )
    drift = np.ptp(shifts_px, axis=0)
    if drift.max() > ALIGNED_PIXELS:
        flags = (*flags, _kind_of_shift(shifts_px, heights, pixel_spacing_mm))
        low = np.floor(shifts_px.min(axis=0) + 1e-6)
        offsets = shifts_px - low
        extra = np.ceil(offsets.max(axis=0) - 1e-6).astype(int)
    else:
        low = shifts_px.mean(axis=0)
        offsets = np.zeros_like(shifts_px)
        extra = np.zeros(2, dtype=int)
    origin = first + low[0] * pixel_spacing_mm[1] * row + low[1] * pixel_spacing_mm[0] * column
    shape = (columns + int(extra[0]), rows + int(extra[1]), planes)
    if max(shape[:2]) > 2 * MAX_EDGE or int(np.prod(shape, dtype=np.int64)) > MAX_VOXELS:
        raise ScanError(
            "implausible_geometry",
            "The scan is larger than any scanner produces",
            found=f"a grid of {shape[0]} x {shape[1]} x {shape[2]} voxels",
            do="check the slice positions; export the series again",
        )
    lps = np.eye(4)
    lps[:3, 0] = row * pixel_spacing_mm[1]
    lps[:3, 1] = column * pixel_spacing_mm[0]
    lps[:3, 2] = normal * step
    lps[:3, 3] = origin
    return StackGeometry(order, heights, offsets, shape, step, _LPS_TO_RAS @ lps, flags)


def _grid_along_normal(heights: NDArray[np.float64]) -> tuple[float, int, tuple[str, ...]]:
    """Step, number of planes and flags of the regular grid for slices at these heights."""
    gaps = np.diff(heights)
    if gaps.max() > MAX_GAP_MM:
        at = int(gaps.argmax())
        raise ScanError(
            "slice_gap_too_large",
            f"Two neighbouring slices are {gaps[at]:.1f} mm apart",
            found=f"slices {at + 1} and {at + 2} of {len(heights)}; the usual distance is "
            f"{np.median(gaps):.2f} mm, the limit {MAX_GAP_MM:g} mm",
            do="export the whole series again, with every slice",
        )
    mean = float(heights[-1]) / (len(heights) - 1)
    ideal = np.arange(len(heights)) * mean
    # a straight line through the positions, so that one rounded end does not shift the others
    residual = heights - ideal
    residual = np.abs(residual - np.median(residual)).max()
    relative = np.abs(gaps / np.median(gaps) - 1).max()
    low = SPACING_RANGE_MM[0]
    if relative <= GAP_TOLERANCE or residual <= min(ROUNDING_MM, 0.1 * mean):
        if mean < low:
            raise _too_close(mean)
        return mean, len(heights), ()
    typical = float(np.quantile(gaps, 0.25, method="lower"))
    if typical < low:
        raise _too_close(typical)
    planes = round(float(heights[-1]) / typical) + 1
    step = float(heights[-1]) / (planes - 1)
    multiples = gaps / typical
    whole = np.abs(multiples - np.round(multiples)) <= np.maximum(0.05, 0.1 / typical)
    few = (multiples > 1.5).mean() <= 0.25 or (multiples > 1.5).sum() == 1
    flag = "missing_slices" if whole.all() and few else "uneven_slices"
    return step, planes, (flag,)


def _too_close(step_mm: float) -> ScanError:
    return ScanError(
        "implausible_geometry",
        "The slices are closer together than any scanner places them",
        found=f"a distance of {step_mm:.4f} mm",
        do="check the slice positions; export the series again",
    )


def _kind_of_shift(
    shifts_px: NDArray[np.float64], heights: NDArray[np.float64], spacing_mm: Sequence[float]
) -> str:
    """Tell a tilted gantry (a straight drift) from slices displaced one by one."""
    slopes = np.linalg.lstsq(heights[:, None], shifts_px, rcond=None)[0][0]
    residual = np.abs(shifts_px - heights[:, None] * slopes).max()
    tangent = np.hypot(slopes[0] * spacing_mm[1], slopes[1] * spacing_mm[0])
    degrees = float(np.degrees(np.arctan(tangent)))
    if degrees > TILT_MAX_DEGREES:
        raise ScanError(
            "implausible_geometry",
            "The slices are not stacked along their normal",
            found=f"a tilt of {degrees:.0f} degrees, the limit is {TILT_MAX_DEGREES:g}",
            do="check ImageOrientationPatient and ImagePositionPatient; export the series again",
        )
    straight = residual <= ALIGNED_PIXELS and degrees >= TILT_MIN_DEGREES
    return "gantry_tilt" if straight else "shifted_slices"


def place_slices(
    slices: Iterator[NDArray[Any]], geometry: StackGeometry, dtype: np.dtype[Any], fill: float
) -> NDArray[Any]:
    """Put the slices on the geometry's grid.

    Slices are moved sideways by linear interpolation to where they truly lie, and planes between
    two slices are the mean of both, weighted by distance. Aligned, evenly spaced slices are copied.

    Args:
        slices: images of shape (rows, columns), in the geometry's order.
        geometry: from :func:`stack_geometry`.
        dtype: of the result; integers are rounded, and become float32 where a value does not fit.
        fill: value outside the acquired slices.

    Returns:
        shape ``geometry.shape``, axes (i, j, k).
    """
    # k slowest in memory: slices are contiguous while they are filled in
    out = np.empty(geometry.shape[::-1], dtype=dtype)
    if not geometry.resampled:
        for k, image in enumerate(slices):
            out = _wide_enough(out, image)
            out[k] = image
        return out.transpose(2, 1, 0)
    targets = np.minimum(
        np.arange(geometry.shape[2]) * geometry.grid_step_mm, geometry.heights_mm[-1]
    )
    below: NDArray[Any] | None = None
    done = 0
    for n, image in enumerate(slices):
        here = _shift(image.astype(np.float32, copy=False), geometry, n, fill)
        height = geometry.heights_mm[n]
        while done < len(targets) and targets[done] <= height + 1e-6:
            if below is None:
                plane = here
            else:
                before = geometry.heights_mm[n - 1]
                weight = np.float32(np.clip((targets[done] - before) / (height - before), 0, 1))
                plane = (1 - weight) * below + weight * here
            out = _wide_enough(out, plane)
            out[done] = np.rint(plane) if np.issubdtype(out.dtype, np.integer) else plane
            done += 1
        below = here
    assert done == len(targets)
    return out.transpose(2, 1, 0)


def _wide_enough(out: NDArray[Any], image: NDArray[Any]) -> NDArray[Any]:
    """The array, as float32 where it is of integers and a value of the image does not fit.

    Headers often claim 16 bits and use 12: to take them at their word would double the memory.
    """
    if not np.issubdtype(out.dtype, np.integer):
        return out
    limits = np.iinfo(out.dtype)
    fits = limits.min <= image.min() and image.max() <= limits.max
    return out if fits else out.astype(np.float32)


def _shift(
    image: NDArray[np.float32], geometry: StackGeometry, n: int, fill: float
) -> NDArray[np.float32]:
    """One slice (rows, columns) on the grid's plane (nj, ni), at its sub-pixel offset."""
    columns, rows = geometry.shape[:2]
    if image.shape == (rows, columns):
        return image
    canvas = np.full((rows, columns), fill, dtype=np.float32)
    offset_i, offset_j = geometry.offsets_px[n]
    whole_i, whole_j = int(offset_i), int(offset_j)
    part_i, part_j = np.float32(offset_i - whole_i), np.float32(offset_j - whole_j)
    canvas[whole_j : whole_j + image.shape[0], whole_i : whole_i + image.shape[1]] = image
    if part_j > 1e-4:
        canvas = (1 - part_j) * canvas + part_j * _moved(canvas, 0, fill)
    if part_i > 1e-4:
        canvas = (1 - part_i) * canvas + part_i * _moved(canvas, 1, fill)
    return canvas


def _moved(canvas: NDArray[np.float32], axis: int, fill: float) -> NDArray[np.float32]:
    """The image moved by one voxel along an axis, the first line filled."""
    moved = np.roll(canvas, 1, axis=axis)
    moved[(slice(None),) * axis + (0,)] = fill
    return moved


def take_slices(
    array: NDArray[np.bool_], geometry: StackGeometry, rows: int, columns: int
) -> NDArray[np.bool_]:
    """The way back: a mask on the grid, cut at the slices as they were acquired.

    Args:
        array: mask of shape ``geometry.shape``.
        geometry: of the stack.
        rows: of a slice.
        columns: of a slice.

    Returns:
        shape (n, rows, columns), in the geometry's order; half a voxel and more is inside.
    """
    out = np.empty((len(geometry.order), rows, columns), dtype=np.bool_)
    planes = array.transpose(2, 1, 0)
    if not geometry.resampled:
        out[:] = planes
        return out
    at = np.clip(geometry.heights_mm / geometry.grid_step_mm, 0, len(planes) - 1)
    for n, position in enumerate(at):
        low = min(int(position), len(planes) - 2)
        weight = np.float32(position - low)
        plane = (1 - weight) * planes[low].astype(np.float32) + weight * planes[low + 1]
        offset_i, offset_j = geometry.offsets_px[n]
        whole_i, whole_j = int(offset_i), int(offset_j)
        padded = np.pad(plane, ((0, 1), (0, 1)))
        window = padded[whole_j : whole_j + rows + 1, whole_i : whole_i + columns + 1]
        part_i, part_j = np.float32(offset_i - whole_i), np.float32(offset_j - whole_j)
        window = (1 - part_j) * window[:-1] + part_j * window[1:]
        out[n] = (1 - part_i) * window[:, :-1] + part_i * window[:, 1:] >= 0.5
    return out
