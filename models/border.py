"""Place the border of a liver by the scan's own grey values.

The network sees 3 mm voxels and is unsure of the border by about one of them. The border to fat,
air and fluid is sharper than that in the scan itself. So the network's log odds are corrected at
every voxel where it is unsure. On CT a small perceptron looks along the line through the border,
and sees nothing else: neither where the voxel is nor which way the line runs. On MR, whose signal
has no unit that a perceptron could learn, it is counted how much likelier the voxel's grey is in
this scan's liver than beside it (:mod:`.likelihood`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nibabel.affines import voxel_sizes
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from .grid import NetworkGrid, grey_around, sample
from .likelihood import log_likelihood_ratio

UNSURE = (0.02, 0.98)
"""Probabilities between which the network is unsure: what lies beyond stays."""

_OFFSETS_MM = (-9.0, -6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 9.0)
"""Where along the line through the border it is looked; inwards is positive."""

_POINT_FEATURES = 6
N_FEATURES = 2 * len(_OFFSETS_MM) + _POINT_FEATURES

_MOST = 4.0
"""Log odds by which the network's may be changed at most."""

_GREY_SMOOTH_MM, _LINE_SMOOTH_MM, _LEVEL_SMOOTH_MM, _AROUND_MM = 1.0, 3.0, 12.0, 5.0
_CORE_MM = 6.0  # from the border: there the liver's own level is read
_STEP_GREY = 0.125  # 50 HU: the unit in which grey values are compared
_MARGIN = 4  # voxels of the network's grid about the liver
_AT_ONCE = 200_000  # points, which bounds the memory


class BorderNet(nn.Module):
    """A perceptron of 5,825 weights from what is seen at a point to a change of the log odds."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(N_FEATURES, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Log odds (n,) of liver from features (n, :data:`N_FEATURES`)."""
        change: Tensor = self.layers(features)[:, 0]
        return features[:, 0] + _MOST * torch.tanh(change / _MOST)


def load_border(path: Path) -> BorderNet:
    """A :class:`BorderNet` with saved weights; nothing in the file can run code."""
    net = BorderNet()
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return net.eval()


@dataclass(frozen=True)
class Border:
    """A liver on the scan's own axes, and the points of its border where the network is unsure.

    The finer grid is the scan's; voxels that are much finer than 2 mm are averaged.
    """

    probability: NDArray[np.float32]
    """(x, y, z) of the liver on the finer grid."""

    where: NDArray[np.bool_]
    """(x, y, z), its points that are unsure."""

    affine: NDArray[np.float64]
    """4 x 4, the finer grid's indices to patient millimetres."""

    grey: Tensor
    """(x, y, z) of the scan, the levels of the network's grid as 0 and 1."""

    box: tuple[slice, ...]
    """The part of the network's grid that is about the liver."""

    box_affine: NDArray[np.float64]
    """4 x 4, where that part is."""

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """Voxel size of the finer grid along x, y, z."""
        return np.asarray(voxel_sizes(self.affine))

    def with_unsure(self, values: NDArray[np.floating[Any]]) -> Border:
        """The same with other probabilities (n,) at the points that are unsure."""
        probability = self.probability.copy()
        probability[self.where] = values
        return replace(self, probability=probability)


def place_border(
    net: nn.Module,
    liver: NDArray[np.float32],
    other: NDArray[np.float32],
    grid: NetworkGrid,
    array: NDArray[Any],
    affine: NDArray[np.float64],
) -> Border | None:
    """The border of a liver on CT, its probability corrected where the network is unsure.

    Args:
        net: a :class:`BorderNet`.
        liver: probability (x, y, z), 0 outside the region that is the liver.
        other: probability of other organs, of the same shape.
        grid: where they are.
        array: CT in HU (i, j, k).
        affine: 4 x 4, its indices to patient millimetres.

    Returns:
        None without a liver.
    """
    border = look_at_border(liver, grid, array, affine)
    if border is None:
        return None
    with torch.inference_mode():
        odds = [net(part) for part in features_of(border, liver, other, grid).split(_AT_ONCE)]
        corrected = torch.sigmoid(torch.cat(odds)).numpy() if odds else np.zeros(0, np.float32)
    return border.with_unsure(corrected)


def weigh_border(
    liver: NDArray[np.float32], grid: NetworkGrid, array: NDArray[Any], affine: NDArray[np.float64]
) -> Border | None:
    """The same on MR, by what this scan shows of the liver's and its neighbours' grey values.

    Args:
        liver: probability (x, y, z), 0 outside the region that is the liver.
        grid: where it is.
        array: signal (i, j, k).
        affine: 4 x 4, its indices to patient millimetres.

    Returns:
        None without a liver.
    """
    border = look_at_border(liver, grid, array, affine)
    if border is None:
        return None
    ratio = log_likelihood_ratio(
        border.grey.numpy(),
        border.probability,
        border.spacing_mm,
        seen=_seen(border, array.shape, affine),
        where=border.where,
    )
    unsure = border.probability[border.where]
    odds = np.log(unsure / (1 - unsure)) + ratio
    return border.with_unsure(1 / (1 + np.exp(-odds)))


