"""Measure a mask that a person drew, instead of segmenting; its geometry must fit the scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...errors import EngineError, RegionError
from ...files import sha256_file
from ..readers import read_scan
from ..readers.segmentation import bounding_volume, is_segmentation, lay_on, read_segment
from ..volume import Volume
from .base import EngineOptions, EngineResult

_POSITION_TOLERANCE = 0.1  # of a voxel: what rounding in file headers explains


def existing_mask(volume: Volume, options: EngineOptions) -> EngineResult:
    """Take the liver from a mask file (NIfTI, NRRD, MetaImage or DICOM SEG).

    Raises:
        EngineError: no mask was given.
        RegionError: the mask lies on another grid and resampling was not asked for, or misses it.
    """
    if options.mask_path is None:
        raise EngineError(
            "weights_missing",
            "the engine existing_mask needs a mask",
            do="name it in study.csv's mask column, or with --mask",
        )
    if is_segmentation(options.mask_path):
        return EngineResult(
            liver=_from_segmentation(volume, options.mask_path, options),
            half_width=None,
            spleen=None,
            engine="existing_mask",
            engine_sha256=sha256_file(options.mask_path),
        )
    mask = read_scan(options.mask_path)
    wanted = mask.array == int(options.mask_segment) if options.mask_segment else mask.array != 0
    mask = Volume(np.asarray(wanted), mask.affine)
    if _same_grid(mask, volume):
        liver = mask.array.astype(bool)
    elif options.resample_mask:
        liver = _resample(mask, volume)
    else:
        raise RegionError(
            "bad_region",
            f"the mask {options.mask_path.name} lies on another grid than the scan",
            found=f"mask {_describe(mask)}; scan {_describe(volume)}",
            do="check that it belongs to this series, or ask for resampling with --resample-mask",
        )
    return EngineResult(
        liver=liver,
        half_width=None,
        spleen=None,
        engine="existing_mask",
        engine_sha256=sha256_file(options.mask_path),
    )


def _from_segmentation(volume: Volume, path: Path, options: EngineOptions) -> NDArray[np.bool_]:
    """One segment of a DICOM Segmentation, on the scan's slices by the position of each frame."""
    frames = read_segment(path, options.mask_segment)
    try:
        return lay_on(frames, volume)
    except RegionError:
        if not options.resample_mask:
            raise
    return _resample(bounding_volume(frames), volume)


def _same_grid(mask: Volume, volume: Volume) -> bool:
    """Same shape, and every corner of the two within a tenth of a voxel."""
    if mask.array.shape != volume.array.shape:
        return False
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in volume.array.shape])).reshape(3, -1)
    homogeneous = np.vstack([corners, np.ones(corners.shape[1])])
    offset_mm = (mask.affine - volume.affine) @ homogeneous
    furthest = float(np.sqrt((offset_mm[:3] ** 2).sum(axis=0)).max())
    return furthest <= _POSITION_TOLERANCE * min(volume.spacing_mm)


def _resample(mask: Volume, volume: Volume) -> NDArray[np.bool_]:
    """Nearest-neighbour: a drawn mask has no in-between values."""
    to_mask = np.linalg.inv(mask.affine) @ volume.affine
    liver = ndimage.affine_transform(
        mask.array.astype(np.uint8),
        to_mask[:3, :3],
        to_mask[:3, 3],
        output_shape=volume.array.shape,
        order=0,
    ).astype(bool)
    if mask.array.any() and not liver.any():
        raise RegionError(
            "bad_region",
            "the mask does not overlap the scan",
            found=f"mask {_describe(mask)}; scan {_describe(volume)}",
            do="check that it belongs to this patient and visit",
        )
    return np.asarray(liver)


def _describe(volume: Volume) -> str:
    shape = " x ".join(str(n) for n in volume.array.shape)
    spacing = " x ".join(f"{s:.3g}" for s in volume.spacing_mm)
    origin = ", ".join(f"{o:.1f}" for o in volume.affine[:3, 3])
    return f"{shape} voxels of {spacing} mm from ({origin})"
