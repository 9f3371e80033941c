"""Resample a scan to the network's grid (3 mm voxels along R, A, S), and the result back.

Pure: arrays and affines in, arrays and affines out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from nibabel.affines import voxel_sizes
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

CT_WINDOW_HU = (-125.0, 275.0)
"""CT is clipped to this window; the training scans have no more."""

FAT_HU = -50.0
"""Below it a voxel is fat or lung, and no liver."""

_SLAB_VOXELS = 8_000_000  # at a time
_OBLIQUE_VOXELS, _LONGEST_VOXELS = 0.02, 1000  # a drift over a scan that is no obliquity
_ANTIALIAS_MM = 2.0  # finer voxels are averaged up to about this size before they are sampled


@dataclass(frozen=True)
class NetworkGrid:
    """A scan on the network's grid."""

    image: Tensor
    """float32 (x, y, z), grey about 0 to 1; axes along R, A, S."""

    affine: NDArray[np.float64]
    """4 x 4, grid indices to patient millimetres."""

    spacing_mm: float
    """Voxel size, the same along each axis."""

    levels: tuple[float, float] = CT_WINDOW_HU
    """HU, or an MR's signal, that are 0 and 1 in ``image``."""

    def fat(self) -> NDArray[np.bool_]:
        """Where a CT shows fat, lung or air, (x, y, z); nothing is known of an MR's."""
        low, high = CT_WINDOW_HU
        return np.asarray(self.image.numpy() < (FAT_HU - low) / (high - low))


def to_network_grid(
    array: NDArray[Any], affine: NDArray[np.float64], *, is_ct: bool, spacing_mm: float
) -> NetworkGrid:
    """Bring a scan to the network's grid, axis-aligned with the patient whatever the scan's axes.

    Args:
        array: (i, j, k), HU for CT, signal for MR.
        affine: 4 x 4, indices to patient millimetres (RAS+).
        is_ct: CT is cut to :data:`CT_WINDOW_HU`; MR is scaled by its own percentiles.
        spacing_mm: voxel size of the grid.
    """
    volume, affine_fine = _average_down(array, affine, limits=CT_WINDOW_HU if is_ct else None)

    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in array.shape])).reshape(3, -1)
    corners_mm = affine[:3, :3] @ corners + affine[:3, 3:]
    lowest, highest = corners_mm.min(axis=1), corners_mm.max(axis=1)
    size = np.maximum(np.ceil((highest - lowest) / spacing_mm).astype(int), 1)
    grid_affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    grid_affine[:3, 3] = (lowest + highest) / 2 - spacing_mm * (size - 1) / 2

    outside = CT_WINDOW_HU[0] if is_ct else float(volume.min())
    shape = (int(size[0]), int(size[1]), int(size[2]))
    sampled = sample(volume, np.linalg.inv(affine_fine) @ grid_affine, shape=shape, outside=outside)
    levels = CT_WINDOW_HU if is_ct else mr_levels(sampled)
    image = (sampled - levels[0]) / (levels[1] - levels[0])
    if not is_ct:
        image.clamp_(-0.1, 1.1)
    return NetworkGrid(image, grid_affine, spacing_mm, levels)


