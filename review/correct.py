"""A reader's outline of a scan: written as a mask of its own, read back, measured and tabulated.

The engine's files stay as they are. A mask that equals the engine's takes the correction back: the
tables are then, byte for byte, as they were measured.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..batch.corrections import FOLDER, Corrections, Revision
from ..batch.output import OutputDirectory
from ..errors import OutputError, RegionError
from ..files import sha256_file, writing
from ..flags import join_flags
from ..imaging.export.nifti import write_mask
from ..imaging.measure import LiverMeasurement, measure_liver
from ..imaging.overlay import write_overlay
from ..imaging.volume import Volume
from ..imaging.volumetry import volume_ml as volume_of
from ..tables import format_spacing
from .publish import measured_of, publish, refuse_stale
from .results import ReadCase, Results
from .scans import LIVER, SPLEEN, Shown, read_labels, read_mask

_MEAN_DIFFERENCE_PERCENT = 2.37
"""Of automated and manual volumes of 2,772 CTs (PMID 32171914), taken for a mean absolute one."""
READING_ERROR_PERCENT = round(1.96 * math.sqrt(math.pi / 2) * _MEAN_DIFFERENCE_PERCENT, 1)
"""Half the width of the 95 % limits of a volume that a person drew on CT: 5.8 %.

The mean absolute value of a normal error without bias is sqrt(2 / pi) of its standard deviation.
The whole difference is taken for the reader's, which makes the limits wider than the reader's own
error if the network's is independent of it."""

_BY_ENGINE = {"liver_cut_off", "small_liver", "large_liver", "low_confidence", "mr_unvalidated"}
"""Flags that the outline decides, or that warn of the engine."""
DRAWN = "drawn by a reader"


@dataclass(frozen=True)
class Painted:
    """What a page sends to be saved."""

    labels: NDArray[np.uint8]
    """(i, j, k) in file order: 0, LIVER or SPLEEN."""
    reader: str
    """Code of the reader."""
    revision: int
    """The revision that the page had loaded."""
    mask_sha256: str
    """Of the mask that the page had loaded."""


