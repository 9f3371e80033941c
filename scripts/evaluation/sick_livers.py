"""Draw large and sick livers onto labelled CTs: tumours, cysts, ascites, resections, big spleens.

Pure: HU and BTCV's organ numbers in, altered ones out, axes along R, A, S. What is drawn is simple
(ellipsoids and distances, with the scan's own noise), so a network that fails here fails on
patients too, while one that passes has only passed this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from fibrovol.training.organs import GALLBLADDER, LIVER, SPLEEN, STOMACH
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float32]
Organs = NDArray[np.uint8]

_CAVA = 9
_FAT_HU, _FLUID_HU = -100.0, 8.0
_AIR_HU = -116.0  # after smoothing: labelled CTs are cut off at -125 HU, air and lung with them
_SOFT_MM = 1.5  # blur of a drawn border, as a scanner's
_MOST_NOISE_HU = 25.0  # more is an edge


@dataclass(frozen=True)
class Body:
    """A labelled CT."""

    hu: Array
    """(i, j, k)."""

    organs: Organs
    """BTCV's numbers."""

    spacing_mm: tuple[float, float, float]
    """Voxel size."""

    @property
    def liver(self) -> NDArray[np.bool_]:
        """The liver with all that is in it."""
        return self.organs == LIVER

    @property
    def liver_ml(self) -> float:
        """Its volume."""
        return float(np.count_nonzero(self.liver)) * float(np.prod(self.spacing_mm)) / 1000


def _noise(body: Body) -> Array:
    """The scan's own noise and texture: what a small blur takes away."""
    clipped = np.clip(body.hu, -150, 250)
    rest = clipped - ndimage.gaussian_filter(clipped, 1.0)
    return np.asarray(np.clip(rest, -_MOST_NOISE_HU, _MOST_NOISE_HU), np.float32)


def _tissue(body: Body) -> NDArray[np.bool_]:
    """No air: neither outside the body nor in lung and bowel."""
    return np.asarray(ndimage.gaussian_filter(body.hu, 0.7) > _AIR_HU)


def _paint(body: Body, where: NDArray[np.bool_], level: float | Array, noise: Array) -> Array:
    """HU with a region at another level, its border blurred and its noise kept."""
    sigma = [_SOFT_MM / s for s in body.spacing_mm]
    weight = ndimage.gaussian_filter(where.astype(np.float32), sigma)
    weight *= where | _tissue(body)  # the blurred rim may not reach into air
    return np.asarray(body.hu * (1 - weight) + weight * (level + noise), np.float32)


def _distance_mm(mask: NDArray[np.bool_], body: Body) -> Array:
    """Of each voxel to a mask, 0 in it."""
    return np.asarray(ndimage.distance_transform_edt(~mask, body.spacing_mm), np.float32)


