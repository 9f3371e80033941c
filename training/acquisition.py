"""What a scanner does to a picture: coil, slices, blur, noise, scaling, a field of view."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .contrasts import quantile
from .draw import Draw
from .geometry import Body
from .organs import OUTSIDE

_THINNEST = 1.3  # voxels of a slice that is drawn


def acquire(
    image: Tensor,
    body: Body,
    draw: Draw,
    spacing_mm: float,
    *,
    is_ct: NDArray[np.bool_],
    drawn: NDArray[np.bool_],
) -> Tensor:
    """Make ideal pictures what scanners give.

    Args:
        image: (n, 1, x, y, z), grey without any fault.
        body: what it shows.
        draw: random numbers.
        spacing_mm: voxel size.
        is_ct: which windows have a CT's contrast; the others are scaled as MR is.
        drawn: which windows have synthesised contrast: air and grain are drawn there too.

    Returns:
        float32 of the image's shape, -0.1 to 1.1.
    """
    n, mr = len(body), ~is_ct
    air = draw.column(
        np.where(draw.chances(0.8, n), draw.uniforms(0, 0.06, n), draw.uniforms(0, 0.5, n))
    )
    empty = (body.organs == OUTSIDE) & (draw.column(drawn) > 0)
    image = torch.where(empty, air.expand_as(image), image)
    grain = draw.column(draw.uniforms(0, 0.09, n) * drawn)
    image = image + grain * blur(draw.normal(*image.shape), np.ones((n, 3)))
    sharp = draw.chances(0.5, n)[:, None]
    widths = draw.rng.uniform(0.2, 1.0, (n, 3)) * (3 / spacing_mm) ** 0.5
    image = blur(image, np.where(sharp, 0.05, widths))
    image = _coil(image, body, draw, mr)
    image = thick_slices(image, draw, draw.chances(0.3, n) & is_ct, 2.5 * 3 / spacing_mm)
    image = thick_slices(image, draw, draw.chances(0.5, n) & mr, 3.3 * 3 / spacing_mm)
    image = _noise(image, draw, is_ct)
    gamma = draw.column(np.where(draw.chances(0.4, n) & mr, draw.uniforms(0.6, 1.6, n), 1))
    image = torch.where(image > 0, image.clamp(min=1e-6) ** gamma, image)
    return torch.where(draw.column(is_ct) > 0, image, scale_as_mr(image, draw)).clamp(-0.1, 1.1)


def blur(image: Tensor, widths: NDArray[np.float64]) -> Tensor:
    """Gaussian blur, each window's own width in voxels along each axis; widths (n, 3)."""
    n = len(image)
    offsets = torch.arange(-2, 3, device=image.device, dtype=torch.float32)
    for axis in range(3):
        width = torch.as_tensor(widths[:, axis], dtype=torch.float32, device=image.device)
        kernel = torch.exp(-0.5 * (offsets[None] / width[:, None].clamp(min=0.05)) ** 2)
        kernel = kernel / kernel.sum(1, keepdim=True)
        shape, padding = [n, 1, 1, 1, 1], [0] * 6
        shape[2 + axis] = 5
        padding[2 * (2 - axis)] = padding[2 * (2 - axis) + 1] = 2
        # the windows as channels, each with a kernel of its own
        padded = functional.pad(image, padding, mode="replicate").transpose(0, 1)
        image = functional.conv3d(padded, kernel.reshape(shape), groups=n).transpose(0, 1)
    return image


