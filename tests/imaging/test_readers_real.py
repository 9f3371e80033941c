"""Real exports with something wrong: each is read truly or refused with the reason.

The same table stands, in words, in docs/reference/scans.md; a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from fibrovol.errors import ScanError
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.volume import Volume

nibabel = pytest.importorskip("nibabel")

# folder -> flags when read, or the code of the refusal
READ: dict[str, tuple[str, ...]] = {
    "whole_liver_ct": (),
    "partial_liver_ct": (),
    "quirks/gantry_tilt_uneven_gaps_ct": ("gantry_tilt", "thick_slices", "uneven_slices"),
    "quirks/gantrytilting/001": ("gantry_tilt",),
    "quirks/multi_fragment_jpeg_mr/5001_anat-T1w_acq-tfl": (),
    "quirks/multi_fragment_jpeg_mr/6001_anat-T1w_acq-tfl": (),
    "quirks/sliceincrement/001": ("missing_slices",),
    "quirks/sliceincrement/002": ("gantry_tilt", "missing_slices"),
    "quirks/vendor_anatomical/001": (),
    "quirks/vendor_anatomical/001_implicit": (),
    "quirks/vendor_generic/anatomical/001": (),
    "quirks/vendor_generic/anatomical/001_implicit": (),
    "quirks/vendor_generic/anatomical/002_non_isotropic": (),
    "quirks/vendor_generic/compressed/001": (),
    "quirks/vendor_generic/compressed_j2k/001": (),
    "quirks/vendor_generic/compressed_jpeg/001": (),
    "quirks/vendor_generic/compressed_jpegls/001": (),
    "quirks/vendor_generic/compressed_rle/001": (),
    "quirks/vendor_hitachi/anatomical/001": (),
    "quirks/vendor_hitachi/anatomical/001_implicit": (),
    "quirks/vendor_hyperfine/anatomical/001": (),
    "quirks/vendor_philips_enhanced/anatomical/001": (),
    "quirks/vendor_philips_enhanced/anatomical/001_implicit": (),
    "quirks/vendor_siemens_multiframe/anatomical/001": (),
}
REFUSED: dict[str, str] = {
    "quirks/localizers_ct": "not_a_scan",
    "quirks/mixed_matrix_screen_captures_ct": "not_a_scan",
    "quirks/notavolume/001": "too_few_slices",
    "quirks/slicecount/001": "too_few_slices",
    "quirks/sliceincrement": "several_series",
    "quirks/sliceorientation/001": "inconsistent_slices",
    "quirks/transfer_syntaxes": "no_pixel_spacing",
    "quirks/vendor_generic/rgb/001": "not_a_scan",
    "segmentation_objects/ct-3slice": "too_few_slices",
}
# What a converter made of the series, beside it; sliceincrement/002 and rgb are compared below
TRUTH = sorted(
    folder
    for folder in READ
    if folder.startswith("quirks/vendor_") and not folder.endswith("_implicit")
)


@pytest.fixture(scope="module")
def dicom(shared_data: Path) -> Path:
    return shared_data / "scans" / "dicom"


@pytest.fixture(scope="module")
def scan_in(dicom: Path) -> Callable[[str], Volume]:
    """The scan in one of the folders, read once for all who only look at it."""
    return cache(lambda folder: read_scan(dicom / folder))


@pytest.mark.parametrize("folder", READ)
def test_is_read(scan_in: Callable[[str], Volume], folder: str) -> None:
    volume = scan_in(folder)
    assert tuple(sorted(volume.flags)) == READ[folder]
    assert volume.modality in {"CT", "MR"}
    assert min(volume.array.shape) >= 4
    assert volume.array.max() > volume.array.min()


@pytest.mark.parametrize("folder", REFUSED)
def test_is_refused(dicom: Path, folder: str) -> None:
    with pytest.raises(ScanError) as refusal:
        read_scan(dicom / folder)
    assert refusal.value.code == REFUSED[folder]


def test_every_folder_has_its_line(dicom: Path) -> None:
    folders = {file.parent for root in ("quirks", ".") for file in (dicom / root).rglob("*")}
    leaves = {
        str(folder.relative_to(dicom))
        for folder in folders
        if any(
            file.is_file() and not file.name.endswith((".gz", ".nrrd")) for file in folder.iterdir()
        )
    }
    assert leaves - {"segmentation_objects"} <= set(READ) | set(REFUSED)


def _same_grid(volume: Volume, truth: Volume) -> np.ndarray:
    """Our values in the order of the truth's axes; both must be the same points in space."""
    turn = np.linalg.inv(truth.affine) @ volume.affine
    steps = np.rint(turn[:3, :3]).astype(int)
    assert np.abs(turn[:3, :3] - steps).max() < 2e-3
    assert sorted(np.abs(steps).argmax(axis=0)) == [0, 1, 2]
    array = volume.array
    for axis in range(3):
        if steps[:, axis].sum() < 0:
            array = np.flip(array, axis)
    array = array.transpose(np.argsort(np.abs(steps).argmax(axis=0)))
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in volume.array.shape])).reshape(3, -1).T
    ours = np.sort((corners @ volume.affine[:3, :3].T + volume.affine[:3, 3]).round(2), axis=0)
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in truth.array.shape])).reshape(3, -1).T
    theirs = np.sort((corners @ truth.affine[:3, :3].T + truth.affine[:3, 3]).round(2), axis=0)
    assert ours == pytest.approx(theirs, abs=0.05)
    return array


