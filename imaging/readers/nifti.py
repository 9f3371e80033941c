"""NIfTI in. A file whose qform and sform are both unset says nothing about space: refused."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ScanError
from ..volume import ScanSource, Volume
from .dicom_geometry import (
    MAX_EDGE,
    MAX_EXTENT_MM,
    MAX_GAP_MM,
    MAX_VOXELS,
    MIN_SLICES,
    SPACING_RANGE_MM,
)

SUFFIXES = (".nii", ".nii.gz")
_MIN_DETERMINANT = 0.05
"""Of the axes' unit vectors: below it, two axes nearly coincide."""
_GZIP_RATIO = 1032
"""The most that deflate can compress."""
_MILLIMETRES = {"mm", "unknown"}
_TO_MM = {"meter": 1000.0, "micron": 0.001}


@dataclass(frozen=True)
class Grid:
    """Size, spacing and plane of an image file."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    plane: str


def grid_of(shape: tuple[int, int, int], affine: NDArray[np.float64]) -> Grid:
    """Describe a grid; its plane is that of the axes i and j."""
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    normal = np.abs(affine[:3, 2] / spacing[2])
    names = ("sagittal", "coronal", "axial")
    plane = names[int(normal.argmax())] if normal.max() >= 0.9 else "oblique"
    return Grid(shape, (float(spacing[0]), float(spacing[1]), float(spacing[2])), plane)


def read_nifti(path: Path) -> Volume:
    """Read a three-dimensional NIfTI file; HU or signal after scl_slope and scl_inter.

    Raises:
        ScanError: ``unreadable_file``, ``four_dimensional``, ``no_valid_affine``,
            ``implausible_geometry``, ``too_few_slices``, ``slice_gap_too_large``.
    """
    image, shape, affine = _open(path)
    with _damage_is_refused(path):
        array = _values(image, shape)
    return Volume(array, affine, source=ScanSource(files=(path,), n_slices=shape[2]))


def describe_nifti(path: Path) -> Grid:
    """The grid of a NIfTI file from its header; the same refusals as :func:`read_nifti`."""
    _, shape, affine = _open(path)
    return grid_of(shape, affine)


def _open(path: Path) -> tuple[Any, tuple[int, int, int], NDArray[np.float64]]:
    import nibabel  # noqa: PLC0415 - start-up time

    with _damage_is_refused(path):
        image = nibabel.load(path)
        shape = check_shape(path, tuple(int(size) for size in image.shape))
        affine = _affine(image, path)
        _check_promise(path, shape, image.header.get_data_dtype().itemsize)
    check_grid(path, shape, affine)
    return image, shape, affine


def _check_promise(path: Path, shape: tuple[int, int, int], item_bytes: int) -> None:
    """Refuse a file too small for what its header promises, before memory is set aside for it."""
    promised = int(np.prod(shape, dtype=np.int64)) * item_bytes
    most = _GZIP_RATIO if path.name.lower().endswith(".gz") else 1
    if promised > most * max(path.stat().st_size, 1):
        raise unreadable(path, EOFError(f"{promised} bytes promised, the file cannot hold them"))


@contextlib.contextmanager
def _damage_is_refused(path: Path) -> Iterator[None]:
    from nibabel.filebasedimages import ImageFileError  # noqa: PLC0415 - start-up time
    from nibabel.spatialimages import HeaderDataError  # noqa: PLC0415

    try:
        yield
    except (OSError, EOFError, ValueError, TypeError, KeyError, OverflowError, zlib.error,
            ImageFileError, HeaderDataError, MemoryError) as error:  # fmt: skip
        raise unreadable(path, error) from error


def unreadable(path: Path, error: BaseException) -> ScanError:
    """The refusal of a damaged image file."""
    return ScanError(
        "unreadable_file",
        f"{path.name} cannot be read",
        found=f"{type(error).__name__}: {str(error)[:200]}",
        do="check that the file is complete and that you may read it; export it again",
    )


def check_shape(path: Path, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The three sizes of a scan; trailing axes of length 1 are dropped.

    Raises:
        ScanError: ``four_dimensional``, ``too_few_slices``, ``implausible_geometry``.
    """
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) > 3:
        raise ScanError(
            "four_dimensional",
            f"{path.name} has more than three axes",
            found=f"shape {' x '.join(map(str, shape))}",
            do="save the one phase or echo that is to be measured as a file of its own",
        )
    if len(shape) < 3 or min(shape) < MIN_SLICES:
        raise ScanError(
            "too_few_slices",
            f"{path.name} holds fewer than {MIN_SLICES} slices",
            found=f"shape {' x '.join(map(str, shape))}",
            do="give the whole scan",
        )
    if max(shape) > MAX_EDGE or int(np.prod(shape, dtype=np.int64)) > MAX_VOXELS:
        raise ScanError(
            "implausible_geometry",
            f"{path.name} is larger than any scanner produces",
            found=f"shape {' x '.join(map(str, shape))}",
            do="check the file",
        )
    return shape[0], shape[1], shape[2]


