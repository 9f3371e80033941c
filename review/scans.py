"""Scans for the page: grey values and labels in patient order, and painted labels back again.

The page sees every scan with its axes along R, A and S (by flips and swaps alone). Labels: 0
nothing, 1 liver, 2 spleen. What it paints is mapped back to the file's own order here.
"""

from __future__ import annotations

import contextlib
import threading
import zlib
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import NDArray

from ..errors import FibrovolError, InputError, RegionError
from ..files import sha256_files
from ..imaging.patient_axes import oriented, oriented_affine, stored, to_ras
from ..imaging.readers import read_scan
from ..imaging.readers.nifti import unpacked as unpacked_voxels
from ..imaging.volume import Volume
from ..imaging.volumetry import occupied_planes
from .results import ReadCase, Results

LIVER, SPLEEN = 1, 2
_SAME_PLACE = 0.1  # of a voxel: what rounding in file headers explains
_MAX_CACHED_BYTES = 1_600_000_000
_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True)
class Shown:
    """A scan as the page gets it."""

    volume: Volume
    """As it was read, in file order."""
    order: NDArray[np.float64]
    """From file order to R, A, S."""
    voxels: NDArray[np.int16]
    """Shape (R, A, S) in Fortran order, so that its bytes run along R first."""
    slope: float
    """Grey value = slope x voxel + intercept: for showing only."""
    intercept: float

    def grid(self) -> dict[str, Any]:
        """Sizes, place and windows, for the page."""
        affine = oriented_affine(self.volume.affine, self.volume.array.shape, self.order)
        spacing = voxel_sizes(affine)
        axes = affine[:3, :3] / spacing
        return {
            "shape": list(self.voxels.shape),
            "spacing_mm": [float(s) for s in spacing],
            "affine": affine.tolist(),
            "voxel_ml": self.volume.voxel_volume_ml,
            "slope": self.slope,
            "intercept": self.intercept,
            "tilt_degrees": float(np.degrees(np.arccos(np.clip(np.diag(axes).min(), -1, 1)))),
            "windows": _windows(self),
        }


def _windows(shown: Shown) -> list[dict[str, Any]]:
    """Window presets: level and width in HU for CT, from the grey values otherwise."""
    if shown.volume.modality == "CT" or float(shown.volume.array.min()) <= -100:
        presets = {"Liver": (60, 160), "Abdomen": (65, 350), "Lung": (-600, 1500)}
        return [{"name": k, "level": v[0], "width": v[1]} for k, v in presets.items()]
    low, high = np.percentile(shown.volume.array[::2, ::2, ::2], [0.5, 99.5])
    width = max(float(high - low), 1e-6)
    full = {"name": "Whole", "level": float(low) + width / 2, "width": width}
    return [full, {"name": "Bright", "level": float(low) + width * 0.7, "width": width * 0.6}]


def shown(volume: Volume) -> Shown:
    """Prepare a scan for the page."""
    order = to_ras(volume.affine)
    array = oriented(volume.array, order)
    slope, intercept = 1.0, 0.0
    if not np.issubdtype(array.dtype, np.integer) or not _fits(array):
        low, high = float(np.nanmin(array)), float(np.nanmax(array))
        slope = max(high - low, 1e-9) / 65000.0
        intercept = (high + low) / 2
        array = np.round((np.nan_to_num(array, nan=low) - intercept) / slope)
    voxels = np.asfortranarray(array.astype(np.int16, copy=False))
    if volume.array.dtype == voxels.dtype:  # one copy is enough: the file's order is a view of it
        volume = replace(volume, array=stored(voxels, order))
    return Shown(volume, order, voxels, slope, intercept)


def _fits(array: NDArray[Any]) -> bool:
    return bool(array.min() >= _INT16.min and array.max() <= _INT16.max)


