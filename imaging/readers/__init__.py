"""Read scans: one module per format, one ordered table of readers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import ScanError
from ..volume import Volume
from . import itk, nifti
from .dicom import read_dicom


@dataclass(frozen=True)
class Reader:
    """One format."""

    name: str
    """As users know it."""
    suffixes: tuple[str, ...]
    """File names end so; empty: any other name."""
    read: Callable[[Path], Volume]
    """Path to ``Volume``."""
    describe: Callable[[Path], nifti.Grid] | None = None
    """Path to ``Grid``, from the header alone; None if :mod:`..series` does it."""
    fits: Callable[[Path], bool] | None = None
    """Whether a file of such a name is one; None if the suffix says it all."""


READERS: tuple[Reader, ...] = (
    Reader(
        "NIfTI",
        (*nifti.SUFFIXES, *nifti.PAIR_SUFFIXES),
        nifti.read_nifti,
        nifti.describe_nifti,
        nifti.is_nifti,
    ),
    Reader("NRRD or MetaImage", itk.SUFFIXES, itk.read_itk, itk.describe_itk),
    Reader("DICOM", (), read_dicom),
)
"""In the order in which they are asked; the first whose suffix fits reads the file."""


def reader_of(path: Path) -> Reader:
    """The first reader whose suffix fits a file, and whose other files are there."""
    name = path.name.lower()
    return next(
        reader
        for reader in READERS
        if not reader.suffixes
        or (name.endswith(reader.suffixes) and (reader.fits is None or reader.fits(path)))
    )


ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".tar.gz", ".iso")


def read_scan(path: Path | str, *, series_uid: str | None = None) -> Volume:
    """Read a CT or MR scan with its true geometry, or refuse it with the reason.

    Args:
        path: a NIfTI, NRRD, MetaImage or DICOM file, or a folder with DICOM images.
        series_uid: which DICOM series of the folder; may be omitted when one is measurable.

    Returns:
        array (i, j, k): i along a row (DICOM column), j along a column, k along the slices'
        normal; values in HU for CT. The affine is RAS+ in mm.

    Raises:
        ScanError: with a code, what was found and what to do.

    Examples:
        >>> import tempfile, fibrovol
        >>> from fibrovol.phantoms.anatomy import draw_anatomy
        >>> from fibrovol.phantoms.scans import write_ct_series
        >>> folder = Path(tempfile.mkdtemp())
        >>> truth = write_ct_series(folder, draw_anatomy(3, liver_volume_ml=1400), subject="P1")
        >>> scan = fibrovol.read_scan(folder)
        >>> scan.modality, [float(mm) for mm in scan.spacing_mm], scan.flags
        ('CT', [2.5, 2.5, 5.0], ())
    """
    path = Path(path)
    if not path.exists():
        raise ScanError(
            "unreadable_file",
            f"{path} does not exist",
            do="check the path; relative paths in study.csv are relative to that file",
        )
    if not path.is_file() and not path.is_dir():
        raise ScanError(
            "unreadable_file",
            f"{path.name} is neither a file nor a folder",
            found="a device or pipe, which may never end",
            do="give the path of a scan",
        )
    if path.is_file():
        name = path.name.lower()
        reader = reader_of(path)
        if reader.suffixes:
            return reader.read(path)
        if name.endswith(ARCHIVES):
            raise ScanError(
                "not_a_scan",
                f"{path.name} is an archive",
                found="a packed file",
                do="unpack it into a folder and give that folder",
            )
    return read_dicom(path, series_uid=series_uid)
