"""A folder of several series and a mask: the mask says which of them it was drawn on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fibrovol.batch import measure_case as measuring
from fibrovol.batch.task import CaseTask
from fibrovol.errors import FibrovolError
from fibrovol.imaging.engines import EngineOptions
from fibrovol.imaging.export.dicom_seg import Organ, write_seg
from fibrovol.imaging.export.dicom_source import Identity, source_images
from fibrovol.imaging.export.nifti import write_mask
from fibrovol.imaging.measure import measure_liver
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.volume import Volume
from fibrovol.intake.expand import expand
from fibrovol.intake.study import command_line_case
from fibrovol.settings import load_settings
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from .. import dicom_writer as writer
from ..dicom_writer import SeriesSpec
from .test_masks import ball_contours, structure_set

PORTAL = SeriesSpec(
    heights_mm=tuple(np.arange(-65.0, 65.01, 5.0)), rows=40, columns=44, spacing_mm=(3.5, 3.25),
    thickness_mm=5.0, semi_axes_mm=(60.0, 57.0, 58.0),
)  # fmt: skip


def described(text: str, **changes):
    """A change of the headers of a series."""

    def change(number, image):
        image.SeriesDescription = text
        for keyword, value in changes.items():
            setattr(image, keyword, value)

    return change


ARTERIAL = replace(
    PORTAL, series_uid=generate_uid(), change=described("Abdomen arterial", SeriesNumber=4)
)
"""The same lattice: only the references tell which phase a mask was drawn on."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two phases of one visit; the rules take the portal venous one."""
    for name, spec in (("portal", PORTAL), ("arterial", ARTERIAL)):
        writer.save(writer.slices(spec), tmp_path / "visit" / name)
    return tmp_path / "visit"


def images_of(folder: Path, name: str) -> list:
    return [writer.read_back(path) for path in sorted((folder / name).iterdir())]


def contours_on(folder: Path, name: str, path: Path) -> Path:
    structure_set(images_of(folder, name), ball_contours(PORTAL)).save_as(path)
    return path


def measured(folder: Path, mask: Path, **options):
    return measure_liver(
        folder, engine="existing_mask", options=EngineOptions.of(mask_path=mask, **options)
    )


@pytest.mark.parametrize("name", ["portal", "arterial"])
def test_contours_choose_their_series(folder, tmp_path, name):
    found = measured(folder, contours_on(folder, name, tmp_path / "rs.dcm"))
    uid = {"portal": PORTAL.series_uid, "arterial": ARTERIAL.series_uid}[name]
    assert found.volume.source.series_uid == uid
    assert found.flags == ()


@pytest.mark.parametrize("name", ["portal", "arterial"])
def test_a_segmentation_chooses_its_series(folder, tmp_path, name):
    scan = read_scan(folder / name)
    mask = Volume(scan.array > -400, scan.affine)
    sources = source_images(scan, Identity("x"))
    write_seg([Organ("Liver", mask)], sources, tmp_path / "s.dcm", engine="e", version="1")
    found = measured(folder, tmp_path / "s.dcm")
    assert found.volume.source.series_uid == scan.source.series_uid
    assert np.array_equal(found.mask.array, mask.array)
    assert "mask_of_other_series" not in found.flags


def test_the_series_alone_is_enough(folder, tmp_path):
    """Some programs name the series and none of its images."""
    made = structure_set(images_of(folder, "arterial"), ball_contours(PORTAL))
    for contour in made.ROIContourSequence[0].ContourSequence:
        del contour.ContourImageSequence
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = ARTERIAL.series_uid
    study.RTReferencedSeriesSequence = Sequence([series])
    frame.FrameOfReferenceUID = PORTAL.frame_uid
    frame.RTReferencedStudySequence = Sequence([study])
    made.ReferencedFrameOfReferenceSequence = Sequence([frame])
    made.save_as(tmp_path / "rs.dcm")
    found = measured(folder, tmp_path / "rs.dcm")
    assert found.volume.source.series_uid == ARTERIAL.series_uid
    assert found.flags == ()


