"""Images of two people under one subject's code are flagged, and nothing says who they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fibrovol.batch.runner import run_study
from fibrovol.imaging.export.nifti import write_mask
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.volume import Volume
from fibrovol.intake.study import read_study
from fibrovol.tables import read_table

from .. import dicom_writer as writer
from ..dicom_writer import SeriesSpec

SMALL = SeriesSpec(
    heights_mm=tuple(np.arange(-30.0, 30.01, 5.0)), rows=56, columns=64, spacing_mm=(2.5, 2.25),
    thickness_mm=5.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("other", "flag"),
    [
        ({}, ""),
        ({"PatientID": "HOSP-9999"}, "patient_id_differs"),
        ({"PatientBirthDate": "19710304"}, "another_person"),
        ({"PatientSex": "M"}, "another_person"),
        ({"PatientSex": ""}, ""),  # not stated is no other sex
    ],
)
def test_two_people_under_one_code_are_flagged(tmp_path: Path, other: dict, flag: str) -> None:
    def change(number: int, image) -> None:
        for keyword, value in other.items():
            setattr(image, keyword, value)

    lines = ["subject,timepoint,kind,path,mask"]
    for visit, spec in (("baseline", SMALL), ("month6", replace(SMALL, change=change))):
        folder = tmp_path / visit
        writer.write_series(folder, replace(spec, series_uid=f"1.2.{len(visit)}"))
        scan = read_scan(folder)
        write_mask(Volume(scan.array > -400, scan.affine), tmp_path / f"{visit}.nii.gz")
        lines.append(f"S01,{visit},scan,{visit},{visit}.nii.gz")
    (tmp_path / "study.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    results = tmp_path / "results"
    summary = run_study(read_study(tmp_path / "study.csv"), results)
    rows = read_table(results, "volumes")
    assert [row["flags"] for row in summary.rows] == [row["flags"] for row in rows]
    assert [row["status"] for row in rows] == ["measured", "measured"]
    assert [flag in str(row["flags"]) for row in rows] == [True, True]
    if not flag:
        assert not any("person" in str(row["flags"]) for row in rows)
        assert not any("patient_id" in str(row["flags"]) for row in rows)
    for file in results.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            for value in ("HOSP-9999", "HOSP-4711", "19710304", "19500102"):
                assert value.encode() not in data, (file, value)
