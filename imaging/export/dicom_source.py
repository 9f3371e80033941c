"""The images that a DICOM result refers to, stripped of whom they show.

highdicom copies patient and study attributes from the source images into what it makes. So the
sources are rebuilt here from a list of what may pass: geometry, UIDs and modality. The subject's
code replaces the patient.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import OutputError
from ..readers.dicom import stack_of
from ..readers.dicom_geometry import StackGeometry, take_slices
from ..readers.dicom_open import open_dataset
from ..readers.dicom_stack import Stack
from ..volume import Volume

_PASSED = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID",
    "Modality", "Rows", "Columns", "NumberOfFrames", "PixelSpacing", "SliceThickness",
    "SpacingBetweenSlices", "ImageOrientationPatient", "ImagePositionPatient", "InstanceNumber",
    "PositionReferenceIndicator", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "DimensionOrganizationSequence", "DimensionIndexSequence",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "SamplesPerPixel", "PhotometricInterpretation", "ImageType",
)  # fmt: skip
_IDENTITY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
    "StudyDate", "StudyTime", "ReferringPhysicianName",
)  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """Whose result it is."""

    subject: str
    """The study's code; stands as PatientID and PatientName."""
    keep: bool = False
    """Copy name, birth date, accession number and dates from the images instead, so that the result
    can be filed in the PACS next to them."""
    date_shift_days: int | None = None
    """Added to StudyDate; None leaves dates out. Without effect with ``keep``."""


@dataclass(frozen=True)
class SourceImages:
    """The images of a scan and how its grid maps back to them."""

    datasets: list[Any]
    """One a single-frame image, or the one multi-frame image; no pixel data."""
    stack: Stack
    """Records of the slices."""
    geometry: StackGeometry
    """Of the stack."""
    scan: Volume
    """The scan itself."""
    identity: Identity
    """Whose result it is."""
    made_up_frame: bool = False
    """Whether the images state no frame of reference and one was derived from their series."""
    """Of the stack."""

    def frames(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask on the scan's grid as frames in the order of the source's images or frames."""
        place = self.stack.slices[0].place
        slices = take_slices(mask, self.geometry, place.rows, place.columns)
        headers = [self.stack.slices[index] for index in self.geometry.order]
        if headers[0].frame is None:
            return slices
        count = int(self.datasets[0].NumberOfFrames)
        frames = np.zeros((count, place.rows, place.columns), dtype=np.bool_)
        for header, image in zip(headers, slices, strict=True):
            frames[header.frame] = image
        return frames


def source_images(scan: Volume, identity: Identity) -> SourceImages:
    """Find the images of a scan again, in the order of its slices.

    Raises:
        OutputError: ``no_dicom_source``: the scan was not read from DICOM, or its files changed.
    """
    if not scan.source.series_uid:
        raise _no_source("the scan was read from NIfTI, NRRD or MetaImage")
    found = stack_of(scan)
    if found is None:
        raise _no_source("the files are no longer those that were measured")
    stack, geometry = found
    ordered = [stack.slices[index] for index in geometry.order]
    paths = [ordered[0].path] if ordered[0].frame is not None else [one.path for one in ordered]
    images = [_stripped(path, identity) for path in paths]
    made_up = [image for image in images if "FrameOfReferenceUID" not in image]
    for image in made_up:
        image.FrameOfReferenceUID = derived_uid([stack.uid, "frame of reference"])
    return SourceImages(images, stack, geometry, scan, identity, bool(made_up))


def _no_source(found: str) -> OutputError:
    return OutputError(
        "no_dicom_source",
        "A DICOM segmentation or report needs the DICOM images",
        found=found,
        do="take the NIfTI mask, or measure the DICOM series",
    )


def _stripped(path: Path, identity: Identity) -> Any:
    from pydicom import Dataset  # noqa: PLC0415 - start-up time

    full = open_dataset(path, pixels=False, everything=True)
    if full is None:
        raise _no_source(f"{path.name} is no longer DICOM")
    image = Dataset()
    for keyword in _PASSED:
        if keyword in full:
            image[keyword] = full[keyword]
    image.file_meta = full.file_meta
    image.SpecificCharacterSet = "ISO_IR 192"  # UTF-8 covers every other set
    values: dict[str, Any] = {}
    if identity.keep:
        values = {keyword: str(full.get(keyword) or "") for keyword in _IDENTITY}
    if not identity.keep:
        values["PatientID"], values["PatientName"] = identity.subject, f"{identity.subject}^"
        values["StudyDate"] = shifted(full.get("StudyDate"), identity.date_shift_days)
    for keyword in _IDENTITY:
        setattr(image, keyword, values.get(keyword) or "")
    return image


def shifted(date: object, days: int | None) -> str:
    """A DICOM date moved by a number of days; "" when none is to be written or it is not a date."""
    if days is None:
        return ""
    try:
        day = datetime.datetime.strptime(str(date), "%Y%m%d").replace(tzinfo=datetime.UTC)
        return (day + datetime.timedelta(days=days)).date().isoformat().replace("-", "")
    except (ValueError, OverflowError):
        return ""


def derived_uid(parts: Sequence[str]) -> str:
    """A UID that follows from its parts alone, so that a repeated run writes the same."""
    from pydicom.uid import generate_uid  # noqa: PLC0415 - start-up time

    return str(generate_uid(prefix="2.25.", entropy_srcs=["fibrovol", *parts]))
