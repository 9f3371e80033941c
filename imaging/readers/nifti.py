"""Read NIfTI. A file whose qform and sform are both unset has no geometry and is refused."""

from __future__ import annotations

import contextlib
import math
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
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
PAIR_SUFFIXES = (".hdr", ".img", ".hdr.gz", ".img.gz")
"""Header and voxels in two files of one name; a file called so without its other half is none."""
_SAME_SPACING = 0.01
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
    flags: tuple[str, ...] = ()


def grid_of(shape: tuple[int, int, int], affine: NDArray[np.float64]) -> Grid:
    """Describe a grid; its plane is that of the axes i and j."""
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    normal = np.abs(affine[:3, 2] / spacing[2])
    names = ("sagittal", "coronal", "axial")
    plane = names[int(normal.argmax())] if normal.max() >= 0.9 else "oblique"
    flags = ("identity_affine",) if _is_identity(affine) else ()
    return Grid(shape, (float(spacing[0]), float(spacing[1]), float(spacing[2])), plane, flags)


def is_nifti(path: Path) -> bool:
    """Whether a file is NIfTI by its name; of a pair, both files must be there."""
    name = path.name.lower()
    return name.endswith(SUFFIXES) or (name.endswith(PAIR_SUFFIXES) and len(pair_of(path)) == 2)


def pair_of(path: Path) -> tuple[Path, ...]:
    """The files of a NIfTI image, the header first: two for a pair of which both are there."""
    match = re.fullmatch(r"(.*)\.(hdr|img)(\.gz)?", path.name, re.IGNORECASE)
    if match is None:
        return (path,)
    halves = []
    for half in ("hdr", "img"):
        ends = (half, half.upper())
        names = [f"{match[1]}.{end}{zipped}" for end in ends for zipped in ("", ".gz")]
        halves += [path.with_name(name) for name in names if path.with_name(name).is_file()][:1]
    return tuple(halves) if len(halves) == 2 else (path,)


def read_nifti(path: Path) -> Volume:
    """Read a three-dimensional NIfTI file; HU or signal after scl_slope and scl_inter.

    Raises:
        ScanError: ``unreadable_file``, ``four_dimensional``, ``no_valid_affine``,
            ``implausible_geometry``, ``too_few_slices``, ``slice_gap_too_large``.
    """
    image, shape, affine = _open(path)
    with _damage_is_refused(path):
        array = _values(image, shape, path.name)
    flags = ("identity_affine",) if _is_identity(affine) else ()
    source = ScanSource(files=pair_of(path), n_slices=shape[2])
    return Volume(array, affine, flags=flags, source=source)


def read_mask_values(path: Path) -> tuple[NDArray[Any], NDArray[np.float64], list[str]]:
    """The values of a mask, its affine, and the texts of its header extensions.

    Voxels that are not a number were not drawn: they become 0.

    Raises:
        ScanError: as :func:`read_nifti`; a mask may have any number of slices.
    """
    image, shape, affine = _open(path, least=1)
    with _damage_is_refused(path):
        array = _values(image, shape, path.name, nan=0.0)
        texts = [
            bytes(extension.get_content()).decode("utf-8", "replace")
            if isinstance(extension.get_content(), bytes)
            else str(extension.get_content())
            for extension in image.header.extensions
        ]
    return array, affine, texts


def describe_nifti(path: Path) -> Grid:
    """The grid of a NIfTI file from its header; the same refusals as :func:`read_nifti`."""
    _, shape, affine = _open(path)
    return grid_of(shape, affine)


def _open(
    path: Path, least: int = MIN_SLICES
) -> tuple[Any, tuple[int, int, int], NDArray[np.float64]]:
    import nibabel  # noqa: PLC0415 - start-up time

    with _damage_is_refused(path):
        image = nibabel.load(path)
        shape = check_shape(path, tuple(int(size) for size in image.shape), least)
        affine = _affine(image, path)
        _check_promise(path, shape, image.header.get_data_dtype().itemsize)
    check_grid(path, shape, affine)
    return image, shape, affine


