"""Grey values for bent windows: the CT's own, another phase, an MR sequence, or free ones.

In the manner of SynthSeg (Billot et al., Medical Image Analysis 2023): a level for each organ and
for clusters of the unlabelled tissue, with the CT's own texture at a random sign and strength.
Images are 0 to about 1 as at inference.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .draw import Draw
from .geometry import HU_HIGH, HU_LOW, Body
from .organs import (
    GALLBLADDER,
    KIDNEYS,
    LIVER,
    N_ORGANS,
    OUTSIDE,
    SPLEEN,
    VESSELS,
)
from .sequences import (
    BLOOD,
    CORTEX,
    FAT,
    FLUID,
    MARROW,
    MUSCLE,
    ORGAN_TISSUES,
    SLOW_BLOOD,
    draw_sequence,
)

# HU of spleen, kidneys, gallbladder, oesophagus, liver, stomach, aorta, inferior vena cava, portal
# vein, pancreas and adrenal glands
CT_PHASES: dict[str, tuple[int, ...]] = {
    "plain": (48, 32, 32, 10, 38, 55, 30, 40, 40, 40, 40, 30, 30),
    "arterial": (120, 170, 160, 10, 60, 65, 60, 300, 90, 110, 100, 70, 70),
    "portal": (120, 180, 180, 10, 70, 110, 60, 160, 150, 170, 95, 70, 70),
    "late": (95, 160, 160, 12, 65, 95, 55, 115, 115, 118, 80, 60, 60),
}

_LEVELS = 256  # of a lookup table over the CT window
_TABLE_HU = np.linspace(HU_LOW, HU_HIGH, _LEVELS)
# where unlabelled tissue changes: air, fat, muscle, blood, marrow, cortical bone
_TISSUE_HU = (HU_LOW, -118, -105, -60, 35, 80, 130, 165, 185, 235, HU_HIGH)


def own_contrast(body: Body, draw: Draw) -> Tensor:
    """The CT's own grey values, jittered in level and width, with the drift of some exports."""
    n = len(body)
    image = (body.hu - HU_LOW) / (HU_HIGH - HU_LOW)
    strength = draw.uniforms(0, 0.05, n) * draw.chances(0.4, n)
    image = image + draw.drift(strength, 6, body.size) * (image > 0.02)
    on = draw.chances(0.6, n)
    width = draw.column(np.where(on, draw.uniforms(0.8, 1.25, n), 1))
    level = draw.column(np.where(on, draw.uniforms(-0.08, 0.08, n), 0))
    image = (image - 0.5) * width + 0.5 + level
    gamma = draw.column(np.where(draw.chances(0.3, n), draw.uniforms(0.7, 1.4, n), 1))
    return image.clamp(0, 1) ** gamma


def phase_contrast(body: Body, draw: Draw) -> Tensor:
    """The CT in another phase: organ levels drawn, their texture kept; other tissue as it is."""
    n, rng = len(body), draw.rng
    levels, texture = np.zeros((n, N_ORGANS + 1)), np.zeros((n, N_ORGANS + 1))
    for b in range(n):
        phase = str(rng.choice(list(CT_PHASES)))
        hu = np.array(CT_PHASES[phase], float)
        hu += rng.normal(0, 12, len(hu)) * (hu > 50) + rng.normal(0, 6, len(hu))
        if draw.chance(0.25):  # fat in the liver
            hu[LIVER - 1] -= draw.uniform(10, 60)
        levels[b, 1:N_ORGANS] = hu
        texture[b] = draw.uniform(0.3, 1.2)
        if phase == "plain":  # little of the enhancement's texture is left
            texture[b] = draw.uniform(0.3, 1.2) * rng.choice([0.3, 0.6, -0.3])
    medians = body.by_organ(draw.tensor(body.medians_hu))
    own = body.by_organ(draw.tensor(levels)) + body.by_organ(draw.tensor(texture)) * (
        body.hu - medians
    )
    rest = body.hu + draw.column(rng.normal(0, 8, n)) * (body.hu > -20)
    return (torch.where(_labelled(body), own, rest) - HU_LOW) / (HU_HIGH - HU_LOW)


