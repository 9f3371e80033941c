"""Read NRRD and MetaImage through SimpleITK."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ScanError
from ..checks import check_grid, check_shape, finite
from ..conversions import plain_type, ras_affine
from ..grid_limits import MIN_SLICES
from ..volume import ScanSource, Volume
from .nifti import Grid, grid_of, unreadable

SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
_MAX_LAYERS = 256
"""More components than that are not layers of segments."""


def read_itk(path: Path) -> Volume:
    """Read a three-dimensional NRRD or MetaImage file.

    Raises:
        ScanError: ``unreadable_file``, ``four_dimensional``, ``implausible_geometry``,
            ``no_valid_affine``, ``too_few_slices``, ``slice_gap_too_large``.
    """
    reader, shape, affine = _open(path)
    (array,) = _layers(path, reader)
    array = finite(array, None, path.name)
    files = (path, *data_files(path))
    flags = grid_of(shape, affine).flags
    return Volume(array, affine, flags=flags, source=ScanSource(files=files, n_slices=shape[2]))


def read_mask_values(
    path: Path,
) -> tuple[tuple[NDArray[Any], ...], NDArray[np.float64], dict[str, str]]:
    """The values of a mask, one array a layer, its affine and the fields of its header.

    3D Slicer writes segments that overlap as several layers of one file.

    Raises:
        ScanError: as :func:`read_itk`; a mask may have any number of slices.
    """
    reader, _, affine = _open(path, least=1, layers=True)
    layers = tuple(finite(layer, 0.0, path.name) for layer in _layers(path, reader))
    fields = {
        key: _text(reader.GetMetaData(key)) for key in reader.GetMetaDataKeys() if _text(key) == key
    }  # a name that is no UTF-8 is damaged, and SimpleITK cannot be asked for it
    return layers, affine, fields


def _text(found: str) -> str:
    """What SimpleITK returns for bytes that are no UTF-8 cannot be printed: say so instead."""
    return found.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _layers(path: Path, reader: Any) -> list[NDArray[Any]]:
    """The voxels as arrays (i, j, k), int16 where exact, else float32."""
    import SimpleITK as sitk  # noqa: N813, PLC0415 - its usual name; start-up time

    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise unreadable(path, error) from error
    if image.GetDimension() > 3:
        image = image[(slice(None),) * 3 + (0,) * (image.GetDimension() - 3)]
    values = sitk.GetArrayFromImage(image)
    parts = [values] if values.ndim == 3 else [values[..., n] for n in range(values.shape[3])]
    return [plain_type(part.transpose(2, 1, 0)) for part in parts]


def describe_itk(path: Path) -> Grid:
    """The grid of a file from its header; the same refusals as :func:`read_itk`."""
    _, shape, affine = _open(path)
    return grid_of(shape, affine)


def _open(
    path: Path, least: int = MIN_SLICES, *, layers: bool = False
) -> tuple[Any, tuple[int, int, int], NDArray[np.float64]]:
    import SimpleITK as sitk  # noqa: N813, PLC0415

    if not path.is_file():
        raise unreadable(path, FileNotFoundError("no such file"))
    _check_stated(path)
    data_files(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise unreadable(path, error) from error
    size = tuple(int(n) for n in reader.GetSize())
    if reader.GetNumberOfComponents() > (_MAX_LAYERS if layers else 1):
        size = (*size, int(reader.GetNumberOfComponents()))
    shape = check_shape(path.name, size, least)
    affine = ras_affine(reader)
    check_grid(path.name, shape, affine)
    return reader, shape, affine


_SPACING_WORDS = (
    "space directions:", "spacings:", "elementspacing", "elementsize",
)  # fmt: skip


def _check_stated(path: Path) -> None:
    """ITK fills in a spacing of 1 mm where the header states none: read the header's text."""
    with path.open("rb") as stream:
        text = stream.read(16_384).decode("latin-1").lower()
    head = text.split("\n\n")[0] if path.suffix.lower() in {".nrrd", ".nhdr"} else text
    if not any(word in head for word in _SPACING_WORDS):
        raise ScanError(
            "no_pixel_spacing",
            f"{path.name} states no voxel spacing",
            found="neither space directions nor a spacing in the header",
            do="convert the scan again from DICOM",
        )


def data_files(path: Path) -> tuple[Path, ...]:
    """The file with the voxels of a detached header (.mhd, .nhdr); none for other files.

    Raises:
        ScanError: ``unreadable_file``: it is missing, or the header points out of its folder.
    """
    if path.suffix.lower() not in {".mhd", ".nhdr"}:
        return ()
    with path.open("rb") as stream:
        text = stream.read(16_384).decode("latin-1")
    match = re.search(r"^\s*(?:ElementDataFile\s*=|data ?file\s*:)\s*(.+?)\s*$", text, re.M | re.I)
    name = match[1] if match else ""
    if name.upper() == "LOCAL":
        return ()
    if not name or name.upper().startswith(("LIST", "SKIPLIST")) or "%" in name:
        raise unreadable(path, ValueError("voxels in several files, or in none"))
    file = path.parent / name
    if PurePath(name).is_absolute() or ".." in PurePath(name.replace("\\", "/")).parts:
        raise unreadable(path, ValueError(f"the voxels are not next to the header: {name}"))
    if not file.is_file():
        raise unreadable(path, FileNotFoundError(f"the file with the voxels, {name}"))
    return (file,)