def _seen(border: Border, shape: tuple[int, ...], affine: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which voxels of the finer grid lie in the scan; the others repeat its last ones."""
    to_scan = np.linalg.inv(affine) @ border.affine
    places = [
        to_scan[axis, axis] * np.arange(n) + to_scan[axis, 3]
        for axis, n in enumerate(border.where.shape)
    ]
    x, y, z = ((p > -0.5) & (p < n - 0.5) for p, n in zip(places, shape, strict=True))
    return np.asarray(x[:, None, None] & y[:, None] & z)


def look_at_border(
    liver: NDArray[np.float32], grid: NetworkGrid, array: NDArray[Any], affine: NDArray[np.float64]
) -> Border | None:
    """Where the network is unsure of a liver; arguments as of :func:`weigh_border`.

    Returns:
        None if there is no liver.
    """
    found = ndimage.find_objects((liver > UNSURE[0]).view(np.uint8))
    if not found or not (liver > 0.5).any():
        return None
    box = tuple(slice(max(s.start - _MARGIN, 0), s.stop + _MARGIN) for s in found[0])
    box_affine = grid.affine.copy()
    box_affine[:3, 3] += grid.spacing_mm * np.array([side.start for side in box])
    grey, fine_affine = grey_around(array, affine, box_affine, liver[box].shape, grid.levels)
    probability = sample(
        torch.from_numpy(liver[box]),
        np.linalg.inv(box_affine) @ fine_affine,
        shape=(grey.shape[0], grey.shape[1], grey.shape[2]),
        outside=0.0,
    )
    where = (probability > UNSURE[0]) & (probability < UNSURE[1])
    return Border(probability.numpy(), where.numpy(), fine_affine, grey, box, box_affine)


def features_of(
    border: Border, liver: NDArray[np.float32], other: NDArray[np.float32], grid: NetworkGrid
) -> Tensor:
    """What is seen of a CT at the unsure points, float32 (n, :data:`N_FEATURES`).

    Args:
        border: of :func:`look_at_border`.
        liver: probability (x, y, z) on the network's grid.
        other: likewise of other organs.
        grid: the network's.
    """
    smooth = ndimage.gaussian_filter(
        border.grey.numpy(), _GREY_SMOOTH_MM / border.spacing_mm, truncate=3.0
    )
    probability = torch.from_numpy(border.probability)
    box = border.box
    return _features(
        torch.stack([torch.from_numpy(smooth), probability, border.grey]),
        _coarse_channels(liver[box], other[box], grid.image[box].numpy(), grid.spacing_mm),
        torch.argwhere(torch.from_numpy(border.where)).float(),
        np.linalg.inv(border.box_affine) @ border.affine,
        np.asarray(np.linalg.inv(border.affine[:3, :3]), np.float64),
    )


def _coarse_channels(
    liver: NDArray[np.float32],
    other: NDArray[np.float32],
    grey: NDArray[np.float32],
    spacing_mm: float,
) -> Tensor:
    """Direction inwards (3), liver's level, grey, grey around, liver smoothed, other organs."""
    inside = liver > 0.5
    soft = ndimage.gaussian_filter(liver, _LINE_SMOOTH_MM / spacing_mm)
    direction = np.stack(np.gradient(soft))
    depth = max(1, round(_CORE_MM / spacing_mm))
    core = ndimage.binary_erosion(inside, iterations=depth)
    core = (core if core.any() else inside).astype(np.float32)
    sigma = _LEVEL_SMOOTH_MM / spacing_mm
    weight = ndimage.gaussian_filter(core, sigma)
    middle = np.float32(np.median(grey[core > 0]))
    total = ndimage.gaussian_filter(core * (grey - middle), sigma)
    level = middle + total / (weight + 1e-3)
    around = ndimage.gaussian_filter(grey, _AROUND_MM / spacing_mm)
    channels = np.concatenate([direction, np.stack([level, grey, around, soft, other])])
    return torch.from_numpy(channels.astype(np.float32))


def _features(
    fine: Tensor,
    coarse: Tensor,
    points: Tensor,
    to_coarse: NDArray[np.float64],
    per_mm: NDArray[np.float64],
) -> Tensor:
    """Read both grids at points (n, 3) of the finer one and along the lines through them.

    Args:
        fine: grey smoothed, probability, grey.
        coarse: see :func:`_coarse_channels`.
        points: indices of the finer grid.
        to_coarse: 4 x 4, indices of the finer grid to those of the network's.
        per_mm: 3 x 3, millimetres to indices of the finer grid.
    """
    matrix = torch.from_numpy(to_coarse.astype(np.float32))
    per = torch.from_numpy(per_mm.astype(np.float32))
    parts = [torch.zeros(0, N_FEATURES)]
    for some in points.split(_AT_ONCE):
        here = _read(coarse, some @ matrix[:3, :3].T + matrix[:3, 3])
        line = functional.normalize(here[:, :3], dim=1) @ per.T
        level, grey, around, soft, other = here[:, 3:].unbind(1)
        greys, odds = [], []
        for offset_mm in _OFFSETS_MM:
            there = _read(fine, some + line * offset_mm)
            greys.append(_steps(there[:, 0] - level))
            odds.append(torch.logit(there[:, 1], eps=1e-3))
            if offset_mm == 0:
                raw = _steps(there[:, 2] - level)
        middle = odds.pop(len(_OFFSETS_MM) // 2)
        beside = [raw, _steps(grey - level), _steps(around - level), level / 2, soft, other]
        parts.append(torch.stack([middle, *odds, *greys, *beside], 1))
    return torch.cat(parts)


def _steps(difference: Tensor) -> Tensor:
    """A difference of grey in units of 50 HU; beyond 200 HU it says no more."""
    return (difference / _STEP_GREY).clamp(-4, 4)


def _read(volume: Tensor, points: Tensor) -> Tensor:
    """Interpolate (c, x, y, z) linearly at points (n, 3) in voxels: (n, c)."""
    size = torch.tensor(volume.shape[1:], dtype=torch.float32)
    places = (2 * points / (size - 1).clamp(min=1) - 1).flip(-1)[None, :, None, None]
    read = functional.grid_sample(
        volume[None], places, mode="bilinear", padding_mode="border", align_corners=True
    )
    return read[0, :, :, 0, 0].T
