"""What a NIfTI image of nibabel says: where its voxels are, and their values. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import NDArray

from ..errors import ScanError
from .checks import MIN_DETERMINANT, finite

_SAME_SPACING = 0.01
_MILLIMETRES = {"mm", "unknown"}
_TO_MM = {"meter": 1000.0, "micron": 0.001}


def affine_of(image: Any, name: str) -> NDArray[np.float64]:
    """The sform, else the qform; refused where they and the voxel sizes contradict each other."""
    header = image.header
    if "sform_code" not in header:
        raise _no_affine(name, "not a NIfTI-1 or NIfTI-2 header")
    forms = {
        form: np.asarray(getattr(header, f"get_{form}")(), dtype=np.float64)
        for form in ("sform", "qform")
        if int(header[f"{form}_code"]) > 0
    }
    if not forms:
        raise _no_affine(name, "sform_code 0 and qform_code 0")
    _check_forms(name, forms, [abs(float(size)) for size in header["pixdim"][1:4]])
    affine = next(iter(forms.values())).copy()
    unit = header.get_xyzt_units()[0]
    if unit in _TO_MM:
        affine[:3] *= _TO_MM[unit]
    elif unit not in _MILLIMETRES:
        raise _no_affine(name, f"the unknown unit {unit}")
    return affine


def _check_forms(
    title: str, forms: Mapping[str, NDArray[np.float64]], sizes: Sequence[float]
) -> None:
    """Refuse statements of one header that programs would read differently.

    Raises:
        ScanError: ``contradictory_geometry``.
    """
    if any(abs(np.linalg.det(_unit(form))) < MIN_DETERMINANT for form in forms.values()):
        return  # refused as a whole
    spacings = {name: voxel_sizes(form) for name, form in forms.items()}
    if all(math.isfinite(size) and size > 0 for size in sizes):
        spacings["pixdim"] = np.array(sizes)
    names = list(spacings)
    for name in names[1:]:
        first, other = spacings[names[0]], spacings[name]
        if np.abs(other / np.maximum(first, 1e-12) - 1).max() > _SAME_SPACING:
            raise _contradiction(
                title,
                "; ".join(
                    f"{key} {' x '.join(f'{mm:.4g}' for mm in value)}"
                    for key, value in spacings.items()
                ),
            )
    hands = {name: float(np.linalg.det(form[:3, :3])) > 0 for name, form in forms.items()}
    if len(set(hands.values())) > 1:
        raise _contradiction(title, "sform and qform of opposite handedness: one is mirrored")


def _unit(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    spacing = voxel_sizes(affine)
    return np.asarray(affine[:3, :3] / np.where(spacing > 0, spacing, 1.0))


def _contradiction(name: str, found: str) -> ScanError:
    return ScanError(
        "contradictory_geometry",
        f"The header of {name} states its geometry twice, and differently",
        found=found,
        do="convert the scan again from DICOM, or correct the header: programs read either of them",
    )


def _no_affine(name: str, found: str) -> ScanError:
    return ScanError(
        "no_valid_affine",
        f"{name} does not say where its voxels are in the patient",
        found=found,
        do="convert the scan again from DICOM (dcm2niix writes both forms)",
    )


def values_of(
    image: Any,
    shape: tuple[int, int, int],
    name: str,
    nan: float | None = None,
    unpacked: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Scaled values as int16 where exact, else float32; ``nan`` stands for what is not a number.

    ``unpacked``: the voxels as stored, if they were read already.
    """
    # the header of a loaded image no longer contains the scale factors, its array proxy does
    proxy = image.dataobj
    in_memory = not hasattr(proxy, "get_unscaled")
    stored = unpacked
    if stored is None:
        stored = np.asarray(proxy) if in_memory else proxy.get_unscaled()
    if stored.dtype.fields is not None or np.iscomplexobj(stored):
        raise ValueError("the voxels are colours or complex numbers, not grey values")
    stored = np.asarray(stored).reshape(shape)
    slope, inter = (1.0, 0.0) if in_memory else (float(proxy.slope), float(proxy.inter))
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
    return finite(values, nan, name)
