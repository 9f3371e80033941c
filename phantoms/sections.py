"""Generate biopsy cores as masks of tissue, collagen, lumens, fat vacuoles and nuclei.

Each core (fragment) is drawn at the slide's full resolution. Its collagen is one field, highest in
portal tracts and septa and along sinusoids, cut at one level for the whole slide: a higher wanted
fraction gives thicker septa and more fibres, as fibrosis does. All lengths in um. Pure: no input
or output.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]

NODULE_UM = 620.0
"""Distance between the centres of neighbouring nodules."""


@dataclass
class Core:
    """One fragment of a biopsy in its own box.

    Attributes:
        row_px, column_px: the box's place on the slide.
        inside: bool (rows, columns): within the core's outline.
        tracts: portal tracts as (x, y, radius) in pixels.
        structure: nearness to portal tracts and septa, about 1 inside, below 0 far away.
        collagen_field: what is cut to give the collagen.
        sinusoid: a field whose zero lines are the sinusoids.
        weave: fibres along the septa, mean 0, deviation 1.
        grain: fine unevenness, mean 0, deviation 1.
        length_um: length of the core.
    """

    row_px: int
    column_px: int
    inside: Mask
    tracts: list[tuple[float, float, float]]
    structure: Field
    collagen_field: Field
    sinusoid: Field
    weave: Field
    grain: Field
    length_um: float


@dataclass
class Details:
    """What is placed once it is known which parts of a core are fibrous.

    Attributes:
        tissue: bool: in the core, outside lumens and vacuoles.
        hollow: bool: lumens and vacuoles inside the core.
        nuclei: bool.
        fibrous: bool: tracts and septa, where no liver cells are.
        pale: 0 to 1: sinusoids and the gaps between fibres.
    """

    tissue: Mask
    hollow: Mask
    nuclei: Mask
    fibrous: Mask
    pale: Field


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], scale_px: float) -> Field:
    """Noise with mean 0 and deviation 1 whose features measure about ``scale_px``."""
    if scale_px > 40.0:  # broad features need no fine grid
        small = smooth_noise(rng, (shape[0] // 8 + 2, shape[1] // 8 + 2), scale_px / 8.0)
        field = cv2.resize(
            small, (8 * small.shape[1], 8 * small.shape[0]), interpolation=cv2.INTER_LINEAR
        )
        return field[: shape[0], : shape[1]]
    coarse = tuple(max(4, int(np.ceil(n / scale_px)) + 3) for n in shape)
    field = cv2.resize(
        rng.standard_normal(coarse, dtype=np.float32),
        (int(np.ceil(coarse[1] * scale_px)), int(np.ceil(coarse[0] * scale_px))),
        interpolation=cv2.INTER_CUBIC,
    )[: shape[0], : shape[1]]
    probe = field[::3, ::3]
    field = field - np.float32(probe.mean())
    field /= np.float32(max(float(probe.std()), 1e-6))
    return np.asarray(field, np.float32)


def streaks(rng: np.random.Generator, direction: tuple[Field, Field], scale_px: float) -> Field:
    """Noise drawn out along a direction that changes from place to place.

    Args:
        rng: the source.
        direction: cosine and sine of twice the angle, shape (rows, columns).
        scale_px: width of a streak; they are five times as long.
    """
    cos2, sin2 = direction
    shape = (cos2.shape[0], cos2.shape[1])
    total = np.zeros(shape, np.float32)
    weights = np.zeros(shape, np.float32)
    for quarter in range(4):
        weight = cos2 * np.float32((1, 0, -1, 0)[quarter]) + sin2 * np.float32(
            (0, 1, 0, -1)[quarter]
        )
        weight = np.maximum(weight, 0.0) + np.float32(0.02)
        total += weight * _streaks_at(rng, shape, 45.0 * quarter, scale_px)
        weights += weight * weight
    return np.asarray(total / np.sqrt(weights), np.float32)


def _streaks_at(
    rng: np.random.Generator, shape: tuple[int, int], degrees: float, scale_px: float
) -> Field:
    """Streaks at one angle: stretched noise, turned."""
    reach = int(np.hypot(*shape)) + 8 if degrees % 90 else max(shape) + 8
    rows, columns = int(reach / scale_px) + 4, int(reach / (5.0 * scale_px)) + 4
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    turn = cv2.getRotationMatrix2D((0.0, 0.0), degrees, 1.0)[:, :2]
    # from a pixel of the slide to a place in the coarse noise
    centre = np.array([shape[1], shape[0]]) / 2.0
    matrix = np.diag([1.0 / (5.0 * scale_px), 1.0 / scale_px]) @ turn
    offset = np.array([columns, rows]) / 2.0 - matrix @ centre
    field = cv2.warpAffine(
        coarse,
        np.column_stack([matrix, offset]),
        (shape[1], shape[0]),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_WRAP,
    )
    return np.asarray(field * np.float32(1.35), np.float32)


def draw_core(
    rng: np.random.Generator, *, box_px: tuple[int, int, int, int], mpp_um: float
) -> Core:
    """Draw one core.

    Args:
        rng: the source of all variation.
        box_px: row, column, rows and columns of its box on the slide.
        mpp_um: um per pixel.
    """
    row, column, rows, columns = box_px
    shape = (rows, columns)
    inside, length_um = _outline(rng, shape, mpp_um)
    structure, direction, tracts = _architecture(rng, shape, mpp_um)
    grain = smooth_noise(rng, shape, 4.0 / mpp_um)
    half = (direction[0][::2, ::2], direction[1][::2, ::2])
    weave = cv2.resize(
        streaks(rng, half, 2.5 / mpp_um), (columns, rows), interpolation=cv2.INTER_LINEAR
    )
    field = structure + np.float32(0.12) * weave + np.float32(0.04) * grain
    field += np.float32(0.10) * smooth_noise(rng, shape, 70.0 / mpp_um)

    # fibres run along some of the sinusoids, in some zones more than in others
    sinusoid = smooth_noise(rng, shape, 20.0 / mpp_um)
    zone = smooth_noise(rng, shape, 260.0 / mpp_um)
    fibre = np.float32(0.30) + np.float32(0.16) * zone + np.float32(0.04) * grain
    fibre += np.float32(0.25) * np.maximum(structure, -0.5)
    fibre[np.abs(sinusoid + np.float32(0.13)) > 0.10] = -9.0
    np.maximum(field, fibre, out=field)
    return Core(row, column, inside, tracts, structure, field, sinusoid, weave, grain, length_um)


def place_details(
    rng: np.random.Generator, core: Core, level: float, *, mpp_um: float, steatosis: float
) -> Details:
    """Place lumens, vacuoles and nuclei, once the level of the collagen is about known.

    Nuclei are not collagen: the core's field is lowered there.

    Args:
        rng: the source of all variation.
        core: a core; its ``collagen_field`` is changed.
        level: where the collagen field is cut.
        mpp_um: um per pixel.
        steatosis: share of the parenchyma that is fat, 0 to about 0.3.
    """
    rim = np.float32(level - 0.02) + np.float32(0.03) * core.grain
    fibrous = core.structure > rim
    slit = np.clip(1.0 - np.abs(core.sinusoid - np.float32(0.14)) / np.float32(0.2), 0.0, 1.0)
    pale = np.where(fibrous, np.float32(0.55) - np.float32(0.15) * core.weave, slit)
    hollow = _lumens(rng, core, level, mpp_um)
    depth = core.structure - np.float32(level)
    hollow |= _vacuoles(rng, depth, mpp_um, steatosis)
    hollow &= core.inside
    tissue = core.inside & ~hollow
    nuclei = _nuclei(rng, depth, mpp_um) & tissue
    core.collagen_field[nuclei] = -9.0
    return Details(tissue, hollow, nuclei, fibrous, np.asarray(np.clip(pale, 0.0, 0.9)))


def _outline(rng: np.random.Generator, shape: tuple[int, int], mpp_um: float) -> tuple[Mask, float]:
    """The core's outline: a slender, slightly bent band with ragged edges."""
    rows, columns = shape
    x = np.arange(columns, dtype=np.float32)
    y = np.arange(rows, dtype=np.float32)[:, None]
    phase = float(rng.uniform(0, 6.28))
    bend = 0.05 * rows * np.sin(x / columns * float(rng.uniform(3.0, 7.0)) + phase)
    half = 0.5 * rows * 0.78 * (1.0 + 0.06 * np.sin(x / (600.0 / mpp_um) + 2.0 * phase))
    start = float(rng.uniform(0.01, 0.05)) * columns
    stop = float(rng.uniform(0.95, 0.99)) * columns
    slant = 0.25 * (y - 0.5 * rows) * float(rng.uniform(-1, 1))
    ragged = 14.0 / mpp_um * smooth_noise(rng, shape, 70.0 / mpp_um)
    ragged += 2.5 / mpp_um * smooth_noise(rng, shape, 9.0 / mpp_um)
    depth = np.minimum(
        half - np.abs(y - 0.5 * rows - bend), np.minimum(x - start - slant, stop - slant - x)
    )
    inside = np.asarray(depth + ragged > 0, bool)
    inside[[0, -1]] = False
    inside[:, [0, -1]] = False
    return inside, (stop - start) * mpp_um


