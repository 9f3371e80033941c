"""DICOM Segmentation in: one segment of it, laid on the grid of a scan.

Only frames that hold something need be stored, several segments may share a file, and the frames
may cover part of the images. So every frame is placed by its own position, and the scan decides
which slice it belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RegionError, ScanError
from ..volume import ScanSource, Volume
from .dicom import stack_of
from .dicom_geometry import StackGeometry, place_slices, plane_axes
from .dicom_headers import SliceHeader, headers_of, open_dataset
from .dicom_pixels import decode
from .dicom_values import damage_is_refused, raw, sequence, text

_SEG_CLASSES = {"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"}
"""Segmentation and Label Map Segmentation Storage."""
_LIVER = {("10200004", "SCT"), ("T-62000", "SRT")}
"""SNOMED CT, and SNOMED RT that older files use."""
_TOLERANCE = 0.1
"""Of a voxel, or of the distance of two slices: what rounding in headers explains."""
_RESAMPLED = {"gantry_tilt", "missing_slices", "uneven_slices", "shifted_slices"}


@dataclass(frozen=True)
class Segment:
    """One segment that a file describes."""

    number: int
    label: str
    code: tuple[str, str]


@dataclass(frozen=True)
class SegmentFrames:
    """The frames of one segment."""

    segment: Segment
    """Which."""
    images: NDArray[np.bool_]
    """Shape (n, rows, columns), bool."""
    positions_mm: NDArray[np.float64]
    """Shape (n, 3), LPS, centre of each frame's first voxel."""
    orientation: tuple[float, ...]
    """Of all frames."""
    pixel_spacing_mm: tuple[float, ...]
    """Between rows, between columns."""


def is_segmentation(path: Path) -> bool:
    """Whether a file is a DICOM Segmentation."""
    if not path.is_file() or path.name.lower().endswith((".nii", ".nii.gz", ".nrrd", ".mha")):
        return False
    try:
        dataset = open_dataset(path, pixels=False)
    except ScanError:
        return False
    return dataset is not None and text(dataset, "SOPClassUID") in _SEG_CLASSES


def read_segment(path: Path, segment: str = "") -> SegmentFrames:
    """Read the frames of one segment.

    Args:
        path: a DICOM Segmentation: binary, fractional (half and more is inside) or label map.
        segment: its number, or its label or part of it, without regard to case; "" takes the only
            one, or the only one that is coded as a liver.

    Raises:
        RegionError: ``bad_region``: not a segmentation, or the segment is not there or not clear.
        ScanError: the file or its pixel data cannot be read.
    """
    dataset = open_dataset(path, pixels=True)
    with damage_is_refused(path):
        return _read_segment(dataset, path, segment)


def lay_on(frames: SegmentFrames, scan: Volume) -> NDArray[np.bool_]:
    """Put a segment on the grid of a scan.

    Args:
        frames: from :func:`read_segment`.
        scan: the scan that it was drawn on.

    Returns:
        bool, shape of the scan's array.

    Raises:
        RegionError: ``bad_region``: a frame lies on none of the scan's slices, or its voxels are
            not the scan's.
    """
    resampled = bool(_RESAMPLED & set(scan.flags))
    found = stack_of(scan) if resampled else None
    if resampled and found is None:
        raise _bad("The scan's slices cannot be found again", "files that were moved or changed")
    if found is None:
        affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ scan.affine
        steps = np.arange(scan.array.shape[2])[:, None]
        slices = _Slices(
            affine[:3, 3] + steps * affine[:3, 2], affine[:3, 0], affine[:3, 1],
            scan.array.shape[1], scan.array.shape[0],
        )  # fmt: skip
        return _paste(frames, slices).transpose(2, 1, 0)
    stack, geometry = found
    ordered = [stack.slices[index].place for index in geometry.order]
    row, column, _ = plane_axes(ordered[0].orientation)
    slices = _Slices(
        np.array([place.position_mm for place in ordered]),
        row * ordered[0].pixel_spacing_mm[1],
        column * ordered[0].pixel_spacing_mm[0],
        ordered[0].rows,
        ordered[0].columns,
    )
    return _on_grid(_paste(frames, slices), geometry)


