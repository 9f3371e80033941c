"""Which images of a DICOM series belong to one stack: pure, on :class:`SliceHeader` records.

A SeriesInstanceUID promises less than it seems to: localizers, screen captures, several phases or
echoes and plain copies travel in one series. :func:`split_series` leaves out what is not a slice,
tells stacks apart, drops copies, and gives a reason for everything it does.
"""

# Long because the rules that split a series into stacks are tried in one order, and read as one.

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...errors import ScanError
from .dicom_geometry import (
    MAX_GAP_MM,
    MIN_SLICES,
    StackGeometry,
    plane_axes,
    stack_geometry,
)
from .dicom_headers import SliceHeader
from .dicom_kind import is_slab, why_left_out
from .dicom_phases import SAME_PLACE_MM, Value, is_complete, is_single, split_by_keys
from .identity import by_person

Fingerprint = Callable[[SliceHeader], bytes]

_PROBES = 5
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


@dataclass(frozen=True)
class Stack:
    """Slices that make one volume, or the reason why they do not."""

    uid: str
    """SeriesInstanceUID; ``#1``, ``#2``, … follow where a series holds several stacks."""
    label: str
    """What tells this stack from the others of its series, e.g. ``EchoTime 4.8``."""
    slices: tuple[SliceHeader, ...]
    """The slices, copies dropped, in no particular order."""
    n_duplicates: int = 0
    """Copies that were dropped."""
    problem: ScanError | None = None
    """Why the stack cannot be measured; None when it can."""
    n_set_aside: int = 0
    """Images of the series that do not say where they lie and were left out."""


@dataclass(frozen=True)
class LeftOut:
    """Images of a series that are not slices of it."""

    reason: str
    images: tuple[SliceHeader, ...]


@dataclass(frozen=True)
class SplitSeries:
    """One series, taken apart."""

    uid: str
    stacks: tuple[Stack, ...]
    left_out: tuple[LeftOut, ...]


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
    for group in _reconcile(_group_planes(images), excluded):
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
                found=f"first of them: {_name(without[0])}",
                do="export the original series; a size is never guessed",
            )
    raise AssertionError("an image lacks geometry, but none of its parts is missing")


def _name(header: SliceHeader) -> str:
    return header.path.name if header.frame is None else f"{header.path.name} frame {header.frame}"


