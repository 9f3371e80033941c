"""Paint a body on a canvas from the skin to the vessels, in the order in which they overlap."""

from __future__ import annotations

import numpy as np

from .anatomy import Anatomy, body_box
from .canvas import Canvas
from .liver import IVC_MM, kidney_centre, kidney_ellipsoid
from .shapes import Array, Box, Points, Shape, Tube, Vector, ellipsoid, once, smooth_max
from .torso import Walls
from .trunk import paint_chest, paint_ribs, paint_spine, paint_walls

LIVER_BOX = Box((-150.0, -112.0, -262.0), (178.0, 132.0, 14.0))


def paint_body(canvas: Canvas, anatomy: Anatomy, *, low_z_mm: float, high_z_mm: float) -> None:
    """Paint the whole body between two heights (mm)."""
    rng = np.random.default_rng([anatomy.seed, 4242])
    whole = body_box(anatomy, low_z_mm, high_z_mm)
    walls = Walls(canvas.stored(anatomy.trunk.cavity), canvas.stored(anatomy.diaphragm))
    paint_walls(canvas, anatomy, walls, whole)
    paint_chest(canvas, anatomy, walls, whole)
    paint_spine(canvas, anatomy, low_z_mm, high_z_mm)
    paint_ribs(canvas, anatomy, walls, whole)
    _paint_bowel(canvas, anatomy, walls, rng, low_z_mm)
    _paint_stomach(canvas, anatomy, walls)
    _paint_retroperitoneum(canvas, anatomy)
    _paint_spleen(canvas, anatomy, walls)
    _paint_great_vessels(canvas, anatomy, low_z_mm, high_z_mm, below_liver=True)
    if anatomy.ascites_mm > 0:
        _paint_ascites(canvas, anatomy, walls)
    _paint_liver(canvas, anatomy, walls, rng)
    _paint_great_vessels(canvas, anatomy, low_z_mm, high_z_mm, below_liver=False)


def _paint_bowel(
    canvas: Canvas, anatomy: Anatomy, walls: Walls, rng: np.random.Generator, low_z_mm: float
) -> None:
    trunk = anatomy.trunk
    sway = anatomy.sway["colon"]
    side = trunk.cavity_width_mm - 26.0

    def loop(tube: Shape, box: Box, wall: float, content: str) -> None:
        canvas.paint("bowel_wall", _inside(tube, walls, 2.0), box)
        canvas.paint(
            content, lambda p: np.maximum(tube(p) + wall, walls.cavity(p) + 2.0 + wall), box
        )

    # small bowel: winding loops below the stomach and the liver
    for _ in range(30):
        r0, a0 = float(rng.uniform(-105, 70)), float(rng.uniform(6, 88))
        z0 = float(rng.uniform(low_z_mm, -118.0 + 0.25 * r0))
        path = [np.array([r0, a0, z0])]
        heading = rng.normal(size=3)
        for _ in range(3):
            heading = 0.5 * heading + rng.normal(size=3)
            path.append(path[-1] + 26.0 * heading / np.linalg.norm(heading))
        size = float(rng.uniform(9.0, 13.0))
        tube = Tube(tuple((float(p[0]), float(p[1]), float(p[2])) for p in path), (size,) * 4)
        loop(
            once(tube),
            tube.box(),
            2.5,
            str(rng.choice(["bowel_content", "bowel_wall", "bowel_fluid"])),
        )
    # vessels of the mesentery
    for _ in range(14):
        root = (-4.0, 28.0, float(rng.uniform(-190, -125)))
        end = (
            float(rng.uniform(-90, 60)),
            float(rng.uniform(20, 80)),
            root[2] - float(rng.uniform(0, 90)),
        )
        twig = Tube((root, end), (2.6, 1.4))
        canvas.paint("vein", twig, twig.box())
    # vessels of the omentum, before stomach and bowel
    for _ in range(16):
        start = np.array([rng.uniform(-95, 20), rng.uniform(50, 88), rng.uniform(-130, -55)])
        stop = start + rng.normal(size=3) * (22.0, 8.0, 22.0)
        strand = Tube(
            (
                (float(start[0]), float(start[1]), float(start[2])),
                (float(stop[0]), float(stop[1]), float(stop[2])),
            ),
            (1.6, 1.0),
        )
        canvas.paint("vein", _inside(strand, walls, 4.0), strand.box())

    def below_liver(r: float, a: float, gap: float) -> float:
        return float(np.clip(anatomy.liver.visceral_height_mm(r, a) - gap, -215.0, -95.0))

    # the colon's flexure and transverse part lie under the liver, wherever that ends
    colon_tube = Tube(
        (
            (side, -12.0, -290.0),
            (side + 2, 0.0, below_liver(side, 0.0, 40.0)),
            (side - 16, 36.0, below_liver(side - 16, 36.0, 26.0)),
            (44.0, 74.0, below_liver(44.0, 74.0, 26.0)),
            (-16.0, 82.0, below_liver(-16.0, 82.0, 26.0) + 8 * sway),
            (-76.0, 66.0, -122.0),
            (-side + 4, 10.0, -105.0),
            (-side - 1, -22.0, -150.0),
            (-side - 2, -20.0, -290.0),
        ),
        (24.0, 23.0, 20.0, 18.0, 17.0, 17.0, 16.0, 15.0, 15.0),
    )
    colon = once(colon_tube)
    loop(colon, colon_tube.box(), 2.5, "feces")

    def gas(p: Points) -> Array:
        r, a, z = p
        pockets = np.cos(r * 0.11 + 1.0) + np.cos(z * 0.13 + 2.0 * sway)
        above = np.float32(14.0) - a + np.clip(-r, 0, 40) * 0.4
        return np.asarray(
            np.maximum(np.maximum(colon(p) + 4.0, 5.0 * (0.2 - pockets)), above), np.float32
        )

    canvas.paint("gas", gas, colon_tube.box())


