"""Copies among the images of a series: a few positions are looked at before all are decoded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .dicom_headers import SliceHeader
from .dicom_phases import SAME_PLACE_MM

Fingerprint = Callable[[SliceHeader], bytes]

_PROBES = 5


def find_copies(
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
        return all_copies(images, heights, fingerprint), False
    return [], any(held)


def all_copies(
    images: list[SliceHeader], heights: NDArray[np.float64], fingerprint: Fingerprint
) -> list[int]:
    """Every copy of another image at its position."""
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


def _crowded(heights: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """The positions that hold several images, as lists of indices."""
    order = np.argsort(heights, kind="stable")
    breaks = np.flatnonzero(np.diff(heights[order]) > SAME_PLACE_MM) + 1
    return [members for members in np.split(order, breaks) if len(members) > 1]


def without_copies(
    images: list[SliceHeader], heights: NDArray[np.float64], drop: list[int]
) -> tuple[list[SliceHeader], NDArray[np.float64]]:
    """The images and their heights without those."""
    keep = [index for index in range(len(images)) if index not in set(drop)]
    return [images[index] for index in keep], heights[keep]
