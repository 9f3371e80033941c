"""Implicit shapes in millimetres: negative inside, positive outside, near zero a distance.

Points are given in the phantom's own axes, chosen so that formulas read like anatomy:
``r`` to the patient's right, ``a`` to the front, ``z`` to the head. The arrays broadcast against
each other, so a shape can be drawn on a whole grid from three thin axes. Pure: no input or output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Points = tuple[Array, Array, Array]
Shape = Callable[[Points], Array]
Vector = tuple[float, float, float]


def smooth_max(first: Array, second: Array, radius_mm: float) -> Array:
    """Intersection of two shapes with its edge rounded over ``radius_mm``.

    The polynomial blend of I. Quilez: it equals the plain maximum where the two differ by more
    than ``radius_mm``.
    """
    blend = np.asarray(first - second)
    # in place, here and below: memory for each step in between took a third of the time
    np.abs(blend, out=blend)
    np.subtract(np.float32(radius_mm), blend, out=blend)
    np.maximum(blend, 0.0, out=blend)
    blend *= blend
    blend *= np.float32(0.25 / radius_mm)
    blend += np.maximum(first, second)
    return np.asarray(blend, np.float32)


def smooth_min(first: Array, second: Array, radius_mm: float) -> Array:
    """Union of two shapes with the groove between them filled over ``radius_mm``."""
    return -smooth_max(-first, -second, radius_mm)


def smooth_step(value: Array, low: float, high: float) -> Array:
    """0 below ``low``, 1 above ``high``, a cubic between."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


def ellipsoid(points: Points, centre_mm: Vector, radii_mm: Vector, turn: float = 0.0) -> Array:
    """An ellipsoid, turned by ``turn`` radians about the z axis.

    Its value is exact on the surface and of the right size near it (first-order distance).
    """
    r, a, z = (axis - np.float32(c) for axis, c in zip(points, centre_mm, strict=True))
    if turn:
        cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        r, a = cos * r + sin * a, cos * a - sin * r
    u, v, w = (axis / np.float32(size) for axis, size in zip((r, a, z), radii_mm, strict=True))
    u *= u
    v *= v
    w *= w
    level = np.asarray(u + v + w)
    np.sqrt(level, out=level)
    level -= 1.0
    level *= np.float32(min(radii_mm))
    return np.asarray(level, np.float32)


def superellipse(r: Array, a: Array, half_width: Array, half_depth: Array) -> Array:
    """A rounded box around the z axis: distance along the ray from the axis, in mm.

    The exponent is 2.5, between an ellipse (2) and a box: that of a trunk.
    """
    u, v = np.abs(r) / half_width, np.abs(a) / half_depth
    level = (u * u * np.sqrt(u) + v * v * np.sqrt(v)) ** np.float32(0.4)
    reach = np.sqrt(r * r + a * a)
    return np.asarray(reach - reach / np.maximum(level, 1e-3), np.float32)


@dataclass(frozen=True)
class Tube:
    """A bent tube: a path of points with a radius at each, in mm."""

    path_mm: tuple[Vector, ...]
    radii_mm: tuple[float, ...]

    def box(self, margin_mm: float = 6.0) -> Box:
        """The box around the tube."""
        path = np.asarray(self.path_mm)
        reach = max(self.radii_mm) + margin_mm
        low, high = path.min(axis=0) - reach, path.max(axis=0) + reach
        return Box(
            (float(low[0]), float(low[1]), float(low[2])),
            (float(high[0]), float(high[1]), float(high[2])),
        )

    def __call__(self, points: Points) -> Array:
        """Distance to the tube's surface, in mm."""
        result: Array | None = None
        ends = zip(self.path_mm[:-1], self.path_mm[1:], strict=True)
        radii = zip(self.radii_mm[:-1], self.radii_mm[1:], strict=True)
        for (start, end), (first, last) in zip(ends, radii, strict=True):
            along = np.asarray(end, np.float32) - np.asarray(start, np.float32)
            length2 = np.float32(max(float(along @ along), 1e-6))
            offsets = [axis - np.float32(s) for axis, s in zip(points, start, strict=True)]
            t = np.asarray(offsets[0] * along[0] + offsets[1] * along[1] + offsets[2] * along[2])
            t /= length2
            np.clip(t, 0.0, 1.0, out=t)
            piece = np.zeros_like(t)
            for offset, step in zip(offsets, along, strict=True):
                apart = t * step
                np.subtract(offset, apart, out=apart)
                apart *= apart
                piece += apart
            np.sqrt(piece, out=piece)
            t *= np.float32(last - first)
            t += np.float32(first)
            piece -= t
            result = piece if result is None else np.minimum(result, piece, out=result)
        assert result is not None, "a tube has at least two points"
        return np.asarray(result, np.float32)


