"""Evaluate an engine on labelled scans: one row per case, and a summary."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from ..errors import MeasurementError
from ..imaging import agreement
from ..imaging.engines import EngineOptions
from ..imaging.measure import measure_liver
from ..imaging.overlay import write_overlay
from ..imaging.volume import Volume
from .dataset import find_pairs

_NEAR_A_DOUBLED_SLICE = 1  # slices; two away the label lies where the picture does


@dataclass(frozen=True)
class CaseResult:
    """One labelled scan."""

    case: str
    """Its name."""

    true_ml: float
    """Volume of the label."""

    measured_ml: float
    """Volume of the engine's mask; 0 if it found no liver."""

    dice: float
    """Dice coefficient."""

    hd95_mm: float | None
    """95th percentile Hausdorff distance; None if nothing was segmented."""

    seconds: float
    """Time of the measurement."""

    dice_off_doubled_slices: float | None
    """Dice on the slices where label and picture agree (:func:`off_doubled_slices`); None if no
    slice of the label is doubled."""

    @property
    def volume_error_percent(self) -> float:
        """Signed, of the true volume."""
        return 100.0 * (self.measured_ml / self.true_ml - 1.0)


@dataclass(frozen=True)
class Summary:
    """A set of cases."""

    n: int
    """How many."""

    median_dice: float
    """Of all cases."""

    worst_dice: float
    """Of all cases."""

    mean_absolute_error_percent: float
    """Of the volumes."""

    mean_signed_error_percent: float
    """Of the volumes."""

    median_hd95_mm: float | None
    """None if no case had one."""


def evaluate(
    folder: Path,
    *,
    engine: str,
    options: EngineOptions,
    liver_label: int,
    only: Sequence[str] = (),
    pictures: Path | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> Iterator[CaseResult]:
    """Measure every labelled scan of a folder and compare; a result as soon as it is there.

    A case in which the engine finds no liver counts with a Dice of 0, not as if it did not exist.

    Args:
        folder: scans and label maps as :func:`find_pairs` wants them; ``_ct`` in the name is CT.
        engine: a name of the ``ENGINES`` table.
        options: what else the engine needs to know.
        liver_label: the liver's number in the label maps.
        only: case names; all where empty.
        pictures: folder for a picture of each case, red as measured, blue as drawn.
        tell: called with (cases begun, cases in all).
    """
    pairs = [pair for pair in find_pairs(folder) if not only or pair[0] in only]
    for number, (name, scan_path, label_path) in enumerate(pairs):
        if tell is not None:
            tell(number, len(pairs))
        scan = nib.load(scan_path)
        true = np.asarray(nib.load(label_path).dataobj).round() == liver_label
        modality = "CT" if "_ct." in scan_path.name else "MR"
        volume = Volume(np.asarray(scan.get_fdata(dtype=np.float32)), scan.affine, modality)
        began = time.perf_counter()
        try:
            found = measure_liver(volume, engine=engine, options=options).mask.array
        except MeasurementError:
            found = np.zeros(true.shape, dtype=bool)
        seconds = time.perf_counter() - began
        if pictures is not None:
            write_overlay(
                volume,
                Volume(found, volume.affine),
                pictures / f"{name}.png",
                second=Volume(true, volume.affine),
            )
        kept = off_doubled_slices(true)
        yield CaseResult(
            case=name,
            true_ml=float(true.sum()) * volume.voxel_volume_ml,
            measured_ml=float(found.sum()) * volume.voxel_volume_ml,
            dice=agreement.dice(found, true),
            hd95_mm=agreement.hd95_mm(found, true, volume.spacing_mm) if found.any() else None,
            seconds=seconds,
            dice_off_doubled_slices=None
            if kept is None
            else agreement.dice(found[:, :, kept], true[:, :, kept]),
        )


def off_doubled_slices(label: NDArray[np.bool_]) -> NDArray[Any] | None:
    """Slices of a label map, along k, that lie at least two from one that was doubled.

    Where thick slices were once resampled, the picture linearly and the label by its nearest
    neighbour, the label repeats a slice now and then, and about there even a perfect contour
    disagrees with it (CHAOS, T2: every seventh slice; a perfect contour scores about 0.963).

    Args:
        label: (i, j, k).

    Returns:
        the slices' numbers, or None if no slice of the organ equals its neighbour, or all do.
    """
    filled = np.asarray(label.any(axis=(0, 1)))
    differing = np.logical_xor(label[:, :, 1:], label[:, :, :-1])
    equal = ~np.asarray(differing.any(axis=(0, 1))) & filled[1:] & filled[:-1]
    if not equal.any():
        return None
    doubled = np.flatnonzero(equal)
    doubled = np.concatenate([doubled, doubled + 1])
    slices = np.arange(label.shape[2])
    distance = np.abs(slices[:, None] - doubled[None, :]).min(axis=1)
    kept = slices[(distance > _NEAR_A_DOUBLED_SLICE) & filled]
    return kept if len(kept) else None


def summarise(results: Sequence[CaseResult]) -> Summary:
    """Medians, worst and mean volume errors of a set of cases.

    Raises:
        ValueError: the set is empty.
    """
    if not results:
        raise ValueError("there are no cases to summarise")
    errors = np.array([r.volume_error_percent for r in results])
    distances = [r.hd95_mm for r in results if r.hd95_mm is not None]
    return Summary(
        n=len(results),
        median_dice=float(np.median([r.dice for r in results])),
        worst_dice=float(min(r.dice for r in results)),
        mean_absolute_error_percent=float(np.abs(errors).mean()),
        mean_signed_error_percent=float(errors.mean()),
        median_hd95_mm=float(np.median(distances)) if distances else None,
    )
