"""The stacks that a DICOM series is taken apart into. Pure records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import ScanError
from .dicom_geometry import StackGeometry, stack_geometry
from .dicom_headers import SliceHeader


@dataclass(frozen=True)
class Stack:
    """Slices that make one volume, or the reason why they do not."""

    uid: str
    """SeriesInstanceUID; ``#1``, ``#2``, … follow where a series contains several stacks."""
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


def geometry_of(stack: Stack) -> StackGeometry:
    """:func:`stack_geometry` of a stack's slices."""
    head = stack.slices[0].place
    # stated anew for every slice, so rounding is averaged out
    orientation = np.mean([image.place.orientation for image in stack.slices], axis=0)
    positions = np.array([image.place.position_mm for image in stack.slices], dtype=np.float64)
    return stack_geometry(
        positions, orientation.tolist(), head.pixel_spacing_mm, head.rows, head.columns
    )


def slice_heights(
    images: Sequence[SliceHeader], normal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Position of each image along the normal, in mm."""
    return np.array([np.dot(image.place.position_mm, normal) for image in images])


def image_name(header: SliceHeader) -> str:
    """What a message calls an image."""
    return header.path.name if header.frame is None else f"{header.path.name} frame {header.frame}"
