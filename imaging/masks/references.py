"""What a DICOM mask says it was drawn on: images, series, frames of reference, study, patient."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..readers.dicom_headers import SliceHeader
from ..readers.dicom_values import parse_errors, raw, sequence, text

_DEEPEST = 8
_EACH = (
    "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", "DerivationImageSequence",
    "SourceImageSequence", "ROIContourSequence", "ContourSequence", "ContourImageSequence",
)  # fmt: skip
"""Where a frame or a contour names its own image."""
_ALL = (
    "ReferencedSeriesSequence", "ReferencedInstanceSequence", "ReferencedFrameOfReferenceSequence",
    "RTReferencedStudySequence", "RTReferencedSeriesSequence", "ContourImageSequence",
    "StructureSetROISequence",
)  # fmt: skip
"""Where a file lists what it was drawn on as a whole."""
_FRAME_WORDS = ("FrameOfReferenceUID", "ReferencedFrameOfReferenceUID")


@dataclass
class References:
    """Empty sets and texts stand for what the file does not state."""

    drawn: set[tuple[str, int | None]] = field(default_factory=set)
    """SOPInstanceUID and number of the frame, from 1, that single frames or contours name."""
    listed: set[str] = field(default_factory=set)
    """SOPInstanceUIDs that the file lists as a whole."""
    series: set[str] = field(default_factory=set)
    """SeriesInstanceUIDs."""
    frames: set[str] = field(default_factory=set)
    """FrameOfReferenceUIDs."""
    study: str = ""
    patient: str = ""

    @property
    def images(self) -> set[str]:
        """SOPInstanceUIDs of all images."""
        return self.listed | {uid for uid, _ in self.drawn}

    def __bool__(self) -> bool:
        return bool(self.images or self.series or self.frames)

    def count_drawn(self, slices: Iterable[SliceHeader]) -> int:
        """How many of some images single frames or contours were drawn on."""
        return sum(
            (one.sop_instance_uid, None) in self.drawn
            or (one.sop_instance_uid, (one.frame or 0) + 1) in self.drawn
            for one in slices
        )

    def count_listed(self, slices: Iterable[SliceHeader]) -> int:
        """How many of some images the file names anywhere."""
        images = self.images
        return sum(one.sop_instance_uid in images for one in slices)


def references_of(dataset: Any) -> References:
    """Read what a DICOM SEG or RTSTRUCT refers to; a damaged part names nothing."""
    found = References(study=text(dataset, "StudyInstanceUID"), patient=text(dataset, "PatientID"))
    for item in _items(dataset, _EACH, 0):
        uid = text(item, "ReferencedSOPInstanceUID")
        if uid:
            numbers = raw([item], "ReferencedFrameNumber")
            several = isinstance(numbers, Iterable) and not isinstance(numbers, str)
            found.drawn.update((uid, _whole(one)) for one in (numbers if several else [numbers]))
    for item in _items(dataset, _ALL, 0):
        found.listed.add(text(item, "ReferencedSOPInstanceUID"))
        found.frames.update(text(item, word) for word in _FRAME_WORDS)
        if item is not dataset:
            found.series.add(text(item, "SeriesInstanceUID"))
    for stated in (found.listed, found.series, found.frames):
        stated.discard("")
    return found


def _items(dataset: Any, keywords: tuple[str, ...], depth: int) -> Iterator[Any]:
    """A dataset and the items of its sequences, of those and so on."""
    yield dataset
    if depth >= _DEEPEST:
        return
    for keyword in keywords:
        try:
            items = [*sequence(dataset, keyword)]
        except parse_errors():
            continue
        for item in items:
            yield from _items(item, keywords, depth + 1)


def _whole(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        return None
