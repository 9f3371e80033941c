"""What inspect prints: a table by patient and date, without a hospital's number for anyone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fibrovol.cli import main

from . import dicom_writer as writer
from .dicom_writer import SeriesSpec

SMALL = SeriesSpec(
    heights_mm=tuple(np.arange(-45.0, 45.01, 5.0)), rows=24, columns=24, modality="MR"
)


def series(folder: Path, patient: str, date: str, number: int, **more: object) -> None:
    spec = replace(SMALL, series_uid=f"1.2.{len(patient)}.{date}.{number}")
    images = writer.slices(spec)
    for image in images:
        image.PatientID, image.StudyDate, image.SeriesNumber = patient, date, number
        image.StudyInstanceUID = f"1.3.{len(patient)}.{date}"
        for keyword, value in more.items():
            setattr(image, keyword, value)
    writer.save(images, folder)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Two patients on three dates, in an order that says nothing."""
    series(tmp_path / "a", "HOSP-99", "20240902", 3, SeriesDescription="Abd venous")
    series(tmp_path / "b", "HOSP-99", "20240301", 12, SeriesDescription="Abd venous")
    series(tmp_path / "c", "HOSP-99", "20240301", 4, SeriesDescription="MIP",
           ImageType=["DERIVED", "SECONDARY", "MIP"])  # fmt: skip
    series(tmp_path / "d", "HOSP-2", "20240115", 2, SeriesDescription="\u8179\u90e8 CT",
           SpecificCharacterSet="ISO_IR 192")  # fmt: skip
    return tmp_path


def table(capsys: pytest.CaptureFixture[str], path: Path) -> tuple[list[str], str, str]:
    main(["inspect", str(path)])
    out, err = capsys.readouterr()
    return out.split("\n\n")[0].splitlines(), out, err


def test_rows_are_sorted_and_summed_up(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, out, err = table(capsys, export)
    assert lines[0].split() == ["#", "patient", "date", "series", "slices", "usable"]
    rows = [line.split() for line in lines[2:]]
    assert [row[:4] for row in rows] == [
        ["1", "P1", "2024-01-15", "2"],
        ["2", "P2", "2024-03-01", "4"],
        ["3", "P2", "2024-03-01", "12"],
        ["4", "P2", "2024-09-02", "3"],
    ]
    assert [row[-1] for row in rows] == ["yes", "no", "yes", "yes"]
    assert [row[-2] for row in rows if row[-1] == "yes"] == ["19"] * 3
    assert "3 of 4 can be measured: 3 of 4 series of 2 patients on 3 dates." in err
    details = out.split("\n\n")[1:]
    assert len(details) == 4
    assert "projection" in details[1]
    assert "series_uid 1.2.7.20240902.3" in details[3]


def test_a_hospitals_number_is_not_shown(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, err = table(capsys, export)
    assert "HOSP" not in out + err
    main(["inspect", str(export), "--json"])
    plain = capsys.readouterr().out
    assert len(json.loads(plain)["scans"]) == 4
    assert "HOSP" not in plain
    assert "2024" not in plain.replace(".2024", "")  # the series' UIDs hold it


def test_a_code_is_shown_and_never_given_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    series(tmp_path / "a", "P1", "20240902", 3, PatientIdentityRemoved="YES")
    series(tmp_path / "b", "A-771", "20240301", 3)
    series(tmp_path / "c", "S-0007", "20240301", 3, PatientIdentityRemoved="NO")
    lines, out, _ = table(capsys, tmp_path)
    assert [line.split()[1] for line in lines[2:]] == ["P2", "P1", "P3"]
    assert "A-771" not in out
    assert "S-0007" not in out
