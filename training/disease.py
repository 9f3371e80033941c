"""What patients have and labelled CTs rarely show, drawn into windows.

Small nodular livers, tumours and cysts, ascites, and neighbours at the liver's own level.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .draw import Draw
from .geometry import Body
from .organs import GALLBLADDER, LIVER, SPLEEN, STOMACH

_LEAST_LIVER_VOXELS = 500  # below it a window shows too little liver to imitate


def shrink_livers(body: Body, draw: Draw, spacing_mm: float, share: float = 0.15) -> Body:
    """Small, nodular livers in fluid, as in cirrhosis: up to 9 mm of their rim become ascites."""
    n = len(body)
    on = draw.chances(share, n)
    if not on.any():
        return body
    at = torch.as_tensor(np.flatnonzero(on), device=body.hu.device)
    liver = body.liver[at].float()
    depth, core = liver.clone(), liver
    deepest = max(2, round(9 / spacing_mm))
    for _ in range(deepest):
        core = -dilate(-core, 1)
        depth += core
    # slow waves thin one side more than the other, quick ones make nodules
    count = int(on.sum())
    reach = (
        draw.column(draw.uniforms(0, 2, count))
        + draw.field(count, 4, body.size)
        + 0.8 * draw.field(count, 20, body.size)
    ) * (3.0 / spacing_mm)
    rim = (liver > 0) & (depth <= reach.clamp(max=deepest))
    fluid = draw.column(draw.uniforms(-5, 25, count)).expand_as(liver)
    hu, smooth_hu, organs = body.hu.clone(), body.smooth_hu.clone(), body.organs.clone()
    noise = 12 * draw.normal(*liver.shape)
    hu[at] = torch.where(rim, fluid + noise, hu[at])
    smooth_hu[at] = torch.where(rim, fluid, smooth_hu[at])
    # the gallbladder's number, for its signal is that of fluid
    organs[at] = torch.where(rim, torch.full_like(organs[at], GALLBLADDER), organs[at])
    return replace(body, hu=hu, smooth_hu=smooth_hu, organs=organs)


def disguise_neighbours(
    image: Tensor, body: Body, draw: Draw, spacing_mm: float, on: NDArray[np.bool_]
) -> Tensor:
    """Bowel, omentum, stomach, heart and muscle near some livers take the liver's level.

    Then only place, shape and vessels tell them apart, as on many MR.

    Args:
        image: (n, 1, x, y, z).
        body: what it shows.
        draw: random numbers.
        spacing_mm: voxel size.
        on: in which windows.
    """
    voxels = body.liver.flatten(1).sum(1)
    on = on & (voxels.cpu().numpy() > _LEAST_LIVER_VOXELS)
    if not on.any():
        return image
    at = torch.as_tensor(np.flatnonzero(on), device=image.device)
    count, liver = len(at), body.liver[at].float()
    level = (image[at] * liver).flatten(1).sum(1) / voxels[at]
    some = draw.field(count, int(draw.rng.integers(4, 9)), body.size)
    some = some > draw.column(draw.uniforms(-0.6, 0.8, count))
    above_hu = draw.column(np.where(draw.chances(0.5, count), -122, -40))  # with the fat or without
    organs = body.organs[at]
    near = _near(liver, round(27 / spacing_mm))
    chosen = ((organs == 0) | (organs == STOMACH)) & near & some & (body.smooth_hu[at] > above_hu)
    weight = draw.column(draw.uniforms(0.5, 1, count))
    shade = draw.column(draw.uniforms(0.85, 1.15, count)) * (
        1 + 0.12 * draw.field(count, 20, body.size)
    )
    disguised = image[at] + weight * (level.reshape(-1, 1, 1, 1, 1) * shade - image[at])
    out = image.clone()
    out[at] = torch.where(chosen, disguised, image[at])
    return out


def add_lesions(image: Tensor, body: Body, draw: Draw, spacing_mm: float) -> Tensor:
    """Tumours, cysts and nodular texture inside some livers, up to 7 cm across; the label stays."""
    n, liver = len(body), body.liver
    axes = [torch.arange(size, device=image.device) * spacing_mm for size in body.size]
    image = image.clone()
    for b in np.flatnonzero(draw.chances(0.3, n)):
        wobble = 0.35 * draw.field(1, 14, body.size)[0, 0]
        for _ in range(int(draw.rng.integers(1, 6))):
            radius_mm = float(np.exp(draw.uniform(np.log(4), np.log(35))))
            radii = radius_mm * np.exp(draw.rng.normal(0, 0.2, 3))
            x, y, z = (
                ((axis - draw.uniform(0.15, 0.85) * len(axis) * spacing_mm) / float(radius)) ** 2
                for axis, radius in zip(axes, radii, strict=True)
            )
            distance = (x[:, None, None] + y[None, :, None] + z[None, None, :]).sqrt()
            inside = torch.sigmoid((1 + wobble - distance) * draw.uniform(4, 15)) * liver[b, 0]
            level = draw.uniform(0, 1) - image[b, 0]
            image[b, 0] += inside * draw.uniform(0.5, 1) * level
    strength = draw.column(draw.uniforms(0, 0.25, n) * draw.chances(0.3, n))
    nodules = strength * draw.field(n, int(draw.rng.integers(20, 34)), body.size)
    return torch.where(liver, image * (1 + nodules), image)


def add_ascites(
    image: Tensor, body: Body, draw: Draw, spacing_mm: float, share: float = 0.2
) -> Tensor:
    """Fill the fat around some livers and spleens with one fluid level, up to 15 mm away."""
    on = draw.chances(share, len(body))
    if not on.any():
        return image
    at = torch.as_tensor(np.flatnonzero(on), device=image.device)
    organs, hu = body.organs[at], body.smooth_hu[at]
    core = ((organs == LIVER) | (organs == SPLEEN)).float()
    reach = int(draw.rng.integers(1, max(2, int(15 / spacing_mm))))
    fat = (dilate(core, reach) > 0) & (hu > -122) & (hu < -15) & (organs == 0)
    level = draw.column(draw.uniforms(0, 1, len(at)))
    out = image.clone()
    out[at] = torch.where(fat, level.expand_as(fat), image[at])
    return out


def dilate(mask: Tensor, reach: int) -> Tensor:
    """Largest value within a box of ``reach`` voxels, one axis at a time: the same, but quicker."""
    for axis in range(3):
        size, padding = [1, 1, 1], [0, 0, 0]
        size[axis], padding[axis] = 2 * reach + 1, reach
        mask = functional.max_pool3d(mask, size, stride=1, padding=padding)
    return mask


def _near(mask: Tensor, reach: int) -> Tensor:
    """Bool: roughly within ``reach`` voxels of a mask; found on half the grid, for speed."""
    coarse = dilate(functional.max_pool3d(mask, 2, ceil_mode=True), max(1, reach // 2))
    x, y, z = mask.shape[2:]
    for axis in (2, 3, 4):
        coarse = coarse.repeat_interleave(2, dim=axis)
    return coarse[:, :, :x, :y, :z] > 0
