"""Regions of a slide, asked for by boxes of any grid laid over it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Rings = tuple[NDArray[np.float64], ...]
"""A polygon: its rings (n, 2) in level-0 pixels; holes are further rings."""


class Region(Protocol):
    """Part of a slide, asked for by boxes of any grid laid over the whole slide."""

    def inside(
        self, x: int, y: int, width: int, height: int, size_px: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """Which pixels of a box of a grid of ``size_px`` (width, height) lie inside."""
        ...


@dataclass(frozen=True)
class MaskRegion:
    """A mask picture that covers the whole slide."""

    mask: NDArray[np.bool_]

    def inside(
        self, x: int, y: int, width: int, height: int, size_px: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """See :class:`Region`; the nearest mask pixel decides."""
        row = (np.arange(y, y + height) + 0.5) * self.mask.shape[0] / size_px[1]
        column = (np.arange(x, x + width) + 0.5) * self.mask.shape[1] / size_px[0]
        return np.asarray(self.mask[row.astype(np.int64)][:, column.astype(np.int64)])


@dataclass(frozen=True)
class PolygonRegion:
    """Polygons in level-0 pixels; a pixel is inside if its centre is."""

    polygons: tuple[Rings, ...]
    """For each polygon its rings; even-odd rule, so holes are further rings."""
    slide_px: tuple[int, int]
    """Width and height of level 0."""
    holes: tuple[Rings, ...] = ()
    """Polygons that are taken out again."""

    def inside(
        self, x: int, y: int, width: int, height: int, size_px: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """See :class:`Region`."""
        scale = np.array([size_px[0] / self.slide_px[0], size_px[1] / self.slide_px[1]])
        box = (x, y, width, height)
        out = _covered(self.polygons, scale, box)
        if self.holes:
            out &= ~_covered(self.holes, scale, box)
        return out


@dataclass(frozen=True)
class AnyOf:
    """What at least one of several regions covers."""

    regions: tuple[Region, ...]

    def inside(
        self, x: int, y: int, width: int, height: int, size_px: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """See :class:`Region`."""
        box = (x, y, width, height)
        return np.logical_or.reduce([one.inside(*box, size_px) for one in self.regions])


@dataclass(frozen=True)
class AllOf:
    """What each of several regions covers."""

    regions: tuple[Region, ...]

    def inside(
        self, x: int, y: int, width: int, height: int, size_px: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """See :class:`Region`."""
        box = (x, y, width, height)
        return np.logical_and.reduce([one.inside(*box, size_px) for one in self.regions])


def _covered(
    polygons: tuple[Rings, ...], scale: NDArray[np.float64], box: tuple[int, int, int, int]
) -> NDArray[np.bool_]:
    x, y, width, height = box
    out = np.zeros((height, width), dtype=bool)
    for rings in polygons:
        toggles = np.zeros((height, width + 1), dtype=np.uint8)
        for ring in rings:
            _toggle_crossings(ring * scale, x, y, toggles)
        if toggles.any():
            out |= (np.bitwise_xor.accumulate(toggles, axis=1)[:, :width]) > 0
    return out


def _toggle_crossings(
    ring: NDArray[np.float64], x: int, y: int, toggles: NDArray[np.uint8]
) -> None:
    """Flip ``toggles`` where the ring crosses each row's centre line; left of the box: at 0.

    Computed in the grid's own coordinates, so that no pixel depends on the box it is asked with.
    """
    rows, columns = toggles.shape[0], toggles.shape[1] - 1
    starts, ends = ring, np.roll(ring, -1, axis=0)
    # centres at row + 0.5; half-open so that a vertex counts once
    low, high = np.minimum(starts[:, 1], ends[:, 1]), np.maximum(starts[:, 1], ends[:, 1])
    first = np.ceil(low - 0.5).clip(y, y + rows).astype(np.int64)
    last = np.ceil(high - 0.5).clip(y, y + rows).astype(np.int64)
    for edge in np.flatnonzero(first < last):
        (x0, y0), (x1, y1) = starts[edge], ends[edge]
        row = np.arange(first[edge], last[edge])
        crossing = x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        column = np.clip(np.ceil(crossing - 0.5) - x, 0, columns).astype(np.int64)
        toggles[row - y, column] ^= 1  # an edge crosses each centre line once