def _inside(shape: Shape, walls: Walls, margin_mm: float) -> Shape:
    """The part of a shape that lies in the cavity, with a margin."""

    def part(points: Points) -> Array:
        return np.maximum(shape(points), walls.cavity(points) + np.float32(margin_mm))

    return part


def stomach_tube(anatomy: Anatomy) -> Tube:
    """The stomach from the fundus under the left dome to the pylorus."""
    sway = anatomy.sway["stomach"]
    top = anatomy.diaphragm.left_top_mm
    return Tube(
        (
            (-58.0, -6.0, top - 42.0),
            (-66.0, 24.0, top - 62.0),
            (-56.0, 48.0, -112.0 + 8 * sway),
            (-14.0, 58.0, -128.0 + 10 * sway),
            (24.0, 44.0, -122.0 + 4 * sway),
        ),
        (40.0 + 4 * sway, 36.0 + 4 * sway, 27.0 + 3 * sway, 19.0, 10.0),
    )


def _paint_stomach(canvas: Canvas, anatomy: Anatomy, walls: Walls) -> None:
    tube = stomach_tube(anatomy)

    @once
    def outline(p: Points) -> Array:
        return smooth_max(
            smooth_max(tube(p), walls.diaphragm(p) + 4.0, 6.0), walls.cavity(p) + 5.0, 6.0
        )

    box = tube.box()
    canvas.paint("stomach_wall", outline, box)
    canvas.paint("stomach_fluid", lambda p: outline(p) + 4.5, box)
    level = 34.0 + 14.0 * anatomy.sway["stomach_air"]
    # the patient lies on the back: gas rises to the front, above a level of fluid
    canvas.paint(
        "gas",
        lambda p: np.maximum(outline(p) + 5.0, np.float32(level) - p[1] + 0.0 * p[0] + 0.0 * p[2]),
        box,
    )
    gullet = Tube(((-8.0, 2.0, 60.0), (-9.0, 6.0, -20.0), (-34.0, 8.0, -52.0)), (8.0, 8.5, 9.0))
    canvas.paint("stomach_wall", gullet, gullet.box())


