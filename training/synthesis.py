"""Training windows whose contrast is drawn at random, so that the network learns shape, not grey.

One labelled CT gives any number of windows: its geometry is bent, and its grey values are either
the CT's own (jittered) or synthesised from the organ labels, in the manner of SynthSeg (Billot et
al., Medical Image Analysis 2023): a grey level drawn for each organ and for clusters of the
unlabelled tissue, with the CT's own texture at a random sign and strength, then bias field, thick
slices, blur and noise. Left and right are never exchanged: the liver's side is what tells it apart.

Pure: tensors in, tensors out; every draw comes from the generator that is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..models.grid import CT_WINDOW_HU
from .draw import Draw
from .organs import (
    GALLBLADDER,
    KIDNEYS,
    LIVER,
    N_ORGANS,
    ORGAN_TO_CLASS,
    OUTSIDE,
    SPLEEN,
    VESSELS,
)
from .sequences import organ_medians, recolour_vessels, sequence_contrast

_LUT_SIZE = 101
HU_LOW, HU_HIGH = CT_WINDOW_HU


@dataclass(frozen=True)
class Case:
    """One labelled CT on its own grid, axes along R, A, S.

    Attributes:
        hu: int16 (i, j, k), HU clipped to the network's window.
        smooth_hu: int16 (i, j, k), ``hu`` blurred by one voxel.
        organs: uint8 (i, j, k), BTCV's numbers; 14 marks the air outside the body.
        spacing_mm: voxel size along i, j, k.
        liver_middle: middle of the liver's bounding box, in voxels.
    """

    hu: Tensor
    smooth_hu: Tensor
    organs: Tensor
    spacing_mm: tuple[float, float, float]
    liver_middle: Tensor


@dataclass(frozen=True)
class SynthesisSettings:
    """How windows are drawn.

    Attributes:
        window: voxels of a window along i, j, k.
        spacing_mm: voxel size of a window.
        real_fraction: share of windows that keep the CT's own grey values.
        physical_fraction: share of the others that follow an MR sequence's signal equation.
        shrunken_fraction: share of geometries whose liver is thinned and set in fluid.
    """

    window: tuple[int, int, int] = (96, 80, 96)
    spacing_mm: float = 3.0
    real_fraction: float = 0.4
    physical_fraction: float = 0.55
    shrunken_fraction: float = 0.1


def sample_geometry(
    case: Case, draw: Draw, settings: SynthesisSettings
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Cut one bent window out of a case.

    Returns:
        hu, smooth_hu (float32), organs and target (network classes; int64), each of the window's
        shape. Voxels beyond the scan are outside air.
    """
    centre = _window_centre(case, draw, settings)
    spacing = torch.tensor(case.spacing_mm)
    extent = torch.tensor(settings.window) * settings.spacing_mm
    matrix = (_random_matrix(draw) * extent).T / spacing
    axes = [torch.linspace(-0.5, 0.5, n) for n in settings.window]
    # voxel index in the case of every voxel of the window, (x, y, z, 3)
    index = (
        axes[0][:, None, None, None] * matrix[0]
        + axes[1][None, :, None, None] * matrix[1]
        + (axes[2][None, None, :, None] * matrix[2] + centre)
    )
    index += _elastic(draw, settings.window, 1.0 / spacing)

    size = torch.tensor(case.hu.shape)
    low = torch.minimum(index.amin((0, 1, 2)).floor().long().clamp(min=0), size - 2)
    high = torch.minimum(index.amax((0, 1, 2)).ceil().long() + 2, size)
    high = torch.maximum(high, low + 2)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    # grid_sample wants -1..1 over voxel centres, the last axis first
    grid = ((index - low) * (2.0 / (high - low - 1)) - 1.0).flip(-1)[None]
    grey = torch.stack([case.hu[box], case.smooth_hu[box]]).float()[None] - HU_LOW
    grey = functional.grid_sample(grey, grid, mode="bilinear", align_corners=True)[0] + HU_LOW
    shifted = case.organs[box].float()[None, None] - OUTSIDE  # zero padding is outside air
    organs = functional.grid_sample(shifted, grid, mode="nearest", align_corners=True)[0, 0]
    organs = (organs + OUTSIDE).round().long()
    return grey[0], grey[1], organs, torch.tensor(ORGAN_TO_CLASS)[organs]