class ScanShelf:
    """The scans read last, so that neighbouring requests do not read them again."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], Shown] = OrderedDict()

    def get(self, case: ReadCase) -> Shown:
        """The scan of a case.

        Raises:
            InputError: it is not there, or not the one that was measured.
            ScanError: it cannot be read.
        """
        key = (case.case_id, str(case.row["input_sha256"] or ""))
        with self._lock:  # two pages that ask at once wait for one reading
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            found = shown(self._read(case))
            self._kept[key] = found
            while len(self._kept) > 1 and self._bytes() > _MAX_CACHED_BYTES:
                self._kept.popitem(last=False)
            return found

    def start(self, case: ReadCase) -> None:
        """Read a scan in the background: its page has been asked for, and its scan will be.

        What is wrong with the scan is said when it is asked for.
        """

        def read() -> None:
            with contextlib.suppress(FibrovolError):
                self.get(case)

        threading.Thread(target=read, daemon=True).start()

    def _bytes(self) -> int:
        return sum(
            one.voxels.nbytes
            + (0 if np.shares_memory(one.voxels, one.volume.array) else one.volume.array.nbytes)
            for one in self._kept.values()
        )

    def _read(self, case: ReadCase) -> Volume:
        path = self._results.input_path(case.case_id)
        volume = read_scan(path, series_uid=str(case.row["series_uid"] or "") or None)
        files = volume.source.files or ((path,) if path.is_file() else ())
        wanted = str(case.row["input_sha256"] or "")
        if wanted and sha256_files(files) != wanted:
            raise InputError(
                "input_changed",
                "The scan is not the one that was measured",
                found="other content at its path",
                do="run the study again, then read this case",
            )
        return volume


def read_labels(directory: Path, case: ReadCase, scan: Shown) -> NDArray[np.uint8]:
    """The present liver and spleen of a case, in file order.

    Raises:
        RegionError: a mask is elsewhere than the scan, or is not a mask of one organ.
        InputError: the row names a mask that is not there.
    """
    liver, spleen = mask_paths(directory, case)
    # masks are as large as scans and come as bytes of 0 and 1: they are made labels in place
    if spleen is None:
        if liver is None:
            return np.zeros(scan.volume.array.shape, np.uint8, order="F")  # as NIfTI files lie
        labels = read_mask(liver, scan.volume).view(np.uint8)
        labels *= np.uint8(LIVER)
        return labels
    labels = read_mask(spleen, scan.volume).view(np.uint8)
    labels *= np.uint8(SPLEEN)
    if liver is not None:
        np.copyto(labels, LIVER, where=read_mask(liver, scan.volume))
    return labels


def mask_paths(directory: Path, case: ReadCase) -> tuple[Path | None, Path | None]:
    """Where the present liver and spleen masks are; None if there is none.

    Raises:
        InputError: ``input_missing``: the liver's mask should be there and is not.
    """
    name = str(case.row["mask_path"] or "")
    if not name:
        return None, None
    liver = (directory / name).resolve()
    if not liver.is_relative_to(directory.resolve()) or not liver.is_file():
        raise InputError(
            "input_missing",
            "The mask of this case is missing",
            found=f"nothing at {name}",
            do="take it from a backup, or run the study again",
        )
    spleen = liver.with_name(liver.name.replace("_liver.", "_spleen."))
    return liver, spleen if spleen != liver and spleen.is_file() else None


def read_mask(path: Path, volume: Volume) -> NDArray[np.bool_]:
    """A mask of one organ on a scan's grid, in file order.

    Raises:
        RegionError: ``bad_region``: another place, another shape, or values other than 0 and 1.
    """
    import nibabel  # noqa: PLC0415 - start-up time

    try:
        image = nibabel.load(path)
        proxy = image.dataobj
        plain = proxy.slope == 1 and proxy.inter == 0
        values = unpacked_voxels(path, image) if plain else None
        if values is None:
            values = np.asanyarray(proxy)
    except Exception as error:
        raise _bad_mask(path, f"it cannot be read ({type(error).__name__})") from error
    if values.shape != volume.array.shape:
        raise _bad_mask(path, f"{values.shape} voxels on a scan of {volume.array.shape}")
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in values.shape])).reshape(3, -1)
    homogeneous = np.vstack([corners, np.ones(corners.shape[1])])
    away_mm = ((np.asarray(image.affine) - volume.affine) @ homogeneous)[:3]
    furthest = float(np.sqrt((away_mm**2).sum(axis=0)).max())
    if furthest > _SAME_PLACE * min(volume.spacing_mm):
        raise _bad_mask(path, f"{furthest:.2f} mm away from the scan")
    if values.dtype == np.uint8 and int(values.max()) <= 1:  # as our own are: nothing to look for
        return np.asarray(values).view(np.bool_)
    mask = np.asarray(values == 1)
    other = np.asarray(values[~mask] != 0)
    if other.any():
        strange = sorted({float(v) for v in np.unique(values[~mask][other])})
        raise _bad_mask(path, f"the values {', '.join(f'{v:g}' for v in strange[:5])}")
    return mask


def _bad_mask(path: Path, found: str) -> RegionError:
    return RegionError(
        "bad_region",
        f"The mask {path.name} does not fit the scan",
        found=found,
        do="take it from a backup, or run the study again",
    )


def for_page(labels: NDArray[np.uint8], scan: Shown) -> bytes:
    """Labels in file order as the page wants them: R, A, S, first along R."""
    return np.asfortranarray(oriented(labels, scan.order)).tobytes(order="F")


def first_slices(labels: NDArray[np.uint8], scan: Shown) -> tuple[int, int, int]:
    """The slice of each patient axis (R, A, S) that a reader sees first: the middle of the liver.

    Args:
        labels: in file order.
        scan: the scan; without a liver in it, the middle of the scan.
    """
    # every second voxel is near enough, and eight times less
    coarse = oriented(labels, scan.order)[::2, ::2, ::2] == LIVER
    found = []
    for axis, n in enumerate(scan.voxels.shape):
        there = occupied_planes(coarse, axis)
        found.append(int(there[0] + there[-1]) if there.size else n // 2)
    return found[0], found[1], found[2]


def slice_of(array: NDArray[Any], axis: int, at: int) -> NDArray[Any]:
    """One slice across an axis, as a view; ``numpy.take`` would copy the whole array first."""
    return np.moveaxis(array, axis, 0)[at]


def first_planes(labels: NDArray[np.uint8], scan: Shown, slices: tuple[int, int, int]) -> bytes:
    """Grey values (int16, little endian) and labels of one slice of each axis.

    In the order sagittal, coronal, axial, all grey values before all labels; each slice runs along
    its lower axis first.
    """
    turned = oriented(labels, scan.order)
    parts = [
        slice_of(array, axis, at).astype(kind).tobytes(order="F")
        for array, kind in ((scan.voxels, "<i2"), (turned, "u1"))
        for axis, at in enumerate(slices)
    ]
    return b"".join(parts)


def from_page(painted: bytes, scan: Shown) -> NDArray[np.uint8]:
    """What the page painted, in file order.

    Raises:
        RegionError: ``bad_region``: another size, or labels that do not exist.
    """
    shape = scan.voxels.shape
    if len(painted) != int(np.prod(shape)):
        raise RegionError(
            "bad_region",
            "What was painted does not fit the scan",
            found=f"{len(painted)} labels for {int(np.prod(shape))} voxels",
            do="load the page again",
        )
    labels = np.frombuffer(painted, np.uint8).reshape(shape, order="F")
    if labels.size and int(labels.max()) > SPLEEN:
        raise RegionError(
            "bad_region",
            "What was painted contains a label that does not exist",
            found=str(int(labels.max())),
            do="load the page again",
        )
    return np.ascontiguousarray(stored(labels, scan.order))


def unpacked(body: bytes, size: int) -> bytes:
    """A gzipped bitmap; what unpacks to more than it may is not unpacked further."""
    unpack = zlib.decompressobj(31)
    try:
        found = unpack.decompress(body, size + 1)
        whole = unpack.eof
    except zlib.error:
        found, whole = b"", False
    if not whole or len(found) != size:
        raise InputError(
            "bad_review",
            "What was painted did not arrive complete",
            found=f"{len(found)} of {size} labels",
            do="save again",
        )
    return found
