"""A grid on which implicit shapes are painted with partial-volume fractions.

The grid is finer than the scan that is made from it. Every voxel contains, for each tracked organ,
the fraction of the voxel that the organ fills: the sum of the fractions times the voxel volume is
the organ's true volume.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .shapes import Array, Box, Points, Shape, WaveField


@dataclass(frozen=True)
class Grid:
    """Voxel centres along z (up), y (back) and x (left), as DICOM orders an axial stack.

    Attributes:
        shape: (nz, ny, nx).
        spacing_mm: (dz, dy, dx).
        first_mm: centre of voxel (0, 0, 0) in the patient's LPS axes, as (z, y, x).
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    first_mm: tuple[float, float, float]

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in mL."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    @property
    def affine(self) -> NDArray[np.float64]:
        """4 x 4, voxel indices (x, y, z) to RAS mm: x and y change sign."""
        dz, dy, dx = self.spacing_mm
        z, y, x = self.first_mm
        return np.array([[-dx, 0, 0, -x], [0, -dy, 0, -y], [0, 0, dz, z], [0, 0, 0, 1.0]])

    def finer(self, factors: tuple[int, int, int]) -> Grid:
        """The grid that has ``factors`` voxels for each of this one's, along z, y and x."""
        spacing = tuple(s / f for s, f in zip(self.spacing_mm, factors, strict=True))
        first = tuple(
            start - 0.5 * s + 0.5 * fine
            for start, s, fine in zip(self.first_mm, self.spacing_mm, spacing, strict=True)
        )
        shape = tuple(n * f for n, f in zip(self.shape, factors, strict=True))
        return Grid(shape, spacing, first)  # type: ignore[arg-type]

    def anatomical_axes(self) -> tuple[Array, Array, Array]:
        """Coordinates (r, a, z) of the voxel centres, each along its own array axis."""
        z, y, x = (
            (first + step * np.arange(n)).astype(np.float32)
            for first, step, n in zip(self.first_mm, self.spacing_mm, self.shape, strict=True)
        )
        return -x[None, None, :], -y[None, :, None], z[:, None, None]

    def slices(self, box: Box) -> tuple[slice, slice, slice] | None:
        """The part of the grid inside a box, None if they do not meet."""
        lows = (box.low_mm[2], -box.high_mm[1], -box.high_mm[0])
        highs = (box.high_mm[2], -box.low_mm[1], -box.low_mm[0])
        parts = []
        for low, high, first, step, n in zip(
            lows, highs, self.first_mm, self.spacing_mm, self.shape, strict=True
        ):
            start = max(0, int(np.floor((low - first) / step)))
            stop = min(n, int(np.ceil((high - first) / step)) + 1)
            if stop - start < 2:
                return None
            parts.append(slice(start, stop))
        return parts[0], parts[1], parts[2]


def coverage(shape_mm: Array, spacing_mm: tuple[float, float, float]) -> Array:
    """Fraction of each voxel inside a shape, from its implicit values at the voxel centres.

    The surface is taken as flat within a voxel. Dividing by the gradient makes the values a
    distance even where the shape's formula is not one, so volumes keep right.

    Args:
        shape_mm: implicit values, shape (nz, ny, nx), negative inside.
        spacing_mm: (dz, dy, dx).
    """
    width = np.zeros_like(shape_mm)
    for axis, step in enumerate(spacing_mm):
        slope = np.gradient(shape_mm, np.float32(step), axis=axis)
        slope *= np.float32(step)
        slope *= slope
        width += slope
    # With the unit normal n, distance = f / |grad f| and the voxel's width along n is
    # sqrt(sum((step * n)^2)): in their ratio |grad f| cancels.
    np.maximum(width, 1e-12, out=width)
    np.sqrt(width, out=width)
    np.divide(shape_mm, width, out=width)
    np.subtract(0.5, width, out=width)
    return np.asarray(np.clip(width, 0.0, 1.0, out=width), np.float32)