def test_a_mask_of_a_series_that_is_not_there_is_flagged_in_its_frame(folder, tmp_path):
    others = images_of(folder, "arterial")
    for image in others:
        image.SOPInstanceUID, image.SeriesInstanceUID = generate_uid(), "1.2.3.4"
    structure_set(others, ball_contours(PORTAL)).save_as(tmp_path / "rs.dcm")
    found = measured(folder, tmp_path / "rs.dcm")
    assert found.volume.source.series_uid == PORTAL.series_uid  # what the rules take
    assert found.flags == ("mask_of_other_series",)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"FrameOfReferenceUID": "1.2.3.9"}, "another frame of reference"),
        ({"StudyInstanceUID": "1.2.3.9"}, "another study"),
        ({"FrameOfReferenceUID": "1.2.3.9", "PatientID": "SOMEBODY"}, "another patient"),
    ],
)
def test_a_mask_of_none_of_them_is_refused(folder, tmp_path, change, word):
    others = images_of(folder, "portal")
    for image in others:
        image.SOPInstanceUID = generate_uid()
        for keyword, value in change.items():
            setattr(image, keyword, value)
    structure_set(others, ball_contours(PORTAL)).save_as(tmp_path / "rs.dcm")
    with pytest.raises(FibrovolError, match="none of the 2 series") as caught:
        measured(folder, tmp_path / "rs.dcm")
    assert word in str(caught.value)
    assert "SOMEBODY" not in str(caught.value)


def test_a_mask_of_images_that_are_left_out_says_so(folder, tmp_path):
    spec = replace(
        PORTAL, series_uid=generate_uid(),
        change=described("MIP", ImageType=["DERIVED", "SECONDARY", "AXIAL", "MIP"]),
    )  # fmt: skip
    writer.save(writer.slices(spec), folder / "mip")
    with pytest.raises(FibrovolError, match="images that are not measured"):
        measured(folder, contours_on(folder, "mip", tmp_path / "rs.dcm"))


def test_a_mask_of_a_series_that_cannot_be_measured_says_why(folder, tmp_path):
    spec = writer.without(replace(PORTAL, series_uid=generate_uid()), 5, 6, 7, 8)
    writer.save(writer.slices(spec), folder / "gap")
    mask = structure_set(images_of(folder, "gap"), [(n, c) for n, c in ball_contours(spec)])
    mask.save_as(tmp_path / "rs.dcm")
    with pytest.raises(FibrovolError) as caught:
        measured(folder, tmp_path / "rs.dcm")
    assert caught.value.code == "slice_gap_too_large"


@pytest.mark.parametrize("echo", [1, 2])
def test_frames_of_one_file_are_told_apart(tmp_path, echo):
    """Two echoes in one enhanced object: both have its SOPInstanceUID, the frame decides."""
    spec = replace(PORTAL, modality="MR")
    image = writer.enhanced(spec, echoes=2)
    writer.save([image], tmp_path / "mr")
    drawn = ball_contours(spec)
    made = structure_set([image], [(0, corners) for _, corners in drawn])
    for (number, _), contour in zip(drawn, made.ROIContourSequence[0].ContourSequence, strict=True):
        frame = number + 1 + (echo - 1) * len(spec.heights_mm)
        contour.ContourImageSequence[0].ReferencedFrameNumber = frame
    made.save_as(tmp_path / "rs.dcm")
    found = measured(tmp_path / "mr", tmp_path / "rs.dcm")
    assert found.volume.source.series_uid == f"{spec.series_uid}#{echo}"
    assert "mask_of_other_series" not in found.flags


def test_nifti_says_nothing_and_is_refused_on_another_lattice(folder, tmp_path):
    scan = read_scan(folder / "portal")
    write_mask(Volume(scan.array > -400, scan.affine), tmp_path / "m.nii.gz")
    with pytest.raises(FibrovolError, match="2 measurable series"):
        measured(folder, tmp_path / "m.nii.gz")


def test_a_case_of_a_study_and_of_the_command_line_do_the_same(folder, tmp_path):
    mask = contours_on(folder, "arterial", tmp_path / "rs.dcm")
    (case,) = expand([folder], command_line_case("scan", mask=mask))
    task = CaseTask(replace(case, case_id="a"), load_settings(), tmp_path / "out")
    result = measuring.measure_case(task)
    assert result.failure is None
    assert result.row["series_uid"] == ARTERIAL.series_uid
    assert result.row["flags"] == ""
    choice = result.parameters["series_choice"]
    assert choice["among"] == "series that the mask refers to"
