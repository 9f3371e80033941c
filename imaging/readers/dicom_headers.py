"""DICOM headers as plain records: one :class:`SliceHeader` for each image or frame.

The only place that asks pydicom for header elements. A classic image gives one record, an enhanced
multi-frame image one a frame, read from the functional groups. Values that cannot be parsed are
None: what is missing is refused later, with a reason, and never replaced by a default.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from ...errors import ScanError

MAX_FRAMES = 20_000
"""More frames than any scanner writes into one object; a larger number is a damaged header."""
MAX_DATASET_BYTES = 2 << 30
"""Largest inflated size of a deflated file; beyond it the file is a decompression bomb."""

_PREAMBLE_BYTES = 132
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
)
# Technical values worth keeping beside a result. None of them names a person or a place.
TECHNICAL_KEYWORDS = (
    "Manufacturer",
    "ManufacturerModelName",
    "MagneticFieldStrength",
    "KVP",
    "ConvolutionKernel",
    "ContrastBolusAgent",
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
_READ_KEYWORDS = [
    *_SPLIT_KEYWORDS,
    *TECHNICAL_KEYWORDS,
    *_TEXT_KEYWORDS,
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "PatientID",
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
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "InstanceNumber",
    "ImageComments",
    "BurnedInAnnotation",
    "ContrastBolusStartTime",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
]
_FRAME_KEYWORDS = (
    "FrameType",
    "ComplexImageComponent",
    "EffectiveEchoTime",
    "FrameAcquisitionDateTime",
    "FrameAcquisitionNumber",
)


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
    """One image of a series, or one frame of a multi-frame image.

    Attributes:
        path: the file.
        frame: frame index in the file from 0, None for a single-frame image.
        position_mm: ImagePositionPatient, LPS mm: centre of the first voxel sent.
        orientation: ImageOrientationPatient: direction of a row, then of a column.
        pixel_spacing_mm: between rows, then between columns.
        split: values that tell phases, echoes and acquisitions apart, by keyword.
        technical: technical values by keyword, see :data:`TECHNICAL_KEYWORDS`.
        patient_id: PatientID; only the study draft uses it, no result carries it.
        study_date: StudyDate as YYYYMMDD; used as patient_id is.
    """

    path: Path
    frame: int | None = None
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
    orientation: tuple[float, ...] | None = None
    pixel_spacing_mm: tuple[float, ...] | None = None
    slice_thickness_mm: float | None = None
    instance_number: int | None = None
    bits_stored: int | None = None
    signed: bool = False
    rescale_slope: float | None = None
    rescale_intercept: float | None = None
    split: dict[str, str | float] = field(default_factory=dict)
    technical: dict[str, str | float] = field(default_factory=dict)
    description: str = ""
    series_number: int | None = None
    patient_id: str = ""
    study_date: str = ""

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
    return [] if dataset is None else headers_of(dataset, path)


def open_dataset(path: Path, *, pixels: bool) -> Any | None:
    """Open a DICOM file with pydicom; None when the file is not DICOM.

    Files without the 128-byte preamble are accepted when they parse into an image header.

    Raises:
        ScanError: ``unreadable_file``: missing, no permission, damaged, or a deflated file that
            inflates beyond :data:`MAX_DATASET_BYTES`.
    """
    import pydicom  # noqa: PLC0415 - start-up time
    from pydicom.config import disable_value_validation  # noqa: PLC0415
    from pydicom.errors import InvalidDicomError  # noqa: PLC0415

    try:
        with path.open("rb") as stream:
            start = stream.read(_PREAMBLE_BYTES + 512)
            has_preamble = start[128:132] == b"DICM"
            if not has_preamble and not _looks_like_dataset(start):
                return None
            stream.seek(0)
            with disable_value_validation():
                if has_preamble and b"1.2.840.10008.1.2.1.99" in start[_PREAMBLE_BYTES:]:
                    return _open_deflated(stream, path)
                dataset = pydicom.dcmread(
                    stream,
                    force=not has_preamble,
                    stop_before_pixels=not pixels,
                    specific_tags=None
                    if pixels
                    else [_tags()[keyword] for keyword in _READ_KEYWORDS],
                )
    except InvalidDicomError:
        return None
    except OSError as error:
        raise ScanError(
            "unreadable_file",
            f"{path.name} cannot be opened",
            found=f"{type(error).__name__}: {error.strerror or error}",
            do="check that the file exists and that you may read it",
        ) from error
    except ScanError:
        raise
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        NotImplementedError,
        EOFError,
        IndexError,
        RecursionError,
        OverflowError,
        MemoryError,
        zlib.error,
    ) as error:
        raise _damaged(path, error) from error
    except Exception as error:  # pydicom raises struct.error and its own kinds on damaged files
        if type(error).__module__.split(".")[0] not in {"struct", "pydicom"}:
            raise
        raise _damaged(path, error) from error
    return dataset


def _damaged(path: Path, error: BaseException) -> ScanError:
    return ScanError(
        "unreadable_file",
        f"{path.name} is a damaged DICOM file",
        found=f"{type(error).__name__}: {str(error)[:200]}",
        do="export the series again",
    )


def _looks_like_dataset(start: bytes) -> bool:
    """Whether bytes without a preamble begin with a DICOM element of group 0002 or 0008."""
    return len(start) > 8 and start[:2] in {b"\x02\x00", b"\x08\x00", b"\x00\x08"} and start[3] == 0


def _open_deflated(stream: Any, path: Path) -> Any:
    """Inflate within bounds, then parse: pydicom itself would inflate without a limit."""
    import pydicom  # noqa: PLC0415
    from pydicom.filereader import read_dataset, read_file_meta_info  # noqa: PLC0415

    meta = read_file_meta_info(path)
    raw = stream.read()
    offset = _PREAMBLE_BYTES + 12 + int(meta.FileMetaInformationGroupLength)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    data = inflater.decompress(raw[offset:], MAX_DATASET_BYTES)
    if inflater.unconsumed_tail:
        raise ScanError(
            "unreadable_file",
            f"{path.name} inflates to more than {MAX_DATASET_BYTES >> 20} MiB",
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
    if "SOPClassUID" not in dataset and "Rows" not in dataset:
        return []
    frames = _integer(dataset, "NumberOfFrames")
    if frames is not None and frames > MAX_FRAMES:
        raise ScanError(
            "implausible_geometry",
            f"{path.name} states {frames} frames",
            found=f"NumberOfFrames {frames}, more than {MAX_FRAMES}",
            do="export the series again",
        )
    per_frame = _sequence(dataset, "PerFrameFunctionalGroupsSequence")
    if frames is not None and (frames > 1 or per_frame):
        shared = _sequence(dataset, "SharedFunctionalGroupsSequence")
        return [
            _record(dataset, path, index, _groups(shared, per_frame, index))
            for index in range(frames)
        ]
    return [_record(dataset, path, None, [dataset])]


def _groups(shared: Sequence[Any], per_frame: Sequence[Any], index: int) -> list[Any]:
    """The datasets in which a frame's values are looked for, most specific first."""
    groups: list[Any] = []
    for item in [*per_frame[index : index + 1], *shared[:1]]:
        for element in item:
            if element.VR == "SQ" and not element.tag.is_private and element.value:
                groups.append(element.value[0])
    return groups


