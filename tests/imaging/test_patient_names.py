"""A folder called after the patient does not give its name to the results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fibrovol.imaging.readers.identity import names_patient
from fibrovol.intake.study import command_line_case, study_of_cases

from .. import dicom_writer as writer


def _scan(folder: Path, name: str = "Hong^Gildong", patient: str = "H-4711") -> Path:
    (image,) = writer.slices(writer.SeriesSpec(heights_mm=(0.0,), rows=16, columns=16))
    image.PatientName, image.PatientID, image.PatientBirthDate = name, patient, "19500102"
    writer.save([image], folder)
    (folder / "aaa.txt").write_text("not DICOM", encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("folder", "named"),
    [
        ("Hong Gildong 1950", True),
        ("HONG_CT1", True),
        ("CT of 19500102", True),
        ("H-4711", False),  # the PatientID: in research data it is the code
        ("S01_baseline", False),
    ],
)
def test_a_folder_called_after_the_patient_gives_no_name_to_results(
    tmp_path: Path, folder: str, named: bool
) -> None:
    path = _scan(tmp_path / folder)
    assert names_patient(path) is named
    case = command_line_case("scan")
    study = study_of_cases([replace(case, path=path)], private={path} if named else set())
    assert (study.cases[0].case_id == "case") is named


def test_a_name_that_is_the_code_is_no_name(tmp_path: Path) -> None:
    path = _scan(tmp_path / "TRIAL-001", "TRIAL-001", "TRIAL-001")
    assert not names_patient(path)
    assert names_patient(_scan(tmp_path / "TRIAL Kim 2", "Kim^Minjun", "TRIAL-002"))


def test_what_is_no_dicom_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "Hong").mkdir()
    (tmp_path / "Hong" / "broken.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 64)
    assert not names_patient(tmp_path / "Hong")
    assert not names_patient(tmp_path / "missing")