def _architecture(
    rng: np.random.Generator, shape: tuple[int, int], mpp_um: float
) -> tuple[Field, tuple[Field, Field], list[tuple[float, float, float]]]:
    """Nearness to septa and tracts, the direction of fibres (double angle), and the tracts."""
    step = max(1, round(8.0 / mpp_um))
    rows, columns = (int(np.ceil(n / step)) + 1 for n in shape)
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32) * np.float32(step * mpp_um)
    sway = 70.0
    warp_x = x + sway * smooth_noise(rng, (rows, columns), 30.0)
    warp_y = y + sway * smooth_noise(rng, (rows, columns), 30.0)

    height, width = float(y.max()), float(x.max())
    area = (height + 2 * NODULE_UM) * (width + 2 * NODULE_UM)
    count = int(area / NODULE_UM**2 * 1.15)
    centres = np.column_stack(
        [
            rng.uniform(-NODULE_UM, width + NODULE_UM, count),
            rng.uniform(-NODULE_UM, height + NODULE_UM, count),
        ]
    ).astype(np.float32)
    nearest = np.full(x.shape, np.inf, np.float32)
    second = np.full(x.shape, np.inf, np.float32)
    for cx, cy in centres:
        distance = np.hypot(warp_x - cx, warp_y - cy)
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    edge_um = 0.5 * (second - nearest)
    thickness = 95.0 * np.clip(1.0 + 0.45 * smooth_noise(rng, x.shape, 45.0), 0.15, None)
    structure = 1.0 - edge_um / thickness
    structure -= 0.5 * np.clip(smooth_noise(rng, x.shape, 60.0), 0.0, 1.5)  # some septa are thin

    tracts = []
    for _ in range(max(2, int(height * width * 1e-6 * 2.2))):
        px, py = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        radius = float(rng.uniform(70.0, 170.0))
        distance = np.hypot((warp_x - px), (warp_y - py) * 1.2)
        structure = np.maximum(structure, 1.15 - distance / radius)
        tracts.append((px / mpp_um, py / mpp_um, radius / mpp_um))
    size = (columns * step, rows * step)

    def grown(coarse: NDArray[np.generic]) -> Field:
        full = cv2.resize(np.asarray(coarse, np.float32), size, interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(full[: shape[0], : shape[1]])

    # fibres run along the septa: across the slope of the structure
    slope_y, slope_x = np.gradient(cv2.GaussianBlur(np.asarray(structure, np.float32), (0, 0), 3))
    cos2, sin2 = slope_y**2 - slope_x**2, -2.0 * slope_x * slope_y
    cos2, sin2 = cv2.GaussianBlur(cos2, (0, 0), 4), cv2.GaussianBlur(sin2, (0, 0), 4)
    length = np.maximum(np.hypot(cos2, sin2), 1e-9)
    return grown(structure), (grown(cos2 / length), grown(sin2 / length)), tracts


def _lumens(rng: np.random.Generator, core: Core, level: float, mpp_um: float) -> Mask:
    """Veins, arteries and ducts in the tracts, and central veins."""
    shape = core.inside.shape
    canvas = np.zeros(shape, np.uint8)
    for x, y, full_radius in core.tracts:
        radius = full_radius * float(np.clip(1.15 - level, 0.35, 1.0))
        for _ in range(int(rng.integers(1, 4))):
            size = float(rng.uniform(0.08, 0.3)) * radius
            centre = (
                int(x + rng.normal(0, 0.3) * radius),
                int(y + rng.normal(0, 0.3) * radius),
            )
            axes = (max(2, int(size)), max(2, int(size * rng.uniform(0.5, 1.0))))
            cv2.ellipse(canvas, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    for _ in range(int(shape[0] * shape[1] * mpp_um**2 * 1e-6 * 1.5)):
        size = float(rng.uniform(14.0, 38.0)) / mpp_um
        centre = (int(rng.integers(0, shape[1])), int(rng.integers(0, shape[0])))
        axes = (int(size), int(size * rng.uniform(0.6, 1.0)))
        cv2.ellipse(canvas, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return canvas.astype(bool)


def _vacuoles(rng: np.random.Generator, depth: Field, mpp_um: float, steatosis: float) -> Mask:
    """Fat vacuoles: round, in clusters, in the parenchyma only."""
    canvas = np.zeros(depth.shape, np.uint8)
    rows, columns = depth.shape
    area_um2 = rows * columns * mpp_um**2
    clusters = max(1, int(area_um2 * 1e-6 * 14))
    wanted = int(steatosis * area_um2 / (np.pi * 9.5**2))
    homes = rng.uniform((0, 0), (columns, rows), size=(clusters, 2))
    chosen = homes[rng.integers(0, clusters, wanted)]
    places = chosen + rng.normal(0, 110.0 / mpp_um, size=(wanted, 2))
    radii = np.clip(rng.lognormal(np.log(8.0), 0.45, wanted), 3.0, 26.0) / mpp_um
    for (x, y), radius in zip(places.astype(int), radii, strict=True):
        if 0 <= x < columns and 0 <= y < rows and depth[y, x] < -0.25:
            cv2.circle(canvas, (int(x), int(y)), max(1, round(float(radius))), 1, -1)
    return canvas.astype(bool)


def _nuclei(rng: np.random.Generator, depth: Field, mpp_um: float) -> Mask:
    """Nuclei: round and spaced in the parenchyma, small and dense where septa are inflamed."""
    canvas = np.zeros(depth.shape, np.uint8)
    rows, columns = depth.shape
    area_um2 = rows * columns * mpp_um**2
    for density_um2, size_um, septal in ((900.0, 3.6, False), (420.0, 2.2, True)):
        count = int(area_um2 / density_um2)
        xs, ys = rng.integers(0, columns, count), rng.integers(0, rows, count)
        place = depth[ys, xs] > 0.0
        keep = place if septal else ~place
        if septal:  # inflammation comes in patches
            keep &= rng.random(count) < np.clip(0.1 + depth[ys, xs] * 1.2, 0.0, 0.7)
        radius = max(1, round(size_um / mpp_um))
        for x, y in zip(xs[keep].tolist(), ys[keep].tolist(), strict=True):
            cv2.circle(canvas, (x, y), radius, 1, -1)
    return canvas.astype(bool)


def collagen_level(fields: list[Field], masks: list[Mask], caf_percent: float) -> float:
    """The level at which to cut collagen fields for a wanted area fraction of the masks."""
    values = np.concatenate([field[mask][::11] for field, mask in zip(fields, masks, strict=True)])
    return float(np.quantile(values, 1.0 - caf_percent / 100.0))
