"""Read NIfTI. A file whose qform and sform are both unset has no geometry and is refused."""

from __future__ import annotations

import contextlib
import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import NDArray

from ...errors import ScanError
from ..checks import check_grid, check_shape, is_identity
from ..grid_limits import MIN_SLICES
from ..nibabel_images import affine_of, values_of
from ..volume import ScanSource, Volume

SUFFIXES = (".nii", ".nii.gz")
PAIR_SUFFIXES = (".hdr", ".img", ".hdr.gz", ".img.gz")
"""Header and voxels in two files of one name; a file called so without its other half is none."""
_GZIP_RATIO = 1032
"""The most that deflate can compress."""


@dataclass(frozen=True)
class Grid:
    """Size, spacing and plane of an image file."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    plane: str
    flags: tuple[str, ...] = ()


def grid_of(shape: tuple[int, int, int], affine: NDArray[np.float64]) -> Grid:
    """Describe a grid; its plane is that of the axes i and j."""
    spacing = voxel_sizes(affine)
    normal = np.abs(affine[:3, 2] / spacing[2])
    names = ("sagittal", "coronal", "axial")
    plane = names[int(normal.argmax())] if normal.max() >= 0.9 else "oblique"
    flags = ("identity_affine",) if is_identity(affine) else ()
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
        array = values_of(image, shape, path.name, unpacked=unpacked(path, image))
    flags = ("identity_affine",) if is_identity(affine) else ()
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
        array = values_of(image, shape, path.name, nan=0.0, unpacked=unpacked(path, image))
        texts = [
            bytes(extension.get_content()).decode("utf-8", "replace")
            if isinstance(extension.get_content(), bytes)
            else str(extension.get_content())
            for extension in image.header.extensions
        ]
    return array, affine, texts


def unpacked(path: Path, image: Any) -> NDArray[Any] | None:
    """The stored voxels of a .nii.gz, unpacked at once by libdeflate.

    That takes about half the time of unpacking it piece by piece, as nibabel does.

    Args:
        path: the file.
        image: the same file as nibabel opened it; its voxels have not been read.

    Returns:
        The voxels before any scaling, or None if nibabel has to read them: other formats, and files
        of several gzip members.

    Raises:
        OSError, EOFError, zlib.error: the file is damaged.
    """
    import imagecodecs  # noqa: PLC0415 - start-up time

    proxy = image.dataobj
    if not path.name.lower().endswith(".nii.gz") or not hasattr(proxy, "get_unscaled"):
        return None
    count = int(np.prod(proxy.shape, dtype=np.int64))
    packed = path.read_bytes()
    size = int.from_bytes(packed[-4:], "little")  # of the last member, modulo 2**32
    if size != proxy.offset + count * proxy.dtype.itemsize:
        return None
    whole = bytearray(size)
    try:
        found = imagecodecs.gzip_decode(packed, out=whole)
    except imagecodecs.GzipError:
        _refuse_damage(path, size)
        return None
    if len(found) != size:
        return None
    voxels = np.frombuffer(whole, proxy.dtype, count, proxy.offset)
    return voxels.reshape(proxy.shape, order=proxy.order)


def _refuse_damage(path: Path, size: int) -> None:
    """Read a packed file to its end: nibabel stops before the checksum, and would not notice.

    Raises:
        OSError: the checksum is wrong.
    """
    with gzip.open(path) as stream:
        read = 0
        while read <= size and (piece := stream.read(1 << 20)):
            read += len(piece)


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
        shape = check_shape(path.name, tuple(int(size) for size in image.shape), least)
        affine = affine_of(image, path.name)
        _check_promise(path, shape, image.header.get_data_dtype().itemsize)
    check_grid(path.name, shape, affine)
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
