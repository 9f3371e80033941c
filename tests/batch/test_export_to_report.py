"""From a hospital's export to the report by two commands, and nothing in it of whom it shows."""

from __future__ import annotations

import csv
import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from fibrovol.batch.pool import SerialExecutor
from fibrovol.cli import main
from fibrovol.commands import measuring
from fibrovol.intake.date_shifts import read_shifts
from fibrovol.phantoms.anatomy import draw_anatomy
from fibrovol.phantoms.scans import write_ct_series
from fibrovol.phantoms.slides import write_slide
from fibrovol.tables import read_table
from pydicom.uid import generate_uid

VISITS = {"baseline": ("20170103", 1300.0), "month6": ("20170711", 1600.0)}
PATIENTS = {"HOSP-99001": "S01", "HOSP-99002": "S02"}
SCANNED = {"S01": ("baseline", "month6"), "S02": ("baseline",)}
KINDS = ("scan", "slide")
HEADERS = {
    "PatientName": "Zwetschgenbaum^Quirina",
    "PatientBirthDate": "19471208",
    "OtherPatientIDs": "OTHER-5501",
    "PatientAddress": "Kirschallee 7",
    "PatientTelephoneNumbers": "0815-4711-33",
    "AccessionNumber": "ACCN0815X",
    "StudyID": "STID7781",
    "InstitutionName": "Spital am Pflaumenhang",
    "ReferringPhysicianName": "Mirabell^Ottokar",
    "PerformingPhysicianName": "Reneklod^Ida",
    "OperatorsName": "Schlehdorn^Max",
    "PatientComments": "lives beside the Quittenhof",
    "StudyTime": "091733",
}
IN_HEADERS = (
    *("zwetschgenbaum", "quirina", "19471208", "1947-12-08", "other-5501", "kirschallee"),
    *("0815-4711", "accn0815", "stid7781", "pflaumenhang", "mirabell", "ottokar", "reneklod"),
    *("schlehdorn", "quittenhof", "091733", *(patient.lower() for patient in PATIENTS)),
)
DATES = tuple(
    text for day, _ in VISITS.values() for text in (day, f"{day[:4]}-{day[4:6]}-{day[6:]}")
)
IN_NAMES = ("haselnuss", "disc of")