def bounding_volume(frames: SegmentFrames) -> Volume:
    """The segment on the smallest regular stack of its own frames; absent frames are empty.

    Raises:
        RegionError: ``bad_region``: fewer than two frames, or frames at irregular distances.
    """
    row, column, normal = plane_axes(frames.orientation)
    heights = frames.positions_mm @ normal
    order = np.argsort(heights)
    gaps = np.diff(heights[order])
    if len(gaps) == 0:
        raise _bad("The segment has one frame", "one frame has no volume")
    step = float(gaps.min())
    index = (heights[order] - heights[order[0]]) / step if step > 1e-3 else np.array([0.5])
    if np.abs(index - np.rint(index)).max() > _TOLERANCE:
        raise _bad("The frames lie at irregular distances", "no regular grid holds them")
    places = np.rint(index).astype(int)
    array = np.zeros((places[-1] + 1, *frames.images.shape[1:]), dtype=np.bool_)
    for at, source in zip(places, order, strict=True):
        array[at] |= frames.images[source]
    lps = np.eye(4)
    lps[:3, 0] = row * frames.pixel_spacing_mm[1]
    lps[:3, 1] = column * frames.pixel_spacing_mm[0]
    lps[:3, 2] = normal * step
    lps[:3, 3] = frames.positions_mm[order[0]]
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps
    return Volume(array.transpose(2, 1, 0), affine, source=ScanSource(n_slices=len(array)))


def _read_segment(dataset: Any, path: Path, segment: str) -> SegmentFrames:
    if dataset is None or text(dataset, "SOPClassUID") not in _SEG_CLASSES:
        raise _bad(f"{path.name} is no DICOM segmentation", "another kind of file")
    headers = headers_of(dataset, path)
    chosen = _choose(path, _segments(dataset), segment)
    stored = decode(dataset, headers[0])
    if text(dataset, "SegmentationType").upper() == "LABELMAP":
        members, images = list(range(len(headers))), stored == chosen.number
    else:
        numbers = _frame_numbers(dataset, len(headers))
        members = [index for index, number in enumerate(numbers) if number == chosen.number]
        full = float(raw([dataset], "MaximumFractionalValue") or 1)
        is_binary = text(dataset, "SegmentationType").upper() == "BINARY"
        images = stored > 0 if is_binary else stored >= 0.5 * full
    frames = [headers[index] for index in members if images[index].any()]
    images = images[[index for index in members if images[index].any()]]
    if not frames:
        raise _bad(f"The segment {chosen.label} of {path.name} is empty", "no voxel in any frame")
    _check_frames(path, frames)
    return SegmentFrames(
        chosen,
        images,
        np.array([frame.place.position_mm for frame in frames], dtype=np.float64),
        frames[0].place.orientation,
        frames[0].place.pixel_spacing_mm,
    )


@dataclass(frozen=True)
class _Slices:
    """The scan's slices: positions (n, 3), the steps along i and j in LPS mm, and their size."""

    positions_mm: NDArray[np.float64]
    step_i: NDArray[np.float64]
    step_j: NDArray[np.float64]
    rows: int
    columns: int


def _bad(what: str, found: str) -> RegionError:
    return RegionError(
        "bad_region",
        what,
        found=found,
        do="check that the segmentation belongs to this series",
    )


def _segments(dataset: Any) -> list[Segment]:
    segments = []
    for item in sequence(dataset, "SegmentSequence"):
        number = raw([item], "SegmentNumber")
        codes = sequence(item, "SegmentedPropertyTypeCodeSequence")
        code = (text(codes[0], "CodeValue"), text(codes[0], "CodingSchemeDesignator"))
        if number is not None and int(number) > 0:
            segments.append(
                Segment(int(number), text(item, "SegmentLabel"), code if codes else ("", ""))
            )
    return segments


def _choose(path: Path, segments: Sequence[Segment], wanted: str) -> Segment:
    named = [one for one in segments if not wanted or str(one.number) == wanted.strip()]
    if not named:
        word = wanted.strip().lower()
        named = [one for one in segments if one.label.lower() == word]
        named = named or [one for one in segments if word in one.label.lower()]
    if len(named) > 1 and not wanted:
        livers = [one for one in named if one.code in _LIVER or one.label.lower() == "liver"]
        named = livers or named
    if len(named) != 1:
        listed = ", ".join(f"{one.number} {one.label}" for one in segments[:20]) or "none"
        raise RegionError(
            "bad_region",
            f"{path.name} holds no one segment {wanted!r}" if wanted else
            f"{path.name} holds several segments",
            found=f"segments {listed}",
            do="name one of them by its number or label",
        )  # fmt: skip
    return named[0]


