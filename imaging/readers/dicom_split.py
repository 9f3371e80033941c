"""Which images of a DICOM series belong to one stack: pure, on :class:`SliceHeader` records.

A SeriesInstanceUID promises less than it seems to: localizers, screen captures, several phases or
echoes and plain copies travel in one series. :func:`split_series` leaves out what is not a slice,
tells stacks apart, drops copies, and gives a reason for everything it does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...errors import ScanError
from ..grid_limits import MIN_SLICES
from .dicom_copies import Fingerprint, all_copies, find_copies, without_copies
from .dicom_geometry import plane_axes
from .dicom_headers import SliceHeader
from .dicom_kind import is_slab, why_left_out
from .dicom_phases import SAME_PLACE_MM, Value, is_single, split_by_folder, split_by_keys
from .dicom_planes import group_planes, reconcile
from .dicom_stack import LeftOut, SplitSeries, Stack, geometry_of, image_name, slice_heights
from .identity import by_person

_FEW = 0.1
SET_ASIDE = "no position and no orientation among slices that have both"
# What differs between phases, echoes and reconstructions, most telling first; the soft ones also
# differ inside one good stack (an acquisition number per table position, a time per slice)
_HARD_KEYS = (
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "EchoTime",
    "EffectiveEchoTime",
    "EchoNumbers",
    "DiffusionBValue",
    "InversionTime",
    "FlipAngle",
    "KVP",
    "ConvolutionKernel",
    "ImageType",
    "SliceThickness",
    "ContrastBolusAgent",
)
_SOFT_KEYS = (
    "AcquisitionNumber",
    "FrameAcquisitionNumber",
    "TriggerTime",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ContentTime",
    "InstanceNumber",
)


def split_series(headers: Sequence[SliceHeader], fingerprint: Fingerprint) -> SplitSeries:
    """Take the images of one SeriesInstanceUID apart.

    Args:
        headers: all images and frames of the series.
        fingerprint: a hash of an image's decoded values; called only where two images lie at one
            position, to know whether one is a copy of the other.
    """
    headers = sorted(headers, key=lambda h: (str(h.path), h.frame or 0))
    uid = headers[0].series_uid
    excluded: dict[str, list[SliceHeader]] = defaultdict(list)
    images = []
    for header in headers:
        reason = why_left_out(header)
        if reason:
            excluded[reason].append(header)
        else:
            images.append(header)
    if not images:
        return _named(uid, [], excluded)
    stacks: list[Stack] = []
    people = by_person(images)
    for number, members in enumerate(people, start=1):
        whose = "" if len(people) == 1 else f"patient or study {number} of {len(people)}"
        for stack in _stacks(uid, members, excluded, fingerprint):
            label = ", ".join(part for part in (whose, stack.label) if part)
            stacks.append(replace(stack, label=label))
    return _named(uid, stacks, excluded)


def _stacks(
    uid: str,
    images: list[SliceHeader],
    excluded: dict[str, list[SliceHeader]],
    fingerprint: Fingerprint,
) -> list[Stack]:
    """The stacks among the images of one patient, study and series."""
    problem = _missing_geometry(images, excluded)
    if problem is not None:
        return [Stack(uid, "", tuple(images), problem=problem)]
    images = [image for image in images if _has_geometry(image)]
    stacks: list[Stack] = []
    for group in reconcile(group_planes(images), excluded):
        if isinstance(group, Stack):
            stacks.append(group)
            continue
        stacks.extend(_split_plane(group, fingerprint))
    if set_aside := len(excluded.get(SET_ASIDE, ())):
        stacks = [replace(stack, n_set_aside=set_aside) for stack in stacks]
    return stacks


def _named(
    uid: str, stacks: Sequence[Stack], excluded: dict[str, list[SliceHeader]]
) -> SplitSeries:
    """Give each stack its identifier, in a fixed order."""
    named = []
    for number, stack in enumerate(stacks, start=1):
        name = uid if len(stacks) == 1 else f"{uid}#{number}"
        named.append(replace(stack, uid=name))
    left = tuple(LeftOut(reason, tuple(images)) for reason, images in sorted(excluded.items()))
    return SplitSeries(uid, tuple(named), left)


def _has_geometry(header: SliceHeader) -> bool:
    return None not in (header.position_mm, header.orientation, header.pixel_spacing_mm)


def _missing_geometry(
    images: list[SliceHeader], excluded: dict[str, list[SliceHeader]]
) -> ScanError | None:
    """Refuse a series whose slices do not say where they are.

    A few images without a place and of another size than the slices are captures: left out.
    """
    complete = [image for image in images if _has_geometry(image)]
    sizes = {(image.rows, image.columns) for image in complete}
    lacking = [image for image in images if not _has_geometry(image)]
    if not lacking:
        return None
    if complete and all((image.rows, image.columns) not in sizes for image in lacking):
        excluded["no position or spacing, and another size than the slices"].extend(lacking)
        return None
    placeless = all(one.position_mm is None and one.orientation is None for one in lacking)
    if placeless and len(complete) >= MIN_SLICES and len(lacking) <= _FEW * len(images):
        excluded[SET_ASIDE].extend(lacking)
        return None
    for attribute, code, keyword in (
        ("pixel_spacing_mm", "no_pixel_spacing", "PixelSpacing"),
        ("orientation", "no_orientation", "ImageOrientationPatient"),
        ("position_mm", "no_position", "ImagePositionPatient"),
    ):
        without = [image for image in lacking if getattr(image, attribute) is None]
        if without:
            return ScanError(
                code,
                f"{len(without)} of {len(images)} images state no usable {keyword}",
                found=f"first of them: {image_name(without[0])}",
                do="export the original series; a size is never guessed",
            )
    raise AssertionError("an image lacks geometry, but none of its parts is missing")


def _split_plane(images: list[SliceHeader], fingerprint: Fingerprint) -> list[Stack]:
    """Stacks among parallel images of one size."""
    try:
        normal = plane_axes(images[0].place.orientation)[2]
    except ScanError as error:
        return [Stack("", "", tuple(images), problem=error)]
    parts = _part(images, slice_heights(images, normal), fingerprint, "", 0)
    return [_checked(stack) for stack in parts]


def _checked(stack: Stack) -> Stack:
    """Note on the stack why its geometry cannot be used."""
    if stack.problem is not None:
        return stack
    cut = [image for image in stack.slices if image.is_cut]
    if cut:
        error = ScanError(
            "truncated_pixel_data",
            f"{len(cut)} of {len(stack.slices)} images are cut short",
            found=f"first of them: {image_name(cut[0])}",
            do="copy or export the series again",
        )
        return replace(stack, problem=error)
    try:
        geometry = geometry_of(stack)
    except ScanError as error:
        return replace(stack, problem=error)
    head = stack.slices[0]
    if is_slab(head.image_type, head.slice_thickness_mm, geometry.grid_step_mm):
        slab = ScanError(
            "derived_images",
            "The images are projections of thick slabs",
            found=f"derived images of {head.slice_thickness_mm:g} mm, "
            f"{geometry.grid_step_mm:.3g} mm apart",
            do="give the slices that they were made from",
        )
        return replace(stack, problem=slab)
    return stack


def _part(
    images: list[SliceHeader],
    heights: NDArray[np.float64],
    fingerprint: Fingerprint,
    label: str,
    dropped: int,
) -> list[Stack]:
    """Drop copies, then split by what the headers tell apart, until one image is left per place."""
    if _distinct(heights) < MIN_SLICES:
        return [Stack("", label, tuple(images), dropped, _too_few(images, heights))]
    sure, possible = find_copies(images, heights, fingerprint)
    if sure:
        images, heights = without_copies(images, heights, sure)
        dropped += len(sure)
    split = split_by_keys(
        heights,
        {key: [_value(image, key) for image in images] for key in _HARD_KEYS},
        {key: [_value(image, key) for image in images] for key in _SOFT_KEYS},
        images[0].slice_thickness_mm,
    )
    if split is None:
        split = split_by_folder(heights, [str(image.path.parent) for image in images])
    if split is None and possible:
        copies = all_copies(images, heights, fingerprint)
        images, heights = without_copies(images, heights, copies)
        dropped += len(copies)
    if split is None:
        return [Stack("", label, tuple(images), dropped, _ambiguous(images, heights))]
    stacks = []
    for name, members in zip(split.labels, split.groups, strict=True):
        inner = f"{label}, {name}" if label else name
        chosen = [images[index] for index in members]
        stacks.extend(_part(chosen, heights[list(members)], fingerprint, inner, 0))
    if dropped:
        stacks[0] = replace(stacks[0], n_duplicates=stacks[0].n_duplicates + dropped)
    return stacks


def _value(image: SliceHeader, key: str) -> Value:
    if key == "ImageType":
        return "/".join(image.image_type)
    if key == "SliceThickness":
        return image.slice_thickness_mm
    if key == "InstanceNumber":
        return None if image.instance_number is None else float(image.instance_number)
    return image.split.get(key)


def _distinct(heights: NDArray[np.float64]) -> int:
    return int((np.diff(np.sort(heights)) > SAME_PLACE_MM).sum()) + 1


def _too_few(images: list[SliceHeader], heights: NDArray[np.float64]) -> ScanError:
    count = _distinct(heights)
    where = "1 position" if count == 1 else f"{count} positions"
    return ScanError(
        "too_few_slices",
        "Too few slices to measure a volume",
        found=f"{len(images)} image{'s' if len(images) > 1 else ''} at {where}, at least "
        f"{MIN_SLICES} are needed",
        do="give the folder with the whole series",
    )


def _ambiguous(images: list[SliceHeader], heights: NDArray[np.float64]) -> ScanError | None:
    """Refuse a set in which several different images lie at one place."""
    if is_single(heights):
        return None
    return ScanError(
        "ambiguous_slices",
        "Several different images have the same position, and the headers do not distinguish them",
        found=f"{len(images)} images at {_distinct(heights)} positions",
        do="export each phase or echo as a series of its own",
    )
