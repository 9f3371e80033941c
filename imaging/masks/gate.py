"""The one way in for masks: what kind of file it is, which of it is the liver, where it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RegionError, ScanError
from ...files import sha256_file
from ..readers.dicom_files import list_files
from ..readers.dicom_open import open_dataset
from ..readers.dicom_values import damage_is_refused, text
from ..volume import ScanSource, Volume
from .belongs import check_belongs
from .files import is_voxel_file, liver_of, read_voxels
from .labels import choose_labels
from .lattice import on_grid
from .planes import fill_planes, missing_planes
from .references import References, references_of
from .segmentation import (
    SEGMENTATION_CLASSES,
    bounding_volume,
    lay_on,
    on_scan,
    read_segments,
    slices_of,
)
from .structures import STRUCTURE_CLASS, draw, own_slices, read_structures

_LEAST_LOOKED_AT = 5000
"""Files of a folder that is searched for a mask."""


@dataclass(frozen=True)
class MaskOptions:
    """How a mask is taken."""

    segment: str = ""
    """Which labels are the liver: numbers, ranges, names; "" if it is clear."""
    threshold: float = 0.0
    """From which value on a voxel of a probability map is liver; 0 if it is not such a map."""
    resample: bool = False
    """Take a mask of other voxels than the scan's."""
    fill_slices: bool = False
    """Draw slices between drawn ones by shape."""


@dataclass(frozen=True)
class TakenMask:
    """A mask on the grid of its scan."""

    liver: NDArray[np.bool_]
    sha256: str
    """Of the file."""
    flags: tuple[str, ...] = ()


def take_mask(path: Path, scan: Volume, options: MaskOptions) -> TakenMask:
    """Read a mask, choose the liver in it and lay it on the scan.

    Args:
        path: NIfTI (one file or two), NRRD, .seg.nrrd, MetaImage, DICOM SEG or RTSTRUCT, or a
            folder that contains one of them.
        scan: what it was drawn on.
        options: what the user asked for.

    Raises:
        RegionError: ``bad_region``: why the mask cannot be taken as it is, and what to do.
    """
    try:
        file = _mask_file(Path(path))
        liver, flags = _laid(file, scan, options)
    except RegionError:
        raise
    except ScanError as error:  # of the mask: what a scan's sentence advises would mislead
        raise RegionError(
            "bad_region",
            f"The mask {Path(path).name} cannot be used: {error.what}",
            found=error.found,
            do="give a mask of this scan as NIfTI, NRRD, MetaImage, DICOM SEG or RTSTRUCT",
        ) from error
    axis, missing = missing_planes(liver)
    if missing and not options.fill_slices:
        raise RegionError(
            "bad_region",
            f"The mask {file.name} leaves out slices of the organ",
            found=f"{len(missing)} empty planes between drawn ones, the first of them "
            f"{missing[0]}: a liver drawn on every second slice has half its volume",
            do="draw them, or have them interpolated by shape with --fill-slices",
        )
    if missing:
        liver = fill_planes(liver, axis)
        flags.append("mask_slices_filled")
    return TakenMask(liver, sha256_file(file), tuple(flags))


def references_in(path: Path) -> References:
    """What a mask says it was drawn on; empty for formats that cannot say it.

    Raises:
        RegionError: ``bad_region``: there is no mask.
        ScanError: the file is damaged.
    """
    file = _mask_file(Path(path))
    if is_voxel_file(file):
        return References()
    dataset = open_dataset(file, pixels=False, everything=True)
    if dataset is None or _kind(dataset) not in (*SEGMENTATION_CLASSES, STRUCTURE_CLASS):
        return References()  # not a mask: refused when it is read
    with damage_is_refused(file):
        return references_of(dataset)


def _mask_file(path: Path) -> Path:
    """The file itself, or the one mask of a folder."""
    if not path.exists():
        raise RegionError(
            "bad_region",
            f"The mask {path.name} does not exist",
            found=f"nothing at {path}",
            do="check the path; relative paths in study.csv are relative to that file",
        )
    if not path.is_dir():
        return path
    files = sorted(one for one in path.rglob("*") if one.is_file() and is_voxel_file(one))
    files = [one for one in files if not one.name.lower().endswith((".img", ".img.gz"))]
    for one in list_files(path)[:_LEAST_LOOKED_AT]:
        dataset = open_dataset(one, pixels=False)
        if dataset is not None and _kind(dataset) in (*SEGMENTATION_CLASSES, STRUCTURE_CLASS):
            files.append(one)
    if len(files) == 1:
        return files[0]
    listed = ", ".join(one.name for one in files[:8])
    raise RegionError(
        "bad_region",
        f"The folder {path.name} has {len(files) or 'no'} mask{'s' if len(files) != 1 else ''}",
        found=listed or "no NIfTI, NRRD, MetaImage, DICOM SEG or RTSTRUCT file",
        do="give the file of the mask",
    )


def _kind(dataset: Any) -> str:
    return text(dataset, "SOPClassUID")


def _laid(file: Path, scan: Volume, options: MaskOptions) -> tuple[NDArray[np.bool_], list[str]]:
    if is_voxel_file(file):
        mask = liver_of(read_voxels(file), options.segment, options.threshold, file.name)
        liver = on_grid(mask, scan, file.name, resample=options.resample)
        return liver, []
    dataset = open_dataset(file, pixels=True)
    kind = "" if dataset is None else _kind(dataset)
    with damage_is_refused(file):
        if kind in SEGMENTATION_CLASSES:
            return _segmentation(dataset, file, scan, options)
        if kind == STRUCTURE_CLASS:
            return _structures(dataset, file, scan, options)
    raise RegionError(
        "bad_region",
        f"{file.name} is not a mask",
        found="a DICOM file of another kind" if dataset is not None else "no format that is known",
        do="give a mask as NIfTI, NRRD, MetaImage, DICOM SEG or RTSTRUCT",
    )


def _segmentation(
    dataset: Any, file: Path, scan: Volume, options: MaskOptions
) -> tuple[NDArray[np.bool_], list[str]]:
    frames = read_segments(dataset, file, options.segment, options.threshold, scan)
    flags = check_belongs(references_of(dataset), scan, file.name)
    try:
        return lay_on(frames, scan), flags
    except RegionError:
        if not options.resample:
            raise
    return on_grid(bounding_volume(frames), scan, file.name, resample=True), flags


def _structures(
    dataset: Any, file: Path, scan: Volume, options: MaskOptions
) -> tuple[NDArray[np.bool_], list[str]]:
    structures = read_structures(dataset, file.name)
    chosen = choose_labels(structures.labels, options.segment, file.name, structures.empty)
    flags = check_belongs(references_of(dataset), scan, file.name)
    slices = slices_of(scan)
    try:
        return on_scan(draw(structures, chosen, slices), scan), flags
    except RegionError:
        if not options.resample:
            raise
    own = own_slices(structures, chosen, slices)
    masks = draw(structures, chosen, own)
    volume = Volume(masks.transpose(2, 1, 0), own.affine, source=ScanSource(n_slices=len(masks)))
    return on_grid(volume, scan, file.name, resample=True), flags