def check_grid(path: Path, shape: tuple[int, int, int], affine: NDArray[np.float64]) -> None:
    """Refuse voxel sizes and extents that no scanner produces, and sheared grids.

    Raises:
        ScanError: ``implausible_geometry``, ``slice_gap_too_large``, ``no_valid_affine``.
    """
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    usable = bool(np.isfinite(affine).all() and spacing.min() > 0)
    if not usable or abs(np.linalg.det(affine[:3, :3] / spacing)) < _MIN_DETERMINANT:
        raise ScanError(
            "no_valid_affine",
            f"The affine of {path.name} does not place its voxels",
            found="values that are not finite, or axes that coincide",
            do="convert the scan again from DICOM",
        )
    text = " x ".join(f"{value:g}" for value in spacing)
    if spacing.max() > MAX_GAP_MM:
        raise ScanError(
            "slice_gap_too_large",
            f"The slices of {path.name} are more than {MAX_GAP_MM:g} mm apart",
            found=f"spacing {text} mm",
            do="give a scan with thinner slices; check the unit of the spacing",
        )
    low = SPACING_RANGE_MM[0]
    if spacing.min() < low or (spacing * shape).max() > 2 * MAX_EXTENT_MM:
        raise ScanError(
            "implausible_geometry",
            f"The spacing or extent of {path.name} is outside what a scanner produces",
            found=f"spacing {text} mm, shape {shape[0]} x {shape[1]} x {shape[2]}",
            do="check the unit of the spacing; convert the scan again from DICOM",
        )


def _affine(image: Any, path: Path) -> NDArray[np.float64]:
    """The sform, else the qform; the same order as nibabel, ITK-SNAP and 3D Slicer."""
    header = image.header
    if "sform_code" not in header:
        raise _no_affine(path, "not a NIfTI-1 or NIfTI-2 header")
    codes = int(header["sform_code"]), int(header["qform_code"])
    if codes[0] > 0:
        affine = np.asarray(header.get_sform(), dtype=np.float64)
    elif codes[1] > 0:
        affine = np.asarray(header.get_qform(), dtype=np.float64)
    else:
        raise _no_affine(path, "sform_code 0 and qform_code 0")
    unit = header.get_xyzt_units()[0]
    if unit in _TO_MM:
        affine[:3] *= _TO_MM[unit]
    elif unit not in _MILLIMETRES:
        raise _no_affine(path, f"the unknown unit {unit}")
    return affine


def _no_affine(path: Path, found: str) -> ScanError:
    return ScanError(
        "no_valid_affine",
        f"{path.name} does not say how its voxels lie in the patient",
        found=found,
        do="convert the scan again from DICOM (dcm2niix writes both forms)",
    )


def _values(image: Any, shape: tuple[int, int, int]) -> NDArray[Any]:
    """Scaled values as int16 where exact, else float32."""
    # the header of a loaded image no longer holds the scale factors, its array proxy does
    proxy = image.dataobj
    stored = proxy.get_unscaled()
    if stored.dtype.fields is not None or np.iscomplexobj(stored):
        raise ValueError("the voxels are colours or complex numbers, not grey values")
    stored = np.asarray(stored).reshape(shape)
    slope, inter = float(proxy.slope), float(proxy.inter)
    if np.issubdtype(stored.dtype, np.integer) and slope == 1 and inter == 0:
        if stored.dtype.itemsize <= 2 and np.iinfo(stored.dtype).max <= 32767:
            return stored.astype(np.int16, copy=False)
        low, high = int(stored.min()), int(stored.max())
        if low >= -32768 and high <= 32767:
            return stored.astype(np.int16)
    values = stored.astype(np.float32)
    if slope != 1:
        values *= np.float32(slope)
    if inter != 0:
        values += np.float32(inter)
    if not np.isfinite(values).all():
        raise ValueError("some voxels are not finite numbers")
    return values
