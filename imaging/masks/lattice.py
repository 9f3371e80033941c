"""Bring a mask to the grid of its scan: exactly where both share their voxels. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...errors import RegionError
from ..volume import Volume

_TOLERANCE = 0.1  # of a voxel: what rounding in file headers explains
_LOST = 0.03
"""Of the volume: what laying a mask on another grid may change; beyond it, part of it is lost."""


def on_grid(mask: Volume, scan: Volume, name: str, *, resample: bool) -> NDArray[np.bool_]:
    """A mask on the scan's grid.

    Cropped, flipped and turned masks whose voxels are the scan's are placed voxel by voxel.

    Args:
        mask: bool.
        scan: the scan it was drawn on.
        name: of the mask's file, for messages.
        resample: take a mask of other voxels, by the nearest one.

    Raises:
        RegionError: ``bad_region``: other voxels and resampling was not asked for, or the mask
            reaches beyond the scan.
    """
    placed = _same_voxels(mask, scan, name)
    if placed is not None:
        return placed
    if _lost_geometry(mask, scan):
        raise RegionError(
            "bad_region",
            f"the mask {name} has lost its position in the patient",
            found="as many voxels as the scan, but an affine that says 1 mm from the corner: the "
            "program that saved it dropped the geometry",
            do="save the mask again with the scan's geometry; it is never guessed",
        )
    if not resample:
        raise RegionError(
            "bad_region",
            f"the mask {name} is on another grid than the scan",
            found=f"mask {_describe(mask)}; scan {_describe(scan)}",
            do="check that it belongs to this series, or ask for resampling with --resample-mask",
        )
    return _resample(mask, scan, name)


def _same_voxels(mask: Volume, scan: Volume, name: str) -> NDArray[np.bool_] | None:
    """The mask placed voxel by voxel; None if its voxels are not the scan's."""
    to_scan = np.linalg.inv(scan.affine) @ mask.affine
    turn = np.rint(to_scan[:3, :3])
    if sorted(np.abs(turn).sum(axis=0)) != [1, 1, 1] or sorted(np.abs(turn).sum(axis=1)) != [1] * 3:
        return None
    last = np.array(mask.array.shape) - 1
    corners = np.array(np.meshgrid(*[(0, n) for n in last])).reshape(3, -1)
    there = to_scan[:3, :3] @ corners + to_scan[:3, 3:]
    start = np.rint(to_scan[:3, 3])
    if np.abs(there - (turn @ corners + start[:, None])).max() > _TOLERANCE:
        return None
    axes = np.abs(turn).argmax(axis=1)  # the mask's axis that runs along each of the scan's
    array = mask.array.transpose(axes)
    low = np.empty(3, dtype=int)
    for axis, own in enumerate(axes):
        flipped = turn[axis, own] < 0
        if flipped:
            array = np.flip(array, axis)
        low[axis] = int(start[axis]) - (int(last[own]) if flipped else 0)
    high = low + array.shape
    inside = tuple(
        slice(max(0, -int(a)), max(0, n - max(0, int(b) - size)))
        for a, b, n, size in zip(low, high, array.shape, scan.array.shape, strict=True)
    )
    kept = array[inside]
    if int(kept.sum()) != int(array.sum()):
        raise RegionError(
            "bad_region",
            f"the mask {name} reaches beyond the scan",
            found=f"{int(array.sum()) - int(kept.sum())} of its voxels lie outside",
            do="check that it belongs to this series, and that the scan is whole",
        )
    out = np.zeros(scan.array.shape, dtype=np.bool_)
    out[
        tuple(
            slice(max(0, int(a)), max(0, min(size, int(b))))
            for a, b, size in zip(low, high, scan.array.shape, strict=True)
        )
    ] = kept
    return out


def _lost_geometry(mask: Volume, scan: Volume) -> bool:
    turned = np.abs(mask.affine - np.eye(4)).max() < 1e-6 or np.allclose(
        mask.affine, np.diag([-1.0, -1.0, 1.0, 1.0])
    )
    return bool(turned) and sorted(mask.array.shape) == sorted(scan.array.shape)


def _resample(mask: Volume, scan: Volume, name: str) -> NDArray[np.bool_]:
    """Nearest-neighbour: a drawn mask has no in-between values."""
    to_mask = np.linalg.inv(mask.affine) @ scan.affine
    padded = np.pad(mask.array, 1).astype(np.uint8)  # a voxel at the rim reaches half a step out
    laid = ndimage.affine_transform(
        padded,
        to_mask[:3, :3],
        to_mask[:3, 3] + 1,
        output_shape=scan.array.shape,
        order=0,
    ).astype(bool)
    drawn_ml = float(mask.array.sum()) * mask.voxel_volume_ml
    laid_ml = float(laid.sum()) * scan.voxel_volume_ml
    if drawn_ml and not laid_ml:
        raise RegionError(
            "bad_region",
            f"the mask {name} does not overlap the scan",
            found=f"mask {_describe(mask)}; scan {_describe(scan)}",
            do="check that it belongs to this patient and visit",
        )
    if drawn_ml and abs(laid_ml / drawn_ml - 1) > _LOST:
        raise RegionError(
            "bad_region",
            f"the mask {name} does not fit the scan",
            found=f"{drawn_ml:.0f} mL were drawn, {laid_ml:.0f} mL of them lie in the scan's grid",
            do="check that it belongs to this series, and that the scan is whole",
        )
    return np.asarray(laid)


def _describe(volume: Volume) -> str:
    shape = " x ".join(str(n) for n in volume.array.shape)
    spacing = " x ".join(f"{s:.3g}" for s in volume.spacing_mm)
    origin = ", ".join(f"{o:.1f}" for o in volume.affine[:3, 3])
    return f"{shape} voxels of {spacing} mm from ({origin})"
