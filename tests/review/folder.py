"""A results folder as a run leaves it: three subjects, two visits, drawn livers of a known size."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from fibrovol.batch.journal import JOURNAL_NAME, Journal
from fibrovol.batch.record import Record
from fibrovol.batch.task import CaseResult
from fibrovol.datapackage import write_datapackage
from fibrovol.files import sha256_file
from fibrovol.imaging.export.nifti import write_mask
from fibrovol.imaging.overlay import write_overlay
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.volume import Volume
from fibrovol.tables import write_table

SHAPE, SPACING = (48, 40, 24), (6.0, 6.0, 8.0)
VOXEL_ML = 6 * 6 * 8 / 1000
SUBJECTS, VISITS = ("Kim-01", "Kim-02", "Kim-03"), ("baseline", "month6")


def bodies(scale: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey values in HU, liver and spleen along R, A, S (the liver is on the right: high i)."""
    i, j, k = np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij")

    def ball(centre: tuple[float, float, float], radii_mm: tuple[float, float, float]) -> Any:
        return (
            sum(
                ((axis - c) * s / (r * scale)) ** 2
                for axis, c, s, r in zip((i, j, k), centre, SPACING, radii_mm, strict=True)
            )
            <= 1
        )

    body = ball((24, 20, 12), (135 / scale, 105 / scale, 1e4))
    liver = ball((31, 21, 13 + shift), (66, 58, 60))
    spleen = ball((13, 16, 13 + shift), (28, 26, 36)) & ~liver
    hu = np.where(body, 20, -1000) + 90 * liver + 110 * spleen
    noise = np.random.default_rng(0).normal(0, 8, SHAPE)
    return (hu + noise).round().astype(np.int16), liver, spleen


def write_results(directory: Path, *, failed: bool = True) -> Path:
    """Write scans, tables, masks, pictures, journal and provenance; returns the results folder.

    The last subject's second scan has failed. The first subject's baseline is stored LPS, all
    others RAS. What is in the files is made once; only the journal names the folder.
    """
    results = directory / "results"
    for name, content in _drawn(failed).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (results / ".fibrovol").mkdir()
    with Journal(results / ".fibrovol" / JOURNAL_NAME) as journal:
        for subject in SUBJECTS:
            for visit in VISITS:
                case_id = f"{subject}_{visit}_scan"
                journal.add(_record(case_id, directory / "scans" / f"{case_id}.nii.gz"))
    return results


@functools.cache
def _drawn(failed: bool) -> dict[str, bytes]:
    """The files of ``scans`` and ``results``."""
    with tempfile.TemporaryDirectory() as name:
        _draw(Path(name), failed)
        files = [path for path in Path(name).rglob("*") if path.is_file()]
        return {path.relative_to(name).as_posix(): path.read_bytes() for path in files}


def _draw(directory: Path, failed: bool) -> None:
    results, inputs = directory / "results", directory / "scans"
    inputs.mkdir()
    results.mkdir()
    rows, cases = [], {}
    for number, subject in enumerate(SUBJECTS):
        for later, visit in enumerate(VISITS):
            case_id = f"{subject}_{visit}_scan"
            path = inputs / f"{case_id}.nii.gz"
            parts = bodies(1 + 0.04 * number + 0.06 * later, shift=later)
            write_scan_as(path, parts[0], lps=not number and not later)
            broken = failed and subject == "Kim-03" and later == 1
            row = _failed(subject, visit) if broken else _measured(results, path, case_id)
            row |= {"subject": subject, "timepoint": visit, "case_id": case_id}
            rows.append(row)
            outputs = {
                name: sha256_file(results / name)
                for name in (str(row.get("mask_path", "")), str(row.get("overlay_path", "")))
                if name
            }
            cases[case_id] = {"kind": "scan", "status": row["status"], "outputs": outputs}
    write_table(results, "volumes", rows)
    study = {
        "title": "Drawn bodies",
        "subjects": [{"subject": name, "timepoints": list(VISITS)} for name in SUBJECTS],
        "timepoints": list(VISITS),
        "primary_measures": ["liver_volume_ml"],
    }
    (results / "study.json").write_text(json.dumps(study), encoding="utf-8")
    provenance = {"schema": "fibrovol-provenance-1", "tables": {}, "cases": cases}
    (results / "provenance.json").write_text(json.dumps(provenance), encoding="utf-8")
    write_datapackage(results, title="Drawn bodies")


def _record(case_id: str, path: Path) -> Record:
    """What the page needs of a run's journal: where the scan lies."""
    return Record(CaseResult(case_id), "scan", str(path), (str(path),), "", "", None, 1, "")


def write_scan_as(path: Path, array: np.ndarray, *, lps: bool = False) -> None:
    """Write a scan whose axes run along R, A, S, or the other way along L, P."""
    affine = np.diag([*SPACING, 1.0])
    affine[:3, 3] = (-144, -120, -96)
    image = nibabel.Nifti1Image(array, affine)
    if lps:
        order = nibabel.orientations.axcodes2ornt(("L", "P", "S"))
        image = image.as_reoriented(order)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def _failed(subject: str, visit: str) -> dict[str, Any]:
    return {"status": "failed", "error": f"no_liver_found: no liver in {subject} {visit}"}


def _measured(results: Path, path: Path, case_id: str) -> dict[str, Any]:
    scan = read_scan(path)
    hu = scan.array
    # what the bodies are made of tells the organs apart again, whatever the file's axes
    masks = {
        "liver": Volume(np.abs(hu - 110.0) < 10, scan.affine),
        "spleen": Volume(np.abs(hu - 130.0) < 10, scan.affine),
    }
    for name, mask in masks.items():
        write_mask(mask, results / "masks" / f"{case_id}_{name}.nii.gz")
    overlay = results / "overlays" / f"{case_id}.png"
    write_overlay(scan, masks["liver"], overlay, second=masks["spleen"])
    liver, spleen = (int(np.count_nonzero(mask.array)) * VOXEL_ML for mask in masks.values())
    return {
        "status": "measured",
        "modality": "CT",
        "n_slices": SHAPE[2],
        "spacing_mm": "6x6x8",
        "volume_ml": liver,
        "volume_ml_low": liver * 0.95,
        "volume_ml_high": liver * 1.05,
        "engine": "liver_net",
        "flags": "thick_slices",
        "mask_path": f"masks/{case_id}_liver.nii.gz",
        "overlay_path": f"overlays/{case_id}.png",
        "input_sha256": sha256_file(path),
        "spleen_volume_ml": spleen,
        "liver_spleen_ratio": liver / spleen,
    }
