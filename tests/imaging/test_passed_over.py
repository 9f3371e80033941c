"""Slices that were packed are read; what is passed over is counted by its reason."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fibrovol.cli import main
from fibrovol.errors import ScanError
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.series.find import list_scans

from .. import dicom_writer as writer
from ..dicom_writer import SeriesSpec

SMALL = SeriesSpec(
    heights_mm=tuple(np.arange(-65.0, 65.01, 5.0)), rows=56, columns=64, spacing_mm=(2.5, 2.25),
    thickness_mm=5.0,
)  # fmt: skip


def pack(path: Path) -> Path:
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    path.unlink()
    return packed


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_packed_slices_are_slices(tmp_path, share):
    writer.write_series(tmp_path / "plain", SMALL)
    writer.save(writer.slices(SMALL), tmp_path / "packed", name="im{:04d}.dcm")
    files = sorted((tmp_path / "packed").iterdir())
    for file in files[-round(share * len(files)) :]:
        pack(file)
    whole, packed = read_scan(tmp_path / "plain"), read_scan(tmp_path / "packed")
    assert np.array_equal(whole.array, packed.array)
    assert packed.source.n_slices == 27


def test_a_packed_slice_that_is_cut_is_refused(tmp_path):
    writer.save(writer.slices(SMALL), tmp_path, name="im{:04d}.dcm")
    cut = pack(tmp_path / "im0003.dcm")
    cut.write_bytes(cut.read_bytes()[:-400])
    with pytest.raises(ScanError) as caught:
        read_scan(tmp_path)
    assert caught.value.code == "unreadable_file"


def test_what_is_passed_over_is_said(tmp_path):
    writer.write_series(tmp_path / "elsewhere", SMALL)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "ct").symlink_to(tmp_path / "elsewhere")
    for name in ("notes.txt", "more.txt", "scan.zip", ".hidden", "a.nii.gz"):
        (folder / name).write_bytes(b"x")
    passed = list_scans(folder).dicom.passed_over
    assert passed["link to a folder"] == 1
    assert passed["file of another kind (.txt)"] == 2
    assert passed["file of another kind (.zip)"] == 1
    assert passed["hidden file"] == 1
    with pytest.raises(ScanError, match="2 x file of another kind") as caught:
        read_scan(folder)
    assert "links" in str(caught.value)


def test_a_dicom_file_called_img_is_read(tmp_path):
    writer.save(writer.slices(replace(SMALL)), tmp_path, name="I{:04d}.IMG")
    assert read_scan(tmp_path).source.n_slices == 27


def test_an_image_without_a_place_does_not_sink_the_series(tmp_path):
    images = writer.slices(SMALL)
    stray = writer.dataset(SMALL, 900, writer.positions(SMALL)[0])
    del stray.ImagePositionPatient, stray.ImageOrientationPatient, stray.PixelSpacing
    stray.ImageType = ["DERIVED", "SECONDARY"]  # a capture that calls itself a CT
    writer.save([*images, stray], tmp_path)
    scan = read_scan(tmp_path)
    assert scan.flags == ("images_set_aside",)
    assert writer.measured_ml(scan) == pytest.approx(writer.TRUE_ML, rel=0.02)
    assert any("no position" in one.reason for one in list_scans(tmp_path).series)


def test_a_slice_that_lost_its_position_alone_is_still_a_slice(tmp_path):
    images = writer.slices(SMALL)
    del images[5].ImagePositionPatient
    writer.save(images, tmp_path)
    with pytest.raises(ScanError) as caught:
        read_scan(tmp_path)
    assert caught.value.code == "no_position"


def test_inspect_says_what_it_passed_over(tmp_path, capsys):
    writer.write_series(tmp_path / "elsewhere", SMALL)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "ct").symlink_to(tmp_path / "elsewhere")
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    assert main(["inspect", str(folder)]) == 1
    said = capsys.readouterr().err
    assert "1 x link to a folder" in said
    assert "1 x file of another kind (.txt)" in said


def test_a_folder_of_nifti_is_told_to_give_the_file(tmp_path):
    (tmp_path / "ct.nii").write_bytes(b"x")
    with pytest.raises(ScanError, match="the path of a NIfTI"):
        read_scan(tmp_path)