def _window_centre(case: Case, draw: Draw, settings: SynthesisSettings) -> Tensor:
    """A voxel index: near the liver most of the time, anywhere in the scan otherwise."""
    if draw.chance(0.15):
        anywhere = torch.tensor([draw.uniform(0.2, 0.8) for _ in range(3)])
        return anywhere * torch.tensor(case.hu.shape)
    reach_mm = 0.28 * torch.tensor(settings.window) * settings.spacing_mm
    shift = torch.tensor([draw.uniform(-1, 1) for _ in range(3)]) * reach_mm
    return case.liver_middle + shift / torch.tensor(case.spacing_mm)


def _random_matrix(draw: Draw) -> Tensor:
    """Rotation within 15 degrees, scaling 0.8 to 1.25 a side, a little shear."""
    angles = [np.deg2rad(np.clip(draw.rng.normal(0, 6), -15, 15)) for _ in range(3)]
    (ca, cb, cc), (sa, sb, sc) = np.cos(angles), np.sin(angles)
    rotation = (
        np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
        @ np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
        @ np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    )
    scale = np.exp(draw.uniform(-0.2, 0.2)) * np.exp(draw.rng.normal(0, 0.06, 3))
    shear = np.eye(3) + np.triu(draw.rng.normal(0, 0.04, (3, 3)), 1)
    return torch.from_numpy((rotation @ shear @ np.diag(scale)).astype(np.float32))


def _elastic(draw: Draw, window: tuple[int, int, int], per_mm: Tensor) -> Tensor:
    """A smooth displacement (x, y, z, 3) in voxels: large slow waves and small quick ones."""
    coarse = draw.normal(1, 3, 4, 4, 4) * draw.uniform(0, 9)
    slow = functional.interpolate(coarse, size=(8, 8, 8), mode="trilinear", align_corners=True)
    field = slow + draw.normal(1, 3, 8, 8, 8) * draw.uniform(0, 3.5)
    field = field * per_mm[None, :, None, None, None]
    field = functional.interpolate(field, size=window, mode="trilinear", align_corners=True)
    return field[0].permute(1, 2, 3, 0)


def real_contrast(hu: Tensor, draw: Draw) -> Tensor:
    """The CT's own grey values in the network's window, jittered: level, width, drift along k."""
    image = (hu - HU_LOW) / (HU_HIGH - HU_LOW)
    if draw.chance(0.5):  # the level drifts from slice to slice in some exports
        drift = functional.interpolate(
            draw.normal(1, 1, 6) * draw.uniform(0, 0.05), size=hu.shape[2], mode="linear"
        )[0, 0]
        image = image + drift * (image > 0.02)
    if draw.chance(0.6):
        image = (image - 0.5) * draw.uniform(0.8, 1.25) + 0.5 + draw.uniform(-0.08, 0.08)
    if draw.chance(0.4):
        image = image.clamp(0, 1) ** draw.uniform(0.7, 1.4)
    if draw.chance(0.4):
        image = image + draw.uniform(0.01, 0.07) * draw.normal(*hu.shape)
    if draw.chance(0.2):
        image = _blur(image, draw)
    if draw.chance(0.25):
        image = _thick_slices(image, draw, most_voxels=3)
    return image.clamp(-0.1, 1.1)