def _record(dataset: Any, path: Path, frame: int | None, places: list[Any]) -> SliceHeader:
    # In a multi-frame image, position must be stated per frame: the top level is one place for all
    look = places if frame is None else [*places, dataset]
    split = _values(look, _SPLIT_KEYWORDS)
    if frame is not None:
        split |= _values(
            look, ("EffectiveEchoTime", "FrameAcquisitionDateTime", "FrameAcquisitionNumber")
        )
        split.setdefault("AcquisitionDateTime", split.pop("FrameAcquisitionDateTime", ""))
    image_type = _strings(look, "FrameType") or _strings([dataset], "ImageType")
    component = _strings(look, "ComplexImageComponent")
    return SliceHeader(
        path=path,
        frame=frame,
        sop_class_uid=_text(dataset, "SOPClassUID"),
        sop_instance_uid=_text(dataset, "SOPInstanceUID"),
        series_uid=_text(dataset, "SeriesInstanceUID"),
        study_uid=_text(dataset, "StudyInstanceUID"),
        modality=_text(dataset, "Modality").upper(),
        image_type=tuple(image_type) + tuple(component),
        rows=_integer(dataset, "Rows"),
        columns=_integer(dataset, "Columns"),
        samples_per_pixel=_integer(dataset, "SamplesPerPixel") or 1,
        photometric=_text(dataset, "PhotometricInterpretation").upper(),
        position_mm=_numbers(places, "ImagePositionPatient", 3),
        orientation=_numbers(look, "ImageOrientationPatient", 6),
        pixel_spacing_mm=_numbers(look, "PixelSpacing", 2),
        slice_thickness_mm=_positive(_number(look, "SliceThickness")),
        instance_number=_integer(dataset, "InstanceNumber"),
        bits_stored=_integer(dataset, "BitsStored"),
        signed=_integer(dataset, "PixelRepresentation") == 1,
        rescale_slope=_number(look, "RescaleSlope"),
        rescale_intercept=_number(look, "RescaleIntercept"),
        split={key: value for key, value in split.items() if value != ""},
        technical=_values(look, TECHNICAL_KEYWORDS),
        description=" | ".join(text for key in _TEXT_KEYWORDS[:3] if (text := _text(dataset, key))),
        series_number=_integer(dataset, "SeriesNumber"),
        patient_id=_text(dataset, "PatientID"),
        study_date=_text(dataset, "StudyDate") or _text(dataset, "SeriesDate"),
    )