class Canvas:
    """An image in the making, one value a tissue, with the tracked organs' fractions.

    Args:
        grid: the fine grid.
        values: tissue name to image value (HU or signal).
        tracked: names of the organs whose volume is kept.
        warp: three fields (r, a, z) in mm that bend all shapes alike.
        scale: millimetres on the canvas for one millimetre of the shapes.
    """

    def __init__(
        self,
        grid: Grid,
        values: Mapping[str, float],
        *,
        tracked: tuple[str, ...] = ("liver", "spleen"),
        warp: tuple[WaveField, WaveField, WaveField] | None = None,
        scale: float = 1.0,
    ) -> None:
        self.grid, self.values = grid, dict(values)
        self.image: Array = np.full(grid.shape, values["air"], np.float32)
        self.fractions: dict[str, Array] = {
            name: np.zeros(grid.shape, np.float32) for name in tracked
        }
        self.scale = scale
        r, a, z = (axis / np.float32(scale) for axis in grid.anatomical_axes())
        axes = (r, a, z)
        self._points: Points = axes
        if warp is not None:
            moved = [axis + field(axes) for axis, field in zip(axes, warp, strict=True)]
            self._points = (moved[0], moved[1], moved[2])

        self._part = tuple(slice(0, n) for n in grid.shape)
        self._cut: tuple[tuple[slice, ...], Points] = self._part, self._points

    def points(self, part: tuple[slice, ...]) -> Points:
        """Phantom coordinates of a part of the grid; the same object for the same part again."""
        if self._cut[0] != part:
            r, a, z = (
                axis[
                    tuple(
                        s if n > 1 else slice(None) for s, n in zip(part, axis.shape, strict=True)
                    )
                ]
                for axis in self._points
            )
            self._cut = part, (r, a, z)
        return self._cut[1]

    def stored(self, shape: Shape) -> Shape:
        """A shape that many others lean on, worked out once for the whole grid.

        What comes back may only be used inside :meth:`paint` of this canvas: it gives the values
        of the part that is being painted.
        """
        values = shape(self.points(self._part))

        def recalled(_points: Points) -> Array:
            return values[self._part]

        return recalled

    def paint(
        self,
        tissue: str,
        shape: Shape,
        box: Box,
        *,
        within: str | None = None,
    ) -> None:
        """Paint a shape over what is there.

        Args:
            tissue: a key of the value table; a tracked organ's fraction is kept.
            shape: the implicit shape.
            box: where to draw it.
            within: draw only inside this tracked organ and count as part of it.
        """
        part = self.grid.slices(box.scaled(self.scale))
        if part is None:
            return
        self._part = part
        values = np.broadcast_to(shape(self.points(part)), tuple(s.stop - s.start for s in part))
        fraction = coverage(np.asarray(values, np.float32), self.grid.spacing_mm)
        self.blend(tissue, fraction, part, within=within)

    def blend(
        self,
        tissue: str,
        fraction: Array,
        part: tuple[slice, slice, slice],
        *,
        within: str | None = None,
    ) -> None:
        """Put a tissue with a fraction a voxel over what is there."""
        if within is not None:
            fraction = fraction * self.fractions[within][part]
        else:
            rest = 1.0 - fraction
            for name, kept in self.fractions.items():
                if name != tissue:
                    kept[part] *= rest
            if tissue in self.fractions:
                own = self.fractions[tissue][part]
                own += fraction * (1.0 - own)
        region = self.image[part]
        change = np.float32(self.values[tissue]) - region
        change *= fraction
        region += change

    def volume_ml(self, organ: str) -> float:
        """The exact volume of a tracked organ, in mL."""
        return float(self.fractions[organ].sum(dtype=np.float64)) * self.grid.voxel_volume_ml


def block_mean(array: NDArray[np.float32], factors: tuple[int, int, int]) -> Array:
    """Average blocks of a fine grid into the voxels of the scan."""
    nz, ny, nx = (n // f for n, f in zip(array.shape, factors, strict=True))
    fz, fy, fx = factors
    blocks = array.reshape(nz, fz, ny, fy, nx, fx)
    return np.asarray(blocks.mean(axis=(1, 3, 5), dtype=np.float32), np.float32)
