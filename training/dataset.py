"""Labelled scans on disk to the cases that synthesis draws from."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import ManifestError
from ..models.regions import label_largest
from .geometry import Case, make_case
from .organs import LIVER, OUTSIDE


def find_pairs(folder: Path) -> list[tuple[str, Path, Path]]:
    """Pairs of scan and label map in a folder: ``NAME_ct.nii.gz`` with ``NAME_organs.nii.gz``.

    ``_mr`` instead of ``_ct`` is taken too, and ``_liver`` instead of ``_organs``.

    Returns:
        (name, scan, labels), sorted by name.

    Raises:
        ManifestError: a scan without labels, or none at all.
    """
    folder = Path(folder)
    pairs = []
    for scan in sorted([*folder.glob("*_ct.nii*"), *folder.glob("*_mr.nii*")]):
        stem, ending = scan.name.rsplit("_", 1)
        suffix = ending[2:]
        found = [
            folder / f"{stem}_{kind}{suffix}"
            for kind in ("organs", "liver")
            if (folder / f"{stem}_{kind}{suffix}").exists()
        ]
        if not found:
            raise ManifestError(
                "bad_manifest",
                f"the scan {scan.name} has no label map next to it",
                found=f"no {stem}_organs{suffix} and no {stem}_liver{suffix}",
                do="add the label map or remove the scan",
            )
        pairs.append((stem, scan, found[0]))
    if not pairs:
        raise ManifestError(
            "bad_manifest",
            "the folder contains no labelled scans",
            found=f"no NAME_ct.nii.gz or NAME_mr.nii.gz in {folder}",
            do="name scans NAME_ct.nii.gz and their label maps NAME_organs.nii.gz",
        )
    return pairs


def load_labelled(
    scan: Path, labels: Path
) -> tuple[NDArray[np.float32], NDArray[np.uint8], nib.Nifti1Image]:
    """Read a NIfTI scan and its labels with axes along R, A, S.

    Returns:
        the scan (HU or signal), the labels, and the scan's canonical image for its geometry.

    Raises:
        ManifestError: the two lie on different grids.
    """
    image = nib.as_closest_canonical(nib.load(scan))
    label_image = nib.as_closest_canonical(nib.load(labels))
    if image.shape != label_image.shape or not np.allclose(
        image.affine, label_image.affine, atol=0.01
    ):
        raise ManifestError(
            "bad_manifest",
            f"{scan.name} and its label map lie on different grids",
            found=f"shapes {image.shape} and {label_image.shape}",
            do="resample the label map onto the scan",
        )
    array = np.asarray(image.get_fdata(dtype=np.float32))
    return array, np.asarray(label_image.dataobj).round().astype(np.uint8), image


def body_mask(hu: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The patient without table and clothes: the largest region above -100 HU, filled by slice."""
    mask = np.zeros(hu.shape, dtype=bool)
    for k in range(hu.shape[2]):
        dense = ndimage.binary_opening(hu[:, :, k] > -100, iterations=2)
        regions, largest = label_largest(dense)
        if largest:
            mask[:, :, k] = ndimage.binary_fill_holes(regions == largest)
    return mask


def load_case(scan: Path, labels: Path, label_map: dict[int, int] | None = None) -> Case:
    """Read one labelled CT for synthesis.

    Args:
        scan: CT in HU as NIfTI.
        labels: label map on the same grid.
        label_map: the map's numbers to BTCV's organ numbers (1 spleen, 2 and 3 kidneys,
            6 liver, ...); None if they are BTCV's already. Numbers not named are dropped.
    """
    hu, organs, image = load_labelled(scan, labels)
    if label_map is not None:
        table = np.zeros(256, dtype=np.uint8)
        for theirs, ours in label_map.items():
            table[theirs] = ours
        organs = table[organs]
    organs = np.where(organs > 13, 0, organs).astype(np.uint8)
    liver = np.argwhere(organs == LIVER)
    if not len(liver):
        raise ManifestError(
            "bad_manifest",
            f"the label map {labels.name} contains no liver",
            found=f"labels {sorted(np.unique(organs).tolist())}",
            do="check the label numbers, or name them with --labels",
        )
    organs[~body_mask(hu) & (organs == 0)] = OUTSIDE
    name = scan.name.rsplit("_", 1)[0]
    return make_case(name, hu, organs, image.header.get_zooms()[:3])
