"""DICOM headers as plain records: one :class:`SliceHeader` for each image or frame.

The only place that asks pydicom for header elements. A classic image gives one record, an enhanced
multi-frame image one a frame, read from the functional groups. Values that cannot be parsed are
None: what is missing is refused later, with a reason, and never replaced by a default.
"""

from __future__ import annotations

import io
import math
import stat
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from ...errors import ScanError
from .dicom_values import (
    damage_is_refused,
    integer,
    number,
    numbers,
    positive,
    raw,
    sequence,
    strings,
    tag_of,
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
MAX_DATASET_BYTES = 1 << 30
"""Largest inflated size of a deflated file; beyond it the file is a decompression bomb."""
_SMALL_BYTES = 64 << 20
_MAX_RATIO = 100
"""Images deflate to a half or a tenth; a larger file that claims a hundredth is a bomb."""

_PREAMBLE_BYTES = 132
_LARGE_READ = 1 << 16
_HASHED_BYTES = 1 << 20
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_SPLIT_KEYWORDS = (
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "AcquisitionNumber",
    "EchoTime",
    "EchoNumbers",
    "InversionTime",
    "DiffusionBValue",
    "FlipAngle",
    "KVP",
    "ConvolutionKernel",
    "ContrastBolusAgent",
    "TriggerTime",
    "AcquisitionTime",
    "ContentTime",
    "AcquisitionDateTime",
    "ContrastBolusStartTime",
)
# Technical values worth keeping beside a result. None of them names a person or a place.
TECHNICAL_KEYWORDS = (
    "Manufacturer",
    "ManufacturerModelName",
    "MagneticFieldStrength",
    "KVP",
    "ConvolutionKernel",
    "ContrastBolusAgent",
    "ContrastBolusVolume",
    "ContrastBolusIngredient",
    "ContrastBolusTotalDose",
    "ScanningSequence",
    "SequenceVariant",
    "MRAcquisitionType",
    "RepetitionTime",
    "EchoTime",
    "FlipAngle",
    "InversionTime",
    "SliceThickness",
    "SpacingBetweenSlices",
    "GantryDetectorTilt",
    "PatientPosition",
    "BodyPartExamined",
)
_TEXT_KEYWORDS = ("SeriesDescription", "ProtocolName", "SequenceName", "ScanOptions")
IDENTIFYING_KEYWORDS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "AccessionNumber",
    "StudyID",
    "InstitutionName",
    "InstitutionAddress",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
)
"""What names a person in a header (PS3.15 Annex E, the part that a message could quote)."""
_READ_KEYWORDS = [
    *IDENTIFYING_KEYWORDS,
    *_SPLIT_KEYWORDS,
    *TECHNICAL_KEYWORDS,
    *_TEXT_KEYWORDS,
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "SeriesTime",
    "SeriesNumber",
    "Modality",
    "ImageType",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "InstanceNumber",
    "ImageComments",
    "BurnedInAnnotation",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]


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


def open_dataset(
    path: Path, *, pixels: bool, everything: bool = False, digest: Any | None = None
) -> Any | None:
    """Open a DICOM file with pydicom; None when the file is not DICOM.

    Without ``pixels``, only the elements that reading needs are parsed, or ``everything`` before
    the pixel data. A ``digest`` of hashlib is fed with the whole file, so that it is opened once.

    Files without the 128-byte preamble are accepted when they parse into an image header.

    Raises:
        ScanError: ``unreadable_file``: missing, no permission, damaged, or a deflated file that
            inflates beyond :data:`MAX_DATASET_BYTES`.
    """
    import pydicom  # noqa: PLC0415 - start-up time
    from pydicom.config import disable_value_validation  # noqa: PLC0415
    from pydicom.errors import InvalidDicomError  # noqa: PLC0415

    try:
        stream = _Bounded(path)
    except _NotAFileError:
        return None
    except OSError as error:
        raise ScanError(
            "unreadable_file",
            f"{path.name} cannot be opened",
            found=f"{type(error).__name__}: {error.strerror or error}",
            do="check that the file exists and that you may read it",
        ) from error
    with stream, damage_is_refused(path), disable_value_validation():
        while digest is not None and (chunk := stream.read(_HASHED_BYTES)):
            digest.update(chunk)
        stream.seek(0)
        start = stream.read(_PREAMBLE_BYTES + 512)
        has_preamble = start[128:132] == b"DICM"
        if not has_preamble and not _looks_like_dataset(start):
            return None
        stream.seek(0)
        if has_preamble and _DEFLATED in start[_PREAMBLE_BYTES:]:
            return _open_deflated(stream, path)
        try:
            dataset = pydicom.dcmread(
                stream,
                force=not has_preamble,
                stop_before_pixels=not pixels,
                specific_tags=None
                if pixels or everything
                else [tag_of(word) for word in _READ_KEYWORDS],
            )
        except InvalidDicomError:
            return None
        if not pixels:
            _note_rest(dataset, stream)
    return dataset


class _NotAFileError(OSError):
    """A pipe or device."""