def _check_promise(path: Path, shape: tuple[int, int, int], item_bytes: int) -> None:
    """Refuse a file too small for what its header promises, before memory is set aside for it."""
    promised = int(np.prod(shape, dtype=np.int64)) * item_bytes
    path = pair_of(path)[-1]
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


def check_shape(
    path: Path, shape: tuple[int, ...], least: int = MIN_SLICES
) -> tuple[int, int, int]:
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
    if len(shape) < 3 or min(shape) < least:
        raise ScanError(
            "too_few_slices",
            f"{path.name} has fewer than {least} slices",
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
            do="check the unit of the spacing: it may be metres without saying so; "
            "convert the scan again from DICOM",
        )


def _affine(image: Any, path: Path) -> NDArray[np.float64]:
    """The sform, else the qform; refused where they and the voxel sizes contradict each other."""
    header = image.header
    if "sform_code" not in header:
        raise _no_affine(path, "not a NIfTI-1 or NIfTI-2 header")
    forms = {
        name: np.asarray(getattr(header, f"get_{name}")(), dtype=np.float64)
        for name in ("sform", "qform")
        if int(header[f"{name}_code"]) > 0
    }
    if not forms:
        raise _no_affine(path, "sform_code 0 and qform_code 0")
    _check_forms(path, forms, [abs(float(size)) for size in header["pixdim"][1:4]])
    affine = next(iter(forms.values())).copy()
    unit = header.get_xyzt_units()[0]
    if unit in _TO_MM:
        affine[:3] *= _TO_MM[unit]
    elif unit not in _MILLIMETRES:
        raise _no_affine(path, f"the unknown unit {unit}")
    return affine


def _check_forms(
    path: Path, forms: Mapping[str, NDArray[np.float64]], sizes: Sequence[float]
) -> None:
    """Refuse statements of one header that programs would read differently.

    Raises:
        ScanError: ``contradictory_geometry``.
    """
    if any(abs(np.linalg.det(_unit(form))) < _MIN_DETERMINANT for form in forms.values()):
        return  # refused as a whole
    spacings = {name: np.sqrt((form[:3, :3] ** 2).sum(axis=0)) for name, form in forms.items()}
    if all(math.isfinite(size) and size > 0 for size in sizes):
        spacings["pixdim"] = np.array(sizes)
    names = list(spacings)
    for name in names[1:]:
        first, other = spacings[names[0]], spacings[name]
        if np.abs(other / np.maximum(first, 1e-12) - 1).max() > _SAME_SPACING:
            raise _contradiction(
                path,
                "; ".join(
                    f"{key} {' x '.join(f'{mm:.4g}' for mm in value)}"
                    for key, value in spacings.items()
                ),
            )
    hands = {name: float(np.linalg.det(form[:3, :3])) > 0 for name, form in forms.items()}
    if len(set(hands.values())) > 1:
        raise _contradiction(path, "sform and qform of opposite handedness: one is mirrored")


def _unit(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return np.asarray(affine[:3, :3] / np.where(spacing > 0, spacing, 1.0))


def _contradiction(path: Path, found: str) -> ScanError:
    return ScanError(
        "contradictory_geometry",
        f"The header of {path.name} states its geometry twice, and differently",
        found=found,
        do="convert the scan again from DICOM, or correct the header: programs read either of them",
    )


def _is_identity(affine: NDArray[np.float64]) -> bool:
    """Whether an affine is what a program writes that has lost the geometry: 1 mm from a corner."""
    return bool(np.abs(np.abs(affine) - np.eye(4)).max() < 1e-6)


def _no_affine(path: Path, found: str) -> ScanError:
    return ScanError(
        "no_valid_affine",
        f"{path.name} does not say where its voxels are in the patient",
        found=found,
        do="convert the scan again from DICOM (dcm2niix writes both forms)",
    )


def _values(
    image: Any, shape: tuple[int, int, int], name: str, nan: float | None = None
) -> NDArray[Any]:
    """Scaled values as int16 where exact, else float32; ``nan`` stands for what is not a number."""
    # the header of a loaded image no longer contains the scale factors, its array proxy does
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
    return finite(values, nan, name)


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
