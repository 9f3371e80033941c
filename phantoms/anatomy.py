"""A human abdomen as implicit shapes: one seed, one body.

Axes (mm): ``r`` to the patient's right from the midline, ``a`` to the front from the middle of the
trunk, ``z`` to the head from the top of the liver's dome. Sizes and places follow atlases and
published means (liver 800-2,200 mL, kidneys about 11 cm, aorta 2 cm); nothing is taken from a
patient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .liver import LiverShape
from .shapes import (
    Array,
    Box,
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


@dataclass(frozen=True)
class Anatomy:
    """One body: everything a scan of it needs, apart from the scanner.

    Attributes:
        seed: what it was drawn from.
        trunk, diaphragm, liver: its large parts.
        scale: millimetres of this body for one millimetre of the shapes.
        spleen_scale: size of the spleen (cirrhosis enlarges it).
        ascites_mm: depth of the fluid around the liver and along the flanks, 0 for none.
        warp: bends all organs by a few millimetres.
        sway: random numbers in [-1, 1] that the organs take their variations from, by name.
    """

    seed: int
    trunk: Trunk
    diaphragm: Diaphragm
    liver: LiverShape
    scale: float
    spleen_scale: float
    ascites_mm: float
    warp: Warp
    sway: dict[str, float]

    @property
    def walls(self) -> Walls:
        """The surfaces that organs lie against."""
        return Walls(self.trunk.cavity, self.diaphragm)

    def with_liver_volume(self, volume_ml: float) -> Anatomy:
        """The same body with its liver grown or shrunk to about this volume.

        The visceral surface moves, the surfaces under the diaphragm and along the ribs stay: as a
        liver grows in a body. The exact volume is what the scan's truth says.

        Raises:
            ValueError: no such liver fits into this body.
        """
        return replace(self, liver=self.liver.fitted(self, volume_ml / self.scale**3))


MEAN_LIVER_ML = 1600.0
"""Volume of the liver in a body of scale 1."""

SWAYS = (
    "kidney_right", "kidney_left", "kidney_size", "stomach", "stomach_air", "gallbladder", "colon",
    "spleen_back", "aorta", "pancreas", "heart", "portal", "veins", "vertebra",
)  # fmt: skip


def draw_anatomy(
    seed: int,
    *,
    liver_volume_ml: float | None = None,
    cirrhosis: float = 0.5,
    ascites_mm: float = 0.0,
) -> Anatomy:
    """Draw a body.

    Args:
        seed: the same seed gives the same body.
        liver_volume_ml: about what the liver should measure; None draws it from 900-1,900 mL.
        cirrhosis: 0 for a smooth liver and a small spleen, 1 for a nodular liver, a wide fissure
            and a large spleen.
        ascites_mm: depth of free fluid, 0 for none.

    Raises:
        ValueError: a liver of this volume does not fit into the body.
    """
    rng = np.random.default_rng([seed, 20170])
    drawn = float(rng.uniform(900.0, 1900.0))
    target = drawn if liver_volume_ml is None else liver_volume_ml
    # large livers live in large bodies; what is left of the difference is the liver's own
    scale = (target / MEAN_LIVER_ML) ** 0.28 * float(rng.normal(1.0, 0.02))
    width = float(np.clip(rng.normal(145.0, 3.0), 138.0, 152.0))
    depth = float(np.clip(width * rng.normal(0.655, 0.02), 88.0, 102.0))
    trunk = Trunk(
        cavity_width_mm=width,
        cavity_depth_mm=depth,
        wall_mm=float(rng.uniform(11.0, 15.0)),
        fat_side_mm=float(rng.uniform(8.0, 26.0)),
        fat_front_mm=float(rng.uniform(8.0, 26.0)),
        back_mm=float(rng.uniform(-128.0, -116.0)),
    )
    diaphragm = Diaphragm(
        left_top_mm=float(rng.uniform(-24.0, -10.0)),
        saddle_top_mm=float(rng.uniform(-30.0, -20.0)),
        width_mm=width,
        depth_mm=depth,
    )
    fields = [
        WaveField.random(rng, amplitude=2.6, wavelength_mm=(130.0, 280.0), count=4)
        for _ in range(3)
    ]
    sway = {name: float(rng.uniform(-1.0, 1.0)) for name in SWAYS}
    anatomy = Anatomy(
        seed=seed,
        trunk=trunk,
        diaphragm=diaphragm,
        liver=LiverShape.random(rng, cirrhosis=cirrhosis),
        scale=scale,
        spleen_scale=1.0 + 0.55 * cirrhosis * float(rng.uniform(0.2, 1.0)),
        ascites_mm=ascites_mm,
        warp=(fields[0], fields[1], fields[2]),
        sway=sway,
    )
    return anatomy.with_liver_volume(target)


def body_box(anatomy: Anatomy, low_z_mm: float, high_z_mm: float) -> Box:
    """The box that holds the trunk between two heights."""
    half = anatomy.trunk.half_width_mm + 12.0
    return Box(
        (-half, anatomy.trunk.back_mm - 8.0, low_z_mm),
        (half, anatomy.trunk.front_mm + 8.0, high_z_mm),
    )
