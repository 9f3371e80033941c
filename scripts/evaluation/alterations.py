"""Alter a scan so that its liver volume is wrong or missing: what must be refused or flagged.

Pure: volumes in, volumes out. Axes of every array are those of the patient (R, A, S).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from fibrovol.imaging.volume import Volume
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Altered:
    """A scan and what was done to it."""

    group: str
    """One row of the table: cut, flipped, shifted, blanked, ..."""

    name: str
    """What was done, within the group."""

    scan: Volume
    """The result."""


def alterations(scan: Volume, liver: Mask, seed: int) -> Iterator[Altered]:
    """Every alteration that one scan allows.

    Args:
        scan: CT or MR, axes along R, A, S.
        liver: its label, of the same shape.
        seed: of noise.
    """
    for group, makers in _GROUPS.items():
        for name, make in makers.items():
            made = make(scan, liver, seed)
            if made is not None:
                yield Altered(group, name, made)


_Maker = Callable[[Volume, Mask, int], Volume | None]


def _crop(scan: Volume, axis: int, start: int, stop: int) -> Volume | None:
    """A part of the scan; None if nothing that could be a scan is left."""
    if stop - start < 8:
        return None
    part = [slice(None)] * 3
    part[axis] = slice(start, stop)
    affine = scan.affine.copy()
    affine[:3, 3] += start * affine[:3, axis]
    return replace(scan, array=np.ascontiguousarray(scan.array[tuple(part)]), affine=affine)


def _extent(liver: Mask, axis: int) -> tuple[int, int, int]:
    """First, middle and last index of the liver: the middle halves its volume."""
    others = tuple(other for other in range(3) if other != axis)
    voxels = np.cumsum(liver.sum(axis=others))
    inside = np.flatnonzero(np.diff(voxels, prepend=0))
    return int(inside[0]), int(np.searchsorted(voxels, voxels[-1] / 2)), int(inside[-1])


def _half(axis: int, *, upper: bool) -> _Maker:
    def make(scan: Volume, liver: Mask, _: int) -> Volume | None:
        middle, n = _extent(liver, axis)[1], liver.shape[axis]
        return _crop(scan, axis, *((middle, n) if upper else (0, middle)))

    return make


def _without_end(axis: int, *, upper: bool) -> _Maker:
    """A tenth of the liver's length is outside the scan: at its dome, or at its tip."""

    def make(scan: Volume, liver: Mask, _: int) -> Volume | None:
        first, _middle, last = _extent(liver, axis)
        tenth = (last - first) // 10 + 1
        n = liver.shape[axis]
        return _crop(scan, axis, *((0, last - tenth) if upper else (first + tenth, n)))

    return make


def _flip(*axes: int) -> _Maker:
    def make(scan: Volume, _liver: Mask, _: int) -> Volume:
        return replace(scan, array=np.ascontiguousarray(np.flip(scan.array, axes)))

    return make


