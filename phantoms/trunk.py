"""Paint the trunk's walls, chest, spine and ribs."""

from __future__ import annotations

import numpy as np

from .anatomy import Anatomy
from .canvas import Canvas
from .shapes import Array, Box, Points, Tube, Vector, ellipsoid, once, smooth_max, smooth_min
from .torso import Walls


def paint_walls(canvas: Canvas, anatomy: Anatomy, walls: Walls, whole: Box) -> None:
    """Skin, fat, the muscular wall, the muscles next to the spine, the fat of the cavity."""
    trunk = anatomy.trunk
    skin = once(trunk.skin)
    canvas.paint("skin", skin, whole)
    canvas.paint("fat", lambda p: skin(p) + 2.0, whole)
    canvas.paint("muscle", trunk.muscle, whole)
    canvas.paint("visceral_fat", walls.cavity, whole)
    for side in (-1.0, 1.0):
        back: Vector = (side * 29.0, -84.0, 0.0)
        canvas.paint(
            "muscle",
            lambda p, c=back: ellipsoid(p, c, (27.0, 24.0, 1e4), turn=-0.2),  # type: ignore[misc]
            Box((back[0] - 34, -114.0, whole.low_mm[2]), (back[0] + 34, -54.0, whole.high_mm[2])),
        )
    # sheets of fat between the muscles of the back
    for side in (-1.0, 1.0):

        def seam(p: Points, side: float = side) -> Array:
            r, a, z = p
            sheet = np.abs(a + 70.0 - 0.25 * (np.abs(r) - 30.0)) - 1.2
            return np.asarray(
                np.maximum(sheet, np.abs(r - side * 42.0) - 26.0) + 0.0 * z, np.float32
            )

        box = Box((side * 42 - 30, -100.0, whole.low_mm[2]), (side * 42 + 30, -40.0, -20.0))
        canvas.paint("fat", seam, box)
        # psoas and quadratus next to the spine, growing downwards
        canvas.paint(
            "muscle",
            Tube(
                (
                    (side * 22.0, -44.0, -95.0),
                    (side * 36.0, -42.0, -170.0),
                    (side * 46.0, -34.0, -280.0),
                ),
                (5.0, 19.0, 25.0),
            ),
            Box((side * 40 - 50, -80.0, whole.low_mm[2]), (side * 40 + 50, 0.0, -85.0)),
        )


def paint_chest(canvas: Canvas, anatomy: Anatomy, walls: Walls, whole: Box) -> None:
    """Lungs above the diaphragm, the heart on it, the mediastinum between."""
    diaphragm = anatomy.diaphragm
    chest = Box((whole.low_mm[0], whole.low_mm[1], -135.0), whole.high_mm)

    @once
    def thorax(p: Points) -> Array:
        return smooth_max(walls.cavity(p), -walls.diaphragm(p), 4.0)

    heart_at: Vector = (-26.0, 44.0, diaphragm.saddle_top_mm + 35.0)
    heart_sway = anatomy.sway["heart"]

    @once
    def pericardium(p: Points) -> Array:
        return ellipsoid(p, heart_at, (62.0 + 4 * heart_sway, 46.0, 47.0), turn=0.45)

    @once
    def mediastinum(p: Points) -> Array:
        r, a, z = p
        column = ellipsoid((r, a, z), (-2.0, -32.0, 0.0), (34.0, 58.0, 1e4))
        front = ellipsoid((r, a, z), (-4.0, 92.0, 0.0), (26.0, 26.0, 1e4))
        return smooth_min(smooth_min(column, front, 10.0), pericardium(p), 12.0)

    # The diaphragm is 3 mm of muscle that lines the ribs down to the costal margin. A liver lies
    # against it with nothing between; what is drawn below those 3 mm closes the gap to it.
    def costal(p: Points) -> Array:
        layer = smooth_max(walls.cavity(p), -5.0 - walls.cavity(p), 1.0)
        return smooth_max(layer, np.asarray(-178.0 - p[2] + 0.0 * layer, np.float32), 4.0)

    def dome(p: Points) -> Array:
        return smooth_max(walls.cavity(p), -4.5 - walls.diaphragm(p), 4.0)

    canvas.paint("muscle", costal, Box(whole.low_mm, (*whole.high_mm[:2], 0.0)))
    canvas.paint("muscle", dome, chest)
    canvas.paint("lung", lambda p: smooth_max(thorax(p), -mediastinum(p), 6.0), chest)
    canvas.paint("visceral_fat", lambda p: smooth_max(thorax(p), mediastinum(p), 2.0), chest)
    heart_box = Box.around(heart_at, 68.0)
    canvas.paint(
        "heart_wall",
        lambda p: smooth_max(pericardium(p) + 6.0, 6.0 - walls.diaphragm(p), 3.0),
        heart_box,
    )
    for shift, radii in (
        ((-14.0, 10.0, 2.0), (26.0, 20.0, 24.0)),
        ((20.0, 2.0, 6.0), (22.0, 22.0, 24.0)),
    ):
        centre = tuple(c + s for c, s in zip(heart_at, shift, strict=True))
        canvas.paint(
            "heart_blood",
            lambda p, c=centre, q=radii: smooth_max(  # type: ignore[misc]
                ellipsoid(p, c, q, turn=0.4), 11.0 - walls.diaphragm(p), 4.0
            ),
            heart_box,
        )
    _paint_lung_vessels(canvas, anatomy, walls)