def grey_around(
    array: NDArray[Any],
    affine: NDArray[np.float64],
    box_affine: NDArray[np.float64],
    box_shape: tuple[int, ...],
    levels: tuple[float, float],
) -> tuple[Tensor, NDArray[np.float64]]:
    """The part of a scan around a box, on the scan's own axes, fine voxels averaged to about 2 mm.

    Args:
        array: (i, j, k), HU or MR signal.
        affine: 4 x 4, indices to patient millimetres (RAS+).
        box_affine: likewise of the box.
        box_shape: of the box.
        levels: as of :class:`NetworkGrid`; what lies beyond them is cut off.

    Returns:
        float32, the levels as 0 and 1, and its affine. One voxel beyond the scan repeats the
        scan's last.
    """
    low, high = levels
    to_index = np.linalg.inv(affine) @ box_affine
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in box_shape])).reshape(3, -1)
    ends = to_index[:3, :3] @ ends + to_index[:3, 3:]
    blocks = _blocks(affine, array.shape)
    inside, start = [], []
    for axis, (block, n) in enumerate(zip(blocks, array.shape, strict=True)):
        first = max(int(np.floor(ends[axis].min() / block)), -1)
        last = min(int(np.ceil(ends[axis].max() / block)), -(-n // block))
        inside.append(np.arange(first * block, (last + 1) * block).clip(0, n - 1))
        start.append(first * block)
    part_affine = affine.copy()
    part_affine[:3, 3] += affine[:3, :3] @ np.array(start)
    part, part_affine = _average_down(array[np.ix_(*inside)], part_affine, limits=levels)
    return (part.contiguous() - low) / (high - low), part_affine


def mr_levels(image: Tensor) -> tuple[float, float]:
    """The signal of an MR that is 0 and 1: its 0.5th percentile, and the 99.5th of the tissue."""
    flat = image.flatten()
    flat = flat[:: max(1, flat.numel() // 1_000_000)]
    inside = flat[tissue(flat)]
    # NumPy partitions where torch sorts: six times as quick
    high = float(np.quantile((inside if inside.numel() > 100 else flat).numpy(), 0.995))
    low = float(np.quantile(flat.numpy(), 0.005))
    return low, max(high, low + 1e-6)


def tissue(image: Tensor) -> Tensor:
    """Where an MR shows tissue: what lies above a fifth of the mean signal, as in training."""
    return image > image.mean() * 0.2


def sample(
    volume: Tensor,
    to_source: NDArray[np.floating[Any]],
    *,
    shape: tuple[int, int, int],
    outside: float,
) -> Tensor:
    """Interpolate a volume linearly on another grid.

    Args:
        volume: float32 (i, j, k).
        to_source: 4 x 4, target indices to source indices.
        shape: the target's shape.
        outside: value beyond the source.

    Returns:
        float32 of the target's shape.
    """
    axes = _source_axes(to_source)
    if axes is not None:
        return _sample_along_axes(volume, to_source, axes, shape=shape, outside=outside)
    source = torch.tensor(volume.shape, dtype=torch.float32)
    scale = 2.0 / (source - 1).clamp(min=1)
    matrix = torch.from_numpy(to_source[:3, :3].T.copy()).float() * scale
    start = torch.from_numpy(to_source[:3, 3].copy()).float() * scale - 1.0
    out = torch.empty(shape)
    y = torch.arange(shape[1], dtype=torch.float32)[:, None, None] * matrix[1]
    z = torch.arange(shape[2], dtype=torch.float32)[None, :, None] * matrix[2]
    plane = y + z + start
    shifted = (volume - outside)[None, None]  # zero padding then stands for "outside"
    step = max(1, 2_000_000 // max(1, shape[1] * shape[2]))  # bounds the memory of the grid
    for first in range(0, shape[0], step):
        x = torch.arange(first, min(first + step, shape[0]), dtype=torch.float32)
        grid = (x[:, None, None, None] * matrix[0] + plane).flip(-1)[None]
        out[first : first + len(x)] = functional.grid_sample(
            shifted, grid, mode="bilinear", align_corners=True
        )[0, 0]
    return out + outside


def _source_axes(to_source: NDArray[np.floating[Any]]) -> list[int] | None:
    """The source axis that each target axis runs along; None if they are oblique."""
    matrix = np.abs(to_source[:3, :3])
    axes = [int(axis) for axis in matrix.argmax(axis=0)]
    rest = matrix.copy()
    rest[axes, range(3)] = 0.0
    if sorted(axes) != [0, 1, 2] or rest.max() * _LONGEST_VOXELS > _OBLIQUE_VOXELS:
        return None
    return axes


def _sample_along_axes(
    volume: Tensor,
    to_source: NDArray[np.floating[Any]],
    axes: list[int],
    *,
    shape: tuple[int, int, int],
    outside: float,
) -> Tensor:
    """As :func:`sample`, one axis after the other: several times as quick, and the same values."""
    out = volume.permute(*axes)
    # first the axes along which most voxels go, so that little is left for the others
    for target in sorted(range(3), key=lambda t: shape[t] / out.shape[t]):
        n, source = out.shape[target], axes[target]
        place = to_source[source, target] * np.arange(shape[target]) + to_source[source, 3]
        low = np.floor(place)
        share = torch.from_numpy((place - low).astype(np.float32))
        weights = []
        for index, weight in ((low, 1 - share), (low + 1, share)):
            inside = torch.from_numpy((index >= 0) & (index < n))
            weights.append((torch.from_numpy(index.clip(0, n - 1)).long(), weight * inside))
        along = [-1 if axis == target else 1 for axis in range(3)]
        (first, near), (second, far) = weights
        beyond = ((1 - near - far) * outside).reshape(along)
        mixed = out.index_select(target, first).mul_(near.reshape(along))
        mixed.addcmul_(out.index_select(target, second), far.reshape(along))
        out = mixed.add_(beyond)
    return out.contiguous()


def _blocks(affine: NDArray[np.float64], shape: tuple[int, ...]) -> list[int]:
    """How many voxels along each axis are averaged into one of about 2 mm."""
    spacing = voxel_sizes(affine)
    return [
        int(np.clip(np.floor(_ANTIALIAS_MM / s + 0.05), 1, n))
        for s, n in zip(spacing, shape, strict=True)
    ]


def _average_down(
    array: NDArray[Any], affine: NDArray[np.float64], *, limits: tuple[float, float] | None
) -> tuple[Tensor, NDArray[np.float64]]:
    """Clip, and average whole blocks of voxels finer than about 2 mm.

    Sampling alone would keep the noise. Slab by slab in the order of the memory, so that neither a
    float32 copy of a large scan nor a jump through it is needed.

    Returns:
        float32, and its affine.
    """
    factors = _blocks(affine, array.shape)
    order = sorted(range(3), key=lambda axis: -abs(array.strides[axis]))
    ordered, blocks = array.transpose(order), [factors[axis] for axis in order]
    shape = [n // block for n, block in zip(ordered.shape, blocks, strict=True)]
    out = torch.empty(shape)
    step = max(1, _SLAB_VOXELS // (blocks[0] * ordered.shape[1] * ordered.shape[2]))
    for first in range(0, shape[0], step):
        last = min(first + step, shape[0])
        slab = torch.from_numpy(
            np.array(ordered[first * blocks[0] : last * blocks[0]], np.float32, order="C")
        )
        if limits is not None:
            slab.clamp_(*limits)
        if blocks != [1, 1, 1]:
            slab = functional.avg_pool3d(slab[None, None], blocks, stride=blocks)[0, 0]
        out[first:last] = slab
    coarse = affine.copy()
    coarse[:3, :3] = affine[:3, :3] * factors
    coarse[:3, 3] = affine[:3, :3] @ ((np.array(factors) - 1) / 2) + affine[:3, 3]
    return out.permute(*np.argsort(order).tolist()), coarse