def _frame_numbers(dataset: Any, count: int) -> list[int]:
    """The segment number of each frame."""
    groups = [*sequence(dataset, "PerFrameFunctionalGroupsSequence")]
    shared = sequence(dataset, "SharedFunctionalGroupsSequence")
    numbers = []
    for index in range(count):
        number = None
        for item in [*groups[index : index + 1], *shared[:1]]:
            for identification in sequence(item, "SegmentIdentificationSequence"):
                number = number or raw([identification], "ReferencedSegmentNumber")
        numbers.append(0 if number is None else int(number))
    return numbers


def _check_frames(path: Path, frames: Sequence[SliceHeader]) -> None:
    lacking = [
        frame
        for frame in frames
        if frame.position_mm is None or frame.orientation is None or frame.pixel_spacing_mm is None
    ]
    if lacking:
        raise _bad(f"Frames of {path.name} do not say where they lie", f"{len(lacking)} frames")
    first = frames[0].place
    for frame in frames:
        same = np.allclose(frame.place.orientation, first.orientation, atol=1e-3)
        if not same or not np.allclose(frame.place.pixel_spacing_mm, first.pixel_spacing_mm):
            raise _bad(f"The frames of {path.name} differ in orientation or spacing", "both kinds")


def _paste(frames: SegmentFrames, slices: _Slices) -> NDArray[np.bool_]:
    """The frames on the scan's slices, shape (n, rows, columns)."""
    spacing = np.linalg.norm(slices.step_i), np.linalg.norm(slices.step_j)
    unit_i, unit_j = slices.step_i / spacing[0], slices.step_j / spacing[1]
    normal = np.cross(unit_i, unit_j)
    row, column, _ = plane_axes(frames.orientation)
    moves = np.array([row * frames.pixel_spacing_mm[1], column * frames.pixel_spacing_mm[0]])
    turn = np.array([moves @ unit_i / spacing[0], moves @ unit_j / spacing[1]])
    whole = np.rint(turn).astype(int)
    size = max(frames.images.shape[1:])
    if np.abs(turn - whole).max() * size > 0.5 or sorted(np.abs(whole).sum(axis=0)) != [1, 1]:
        raise _bad("The segmentation's voxels are not the scan's", "another spacing or direction")
    heights = slices.positions_mm @ normal
    gap = float(np.median(np.abs(np.diff(heights))))
    out = np.zeros((len(heights), slices.rows, slices.columns), dtype=np.bool_)
    for image, position in zip(frames.images, frames.positions_mm, strict=True):
        n = int(np.abs(heights - position @ normal).argmin())
        if abs(heights[n] - position @ normal) > _TOLERANCE * gap:
            raise _bad("A frame lies on none of the scan's slices", f"position {position.round(1)}")
        offset = position - slices.positions_mm[n]
        start = np.array([offset @ unit_i / spacing[0], offset @ unit_j / spacing[1]])
        if np.abs(start - np.rint(start)).max() > _TOLERANCE:
            raise _bad("The segmentation's voxels lie between the scan's", f"offset {start}")
        rows, columns = np.nonzero(image)
        i = np.rint(start[0]).astype(int) + whole[0, 0] * columns + whole[0, 1] * rows
        j = np.rint(start[1]).astype(int) + whole[1, 0] * columns + whole[1, 1] * rows
        inside = (i >= 0) & (i < slices.columns) & (j >= 0) & (j < slices.rows)
        if not inside.all():
            raise _bad("The segmentation reaches beyond the scan", f"{int((~inside).sum())} voxels")
        out[n, j, i] = True
    return out


def _on_grid(masks: NDArray[np.bool_], geometry: StackGeometry) -> NDArray[np.bool_]:
    """Masks on the slices as acquired, brought to the scan's regular grid."""
    images = (mask.astype(np.float32) for mask in masks)
    return place_slices(images, geometry, np.dtype(np.float32), 0.0) >= 0.5