def _paint_lung_vessels(canvas: Canvas, anatomy: Anatomy, walls: Walls) -> None:
    rng = np.random.default_rng([anatomy.seed, 77])
    for side in (-1.0, 1.0):
        for _ in range(7):
            start = (side * 34.0, -10.0, 60.0)
            end = (
                side * float(rng.uniform(60, 120)),
                float(rng.uniform(-60, 60)),
                float(rng.uniform(-50, 45)),
            )
            tube = Tube((start, end), (3.0, 1.2))
            canvas.paint(
                "vein",
                lambda p, t=tube: np.maximum(  # type: ignore[misc]
                    np.maximum(t(p), 4.0 - walls.diaphragm(p)), walls.cavity(p) + 4.0
                ),
                tube.box(),
            )


def paint_spine(canvas: Canvas, anatomy: Anatomy, low_z_mm: float, high_z_mm: float) -> None:
    """Vertebrae with discs, arches, spines and the canal."""
    pitch = 33.0
    offset = 12.0 * anatomy.sway["vertebra"]
    first = int(np.floor((low_z_mm - offset) / pitch)) - 1
    last = int(np.ceil((high_z_mm - offset) / pitch)) + 1
    column = Box((-60.0, -118.0, low_z_mm), (60.0, -4.0, high_z_mm))

    def body(p: Points) -> Array:
        return ellipsoid(p, (0.0, -41.0, 0.0), (23.0, 17.0, 1e4))

    canvas.paint("disc", lambda p: body(p) + 0.0 * p[2], column)
    for number in range(first, last + 1):
        z0 = offset + number * pitch
        box = Box((-60.0, -120.0, z0 - 24.0), (60.0, -8.0, z0 + 24.0))

        @once
        def block(p: Points, z0: float = z0) -> Array:
            plates = np.abs(p[2] - np.float32(z0)) - np.float32(13.0)
            waist = 1.5 * np.cos((p[2] - np.float32(z0)) * np.float32(np.pi / 26.0))
            return smooth_max(body(p) + waist, plates + 0.0 * p[0], 3.0)

        canvas.paint("bone", block, box)
        canvas.paint("marrow", lambda p, f=block: f(p) + np.float32(2.2), box)  # type: ignore[misc]
        for side in (-1.0, 1.0):
            process = Tube(
                (
                    (side * 13.0, -58.0, z0 + 4),
                    (side * 17.0, -68.0, z0 + 2),
                    (side * 34.0, -72.0, z0 + 1),
                ),
                (5.5, 7.0, 3.5),
            )
            canvas.paint("bone", process, process.box())
            lamina = Tube(((side * 15.0, -67.0, z0), (0.0, -82.0, z0 - 6)), (4.5, 4.0))
            canvas.paint("bone", lamina, lamina.box())
        spinous = Tube(((0.0, -82.0, z0 - 6), (0.0, -100.0, z0 - 14)), (4.0, 3.5))
        canvas.paint("bone", spinous, spinous.box())
    canal = Box((-16.0, -84.0, low_z_mm), (16.0, -50.0, high_z_mm))
    canvas.paint("canal", lambda p: ellipsoid(p, (0.0, -67.0, 0.0), (10.5, 8.5, 1e4)), canal)


def paint_ribs(canvas: Canvas, anatomy: Anatomy, walls: Walls, whole: Box) -> None:
    """Ribs that run down to the front, their cartilage, and the sternum."""
    trunk = anatomy.trunk
    pitch, lean = 31.0, 42.0
    offset = 15.0 * anatomy.sway["vertebra"]

    def bands(p: Points, half_height: float, half_depth: float) -> Array:
        r, a, z = p
        wall = walls.cavity(p)
        angle = np.arctan2(np.abs(r), -(a - np.float32(trunk.cavity_front_mm)))  # 0 at the back
        height = z - np.float32(offset) + np.float32(lean) * angle
        phase = height - np.float32(pitch) * np.round(height / np.float32(pitch))
        layer = np.abs(wall - 6.0)
        behind = (24.0 - np.abs(r)) + 0.0 * z
        oval = np.sqrt((phase / half_height) ** 2 + (layer / half_depth) ** 2) - 1.0
        oval = oval * min(half_height, half_depth)
        return np.asarray(np.maximum(oval, np.where(a < 0.0, behind, -9.0)), np.float32)

    @once
    def margin(p: Points) -> Array:
        # the costal arch: ribs end lower at the side and in the back
        r, a, z = p
        arch = -112.0 - 0.75 * np.clip(60.0 - a, 0.0, 90.0) + 0.0 * r
        return np.asarray(arch - z, np.float32)

    @once
    def cartilage(p: Points) -> Array:
        return np.asarray(p[1] - 74.0 + 0.0 * p[0] + 0.0 * p[2], np.float32)

    box = Box((whole.low_mm[0], whole.low_mm[1], -185.0), whole.high_mm)

    @once
    def ribs(p: Points) -> Array:
        return smooth_max(bands(p, 6.0, 3.8), margin(p), 3.0)

    canvas.paint("cartilage", lambda p: smooth_max(ribs(p), -cartilage(p), 3.0), box)
    canvas.paint("bone", lambda p: smooth_max(ribs(p), cartilage(p), 3.0), box)
    canvas.paint(
        "marrow",
        lambda p: np.maximum(np.maximum(bands(p, 4.0, 1.8), margin(p) + 2.0), cartilage(p) + 2.0),
        box,
    )
    sternum = Box((-24.0, 80.0, -60.0), (24.0, 135.0, whole.high_mm[2]))
    canvas.paint(
        "marrow",
        lambda p: np.maximum(
            np.maximum(np.abs(walls.cavity(p) - 7.0) - 4.5, np.abs(p[0]) - 15.0), -45.0 - p[2]
        ),
        sternum,
    )