def thick_slices(image: Tensor, draw: Draw, on: NDArray[np.bool_], most_voxels: float) -> Tensor:
    """Slices as thick as several voxels, with or without gaps, then interpolated back.

    Args:
        image: (n, 1, x, y, z).
        draw: random numbers; one axis and thickness for the whole batch.
        on: in which windows.
        most_voxels: the thickest slice.
    """
    if not on.any() or most_voxels <= _THINNEST:
        return image
    axis = int(draw.rng.choice([2, 3, 4], p=[0.08, 0.17, 0.75]))
    size = [int(s) for s in image.shape[2:]]
    n = max(8, round(size[axis - 2] / draw.uniform(_THINNEST, most_voxels)))
    at = torch.as_tensor(np.flatnonzero(on), device=image.device)
    coarse = list(size)
    if draw.chance(0.5):
        coarse[axis - 2] = n
        slices = functional.interpolate(image[at], size=coarse, mode="area")
    else:  # thinner than the distance between slices, with soft edges
        coarse[axis - 2] = 3 * n
        mode = "area" if 3 * n <= size[axis - 2] else "trilinear"
        thirds = functional.interpolate(image[at], size=coarse, mode=mode).unflatten(axis, (n, 3))
        outer = draw.uniform(0, 0.8)
        first, middle, last = (thirds.select(axis + 1, third) for third in range(3))
        slices = (middle + outer * (first + last)) / (1 + 2 * outer)
    back = functional.interpolate(slices, size=size, mode="trilinear", align_corners=False)
    out = image.clone()
    out[at] = back
    return out


def scale_as_mr(image: Tensor, draw: Draw) -> Tensor:
    """Scale as inference does (0.5th to 99.5th percentile of the scan), with a jitter.

    The jitter covers that a window's percentiles are not the whole scan's.
    """
    n = len(image)
    some = image.flatten(1)[:, ::61]
    tissue = torch.where(some > 0.2 * some.mean(1, keepdim=True), some, torch.nan)
    high = torch.nanquantile(tissue, 0.995, dim=1).nan_to_num(1.0).reshape(-1, 1, 1, 1, 1)
    low = quantile(image, 0.005)
    scaled = (image - low) / (high - low).clamp(min=1e-3)
    return scaled * draw.column(draw.uniforms(0.7, 1.25, n)) + draw.column(
        draw.uniforms(-0.05, 0.05, n)
    )


def end_of_view(image: Tensor, target: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    """Blank a slab or two at the faces of some windows, as a partial field of view does."""
    image, target = image.clone(), target.clone()
    for b in np.flatnonzero(draw.chances(0.12, len(image))):
        for _ in range(int(draw.rng.integers(1, 3))):
            axis = int(draw.rng.integers(0, 3))
            size = int(image.shape[2 + axis])
            n = int(draw.uniform(0.05, 0.35) * size)
            start = 0 if draw.chance(0.5) else size - n
            image[b, 0].narrow(axis, start, n).fill_(0.0)
            target[b, 0].narrow(axis, start, n).fill_(0)
    return image, target


def _coil(image: Tensor, body: Body, draw: Draw, on: NDArray[np.bool_]) -> Tensor:
    """Brighter near the surface, darker in the middle; the first and last slices outside it."""
    n = len(body)
    strength = np.where(draw.chances(0.6, n), draw.uniforms(0.05, 0.5, n), 0) * on
    image = image * torch.exp(draw.column(strength) * draw.field(n, 3, body.size))
    strength = draw.uniforms(0.05, 0.35, n) * draw.chances(0.3, n) * on
    return image * torch.exp(draw.drift(strength, int(draw.rng.integers(4, 12)), body.size))


def _noise(image: Tensor, draw: Draw, is_ct: NDArray[np.bool_]) -> Tensor:
    """Gaussian; Rician on half of the MR, for magnitudes never go below zero."""
    n = len(image)
    strength = np.where(
        is_ct, draw.uniforms(0, 0.07, n) * draw.chances(0.5, n), draw.uniforms(0, 0.06, n)
    )
    level = draw.column(strength)
    noisy = image + level * draw.normal(*image.shape)
    magnitude = draw.column(~is_ct & draw.chances(0.5, n)) > 0
    rician = torch.hypot(noisy, level * draw.normal(*image.shape))
    return torch.where(magnitude, rician, noisy).clamp(-0.1, 4)
