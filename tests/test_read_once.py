"""Work is handed on: how often each file of a scan is opened, parsed and hashed in one case."""

from __future__ import annotations

import builtins
import io
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fibrovol.batch import measure_case as measuring
from fibrovol.batch.task import CaseTask
from fibrovol.imaging.export.nifti import write_mask
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.readers.dicom_headers import read_headers
from fibrovol.imaging.volume import Volume
from fibrovol.intake.study import command_line_case
from fibrovol.settings import load_settings

from . import dicom_writer as writer
from .dicom_writer import SeriesSpec

SMALL = SeriesSpec(
    heights_mm=tuple(np.arange(-65.0, 65.01, 2.5)), rows=56, columns=64, spacing_mm=(2.5, 2.25)
)


@pytest.fixture
def counts(monkeypatch):
    """How often each file was opened and its header parsed."""
    opened, parsed = Counter(), Counter()
    true_open = io.open

    def count_open(file, *args, **more):
        if isinstance(file, str | Path):
            opened[Path(file)] += 1
        return true_open(file, *args, **more)

    def count_headers(path):
        parsed[path] += 1
        return read_headers(path)

    monkeypatch.setattr(io, "open", count_open)
    monkeypatch.setattr(builtins, "open", count_open)
    monkeypatch.setattr("fibrovol.imaging.readers.dicom_files.read_headers", count_headers)
    return opened, parsed


def measure(folder: Path, work: Path, *, dicom: bool, series_uid: str = ""):
    """One case with a drawn mask, as a worker measures it."""
    scan = read_scan(folder, series_uid=series_uid or None)
    mask = Volume(scan.array > -400, scan.affine)
    write_mask(mask, work / "mask.nii.gz")
    case = replace(
        command_line_case("scan", mask=work / "mask.nii.gz", series_uid=series_uid),
        path=folder,
        case_id="a",
    )
    settings = load_settings({"liver": {"dicom": dicom}})
    return CaseTask(case, settings, work / "staging")


@pytest.mark.parametrize(("dicom", "opens"), [(False, 2), (True, 3)])
def test_a_series_of_53_files(tmp_path, counts, dicom, opens):
    writer.write_series(tmp_path / "ct", SMALL)
    task = measure(tmp_path / "ct", tmp_path, dicom=dicom)
    opened, parsed = counts
    opened.clear()
    parsed.clear()
    result = measuring.measure_case(task)
    assert result.status == "measured", result.failure
    files = sorted((tmp_path / "ct").iterdir())
    assert len(files) == 53
    assert {opened[file] for file in files} == {opens}
    assert {parsed[file] for file in files} == {1}


def test_two_series_in_a_folder_are_listed_once(tmp_path, counts):
    spec = writer.write_series(tmp_path / "ct" / "a", SMALL)
    writer.write_series(tmp_path / "ct" / "b", heights_mm=tuple(np.arange(-60.0, 60.01, 5.0)))
    task = measure(tmp_path / "ct", tmp_path, dicom=False, series_uid=spec.series_uid)
    opened, parsed = counts
    opened.clear()
    parsed.clear()
    result = measuring.measure_case(task)
    assert result.status == "measured", result.failure
    files = [file for file in (tmp_path / "ct").rglob("*") if file.is_file()]
    assert max(opened[file] for file in files) <= 2  # its header, then its content or its hash
    assert {parsed[file] for file in files} == {1}