def _values(change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> _Maker:
    """Other grey values; of CT only, because the signal of MR has no unit."""

    def make(scan: Volume, _liver: Mask, _: int) -> Volume | None:
        if scan.modality != "CT":
            return None
        return replace(scan, array=change(scan.array.astype(np.float32)))

    return make


def _to_unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((values - values.min()) / np.ptp(values), np.float32)


def _blank(slices: int, *, with_zero: bool) -> _Maker:
    def make(scan: Volume, liver: Mask, _: int) -> Volume:
        middle = _extent(liver, 2)[1]
        array = scan.array.copy()
        array[:, :, middle : middle + slices] = 0 if with_zero else array.min()
        return replace(scan, array=array)

    return make


def _noise(scan: Volume, _liver: Mask, seed: int) -> Volume:
    """Noise of the scan's own mean and deviation."""
    values = scan.array.astype(np.float32)
    rng = np.random.default_rng(seed)
    noise = rng.normal(values.mean(), values.std(), values.shape).astype(np.float32)
    return replace(scan, array=np.clip(noise, values.min(), values.max()))


def _shuffled(scan: Volume, _liver: Mask, seed: int) -> Volume:
    """The scan's own slices in a random order."""
    order = np.random.default_rng(seed).permutation(scan.array.shape[2])
    return replace(scan, array=np.ascontiguousarray(scan.array[:, :, order]))


def _cylinder(scan: Volume, _liver: Mask, seed: int) -> Volume:
    """A water phantom: a cylinder of 300 mm along the bed, with four rods in it."""
    i, j, _ = scan.spacing_mm
    x = (np.arange(scan.array.shape[0]) - scan.array.shape[0] / 2) * i
    y = (np.arange(scan.array.shape[1]) - scan.array.shape[1] / 2) * j
    is_ct = scan.modality == "CT"
    air, water = (-1000.0, 0.0) if is_ct else (0.0, 600.0)
    plane = np.where(x[:, None] ** 2 + y[None, :] ** 2 < 150.0**2, water, air)
    for number, level in enumerate((-100.0, 60.0, 120.0, 340.0)):
        angle = np.pi / 4 + number * np.pi / 2
        rod = (x[:, None] - 70 * np.cos(angle)) ** 2 + (y[None, :] - 70 * np.sin(angle)) ** 2
        plane = np.where(rod < 25.0**2, level if is_ct else water + level, plane)
    noise = np.random.default_rng(seed).normal(0, 12, scan.array.shape)
    array = (plane[:, :, None] + noise).astype(np.float32)
    return replace(scan, array=array if is_ct else np.abs(array))


def _outside(*, above: bool) -> _Maker:
    """What lies above the liver or below it: a chest, a pelvis."""

    def make(scan: Volume, liver: Mask, _: int) -> Volume | None:
        first, _middle, last = _extent(liver, 2)
        gap = 1 + int(10 / scan.spacing_mm[2])
        n = liver.shape[2]
        return _crop(scan, 2, *((last + gap, n) if above else (0, first - gap)))

    return make


def _scaled(factor: float) -> _Maker:
    def make(scan: Volume, _liver: Mask, _: int) -> Volume:
        affine = scan.affine.copy()
        affine[:3, :3] *= factor
        return replace(scan, affine=affine)

    return make


_GROUPS: dict[str, dict[str, _Maker]] = {
    "cut": {
        "upper half alone": _half(2, upper=True),
        "lower half alone": _half(2, upper=False),
        "right half alone": _half(0, upper=True),
        "left half alone": _half(0, upper=False),
        "front half alone": _half(1, upper=True),
        "dome cut off": _without_end(2, upper=True),
        "tip cut off": _without_end(2, upper=False),
    },
    "flipped": {
        "left and right": _flip(0),
        "front and back": _flip(1),
        "head and feet": _flip(2),
    },
    "shifted": {
        "plus 1,024 HU": _values(lambda a: a + 1024),
        "plus 200 HU": _values(lambda a: a + 200),
        "minus 100 HU": _values(lambda a: a - 100),
        "halved": _values(lambda a: a * np.float32(0.5)),
        "scaled to 0..1": _values(_to_unit),
    },
    "blanked": {
        "five slices, least value": _blank(5, with_zero=False),
        "one slice, least value": _blank(1, with_zero=False),
        "five slices, zero": _blank(5, with_zero=True),
    },
    "no abdomen": {
        "noise": _noise,
        "slices shuffled": _shuffled,
        "water phantom": _cylinder,
        "above the liver": _outside(above=True),
        "below the liver": _outside(above=False),
    },
    "size": {
        "0.15 times as large (mouse)": _scaled(0.15),
        "0.3 times (rat, rabbit)": _scaled(0.3),
        "0.5 times (monkey)": _scaled(0.5),
        "1.6 times (wrong spacing)": _scaled(1.6),
    },
}
