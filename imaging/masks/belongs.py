"""Whether a DICOM mask was drawn on the scan that it is given for, by what both files state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...errors import RegionError
from ..readers.dicom_values import parse_errors, raw, sequence, text
from ..volume import Volume

OTHER_SERIES = "mask_of_other_series"


def check_belongs(dataset: Any, scan: Volume, name: str, frame_uids: Iterable[str]) -> list[str]:
    """Refuse a mask of another patient, study or frame of reference.

    A mask that refers to the scan's own images belongs to it, whatever code an anonymiser has put
    in the place of the patient.

    Args:
        dataset: of the mask.
        scan: read from DICOM; any other says nothing, and nothing is compared.
        name: of the mask's file, for messages.
        frame_uids: the frames of reference that the mask states.

    Returns:
        flags: ``mask_of_other_series`` where it was drawn on other images of the same study.

    Raises:
        RegionError: ``bad_region``.
    """
    if scan.source.placed is None:
        return []
    stack = scan.source.placed[0]
    head = stack.slices[0]
    own = {image.sop_instance_uid for image in stack.slices}
    referred = referred_images(dataset)
    if own & referred:
        return []
    frames = {uid for uid in frame_uids if uid}
    patient, study = text(dataset, "PatientID"), text(dataset, "StudyInstanceUID")
    differs = {
        "another frame of reference": bool(
            frames and head.frame_of_reference_uid and head.frame_of_reference_uid not in frames
        ),
        "another study": bool(study and head.study_uid and study != head.study_uid),
        "another patient": bool(patient and head.patient_id and patient != head.patient_id),
    }
    if any(differs.values()):
        raise RegionError(
            "bad_region",
            f"The mask {name} was not drawn on this scan",
            found=", ".join(what for what, is_so in differs.items() if is_so)
            + (", and other images" if referred else ""),
            do="give the mask of this patient, visit and series",
        )
    return [OTHER_SERIES] if referred else []


def referred_images(dataset: Any) -> set[str]:
    """SOPInstanceUIDs of the images that a mask says it was drawn on."""
    found: set[str] = set()
    _collect(dataset, found, 0)
    return found


_DEEPEST = 8


def _collect(dataset: Any, found: set[str], depth: int) -> None:
    uid = raw([dataset], "ReferencedSOPInstanceUID")
    if uid is not None:
        found.add(str(uid))
    if depth >= _DEEPEST:
        return
    for keyword in (
        "ReferencedSeriesSequence", "ReferencedInstanceSequence", "DerivationImageSequence",
        "SourceImageSequence", "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence",
        "ReferencedFrameOfReferenceSequence", "RTReferencedStudySequence",
        "RTReferencedSeriesSequence", "ContourImageSequence", "ROIContourSequence",
        "ContourSequence",
    ):  # fmt: skip
        try:
            for item in sequence(dataset, keyword):
                _collect(item, found, depth + 1)
        except parse_errors():
            continue  # a damaged part names no image
