"""DICOM headers as plain records: one :class:`SliceHeader` for each image or frame.

The only place that asks pydicom for header elements. A classic image gives one record, an enhanced
multi-frame image one a frame, read from the functional groups. Values that cannot be parsed are
None: what is missing is refused later, with a reason, and never replaced by a default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import ScanError
from .dicom_keywords import IDENTIFYING_KEYWORDS, SPLIT_KEYWORDS, TECHNICAL_KEYWORDS, TEXT_KEYWORDS
from .dicom_open import open_dataset
from .dicom_values import (
    damage_is_refused,
    integer,
    number,
    numbers,
    positive,
    raw,
    sequence,
    strings,
    text,
    values,
)

_IMAGE_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.2.2",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.4.4",
}
"""CT, MR, enhanced CT and MR, legacy converted enhanced CT and MR image storage."""
_NATIVE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"}
MAX_FRAMES = 20_000
"""More frames than any scanner writes into one object; a larger number is a damaged header."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a slice lies and how large it is, every part of it stated by the file."""

    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing_mm: tuple[float, ...]
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """One image of a series, or one frame of a multi-frame image."""

    path: Path
    """The file."""
    frame: int | None = None
    """Frame index in the file from 0, None for a single-frame image."""
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    series_uid: str = ""
    study_uid: str = ""
    modality: str = ""
    image_type: tuple[str, ...] = ()
    rows: int | None = None
    columns: int | None = None
    samples_per_pixel: int = 1
    photometric: str = ""
    position_mm: tuple[float, ...] | None = None
    """ImagePositionPatient, LPS mm: centre of the first voxel sent."""
    orientation: tuple[float, ...] | None = None
    """ImageOrientationPatient: direction of a row, then of a column."""
    pixel_spacing_mm: tuple[float, ...] | None = None
    """Between rows, then between columns."""
    slice_thickness_mm: float | None = None
    instance_number: int | None = None
    bits_stored: int | None = None
    signed: bool = False
    rescale_slope: float | None = None
    rescale_intercept: float | None = None
    rescale_type: str = ""
    """RescaleType: the unit of the values."""
    padding: tuple[int, int] | None = None
    """Lowest and highest stored value that stands for no image (PixelPaddingValue)."""
    split: dict[str, str | float] = field(default_factory=dict)
    """Values that tell phases, echoes and acquisitions apart, by keyword."""
    technical: dict[str, str | float] = field(default_factory=dict)
    """Technical values by keyword, see :data:`TECHNICAL_KEYWORDS`."""
    description: str = ""
    series_number: int | None = None
    frame_of_reference_uid: str = ""
    patient_id: str = ""
    """PatientID; only the study draft uses it, no result carries it."""
    identity_removed: bool = False
    """PatientIdentityRemoved: the PatientID is a code that says who it was to nobody else."""
    study_date: str = ""
    """StudyDate as YYYYMMDD; used as patient_id is."""
    who: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """What names the patient, by keyword; for messages to leave it out, and never for a result."""
    is_cut: bool = False
    """The file ends before its uncompressed pixel data do."""

    @property
    def place(self) -> Placement:
        """The complete geometry.

        Raises:
            ValueError: a part of it is not stated; callers look at the parts first.
        """
        position, orientation, spacing = self.position_mm, self.orientation, self.pixel_spacing_mm
        if position is None or orientation is None or spacing is None:
            raise ValueError(f"{self.path.name} does not state its geometry")
        if self.rows is None or self.columns is None:
            raise ValueError(f"{self.path.name} does not state its size")
        return Placement(position, orientation, spacing, self.rows, self.columns)


def read_headers(path: Path) -> list[SliceHeader]:
    """Read the records of one file; the pixel data stay on the disk.

    Returns:
        one record an image or frame; an empty list when the file is not DICOM or no image (a
        DICOMDIR, a report).

    Raises:
        ScanError: the file cannot be opened (``unreadable_file``) or states an absurd number of
            frames (``implausible_geometry``).
    """
    dataset = open_dataset(path, pixels=False)
    with damage_is_refused(path):
        return [] if dataset is None else headers_of(dataset, path)


def headers_of(dataset: Any, path: Path) -> list[SliceHeader]:
    """Turn a pydicom dataset into records.

    Raises:
        ScanError: ``implausible_geometry`` for an absurd number of frames.
    """
    if "Rows" not in dataset:
        if _sop_class(dataset) in _IMAGE_CLASSES:
            raise ScanError(
                "unreadable_file",
                f"{path.name} ends inside its header",
                found="a CT or MR image without Rows",
                do="copy or export the file again",
            )
        if "SOPClassUID" not in dataset:
            return []
    frames = integer(dataset, "NumberOfFrames")
    if frames is not None and frames > MAX_FRAMES:
        raise ScanError(
            "implausible_geometry",
            f"{path.name} states {frames} frames",
            found=f"NumberOfFrames {frames}, more than {MAX_FRAMES}",
            do="export the series again",
        )
    same = _same_for_all(dataset, path)
    per_frame = sequence(dataset, "PerFrameFunctionalGroupsSequence")
    if frames is not None and (frames > 1 or per_frame):
        shared = sequence(dataset, "SharedFunctionalGroupsSequence")
        return [
            _record(dataset, index, _groups(shared, per_frame, index), same)
            for index in range(frames)
        ]
    return [_record(dataset, None, [dataset], same)]