def synthetic_contrast(
    hu: Tensor, smooth_hu: Tensor, organs: Tensor, draw: Draw, *, physical: float = 0.55
) -> Tensor:
    """Grey values made from the labels: any CT phase or MR sequence, seen or not.

    Args:
        hu: a window as :func:`sample_geometry` gives it, as are the next two.
        smooth_hu: the same, blurred.
        organs: BTCV's organ numbers.
        draw: random numbers.
        physical: share of the windows whose levels follow an MR sequence's signal equation; the
            others draw every level freely.

    Returns:
        float32 of the window's shape, about 0 to 1 as at inference.
    """
    as_mr = draw.chance(physical)
    if as_mr:
        image = sequence_contrast(hu, smooth_hu, organs, draw)
        image = image + draw.uniform(-0.0008, 0.0008) * (hu - smooth_hu) * (image > 0.03)
    else:
        image = _free_contrast(hu, smooth_hu, organs, draw)
    if draw.chance(0.2):
        image = _add_ascites(image, smooth_hu, organs, draw)
    outside = draw.uniform(0.0, 0.06) if draw.chance(0.8) else draw.uniform(0.0, 0.5)
    image = torch.where(organs == OUTSIDE, torch.tensor(outside), image)

    image = image + draw.uniform(0, 0.03) * _blur(draw.normal(*hu.shape), draw, sigma=1.0) * 3
    if draw.chance(0.6):
        image = _blur(image, draw)
    if draw.chance(0.6):  # the coil: brighter near the surface, darker in the middle
        strength = draw.uniform(0.05, 0.5 if as_mr else 0.35)
        image = image * torch.exp(strength * draw.smooth_field(3, tuple(hu.shape))[0, 0])
    if draw.chance(0.3):  # the first and last slices lie outside the coil; packages differ
        levels = draw.normal(1, 1, int(draw.rng.integers(4, 12))) * draw.uniform(0.05, 0.35)
        image = image * torch.exp(
            functional.interpolate(levels, size=hu.shape[2], mode="linear")[0, 0]
        )
    if draw.chance(0.5):
        image = _thick_slices(image, draw, most_voxels=4)
    noise = draw.uniform(0, 0.06)
    if as_mr and draw.chance(0.5):  # magnitude images: noise never goes below zero
        image = torch.hypot(image + noise * draw.normal(*hu.shape), noise * draw.normal(*hu.shape))
    else:
        image = image + noise * draw.normal(*hu.shape)
    if draw.chance(0.4):
        image = image.clamp(0, None) ** draw.uniform(0.6, 1.6)
    return normalise_window(image, draw)


def _free_contrast(hu: Tensor, smooth_hu: Tensor, organs: Tensor, draw: Draw) -> Tensor:
    """A grey level drawn for each organ and for clusters of the unlabelled tissue."""
    unlabelled = _tissue_lut(draw)
    position = ((smooth_hu - HU_LOW) / (HU_HIGH - HU_LOW) * (_LUT_SIZE - 1)).round().long()
    image = unlabelled[position.clamp(0, _LUT_SIZE - 1)]
    # neighbouring organs of one HU differ in MR: regions recoloured one by one
    if draw.chance(0.6):
        image = image + _region_offsets(hu.shape, draw) * (image > 0.03)
    image = image + draw.uniform(-0.0016, 0.0016) * (hu - smooth_hu)

    means, strengths = _organ_levels(draw)
    medians = organ_medians(hu, organs)
    own = means[organs] + strengths[organs] * (hu - medians[organs]) / 100.0
    image = torch.where((organs > 0) & (organs < OUTSIDE), own, image)
    if draw.chance(0.5):
        above_hu, level = float(medians[LIVER]) + draw.uniform(8, 22), draw.uniform(0, 1.2)
        image = recolour_vessels(image, smooth_hu, organs, above_hu, level)
    return image


