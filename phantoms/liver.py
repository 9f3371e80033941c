"""The liver's shape: what the diaphragm, the ribs and the neighbouring organs leave of it.

A liver has no form of its own: its upper and lateral surfaces are those of the diaphragm and the
ribs, its visceral surface is an oblique, hollow surface that carries the prints of the kidney, the
stomach and the gallbladder. So it is built here as a rounded intersection of those surfaces.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from .shapes import (
    Array,
    Box,
    Points,
    Tube,
    Vector,
    WaveField,
    ellipsoid,
    smooth_max,
    smooth_min,
    smooth_step,
)
from .torso import Diaphragm, Trunk, Walls, Warp

IVC_MM = (21.0, 6.0)
"""Place (r, a) of the inferior vena cava."""

SHIFT_MM = (-45.0, 60.0)
"""How far the visceral surface may move to give a liver its volume."""

LEFT_SHARE = 0.45
"""Share of the right lobe's growth or shrinkage that the left lobe takes part in."""

LEFT_SLOPE = 0.30
"""How much flatter the visceral surface runs to the left of the hilum."""


class Body(Protocol):
    """What the liver asks of the body around it; :class:`.anatomy.Anatomy` is one."""

    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def trunk(self) -> Trunk: ...  # noqa: D102
    @property
    def diaphragm(self) -> Diaphragm: ...  # noqa: D102
    @property
    def ascites_mm(self) -> float: ...  # noqa: D102
    @property
    def warp(self) -> Warp: ...  # noqa: D102
    @property
    def sway(self) -> dict[str, float]: ...  # noqa: D102
    @property
    def walls(self) -> Walls: ...  # noqa: D102


@dataclass(frozen=True)
class _Bounds:
    """Implicit values at the points of what bounds a liver, whatever its size."""

    outer: Array
    visceral: Array
    share: Array
    hollow: Array
    waves: Array
    nodules: Array
    tip: Array
    behind: Array
    left: Array
    spine: Array
    behind_cava: Array
    kidney: Array
    fissure: Array


