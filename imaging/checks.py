"""Refuse shapes, grids and grey values that no scan has. Pure: arrays and plain numbers in.

Files (:mod:`.readers`) and images in memory (:mod:`.conversions`) pass the same checks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import NDArray

from ..errors import ScanError
from .grid_limits import (
    MAX_EDGE,
    MAX_EXTENT_MM,
    MAX_GAP_MM,
    MAX_VOXELS,
    MIN_SLICES,
    SPACING_RANGE_MM,
)

MIN_DETERMINANT = 0.05
"""Of the axes' unit vectors: below it, two axes nearly coincide."""
SHEARED = 1e-3
"""Cosine between two axes of a grid above which the grid is sheared; headers round."""


def check_shape(name: str, shape: tuple[int, ...], least: int = MIN_SLICES) -> tuple[int, int, int]:
    """The three sizes of a scan; trailing axes of length 1 are dropped.

    Raises:
        ScanError: ``four_dimensional``, ``too_few_slices``, ``implausible_geometry``.
    """
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) > 3:
        raise ScanError(
            "four_dimensional",
            f"{name} has more than three axes",
            found=f"shape {' x '.join(map(str, shape))}",
            do="save the one phase or echo that is to be measured as a file of its own",
        )
    if len(shape) < 3 or min(shape) < least:
        raise ScanError(
            "too_few_slices",
            f"{name} has fewer than {least} slices",
            found=f"shape {' x '.join(map(str, shape))}",
            do="give the whole scan",
        )
    if max(shape) > MAX_EDGE or int(np.prod(shape, dtype=np.int64)) > MAX_VOXELS:
        raise ScanError(
            "implausible_geometry",
            f"{name} is larger than any scanner produces",
            found=f"shape {' x '.join(map(str, shape))}",
            do="check the file",
        )
    return shape[0], shape[1], shape[2]


def check_grid(name: str, shape: tuple[int, int, int], affine: NDArray[np.float64]) -> None:
    """Refuse voxel sizes and extents that no scanner produces, and sheared grids.

    Raises:
        ScanError: ``implausible_geometry``, ``slice_gap_too_large``, ``no_valid_affine``.
    """
    spacing = voxel_sizes(affine)
    usable = bool(np.isfinite(affine).all() and spacing.min() > 0)
    if not usable or abs(np.linalg.det(affine[:3, :3] / spacing)) < MIN_DETERMINANT:
        raise ScanError(
            "no_valid_affine",
            f"The affine of {name} does not place its voxels",
            found="values that are not finite, or axes that coincide",
            do="convert the scan again from DICOM",
        )
    text = " x ".join(f"{value:g}" for value in spacing)
    if spacing.max() > MAX_GAP_MM:
        raise ScanError(
            "slice_gap_too_large",
            f"The slices of {name} are more than {MAX_GAP_MM:g} mm apart",
            found=f"spacing {text} mm",
            do="give a scan with thinner slices; check the unit of the spacing",
        )
    low = SPACING_RANGE_MM[0]
    if spacing.min() < low or (spacing * shape).max() > 2 * MAX_EXTENT_MM:
        raise ScanError(
            "implausible_geometry",
            f"The spacing or extent of {name} is outside what a scanner produces",
            found=f"spacing {text} mm, shape {shape[0]} x {shape[1]} x {shape[2]}",
            do="check the unit of the spacing: it may be metres without saying so; "
            "convert the scan again from DICOM",
        )


def check_unsheared(name: str, affine: NDArray[np.float64]) -> None:
    """Refuse axes that are not at right angles: most libraries would straighten them silently.

    Raises:
        ScanError: ``no_valid_affine``.
    """
    axes = affine[:3, :3] / voxel_sizes(affine)
    cosines = np.abs(axes.T @ axes - np.eye(3))
    if cosines.max() > SHEARED:
        angle = float(np.degrees(np.arccos(min(1.0, cosines.max()))))
        raise ScanError(
            "no_valid_affine",
            f"The grid of {name} is sheared, which not every library can express",
            found=f"two axes at {angle:.1f} degrees",
            do="save it as NIfTI and give the file, or resample it to a rectangular grid first",
        )


def is_identity(affine: NDArray[np.float64]) -> bool:
    """Whether an affine is what a program writes that has lost the geometry: 1 mm from a corner."""
    return bool(np.abs(np.abs(affine) - np.eye(4)).max() < 1e-6)


def finite(values: NDArray[Any], nan: float | None, name: str) -> NDArray[Any]:
    """The values, with ``nan`` for those that are not numbers.

    Raises:
        ScanError: ``unsupported_pixel_data``: some are not numbers, and nothing stands for them.
    """
    lacking = ~np.isfinite(values)
    if not lacking.any():
        return values
    if nan is None:
        raise ScanError(
            "unsupported_pixel_data",
            f"Some voxels of {name} are not numbers",
            found=f"NaN or infinity in {100 * lacking.mean():.1f} % of them, as some programs "
            "write outside the body",
            do="save the scan with a grey value there, -1000 HU in a CT; none is made up",
        )
    values[lacking] = nan
    return values
