"""RTSTRUCT in: contours drawn on the slices of a scan, as radiotherapy programs write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RegionError
from ..readers.dicom_values import numbers_of, raw, sequence, text
from .contours import fill_contours, overlap_in_part, without_copies
from .labels import Label
from .segmentation import Slices

STRUCTURE_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
_NEAR = 0.1
"""Of the distance of two slices: a contour this near to a slice lies on it."""
_CLOSED = {"CLOSED_PLANAR", "CLOSEDPLANAR_XOR", ""}
_MAX_POINTS = 20_000_000


@dataclass(frozen=True)
class Structures:
    """The regions of a structure set."""

    labels: tuple[Label, ...]
    """Those that have contours, with the volume that they enclose, roughly."""
    contours: dict[int, list[NDArray[np.float64]]]
    """By number of the region: corners, each (n, 3) in LPS mm."""
    empty: tuple[Label, ...] = ()
    """Regions that are named and have no contour."""


def read_structures(dataset: Any, name: str) -> Structures:
    """The closed contours of a structure set.

    Raises:
        RegionError: ``bad_region``: a region has points or open lines, or what is not a number.
    """
    titles = {}
    for item in sequence(dataset, "StructureSetROISequence"):
        number = raw([item], "ROINumber")
        if number is not None:
            titles[int(number)] = text(item, "ROIName")
    codes = {
        int(number): _code(item)
        for item in sequence(dataset, "RTROIObservationsSequence")
        if (number := raw([item], "ReferencedROINumber")) is not None
    }
    contours: dict[int, list[NDArray[np.float64]]] = {}
    points = 0
    for item in sequence(dataset, "ROIContourSequence"):
        number = raw([item], "ReferencedROINumber")
        for contour in sequence(item, "ContourSequence"):
            corners = _corners(contour, name)
            points += len(corners)
            if points > _MAX_POINTS:
                raise _bad(f"The structure set {name} has too many points", f"{points}")
            if number is not None and len(corners) >= 3:
                contours.setdefault(int(number), []).append(corners)
    labels = tuple(
        Label(number, titles.get(number, ""), codes.get(number, ("", "")), _enclosed_ml(drawn))
        for number, drawn in sorted(contours.items())
    )
    empty = tuple(
        Label(number, title, codes.get(number, ("", "")))
        for number, title in titles.items()
        if number not in contours
    )
    return Structures(labels, contours, empty)


def draw(structures: Structures, chosen: Sequence[Label], slices: Slices) -> NDArray[np.bool_]:
    """The chosen regions on slices.

    Args:
        structures: from :func:`read_structures`.
        chosen: the regions; what lies in any of them is inside.
        slices: the scan's.

    Returns:
        (n, rows, columns).

    Raises:
        RegionError: ``bad_region``: contours that lie on none of the slices, or across them.
    """
    out = np.zeros((len(slices.positions_mm), slices.rows, slices.columns), dtype=np.bool_)
    heights = slices.positions_mm @ slices.normal
    gap = float(np.median(np.abs(np.diff(heights))))
    for label in chosen:
        by_slice: dict[int, list[NDArray[np.float64]]] = {}
        for corners in structures.contours[label.number]:
            along = corners @ slices.normal
            nearest = int(np.abs(heights - along.mean()).argmin())
            if np.ptp(along) > 2 * _NEAR * gap:
                raise _bad(
                    "A contour does not lie in the plane of the scan's slices",
                    f"it spans {np.ptp(along):.1f} mm across them",
                )
            if abs(heights[nearest] - along.mean()) > _NEAR * gap:
                raise _bad(
                    "A contour lies on none of the scan's slices",
                    f"{abs(heights[nearest] - along.mean()):.2f} mm from the nearest",
                )
            by_slice.setdefault(nearest, []).append(corners)
        for index, drawn in by_slice.items():
            flat = without_copies([slices.pixels(index, corners) for corners in drawn])
            _check_inside(flat, slices, label)
            if overlap_in_part(flat, slices.rows, slices.columns):
                raise RegionError(
                    "bad_region",
                    f"Contours of the region {label.name or label.number} overlap in part",
                    found="two on one slice that cross, or enclose nearly the same area: what both "
                    "enclose may be inside or a hole",
                    do="join or correct them in the program that drew them, and save them again",
                )
            out[index] |= fill_contours(flat, slices.rows, slices.columns)
    return out


def own_slices(structures: Structures, chosen: Sequence[Label], slices: Slices) -> Slices:
    """The planes on which the contours themselves lie, with the pixels of the scan's slices.

    Raises:
        RegionError: ``bad_region``: they are irregularly spaced, or across the scan's slices.
    """
    drawn = [corners for label in chosen for corners in structures.contours[label.number]]
    along = np.array([float((corners @ slices.normal).mean()) for corners in drawn])
    heights = np.unique(np.round(along, 2))
    gaps = np.diff(heights)
    if len(gaps) == 0:
        raise _bad("The contours lie in one plane", "one plane has no volume")
    step = float(gaps.min())
    index = (heights - heights[0]) / step
    if step < 1e-2 or np.abs(index - np.rint(index)).max() > _NEAR:
        raise _bad("The contours are irregularly spaced", "they fit no regular grid")
    first = slices.positions_mm[0]
    planes = heights[0] + step * np.arange(int(np.rint(index[-1])) + 1)
    positions = first + (planes - first @ slices.normal)[:, None] * slices.normal
    return Slices(positions, slices.step_i, slices.step_j, slices.rows, slices.columns)


def _corners(contour: Any, name: str) -> NDArray[np.float64]:
    kind = text(contour, "ContourGeometricType").upper()
    if kind not in _CLOSED:
        if kind == "POINT":
            return np.empty((0, 3))
        raise _bad(f"The structure set {name} has contours that are not closed", kind)
    values = numbers_of(contour, "ContourData")
    if values is None or len(values) % 3:
        raise _bad(
            f"A contour of {name} has coordinates that are not numbers", "damaged ContourData"
        )
    return np.array(values, dtype=np.float64).reshape(-1, 3)


def _code(item: Any) -> tuple[str, str]:
    for keyword in ("RTROIIdentificationCodeSequence", "AnatomicRegionSequence"):
        for code in sequence(item, keyword):
            return text(code, "CodeValue"), text(code, "CodingSchemeDesignator")
    return "", ""


def _enclosed_ml(drawn: Sequence[NDArray[np.float64]]) -> float:
    """Area times distance, for a list that people choose from."""
    heights = np.unique(np.round([corners[:, 2].mean() for corners in drawn], 2))
    gap = float(np.diff(heights).min()) if len(heights) > 1 else 0.0
    area = 0.0
    for corners in drawn:
        x, y = corners[:, 0] - corners[0, 0], corners[:, 1] - corners[0, 1]
        area += abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    return area * gap / 1000.0


def _check_inside(flat: Sequence[NDArray[np.float64]], slices: Slices, label: Label) -> None:
    low = min(float(corners.min()) for corners in flat)
    high = [max(float(corners[:, axis].max()) for corners in flat) for axis in (0, 1)]
    if low < -1 or high[0] > slices.columns or high[1] > slices.rows:
        raise _bad(
            f"The region {label.name or label.number} reaches beyond the scan",
            "contours outside the slices",
        )


def _bad(what: str, found: str) -> RegionError:
    return RegionError(
        "bad_region",
        what,
        found=found,
        do="check that the structure set belongs to this series; with --resample-mask contours on "
        "other slices are taken",
    )
