"""What annotation programs draw, before it is laid on a slide."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RegionError
from ..overview.regions import Rings


@dataclass(frozen=True)
class Shape:
    """One closed area."""

    rings: Rings
    """In pixels of the finest level, the outline first, then holes."""
    name: str = ""
    """Its class, "" without."""
    taken_out: bool = False
    """Whether it is cut out of the others."""

    @property
    def ignored(self) -> bool:
        """Whether its class is QuPath's ``Ignore*``."""
        return self.name.casefold().startswith("ignore")


@dataclass(frozen=True)
class Shapes:
    """The areas of a file."""

    areas: list[Shape] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)
    """How many of each kind are not areas: points, lines, empty geometries."""

    def pass_over(self, kind: str) -> None:
        """Count what is not an area."""
        self.passed_over[kind] = self.passed_over.get(kind, 0) + 1

    @property
    def notes(self) -> tuple[str, ...]:
        """What was passed over, in words."""
        return tuple(
            f"{count} x {kind} passed over: no area" for kind, count in self.passed_over.items()
        )


def rings_of(path: Path, coordinates: Any) -> Rings:
    """Rings from lists of points.

    Raises:
        RegionError: ``bad_region``.
    """
    try:
        rings = tuple(np.asarray(ring, dtype=np.float64)[:, :2] for ring in coordinates)
    except (ValueError, TypeError, IndexError) as error:
        raise bad_region(
            path, "a polygon whose coordinates are not numbers", "export it again"
        ) from error
    if not rings or any(len(ring) < 3 or not np.isfinite(ring).all() for ring in rings):
        raise bad_region(path, "a polygon with fewer than 3 corners", "draw it again")
    return rings


def ellipse(left: float, top: float, right: float, bottom: float) -> NDArray[np.float64]:
    """The ellipse in a box, as a ring."""
    angle = np.arange(0, 2 * math.pi, math.pi / 90)
    x = (left + right) / 2 + abs(right - left) / 2 * np.cos(angle)
    y = (top + bottom) / 2 + abs(bottom - top) / 2 * np.sin(angle)
    return np.stack([x, y], axis=1)


def bad_region(path: Path, found: str, do: str) -> RegionError:
    """The error for a region file."""
    return RegionError(
        "bad_region", f"The region file {path.name} cannot be used", found=found, do=do
    )