def _raw(places: Iterable[Any], keyword: str) -> Any:
    tag = _tags()[keyword]
    for place in places:
        if tag not in place.keys():  # noqa: SIM118 - `in place` would convert the tag again
            continue
        try:
            value = place[tag].value
        except (
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            NotImplementedError,
            OverflowError,
        ):
            continue  # a damaged element counts as absent; what is needed is refused later
        if value is not None and value not in ("", []):
            return value
    return None


@cache
def _tags() -> dict[str, Any]:
    """Tags by keyword, made once: looking names up for every element took most of the time."""
    from pydicom.tag import Tag  # noqa: PLC0415 - start-up time

    return {keyword: Tag(keyword) for keyword in (*_READ_KEYWORDS, *_FRAME_KEYWORDS)}


def _text(dataset: Any, keyword: str) -> str:
    value = _raw([dataset], keyword)
    return "" if value is None else str(value).strip().strip("\0").strip()


def _strings(places: Iterable[Any], keyword: str) -> list[str]:
    value = _raw(places, keyword)
    if value is None:
        return []
    items = [value] if isinstance(value, str) else list(value)
    return [str(item).strip().upper() for item in items if str(item).strip()]


def _float(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _number(places: Iterable[Any], keyword: str) -> float | None:
    value = _raw(places, keyword)
    return None if value is None else _float(value)


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _integer(dataset: Any, keyword: str) -> int | None:
    value = _number([dataset], keyword)
    return None if value is None else int(value)


def _numbers(places: Iterable[Any], keyword: str, count: int) -> tuple[float, ...] | None:
    value = _raw(places, keyword)
    if value is None or isinstance(value, str | bytes | float | int):
        return None
    try:
        items = [_float(item) for item in value]
    except TypeError:
        return None
    numbers = tuple(item for item in items if item is not None)
    return numbers if len(numbers) == count == len(items) else None


def _values(places: list[Any], keywords: Iterable[str]) -> dict[str, str | float]:
    found: dict[str, str | float] = {}
    for keyword in keywords:
        value = _raw(places, keyword)
        if value is None:
            continue
        number = None if isinstance(value, str) else _float(value)
        if number is not None:
            found[keyword] = number
        elif isinstance(value, str):
            found[keyword] = value.strip()
        else:
            try:
                found[keyword] = "\\".join(str(item) for item in value)
            except TypeError:
                found[keyword] = str(value)
    return found


def _sequence(dataset: Any, keyword: str) -> Sequence[Any]:
    value = _raw([dataset], keyword)
    return [] if value is None or isinstance(value, str | bytes) else value