def _ellipsoid(
    body: Body, middle: Sequence[float], radii_mm: Sequence[float], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """An ellipsoid with a wavy surface."""
    squares = np.zeros(body.hu.shape, np.float32)
    for axis, (centre, radius, step) in enumerate(
        zip(middle, radii_mm, body.spacing_mm, strict=True)
    ):
        offset = ((np.arange(body.hu.shape[axis]) - centre) * step / radius) ** 2
        squares = squares + offset.reshape([-1 if n == axis else 1 for n in range(3)])
    waves = ndimage.zoom(rng.normal(0, 0.08, (6, 6, 6)), np.array(body.hu.shape) / 6, order=1)
    return np.asarray(np.sqrt(squares) + waves[tuple(map(slice, body.hu.shape))] < 1)


def tumour(body: Body, rng: np.random.Generator) -> Body:
    """One tumour of 10 cm with a dead middle, where it lies deepest in the liver."""
    depth = ndimage.distance_transform_edt(body.liver, body.spacing_mm)
    middle = np.unravel_index(int(np.argmax(depth)), depth.shape)
    inside = _ellipsoid(body, [float(m) for m in middle], (50, 50, 50), rng) & body.liver
    dead = _ellipsoid(body, [float(m) for m in middle], (28, 24, 30), rng) & body.liver
    level = np.where(dead, 22.0, 65.0).astype(np.float32)
    return Body(_paint(body, inside, level, _noise(body)), body.organs, body.spacing_mm)


def metastases(body: Body, rng: np.random.Generator) -> Body:
    """Twelve dark tumours of 15 to 50 mm anywhere in the liver, at its border too."""
    places = np.argwhere(body.liver)
    inside = np.zeros(body.hu.shape, bool)
    for _ in range(12):
        middle = places[rng.integers(len(places))]
        inside |= _ellipsoid(body, middle, [float(r) for r in rng.uniform(7.5, 25, 3)], rng)
    inside &= body.liver
    return Body(_paint(body, inside, 55.0, _noise(body)), body.organs, body.spacing_mm)


def cysts(body: Body, rng: np.random.Generator) -> Body:
    """Eight cysts of 30 to 70 mm, water, some of them at the liver's border."""
    places = np.argwhere(body.liver)
    inside = np.zeros(body.hu.shape, bool)
    for _ in range(8):
        middle = places[rng.integers(len(places))]
        inside |= _ellipsoid(body, middle, [float(rng.uniform(15, 35))] * 3, rng)
    inside &= body.liver
    return Body(_paint(body, inside, 5.0, _noise(body)), body.organs, body.spacing_mm)


def ascites(body: Body, _: np.random.Generator) -> Body:
    """Fluid of 15 mm around liver and spleen; it takes 4 mm of the liver's rim, as it shrinks."""
    core = body.liver | (body.organs == SPLEEN)
    rim = body.liver & (ndimage.distance_transform_edt(body.liver, body.spacing_mm) <= 4.0)
    fat = (body.organs == 0) & _tissue(body) & (body.hu < -10)
    fluid = rim | (fat & (_distance_mm(core, body) <= 15.0))
    organs = np.where(rim, 0, body.organs).astype(np.uint8)
    return Body(_paint(body, fluid, _FLUID_HU, _noise(body)), organs, body.spacing_mm)


def splenectomy(body: Body, _: np.random.Generator) -> Body:
    """No spleen: fat with strands where it was."""
    spleen = body.organs == SPLEEN
    organs = np.where(spleen, 0, body.organs).astype(np.uint8)
    return Body(_paint(body, spleen, _FAT_HU, 1.5 * _noise(body)), organs, body.spacing_mm)


def _resected(body: Body, away: NDArray[np.bool_]) -> Body:
    """A part of the liver is gone: fat lies there, with 6 mm of fluid along the cut."""
    away &= body.liver
    rest = body.liver & ~away
    fluid = away & (_distance_mm(rest, body) <= 6.0)
    level = np.where(fluid, _FLUID_HU, _FAT_HU).astype(np.float32)
    organs = np.where(away, 0, body.organs).astype(np.uint8)
    organs[away & (body.organs == GALLBLADDER)] = 0
    return Body(_paint(body, away, level, _noise(body)), organs, body.spacing_mm)


def _right_of_cava(body: Body) -> NDArray[np.bool_]:
    """Right of the plane of Cantlie, from the gallbladder's bed to the vena cava."""
    places = np.argwhere(body.organs == _CAVA)
    cava = places.mean(axis=0) if len(places) else np.argwhere(body.liver).mean(axis=0)
    bed = np.argwhere(body.organs == GALLBLADDER)
    bed_mm = np.array([35.0, 80.0, 0.0])  # right of the vena cava and in front of it, without one
    front = bed.mean(axis=0) if len(bed) else cava + bed_mm / body.spacing_mm
    i, j = np.meshgrid(np.arange(body.hu.shape[0]), np.arange(body.hu.shape[1]), indexing="ij")
    slope = (front[0] - cava[0]) / max(front[1] - cava[1], 1.0)
    return np.broadcast_to((i > cava[0] + slope * (j - cava[1]))[:, :, None], body.hu.shape)


def right_resection(body: Body, _: np.random.Generator) -> Body:
    """The right half of the liver is gone."""
    return _resected(body, _right_of_cava(body).copy())


def left_resection(body: Body, _: np.random.Generator) -> Body:
    """The left half of the liver is gone."""
    return _resected(body, ~_right_of_cava(body))


def big_spleen(body: Body, _: np.random.Generator) -> Body:
    """The spleen grows into all soft tissue around it until it lies along the left lobe."""
    spleen = body.organs == SPLEEN
    if not spleen.any():
        return body
    reach = float(_distance_mm(spleen, body)[body.liver].min()) + 20.0
    inside = _distance_mm(spleen, body) <= reach
    ribs = ndimage.binary_dilation(body.hu > 200, iterations=2)  # and what is enhanced like them
    free = (body.organs == 0) | (body.organs == STOMACH)
    soft = _tissue(body) & free & ~ribs
    grown = spleen | (inside & soft & _in_cavity(body))
    grown = ndimage.binary_opening(grown, iterations=1) | spleen
    level = float(np.median(body.hu[spleen]))
    organs = np.where(grown & ~body.liver, SPLEEN, body.organs).astype(np.uint8)
    return Body(_paint(body, grown, level, _noise(body)), organs, body.spacing_mm)


def _in_cavity(body: Body) -> NDArray[np.bool_]:
    """Roughly the abdominal cavity: inside the hull of the labelled organs, slice by slice."""
    x = np.flatnonzero((body.organs > 0).any(axis=(1, 2)))
    y = np.flatnonzero((body.organs > 0).any(axis=(0, 2)))
    inside = np.zeros(body.hu.shape, bool)
    inside[x[0] : x[-1] + 1, y[0] : y[-1] + 1] = True
    return inside


KINDS: dict[str, Callable[[Body, np.random.Generator], Body]] = {
    "as it is": lambda body, _: body,
    "tumour of 10 cm": tumour,
    "twelve metastases": metastases,
    "eight cysts": cysts,
    "ascites": ascites,
    "splenectomy": splenectomy,
    "right half resected": right_resection,
    "left half resected": left_resection,
    "big spleen at the left lobe": big_spleen,
}
"""Every kind, by the name in the table."""
