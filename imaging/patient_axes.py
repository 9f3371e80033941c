"""Voxel arrays turned to the patient's axes and back, by flips and swaps: no value changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def to_ras(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """How an array's axes are swapped and flipped so that they run nearest to R, A and S.

    Args:
        affine: 4 x 4, voxel indices to patient millimetres, RAS+.

    Returns:
        shape (3, 2): for each axis of the array its patient axis and 1 or -1, as nibabel has it.
    """
    import nibabel  # noqa: PLC0415 - start-up time

    return np.asarray(
        nibabel.orientations.ornt_transform(
            nibabel.orientations.io_orientation(affine),
            nibabel.orientations.axcodes2ornt(("R", "A", "S")),
        )
    )


def oriented(array: NDArray[Any], order: NDArray[np.float64]) -> NDArray[Any]:
    """An array with its axes flipped and swapped as :func:`to_ras` says."""
    import nibabel  # noqa: PLC0415 - start-up time

    return np.asarray(nibabel.orientations.apply_orientation(array, order))


def stored(array: NDArray[Any], order: NDArray[np.float64]) -> NDArray[Any]:
    """What :func:`oriented` did, undone: a view from R, A, S back to the array's own axes."""
    axes = order[:, 0].astype(int)
    back = np.transpose(array, axes)
    flipped = tuple(
        slice(None, None, -1) if direction < 0 else slice(None) for direction in order[:, 1]
    )
    return back[flipped]


def oriented_affine(
    affine: NDArray[np.float64], shape: tuple[int, ...], order: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The affine of the array that :func:`oriented` gives."""
    import nibabel  # noqa: PLC0415 - start-up time

    return np.asarray(affine @ nibabel.orientations.inv_ornt_aff(order, shape))
