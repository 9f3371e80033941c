"""Labelled CTs, and bent windows cut out of them, a batch at a time.

Left and right are never exchanged: the liver's side is what tells it apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ..models.grid import CT_WINDOW_HU
from .draw import Draw, Size, stretch
from .organs import LIVER, N_ORGANS, OUTSIDE

HU_LOW, HU_HIGH = CT_WINDOW_HU

_NEAR = 0.65  # share of the windows whose middle lies within 8 % of a window of the liver's


@dataclass(frozen=True)
class Case:
    """One labelled CT on its own grid, axes along R, A, S."""

    name: str
    """As its files are called."""

    hu: Tensor
    """int16 (i, j, k), HU clipped to the network's window."""

    smooth_hu: Tensor
    """int16 (i, j, k), ``hu`` averaged over its neighbours."""

    organs: Tensor
    """uint8 (i, j, k), BTCV's numbers; 14 marks the air outside the body."""

    spacing_mm: tuple[float, float, float]
    """Voxel size along i, j, k."""

    liver_middle: tuple[float, float, float]
    """Middle of the liver's bounding box, in voxels."""

    medians_hu: tuple[float, ...]
    """Median HU of each organ number; 0 if it has no voxel."""

    only_liver: bool = False
    """No other organ is labelled: the loss must not learn that there is none."""


@dataclass(frozen=True)
class Body:
    """A batch of windows before they get their contrast."""

    hu: Tensor
    """float32 (n, 1, x, y, z)."""

    smooth_hu: Tensor
    """float32 (n, 1, x, y, z)."""

    organs: Tensor
    """int64 (n, 1, x, y, z), BTCV's numbers, 14 outside."""

    medians_hu: NDArray[np.float32]
    """(n, 15), by organ number."""

    def __len__(self) -> int:
        """How many windows."""
        return len(self.hu)

    @property
    def size(self) -> Size:
        """Of a window, in voxels."""
        x, y, z = self.hu.shape[2:]
        return int(x), int(y), int(z)

    @property
    def liver(self) -> Tensor:
        """Bool (n, 1, x, y, z)."""
        return self.organs == LIVER

    def take(self, indices: NDArray[np.intp]) -> Body:
        """Some of the windows."""
        at = torch.as_tensor(indices, device=self.hu.device)
        return Body(self.hu[at], self.smooth_hu[at], self.organs[at], self.medians_hu[indices])

    def by_organ(self, values: Tensor) -> Tensor:
        """Each voxel's value from a table (n, 15) by organ number."""
        return values.gather(1, self.organs.flatten(1)).view(self.organs.shape)


def make_case(
    name: str, hu: NDArray[np.float32], organs: NDArray[np.uint8], spacing_mm: Sequence[float]
) -> Case:
    """Prepare a labelled CT, axes along R, A, S.

    Args:
        name: what it is called.
        hu: (i, j, k).
        organs: BTCV's numbers and 14 outside the body; contains a liver.
        spacing_mm: voxel size.
    """
    clipped = torch.from_numpy(np.clip(hu, HU_LOW, HU_HIGH).astype(np.float32))
    padded = functional.pad(clipped[None, None], (1,) * 6, mode="replicate")
    smooth = functional.avg_pool3d(padded, 3, stride=1)[0, 0]
    medians = np.zeros(N_ORGANS + 1)
    for organ in range(1, N_ORGANS):
        inside = clipped.numpy()[organs == organ]
        if len(inside):
            medians[organ] = np.median(inside)
    liver = np.argwhere(organs == LIVER)
    middle = [float(m) for m in (liver.min(axis=0) + liver.max(axis=0)) / 2]
    found = set(np.unique(organs).tolist())
    i, j, k = (float(s) for s in spacing_mm)
    return Case(
        name=name,
        hu=clipped.round().to(torch.int16),
        smooth_hu=smooth.round().to(torch.int16),
        organs=torch.from_numpy(np.ascontiguousarray(organs)),
        spacing_mm=(i, j, k),
        liver_middle=(middle[0], middle[1], middle[2]),
        medians_hu=tuple(float(m) for m in medians),
        only_liver=found <= {0, LIVER, OUTSIDE},
    )


def cut_windows(
    cases: Sequence[Case], draw: Draw, size: Size, spacing_mm: float, *, anywhere: float = 0.05
) -> Body:
    """Cut one bent window out of each case; beyond the scan lies outside air.

    Args:
        cases: on the draw's device.
        draw: random numbers.
        size: voxels of a window.
        spacing_mm: voxel size of a window.
        anywhere: share of the windows that may lie anywhere in the scan, not about the liver.
    """
    bends = _bends(draw, len(cases), size)
    parts = [
        _cut(case, _voxels(case, draw, size, spacing_mm, anywhere) + _per_voxel(bend, case))
        for case, bend in zip(cases, bends, strict=True)
    ]
    hu, smooth_hu, organs = (torch.stack(part) for part in zip(*parts, strict=True))
    medians = np.array([case.medians_hu for case in cases], np.float32)
    return Body(hu, smooth_hu, organs, medians)


