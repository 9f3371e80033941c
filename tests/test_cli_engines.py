"""Engines by the command line: masks drawn by people, and MONAI bundles that the user trusts."""

import nibabel as nib
import numpy as np
import pydicom
import pytest
from fibrovol.cli import main
from fibrovol.imaging.engines.liver_net import bundle_folder
from fibrovol.tables import read_table

pytestmark = pytest.mark.usefixtures("in_this_process")

AFFINE = np.diag([-2.0, -2.0, 5.0, 1.0])


@pytest.fixture
def scan(tmp_path):
    """A CT with a bright box, and a label map in which the box is number 6."""
    labels = np.zeros((90, 80, 40), np.uint8)
    labels[10:50, 15:60, 8:30] = 6
    hu = np.where(labels == 6, 100, -80).astype(np.int16)
    hu[0] = -1000
    labels[60:70, 15:60, 8:30] = 1
    for name, array in (("scan", hu), ("labels", labels)):
        nib.save(nib.Nifti1Image(array, AFFINE), tmp_path / f"{name}.nii.gz")
    coarse = np.diag([-4.0, -4.0, 5.0, 1.0])
    nib.save(nib.Nifti1Image(labels[::2, ::2], coarse), tmp_path / "coarse.nii.gz")
    return tmp_path / "scan.nii.gz"


def _row(folder):
    (row,) = read_table(folder, "volumes")
    return row


def test_one_organ_of_a_mask_is_measured(scan, tmp_path):
    out = tmp_path / "out"
    words = ["volume", str(scan), "-o", str(out), "--mask", str(scan.parent / "labels.nii.gz")]
    assert main([*words, "--mask-segment", "6"]) == 0
    assert _row(out)["volume_ml"] == pytest.approx(40 * 45 * 22 * 0.02, abs=0.01)
    assert main([*words, "--mask-segment", "1"]) == 0  # another organ is another measurement
    assert _row(out)["volume_ml"] == pytest.approx(10 * 45 * 22 * 0.02, abs=0.01)


def test_a_mask_of_a_study_names_its_organ(scan, tmp_path):
    text = "subject,timepoint,kind,path,mask,mask_segment,modality\n"
    text += "A,base,scan,scan.nii.gz,labels.nii.gz,6,CT\n"
    (tmp_path / "study.csv").write_text(text, encoding="utf-8")
    assert main(["run", str(tmp_path / "study.csv"), "-o", str(tmp_path / "out")]) == 0
    row = _row(tmp_path / "out")
    assert row["volume_ml"] == pytest.approx(40 * 45 * 22 * 0.02, abs=0.01)
    assert str(row["engine"]).startswith("existing_mask")


def test_a_mask_on_another_grid_needs_the_user_to_ask(scan, tmp_path):
    out = tmp_path / "out"
    words = ["volume", str(scan), "-o", str(out), "--mask", str(scan.parent / "coarse.nii.gz")]
    words += ["--mask-segment", "6"]
    assert main(words) == 3
    assert str(_row(out)["error"]).startswith("bad_region")
    assert main([*words, "--resample-mask"]) == 0
    assert _row(out)["status"] == "measured"


@pytest.mark.xdist_group("monai")
def test_a_bundle_is_not_run_unless_trusted(scan, tmp_path):
    out = tmp_path / "out"
    words = ["volume", str(scan), "-o", str(out), "--bundle", str(bundle_folder())]
    assert main(words) == 3
    assert "trust" in str(_row(out)["error"])
    main([*words, "--trust-bundle"])  # the refusal must not be taken for finished
    assert "trust" not in str(_row(out)["error"])


@pytest.mark.parametrize("key", ["trust_bundle", "keep_identity"])
def test_a_file_cannot_give_what_only_a_person_may(scan, tmp_path, capsys, key):
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"liver:\n  {key}: true\n", encoding="utf-8")
    words = ["volume", str(scan), "-o", str(tmp_path / "out"), "--settings", str(settings)]
    assert main(words) == 1
    assert "a file may not" in capsys.readouterr().err
    (tmp_path / "study.csv").write_text(
        "subject,timepoint,kind,path\nA,base,scan,scan.nii.gz\n", encoding="utf-8"
    )
    (tmp_path / "study.yaml").write_text(f"settings:\n  liver: {{{key}: true}}\n", encoding="utf-8")
    assert main(["run", str(tmp_path / "study.yaml"), "-o", str(tmp_path / "out")]) == 1


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    from fibrovol.phantoms.anatomy import draw_anatomy
    from fibrovol.phantoms.scans import write_ct_series

    folder = tmp_path_factory.mktemp("ct")
    anatomy = draw_anatomy(seed=3, liver_volume_ml=1200.0)
    truth = write_ct_series(folder / "CT of Gildong", anatomy, spacing_mm=(4.0, 4.0, 8.0))
    affine = truth.affine
    nib.save(nib.Nifti1Image(truth.liver_mask.astype(np.uint8), affine), folder / "liver.nii.gz")
    for file in (folder / "CT of Gildong").iterdir():
        image = pydicom.dcmread(file)
        image.PatientName = "Hong^Gildong"
        image.save_as(file)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("keep", [False, True])
def test_dicom_results_carry_the_name_only_when_asked(series, tmp_path, keep, capsys):
    out = tmp_path / "out"
    words = ["volume", str(series / "CT of Gildong"), "-o", str(out), "--dicom"]
    words += ["--mask", str(series / "liver.nii.gz"), *(["--keep-identity"] if keep else [])]
    assert main(words) == 0
    files = sorted((out / "masks").glob("*.dcm"))
    stem = "CT-of-Gildong" if keep else "case"
    assert [file.name for file in files] == [f"{stem}_liver.seg.dcm", f"{stem}_volume.sr.dcm"]
    for file in files:
        name = str(pydicom.dcmread(file).PatientName)
        assert name == ("Hong^Gildong" if keep else "case^")
    if not keep:
        assert "is named after the patient: the results call it case." in capsys.readouterr().err
        for file in out.rglob("*"):  # the journal holds the inputs' places, and says so
            if file.is_file() and ".fibrovol" not in file.parts:
                assert b"gildong" not in file.read_bytes().lower(), file
                assert "Gildong" not in file.name