@pytest.mark.parametrize("folder", TRUTH)
def test_agrees_with_the_converted_file_beside_it(
    dicom: Path, scan_in: Callable[[str], Volume], folder: str
) -> None:
    number = "002_non_isotropic" if folder.endswith("isotropic") else "001"
    truth_file = dicom / Path(folder).parent / f"{number}_ground_truth.nii.gz"
    image = nibabel.load(truth_file)
    truth = Volume(np.asarray(image.dataobj).reshape(image.shape[:3]), image.affine)
    array = _same_grid(scan_in(folder), truth)
    assert array.shape == truth.array.shape
    values = truth.array.astype(float)  # pytest.approx compares them one by one: a second each
    assert (np.abs(array - values) <= np.maximum(1e-4 * np.abs(values), 1e-2)).all()


def test_tilted_series_lies_where_the_converted_one_does(
    dicom: Path, scan_in: Callable[[str], Volume]
) -> None:
    """Its pixels are noise and dicom2nifti chose another distance: only the place can agree."""
    ours = scan_in("quirks/sliceincrement/002")
    image = nibabel.load(dicom / "quirks/sliceincrement/002_ground_truth.nii.gz")
    for column in range(2):
        mine, theirs = ours.affine[:3, column], image.affine[:3, column]
        assert np.abs(mine) == pytest.approx(np.abs(theirs), abs=1e-3)
    middle = [
        affine[:3, :3] @ (np.array(shape) - 1) / 2 + affine[:3, 3]
        for affine, shape in ((ours.affine, ours.array.shape), (image.affine, image.shape))
    ]
    assert middle[0] == pytest.approx(middle[1], abs=0.6)


def test_values_agree_with_simpleitk_on_a_clean_series(
    dicom: Path, scan_in: Callable[[str], Volume]
) -> None:
    sitk = pytest.importorskip("SimpleITK")
    folder = dicom / "whole_liver_ct"
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    volume = scan_in("whole_liver_ct")
    assert np.abs(sitk.GetArrayFromImage(image).transpose(2, 1, 0) - volume.array).max() < 1e-3
    direction = np.diag(volume.affine)[:3] / image.GetSpacing()
    assert direction == pytest.approx([-1, -1, 1])
    assert volume.affine[:3, 3] == pytest.approx(np.array(image.GetOrigin()) * [-1, -1, 1])


def test_partial_liver_is_placed_by_position_not_by_thickness(
    scan_in: Callable[[str], Volume],
) -> None:
    """SliceThickness is 3 mm, the slices are 2 mm apart."""
    volume = scan_in("partial_liver_ct")
    assert volume.spacing_mm[2] == pytest.approx(2.0)
    assert volume.source.slice_thickness_mm == 3.0


def test_labelled_scans_have_their_scale_factors_applied(shared_data: Path) -> None:
    file = shared_data / "scans" / "labelled_ct" / "btcv24_ct.nii.gz"
    volume = read_scan(file)
    assert volume.array.min() == pytest.approx(-125, abs=0.01)
    assert volume.array.max() == pytest.approx(275, abs=0.01)
    assert np.allclose(volume.affine, nibabel.load(file).affine)


def test_the_documented_table_says_the_same(repository: Path) -> None:
    text = (repository / "docs" / "reference" / "scans.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w./+-]+)` \|[^|]*\| ([^|]*) \|", text, flags=re.M))
    for folder, flags in READ.items():
        name = folder.removeprefix("quirks/")
        assert rows[name].startswith("read"), name
        assert set(re.findall(r"`(\w+)`", rows[name])) == set(flags), name
    for folder, code in REFUSED.items():
        name = folder.removeprefix("quirks/")
        assert rows[name].startswith(f"refused: `{code}`"), name