def _paint_retroperitoneum(canvas: Canvas, anatomy: Anatomy) -> None:
    sway = anatomy.sway["pancreas"]
    pancreas = Tube(
        (
            (34.0, 22.0, -138.0),
            (26.0, 28.0, -118.0),
            (0.0, 34.0, -106.0 + 5 * sway),
            (-36.0, 18.0, -98.0 + 5 * sway),
            (-78.0, -14.0, -84.0),
        ),
        (11.0, 14.0, 10.0, 10.5, 8.0),
    )
    canvas.paint("pancreas", pancreas, pancreas.box())
    duodenum = Tube(
        ((30.0, 42.0, -122.0), (48.0, 22.0, -126.0), (50.0, 8.0, -156.0), (14.0, 12.0, -176.0),
         (-22.0, 16.0, -160.0)),
        (11.0, 12.0, 13.0, 12.0, 11.0),
    )  # fmt: skip
    outer = once(duodenum)
    canvas.paint("bowel_wall", outer, duodenum.box())
    canvas.paint("bowel_fluid", lambda p: outer(p) + 3.5, duodenum.box())
    for right in (True, False):
        centre = kidney_centre(anatomy, right=right)
        box = Box.around(centre, (52.0, 52.0, 62.0))
        inward = -1.0 if right else 1.0
        sinus_at = (centre[0] + inward * 16.0, centre[1] + 8.0, centre[2])

        @once
        def outline(p: Points, right: bool = right) -> Array:
            return kidney_ellipsoid(p, anatomy, right=right)

        canvas.paint("kidney_cortex", outline, box)
        canvas.paint("kidney_medulla", lambda p, f=outline: f(p) + 9.0, box)  # type: ignore[misc]
        canvas.paint(
            "visceral_fat",
            lambda p, c=sinus_at: ellipsoid(p, c, (15.0, 12.0, 24.0)),  # type: ignore[misc]
            box,
        )
        canvas.paint(
            "kidney_medulla",
            lambda p, c=sinus_at: ellipsoid(p, c, (9.0, 5.0, 14.0)),  # type: ignore[misc]
            box,
        )
        vein = Tube((sinus_at, (inward * -16.0, -2.0, -128.0)), (5.0, 5.5))
        canvas.paint("vein", vein, vein.box())
        adrenal = Tube(((-inward * 26.0, -28.0, -74.0), (-inward * 36.0, -40.0, -90.0)), (3.0, 3.0))
        canvas.paint("pancreas", adrenal, adrenal.box())


def _paint_spleen(canvas: Canvas, anatomy: Anatomy, walls: Walls) -> None:
    scale = anatomy.spleen_scale ** (1.0 / 3.0)
    trunk, diaphragm = anatomy.trunk, anatomy.diaphragm
    stomach = stomach_tube(anatomy)
    back = -40.0 + 8.0 * anatomy.sway["spleen_back"]
    centre: Vector = (-(trunk.cavity_width_mm - 44.0), back, diaphragm.left_top_mm - 50.0)

    def outline(p: Points) -> Array:
        ball = ellipsoid(p, centre, (54.0 * scale, 68.0 * scale, 64.0 * scale), turn=0.35)
        hull = smooth_max(walls.cavity(p) + 3.0, walls.diaphragm(p) + 4.0, 8.0)
        spleen = smooth_max(ball, hull, 12.0)
        spleen = smooth_max(spleen, 5.0 - stomach(p), 10.0)
        kidney = kidney_ellipsoid(p, anatomy, right=False)
        spleen = smooth_max(spleen, 5.0 - kidney, 10.0)
        # hollow towards the hilum
        hilum = ellipsoid(p, (-54.0, 2.0, centre[2]), (36.0, 44.0, 70.0))
        return smooth_max(spleen, -hilum, 10.0)

    canvas.paint("spleen", outline, Box.around(centre, 80.0))


