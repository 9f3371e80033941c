"""DICOM Segmentation in: segments of it, laid on the grid of a scan.

Only frames that hold something need be stored, several segments may share a file, and the frames
may cover part of the images. So every frame is placed by its own position, or else by the image
that it refers to, and the scan decides which slice it belongs to.
"""

# Long because reading a DICOM SEG frame by frame and laying it on a scan share one record.

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RegionError, ScanError
from ..readers.dicom import stack_of
from ..readers.dicom_geometry import StackGeometry, place_slices, plane_axes
from ..readers.dicom_headers import Placement, SliceHeader, headers_of
from ..readers.dicom_open import open_dataset
from ..readers.dicom_pixels import decode
from ..readers.dicom_values import damage_is_refused, raw, sequence, text
from ..volume import ScanSource, Volume
from .labels import Label, choose_labels

SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation and Label Map Segmentation Storage."""
_TOLERANCE = 0.1
"""Of a voxel, or of the distance of two slices: what rounding in headers explains."""
_RESAMPLED = {"gantry_tilt", "missing_slices", "uneven_slices", "shifted_slices"}
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class SegmentFrames:
    """The frames of the chosen segments."""

    segments: tuple[Label, ...]
    """Which."""
    images: NDArray[np.bool_]
    """Shape (n, rows, columns)."""
    positions_mm: NDArray[np.float64]
    """Shape (n, 3), LPS, centre of each frame's first voxel."""
    orientation: tuple[float, ...]
    """Of all frames."""
    pixel_spacing_mm: tuple[float, ...]
    """Between rows, between columns."""


@dataclass(frozen=True)
class Slices:
    """The slices of a scan as they were acquired."""

    positions_mm: NDArray[np.float64]
    """Shape (n, 3), LPS, centre of each slice's first voxel, ascending along the normal."""
    step_i: NDArray[np.float64]
    """From one column to the next, LPS mm."""
    step_j: NDArray[np.float64]
    """From one row to the next, LPS mm."""
    rows: int
    columns: int

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector across the slices."""
        across = np.cross(self.step_i, self.step_j)
        return np.asarray(across / np.linalg.norm(across))

    @property
    def affine(self) -> NDArray[np.float64]:
        """Of the slices as a grid (i, j, k), RAS+; they must lie at one distance."""
        lps = np.eye(4)
        lps[:3, 0], lps[:3, 1] = self.step_i, self.step_j
        lps[:3, 2] = self.positions_mm[1] - self.positions_mm[0]
        lps[:3, 3] = self.positions_mm[0]
        return np.asarray(_TO_RAS @ lps)

    def pixels(self, index: int, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (n, 3) in LPS mm as (column, row) of a slice."""
        offset = points_mm - self.positions_mm[index]
        columns = offset @ self.step_i / (self.step_i @ self.step_i)
        rows = offset @ self.step_j / (self.step_j @ self.step_j)
        return np.stack([columns, rows], axis=1)


def is_segmentation(path: Path) -> bool:
    """Whether a file is a DICOM Segmentation."""
    if not path.is_file() or path.name.lower().endswith((".nii", ".nii.gz", ".nrrd", ".mha")):
        return False
    try:
        dataset = open_dataset(path, pixels=False)
    except ScanError:
        return False
    return dataset is not None and text(dataset, "SOPClassUID") in SEGMENTATION_CLASSES


def read_segment(path: Path, segment: str = "") -> SegmentFrames:
    """Read the frames of one or several segments of a file.

    Args:
        path: a DICOM Segmentation: binary, fractional or label map.
        segment: which, as :func:`.labels.choose_labels` takes it.

    Raises:
        RegionError: ``bad_region``: not a segmentation, or the segment is not there or not clear.
        ScanError: the file or its pixel data cannot be read.
    """
    dataset = open_dataset(path, pixels=True)
    with damage_is_refused(path):
        return read_segments(dataset, path, segment)


