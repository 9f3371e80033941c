"""Images of nibabel, SimpleITK and MONAI, and plain arrays: to and from array and affine. Pure.

Arrays are (i, j, k), affines 4 x 4, indices to patient millimetres, RAS+ as in NIfTI. SimpleITK's
arrays are (k, j, i) and its millimetres LPS; that is settled here and nowhere else. A grid that is
not rectangular is refused in every direction.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import NDArray

from ..errors import ScanError
from .checks import check_grid, check_shape, check_unsheared, finite, is_identity
from .grid_limits import MIN_SLICES
from .nibabel_images import affine_of, values_of

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SAME = 1e-3  # a header keeps 32 bits of what an image in memory has 64 of


class Placed(NamedTuple):
    """Voxels and where they are."""

    array: NDArray[Any]
    """Shape (i, j, k); bool, int16 where exact, else float32."""
    affine: NDArray[np.float64]
    """4 x 4, RAS+ in mm."""


def ras_affine(image: Any) -> NDArray[np.float64]:
    """The affine of a SimpleITK image or file reader; its first three axes."""
    axes = image.GetDimension()
    lps = np.eye(4)
    direction = np.reshape(image.GetDirection(), (axes, axes))[:3, :3]
    lps[:3, :3] = direction * np.asarray(image.GetSpacing()[:3])
    lps[:3, 3] = image.GetOrigin()[:3]
    return np.asarray(_LPS_TO_RAS @ lps)


def plain_type(array: NDArray[Any]) -> NDArray[Any]:
    """Grey values as int16 where that is exact, else float32."""
    if not np.issubdtype(array.dtype, np.integer):
        return array.astype(np.float32, copy=False)
    fits = array.min() >= -32768 and array.max() <= 32767
    return array.astype(np.int16 if fits else np.float32, copy=False)


def from_array(array: Any, affine: Any, name: str = "the array") -> Placed:
    """Check an array and its affine.

    Args:
        array: (i, j, k); bool for a mask, else numbers.
        affine: 4 x 4, RAS+ in mm.
        name: of the image, for messages.

    Raises:
        ScanError: ``no_valid_affine`` and all that :mod:`.checks` refuses;
            ``unsupported_pixel_data``.
    """
    values = np.asarray(array)
    if affine is None:
        raise no_geometry(name)
    matrix = np.array(affine, dtype=np.float64)
    if matrix.shape != (4, 4) or not np.allclose(matrix[3], [0, 0, 0, 1]):
        raise ScanError(
            "no_valid_affine",
            f"The affine of {name} is not a 4 x 4 matrix that ends with 0 0 0 1",
            found=f"shape {' x '.join(map(str, matrix.shape)) or '(a number)'}",
            do="give the matrix from voxel indices to millimetres, such as nibabel's image.affine",
        )
    is_mask = values.dtype == np.bool_
    if (not is_mask and not np.issubdtype(values.dtype, np.number)) or np.iscomplexobj(values):
        raise ScanError(
            "unsupported_pixel_data",
            f"The voxels of {name} are not grey values",
            found=f"type {values.dtype}",
            do="give HU, MR signal, or True and False for a mask",
        )
    shape = check_shape(name, values.shape, 1 if is_mask else MIN_SLICES)
    check_grid(name, shape, matrix)
    check_unsheared(name, matrix)
    values = values.reshape(shape)
    return Placed(values if is_mask else finite(plain_type(values), None, name), matrix)


def from_nibabel(image: Any) -> Placed:
    """Take a NIfTI image of nibabel, loaded or made in memory.

    Raises:
        ScanError: as :func:`from_array`; ``contradictory_geometry``.
    """
    name = "the nibabel image"
    stated = affine_of(image, name)
    affine = np.asarray(image.affine, dtype=np.float64)
    if np.abs(stated - affine).max() > _SAME * max(1.0, np.abs(affine).max()):
        affine = stated  # the header's unit is not the millimetre
    shape = check_shape(name, tuple(int(size) for size in image.shape), 1)
    return from_array(values_of(image, shape, name), affine, name)


def from_sitk(image: Any) -> Placed:
    """Take a SimpleITK image of one channel.

    Raises:
        ScanError: as :func:`from_array`. ITK fills in 1 mm and no turn where nobody set a
            geometry: such an image is refused as one without.
    """
    import SimpleITK as sitk  # noqa: N813, PLC0415 - its usual name; start-up time

    name = "the SimpleITK image"
    if image.GetNumberOfComponentsPerPixel() > 1:
        channels = f"{image.GetNumberOfComponentsPerPixel()} values per voxel"
        raise ScanError(
            "unsupported_pixel_data",
            f"{name} has colours or vectors instead of grey values",
            found=channels,
            do="give one channel: SimpleITK.VectorIndexSelectionCast(image, 0)",
        )
    check_shape(name, tuple(image.GetSize()))
    affine = ras_affine(image)
    if is_identity(affine):
        raise no_geometry(name)
    values = sitk.GetArrayFromImage(image)
    return from_array(np.ascontiguousarray(values.transpose()), affine, name)


def from_metatensor(image: Any) -> Placed:
    """Take a MetaTensor of MONAI, (i, j, k) or (1, i, j, k).

    Raises:
        ScanError: as :func:`from_array`. MONAI fills in the identity where nobody set a geometry:
            such a tensor is refused as one without.
    """
    name = "the MetaTensor"
    values = image.detach().cpu().numpy()
    affine = np.asarray(image.affine.detach().cpu().numpy(), dtype=np.float64)
    if values.ndim == 4 and values.shape[0] == 1:
        values = values[0]
    if is_identity(affine):
        raise no_geometry(name)
    if "LPS" in str(image.meta.get("space", "RAS")).upper():
        affine = _LPS_TO_RAS @ affine
    return from_array(values, affine, name)


def to_nibabel(array: NDArray[Any], affine: NDArray[np.float64]) -> Any:
    """A ``nibabel.Nifti1Image``; a mask has 0 and 1.

    Raises:
        ScanError: ``no_valid_affine``, the grid is sheared: a qform cannot express it.
    """
    import nibabel  # noqa: PLC0415 - start-up time

    check_unsheared("the volume", affine)
    image = nibabel.Nifti1Image(_stored(array), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code="scanner", update_affine=False)  # the header rounds to 32 bits
    image.set_qform(affine, code="scanner", update_affine=False)
    return image


def to_sitk(array: NDArray[Any], affine: NDArray[np.float64]) -> Any:
    """A ``SimpleITK.Image``; a mask has 0 and 1.

    Raises:
        ScanError: ``no_valid_affine``, the grid is sheared: ITK's direction is a rotation.
    """
    import SimpleITK as sitk  # noqa: N813, PLC0415 - its usual name; start-up time

    check_unsheared("the volume", affine)
    lps = _LPS_TO_RAS @ affine
    spacing = voxel_sizes(lps)
    image = sitk.GetImageFromArray(np.ascontiguousarray(_stored(array).transpose()))
    image.SetSpacing([float(value) for value in spacing])
    image.SetDirection([float(value) for value in (lps[:3, :3] / spacing).ravel()])
    image.SetOrigin([float(value) for value in lps[:3, 3]])
    return image


def to_metatensor(array: NDArray[Any], affine: NDArray[np.float64]) -> Any:
    """A ``monai.data.MetaTensor`` (1, i, j, k), channel first as MONAI's transforms want it.

    Raises:
        ScanError: ``no_valid_affine``, the grid is sheared.
    """
    import torch  # noqa: PLC0415 - start-up time
    from monai.data.meta_tensor import MetaTensor  # noqa: PLC0415

    check_unsheared("the volume", affine)
    meta = {"space": "RAS", "original_channel_dim": 0}
    values = torch.from_numpy(np.array(_stored(array)))[None]
    return MetaTensor(values, affine=torch.from_numpy(affine.copy()), meta=meta)


def _stored(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.uint8) if array.dtype == np.bool_ else array


def no_geometry(name: str) -> ScanError:
    """The refusal of voxels that nothing places in the patient."""
    return ScanError(
        "no_valid_affine",
        f"{name[0].upper()}{name[1:]} does not say how large its voxels are and where they lie",
        found="voxels without a geometry",
        do="give the path of the file, or Volume.from_array(array, affine) with the affine of the "
        "scan (nibabel: image.affine)",
    )
