"""Write the scans whose outlines readers corrected as labelled cases for `fibrovol train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..batch.corrections import OUTDATED
from ..errors import FibrovolError, InputError
from ..files import atomic_path, write_text, writing
from ..imaging.volume import Volume
from ..training.organs import ORGANS
from .results import ReadCase, Results
from .scans import LIVER, SPLEEN, ScanShelf, read_labels

LIST_NAME = "training.csv"


@dataclass(frozen=True)
class TrainingList:
    """What is trained on, and which corrected cases are not, with the reason."""

    taken: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]


def write_training_cases(directory: Path, folder: Path) -> TrainingList:
    """Write NAME_ct.nii.gz and NAME_organs.nii.gz for each CT whose outline a reader corrected.

    ``training.csv`` next to them says which revision of whom each was made of. Rejected cases,
    MR, and corrections of another version of a scan are left out and named.

    Args:
        directory: the results folder.
        folder: where the cases are written; files of earlier corrections are replaced.

    Raises:
        InputError: ``bad_review``: nothing is left to train on.
        OutputError: the folder cannot be written.
    """
    results = Results(directory)
    shelf, state = ScanShelf(results), results.state()
    lines, left_out = ["name,input_sha256,mask_sha256,revision,reader"], []
    taken: list[str] = []
    with writing():
        folder.mkdir(parents=True, exist_ok=True)
        for old in [*folder.glob("*_ct.nii.gz"), *folder.glob("*_organs.nii.gz")]:
            old.unlink()
    for case in state.cases.values():
        if case.kind != "scan" or not case.corrections.standing:
            continue
        stand = state.stands.get(case.case_id)
        rejected = stand is not None and stand.verdict == "reject"
        reason = _hindrance(case, rejected=rejected)
        try:
            if not reason:
                scan = shelf.get(case)
                labels = read_labels(results.directory, case, scan)
                _write(folder, case.case_id, scan.volume, labels)
        except FibrovolError as error:
            reason = str(error)
        if reason:
            left_out.append((case.case_id, reason))
            continue
        taken.append(case.case_id)
        sha256 = case.row["input_sha256"] or ""
        facts = (case.case_id, sha256, case.mask_sha256, case.corrections.standing)
        lines.append(",".join(map(str, (*facts, case.row["reader"]))))
    with writing():
        write_text(folder / LIST_NAME, "\n".join(lines) + "\n")
    if not taken:
        raise InputError(
            "bad_review",
            "There is no corrected outline to learn from",
            found="; ".join(f"{name}: {why}" for name, why in left_out[:5]) or "no correction",
            do="correct outlines of CTs with `fibrovol review` first",
        )
    return TrainingList(tuple(taken), tuple(left_out))


def _hindrance(case: ReadCase, *, rejected: bool) -> str:
    """Why a corrected case is not learnt from, "" if it is."""
    if OUTDATED in case.flags:
        return "the correction is of another version of the scan"
    if rejected:
        return "a reader rejected it"
    if str(case.row["modality"]) != "CT":
        return f"it is {case.row['modality'] or 'of unknown modality'}; training takes CT"
    return ""


def _write(folder: Path, name: str, volume: Volume, labels: NDArray[np.uint8]) -> None:
    """A scan and its labels in BTCV's numbers, on one grid."""
    organs = np.zeros(labels.shape, np.uint8)
    organs[labels == LIVER], organs[labels == SPLEEN] = ORGANS["liver"], ORGANS["spleen"]
    with writing():
        _save(folder / f"{name}_ct.nii.gz", volume.array, volume.affine)
        _save(folder / f"{name}_organs.nii.gz", organs, volume.affine)


def _save(path: Path, array: NDArray[Any], affine: NDArray[np.float64]) -> None:
    import nibabel  # noqa: PLC0415 - start-up time

    dtype = array.dtype if array.dtype in (np.uint8, np.int16) else np.float32
    image = nibabel.Nifti1Image(np.asarray(array, dtype), affine)
    image.header.set_xyzt_units("mm")
    with atomic_path(path) as temporary:
        nibabel.save(image, temporary)