def turn_slices(case: Case, draw: Draw) -> Body:
    """A case turned, stretched and bent within its slices, each of which was scanned as it is.

    :func:`cut_windows` mixes slices. Where they are thick, such a mixture is what no scan shows:
    half a slice of 5 mm moved the volume that was measured by 2 to 3 %, half a pixel by 0.4 %.

    Args:
        case: on the draw's device.
        draw: random numbers.

    Returns:
        one window in voxels of the case, 1.4 times as long and wide, of all its slices.
    """
    length, width, slices = case.hu.shape
    size = (round(1.4 * length), round(1.4 * width), slices)
    i_mm, j_mm, _ = case.spacing_mm
    matrix = draw.tensor(_random_matrix(draw)[:2, :2])
    bend = _bends(draw, 1, size)[0, :2].permute(1, 2, 3, 0)
    i, j, k = (torch.arange(n, device=draw.device) - (n - 1) / 2 for n in size)
    flat = i[:, None, None, None] * i_mm * matrix[:, 0] + j[:, None, None] * j_mm * matrix[:, 1]
    plane = (flat + bend) / torch.tensor([i_mm, j_mm], device=draw.device)
    plane = plane + torch.tensor([(length - 1) / 2, (width - 1) / 2], device=draw.device)
    voxels = torch.cat([plane, (k + (slices - 1) / 2).expand(*size)[..., None]], -1)
    hu, smooth_hu, organs = (part[None] for part in _cut(case, voxels))
    return Body(hu, smooth_hu, organs, np.array([case.medians_hu], np.float32))


def _bends(draw: Draw, n: int, size: Size) -> Tensor:
    """Smooth displacements (n, 3, x, y, z) in mm: large slow waves and small quick ones."""
    slow = draw.normal(n, 3, 4, 4, 4) * draw.column(draw.uniforms(0, 9, n))
    quick = draw.normal(n, 3, 8, 8, 8) * draw.column(draw.uniforms(0, 3.5, n))
    return stretch(stretch(slow, (8, 8, 8)) + quick, size)


def _per_voxel(bend: Tensor, case: Case) -> Tensor:
    spacing = torch.tensor(case.spacing_mm, device=bend.device)
    return bend.permute(1, 2, 3, 0) / spacing


def _voxels(case: Case, draw: Draw, size: Size, spacing_mm: float, anywhere: float) -> Tensor:
    """The voxel of the case that each voxel of a turned and scaled window shows, (x, y, z, 3)."""
    spacing, extent = np.array(case.spacing_mm), np.array(size) * spacing_mm
    if draw.chance(anywhere):
        middle = draw.rng.uniform(0.2, 0.8, 3) * np.array(case.hu.shape)
    else:
        reach = 0.08 if draw.chance(_NEAR) else 0.22
        middle = np.array(case.liver_middle) + draw.rng.uniform(-reach, reach, 3) * extent / spacing
    matrix = draw.tensor((_random_matrix(draw) * extent).T / spacing)
    x, y, z = (torch.linspace(-0.5, 0.5, n, device=draw.device) for n in size)
    return (
        x[:, None, None, None] * matrix[0]
        + y[None, :, None, None] * matrix[1]
        + (z[None, None, :, None] * matrix[2] + draw.tensor(middle))
    )


def _random_matrix(draw: Draw) -> NDArray[np.float64]:
    """Rotation within 15 degrees, scaling 0.8 to 1.25 a side, a little shear."""
    angles = np.deg2rad(np.clip(draw.rng.normal(0, 6, 3), -15, 15))
    (ca, cb, cc), (sa, sb, sc) = np.cos(angles), np.sin(angles)
    rotation = (
        np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
        @ np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
        @ np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    )
    scale = np.exp(draw.uniform(-0.2, 0.2)) * np.exp(draw.rng.normal(0, 0.06, 3))
    shear = np.eye(3) + np.triu(draw.rng.normal(0, 0.04, (3, 3)), 1)
    matrix: NDArray[np.float64] = rotation @ shear @ np.diag(scale)
    return matrix


def _cut(case: Case, voxels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """HU, smooth HU (float32) and organs (int64), each (1, x, y, z), at voxels of the case."""
    shape = torch.tensor(case.hu.shape, device=voxels.device)
    # only the box that the window touches: a whole scan as float32 takes longer than the window
    low = torch.minimum(voxels.amin((0, 1, 2)).floor().long().clamp(min=0), shape - 2)
    high = torch.minimum(voxels.amax((0, 1, 2)).ceil().long() + 2, shape)
    high = torch.maximum(high, low + 2)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    # grid_sample wants -1..1 over voxel centres, the last axis first
    grid = ((voxels - low) * (2.0 / (high - low - 1)) - 1.0).flip(-1)[None]
    organs = case.organs[box]
    grey = torch.stack([case.hu[box] - HU_LOW, case.smooth_hu[box] - HU_LOW])[None].float()
    liver = (organs == LIVER)[None, None].float()
    soft = functional.grid_sample(torch.cat([grey, liver], 1), grid, align_corners=True)[0]
    shifted = organs[None, None].float() - OUTSIDE  # zero padding is outside air
    nearest = functional.grid_sample(shifted, grid, mode="nearest", align_corners=True)[0]
    labels = (nearest + OUTSIDE).round().long()
    # the liver's border between the voxels, not at their steps
    inside = soft[2:] > 0.5
    labels = torch.where(labels == LIVER, torch.zeros_like(labels), labels)
    labels = torch.where(inside, torch.full_like(labels, LIVER), labels)
    return soft[:1] + HU_LOW, soft[1:2] + HU_LOW, labels
