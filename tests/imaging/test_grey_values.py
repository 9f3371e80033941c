"""Grey values are those of a CT or an MR, or the scan is refused with what was done to them."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from fibrovol.errors import ScanError
from fibrovol.imaging.engines.base import EngineResult
from fibrovol.imaging.grey_values import (
    by_values,
    check_body,
    check_ct,
    fat_is_misplaced,
    modality_of,
)
from fibrovol.imaging.measure import measure_liver
from fibrovol.imaging.organ_places import DOUBTFUL, place_flags
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.series.find import find_series
from fibrovol.imaging.volume import Volume
from fibrovol.phantoms.anatomy import draw_anatomy
from fibrovol.phantoms.scans import write_ct_series, write_mr_series

from .. import dicom_writer as writer
from ..dicom_writer import SeriesSpec


@pytest.fixture(scope="module")
def ct(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ct")
    truth = write_ct_series(folder, draw_anatomy(3, liver_volume_ml=1400), subject="P1")
    return read_scan(folder), truth


@pytest.fixture(scope="module")
def mr(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mr")
    body = draw_anatomy(3, liver_volume_ml=1400)
    write_mr_series(folder, body, subject="P1", spacing_mm=(2.4, 2.4, 7.0))
    return read_scan(folder)


def test_plain_scans_are_what_they_are(ct, mr):
    assert by_values(ct[0].array) == "CT"
    assert by_values(mr.array) == "MR"
    check_ct(ct[0].array)
    cropped = ct[0].array[40:110, 30:90, 15:40]  # the abdomen alone, without air around it
    assert by_values(cropped) == "CT"
    check_ct(cropped)


def test_one_dark_voxel_makes_no_ct(mr):
    """As cubic interpolation leaves them, 1 in 10,000."""
    array = mr.array.astype(np.int16).copy()
    array[np.random.default_rng(0).random(array.shape) < 1e-4] = -1000
    assert by_values(array) == "MR"


def test_an_mr_with_values_below_0_is_no_ct(mr):
    array = mr.array.astype(np.float32)
    assert by_values(array - 200) == "MR"
    assert by_values(array - array.mean()) == "MR"
    padded = np.where(array < 0.02 * array.max(), -1024, array)
    assert by_values(padded.astype(np.int16)) == "MR"


@pytest.mark.parametrize("shift", [-100, -50, 50, 100])
def test_a_scanner_that_is_somewhat_out_of_tune_gives_a_ct(ct, shift):
    check_ct(ct[0].array + shift)


def test_air_far_from_its_place_is_a_shift(ct):
    with pytest.raises(ScanError, match="air near -8"):
        check_ct(ct[0].array + 180)


WINDOWED = [(-1024, 3000), (-125, 275), (-160, 240)]


@pytest.mark.parametrize("window", WINDOWED)
def test_fat_where_fat_belongs_raises_no_doubt(ct, window):
    hu = np.clip(ct[0].array.astype(np.float32), *window)
    assert not fat_is_misplaced(hu)
    thin = np.where((hu > max(window[0], -150)) & (hu < -50), 40, hu)
    assert not fat_is_misplaced(thin)


@pytest.mark.parametrize("window", WINDOWED)
@pytest.mark.parametrize("change", [lambda hu: hu - 100, lambda hu: hu * 0.5, lambda hu: hu * 1.8])
def test_fat_elsewhere_is_doubted_even_where_a_window_cut_off_the_air(ct, window, change):
    assert fat_is_misplaced(change(np.clip(ct[0].array.astype(np.float32), *window)))


def test_a_ct_in_which_nothing_is_as_dark_as_fat_is_doubted(ct):
    assert fat_is_misplaced(np.clip(ct[0].array.astype(np.float32), -125, 275) + 200)
    assert fat_is_misplaced(np.clip(ct[0].array.astype(np.float32), 0, 200))


@pytest.mark.parametrize(("shift", "doubted"), [(0, False), (-100, True)])
def test_misplaced_fat_is_flagged_unless_the_liver_was_drawn(ct, monkeypatch, shift, doubted):
    volume, truth = ct
    drawn = EngineResult(truth.liver_mask, None, None, "drawn", "")
    for engine in ("liver_net", "existing_mask"):
        monkeypatch.setattr("fibrovol.imaging.measure.get_engine", lambda _: lambda *_: drawn)
        found = measure_liver(replace(volume, array=volume.array + shift), engine=engine)
        assert ("grey_values_doubtful" in found.flags) is (doubted and engine == "liver_net")


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_an_mr_of_any_gain_is_an_mr(mr, scale):
    assert by_values((mr.array * scale).astype(np.int16)) == "MR"
    z_score = (mr.array - mr.array.mean()) / mr.array.std() * 3
    assert by_values(z_score.astype(np.float32)) == "MR"


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda hu: hu + 1024, "1,024 was added"),
        (lambda hu: hu - 1024 - 1000 * (hu < -900), "minus 1,024 twice"),
        (lambda hu: np.clip((hu + 160) / 400, 0, 1) * 255, "scaled to 255"),
        (lambda hu: np.clip((hu + 160) / 400, 0, 1), "scaled to 1"),
        (lambda hu: (hu + 1024) * 0.1 + 300, "soft tissue lies"),
        (lambda hu: hu - 1024, "minus 1,024 twice"),
        (lambda hu: hu - 2048, "minus 1,024 twice"),
        (lambda hu: hu * 10, "beyond 4,000 HU"),
        (lambda hu: hu / 2, "air near -500"),
        (lambda hu: hu / 1000 + 1, "scaled to 1"),
        (lambda hu: np.where(hu < -900, 9999, hu), "beyond 4,000 HU"),
        (lambda hu: np.where(hu < -950, 0, hu), "exactly 0 HU"),
        (lambda hu: hu + 1024 * (np.arange(hu.shape[2]) % 2), "slices like those"),
        (lambda hu: hu + 1024 * (np.arange(hu.shape[2]) > 36), "slices like those"),
    ],
)
def test_a_ct_that_lost_its_units_is_refused_with_the_cause(ct, change, cause):
    changed = change(ct[0].array.astype(np.float32))
    with pytest.raises(ScanError, match=cause) as caught:
        check_ct(changed)
    assert caught.value.code == "implausible_values"


@pytest.mark.parametrize("shift", [-1024, -2048, 1024])
def test_a_shifted_ct_is_no_mr(ct, shift):
    """A file that states no modality was measured as MR."""
    with pytest.raises(ScanError, match="1,024"):
        by_values(ct[0].array.astype(np.int16) + shift)


@pytest.mark.parametrize(
    "change",
    [
        lambda hu: np.clip(hu, -500, 500), lambda hu: np.clip(hu, -200, 300),
        lambda hu: np.where(hu < -900, -3024, hu), lambda hu: np.where(hu < -900, -2000, hu),
        lambda hu: hu - 15,
    ],
)  # fmt: skip
def test_a_window_or_padding_makes_no_other_unit(ct, change):
    changed = change(ct[0].array.astype(np.float32))
    check_ct(changed)
    assert by_values(changed) == "CT"


def test_a_file_scaled_for_display_tells_no_modality(ct):
    grey = np.clip((ct[0].array.astype(np.float32) + 160) / 400, 0, 1)
    for values in (grey, (grey * 255).astype(np.uint8)):
        volume = Volume(values, ct[0].affine)
        with pytest.raises(ScanError, match="--modality"):
            modality_of(volume, "")
        assert modality_of(volume, "MR") == "MR"


def test_a_label_map_is_no_scan(ct):
    labels = np.where(ct[1].liver_mask, 5, 0).astype(np.uint8)
    labels[:20, :20, :20] = 1
    with pytest.raises(ScanError, match="label map"):
        by_values(labels)


@pytest.mark.parametrize(("factor", "small"), [(1.0, False), (0.1, True), (0.001, True)])
def test_centimetres_without_a_unit_are_too_small_for_a_body(ct, factor, small):
    volume = Volume(ct[0].array, np.diag([factor] * 3 + [1.0]) @ ct[0].affine)
    if not small:
        check_body(volume)
        return
    with pytest.raises(ScanError, match="unit of the spacing"):
        check_body(volume)


def test_inspect_says_the_same(tmp_path):
    spec = SeriesSpec(
        heights_mm=tuple(np.arange(-65.0, 65.01, 5.0)), rows=56, columns=64, thickness_mm=5.0,
        spacing_mm=(2.5, 2.25), object_value=60.0,
    )  # fmt: skip

    def lost(number, image):
        image.RescaleIntercept = "0"

    writer.write_series(tmp_path / "good", spec)
    writer.write_series(tmp_path / "lost", replace(spec, change=lost, series_uid="1.2.3.4"))
    listed = {one.path.name: one for one in find_series(tmp_path, values=True)}
    assert listed["good"].usable
    assert (listed["lost"].usable, listed["lost"].code) == (False, "implausible_values")


def test_inspect_knows_a_label_map_beside_a_scan(ct, tmp_path):
    volume, truth = ct
    for name, array in (("volume-0", volume.array), ("segmentation-0", truth.liver_mask)):
        nib.save(nib.Nifti1Image(array.astype(np.int16), volume.affine), tmp_path / f"{name}.nii")
    listed = {one.path.stem: one for one in find_series(tmp_path, values=True)}
    assert listed["volume-0"].usable
    assert listed["volume-0"].modality == "CT"
    assert "label map" in listed["segmentation-0"].reason


# where organs lie


def liver_alone(liver: np.ndarray, mirrored_by: str | None = None) -> EngineResult:
    return EngineResult(liver, None, None, "a network", "", mirrored_by=mirrored_by)


def test_organs_lie_where_they_must(ct):
    volume, truth = ct
    assert place_flags(volume, liver_alone(truth.liver_mask), "CT") == []
    for signs in ([-1, 1, 1, 1], [-1, -1, 1, 1], [1, -1, 1, 1]):
        turned = replace(volume, affine=np.diag(np.array(signs, float)) @ volume.affine)
        assert place_flags(turned, liver_alone(truth.liver_mask), "CT") == [DOUBTFUL]


def test_a_network_that_sees_more_in_the_mirror_is_believed(ct):
    """Where the places of the organs show nothing, as head for feet."""
    volume, truth = ct
    found = liver_alone(truth.liver_mask, mirrored_by="head and feet")
    assert place_flags(volume, found, "CT") == [DOUBTFUL]


def test_a_turned_array_with_its_affine_is_no_other_scan(ct):
    volume, truth = ct
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    flip[0, 3] = volume.array.shape[0] - 1
    same = replace(volume, array=volume.array[::-1], affine=volume.affine @ flip)
    assert place_flags(same, liver_alone(truth.liver_mask[::-1]), "CT") == []
