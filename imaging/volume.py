"""A scan in memory: an array and the affine that places it in the patient, in millimetres."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import NDArray

from ..files import atomic_path
from ..notebook import card, flag_rows, short

if TYPE_CHECKING:
    from .readers.dicom_geometry import StackGeometry
    from .readers.dicom_stack import Stack

SUFFIXES = (".nii", ".nii.gz")
"""What :meth:`Volume.save` writes."""


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


@dataclass(frozen=True, repr=False)
class Volume:
    """A three-dimensional scan or mask on a rectangular grid.

    >>> import numpy as np
    >>> affine = np.diag([0.8, 0.8, 5.0, 1.0])
    >>> affine[:3, 3] = -200, -180, 900
    >>> Volume.from_array(np.zeros((256, 256, 40), np.int16), affine, modality="CT")
    <Volume CT, 256 x 256 x 40 voxels of 0.8 x 0.8 x 5 mm, int16>
    """

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
        i, j, k = voxel_sizes(self.affine)
        return float(i), float(j), float(k)

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in mL: the absolute determinant of the affine, over 1,000."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    @classmethod
    def from_array(cls, array: Any, affine: Any = None, *, modality: str = "") -> Volume:
        """A volume from an array and where it is.

        Args:
            array: (i, j, k): HU for CT, signal for MR, True and False for a mask.
            affine: 4 x 4, voxel indices to patient millimetres, RAS+ as in NIfTI.
            modality: "CT" or "MR"; "" if not known.

        Raises:
            ScanError: there is no affine, or a grid or voxels that no scan has.
        """
        from .conversions import from_array  # noqa: PLC0415 - start-up time

        return cls._of(from_array(array, affine), modality)

    @classmethod
    def from_nibabel(cls, image: Any, *, modality: str = "") -> Volume:
        """A volume from a NIfTI image of nibabel.

        Raises:
            ScanError: as :meth:`from_array`; the header contradicts itself; sheared axes.
        """
        from .conversions import from_nibabel  # noqa: PLC0415 - start-up time

        return cls._of(from_nibabel(image), modality)

    @classmethod
    def from_sitk(cls, image: Any, *, modality: str = "") -> Volume:
        """A volume from a SimpleITK image.

        Raises:
            ScanError: as :meth:`from_array`; nobody set the image's spacing and origin.
        """
        from .conversions import from_sitk  # noqa: PLC0415 - start-up time

        return cls._of(from_sitk(image), modality)

    @classmethod
    def from_metatensor(cls, image: Any, *, modality: str = "") -> Volume:
        """A volume from a MONAI MetaTensor, (i, j, k) or (1, i, j, k).

        Raises:
            ScanError: as :meth:`from_array`; nobody set the tensor's affine.
        """
        from .conversions import from_metatensor  # noqa: PLC0415 - start-up time

        return cls._of(from_metatensor(image), modality)

    @classmethod
    def of(cls, image: Any, *, modality: str = "") -> Volume:
        """A volume from whatever holds voxels and a geometry: the libraries' images, or a Volume.

        Raises:
            ScanError: a bare array or tensor, or what is no image at all.
        """
        if isinstance(image, Volume):
            return image
        home = {base.__module__.partition(".")[0] for base in type(image).__mro__}
        if "nibabel" in home:
            return cls.from_nibabel(image, modality=modality)
        if "SimpleITK" in home:
            return cls.from_sitk(image, modality=modality)
        if "monai" in home:
            return cls.from_metatensor(image, modality=modality)
        from .conversions import no_geometry  # noqa: PLC0415 - start-up time

        raise no_geometry(f"the {type(image).__name__}")

    @classmethod
    def _of(cls, placed: tuple[NDArray[Any], NDArray[np.float64]], modality: str) -> Volume:
        from .checks import is_identity  # noqa: PLC0415 - start-up time

        array, affine = placed
        flags = ("identity_affine",) if is_identity(affine) else ()
        return cls(array, affine, modality, flags, ScanSource(n_slices=array.shape[2]))

    def to_nibabel(self) -> Any:
        """A ``nibabel.Nifti1Image``; a mask has 0 and 1.

        Raises:
            ScanError: the grid is sheared.
        """
        from .conversions import to_nibabel  # noqa: PLC0415 - start-up time

        return to_nibabel(self.array, self.affine)

    def to_sitk(self) -> Any:
        """A ``SimpleITK.Image`` with LPS direction and origin; a mask has 0 and 1.

        Raises:
            ScanError: the grid is sheared.
        """
        from .conversions import to_sitk  # noqa: PLC0415 - start-up time

        return to_sitk(self.array, self.affine)

    def to_metatensor(self) -> Any:
        """A ``monai.data.MetaTensor`` of shape (1, i, j, k) with this affine.

        Raises:
            ScanError: the grid is sheared.
        """
        from .conversions import to_metatensor  # noqa: PLC0415 - start-up time

        return to_metatensor(self.array, self.affine)

    def save(self, path: Path | str) -> Path:
        """Write NIfTI: a mask as 0 and 1, grey values as int16 where exact, else float32.

        Args:
            path: ends in ``.nii`` or ``.nii.gz``.

        Returns:
            The path.

        Raises:
            ScanError: the grid is sheared.
            ValueError: another ending.
        """
        import nibabel  # noqa: PLC0415 - start-up time

        path = Path(path)
        if not path.name.lower().endswith(SUFFIXES):
            raise ValueError(f"a volume is saved as {' or '.join(SUFFIXES)}, not as {path.name}")
        with atomic_path(path) as temporary:
            nibabel.save(self.to_nibabel(), temporary)
        return path

    def plot(self, mask: Volume | None = None) -> Any:
        """Draw eight slices, with the contour of a mask if one is given.

        Args:
            mask: bool, on this grid.

        Returns:
            A matplotlib ``Figure`` that a notebook shows.
        """
        from .panels import Scan, draw_panels  # noqa: PLC0415 - start-up time

        scan = Scan(self.array, self.affine, self.modality)
        drawn = np.zeros(self.array.shape, dtype=bool) if mask is None else mask.array
        return draw_panels(scan, drawn)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The voxels for numpy; the geometry stays behind."""
        return np.array(self.array, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        size, spacing = self._size_texts()
        kind = "mask" if self.array.dtype == np.bool_ else self.modality
        flags = f"flags {' '.join(self.flags)}" if self.flags else ""
        parts = (kind, f"{size} voxels of {spacing} mm", str(self.array.dtype), flags)
        return short("Volume", parts)

    def _size_texts(self) -> tuple[str, str]:
        spacing = " x ".join(f"{value:.4g}" for value in self.spacing_mm)
        return " x ".join(map(str, self.array.shape)), spacing

    def _repr_html_(self) -> str:
        size, spacing = self._size_texts()
        is_mask = self.array.dtype == np.bool_
        rows = {
            "kind": "mask" if is_mask else self.modality or "modality not stated",
            "voxels": size,
            "spacing": f"{spacing} mm",
            "marked": f"{self.array.sum() * self.voxel_volume_ml:,.1f} mL" if is_mask else "",
            "contrast": self.source.contrast,
            **flag_rows(self.flags),
        }
        return card("Volume", rows, self.plot()._repr_png_(), "slices of the volume")
