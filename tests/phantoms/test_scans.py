"""Phantom series as other software reads them, and what is known of them."""

import hashlib

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from fibrovol.errors import OutputError
from fibrovol.phantoms import scans
from fibrovol.phantoms.anatomy import draw_anatomy
from fibrovol.phantoms.contrasts import CT_PORTAL_VENOUS
from fibrovol.phantoms.scans import (
    MR_CONTRASTS,
    render_scan,
    write_ct_series,
    write_mr_series,
    write_truth_mask,
)

SMALL_MM, SEED = (3.0, 3.0, 6.0), 0


def read_with_itk(directory):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(directory)))
    return reader.Execute()


@pytest.fixture(scope="module")
def body():
    return draw_anatomy(3, liver_volume_ml=1400.0)


@pytest.fixture(scope="module")
def series(body, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ct") / "scan"
    return write_ct_series(folder, body, spacing_mm=SMALL_MM, seed=SEED)


@pytest.fixture(scope="module")
def rendered(body):
    return render_scan(body, CT_PORTAL_VENOUS, spacing_mm=SMALL_MM, seed=0)


def test_the_series_has_its_geometry_in_another_reader(series):
    image = read_with_itk(series.directory)
    assert image.GetSpacing() == pytest.approx(SMALL_MM)
    assert image.GetSize() == series.liver_mask.shape
    assert image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    lps = series.affine[:3, 3] * (-1.0, -1.0, 1.0)
    assert image.GetOrigin() == pytest.approx(tuple(lps), abs=1e-4)


def test_the_liver_lies_where_the_truth_says_and_has_its_hounsfield_units(series):
    image = sitk.GetArrayFromImage(read_with_itk(series.directory)).transpose(2, 1, 0)
    assert 85 < np.median(image[series.liver_mask]) < 130
    assert image.min() <= -990
    assert image.max() > 300


def test_the_right_side_of_the_patient_holds_the_liver(series):
    indices = np.argwhere(series.liver_mask)
    ras = indices @ series.affine[:3, :3].T + series.affine[:3, 3]
    assert ras[:, 0].mean() > 30.0
    assert ras[:, 0].min() < 0.0  # the left lobe crosses the midline


def test_the_volume_is_that_of_the_mask_but_for_the_partial_voxels(series):
    voxel_ml = abs(np.linalg.det(series.affine[:3, :3])) / 1000.0
    counted = series.liver_mask.sum() * voxel_ml
    assert series.liver_volume_ml == pytest.approx(counted, rel=0.01)
    assert series.liver_volume_ml == pytest.approx(1400.0, rel=0.03)
    assert 100.0 < series.spleen_volume_ml < 900.0


def test_the_liver_does_not_touch_the_edge_of_the_scan(series):
    mask = series.liver_mask
    for axis in range(3):
        assert not mask.take([0, -1], axis=axis).any()


def test_the_volume_hardly_depends_on_the_scan_s_grid(body, rendered):
    thick = render_scan(body, CT_PORTAL_VENOUS, spacing_mm=(2.7, 2.7, 7.0), seed=4)
    assert rendered.liver_volume_ml == pytest.approx(thick.liver_volume_ml, rel=0.003)


def test_slices_step_evenly(series):
    files = sorted(series.directory.glob("*.dcm"))
    heights = [float(pydicom.dcmread(f).ImagePositionPatient[2]) for f in files]
    np.testing.assert_allclose(np.diff(heights), SMALL_MM[2], atol=1e-9)


def test_required_attributes_are_stated(series):
    files = sorted(series.directory.glob("*.dcm"))
    first = pydicom.dcmread(files[0])
    assert first.SOPClassUID == pydicom.uid.CTImageStorage
    assert first.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert first.SeriesInstanceUID == series.series_uid
    assert first.PatientID == "PHANTOM"
    assert first.PatientBirthDate == ""
    for keyword in (
        "StudyInstanceUID", "FrameOfReferenceUID", "ImagePositionPatient", "PixelSpacing",
        "ImageOrientationPatient", "SliceThickness", "RescaleSlope", "RescaleIntercept", "KVP",
    ):  # fmt: skip
        assert keyword in first
    uids = {pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID for f in files}
    assert len(uids) == len(files)


def digest(directory):
    return [hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(directory.iterdir())]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(series, tmp_path):
    for name, seed in (("again", SEED), ("other", SEED + 1)):
        body = draw_anatomy(3, liver_volume_ml=1400.0)
        write_ct_series(tmp_path / name, body, spacing_mm=SMALL_MM, seed=seed)
    assert digest(series.directory) == digest(tmp_path / "again")
    assert digest(series.directory) != digest(tmp_path / "other")


def test_a_grown_liver_keeps_its_body(body, rendered):
    grown = body.with_liver_volume(1540.0)
    assert grown.trunk == body.trunk
    before = rendered
    after = render_scan(grown, CT_PORTAL_VENOUS, spacing_mm=SMALL_MM, seed=0)
    assert after.liver_volume_ml - before.liver_volume_ml == pytest.approx(140.0, abs=15.0)
    kept = np.minimum(before.liver_fraction, after.liver_fraction).sum()
    assert kept / before.liver_fraction.sum() > 0.98


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("volume_ml", [800.0, 1500.0, 2200.0])
def test_every_body_holds_a_liver_of_the_size_asked_for(seed, volume_ml):
    draw_anatomy(seed, liver_volume_ml=volume_ml)


def test_a_liver_that_fits_in_no_body_is_refused(body):
    with pytest.raises(ValueError, match="does not fit"):
        body.with_liver_volume(6000.0)


@pytest.mark.parametrize("contrast", sorted(MR_CONTRASTS))
def test_mr_has_its_own_contrast(tmp_path, body, contrast):
    truth = write_mr_series(
        tmp_path / "mr", body, contrast=contrast, spacing_mm=(3.0, 3.0, 9.0), seed=1
    )
    image = sitk.GetArrayFromImage(read_with_itk(truth.directory)).transpose(2, 1, 0)
    assert pydicom.dcmread(next(truth.directory.glob("*.dcm"))).Modality == "MR"
    liver = np.median(image[truth.liver_mask])
    bright = np.percentile(image, 99.5)
    assert (liver < 0.45 * bright) == (contrast == "t2_spir")
    assert image.min() >= 0


def test_ascites_surrounds_the_liver(rendered):
    wet = draw_anatomy(3, liver_volume_ml=1400.0, ascites_mm=12.0)
    scan = render_scan(wet, CT_PORTAL_VENOUS, spacing_mm=SMALL_MM, seed=0)
    watery = [int(((s.image > -15) & (s.image < 30)).sum()) for s in (rendered, scan)]
    assert watery[1] > 1.3 * watery[0]
    assert scan.liver_volume_ml == pytest.approx(1400.0, rel=0.03)


def test_the_truth_mask_is_written_on_the_scan_s_grid(series, tmp_path):
    write_truth_mask(series, tmp_path / "truth.nii.gz")
    image = nib.load(tmp_path / "truth.nii.gz")
    np.testing.assert_allclose(image.affine, series.affine, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(image.dataobj).astype(bool), series.liver_mask)


def test_a_folder_with_other_files_is_refused(tmp_path, body, monkeypatch):
    monkeypatch.setattr(scans, "_FINE_MM", 12.01)  # what would be written is not the point
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        write_ct_series(tmp_path, body, spacing_mm=(12.0, 12.0, 12.0))
