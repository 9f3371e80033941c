"""The walls that organs lie against: trunk and diaphragm as implicit shapes.

The axes are those of :mod:`.anatomy`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .shapes import (
    Array,
    Points,
    Shape,
    Vector,
    WaveField,
    ellipsoid,
    smooth_max,
    smooth_min,
    superellipse,
)

Warp = tuple[WaveField, WaveField, WaveField]
"""Three fields in mm that bend the body along r, a and z."""


@dataclass(frozen=True)
class Trunk:
    """The trunk's walls and the diaphragm, in mm.

    Attributes:
        cavity_width_mm: half the inner width of the rib cage.
        cavity_depth_mm: half its inner depth.
        wall_mm: thickness of muscle and ribs.
        fat_side_mm, fat_front_mm: subcutaneous fat at the side and in front.
    """

    cavity_width_mm: float = 146.0
    cavity_depth_mm: float = 95.0
    cavity_front_mm: float = 12.0
    wall_mm: float = 13.0
    fat_side_mm: float = 14.0
    fat_front_mm: float = 14.0
    back_mm: float = -122.0

    def _taper(self, z: Array) -> Array:
        """Relative width: narrower towards the top of the chest and at the waist."""
        top = np.clip((z + 40.0) / 120.0, 0.0, 1.0)
        waist = np.clip((-110.0 - z) / 120.0, 0.0, 1.0)
        return np.asarray(1.0 - 0.16 * top * top - 0.07 * waist * waist, np.float32)

    def cavity(self, points: Points) -> Array:
        """Inner surface of the thoracic and abdominal wall."""
        r, a, z = points
        taper = self._taper(z)
        half_width = np.float32(self.cavity_width_mm) * taper
        half_depth = np.float32(self.cavity_depth_mm) * (0.35 + 0.65 * taper)
        return superellipse(r, a - np.float32(self.cavity_front_mm), half_width, half_depth)

    def skin(self, points: Points) -> Array:
        """Outer surface of the body; the back is flatter than the front."""
        r, a, z = points
        taper = self._taper(z)
        front = self.cavity_front_mm + self.cavity_depth_mm + self.wall_mm * 0.8 + self.fat_front_mm
        middle = 0.5 * (front + self.back_mm)
        half_width = (self.cavity_width_mm + self.wall_mm) * (0.25 + 0.75 * taper)
        half_width = np.asarray(half_width + np.float32(self.fat_side_mm), np.float32)
        half_depth = np.full_like(half_width, 0.5 * (front - self.back_mm)) * (0.6 + 0.4 * taper)
        body = superellipse(r, a - np.float32(middle), half_width, half_depth)
        flat = np.float32(self.back_mm + 3.0) - a + 0.0 * r
        groove = 5.0 * np.exp(-((r / 9.0) ** 2)) * (a < middle)
        return np.asarray(smooth_max(body, flat + 0.0 * body, 30.0) + groove, np.float32)

    def muscle(self, points: Points) -> Array:
        """Outer surface of the muscular wall: the cavity's wall, and the muscles of the back."""
        r, a, _ = points
        wall = self.cavity(points) - np.float32(self.wall_mm)
        back = superellipse(
            r,
            a - np.float32(-72.0),
            np.full_like(r + a, 60.0),
            np.full_like(r + a, 35.0),
        )
        return smooth_min(wall, back + 0.0 * wall, 14.0)

    @property
    def half_width_mm(self) -> float:
        """Half the body's greatest width."""
        return self.cavity_width_mm + self.wall_mm + self.fat_side_mm

    @property
    def front_mm(self) -> float:
        """The skin's place in front."""
        return self.cavity_front_mm + self.cavity_depth_mm + self.wall_mm * 0.8 + self.fat_front_mm


@dataclass(frozen=True)
class Diaphragm:
    """Two domes and the saddle under the heart; below its rim it runs down along the wall."""

    right_top_mm: float = 0.0
    left_top_mm: float = -16.0
    saddle_top_mm: float = -24.0
    width_mm: float = 146.0
    depth_mm: float = 95.0
    front_mm: float = 12.0

    def __call__(self, points: Points) -> Array:
        """Negative below the diaphragm."""
        r, a, z = points
        depth = self.depth_mm - 3.0
        side = 0.5 * self.width_mm
        right = self._dome(
            points, (side, self.front_mm - 2.0, self.right_top_mm - 74.0), (side + 3.0, depth, 74.0)
        )
        left = self._dome(
            points, (-side, self.front_mm - 6.0, self.left_top_mm - 74.0), (side + 2.0, depth, 74.0)
        )
        saddle = self._dome(
            points, (-4.0, self.front_mm + 22.0, self.saddle_top_mm - 50.0), (74.0, 74.0, 50.0)
        )
        floor = (
            z
            + 100.0
            - 0.35 * np.maximum(a - 10.0, 0.0)
            - 0.12 * np.minimum(a - 10.0, 0.0)
            + 0.0 * r
        )
        result = smooth_min(smooth_min(right, left, 16.0), saddle, 14.0)
        return smooth_min(result, np.asarray(floor + 0.0 * result, np.float32), 10.0)

    @staticmethod
    def _dome(points: Points, centre: Vector, radii: Vector) -> Array:
        r, a, z = points
        above = np.maximum(z, np.float32(centre[2]))
        return ellipsoid((r, a, above), centre, radii)


@dataclass(frozen=True)
class Walls:
    """The two surfaces that organs lie against.

    Attributes:
        cavity: inner surface of the thoracic and abdominal wall.
        diaphragm: negative below the diaphragm.
    """

    cavity: Shape
    diaphragm: Shape