def slices_of(scan: Volume) -> Slices:
    """The slices of a scan as acquired; those of its grid where it was not read from DICOM."""
    found = stack_of(scan) if _RESAMPLED & set(scan.flags) else None
    if found is None:
        affine = _TO_RAS @ scan.affine
        steps = np.arange(scan.array.shape[2])[:, None]
        return Slices(
            affine[:3, 3] + steps * affine[:3, 2], affine[:3, 0], affine[:3, 1],
            scan.array.shape[1], scan.array.shape[0],
        )  # fmt: skip
    stack, geometry = found
    ordered = [stack.slices[index].place for index in geometry.order]
    row, column, _ = plane_axes(ordered[0].orientation)
    return Slices(
        np.array([place.position_mm for place in ordered]),
        row * ordered[0].pixel_spacing_mm[1],
        column * ordered[0].pixel_spacing_mm[0],
        ordered[0].rows,
        ordered[0].columns,
    )


def on_scan(masks: NDArray[np.bool_], scan: Volume) -> NDArray[np.bool_]:
    """Masks (n, rows, columns) on the slices of :func:`slices_of`, on the scan's grid (i, j, k)."""
    found = stack_of(scan) if _RESAMPLED & set(scan.flags) else None
    return masks.transpose(2, 1, 0) if found is None else _on_grid(masks, found[1])


def lay_on(frames: SegmentFrames, scan: Volume) -> NDArray[np.bool_]:
    """Put segments on the grid of a scan.

    Args:
        frames: from :func:`read_segments`.
        scan: the scan that they were drawn on.

    Returns:
        bool, shape of the scan's array.

    Raises:
        RegionError: ``bad_region``: a frame lies on none of the scan's slices, or its voxels are
            not the scan's.
    """
    return on_scan(_paste(frames, slices_of(scan)), scan)


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
        raise _bad("The frames are irregularly spaced", "they fit no regular grid")
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


def read_segments(
    dataset: Any,
    path: Path,
    segment: str,
    threshold: float = 0.0,
    scan: Volume | None = None,
) -> SegmentFrames:
    """The frames of the chosen segments of an open file.

    Args:
        dataset: with its pixel data.
        path: of the file.
        segment: which, as :func:`.labels.choose_labels` takes it.
        threshold: of fractional segments, 0 to 1; 0 takes only those without fractions.
        scan: frames that do not state their position are placed by its images, which they refer to.

    Raises:
        RegionError: ``bad_region``.
        ScanError: the pixel data cannot be read.
    """
    if dataset is None or text(dataset, "SOPClassUID") not in SEGMENTATION_CLASSES:
        raise _bad(f"{path.name} is not a DICOM segmentation", "another kind of file")
    headers = headers_of(dataset, path)
    stored = decode(dataset, headers[0])
    chosen = choose_labels(_segments(dataset, headers, stored), segment, path.name)
    wanted = [label.number for label in chosen]
    if text(dataset, "SegmentationType").upper() == "LABELMAP":
        members, images = list(range(len(headers))), np.isin(stored, wanted)
    else:
        numbers = _frame_numbers(dataset, len(headers))
        members = [index for index, number in enumerate(numbers) if number in wanted]
        images = _binary(dataset, stored, members, threshold, path)
    members = [index for index in members if images[index].any()]
    if not members:
        names = ", ".join(str(label) for label in chosen)
        raise _bad(f"The segment {names} of {path.name} is empty", "no voxel in any frame")
    frames = _placed(dataset, [headers[index] for index in members], members, scan)
    _check_frames(path, frames)
    return SegmentFrames(
        chosen,
        images[members],
        np.array([frame.place.position_mm for frame in frames], dtype=np.float64),
        frames[0].place.orientation,
        frames[0].place.pixel_spacing_mm,
    )


def _binary(
    dataset: Any, stored: NDArray[Any], members: Sequence[int], threshold: float, path: Path
) -> NDArray[np.bool_]:
    """Inside or outside, of binary and of fractional frames."""
    if text(dataset, "SegmentationType").upper() == "BINARY":
        return stored > 0
    full = float(raw([dataset], "MaximumFractionalValue") or 1)
    if threshold:
        return stored >= threshold * full
    part = stored[list(members)]
    between = int(((part > 0) & (part < full)).sum())
    if between:
        raise RegionError(
            "bad_region",
            f"The segmentation {path.name} contains fractions, like a probability map",
            found=f"{between} voxels between none and all",
            do="save it as a binary segmentation, or say from which fraction on it is liver with "
            "--mask-threshold (0 to 1)",
        )
    return stored > 0