def _group_planes(images: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
    """Group images of one size, pixel spacing, orientation and frame; largest group first."""
    frames = Counter(image.frame_of_reference_uid for image in images)
    # a new frame for every file is an anonymiser's doing and says nothing
    frames_count = min(frames.values()) >= MIN_SLICES
    groups: list[tuple[SliceHeader, list[SliceHeader]]] = []
    for image in images:
        for first, members in groups:
            same_frame = first.frame_of_reference_uid == image.frame_of_reference_uid
            if (same_frame or not frames_count) and _same_plane(first, image):
                members.append(image)
                break
        else:
            groups.append((image, [image]))
    return sorted((members for _, members in groups), key=lambda m: -len(m))


def _same_plane(a: SliceHeader, b: SliceHeader) -> bool:
    one, two = a.place, b.place
    return (
        (one.rows, one.columns) == (two.rows, two.columns)
        and all(
            abs(x - y) <= 1e-3 * abs(x)
            for x, y in zip(one.pixel_spacing_mm, two.pixel_spacing_mm, strict=True)
        )
        and all(abs(x - y) <= 5e-3 for x, y in zip(one.orientation, two.orientation, strict=True))
    )


def _reconcile(
    groups: list[list[SliceHeader]], excluded: dict[str, list[SliceHeader]]
) -> list[list[SliceHeader] | Stack]:
    """Decide what groups of different size, spacing or orientation are to each other.

    Groups that would complete each other to one stack make it inconsistent: refused. Small groups
    in another orientation are localizers: left out. The others are stacks of their own.
    """
    if len(groups) == 1:
        return [groups[0]]
    large = [group for group in groups if len(group) >= MIN_SLICES]
    if not large:
        return [_inconsistent([image for group in groups for image in group], groups)]
    result: list[list[SliceHeader] | Stack] = []
    bad: set[int] = set()
    for a, group in enumerate(groups):
        for b in range(a + 1, len(groups)):
            if len(group) >= MIN_SLICES and _complete_each_other(group, groups[b]):
                bad |= {a, b}
    if bad:
        mixed = [image for index in sorted(bad) for image in groups[index]]
        result.append(_inconsistent(mixed, [groups[index] for index in sorted(bad)]))
    for index, group in enumerate(groups):
        if index in bad:
            continue
        if len(group) < MIN_SLICES:
            excluded["a few images in another plane or of another size"].extend(group)
        else:
            result.append(group)
    return result


def _inconsistent(images: list[SliceHeader], groups: Sequence[Sequence[SliceHeader]]) -> Stack:
    kinds = []
    for group in groups[:4]:
        head = group[0].place
        spacing = " x ".join(f"{value:g}" for value in head.pixel_spacing_mm)
        kinds.append(f"{len(group)} of {head.rows} x {head.columns} at {spacing} mm")
    turned = len({_plane_name(group[0]) for group in groups}) > 1
    frames = len({group[0].frame_of_reference_uid for group in groups}) > 1
    error = ScanError(
        "inconsistent_slices",
        "The slices of the series do not belong to one stack",
        found="; ".join(kinds)
        + (" in different orientations" if turned else "")
        + (" in different frames of reference: the patient was moved" if frames else ""),
        do="export one reconstruction as a series of its own",
    )
    return Stack("", "", tuple(images), problem=error)


def _plane_name(header: SliceHeader) -> tuple[float, ...]:
    return tuple(round(value, 1) for value in header.place.orientation)


def _heights(images: Sequence[SliceHeader], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([np.dot(image.place.position_mm, normal) for image in images])


def _complete_each_other(group: Sequence[SliceHeader], other: Sequence[SliceHeader]) -> bool:
    """Whether the other group's slices fill holes of this one or continue it."""
    normal = plane_axes(group[0].place.orientation)[2]
    normal_other = plane_axes(other[0].place.orientation)[2]
    if abs(abs(float(normal @ normal_other)) - 1) > 1e-3:
        return False
    mine = np.unique(np.round(_heights(group, normal), 2))
    theirs = np.unique(np.round(_heights(other, normal), 2))
    if len(mine) < 2:
        return False
    usual = float(np.quantile(np.diff(mine), 0.25))
    alone = theirs[np.abs(theirs[:, None] - mine).min(axis=1) > 0.25 * usual]
    if len(alone) == 0:
        return False  # every one of them has its counterpart: a second reconstruction
    holes = np.flatnonzero(np.diff(mine) > 1.5 * usual)
    in_hole = any(((alone > mine[at]) & (alone < mine[at + 1])).any() for at in holes)
    reach = min(1.5 * usual, MAX_GAP_MM)
    between = (alone > mine[0]) & (alone < mine[-1])
    if len(alone) == len(theirs) and between.any() and not (_full(group) and _full(other)):
        return True  # they share no position: two halves of one stack
    outside = (alone < mine[0]) | (alone > mine[-1])
    if outside.all():
        near = np.minimum(np.abs(alone - mine[0]), np.abs(alone - mine[-1])).min()
        return in_hole or bool(near <= reach)
    return in_hole


def _full(group: Sequence[SliceHeader]) -> bool:
    """Whether a group covers its range by the thickness of its slices."""
    heights = _heights(group, plane_axes(group[0].place.orientation)[2])
    return is_complete(heights, group[0].slice_thickness_mm)


def _split_plane(images: list[SliceHeader], fingerprint: Fingerprint) -> list[Stack]:
    """Stacks among parallel images of one size."""
    try:
        normal = plane_axes(images[0].place.orientation)[2]
    except ScanError as error:
        return [Stack("", "", tuple(images), problem=error)]
    parts = _part(images, _heights(images, normal), fingerprint, "", 0)
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
            found=f"first of them: {_name(cut[0])}",
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


def geometry_of(stack: Stack) -> StackGeometry:
    """:func:`stack_geometry` of a stack's slices."""
    head = stack.slices[0].place
    # stated anew for every slice, so rounding is averaged out
    orientation = np.mean([image.place.orientation for image in stack.slices], axis=0)
    positions = np.array([image.place.position_mm for image in stack.slices], dtype=np.float64)
    return stack_geometry(
        positions, orientation.tolist(), head.pixel_spacing_mm, head.rows, head.columns
    )


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
    sure, possible = _find_copies(images, heights, fingerprint)
    if sure:
        images, heights = _keep(images, heights, sure)
        dropped += len(sure)
    split = split_by_keys(
        heights,
        {key: [_value(image, key) for image in images] for key in _HARD_KEYS},
        {key: [_value(image, key) for image in images] for key in _SOFT_KEYS},
        images[0].slice_thickness_mm,
    )
    if split is None and possible:
        copies = _all_copies(images, heights, fingerprint)
        images, heights = _keep(images, heights, copies)
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


def _keep(
    images: list[SliceHeader], heights: NDArray[np.float64], drop: list[int]
) -> tuple[list[SliceHeader], NDArray[np.float64]]:
    keep = [index for index in range(len(images)) if index not in set(drop)]
    return [images[index] for index in keep], heights[keep]


def _crowded(heights: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """The positions that hold several images, as lists of indices."""
    order = np.argsort(heights, kind="stable")
    breaks = np.flatnonzero(np.diff(heights[order]) > SAME_PLACE_MM) + 1
    return [members for members in np.split(order, breaks) if len(members) > 1]


def _find_copies(
    images: list[SliceHeader], heights: NDArray[np.float64], fingerprint: Fingerprint
) -> tuple[list[int], bool]:
    """Copies to drop, and whether there may be others.

    A few positions are looked at. When all of those hold copies, the series was filed twice. When
    none does, the images are phases or echoes, and the others are not decoded. When some do, they
    may be empty slices that look alike in both phases: what the headers say comes first.
    """
    crowded = _crowded(heights)
    if not crowded:
        return [], False
    chosen = np.unique(np.linspace(0, len(crowded) - 1, _PROBES).round().astype(int))
    held = [bool(_copies(images, crowded[index], fingerprint)) for index in chosen]
    if all(held):
        return _all_copies(images, heights, fingerprint), False
    return [], any(held)


def _all_copies(
    images: list[SliceHeader], heights: NDArray[np.float64], fingerprint: Fingerprint
) -> list[int]:
    return [copy for members in _crowded(heights) for copy in _copies(images, members, fingerprint)]


def _copies(
    images: list[SliceHeader], members: NDArray[np.intp], fingerprint: Fingerprint
) -> list[int]:
    seen: set[bytes] = set()
    copies = []
    for index in sorted(int(member) for member in members):
        mark = fingerprint(images[index])
        if mark in seen:
            copies.append(index)
        seen.add(mark)
    return copies


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