def sequence_contrast(body: Body, draw: Draw) -> Tensor:
    """Signal of a random MR sequence each; 1 is a window's 99th percentile."""
    n = len(body)
    table = np.zeros((n, _LEVELS))
    levels, texture = np.zeros((n, N_ORGANS + 1)), draw.rng.normal(0, 0.5, (n, N_ORGANS + 1))
    fluid, vessels, cancels = np.zeros(n), np.zeros(n), np.zeros(n)
    for b in range(n):
        signal = draw_sequence(draw)
        fat, muscle, blood = signal(FAT) * signal.fat_left, signal(MUSCLE), signal(BLOOD)
        marrow, dark = 0.5 * signal(MARROW) + 0.5 * fat, draw.uniform(0, 0.03)
        bone = 0.5 * signal(CORTEX) + 0.5 * marrow
        # between two levels partial volume mixes them
        knots = [dark, dark, fat, fat, muscle, muscle, blood, blood, marrow, marrow, bone]
        table[b] = np.interp(_TABLE_HU, _TISSUE_HU, knots)
        levels[b, 1:N_ORGANS] = [signal(tissue) for tissue in ORGAN_TISSUES]
        levels[b, KIDNEYS[1]] = levels[b, KIDNEYS[0]] * draw.uniform(0.95, 1.05)
        for vein in VESSELS[1:]:  # the veins usually flow alike
            if draw.chance(0.5):
                levels[b, vein] = levels[b, VESSELS[0]]
        fluid[b], cancels[b] = signal(FLUID), signal.cancels
        vessels[b] = signal(SLOW_BLOOD) * draw.uniform(0.05, 1.0)
    image = _add_fluids(_look_up(body, table, draw), body, fluid, draw)
    image = _recolour(image, body, draw, 0.1, 0.6)
    medians = body.by_organ(draw.tensor(body.medians_hu))
    strength = body.by_organ(draw.tensor(texture))
    relative = 1 + (strength * (body.hu - medians) / 100).clamp(-0.7, 1.5)
    own = body.by_organ(draw.tensor(levels)) * relative
    image = torch.where(_labelled(body), own, image).clamp(min=0)
    image = _recolour_vessels(image, body, draw, vessels)
    # fat and water cancel where they share a voxel: dark outlines between fat and organs
    edge = torch.exp(-(((body.smooth_hu + 40) / 25) ** 2)) * (body.organs != OUTSIDE)
    image = image * (1 - draw.column(cancels) * edge)
    image = image / quantile(image, 0.99).clamp(min=1e-4)
    grain = draw.column(draw.uniforms(-0.0008, 0.0008, n))
    return image + grain * (body.hu - body.smooth_hu)


def free_contrast(body: Body, draw: Draw) -> Tensor:
    """A grey level drawn for each organ and for clusters of the unlabelled tissue."""
    n = len(body)
    table = np.stack([_tissue_table(draw) for _ in range(n)])
    levels = np.stack([_organ_levels(draw) for _ in range(n)])
    texture = draw.rng.normal(0, 0.12, (n, N_ORGANS + 1))
    image = _recolour(_look_up(body, table, draw), body, draw, 0.1, 0.5)
    grain = draw.column(draw.uniforms(-0.0016, 0.0016, n))
    image = image + grain * (body.hu - body.smooth_hu)
    medians = body.by_organ(draw.tensor(body.medians_hu))
    own = (
        body.by_organ(draw.tensor(levels))
        + body.by_organ(draw.tensor(texture)) * (body.hu - medians) / 100
    )
    image = torch.where(_labelled(body), own, image)
    return _recolour_vessels(image, body, draw, draw.uniforms(0, 1.2, n), share=0.5)


def quantile(image: Tensor, share: float) -> Tensor:
    """Each window's quantile from a sixtieth of its voxels, (n, 1, 1, 1, 1)."""
    some = image.flatten(1)[:, ::61]
    return torch.quantile(some, share, dim=1).reshape(-1, 1, 1, 1, 1)


def _labelled(body: Body) -> Tensor:
    return (body.organs > 0) & (body.organs < OUTSIDE)


def _look_up(body: Body, table: NDArray[np.float64], draw: Draw) -> Tensor:
    """Unlabelled tissue's grey by its HU."""
    place = (body.smooth_hu - HU_LOW) * ((_LEVELS - 1) / (HU_HIGH - HU_LOW))
    place = place.round().long().clamp(0, _LEVELS - 1)
    return draw.tensor(table).gather(1, place.flatten(1)).view(place.shape)


