"""MR contrasts computed from tissue relaxation times, for training on labelled CT.

A grey level for each tissue comes from the signal equation of a sequence drawn at random:
T2-weighted spin echo with and without fat suppression, T1-weighted gradient echo before and after
contrast medium, balanced gradient echo, diffusion-weighted. Relaxation times at 1.5 T are those of
de Bazelaire et al., Radiology 2004;230:652-659 and Stanisz et al., Magn Reson Med 2005;54:507-512,
each varied at random. So the levels that occur together in MR, such as a liver as dark as muscle
between suppressed fat, occur together in training, while no MR scan is needed.

Pure: tensors in, tensors out; every draw comes from the generator that is passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..models.grid import CT_WINDOW_HU
from .draw import Draw
from .organs import LIVER, N_ORGANS, OUTSIDE, VESSELS

HU_LOW, HU_HIGH = CT_WINDOW_HU


@dataclass(frozen=True)
class Tissue:
    """What a sequence sees of a tissue.

    Attributes:
        t1_ms, t2_ms: relaxation times at 1.5 T.
        protons: proton density, of water.
        adc: apparent diffusion coefficient in 1e-3 mm2/s.
        uptake: how much contrast medium it takes up, of blood.
        moves: share of the signal that flow takes away in a spin echo.
    """

    t1_ms: float
    t2_ms: float
    protons: float
    adc: float
    uptake: float
    moves: float = 0.0


FLUID = Tissue(2800, 800, 1.0, 2.8, 0.02)
_MUSCLE = Tissue(1000, 44, 0.75, 1.5, 0.2)
FAT = Tissue(343, 90, 0.9, 0.1, 0.05)
_MARROW = Tissue(550, 55, 0.6, 0.4, 0.2)
_CORTEX = Tissue(1000, 10, 0.1, 0.3, 0.05)
_BLOOD = Tissue(1441, 250, 0.9, 1.8, 1.0, moves=0.9)
SLOW_BLOOD = Tissue(1441, 250, 0.9, 1.8, 1.0)
LIVER_TISSUE = Tissue(586, 46, 0.8, 1.1, 0.5)

# by BTCV's organ numbers, from 1: spleen, kidneys, gallbladder, oesophagus, liver, stomach, aorta,
# inferior vena cava, portal and splenic veins, pancreas, adrenal glands
ORGAN_TISSUES = (
    Tissue(1057, 79, 0.85, 0.9, 0.6),
    Tissue(1200, 85, 0.9, 2.0, 0.8),
    Tissue(1200, 85, 0.9, 2.0, 0.8),
    Tissue(2200, 400, 1.0, 2.8, 0.02),
    Tissue(950, 50, 0.8, 1.5, 0.3),
    LIVER_TISSUE,
    Tissue(1400, 120, 0.85, 2.0, 0.25),
    _BLOOD,
    _BLOOD,
    _BLOOD,
    Tissue(584, 48, 0.8, 1.4, 0.5),
    Tissue(700, 65, 0.8, 1.3, 0.5),
    Tissue(700, 65, 0.8, 1.3, 0.5),
)


def sequence_contrast(hu: Tensor, smooth_hu: Tensor, organs: Tensor, draw: Draw) -> Tensor:
    """Signal of one random sequence over a labelled CT window, before coil, noise and scaling.

    Args:
        hu: (x, y, z), HU clipped to the network's window.
        smooth_hu: the same, blurred.
        organs: (x, y, z), BTCV's organ numbers, 14 outside the body.
        draw: random numbers.

    Returns:
        float32 (x, y, z); 1 is its 99th percentile.
    """
    sequence = _draw_sequence(draw)
    fat = sequence(FAT) * _suppression(draw)
    muscle, blood = sequence(_MUSCLE), sequence(_BLOOD)
    marrow = 0.5 * sequence(_MARROW) + 0.5 * fat
    dark = draw.uniform(0, 0.03)

    # unlabelled tissue by its HU; between two levels partial volume mixes them
    knots_hu = [HU_LOW, -118, -105, -60, 35, 80, 130, 165, 185, 235, HU_HIGH]
    levels = [dark, dark, fat, fat, muscle, muscle, blood, blood, marrow, marrow]
    levels.append(0.5 * sequence(_CORTEX) + 0.5 * marrow)
    image = _lookup(smooth_hu, knots_hu, levels)
    image = _add_fluids(image, smooth_hu, sequence(FLUID), draw)
    image = _recolour(image, draw)

    means = torch.zeros(N_ORGANS + 1)
    strengths = torch.zeros(N_ORGANS + 1)
    medians = organ_medians(hu, organs)
    for organ, tissue in enumerate(ORGAN_TISSUES, start=1):
        means[organ] = sequence(tissue)
        strengths[organ] = float(draw.rng.normal(0, 0.5))
    means[3] = means[2] * draw.uniform(0.95, 1.05)
    for organ in VESSELS[1:]:  # the veins mostly flow alike
        if draw.chance(0.5):
            means[organ] = means[VESSELS[0]]
    # vessels and lesions of an organ keep their place; their contrast is drawn
    relative = 1 + (strengths[organs] * (hu - medians[organs]) / 100.0).clamp(-0.7, 1.5)
    labelled = (organs > 0) & (organs < OUTSIDE)
    image = torch.where(labelled, means[organs] * relative, image).clamp(0, None)
    slow_blood = sequence(SLOW_BLOOD) * draw.uniform(0.05, 1.0)
    liver_hu = float(medians[LIVER])
    image = recolour_vessels(image, smooth_hu, organs, liver_hu + draw.uniform(8, 22), slow_blood)
    return image / torch.quantile(image.flatten()[::29], 0.99).clamp(min=1e-4)


class PulseSequence:
    """The signal of a tissue under one set of sequence parameters; tissues vary at each call."""

    def __init__(self, kind: str, draw: Draw) -> None:
        self.kind, self.draw = kind, draw
        self.te_ms = draw.uniform(55, 130)
        self.tr_ms = draw.uniform(1500, 9000)
        self.flip = 90.0
        if kind == "t1" and draw.chance(0.6):  # volumetric, then slice by slice
            self.tr_ms, self.flip = draw.uniform(3, 8), draw.uniform(8, 18)
        elif kind == "t1":
            self.tr_ms, self.flip = draw.uniform(80, 200), draw.uniform(55, 85)
        self.b = draw.uniform(0.05, 1.0)  # 1e3 s/mm2
        # relaxivity times concentration, 1/s in blood; none half of the time
        self.contrast_medium = draw.uniform(0.5, 12) if draw.chance(0.5) else 0.0
        self.liver_uptake = draw.uniform(0.2, 1.5)
        self.flow = draw.uniform(0.6, 1.0) if draw.chance(0.75) else 0.0
        self.iron = draw.uniform(0.5, 1.0) if draw.chance(0.25) else 1.0

    def __call__(self, tissue: Tissue) -> float:
        """Signal of a tissue; its relaxation times vary a little at each call."""
        t1 = tissue.t1_ms * float(np.exp(self.draw.rng.normal(0, 0.12)))
        t2 = tissue.t2_ms * float(np.exp(self.draw.rng.normal(0, 0.15)))
        if tissue is LIVER_TISSUE:
            t2 *= self.iron
        still = 1 - tissue.moves * self.flow
        if self.kind == "t2":
            recovered = 1 - np.exp(-self.tr_ms / t1)
            return float(tissue.protons * still * np.exp(-self.te_ms / t2) * recovered)
        if self.kind == "diffusion":
            adc = tissue.adc * self.draw.uniform(0.8, 1.2)
            return float(tissue.protons * still * np.exp(-self.te_ms / t2 - self.b * adc))
        if self.kind == "balanced":
            return tissue.protons / (1 + t1 / t2)
        uptake = self.liver_uptake if tissue is LIVER_TISSUE else tissue.uptake
        rate = 1 / t1 + self.contrast_medium * uptake / 1000
        e1 = np.exp(-self.tr_ms * rate)
        flip = np.deg2rad(self.flip)
        return float(tissue.protons * np.sin(flip) * (1 - e1) / (1 - np.cos(flip) * e1))


def _draw_sequence(draw: Draw) -> PulseSequence:
    kinds, shares = ("t2", "t1", "balanced", "diffusion"), (0.55, 0.25, 0.1, 0.1)
    return PulseSequence(str(draw.rng.choice(kinds, p=shares)), draw)


def organ_medians(hu: Tensor, organs: Tensor) -> Tensor:
    """Median HU of each organ number from about 500 of its voxels; 0 where it has none."""
    medians = torch.zeros(N_ORGANS + 1)
    for organ in range(1, N_ORGANS):
        inside = hu[organs == organ]
        if inside.numel():
            medians[organ] = inside[:: max(1, inside.numel() // 500)].median()
    return medians


def recolour_vessels(
    image: Tensor, smooth_hu: Tensor, organs: Tensor, above_hu: float, level: float
) -> Tensor:
    """Give the vessels in the liver a level of their own: in T2 slow veins outshine the liver.

    Args:
        image: (x, y, z).
        smooth_hu: enhanced vessels stand out of the liver in it.
        organs: BTCV's organ numbers.
        above_hu: what is a vessel in the liver.
        level: of the vessels.
    """
    vessel = torch.sigmoid((smooth_hu - above_hu) / 5) * (organs == LIVER)
    return image + vessel * (level - image)


def _suppression(draw: Draw) -> float:
    """What is left of the fat: most abdominal T2 and T1 series suppress it."""
    if draw.chance(0.65):
        return draw.uniform(0.03, 0.3)
    return draw.uniform(0.6, 1.2)


def _lookup(hu: Tensor, knots_hu: list[float], levels: list[float]) -> Tensor:
    steps = 201
    grey = np.interp(np.linspace(HU_LOW, HU_HIGH, steps), knots_hu, levels).astype(np.float32)
    position = ((hu - HU_LOW) / (HU_HIGH - HU_LOW) * (steps - 1)).round().long()
    return torch.from_numpy(grey)[position.clamp(0, steps - 1)]


def _add_fluids(image: Tensor, smooth_hu: Tensor, fluid: float, draw: Draw) -> Tensor:
    """Bowel content and spinal fluid: water-like HU away from borders, where fat and muscle mix."""
    slope = torch.zeros_like(smooth_hu)  # HU across two voxels: large where fat meets muscle
    for axis in range(3):
        n = smooth_hu.shape[axis] - 2
        across = (smooth_hu.narrow(axis, 2, n) - smooth_hu.narrow(axis, 0, n)).abs()
        inner = slope.narrow(axis, 1, n)
        torch.maximum(inner, across, out=inner)
    wet = (smooth_hu > -15) & (smooth_hu < draw.uniform(20, 35)) & (slope < 60)
    size = (int(image.shape[0]), int(image.shape[1]), int(image.shape[2]))
    # what is in the bowel differs from loop to loop
    loops = (draw.smooth_field(int(draw.rng.integers(5, 10)), size)[0, 0] * 0.8).sigmoid()
    return torch.where(wet, fluid * (draw.uniform(0, 0.5) + loops), image)


def _recolour(image: Tensor, draw: Draw) -> Tensor:
    """Unlabelled neighbours of one HU differ in MR: regions made brighter or darker one by one."""
    if draw.chance(0.25):
        return image
    size = (int(image.shape[0]), int(image.shape[1]), int(image.shape[2]))
    field = draw.smooth_field(int(draw.rng.integers(4, 11)), size)[0, 0]
    region = (field * draw.uniform(1, 2.5)).round().clamp(-3, 3).long() + 3
    factors = np.exp(draw.rng.normal(0, draw.uniform(0.1, 0.6), 7)).astype(np.float32)
    return image * torch.from_numpy(factors)[region]