@dataclass(frozen=True)
class LiverShape:
    """What varies between livers.

    Attributes:
        slope: direction in which the visceral surface looks, towards the liver's inside (r, a, z).
        hilum_mm: the point (r, a, z) of the porta hepatis that the visceral surface hangs on.
        shift_mm: how far the visceral surface lies below that (the liver's size).
        left_tip_mm: where the left lobe ends, r.
        fissure_mm: half-width of the umbilical fissure.
        nodules: the uneven surface of cirrhosis, mm.
        waves: gentle undulation of all surfaces, mm.
    """

    slope: Vector
    hilum_mm: Vector
    shift_mm: float
    left_tip_mm: float
    left_back_mm: float
    tip_mm: float
    fissure_mm: float
    caudate_mm: float
    gallbladder_mm: float
    nodules: WaveField
    waves: WaveField

    @classmethod
    def random(cls, rng: np.random.Generator, *, cirrhosis: float) -> LiverShape:
        """Draw a shape; ``cirrhosis`` from 0 to 1."""
        slope = np.array([rng.normal(0.70, 0.04), rng.normal(0.28, 0.05), rng.normal(0.63, 0.04)])
        slope /= np.linalg.norm(slope)
        return cls(
            slope=(float(slope[0]), float(slope[1]), float(slope[2])),
            hilum_mm=(
                float(rng.normal(30.0, 3.0)),
                float(rng.normal(12.0, 3.0)),
                float(rng.normal(-84.0, 4.0)),
            ),
            shift_mm=0.0,
            left_tip_mm=float(rng.uniform(-95.0, -58.0)) - 10.0 * cirrhosis,
            left_back_mm=float(rng.uniform(12.0, 24.0)),
            tip_mm=float(rng.uniform(-205.0, -170.0)),
            fissure_mm=float(rng.uniform(1.5, 3.0)) + 1.5 * cirrhosis,
            caudate_mm=float(rng.uniform(15.0, 19.0)) + 5.0 * cirrhosis,
            gallbladder_mm=float(rng.uniform(11.0, 15.0)),
            nodules=WaveField.random(
                rng, amplitude=0.15 + 0.8 * cirrhosis, wavelength_mm=(16.0, 34.0), count=7
            ),
            waves=WaveField.random(rng, amplitude=2.0, wavelength_mm=(60.0, 150.0), count=6),
        )

    def visceral_height_mm(self, r: float, a: float) -> float:
        """Height z of the visceral surface over a point."""
        sr, sa, sz = self.slope
        hr, ha, hz = self.hilum_mm
        across = max(r - hr, 0.0) - LEFT_SLOPE * max(hr - r, 0.0)
        share = float(smooth_step(np.asarray([r], np.float32), hr - 20.0, hr + 45.0)[0])
        size = (LEFT_SHARE + (1.0 - LEFT_SHARE) * share) * self.shift_mm
        return hz - (size + sr * across + sa * (a - ha)) / sz

    def gallbladder(self) -> Tube:
        """The gallbladder in its bed on the visceral surface."""
        ends = [(38.0, 26.0), (52.0, 42.0), (66.0, 60.0)]
        size = self.gallbladder_mm
        path = tuple(
            (r, a, self.visceral_height_mm(r, a) - 0.1 * size - drop)
            for (r, a), drop in zip(ends, (0.0, 2.0, 6.0), strict=True)
        )
        return Tube(path, (0.4 * size, 0.9 * size, size))

    def portal_trunk(self) -> Tube:
        """The portal vein from the confluence to its fork in the hilum."""
        hr, ha, _ = self.hilum_mm
        gate = (hr, ha + 4.0, self.visceral_height_mm(hr, ha) + 4.0)
        return Tube(
            ((8.0, 24.0, -106.0), (0.5 * (8.0 + hr), 20.0, 0.5 * (-106.0 + gate[2])), gate),
            (7.5, 7.0, 6.5),
        )

    def fissure(self, points: Points) -> Array:
        """The umbilical fissure with its fat: a wedge that opens below and behind."""
        r, a, z = points
        _, ha, hz = self.hilum_mm
        depth = z - np.float32(hz + 6.0) + 0.15 * (a - 50.0)
        open_mm = np.clip(-depth, 0.0, 60.0)
        half = np.float32(self.fissure_mm) * (0.35 + 0.03 * open_mm)
        plane = np.abs(r - 4.0 - 0.12 * (a - 30.0)) - half
        behind = np.float32(ha + 2.0) - a
        sheet: Array = np.asarray(np.maximum(plane, np.maximum(depth, behind)), np.float32)
        return sheet

    def __call__(self, points: Points, anatomy: Body, walls: Walls) -> Array:
        """The liver's implicit surface at the points; ``walls`` are the anatomy's."""
        return self._shaped(points, self._bounds(points, anatomy, walls))

    def _bounds(self, points: Points, anatomy: Body, walls: Walls) -> _Bounds:
        """What shapes the liver and does not move with its size."""
        r, a, z = points
        # against diaphragm and ribs it lies closely, thin lobes too: no rounding lifts it off
        under = walls.diaphragm(points) + np.float32(2.5) + np.float32(anatomy.ascites_mm * 0.6)
        wall = walls.cavity(points) + np.float32(1.0) + np.float32(anatomy.ascites_mm)
        sr, sa, sz = self.slope
        hr, ha, hz = self.hilum_mm
        # left of the hilum the surface runs flatter: the left lobe reaches over the stomach
        across = np.maximum(r - hr, 0.0) - LEFT_SLOPE * np.maximum(hr - r, 0.0)
        # the left lobe lies in front of oesophagus and stomach and tapers to its tip
        behind = np.float32(self.left_back_mm) - a - 2.0 * np.maximum(r - 2.0, 0.0)
        behind = behind + 0.3 * np.maximum(-r, 0.0)
        left = np.float32(self.left_tip_mm) - r + 0.25 * (z + 40.0) - 0.2 * (a - 60.0)
        spine = np.sqrt((r - 0.0) ** 2 + (a + 40.0) ** 2) - np.float32(37.0)
        kidney = kidney_ellipsoid(points, anatomy, right=True) - np.float32(4.0)
        return _Bounds(
            outer=smooth_max(under, wall, 6.0),
            visceral=-(sr * across + sa * (a - ha) + sz * (z - hz)),
            # a shrunken liver loses most of its right lobe; the left keeps its size or grows
            share=LEFT_SHARE + (1.0 - LEFT_SHARE) * smooth_step(r, hr - 20.0, hr + 45.0),
            # hollow: most in the middle of the right lobe, where colon, duodenum and kidney press
            hollow=np.asarray(
                10.0 * np.exp(-(((r - 52.0) / 40.0) ** 2) - ((a - 6.0) / 46.0) ** 2), np.float32
            ),
            waves=self.waves(points),
            nodules=self.nodules(points),
            # the right lobe's tip is rounded off by the colon's flexure
            tip=np.float32(self.tip_mm) - z + 0.25 * (a - 20.0) + 0.0 * r,
            behind=np.asarray(behind + 0.0 * z, np.float32),
            left=np.asarray(0.9 * left, np.float32),
            spine=np.asarray(-spine + 0.0 * z, np.float32),
            # the vena cava lies on crus and spine: no liver behind it
            behind_cava=-ellipsoid(points, (15.0, -7.0, 0.0), (20.0, 14.0, 1e4)),
            kidney=-kidney,
            fissure=-self.fissure(points),
        )

    def _shaped(self, points: Points, bounds: _Bounds) -> Array:
        """The liver's implicit surface between its bounds."""
        inner = self._visceral_side(points, bounds)
        return np.asarray(smooth_max(bounds.outer, inner, 11.0) + bounds.nodules, np.float32)

    def _visceral_side(self, points: Points, bounds: _Bounds) -> Array:
        """The surfaces that face the other organs."""
        visceral = bounds.visceral - bounds.share * np.float32(self.shift_mm)
        liver = np.asarray(visceral + bounds.hollow + bounds.waves, np.float32)
        liver = smooth_max(liver, bounds.tip, 16.0)
        liver = smooth_max(liver, bounds.behind, 10.0)
        liver = smooth_max(liver, bounds.left, 16.0)

        # the caudate lobe between vena cava and fissure
        caudate_at = (14.0, 20.0, min(self.visceral_height_mm(14.0, 20.0) + 27.0, -44.0))
        caudate = ellipsoid(points, caudate_at, (self.caudate_mm, 13.0, 28.0))
        liver = smooth_min(liver, caudate, 6.0)

        # take away what the neighbours hold
        liver = smooth_max(liver, bounds.spine, 8.0)
        liver = smooth_max(liver, bounds.behind_cava, 5.0)
        liver = smooth_max(liver, bounds.kidney, 10.0)
        return smooth_max(liver, bounds.fissure, 3.0)

    def fitted(self, anatomy: Body, volume_ml: float) -> LiverShape:
        """Shift the visceral surface until the liver has about this volume (before scaling).

        Raises:
            ValueError: no shift within reach gives the volume.
        """
        box = Box((-150.0, -110.0, -250.0), (175.0, 130.0, 5.0))
        step = 5.0
        r, a, z = (
            np.arange(low, high, step, dtype=np.float32)
            for low, high in zip(box.low_mm, box.high_mm, strict=True)
        )
        axes = (r[None, None, :], a[None, :, None], z[:, None, None])
        bent = [axis + field(axes) for axis, field in zip(axes, anatomy.warp, strict=True)]
        points = (bent[0], bent[1], bent[2])

        # walls and organs do not move with the liver's size: work them out once
        bounds = self._bounds(points, anatomy, anatomy.walls)
        cava = _cava(points)

        def volume(shift: float) -> float:
            shape = replace(self, shift_mm=shift)
            values = shape._shaped(points, bounds)
            for hole in (shape.gallbladder()(points), cava, shape.portal_trunk()(points)):
                values = np.maximum(values, -hole)
            inside = np.clip(0.5 - values / np.float32(step), 0.0, 1.0)
            return float(inside.sum()) * step**3 / 1000.0

        low, high = SHIFT_MM
        below, above = volume(low), volume(high)
        if not below <= volume_ml <= above:
            raise ValueError(
                f"a liver of {volume_ml:.0f} mL does not fit into body {anatomy.seed}: "
                f"{below:.0f} to {above:.0f} mL do"
            )
        shift = low
        for _ in range(12):
            # false position, kept off the ends so that it closes in from both sides
            share = (volume_ml - below) / max(above - below, 1e-9)
            shift = low + (high - low) * float(np.clip(share, 0.03, 0.97))
            reached = volume(shift)
            if abs(reached - volume_ml) < 0.002 * volume_ml:
                break
            if reached < volume_ml:
                low, below = shift, reached
            else:
                high, above = shift, reached
        return replace(self, shift_mm=shift)

    def vessels(self, rng: np.random.Generator) -> list[tuple[str, Tube]]:
        """Hepatic veins and portal branches inside the liver; they count as liver."""
        hr, ha, _ = self.hilum_mm
        gate = (hr, ha + 4.0, self.visceral_height_mm(hr, ha) + 5.0)
        tubes: list[tuple[str, Tube]] = []
        portal = [
            ((62.0, 2.0, gate[2] + 8.0), (100.0, -18.0, gate[2] + 16.0)),
            ((66.0, 10.0, gate[2] - 6.0), (102.0, 22.0, gate[2] - 32.0)),
            ((2.0, 44.0, gate[2] + 20.0), (-36.0, 66.0, gate[2] + 36.0)),
            ((58.0, 26.0, gate[2] + 14.0), (84.0, 62.0, gate[2] + 22.0)),
        ]
        veins = [
            ((60.0, -10.0, -38.0), (108.0, -8.0, -74.0)),
            ((46.0, 32.0, -38.0), (66.0, 66.0, -72.0)),
            ((0.0, 34.0, -34.0), (-34.0, 62.0, -48.0)),
        ]
        for middle, end in portal:
            tubes += _branch(rng, gate, middle, end, 5.0, "portal_vein")
        for middle, end in veins:
            tubes += _branch(rng, (IVC_MM[0], IVC_MM[1] + 4.0, -22.0), middle, end, 4.5, "vein")
        return tubes


