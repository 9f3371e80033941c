"""Whether a DICOM mask was drawn on the scan that it is given for, by what both files state."""

from __future__ import annotations

from ...errors import RegionError
from ..volume import Volume
from .references import References

OTHER_SERIES = "mask_of_other_series"


def check_belongs(references: References, scan: Volume, name: str) -> list[str]:
    """Refuse a mask of another patient, study or frame of reference.

    A mask that refers to the scan's own images belongs to it, whatever code an anonymiser has put
    in the place of the patient.

    Args:
        references: of the mask.
        scan: read from DICOM; any other says nothing, and nothing is compared.
        name: of the mask's file, for messages.

    Returns:
        flags: ``mask_of_other_series`` where it was drawn on other images of the same study.

    Raises:
        RegionError: ``bad_region``.
    """
    if scan.source.placed is None:
        return []
    stack = scan.source.placed[0]
    head = stack.slices[0]
    if references.count_listed(stack.slices):
        return []
    differs = {
        "another frame of reference": bool(
            references.frames
            and head.frame_of_reference_uid
            and head.frame_of_reference_uid not in references.frames
        ),
        "another study": bool(
            references.study and head.study_uid and references.study != head.study_uid
        ),
        "another patient": bool(
            references.patient and head.patient_id and references.patient != head.patient_id
        ),
    }
    if any(differs.values()):
        raise RegionError(
            "bad_region",
            f"The mask {name} was not drawn on this scan",
            found=", ".join(what for what, is_so in differs.items() if is_so)
            + (", and other images" if references.images else ""),
            do="give the mask of this patient, visit and series",
        )
    other = bool(references.images)
    if references.series:
        other = head.series_uid not in references.series
    return [OTHER_SERIES] if other else []
