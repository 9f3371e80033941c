"""Write stained biopsy slides with an exactly known collagen fraction, as pyramidal TIFF.

Light is absorbed as the Beer-Lambert law says: each stain adds its concentration times its own
optical density a channel; the camera sees white times ten to the minus density, with its exposure,
its tint, a little unsharpness and noise. No measuring method's idea of colour is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from ..files import atomic_path
from .sections import (
    Core,
    Details,
    Field,
    Mask,
    collagen_level,
    draw_core,
    place_details,
    smooth_noise,
)


@dataclass(frozen=True)
class StainLook:
    """Optical density (red, green, blue) of each stain at concentration 1."""

    collagen: tuple[float, float, float]
    cells: tuple[float, float, float]
    nuclei: tuple[float, float, float]


STAINS = {
    # Sirius red on picric yellow; nuclei brownish, as without a counterstain they hold both
    "psr": StainLook((0.12, 0.72, 0.62), (0.075, 0.16, 0.36), (0.26, 0.30, 0.30)),
    # aniline blue; Biebrich scarlet and acid fuchsin; iron haematoxylin
    "masson": StainLook((0.50, 0.37, 0.13), (0.27, 0.58, 0.30), (0.45, 0.42, 0.28)),
}
"""The stains that can be drawn."""


@dataclass(frozen=True)
class SlideTruth:
    """What is known of a phantom slide.

    Attributes:
        path: the TIFF file.
        stain: "psr" or "masson".
        mpp_um: um per pixel.
        caf_percent: collagen area over tissue area, exact, from the masks it was drawn from.
        collagen_mm2, tissue_mm2: the areas; tissue without lumens, vacuoles and background.
        n_fragments: number of cores.
        length_mm: their length in all.
    """

    path: Path
    stain: str
    mpp_um: float
    caf_percent: float
    collagen_mm2: float
    tissue_mm2: float
    n_fragments: int
    length_mm: float


@dataclass(frozen=True)
class RenderedSlide:
    """A slide in memory: the picture and the masks of the whole slide, shape (rows, columns)."""

    rgb: NDArray[np.uint8]
    tissue: Mask
    collagen: Mask
    n_fragments: int
    length_mm: float

    @property
    def caf_percent(self) -> float:
        """Collagen area over tissue area, in per cent."""
        return 100.0 * float(np.count_nonzero(self.collagen)) / np.count_nonzero(self.tissue)


def write_slide(
    path: Path,
    *,
    stain: str = "psr",
    caf_percent: float = 15.0,
    seed: int = 0,
    size_px: tuple[int, int] = (6000, 2400),
    mpp_um: float = 1.0,
    ome: bool = False,
) -> SlideTruth:
    """Write a slide as a tiled pyramid that states its pixel size.

    Args:
        path: a .tif or .tiff file (.ome.tif with ``ome``).
        stain: a key of :data:`STAINS`.
        caf_percent: wanted collagen fraction, 1 to 45; the truth says what it became.
        seed: the same seed gives the same bytes.
        size_px: columns and rows.
        mpp_um: um per pixel.
        ome: OME-TIFF (levels as SubIFDs) instead of a plain pyramid.

    Raises:
        KeyError: unknown stain.
        ValueError: a fraction outside 1 to 45 %.
    """
    slide = render_slide(
        stain=stain, caf_percent=caf_percent, seed=seed, size_px=size_px, mpp_um=mpp_um
    )
    with atomic_path(Path(path)) as temporary:
        write_pyramid(temporary, slide.rgb, mpp_um=mpp_um, ome=ome)
    pixel_mm2 = (mpp_um / 1000.0) ** 2
    return SlideTruth(
        path=Path(path),
        stain=stain,
        mpp_um=mpp_um,
        caf_percent=slide.caf_percent,
        collagen_mm2=float(np.count_nonzero(slide.collagen)) * pixel_mm2,
        tissue_mm2=float(np.count_nonzero(slide.tissue)) * pixel_mm2,
        n_fragments=slide.n_fragments,
        length_mm=slide.length_mm,
    )


def render_slide(
    *,
    stain: str,
    caf_percent: float,
    seed: int,
    size_px: tuple[int, int] = (6000, 2400),
    mpp_um: float = 1.0,
) -> RenderedSlide:
    """Draw a slide; arguments and errors as in :func:`write_slide`."""
    if not 1.0 <= caf_percent <= 45.0:
        raise ValueError(f"a collagen fraction of 1 to 45 % can be drawn, not {caf_percent}")
    look = STAINS[stain]
    rng = np.random.default_rng([seed, 31, sorted(STAINS).index(stain)])
    columns, rows = size_px
    cores = _place_cores(rng, rows, columns, mpp_um)
    fields = [core.collagen_field for core in cores]
    about = collagen_level(fields, [core.inside for core in cores], caf_percent)
    steatosis = float(rng.uniform(0.01, 0.10))
    details = [
        place_details(rng, core, about, mpp_um=mpp_um, steatosis=steatosis) for core in cores
    ]
    level = collagen_level(fields, [detail.tissue for detail in details], caf_percent)

    camera = _Camera.random(rng)
    look = _varied(look, rng)
    rgb = _background(rng, rows, columns, camera, mpp_um)
    tissue = np.zeros((rows, columns), bool)
    collagen = np.zeros((rows, columns), bool)
    for core, detail in zip(cores, details, strict=True):
        part = (
            slice(core.row_px, core.row_px + core.inside.shape[0]),
            slice(core.column_px, core.column_px + core.inside.shape[1]),
        )
        fibres = detail.tissue & (core.collagen_field > level)
        tissue[part], collagen[part] = detail.tissue, fibres
        density = _densities(core, detail, fibres, look, rng, mpp_um)
        picture = camera.expose(density)
        np.copyto(rgb[part], picture, where=core.inside[..., None])
    camera.blur_and_noise(rgb, rng, mpp_um)
    length_mm = sum(core.length_um for core in cores) / 1000.0
    return RenderedSlide(rgb, tissue, collagen, len(cores), length_mm)


def _place_cores(rng: np.random.Generator, rows: int, columns: int, mpp_um: float) -> list[Core]:
    """Fragments in lanes, about a millimetre wide each, some lanes broken in two."""
    lanes = max(1, int(rows * mpp_um / 790.0))
    height = int(rows / lanes)
    cores = []
    for lane in range(lanes):
        margin = int(rng.uniform(0.015, 0.06) * columns)
        spans = [(margin, columns - int(rng.uniform(0.015, 0.10) * columns))]
        if columns * mpp_um > 3500.0 and rng.random() < 0.35:
            cut = int(columns * rng.uniform(0.35, 0.65))
            gap = int(130.0 / mpp_um)
            spans = [(spans[0][0], cut - gap), (cut + gap, spans[0][1])]
        for start, stop in spans:
            box = (lane * height, start, height, stop - start)
            cores.append(draw_core(rng, box_px=box, mpp_um=mpp_um))
    return cores


def _varied(look: StainLook, rng: np.random.Generator) -> StainLook:
    """The batch of stain: strength and hue differ a little from slide to slide."""

    def vary(density: tuple[float, float, float], spread: float) -> tuple[float, float, float]:
        strength = float(np.clip(rng.normal(1.0, spread), 0.75, 1.3))
        hue = rng.normal(1.0, 0.04, size=3)
        r, g, b = (float(d * strength * h) for d, h in zip(density, hue, strict=True))
        return r, g, b

    return StainLook(vary(look.collagen, 0.10), vary(look.cells, 0.12), vary(look.nuclei, 0.10))


@dataclass(frozen=True)
class _Camera:
    """Exposure, tint, unsharpness and noise of one scan of a slide."""

    white: tuple[float, float, float]
    blur_um: float
    noise: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> _Camera:
        exposure = float(rng.uniform(0.90, 0.985))
        tint = np.clip(rng.normal(1.0, 0.012, size=3), 0.97, 1.015)
        r, g, b = (float(255.0 * exposure * t) for t in tint)
        return cls((r, g, b), float(rng.uniform(0.55, 0.9)), float(rng.uniform(1.2, 2.2)))

    def expose(self, density: list[Field]) -> NDArray[np.uint8]:
        """Optical densities of the three channels to a picture."""
        channels = []
        for white, channel in zip(self.white, density, strict=True):
            light = cv2.exp(channel * np.float32(-np.log(10.0)))
            channels.append(cv2.convertScaleAbs(light, alpha=white))
        return np.asarray(cv2.merge(channels))

    def blur_and_noise(
        self, rgb: NDArray[np.uint8], rng: np.random.Generator, mpp_um: float
    ) -> None:
        """Unsharpness of the lens and noise of the sensor, in place."""
        sigma = self.blur_um / mpp_um
        cv2.GaussianBlur(rgb, (0, 0), sigma, dst=rgb)
        # one patch of noise, laid at random places: quick, and no eye or method sees the repeat
        patch = np.rint(rng.normal(0.0, self.noise, size=(700, 900, 3))).astype(np.int16)
        for top in range(0, rgb.shape[0], 512):
            for left in range(0, rgb.shape[1], 512):
                tile = rgb[top : top + 512, left : left + 512]
                y, x = int(rng.integers(0, 188)), int(rng.integers(0, 388))
                noise = patch[y : y + tile.shape[0], x : x + tile.shape[1]]
                np.clip(tile + noise, 0, 255, out=tile, casting="unsafe")


def _background(
    rng: np.random.Generator, rows: int, columns: int, camera: _Camera, mpp_um: float
) -> NDArray[np.uint8]:
    """Empty glass with some debris: specks, a fibre of dust."""
    rgb = np.empty((rows, columns, 3), np.uint8)
    rgb[:] = np.asarray(camera.white, np.uint8)
    for _ in range(int(rng.integers(12, 30))):
        centre = (int(rng.integers(0, columns)), int(rng.integers(0, rows)))
        radius = max(1, int(rng.uniform(2.0, 9.0) / mpp_um))
        shade = float(rng.uniform(0.25, 0.8))
        colour = tuple(int(shade * w) for w in camera.white)
        cv2.circle(rgb, centre, radius, colour, -1)
    for _ in range(2):
        start = rng.uniform((0, 0), (columns, rows))
        steps = rng.normal(0, 40.0 / mpp_um, size=(7, 2)).cumsum(axis=0)
        points = np.rint(start + steps).astype(np.int32)[None]
        colour = tuple(int(0.55 * w) for w in camera.white)
        cv2.polylines(rgb, [points], False, colour, max(1, round(2.5 / mpp_um)))
    return rgb


def _densities(
    core: Core,
    detail: Details,
    fibres: Mask,
    look: StainLook,
    rng: np.random.Generator,
    mpp_um: float,
) -> list[Field]:
    """Optical density of a core in the three channels."""
    shape = (core.inside.shape[0], core.inside.shape[1])
    section = 1.0 + 0.07 * smooth_noise(rng, shape, 500.0 / mpp_um)  # the section's thickness
    mottle = smooth_noise(rng, shape, 14.0 / mpp_um)
    cells = (1.0 + 0.13 * core.grain + 0.10 * mottle) * section * (1.0 - 0.8 * detail.pale)
    cells[detail.fibrous] *= 0.7
    cells[fibres] *= 0.45
    cells[detail.hollow] = 0.015
    # fibres differ in thickness and so in colour; unbound dye leaves a haze everywhere
    bound = np.clip(0.92 + 0.16 * core.weave + 0.12 * core.grain + 0.08 * mottle, 0.4, 1.5)
    dye = np.where(fibres, bound * section, 0.02 * cells)
    nuclei = detail.nuclei * section
    return [
        dye * np.float32(look.collagen[channel])
        + np.maximum(cells, 0.0) * np.float32(look.cells[channel])
        + nuclei * np.float32(look.nuclei[channel])
        for channel in range(3)
    ]


def write_pyramid(
    path: Path, rgb: NDArray[np.uint8], *, mpp_um: float, ome: bool = False, tile_px: int = 256
) -> None:
    """Write a picture as a tiled JPEG pyramid with its pixel size.

    A plain pyramid keeps its levels as pages that follow each other, as most software expects;
    an OME-TIFF keeps them as SubIFDs of the first page.

    Args:
        path: file to write.
        rgb: shape (rows, columns, 3), 8 bit.
        mpp_um: um per pixel of the full resolution.
        ome: write OME-TIFF.
        tile_px: side of the tiles.
    """
    levels = [rgb]
    while max(levels[-1].shape[:2]) > 1024:
        rows, columns = levels[-1].shape[:2]
        levels.append(
            cv2.resize(levels[-1], (columns // 4, rows // 4), interpolation=cv2.INTER_AREA)
        )
    common = {
        "photometric": "rgb",
        "tile": (tile_px, tile_px),
        "compression": "jpeg",
        "compressionargs": {"level": 92},
        "software": "Fibrovol phantom",
        "resolutionunit": "CENTIMETER",
    }
    metadata = None
    if ome:
        metadata = {
            "axes": "YXS",
            "PhysicalSizeX": mpp_um,
            "PhysicalSizeXUnit": "µm",
            "PhysicalSizeY": mpp_um,
            "PhysicalSizeYUnit": "µm",
            "UUID": "urn:uuid:00000000-0000-4000-8000-000000000000",
        }
    with tifffile.TiffWriter(path, ome=ome) as writer:
        for number, level in enumerate(levels):
            per_cm = 1e4 / (mpp_um * rgb.shape[1] / level.shape[1])
            extra: dict[str, object] = {"resolution": (per_cm, per_cm), "metadata": metadata}
            if number == 0 and ome:
                extra["subifds"] = len(levels) - 1
            elif number:
                extra |= {"subfiletype": 1, "metadata": None}
            writer.write(level, **common, **extra)
