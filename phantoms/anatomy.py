"""Generate a human abdomen of implicit shapes: one seed, one body.

Axes (mm): ``r`` to the patient's right from the midline, ``a`` to the front from the middle of the
trunk, ``z`` to the head from the top of the liver's dome. Sizes and places follow atlases and
published means (liver 800-2,200 mL, kidneys about 11 cm, aorta 2 cm); nothing is taken from a
patient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .liver import LiverShape
from .shapes import Box, WaveField
from .torso import Diaphragm, Trunk, Walls, Warp


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
    """The box that contains the trunk between two heights."""
    half = anatomy.trunk.half_width_mm + 12.0
    return Box(
        (-half, anatomy.trunk.back_mm - 8.0, low_z_mm),
        (half, anatomy.trunk.front_mm + 8.0, high_z_mm),
    )