def who_of(dataset: Any) -> dict[str, str]:
    """What a dataset says of its patient, by keyword of :data:`IDENTIFYING_KEYWORDS`."""
    return {key: word for key in IDENTIFYING_KEYWORDS if (word := text(dataset, key))}


def _sop_class(dataset: Any) -> str:
    stated = text(dataset, "SOPClassUID")
    meta = getattr(dataset, "file_meta", None)
    return stated or str(getattr(meta, "MediaStorageSOPClassUID", ""))


def _is_cut(dataset: Any) -> bool:
    """Whether uncompressed pixel data are shorter than the header promises."""
    rest = getattr(dataset, "fibrovol_rest_bytes", None)
    meta = getattr(dataset, "file_meta", None)
    if rest is None or str(getattr(meta, "TransferSyntaxUID", "")) not in _NATIVE:
        return False
    parts = [
        integer(dataset, keyword)
        for keyword in ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated")
    ]
    return 0 < rest < math.prod(part or 1 for part in parts) // 8


def _padding(dataset: Any) -> tuple[int, int] | None:
    value = integer(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = integer(dataset, "PixelPaddingRangeLimit")
    return (value, value) if limit is None else (min(value, limit), max(value, limit))


def _bits(dataset: Any) -> int | None:
    """BitsStored, None if it is not stated or absurd."""
    bits = integer(dataset, "BitsStored")
    return bits if bits is not None and 1 <= bits <= 32 else None


def _groups(shared: Sequence[Any], per_frame: Sequence[Any], index: int) -> list[Any]:
    """The datasets in which a frame's values are looked for, most specific first."""
    groups: list[Any] = []
    for item in [*per_frame[index : index + 1], *shared[:1]]:
        for element in item:
            if element.VR == "SQ" and not element.tag.is_private and element.value:
                groups.append(element.value[0])
    return groups


def _same_for_all(dataset: Any, path: Path) -> dict[str, Any]:
    """What holds for every frame of a file, which may have thousands: asked for once."""
    return {
        "path": path,
        "sop_class_uid": _sop_class(dataset),
        "sop_instance_uid": text(dataset, "SOPInstanceUID"),
        "series_uid": text(dataset, "SeriesInstanceUID"),
        "study_uid": text(dataset, "StudyInstanceUID"),
        "modality": text(dataset, "Modality").upper(),
        "rows": integer(dataset, "Rows"),
        "columns": integer(dataset, "Columns"),
        "samples_per_pixel": integer(dataset, "SamplesPerPixel") or 1,
        "photometric": text(dataset, "PhotometricInterpretation").upper(),
        "instance_number": integer(dataset, "InstanceNumber"),
        "bits_stored": _bits(dataset),
        "signed": integer(dataset, "PixelRepresentation") == 1,
        "padding": _padding(dataset),
        "description": " | ".join(
            word for key in TEXT_KEYWORDS[:3] if (word := text(dataset, key))
        ),
        "series_number": integer(dataset, "SeriesNumber"),
        "frame_of_reference_uid": text(dataset, "FrameOfReferenceUID"),
        "patient_id": text(dataset, "PatientID"),
        "identity_removed": text(dataset, "PatientIdentityRemoved").upper() == "YES",
        "study_date": text(dataset, "StudyDate") or text(dataset, "SeriesDate"),
        "who": who_of(dataset),
        "is_cut": _is_cut(dataset),
    }


def _record(
    dataset: Any, frame: int | None, places: list[Any], same: Mapping[str, Any]
) -> SliceHeader:
    # In a multi-frame image, position must be stated per frame: the top level is one place for all
    look = places if frame is None else [*places, dataset]
    split = values(look, SPLIT_KEYWORDS)
    if frame is not None:
        split |= values(
            look, ("EffectiveEchoTime", "FrameAcquisitionDateTime", "FrameAcquisitionNumber")
        )
        split.setdefault("AcquisitionDateTime", split.pop("FrameAcquisitionDateTime", ""))
    image_type = strings(look, "FrameType") or strings([dataset], "ImageType")
    component = strings(look, "ComplexImageComponent")
    return SliceHeader(
        frame=frame,
        image_type=tuple(image_type) + tuple(component),
        position_mm=numbers(places, "ImagePositionPatient", 3),
        orientation=numbers(look, "ImageOrientationPatient", 6),
        pixel_spacing_mm=numbers(look, "PixelSpacing", 2),
        slice_thickness_mm=positive(number(look, "SliceThickness")),
        rescale_slope=number(look, "RescaleSlope"),
        rescale_intercept=number(look, "RescaleIntercept"),
        rescale_type=str(raw(look, "RescaleType") or "").strip(),
        split={key: value for key, value in split.items() if value != ""},
        technical=values(look, TECHNICAL_KEYWORDS),
        **same,
    )