def _placed(
    dataset: Any, frames: Sequence[SliceHeader], members: Sequence[int], scan: Volume | None
) -> list[SliceHeader]:
    """Frames that do not state their position take the place of the image that they refer to."""
    found = None if scan is None else scan.source.placed
    if found is None:
        return list(frames)
    images = {(one.sop_instance_uid, one.frame or 0): one.place for one in found[0].slices}
    groups = [*sequence(dataset, "PerFrameFunctionalGroupsSequence")]
    return [
        _by_reference(frame, groups[index], images)
        if index < len(groups) and _lacks_place(frame)
        else frame
        for frame, index in zip(frames, members, strict=True)
    ]


def _lacks_place(frame: SliceHeader) -> bool:
    return None in (frame.position_mm, frame.orientation, frame.pixel_spacing_mm)


def _by_reference(
    frame: SliceHeader, group: Any, images: Mapping[tuple[str, int], Placement]
) -> SliceHeader:
    for derivation in sequence(group, "DerivationImageSequence"):
        for source in sequence(derivation, "SourceImageSequence"):
            number = raw([source], "ReferencedFrameNumber")
            at = int(number) - 1 if isinstance(number, int | float | str) else 0
            place = images.get((text(source, "ReferencedSOPInstanceUID"), at))
            if place is not None and (place.rows, place.columns) == (frame.rows, frame.columns):
                return replace(
                    frame,
                    position_mm=frame.position_mm or place.position_mm,
                    orientation=frame.orientation or place.orientation,
                    pixel_spacing_mm=frame.pixel_spacing_mm or place.pixel_spacing_mm,
                )
    return frame


def _bad(what: str, found: str) -> RegionError:
    return RegionError(
        "bad_region",
        what,
        found=found,
        do="check that the segmentation belongs to this series",
    )


def _segments(dataset: Any, headers: Sequence[SliceHeader], stored: NDArray[Any]) -> list[Label]:
    """What the file describes, with the volume where the frames state a voxel size."""
    spacing, thickness = headers[0].pixel_spacing_mm, headers[0].slice_thickness_mm
    voxel_ml = None
    if spacing is not None and thickness is not None:
        voxel_ml = spacing[0] * spacing[1] * thickness / 1000.0
    if text(dataset, "SegmentationType").upper() == "LABELMAP":
        sizes = Counter(dict(zip(*np.unique(stored, return_counts=True), strict=True)))
    else:
        sizes = Counter()
        for number, image in zip(_frame_numbers(dataset, len(stored)), stored, strict=True):
            sizes[number] += int(np.count_nonzero(image))
    segments = []
    for item in sequence(dataset, "SegmentSequence"):
        number = raw([item], "SegmentNumber")
        codes = sequence(item, "SegmentedPropertyTypeCodeSequence")
        code = ("", "")
        if codes:
            code = (text(codes[0], "CodeValue"), text(codes[0], "CodingSchemeDesignator"))
        if number is not None and int(number) > 0:
            size = None if voxel_ml is None else int(sizes[int(number)]) * voxel_ml
            segments.append(Label(int(number), text(item, "SegmentLabel"), code, size))
    return segments


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
    lacking = [frame for frame in frames if _lacks_place(frame)]
    if lacking:
        raise RegionError(
            "bad_region",
            f"Frames of {path.name} do not state their position",
            found=f"{len(lacking)} frames without position, and without a reference to an image of "
            "the scan",
            do="give the DICOM images that it was drawn on as the scan, or save it again with "
            "positions",
        )
    first = frames[0].place
    for frame in frames:
        same = np.allclose(frame.place.orientation, first.orientation, atol=1e-3)
        if not same or not np.allclose(frame.place.pixel_spacing_mm, first.pixel_spacing_mm):
            raise _bad(f"The frames of {path.name} differ in orientation or spacing", "both kinds")


def _paste(frames: SegmentFrames, slices: Slices) -> NDArray[np.bool_]:
    """The frames on the scan's slices, shape (n, rows, columns)."""
    spacing = np.linalg.norm(slices.step_i), np.linalg.norm(slices.step_j)
    unit_i, unit_j = slices.step_i / spacing[0], slices.step_j / spacing[1]
    normal = slices.normal
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
            raise _bad("A frame is on none of the scan's slices", f"position {position.round(1)}")
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