@dataclass(frozen=True)
class Box:
    """A box in phantom axes (r, a, z), in mm."""

    low_mm: Vector
    high_mm: Vector

    @classmethod
    def around(cls, centre_mm: Vector, half_mm: Vector | float, margin_mm: float = 6.0) -> Box:
        """The box around a centre with half-lengths and a margin."""
        half = np.broadcast_to(np.asarray(half_mm, float), (3,)) + margin_mm
        r, a, z = centre_mm
        return cls(
            (r - float(half[0]), a - float(half[1]), z - float(half[2])),
            (r + float(half[0]), a + float(half[1]), z + float(half[2])),
        )

    def scaled(self, scale: float) -> Box:
        """The box with all coordinates multiplied."""
        low, high = self.low_mm, self.high_mm
        return Box(
            (low[0] * scale, low[1] * scale, low[2] * scale),
            (high[0] * scale, high[1] * scale, high[2] * scale),
        )


@dataclass(frozen=True)
class WaveField:
    """A smooth random field over space: a sum of plane waves, so it needs no grid.

    Attributes:
        waves_per_mm: shape (n, 3), angular wave vectors.
        phases: shape (n,), radians.
        amplitude: the field's standard deviation.
    """

    waves_per_mm: NDArray[np.float32]
    phases: NDArray[np.float32]
    amplitude: float

    @classmethod
    def random(
        cls,
        rng: np.random.Generator,
        *,
        amplitude: float,
        wavelength_mm: tuple[float, float],
        count: int = 5,
    ) -> WaveField:
        """Waves in random directions with wavelengths in a range."""
        directions = rng.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = rng.uniform(*wavelength_mm, size=(count, 1))
        waves = (directions * 2.0 * np.pi / lengths).astype(np.float32)
        phases = rng.uniform(0.0, 2.0 * np.pi, size=count).astype(np.float32)
        return cls(waves, phases, amplitude)

    def __call__(self, points: Points) -> Array:
        """The field at the points."""
        scale = np.float32(self.amplitude * np.sqrt(2.0 / len(self.phases)))
        total: Array | None = None
        for (kr, ka, kz), phase in zip(self.waves_per_mm, self.phases, strict=True):
            level = kr * points[0] + ka * points[1]
            height = kz * points[2] + phase
            if height.size < level.size:  # thin axes: few cosines, then products
                wave = np.cos(level) * np.cos(height) - np.sin(level) * np.sin(height)
            else:
                wave = np.cos(level + height)
            total = wave if total is None else total + wave
        assert total is not None, "a field has at least one wave"
        return np.asarray(scale * total, np.float32)


def once(shape: Shape) -> Shape:
    """A shape that is asked for several times at the same points in a row, worked out once.

    Nobody may change the values that it gives.
    """
    last: list[tuple[Points, Array]] = []

    def recalled(points: Points) -> Array:
        if not last or last[0][0] is not points:
            last[:] = [(points, shape(points))]
        return last[0][1]

    return recalled


def union(shapes: Sequence[Shape], radius_mm: float) -> Shape:
    """The smooth union of several shapes."""

    def joined(points: Points) -> Array:
        result = shapes[0](points)
        for shape in shapes[1:]:
            result = smooth_min(result, shape(points), radius_mm)
        return result

    return joined