def save_labels(results: Results, case: ReadCase, scan: Shown, painted: Painted) -> Corrections:
    """Save a reader's outline and measure it.

    Args:
        results: the folder.
        case: as it stands.
        scan: the case's scan.
        painted: what was drawn.

    Returns:
        The case's corrections with the new one, or back at 0 if it equals the engine's outline.

    Raises:
        InputError: ``changed_meanwhile``: another reader saved since the page was loaded.
        RegionError: there is no liver in it.
        OutputError: the folder cannot be written, or a run holds it.
    """
    refuse_stale(case, painted.revision, painted.mask_sha256)
    liver, spleen = painted.labels == LIVER, painted.labels == SPLEEN
    if not liver.any():
        raise RegionError(
            "bad_region",
            "There is no liver in the outline",
            found="no voxel of it",
            do="draw it, or reject the case with a reason",
        )
    before = case.corrections
    measured, _ = measured_of(results, case)
    engines = _measured_labels(results, case, measured, scan)
    if engines is not None and np.array_equal(painted.labels, engines):
        return publish(results, case, replace(before, standing=0, measured=measured), None)
    number = before.newest + 1
    output = OutputDirectory(results.directory)
    staging = output.new_staging()
    try:
        with writing():
            staging.mkdir(parents=True)
        stem = f"{case.case_id}_r{number}_{painted.reader}"
        found = _write(staging, stem, scan, liver, spleen)
        revision = Revision(
            revision=number,
            reader=painted.reader,
            saved_at=datetime.now(UTC).isoformat(timespec="seconds"),
            input_sha256=str(measured["input_sha256"] or ""),
            before_sha256=case.mask_sha256,
            row=_row(found, measured, results.study(), scan, painted.reader, stem),
            outputs={f"{FOLDER}/{p.name}": sha256_file(p) for p in sorted(staging.iterdir())},
        )
        new = Corrections(case.case_id, number, (*before.revisions, revision), measured)
        return publish(results, case, new, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _measured_labels(
    results: Results, case: ReadCase, measured: Mapping[str, Any], scan: Shown
) -> NDArray[np.uint8] | None:
    """The engine's own outline, None for a case that it could not measure."""
    if not measured.get("mask_path"):
        return None
    return read_labels(results.directory, replace(case, row=dict(measured)), scan)


def _write(
    staging: Path,
    stem: str,
    scan: Shown,
    liver: NDArray[np.bool_],
    spleen: NDArray[np.bool_],
) -> LiverMeasurement:
    """Write masks and picture, read the masks back, and measure what was read back."""
    affine = scan.volume.affine
    written = {f"{stem}_liver.nii.gz": liver}
    if spleen.any():
        written[f"{stem}_spleen.nii.gz"] = spleen
    with writing():
        for name, mask in written.items():
            write_mask(Volume(np.ascontiguousarray(mask), affine), staging / name)
    for name, mask in written.items():
        if not np.array_equal(read_mask(staging / name, scan.volume), mask):
            raise OutputError(
                "output_not_writable",
                "The mask read back is not the one that was written",
                found=f"other voxels in {name}",
                do="check the disk; nothing was changed",
            )
    found = measure_liver(
        scan.volume,
        engine="existing_mask",
        modality=scan.volume.modality,
        mask=staging / f"{stem}_liver.nii.gz",
    )
    second = Volume(spleen, affine) if spleen.any() else None
    with writing():
        write_overlay(scan.volume, found.mask, staging / f"{stem}.png", second=second)
    spleen_ml = volume_of(spleen, scan.volume.voxel_volume_ml) if spleen.any() else None
    return replace(found, spleen_mask=second, spleen_volume_ml=spleen_ml)


def _row(
    found: LiverMeasurement,
    measured: Mapping[str, Any],
    study: Mapping[str, Any],
    scan: Shown,
    reader: str,
    stem: str,
) -> dict[str, Any]:
    half = _half_width_ml(found, measured, study)
    kept = [f for f in str(measured.get("flags") or "").split(";") if f and f not in _BY_ENGINE]
    row = {
        "status": "measured",
        "error": "",
        "volume_ml": float(found.volume_ml),
        "volume_ml_low": None if half is None else max(0.0, found.volume_ml - half),
        "volume_ml_high": None if half is None else found.volume_ml + half,
        "flags": join_flags([*kept, *found.flags, "corrected_by_reader"]),
        "mask_path": f"{FOLDER}/{stem}_liver.nii.gz",
        "overlay_path": f"{FOLDER}/{stem}.png",
        "spleen_volume_ml": found.spleen_volume_ml,
        "liver_spleen_ratio": found.liver_spleen_ratio,
        "corrected_from_ml": measured.get("volume_ml"),
        "reader": reader,
    }
    if measured.get("status") != "measured":  # the engine's row is empty
        source = scan.volume.source
        row |= {
            "series_uid": source.series_uid,
            "modality": found.modality,
            "n_slices": source.n_slices or scan.volume.array.shape[2],
            "spacing_mm": format_spacing(scan.volume.spacing_mm),
            "engine": DRAWN,
            "contrast": source.contrast,
        }
    return row


def _half_width_ml(
    found: LiverMeasurement, measured: Mapping[str, Any], study: Mapping[str, Any]
) -> float | None:
    """Half the width of the 95 % limits: the study's own repeatability, else that of reading.

    A smallest detectable change is 1.96 sqrt(2) within-subject SD, so one measurement's is that
    over sqrt(2). On MR no figure for reading is known: there the engine's own relative width stays
    where it is wider, and without one there are no limits.
    """
    detectable = (study.get("smallest_detectable") or {}).get("liver_volume_ml")
    if detectable:
        return float(detectable) / math.sqrt(2)
    reading = READING_ERROR_PERCENT / 100 * found.volume_ml
    if found.modality == "CT":
        return reading
    volume, low, high = (
        measured.get(name) for name in ("volume_ml", "volume_ml_low", "volume_ml_high")
    )
    if not volume or low is None or high is None:
        return None
    return max(reading, (high - low) / 2 / volume * found.volume_ml)
