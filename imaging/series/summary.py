"""Describe a series in a radiologist's words, from header records. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.affines import voxel_sizes

from ..readers.dicom_contrast import contrast_name
from ..readers.dicom_geometry import StackGeometry, plane_axes
from ..readers.dicom_headers import SliceHeader

_PLANE_COSINE = 0.9
"""Within 25 degrees of a body axis a plane is called by that axis."""


@dataclass(frozen=True)
class SeriesSummary:
    """One series, stack or file under a path: what it is, and whether it can be measured."""

    path: Path
    """Folder that contains its files, or the file itself."""
    series_uid: str = ""
    """What ``read_scan`` takes as ``series_uid``; empty for NIfTI and the like."""
    modality: str = ""
    """"CT", "MR", another DICOM modality, or "" if not stated."""
    description: str = ""
    """SeriesDescription or ProtocolName."""
    plane: str = ""
    """"axial", "coronal", "sagittal", "oblique" or ""."""
    contrast: str = ""
    """Phase or sequence as far as the headers tell; a guess, "" if they do not."""
    n_files: int = 0
    """Files."""
    n_slices: int = 0
    """Slices of the stack, copies dropped."""
    spacing_mm: tuple[float, float, float] | None = None
    """(i, j, k) of the grid that ``read_scan`` gives; None if it refuses."""
    matrix: tuple[int, int] | None = None
    """Columns, rows; None if not stated."""
    slice_thickness_mm: float | None = None
    """As stated."""
    coverage_mm: float | None = None
    """Length of the stack along its normal, half a slice at each end included."""
    kernel: str = ""
    """ConvolutionKernel."""
    is_original: bool = True
    """Whether ImageType says ORIGINAL."""
    usable: bool = False
    """Whether ``read_scan`` reads it, as far as headers show."""
    code: str = ""
    """Why not, a key of ERROR_CODES; ``left_out`` for what is not a slice of a scan."""
    reason: str = ""
    """Why not, in words."""
    flags: tuple[str, ...] = ()
    """What reading will flag."""
    label: str = ""
    """What tells it from other stacks of its series."""
    series_number: int | None = None
    study_uid: str = ""
    """StudyInstanceUID."""
    patient_id: str = ""
    """PatientID; shown to the user at the terminal, never written to a result."""
    identity_removed: bool = False
    """Whether the file says that its patient_id is a code, not a hospital's number."""
    study_date: str = ""
    """YYYYMMDD; as patient_id."""


def plane_name(orientation: tuple[float, ...] | None) -> str:
    """The body plane of ImageOrientationPatient: axial, coronal, sagittal or oblique."""
    if orientation is None or len(orientation) != 6:
        return ""
    normal = np.abs(np.cross(orientation[:3], orientation[3:]))
    for axis, name in enumerate(("sagittal", "coronal", "axial")):
        if normal[axis] >= _PLANE_COSINE:
            return name
    return "oblique"


def kernel_is_sharp(kernel: str) -> bool | None:
    """Whether a reconstruction kernel is a sharp one (lung, bone); None if not known.

    Siemens kernels count up to 80 in sharpness (B30f soft, B60f and above sharp); GE and others
    use words; Philips letters (A, B smooth; D, E, L, Y sharp); Toshiba FC30 and above sharp.
    """
    name = kernel.strip().upper().split("\\")[0]
    if any(word in name for word in ("LUNG", "BONE", "EDGE", "SHARP", "DETAIL")):
        return True
    if any(word in name for word in ("SOFT", "STANDARD", "STND")):
        return False
    if match := re.match(r"FC(\d+)", name):
        return 30 <= int(match[1]) <= 59 or int(match[1]) >= 80
    if match := re.match(r"(?:B|I|BR|BF|BL|HR|QR|BV|UB)(\d{2})", name):
        return int(match[1]) >= 55
    return _PHILIPS_SHARP.get(name)


_PHILIPS_SHARP = dict.fromkeys("ABC", False) | dict.fromkeys(
    ("D", "E", "L", "Y", "YA", "YB", "YC"), True
)


def summarise(
    slices: tuple[SliceHeader, ...], geometry: StackGeometry | None, label: str
) -> SeriesSummary:
    """The summary of one stack; the caller adds what it knows of usability.

    Args:
        slices: the stack's records.
        geometry: of the stack, None when it cannot be used.
        label: what tells it from its neighbours.
    """
    head = slices[len(slices) // 2]
    files = {image.path for image in slices}
    spacing = coverage = None
    if geometry is not None:
        columns = voxel_sizes(geometry.affine)
        spacing = (float(columns[0]), float(columns[1]), float(columns[2]))
        coverage = float(geometry.heights_mm[-1]) + geometry.grid_step_mm
    size = None
    if head.columns is not None and head.rows is not None:
        size = (head.columns, head.rows)
    return SeriesSummary(
        path=_common_folder(files),
        modality=head.modality,
        description=head.description.split(" | ")[0],
        plane=_plane(head),
        contrast=contrast_name(head, label),
        n_files=len(files),
        n_slices=len(slices),
        spacing_mm=spacing,
        matrix=size,
        slice_thickness_mm=head.slice_thickness_mm,
        coverage_mm=coverage,
        kernel=str(head.technical.get("ConvolutionKernel", "")),
        is_original="DERIVED" not in head.image_type,
        label=label,
        series_number=head.series_number,
        study_uid=head.study_uid,
        patient_id=head.patient_id,
        identity_removed=head.identity_removed,
        study_date=head.study_date,
    )


def _plane(head: SliceHeader) -> str:
    if head.orientation is None:
        return ""
    try:
        plane_axes(head.orientation)
    except ValueError:
        return ""
    return plane_name(head.orientation)


def _common_folder(files: set[Path]) -> Path:
    if len(files) == 1:
        return next(iter(files))
    folders = {file.parent for file in files}
    first = min(folders, key=lambda folder: len(folder.parts))
    while any(first != folder and first not in folder.parents for folder in folders):
        first = first.parent
    return first