def shrink_liver(
    hu: Tensor, smooth_hu: Tensor, organs: Tensor, target: Tensor, draw: Draw
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A small, nodular liver in fluid, as in cirrhosis: up to 9 mm of its rim become ascites.

    Args and returns as :func:`sample_geometry` returns them.
    """
    liver = (organs == LIVER).float()[None, None]
    depth = liver.clone()
    core = liver
    for _ in range(3):
        core = -_dilate(-core, 1)
        depth += core
    size = (int(hu.shape[0]), int(hu.shape[1]), int(hu.shape[2]))
    # slow waves thin one side more than the other, quick ones make nodules
    reach = draw.uniform(0, 2) + draw.smooth_field(4, size) + 0.8 * draw.smooth_field(20, size)
    rim = ((liver > 0) & (depth <= reach.clamp(max=3)))[0, 0]
    fluid = draw.uniform(-5, 25)
    hu = torch.where(rim, fluid + 12 * draw.normal(*hu.shape), hu)
    smooth_hu = torch.where(rim, torch.tensor(fluid), smooth_hu)
    # the gallbladder's number, for its signal is that of fluid
    organs = torch.where(rim, torch.tensor(GALLBLADDER), organs)
    return hu, smooth_hu, organs, torch.where(rim, torch.tensor(0), target)


def normalise_window(image: Tensor, draw: Draw) -> Tensor:
    """Scale as inference does (0.5th to 99.5th percentile of the scan), with a jitter.

    The jitter covers that a window's percentiles are not the whole scan's.
    """
    flat = image.flatten()[::29]
    foreground = flat[flat > flat.mean() * 0.2]
    high = torch.quantile(foreground if foreground.numel() > 100 else flat, 0.995)
    low = torch.quantile(flat, 0.005)
    image = (image - low) / (high - low).clamp(min=1e-3)
    image = image * draw.uniform(0.7, 1.25) + draw.uniform(-0.05, 0.05)
    return image.clamp(-0.1, 1.1)


def _tissue_lut(draw: Draw) -> Tensor:
    """Grey against HU for unlabelled tissue: steps (clusters), a curve, or their mixture."""
    knots = int(draw.rng.integers(4, 9))
    cuts = np.sort(draw.rng.uniform(0, 1, knots - 1))
    steps = draw.rng.uniform(0, 1, knots)[np.searchsorted(cuts, np.linspace(0, 1, _LUT_SIZE))]
    curve = np.interp(
        np.linspace(0, 1, _LUT_SIZE),
        np.concatenate([[0.0], cuts, [1.0]]),
        draw.rng.uniform(0, 1, knots + 1),
    )
    mix = draw.uniform(0, 1)
    lut = mix * steps + (1 - mix) * curve
    if draw.chance(0.75):
        lut[:3] = draw.uniform(0, 0.12)  # air inside the body is dark in CT and MR alike
    if draw.chance(0.3):
        lut[5:25] *= draw.uniform(0.1, 0.5)  # fat suppressed
    kernel = np.ones(5) / 5
    padded = np.pad(lut, 2, mode="edge")
    return torch.from_numpy(np.convolve(padded, kernel, mode="valid").astype(np.float32))


def _region_offsets(shape: torch.Size, draw: Draw) -> Tensor:
    """Piecewise offsets over random regions (x, y, z): two smooth fields cut into steps."""
    size = (int(shape[0]), int(shape[1]), int(shape[2]))
    first = draw.smooth_field(int(draw.rng.integers(4, 10)), size)[0, 0]
    second = draw.smooth_field(int(draw.rng.integers(4, 10)), size)[0, 0]
    region = (first * 2).round().clamp(-3, 3) + 3 + 7 * ((second * 2).round().clamp(-3, 3) + 3)
    offsets = torch.from_numpy(draw.rng.normal(0, draw.uniform(0.05, 0.3), 49).astype(np.float32))
    return offsets[region.long()]


def _organ_levels(draw: Draw) -> tuple[Tensor, Tensor]:
    """A mean and a texture strength for each organ number."""
    means = torch.from_numpy(draw.rng.uniform(0.05, 1, N_ORGANS + 1).astype(np.float32))
    kind = draw.rng.random()
    if kind < 0.35:  # T2-like: dark liver, bright spleen, kidneys and fluid, flow voids
        means[LIVER] = draw.uniform(0.1, 0.5)
        means[SPLEEN] = means[LIVER] * draw.uniform(0.9, 2.8)
        for organ in KIDNEYS:
            means[organ] = means[SPLEEN] * draw.uniform(0.8, 1.4)
        means[GALLBLADDER] = draw.uniform(0.6, 1.3)
        for organ in VESSELS:
            means[organ] = draw.uniform(0.0, 0.3) if draw.chance(0.6) else draw.uniform(0.3, 1.0)
    elif kind < 0.55:  # T1-like: liver above the spleen
        means[LIVER] = draw.uniform(0.4, 0.9)
        means[SPLEEN] = means[LIVER] * draw.uniform(0.4, 0.9)
        means[GALLBLADDER] = draw.uniform(0.0, 0.9)
    if draw.chance(0.8):
        means[3] = means[2] + draw.uniform(-0.05, 0.05)  # the two kidneys look alike
    strengths = torch.from_numpy(draw.rng.normal(0, 0.12, N_ORGANS + 1).astype(np.float32))
    return means, strengths


def _add_ascites(image: Tensor, smooth_hu: Tensor, organs: Tensor, draw: Draw) -> Tensor:
    """Fill the fat around liver and spleen with one fluid level, up to a random distance."""
    core = ((organs == LIVER) | (organs == SPLEEN)).float()[None, None]
    reach = int(draw.rng.integers(1, 5))
    core = _dilate(core, reach)
    near = core[0, 0] > 0
    fat = (smooth_hu > -122) & (smooth_hu < -15) & (organs == 0)
    return torch.where(near & fat, torch.tensor(draw.uniform(0.0, 1.0)), image)


def _dilate(mask: Tensor, reach: int) -> Tensor:
    """Largest value within a box of ``reach`` voxels, one axis at a time: the same, but quicker."""
    for axis in range(3):
        size, padding = [1, 1, 1], [0, 0, 0]
        size[axis], padding[axis] = 2 * reach + 1, reach
        mask = functional.max_pool3d(mask, size, stride=1, padding=padding)
    return mask


def _blur(image: Tensor, draw: Draw, sigma: float | None = None) -> Tensor:
    """Gaussian blur; a different width along each axis where none is given."""
    out = image[None, None]
    for axis in range(3):
        width = draw.uniform(0.2, 1.0) if sigma is None else sigma
        offsets = torch.arange(-2, 3, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (offsets / width) ** 2)
        kernel = kernel / kernel.sum()
        shape, padding = [1, 1, 1, 1, 1], [0, 0, 0]
        shape[2 + axis], padding[axis] = 5, 2
        pad = [0] * 6
        pad[2 * (2 - axis)] = pad[2 * (2 - axis) + 1] = 2
        out = functional.conv3d(functional.pad(out, pad, mode="replicate"), kernel.reshape(shape))
    return out[0, 0]


def _thick_slices(image: Tensor, draw: Draw, most_voxels: int) -> Tensor:
    """Average along k as a thick slice does, then interpolate back as the reader will."""
    size = tuple(image.shape)
    n_slices = round(size[2] / draw.uniform(1.3, most_voxels - 0.7))
    if draw.chance(0.85):
        thick = functional.interpolate(
            image[None, None], size=(size[0], size[1], n_slices), mode="area"
        )
    else:  # a gap between the slices: sampled, not averaged
        thick = functional.interpolate(
            image[None, None], size=(size[0], size[1], n_slices), mode="trilinear"
        )
    return functional.interpolate(thick, size=size, mode="trilinear", align_corners=False)[0, 0]


def cut_field_of_view(image: Tensor, draw: Draw) -> Tensor:
    """Blank a random slab beyond one or two faces, as a partial field of view does."""
    image = image.clone()
    for _ in range(int(draw.rng.integers(1, 3))):
        axis = int(draw.rng.integers(0, 3))
        n = int(draw.uniform(0.05, 0.35) * image.shape[axis])
        start = 0 if draw.chance(0.5) else image.shape[axis] - n
        image.narrow(axis, start, n).fill_(float(image.min()))
    return image


def draw_windows(
    case: Case, draw: Draw, settings: SynthesisSettings, *, contrasts: int = 2
) -> tuple[Tensor, Tensor]:
    """One geometry in several contrasts.

    Returns:
        images (contrasts, 1, *window) float32 and targets (contrasts, 1, *window) int64.
    """
    hu, smooth_hu, organs, target = sample_geometry(case, draw, settings)
    if draw.chance(settings.shrunken_fraction):
        hu, smooth_hu, organs, target = shrink_liver(hu, smooth_hu, organs, target, draw)
    images, targets = [], []
    for _ in range(contrasts):
        if draw.chance(settings.real_fraction):
            image = real_contrast(hu, draw)
        else:
            image = synthetic_contrast(
                hu, smooth_hu, organs, draw, physical=settings.physical_fraction
            )
        own_target = target
        if draw.chance(0.1):
            cut = cut_field_of_view(image, draw)
            own_target = torch.where(cut == image, target, torch.zeros_like(target))
            image = cut
        images.append(image)
        targets.append(own_target)
    return torch.stack(images)[:, None], torch.stack(targets)[:, None]