def _paint_great_vessels(
    canvas: Canvas, anatomy: Anatomy, low_z_mm: float, high_z_mm: float, *, below_liver: bool
) -> None:
    sway = anatomy.sway["aorta"]
    if below_liver:
        aorta = Tube(
            (
                (-16.0, -30.0, high_z_mm + 20.0),
                (-9.0, -14.0, -40.0),
                (-6.0 + 2 * sway, -12.0, -150.0),
                (-2.0, -14.0, low_z_mm - 20.0),
            ),
            (11.5, 11.0, 9.5, 8.5),
        )
        canvas.paint("aorta", aorta, aorta.box())
        for side in (-1.0, 1.0):
            crus = Tube(
                ((side * 18.0 - 4, -20.0, -40.0), (side * 15.0 - 4, -26.0, -130.0)), (5.0, 4.0)
            )
            canvas.paint("muscle", crus, crus.box())
        canvas.paint("aorta", aorta, aorta.box())
        celiac = Tube(
            ((-7.0, -8.0, -98.0), (-6.0, 14.0, -100.0), (20.0, 24.0, -96.0)), (4.0, 3.5, 3.0)
        )
        canvas.paint("aorta", celiac, celiac.box())
        mesenteric = Tube(
            ((-6.0, -6.0, -110.0), (-6.0, 14.0, -124.0), (-4.0, 26.0, -200.0)), (4.0, 4.0, 3.5)
        )
        canvas.paint("aorta", mesenteric, mesenteric.box())
        splenic = Tube(
            ((8.0, 24.0, -106.0), (-30.0, 12.0, -98.0), (-80.0, -20.0, -82.0)), (6.5, 5.5, 5.0)
        )
        canvas.paint("portal_vein", splenic, splenic.box())
        superior = Tube(
            ((8.0, 24.0, -106.0), (8.0, 28.0, -150.0), (6.0, 36.0, -220.0)), (6.0, 5.5, 4.5)
        )
        canvas.paint("portal_vein", superior, superior.box())
        return
    r, a = IVC_MM

    def cava(p: Points) -> Array:
        forward = np.clip((p[2] + 60.0) / 60.0, 0.0, 1.0) * 6.0
        wide = 12.0 - np.clip((-90.0 - p[2]) / 60.0, 0.0, 1.0) * 1.0
        u = (p[0] - np.float32(r)) / wide
        v = (p[1] - np.float32(a) - forward) / np.float32(9.5)
        return np.asarray((np.sqrt(u * u + v * v) - 1.0) * 9.5, np.float32)

    canvas.paint("ivc", cava, Box((r - 22, a - 20, low_z_mm), (r + 22, a + 26, 22.0)))
    trunk = anatomy.liver.portal_trunk()
    canvas.paint("portal_vein", trunk, trunk.box())


def _paint_ascites(canvas: Canvas, anatomy: Anatomy, walls: Walls) -> None:
    depth = anatomy.ascites_mm

    def fluid(p: Points) -> Array:
        hull = smooth_max(walls.cavity(p) + 1.5, walls.diaphragm(p) + 3.0, 8.0)
        inner = -(walls.cavity(p) + np.float32(depth + 3.0))
        upper = -(walls.diaphragm(p) + np.float32(0.6 * depth + 3.0))
        rim = np.minimum(inner, upper)
        side = 40.0 - np.abs(p[0]) - 0.4 * (p[1] + 20.0)
        return smooth_max(smooth_max(hull, rim, 4.0), np.asarray(side * 0.5), 10.0)

    canvas.paint("ascites", fluid, LIVER_BOX)


def _paint_liver(canvas: Canvas, anatomy: Anatomy, walls: Walls, rng: np.random.Generator) -> None:
    liver = anatomy.liver
    canvas.paint("liver", lambda p: liver(p, anatomy, walls), LIVER_BOX)
    for tissue, vessel in liver.vessels(rng):
        canvas.paint(tissue, vessel, vessel.box(), within="liver")
    tube = liver.gallbladder()
    gallbladder = once(tube)
    canvas.paint("gallbladder_wall", gallbladder, tube.box())
    canvas.paint("gallbladder", lambda p: gallbladder(p) + 1.6, tube.box())
