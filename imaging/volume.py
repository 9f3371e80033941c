"""A scan in memory: an array and the affine that places it in the patient, in millimetres."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .readers.dicom_geometry import StackGeometry
    from .readers.dicom_stack import Stack


@dataclass(frozen=True)
class ScanSource:
    """Where a volume came from; nothing in it names the patient."""

    files: tuple[Path, ...] = ()
    """The files that were read, sorted."""
    series_uid: str = ""
    """SeriesInstanceUID, empty for formats without one."""
    n_slices: int = 0
    """Slices acquired (after duplicates were dropped, before any resampling)."""
    slice_thickness_mm: float | None = None
    """SliceThickness as stated, None if not stated."""
    headers: dict[str, str | float] = field(default_factory=dict)
    """Technical header values by DICOM keyword (Manufacturer, ConvolutionKernel, …)."""
    contrast: str = ""
    """Phase of a CT or sequence of an MR in our words, "" if the headers do not tell."""
    sha256: dict[Path, str] = field(default_factory=dict, compare=False, repr=False)
    """SHA-256 of files that were hashed while they were read."""
    person: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Marks that tell two patients apart without naming them; never in a table."""
    placed: tuple[Stack, StackGeometry] | None = field(default=None, compare=False, repr=False)
    """The DICOM slices and where they lie on the grid, for export and for DICOM masks."""


@dataclass(frozen=True)
class Volume:
    """A three-dimensional scan or mask on a rectangular grid."""

    array: NDArray[Any]
    """Shape (i, j, k); HU for CT, signal for MR, bool for a mask."""
    affine: NDArray[np.float64]
    """4 x 4, voxel indices (i, j, k) to patient millimetres, RAS+ as in NIfTI."""
    modality: str = ""
    """"CT", "MR" or "" if the file does not say."""
    flags: tuple[str, ...] = ()
    """Codes of :data:`fibrovol.flags.FLAGS`, raised while reading."""
    source: ScanSource = field(default_factory=ScanSource)
    """Files and headers."""

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise ValueError(f"a volume has 3 axes, this array has shape {self.array.shape}")
        if self.affine.shape != (4, 4):
            raise ValueError(f"an affine is 4 x 4, this one is {self.affine.shape}")

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between voxel centres along i, j and k, in mm."""
        i, j, k = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return float(i), float(j), float(k)

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in mL: the absolute determinant of the affine, over 1,000."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0
