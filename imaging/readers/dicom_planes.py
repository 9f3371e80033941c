"""Which images of a series are parallel and of one size, and what such groups are to each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ...errors import ScanError
from ..grid_limits import MAX_GAP_MM, MIN_SLICES
from .dicom_geometry import plane_axes
from .dicom_headers import SliceHeader
from .dicom_phases import is_complete
from .dicom_stack import Stack, slice_heights


def group_planes(images: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
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


def reconcile(
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


def _complete_each_other(group: Sequence[SliceHeader], other: Sequence[SliceHeader]) -> bool:
    """Whether the other group's slices fill holes of this one or continue it."""
    normal = plane_axes(group[0].place.orientation)[2]
    normal_other = plane_axes(other[0].place.orientation)[2]
    if abs(abs(float(normal @ normal_other)) - 1) > 1e-3:
        return False
    mine = np.unique(np.round(slice_heights(group, normal), 2))
    theirs = np.unique(np.round(slice_heights(other, normal), 2))
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
    heights = slice_heights(group, plane_axes(group[0].place.orientation)[2])
    return is_complete(heights, group[0].slice_thickness_mm)
