"""How good is a network on labelled scans: a row a case, and a summary."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from .dataset import find_pairs

Segment = Callable[[NDArray[Any], NDArray[np.float64], bool], NDArray[np.bool_]]
"""(array, affine, is_ct) to a liver mask on the scan's own grid."""

Compare = Callable[
    [NDArray[np.bool_], NDArray[np.bool_], tuple[float, float, float]], tuple[float, float]
]
"""(measured, true, spacing_mm) to Dice and HD95 in mm."""

Draw = Callable[
    [str, NDArray[Any], NDArray[np.float64], bool, NDArray[np.bool_], NDArray[np.bool_]], None
]
"""(case, array, affine, is_ct, measured, true): makes the picture of a case."""


@dataclass(frozen=True)
class CaseResult:
    """One labelled scan.

    Attributes:
        case: its name.
        true_ml: volume of the label.
        measured_ml: volume of the network's mask.
        dice: Dice coefficient.
        hd95_mm: 95th percentile Hausdorff distance; None where nothing was segmented.
        seconds: time of the segmentation.
    """

    case: str
    true_ml: float
    measured_ml: float
    dice: float
    hd95_mm: float | None
    seconds: float

    @property
    def volume_error_percent(self) -> float:
        """Signed, of the true volume."""
        return 100.0 * (self.measured_ml / self.true_ml - 1.0)


@dataclass(frozen=True)
class Summary:
    """A set of cases.

    Attributes:
        n: how many.
        median_dice, worst_dice: Dice coefficients.
        mean_absolute_error_percent, mean_signed_error_percent: of the volumes.
        median_hd95_mm: None where no case had one.
    """

    n: int
    median_dice: float
    worst_dice: float
    mean_absolute_error_percent: float
    mean_signed_error_percent: float
    median_hd95_mm: float | None


def evaluate(
    folder: Path,
    segment: Segment,
    compare: Compare,
    *,
    liver_label: int,
    only: Sequence[str] = (),
    draw: Draw | None = None,
) -> Iterator[CaseResult]:
    """Segment every labelled scan of a folder and compare; a result as soon as it is there.

    Args:
        folder: scans and label maps as :func:`find_pairs` wants them; ``_ct`` in the name is CT.
        segment: the network with everything around it.
        compare: the measures of agreement.
        liver_label: the liver's number in the label maps.
        only: case names; all where empty.
        draw: called with every case, once it is segmented.
    """
    for name, scan_path, label_path in find_pairs(folder):
        if only and name not in only:
            continue
        scan = nib.load(scan_path)
        true = np.asarray(nib.load(label_path).dataobj).round() == liver_label
        array = np.asarray(scan.get_fdata(dtype=np.float32))
        began = time.perf_counter()
        is_ct = "_ct." in scan_path.name
        found = segment(array, scan.affine, is_ct)
        seconds = time.perf_counter() - began
        i, j, k = (float(z) for z in scan.header.get_zooms()[:3])
        voxel_ml = abs(float(np.linalg.det(scan.affine[:3, :3]))) / 1000
        if draw is not None:
            draw(name, array, scan.affine, is_ct, found, true)
        overlap, hd95 = compare(found, true, (i, j, k)) if found.any() else (0.0, None)
        yield CaseResult(
            case=name,
            true_ml=float(true.sum()) * voxel_ml,
            measured_ml=float(found.sum()) * voxel_ml,
            dice=overlap,
            hd95_mm=hd95,
            seconds=seconds,
        )


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