def _recolour(image: Tensor, body: Body, draw: Draw, low: float, high: float) -> Tensor:
    """Unlabelled neighbours of one HU differ in MR: regions made brighter or darker one by one."""
    n = len(body)
    field = draw.field(n, int(draw.rng.integers(4, 11)), body.size)
    field = field * draw.column(draw.uniforms(1, 2.5, n))
    region = field.round().clamp(-3, 3).long() + 3
    strength = draw.uniforms(low, high, n) * draw.chances(0.75, n)
    factors = np.exp(draw.rng.normal(0, 1, (n, 7)) * strength[:, None])
    return image * draw.tensor(factors).gather(1, region.flatten(1)).view(image.shape)


def _recolour_vessels(
    image: Tensor, body: Body, draw: Draw, level: NDArray[np.float64], share: float = 1.0
) -> Tensor:
    """Give the liver's vessels, which stand out on enhanced CT, a level of their own."""
    n = len(body)
    above = draw.column(body.medians_hu[:, LIVER] + draw.uniforms(8, 22, n))
    vessel = torch.sigmoid((body.smooth_hu - above) / 5) * body.liver
    vessel = vessel * draw.column(draw.chances(share, n))
    return image + vessel * (draw.column(level) - image)


def _add_fluids(image: Tensor, body: Body, fluid: NDArray[np.float64], draw: Draw) -> Tensor:
    """Bowel content and spinal fluid: water-like HU away from borders, where fat and muscle mix."""
    n, hu = len(body), body.smooth_hu
    steepest = torch.zeros_like(hu)  # HU across two voxels
    for axis in (2, 3, 4):
        inner = hu.shape[axis] - 2
        across = (hu.narrow(axis, 2, inner) - hu.narrow(axis, 0, inner)).abs()
        here = steepest.narrow(axis, 1, inner)
        torch.maximum(here, across, out=here)
    wet = (hu > -15) & (hu < draw.column(draw.uniforms(20, 35, n))) & (steepest < 60)
    # what is in the bowel differs from loop to loop
    loops = (draw.field(n, int(draw.rng.integers(5, 10)), body.size) * 0.8).sigmoid()
    level = draw.column(fluid) * (draw.column(draw.uniforms(0, 0.5, n)) + loops)
    return torch.where(wet, level, image)


def _tissue_table(draw: Draw) -> NDArray[np.float64]:
    """Grey against HU for unlabelled tissue: steps (clusters), a curve, or their mixture."""
    place = np.linspace(0, 1, _LEVELS)
    n = int(draw.rng.integers(4, 9))
    cuts = np.sort(draw.rng.uniform(0, 1, n - 1))
    steps = draw.rng.uniform(0, 1, n)[np.searchsorted(cuts, place)]
    curve = np.interp(place, [0.0, *cuts, 1.0], draw.rng.uniform(0, 1, n + 1))
    mix = draw.uniform(0, 1)
    table = mix * steps + (1 - mix) * curve
    if draw.chance(0.75):
        table[:8] = draw.uniform(0, 0.12)  # air inside the body is dark in CT and MR alike
    if draw.chance(0.3):
        table[13:63] *= draw.uniform(0.1, 0.5)  # fat suppressed
    smooth: NDArray[np.float64] = np.convolve(
        np.pad(table, 6, mode="edge"), np.ones(13) / 13, mode="valid"
    )
    return smooth


def _organ_levels(draw: Draw) -> NDArray[np.float64]:
    """A level for each organ number."""
    levels = draw.rng.uniform(0.05, 1, N_ORGANS + 1)
    kind = draw.rng.random()
    if kind < 0.35:  # as T2: dark liver, bright spleen, kidneys and fluid, vessels often void
        levels[LIVER] = draw.uniform(0.1, 0.5)
        levels[SPLEEN] = levels[LIVER] * draw.uniform(0.9, 2.8)
        levels[KIDNEYS[0]] = levels[SPLEEN] * draw.uniform(0.8, 1.4)
        levels[GALLBLADDER] = draw.uniform(0.6, 1.3)
        for vessel in VESSELS:
            levels[vessel] = draw.uniform(0, 0.3) if draw.chance(0.6) else draw.uniform(0.3, 1)
    elif kind < 0.55:  # as T1: liver above the spleen
        levels[LIVER] = draw.uniform(0.4, 0.9)
        levels[SPLEEN] = levels[LIVER] * draw.uniform(0.4, 0.9)
        levels[GALLBLADDER] = draw.uniform(0, 0.9)
    if draw.chance(0.8):
        levels[KIDNEYS[1]] = levels[KIDNEYS[0]] + draw.uniform(-0.05, 0.05)
    return levels
