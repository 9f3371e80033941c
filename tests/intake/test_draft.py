"""The first study.csv from an export: what is clear is drafted, the rest is left to a person."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fibrovol.errors import ManifestError, OutputError
from fibrovol.imaging.series.summary import SeriesSummary
from fibrovol.intake.draft import (
    Visits,
    clean_code,
    draft_study,
    plan_scans,
    plan_slides,
    read_codes,
)
from fibrovol.intake.study import read_study
from pydicom.uid import generate_uid

from .. import dicom_writer as writer

SCAN = SeriesSummary(
    Path("x"), "1", "CT", "abdomen", "axial", "portal venous", 60, 60, (0.7, 0.7, 3.0),
    (512, 512), 3.0, 180.0, "B30f", usable=True, patient_id="A1", study_date="20200101",
)  # fmt: skip


def scan(patient: str, date: str, uid: str, **changes: object) -> SeriesSummary:
    return replace(SCAN, patient_id=patient, study_date=date, series_uid=uid, **changes)


def plan(*series: SeriesSummary, codes: dict[str, str] | None = None) -> tuple[list, list]:
    return plan_scans(series, Path("x"), codes or {}, Visits())


def test_first_date_is_baseline_and_the_one_near_month_six_the_followup() -> None:
    rows, left = plan(scan("A1", "20200101", "1"), scan("A1", "20200710", "2"))
    assert [(row.timepoint, row.date, row.series_uid) for row in rows] == [
        ("baseline", "2020-01-01", "1"),
        ("month6", "2020-07-10", "2"),
    ]
    assert left == []


def test_dates_outside_the_window_are_left_open_with_the_reason() -> None:
    rows, left = plan(scan("A1", "20200101", "1"), scan("A1", "20210401", "2"))
    assert [row.timepoint for row in rows] == ["baseline"]
    assert left[0].note.startswith("456 days after the first scan")


def test_two_candidates_are_left_open() -> None:
    series = [scan("A1", date, date) for date in ("20200101", "20200615", "20200720")]
    rows, left = plan(*series)
    assert [row.timepoint for row in rows] == ["baseline"]
    assert len(left) == 2
    assert "one of 2 scans near month 6" in left[0].note


def test_the_followup_series_is_like_the_baseline() -> None:
    rows, _ = plan(
        scan("A1", "20200101", "1", contrast="arterial"),
        scan("A1", "20200710", "portal"),
        scan("A1", "20200710", "arterial", contrast="arterial"),
    )
    assert rows[1].series_uid == "arterial"
    assert rows[0].note == ""
    assert rows[1].note.startswith("taken before ")
    assert "like the baseline: phase" in rows[1].note
    rows, _ = plan(
        scan("A1", "20200101", "1"), scan("A1", "20200710", "2", modality="MR", contrast="T1")
    )
    assert rows[1].note == "modality_mismatch"


def test_a_tie_no_date_and_no_patient_are_left_open() -> None:
    rows, left = plan(
        scan("A1", "20200101", "1"), scan("A1", "20200101", "2"), scan("B", "", "3"),
        scan("", "20200101", "4"), scan("C", "20200101", "5"), replace(SCAN, usable=False),
    )  # fmt: skip
    assert [(row.subject, row.series_uid) for row in rows] == [("C", "5")]
    assert [row.subject for row in left] == ["", "A1", "A1", "B"]
    assert left[1].timepoint == "baseline"
    assert "do not distinguish" in left[1].note


def test_codes_stand_for_patient_ids(tmp_path: Path) -> None:
    file = tmp_path / "codes.csv"
    file.write_text("patient_id,subject\nA1,S01\n", encoding="utf-8")
    rows, left = plan(
        scan("A1", "20200101", "1"), scan("B2", "20200101", "2"), codes=read_codes(file)
    )
    assert [row.subject for row in rows] == ["S01"]
    assert "code list" in left[0].note
    assert "B2" not in left[0].note
    bads = ("patient_id,subject\nA,1\nA,2\n", "id,code\nA,1\n", "patient_id,subject\nA,\n")
    # blanks around an id do not make it another patient
    for bad in (*bads, "patient_id,subject\n A,1\nA,2\n", 'patient_id,subject\n"A ",1\nA,2\n'):
        file.write_text(bad, encoding="utf-8")
        with pytest.raises(ManifestError, match="code list"):
            read_codes(file)


@pytest.mark.parametrize(
    ("patient", "code"),
    [("=cmd", "cmd"), (" 47 11 ", "47-11"), ("@", "unnamed"), ("a\x07b", "a-b")],
)
def test_patient_ids_become_codes_that_a_spreadsheet_takes(patient: str, code: str) -> None:
    assert clean_code(patient) == code


def test_slides_by_their_names() -> None:
    files = [
        Path("slides/A1/A1_baseline_PSR.svs"), Path("slides/A1/A1_M6_sirius.svs"),
        Path("slides/A1/A1_PSR.svs"), Path("slides/A10_pre_Masson.ndpi"),
        Path("slides/A1_M6_HE.svs"),
    ]  # fmt: skip
    rows, left = plan_slides(files, {"A1", "A10"}, Visits())
    assert [(row.subject, row.timepoint, row.stain) for row in rows] == [
        ("A1", "baseline", "psr"), ("A1", "month6", "psr"), ("A10", "baseline", "masson"),
    ]  # fmt: skip
    assert [row.note for row in left] == [
        "the name does not say which timepoint", "the name does not say which stain",
    ]  # fmt: skip


def export(folder: Path) -> None:
    small = writer.SeriesSpec(
        heights_mm=tuple(np.arange(-80.0, 80.01, 5.0)), rows=24, columns=28, spacing_mm=(6.0, 6.0),
        thickness_mm=5.0,
    )  # fmt: skip
    for patient, date in (("P1", "20200101"), ("P1", "20200705"), ("P2", "20200301")):
        parts = writer.slices(replace(small, series_uid=generate_uid(), study_uid=generate_uid()))
        for part in parts:
            part.PatientID, part.StudyDate = patient, date
        writer.save(parts, folder, name=f"{patient}{date}" + "_{:03d}")


def test_the_draft_is_a_study_that_can_be_run(tmp_path: Path) -> None:
    export(tmp_path / "disc")
    slides = tmp_path / "slides"
    slides.mkdir()
    (slides / "P1_baseline_psr.svs").write_bytes(b"x")
    (slides / "unknown.svs").write_bytes(b"x")
    draft = draft_study(tmp_path / "disc", slides, tmp_path / "study")
    study = read_study(draft.study_yaml)
    assert [(case.subject, case.timepoint, case.kind) for case in study.cases] == [
        ("P1", "baseline", "scan"), ("P1", "month6", "scan"), ("P2", "baseline", "scan"),
        ("P1", "baseline", "slide"),
    ]  # fmt: skip
    assert all(case.path.exists() for case in study.cases)
    assert study.timepoints == ("baseline", "month6")
    text = "".join(
        (tmp_path / "study" / name).read_text(encoding="utf-8")
        for name in ("study.csv", "study.yaml", "study-open.csv")
    )
    for secret in ("Doe", "19500102", "ACC0815", "House"):
        assert secret not in text
    with (tmp_path / "study" / "study-open.csv").open(encoding="utf-8") as stream:
        (open_row,) = list(csv.DictReader(stream))
    assert open_row["path"] == "../slides/unknown.svs"
    with pytest.raises(OutputError, match="already"):
        draft_study(tmp_path / "disc", slides, tmp_path / "study")


def test_nothing_usable(tmp_path: Path) -> None:
    (tmp_path / "disc").mkdir()
    with pytest.raises(ManifestError, match="No scan"):
        draft_study(tmp_path / "disc", None, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_folder_where_every_row_is_open_leaves_the_rows_to_decide(tmp_path: Path) -> None:
    for n in range(2):  # two series that the rules do not tell apart
        writer.write_series(
            tmp_path / "scans" / str(n), heights_mm=tuple(np.arange(-65.0, 65.01, 5.0)),
            study_uid="1.2.3",
        )  # fmt: skip
    with pytest.raises(ManifestError, match="study-open"):
        draft_study(tmp_path / "scans", None, tmp_path / "study")
    text = (tmp_path / "study" / "study-open.csv").read_text(encoding="utf-8")
    assert len(text.splitlines()) == 3
    assert not (tmp_path / "study" / "study.csv").exists()