def write_export(folder: Path) -> tuple[Path, Path]:
    """Scans flat in one folder without suffixes, junk among them; slides named by people."""
    disc, slides = folder / "disc of Haselnuss", folder / "slides of Haselnuss"
    disc.mkdir()
    slides.mkdir()
    for number, (patient, subject) in enumerate(PATIENTS.items()):
        for visit in SCANNED[subject]:
            day, volume_ml = VISITS[visit]
            made = folder / "made"
            anatomy = draw_anatomy(seed=number, liver_volume_ml=volume_ml)
            write_ct_series(
                made, anatomy, spacing_mm=(5.0, 5.0, 8.0), seed=number, subject=patient,
                study_date=f"{day[:4]}-{day[4:6]}-{day[6:]}",
            )  # fmt: skip
            for file in sorted(made.iterdir()):
                image = pydicom.dcmread(file)
                for keyword, value in HEADERS.items():
                    setattr(image, keyword, value)
                image.save_as(disc / f"{image.SOPInstanceUID[-12:]}")
            scout = pydicom.dcmread(sorted(made.iterdir())[0])
            scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
            scout.SeriesInstanceUID, scout.SOPInstanceUID = generate_uid(), generate_uid()
            scout.save_as(disc / f"scout{number}{visit}")
            shutil.rmtree(made)
            write_slide(
                slides / f"{subject}_{visit}_PSR_Haselnuss.tif", caf_percent=12.0, seed=number,
                size_px=(1100, 800), mpp_um=2.0,
            )  # fmt: skip
    (disc / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 64)
    (disc / "AUTORUN.INF").write_text("[autorun]\n", encoding="utf-8")
    (disc / "viewer.exe").write_bytes(b"MZ" + bytes(500))
    (disc / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(200))
    (slides / "notes.txt").write_text("ask Quirina\n", encoding="utf-8")
    (slides / "PSR_unnamed.tif").write_bytes(b"II*\0")
    return disc, slides


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export, its draft and the results of running the draft as it is."""
    folder = tmp_path_factory.mktemp("whole way")
    disc, slides = write_export(folder)
    lines = [f"{patient},{subject}" for patient, subject in PATIENTS.items()]
    codes = folder / "codes.csv"
    codes.write_text("\n".join(["patient_id,subject", *lines]) + "\n", encoding="utf-8")
    study = folder / "study"
    draft = ["init", str(disc), str(slides), "-o", str(study), "--codes", str(codes)]
    assert main(draft) == 0
    # not drawn: 189 days back would put the second visit on the true date of the first
    shifts = folder / "shifts.csv"
    shifts.write_text("subject,days\nS01,-100\nS02,-211\n", encoding="utf-8")
    run = ["run", str(study / "study.yaml"), "-o", str(folder / "results"), "--dicom"]
    with pytest.MonkeyPatch.context() as patch:  # new processes would load the libraries again
        patch.setattr(measuring, "make_executor", lambda *_: SerialExecutor(1))
        assert main([*run, "--shift-dates", str(shifts)]) == 0
    return folder


@pytest.mark.slow
def test_the_draft_of_an_export_runs_as_it_is(place: Path) -> None:
    with (place / "study" / "study.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    expected = {(s, v, k) for s, visits in SCANNED.items() for v in visits for k in KINDS}
    assert {(row["subject"], row["timepoint"], row["kind"]) for row in rows} == expected
    with (place / "study" / "study-open.csv").open(encoding="utf-8", newline="") as stream:
        (left,) = list(csv.DictReader(stream))
    assert left["note"] == "the name does not say which subject or timepoint"
    results = place / "results"
    pairs = [row for row in read_table(results, "paired") if row["timepoint"] == "month6"]
    for measure in ("liver_volume_ml", "caf_percent"):
        change = {row["subject"]: row["change"] for row in pairs if row["measure"] == measure}
        assert set(change) == set(PATIENTS.values())
        assert change["S02"] is None  # no second visit: a row, no number
        if measure == "liver_volume_ml":  # 1300 to 1600 mL was drawn
            assert change["S01"] == pytest.approx(300, abs=120)
    assert {row["contrast"] for row in read_table(results, "volumes")} == {"portal venous"}
    assert (results / "report.html").stat().st_size > 100_000


def _texts(folder: Path) -> Iterator[tuple[Path, str]]:
    """Every file as text without case, as it is and unpacked."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".gz":
                data += gzip.decompress(data)
            yield path, f"{path.name}\n{data.decode('latin-1')}".lower()


@pytest.mark.slow
def test_nothing_of_the_patient_stands_in_any_file(place: Path) -> None:
    results = place / "results"
    files = dict(_texts(results))
    kinds = {path.suffix for path in files}
    assert {".csv", ".json", ".html", ".log", ".png", ".gz", ".dcm"} <= kinds
    for path, text in files.items():
        for secret in (*IN_HEADERS, *DATES):
            assert secret not in text, f"{secret} in {path}"
        if ".fibrovol" not in path.parts:  # the journal holds the inputs' places, and says so
            for secret in (*IN_NAMES, str(place).lower()):
                assert secret not in text, f"{secret} in {path}"


@pytest.mark.slow
def test_dates_are_moved_by_the_subjects_own_days_in_seg_and_sr(place: Path) -> None:
    shifts = read_shifts(place / "shifts.csv")
    results = place / "results"
    for subject, days in shifts.items():
        for visit in SCANNED[subject]:
            day = VISITS[visit][0]
            for kind in ("liver.seg", "volume.sr"):
                made = pydicom.dcmread(results / "masks" / f"{subject}_{visit}_scan_{kind}.dcm")
                moved = _ordinal(made.StudyDate) - _ordinal(day)
                assert moved == days
                assert made.PatientID == subject


def _ordinal(text: str) -> int:
    from datetime import date

    return date(int(text[:4]), int(text[4:6]), int(text[6:8])).toordinal()