def _cava(points: Points) -> Array:
    """The vena cava, which lies in the liver's outline without being liver."""
    return ellipsoid(points, (IVC_MM[0], IVC_MM[1], 0.0), (12.0, 10.0, 1e4))


def _branch(
    rng: np.random.Generator, start: Vector, middle: Vector, end: Vector, size: float, tissue: str
) -> list[tuple[str, Tube]]:
    """A vessel with a few side branches."""
    points = np.array([start, middle, end]) + np.vstack([np.zeros(3), rng.normal(0, 4, (2, 3))])
    tubes = [(tissue, Tube(_path(points), (size, 0.75 * size, 0.35 * size)))]
    for at in (0.6, 1.0, 1.5):
        first = int(at)
        root = points[first] + (at - first) * (points[min(first + 1, 2)] - points[first])
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        twig = np.array([root, root + direction * rng.uniform(22, 40)])
        tubes.append((tissue, Tube(_path(twig), (0.45 * size, 0.25 * size))))
    return tubes


def _path(points: np.ndarray) -> tuple[Vector, ...]:
    return tuple((float(r), float(a), float(z)) for r, a, z in points)


def kidney_ellipsoid(points: Points, anatomy: Body, *, right: bool) -> Array:
    """The outline of a kidney: its upper pole leans to the spine and to the back."""
    centre = kidney_centre(anatomy, right=right)
    side = 1.0 if right else -1.0
    r, a, z = points
    up = z - np.float32(centre[2])
    leaning = (r + side * 0.22 * up, a + 0.22 * up, z)
    scale = 1.0 + 0.08 * anatomy.sway["kidney_size"]
    radii = (27.0 * scale, 31.0 * scale, 54.0 * scale)
    return ellipsoid(leaning, centre, radii, turn=side * 0.5)


def kidney_centre(anatomy: Body, *, right: bool) -> Vector:
    """Place of a kidney's middle."""
    if right:
        return (66.0, -40.0, -140.0 + 12.0 * anatomy.sway["kidney_right"])
    return (-68.0, -38.0, -122.0 + 12.0 * anatomy.sway["kidney_left"])
