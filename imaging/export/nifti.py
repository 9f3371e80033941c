"""Write masks as NIfTI, on the grid of the scan they were made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...files import atomic_path
from ..volume import Volume


def write_mask(mask: Volume, path: Path) -> None:
    """Write a bool mask as uint8 NIfTI; the affine is in both sform and qform.

    3D Slicer, ITK-SNAP and FSL lay the file over the scan. The file has no time stamp, so the same
    mask gives the same bytes.

    Args:
        mask: bool ``Volume`` on the scan's grid.
        path: ends in ``.nii`` or ``.nii.gz``.

    Raises:
        ValueError: the array is not bool.
    """
    import nibabel  # noqa: PLC0415 - start-up time

    if mask.array.dtype != np.bool_:
        raise ValueError(f"a mask is bool, this one is {mask.array.dtype}")
    image = nibabel.Nifti1Image(mask.array.view(np.uint8), mask.affine)
    image.set_sform(mask.affine, code="scanner")
    image.set_qform(mask.affine, code="scanner")
    image.header.set_xyzt_units("mm")
    image.header["cal_max"] = 1
    with atomic_path(Path(path)) as temporary:
        nibabel.save(image, temporary)


def write_scan(volume: Volume, path: Path) -> None:
    """Write a scan's grey values as NIfTI with its affine, for programs that read files only.

    Args:
        volume: the scan; integers and floats of any width.
        path: ends in ``.nii`` or ``.nii.gz``.
    """
    import nibabel  # noqa: PLC0415 - start-up time

    kind = np.int16 if np.issubdtype(volume.array.dtype, np.integer) else np.float32
    image = nibabel.Nifti1Image(volume.array.astype(kind), volume.affine)
    image.set_sform(volume.affine, code="scanner")
    image.set_qform(volume.affine, code="scanner")
    with atomic_path(Path(path)) as temporary:
        nibabel.save(image, temporary)