class _Bounded(io.BufferedReader):
    """A file that never sets memory aside for more bytes than it holds.

    A damaged length of 4 GiB would otherwise be asked of the system before the end is noticed.
    """

    def __init__(self, path: Path) -> None:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _NotAFileError  # opening a pipe waits for a writer, and /dev/zero never ends
        super().__init__(path.open("rb", buffering=0))
        self._size = status.st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as usual; large requests are cut at the end of the file."""
        if size is not None and size > _LARGE_READ:
            size = max(0, min(size, self._size - self.tell()))
        return super().read(size)


def _note_rest(dataset: Any, stream: Any) -> None:
    """Remember how many bytes follow the header: pydicom stops before the pixel data."""
    here = stream.tell()
    dataset.fibrovol_rest_bytes = stream.seek(0, 2) - here


def _looks_like_dataset(start: bytes) -> bool:
    """Whether bytes without a preamble begin with a DICOM element of group 0002 or 0008."""
    return len(start) > 8 and start[:2] in {b"\x02\x00", b"\x08\x00", b"\x00\x08"} and start[3] == 0


def _open_deflated(stream: Any, path: Path) -> Any:
    """Inflate within bounds, then parse: pydicom itself would inflate without a limit."""
    import pydicom  # noqa: PLC0415
    from pydicom.dataset import FileMetaDataset  # noqa: PLC0415
    from pydicom.filereader import read_dataset  # noqa: PLC0415

    content = stream.read()
    first = read_dataset(
        BytesIO(content[_PREAMBLE_BYTES:]),
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=lambda tag, _vr, _length: tag.group > 2,
    )
    meta = FileMetaDataset(first)
    offset = _PREAMBLE_BYTES + 12 + int(meta.FileMetaInformationGroupLength)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    limit = min(MAX_DATASET_BYTES, max(_SMALL_BYTES, _MAX_RATIO * len(content)))
    data = inflater.decompress(content[offset:], limit)
    if inflater.unconsumed_tail:
        raise ScanError(
            "unreadable_file",
            f"{path.name} inflates to more than {limit >> 20} MiB",
            found="a deflated transfer syntax with an absurd ratio",
            do="export the series again without compression",
        )
    buffer = BytesIO(data)
    dataset = read_dataset(buffer, is_implicit_VR=False, is_little_endian=True)
    return pydicom.FileDataset(
        str(path), dataset, file_meta=meta, is_implicit_VR=False, is_little_endian=True
    )


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
    who = who_of(dataset)
    per_frame = sequence(dataset, "PerFrameFunctionalGroupsSequence")
    if frames is not None and (frames > 1 or per_frame):
        shared = sequence(dataset, "SharedFunctionalGroupsSequence")
        return [
            _record(dataset, path, index, _groups(shared, per_frame, index), who)
            for index in range(frames)
        ]
    return [_record(dataset, path, None, [dataset], who)]


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
    """BitsStored, None where it is not stated or absurd."""
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


def _record(
    dataset: Any, path: Path, frame: int | None, places: list[Any], who: Mapping[str, str]
) -> SliceHeader:
    # In a multi-frame image, position must be stated per frame: the top level is one place for all
    look = places if frame is None else [*places, dataset]
    split = values(look, _SPLIT_KEYWORDS)
    if frame is not None:
        split |= values(
            look, ("EffectiveEchoTime", "FrameAcquisitionDateTime", "FrameAcquisitionNumber")
        )
        split.setdefault("AcquisitionDateTime", split.pop("FrameAcquisitionDateTime", ""))
    image_type = strings(look, "FrameType") or strings([dataset], "ImageType")
    component = strings(look, "ComplexImageComponent")
    return SliceHeader(
        path=path,
        frame=frame,
        sop_class_uid=_sop_class(dataset),
        sop_instance_uid=text(dataset, "SOPInstanceUID"),
        series_uid=text(dataset, "SeriesInstanceUID"),
        study_uid=text(dataset, "StudyInstanceUID"),
        modality=text(dataset, "Modality").upper(),
        image_type=tuple(image_type) + tuple(component),
        rows=integer(dataset, "Rows"),
        columns=integer(dataset, "Columns"),
        samples_per_pixel=integer(dataset, "SamplesPerPixel") or 1,
        photometric=text(dataset, "PhotometricInterpretation").upper(),
        position_mm=numbers(places, "ImagePositionPatient", 3),
        orientation=numbers(look, "ImageOrientationPatient", 6),
        pixel_spacing_mm=numbers(look, "PixelSpacing", 2),
        slice_thickness_mm=positive(number(look, "SliceThickness")),
        instance_number=integer(dataset, "InstanceNumber"),
        bits_stored=_bits(dataset),
        signed=integer(dataset, "PixelRepresentation") == 1,
        rescale_slope=number(look, "RescaleSlope"),
        rescale_intercept=number(look, "RescaleIntercept"),
        rescale_type=str(raw(look, "RescaleType") or "").strip(),
        padding=_padding(dataset),
        split={key: value for key, value in split.items() if value != ""},
        technical=values(look, TECHNICAL_KEYWORDS),
        description=" | ".join(word for key in _TEXT_KEYWORDS[:3] if (word := text(dataset, key))),
        series_number=integer(dataset, "SeriesNumber"),
        frame_of_reference_uid=text(dataset, "FrameOfReferenceUID"),
        patient_id=text(dataset, "PatientID"),
        study_date=text(dataset, "StudyDate") or text(dataset, "SeriesDate"),
        who=who,
        is_cut=_is_cut(dataset),
    )
