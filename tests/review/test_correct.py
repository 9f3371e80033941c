"""Corrections: exact voxels, own files, the tables follow, and back again byte for byte."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fibrovol.batch.corrections import corrected_row, orphans, read_corrections
from fibrovol.errors import InputError, RegionError
from fibrovol.files import sha256_file
from fibrovol.review.correct import READING_ERROR_PERCENT, Painted, save_labels
from fibrovol.review.results import Results
from fibrovol.review.scans import LIVER, SPLEEN, ScanShelf, read_labels, read_mask
from fibrovol.tables import read_table

from .folder import VOXEL_ML, write_results

CASE = "Kim-01_baseline_scan"


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(write_results(tmp_path))


def paint(results: Results, change, case_id: str = CASE, reader: str = "r1", **stale):
    """Load a case, change its labels, save."""
    case = results.state().cases[case_id]
    scan = ScanShelf(results).get(case)
    labels = read_labels(results.directory, case, scan)
    change(labels)
    painted = Painted(labels, reader, case.corrections.standing, case.mask_sha256)
    return save_labels(results, case, scan, replace(painted, **stale)), labels


def row_of(results: Results, case_id: str = CASE):
    return next(r for r in read_table(results.directory, "volumes") if r["case_id"] == case_id)


def twenty(labels: np.ndarray) -> None:
    """Take 20 voxels of liver away."""
    inside = np.argwhere(labels == LIVER)[:20]
    labels[tuple(inside.T)] = 0


def test_twenty_voxels_change_the_volume_by_exactly_these_and_nothing_is_lost(results) -> None:
    before, files = row_of(results), {}
    for path in (results.directory / "masks").iterdir():
        files[path] = sha256_file(path)
    _, labels = paint(results, twenty)
    row = row_of(results)
    assert row["volume_ml"] == pytest.approx(before["volume_ml"] - 20 * VOXEL_ML, abs=5e-3)
    assert row["corrected_from_ml"] == before["volume_ml"]
    assert row["reader"] == "r1"
    assert row["spleen_volume_ml"] == before["spleen_volume_ml"]
    assert row["liver_spleen_ratio"] == pytest.approx(
        row["volume_ml"] / row["spleen_volume_ml"], abs=1e-3
    )
    half = READING_ERROR_PERCENT / 100 * row["volume_ml"]
    assert row["volume_ml_low"] == pytest.approx(row["volume_ml"] - half, abs=0.01)
    assert row["volume_ml_high"] == pytest.approx(row["volume_ml"] + half, abs=0.01)
    assert row["flags"] == "thick_slices;corrected_by_reader"
    assert {path: sha256_file(path) for path in files} == files
    case = results.state().cases[CASE]
    scan = ScanShelf(results).get(case)
    mask = read_mask(results.directory / row["mask_path"], scan.volume)
    assert np.array_equal(mask, labels == LIVER)


def test_painting_it_back_leaves_the_table_as_it_was_byte_for_byte(results) -> None:
    table = results.directory / "volumes.csv"
    before = table.read_bytes()
    original = {}

    def first(labels: np.ndarray) -> None:
        original["labels"] = labels.copy()
        twenty(labels)

    paint(results, first)
    assert table.read_bytes() != before

    def back(labels: np.ndarray) -> None:
        labels[:] = original["labels"]

    corrections, _ = paint(results, back)
    assert table.read_bytes() == before
    assert corrections.standing == 0
    assert corrections.newest == 1
    kept = [one for one in (results.directory / "corrections").iterdir() if "_r1_" in one.name]
    assert len(kept) == 3


def test_provenance_holds_both_masks_and_nothing_is_an_orphan(results) -> None:
    before = results.state().cases[CASE].mask_sha256
    paint(results, twenty)
    provenance = json.loads((results.directory / "provenance.json").read_text(encoding="utf-8"))
    entry = provenance["cases"][CASE]
    for name in (f"masks/{CASE}_liver.nii.gz", f"corrections/{CASE}_r1_r1_liver.nii.gz"):
        assert entry["outputs"][name] == sha256_file(results.directory / name)
    assert entry["corrections"]["revisions"][0]["before_sha256"] == before
    assert provenance["tables"]["volumes.csv"] == sha256_file(results.directory / "volumes.csv")
    assert orphans(results.directory, set(provenance["cases"])) == []
    stray = results.directory / "corrections" / "stray.nii.gz"
    stray.write_bytes(b"x")
    assert [name for name, _ in orphans(results.directory, set(provenance["cases"]))] == [
        "corrections/stray.nii.gz"
    ]


def test_saving_over_a_newer_revision_is_refused_and_both_stay(results) -> None:
    old = results.state().cases[CASE]
    paint(results, twenty, reader="r1")
    with pytest.raises(InputError, match="Somebody else saved") as error:
        paint(results, twenty, reader="r2", revision=0, mask_sha256=old.mask_sha256)
    assert error.value.code == "changed_meanwhile"
    assert row_of(results)["reader"] == "r1"
    paint(results, twenty, reader="r2")
    assert read_corrections(results.directory, CASE).standing == 2
    assert (results.directory / "corrections" / f"{CASE}_r1_r1_liver.nii.gz").is_file()
    assert row_of(results)["corrected_from_ml"] == pytest.approx(
        row_of(results)["volume_ml"] + 40 * VOXEL_ML, abs=0.01
    )


def test_the_spleen_may_be_corrected_too(results) -> None:
    before = row_of(results)

    def less_spleen(labels: np.ndarray) -> None:
        labels[tuple(np.argwhere(labels == SPLEEN)[:7].T)] = 0

    paint(results, less_spleen)
    row = row_of(results)
    assert row["volume_ml"] == before["volume_ml"]
    assert row["spleen_volume_ml"] == pytest.approx(
        before["spleen_volume_ml"] - 7 * VOXEL_ML, abs=0.01
    )


def test_a_liver_that_touches_all_six_faces_keeps_its_shape_and_is_flagged(results) -> None:
    def cross(labels: np.ndarray) -> None:
        labels[labels == LIVER] = 0
        middle = [n // 2 for n in labels.shape]
        labels[:, middle[1] - 8 : middle[1] + 8, middle[2]] = LIVER
        labels[middle[0] - 8 : middle[0] + 8, :, middle[2]] = LIVER
        labels[middle[0] - 8 : middle[0] + 8, middle[1] - 8 : middle[1] + 8, :] = LIVER

    _, labels = paint(results, cross)
    row = row_of(results)
    assert row["volume_ml"] == pytest.approx((labels == LIVER).sum() * VOXEL_ML, abs=0.01)
    assert "liver_cut_off" in row["flags"]


def test_a_failed_case_can_be_drawn_from_nothing(results) -> None:
    case_id = "Kim-03_month6_scan"

    def draw(labels: np.ndarray) -> None:
        assert not labels.any()
        labels[10:30, 10:30, 8:16] = LIVER

    paint(results, draw, case_id)
    row = row_of(results, case_id)
    assert row["status"] == "measured"
    assert row["volume_ml"] == pytest.approx(20 * 20 * 8 * VOXEL_ML)
    assert (row["engine"], row["error"], row["corrected_from_ml"]) == (
        "drawn by a reader",
        "",
        None,
    )


def test_no_liver_at_all_is_no_correction(results) -> None:
    before = (results.directory / "volumes.csv").read_bytes()

    def nothing(labels: np.ndarray) -> None:
        labels[:] = 0

    with pytest.raises(RegionError, match="no liver"):
        paint(results, nothing)
    assert (results.directory / "volumes.csv").read_bytes() == before
    assert not (results.directory / "corrections").exists()


def test_the_studys_own_repeatability_gives_the_limits_where_it_is_known(results) -> None:
    study = json.loads((results.directory / "study.json").read_text(encoding="utf-8"))
    study["smallest_detectable"] = {"liver_volume_ml": 100.0}
    (results.directory / "study.json").write_text(json.dumps(study), encoding="utf-8")
    paint(results, twenty)
    row = row_of(results)
    assert row["volume_ml_high"] - row["volume_ml"] == pytest.approx(100 / np.sqrt(2), abs=0.01)


def test_a_correction_of_another_version_of_the_scan_is_named_and_not_taken(results) -> None:
    paint(results, twenty)
    corrections = read_corrections(results.directory, CASE)
    again = {**corrections.measured, "input_sha256": "f" * 64, "volume_ml": 1.0}
    row = corrected_row(corrections, again, "volumes")
    assert (row["volume_ml"], row["flags"]) == (1.0, "thick_slices;correction_outdated")
    assert corrected_row(corrections, corrections.measured, "volumes")["reader"] == "r1"


def test_a_scan_that_changed_is_not_painted_on(results, tmp_path: Path) -> None:
    (tmp_path / "scans" / f"{CASE}.nii.gz").write_bytes(
        (tmp_path / "scans" / "Kim-02_baseline_scan.nii.gz").read_bytes()
    )
    with pytest.raises(InputError, match="not the one that was measured"):
        paint(results, twenty)
