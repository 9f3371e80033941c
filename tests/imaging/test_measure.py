"""A scan in, a liver measurement out: engines, flags, refusals, pictures; then real scans."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from fibrovol.errors import EngineError, MeasurementError, RegionError, ScanError
from fibrovol.imaging import agreement
from fibrovol.imaging import measure as measuring
from fibrovol.imaging.engines import EngineOptions, EngineResult, get_engine
from fibrovol.imaging.engines.existing_mask import existing_mask
from fibrovol.imaging.engines.liver_net import liver_net
from fibrovol.imaging.measure import measure_liver
from fibrovol.imaging.overlay import write_overlay
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.volume import ScanSource, Volume

RESAMPLE = EngineOptions.of(resample_mask=True)
AFFINE = np.diag([-2.0, -2.0, 4.0, 1.0])


def drawn_liver(shape=(90, 80, 50)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[15:55, 15:60, 12:38] = True
    return mask


@pytest.fixture
def scan() -> Volume:
    mask = drawn_liver()
    array = np.where(mask, 100, -100).astype(np.int16)
    array += (np.indices(array.shape).sum(axis=0) % 2).astype(np.int16)  # no plane is padding
    array[0, ::2] = -1000
    return Volume(array, AFFINE, source=ScanSource(n_slices=50, slice_thickness_mm=4.0))


def save_mask(mask: np.ndarray, path, affine=AFFINE):
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), affine), path)
    return path


def test_existing_mask_is_measured_on_its_voxels(scan, tmp_path):
    path = save_mask(drawn_liver(), tmp_path / "liver.nii.gz")
    found = measure_liver(scan, engine="existing_mask", mask=path)
    assert found.volume_ml == pytest.approx(drawn_liver().sum() * 16 / 1000)
    assert found.volume_ml_low is None
    assert found.flags == ()
    assert found.modality == "CT"
    assert np.array_equal(found.mask.array, drawn_liver())
    assert len(found.engine_sha256) == 64


def test_one_label_of_several_can_be_chosen(scan, tmp_path):
    labels = drawn_liver().astype(np.uint8) * 6
    labels[60:80, 20:50, 20:30] = 1
    path = save_mask(labels, tmp_path / "organs.nii.gz")
    found = measure_liver(
        scan, engine="existing_mask", mask=path, options=EngineOptions.of(mask_segment="6")
    )
    assert found.volume_ml == pytest.approx(drawn_liver().sum() * 16 / 1000)


def test_mask_on_another_grid_is_refused_unless_resampling_is_asked_for(scan, tmp_path):
    coarse = save_mask(drawn_liver()[::2, ::2], tmp_path / "l.nii.gz", np.diag([-4.0, -4, 4, 1]))
    with pytest.raises(RegionError, match="another grid"):
        measure_liver(scan, engine="existing_mask", mask=coarse)
    found = measure_liver(scan, engine="existing_mask", mask=coarse, options=RESAMPLE)
    assert found.volume_ml == pytest.approx(drawn_liver().sum() * 16 / 1000, rel=0.05)


def test_flipped_mask_is_refused_not_measured(scan, tmp_path):
    flipped = np.diag([2.0, -2.0, 4.0, 1.0])
    path = save_mask(drawn_liver(), tmp_path / "liver.nii.gz", flipped)
    with pytest.raises(RegionError, match="beyond the scan"):
        measure_liver(scan, engine="existing_mask", mask=path)
    with pytest.raises(RegionError, match="beyond the scan"):
        measure_liver(scan, engine="existing_mask", mask=path, options=RESAMPLE)


def test_unknown_engine_names_the_nearest(scan):
    with pytest.raises(EngineError, match="did you mean 'liver_net'"):
        measure_liver(scan, engine="livernet")


def test_other_modalities_are_refused(scan):
    with pytest.raises(ScanError, match="only CT and MR"):
        measure_liver(Volume(scan.array, scan.affine, "US"))


def engine_that_finds(mask, half_width=0.05):
    return lambda *_: EngineResult(mask, half_width, None, "test", "")


@pytest.mark.parametrize(
    ("mask", "half_width", "flag"),
    [
        (np.roll(drawn_liver(), -12, axis=2), 0.05, "liver_cut_off"),
        (drawn_liver(), 0.2, "low_confidence"),
        (drawn_liver() & (np.arange(50) < 20), 0.05, "small_liver"),
    ],
)
def test_what_a_reader_must_know_is_flagged(scan, monkeypatch, mask, half_width, flag):
    monkeypatch.setattr(measuring, "get_engine", lambda _: engine_that_finds(mask, half_width))
    assert measure_liver(scan, engine="test").flags == (flag,)


def test_thick_slices_are_flagged(scan, monkeypatch):
    monkeypatch.setattr(measuring, "get_engine", lambda _: engine_that_finds(drawn_liver()))
    thick = Volume(scan.array, np.diag([-2.0, -2.0, 7.0, 1.0]))
    assert "thick_slices" in measure_liver(thick, engine="test").flags


def test_flags_of_the_reader_are_kept(scan, monkeypatch):
    monkeypatch.setattr(measuring, "get_engine", lambda _: engine_that_finds(drawn_liver()))
    flagged = Volume(scan.array, scan.affine, flags=("gantry_tilt",))
    assert measure_liver(flagged, engine="test").flags == ("gantry_tilt",)


def test_limits_enclose_the_volume(scan, monkeypatch):
    monkeypatch.setattr(measuring, "get_engine", lambda _: engine_that_finds(drawn_liver(), 0.05))
    found = measure_liver(scan, engine="test")
    assert found.volume_ml_low == pytest.approx(0.95 * found.volume_ml)
    assert found.volume_ml_high == pytest.approx(1.05 * found.volume_ml)


def test_too_little_liver_is_a_failure_not_a_small_number(scan, monkeypatch):
    speck = np.zeros(scan.array.shape, bool)
    speck[10:14, 10:14, 10:14] = True
    monkeypatch.setattr(measuring, "get_engine", lambda _: engine_that_finds(speck))
    with pytest.raises(MeasurementError) as raised:
        measure_liver(scan, engine="test")
    assert raised.value.code == "no_liver_found"


def test_noise_without_a_body_has_no_liver():
    noise = np.random.default_rng(0).normal(-950, 40, (60, 60, 40)).astype(np.float32)
    with pytest.raises(ScanError, match="soft tissue lies"):
        measure_liver(Volume(noise, np.diag([3.0, 3, 4, 1]), "CT"))
    with pytest.raises(MeasurementError, match="no liver"):
        measure_liver(Volume(noise + 960, np.diag([3.0, 3, 4, 1]), "CT"))


def test_existing_mask_needs_a_mask(scan):
    with pytest.raises(EngineError, match="needs a mask"):
        measure_liver(scan, engine="existing_mask")


def test_changed_weights_are_refused(monkeypatch, tmp_path):
    folder = tmp_path / "liver"
    (folder / "models").mkdir(parents=True)
    (folder / "configs").mkdir()
    (folder / "models" / "model.pt").write_bytes(b"other weights")
    (folder / "configs" / "metadata.json").write_text('{"fibrovol": {"sha256": {"model.pt": "0"}}}')
    module = __import__("importlib").import_module("fibrovol.imaging.engines.liver_net")
    monkeypatch.setattr(module, "bundle_folder", lambda: folder)
    for cached in (module._metadata, module._network):
        cached.cache_clear()
    try:
        with pytest.raises(EngineError) as raised:
            module._network(is_ct=True)
        assert raised.value.code == "weights_changed"
    finally:
        for cached in (module._metadata, module._network):
            cached.cache_clear()


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_overlay_is_the_same_picture_each_time(scan, tmp_path, axes):
    array = np.transpose(scan.array, axes)
    affine = scan.affine[:, [*axes, 3]]
    mask = np.transpose(drawn_liver(), axes)
    paths = [tmp_path / f"{n}.png" for n in range(2)]
    for path in paths:
        write_overlay(Volume(array, affine), Volume(mask, affine), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    upright = tmp_path / "upright.png"
    write_overlay(scan, Volume(drawn_liver(), AFFINE), upright)
    assert paths[0].read_bytes() == upright.read_bytes()  # whatever the order of the axes


def test_engines_are_named_as_documented():
    assert get_engine("liver_net") is liver_net
    assert get_engine("existing_mask") is existing_mask


@pytest.mark.slow
def test_real_dicom_series_has_a_plausible_liver(shared_data):
    found = measure_liver(shared_data / "scans/dicom/whole_liver_ct")
    assert 900 < found.volume_ml < 2600
    assert found.volume_ml_low < found.volume_ml < found.volume_ml_high
    assert found.mask.array.shape == found.volume.array.shape


@pytest.mark.slow
def test_partial_liver_is_measured_and_said_to_be_cut_off(shared_data):
    found = measure_liver(shared_data / "scans/dicom/partial_liver_ct")
    assert "liver_cut_off" in found.flags
    assert found.border_contact_mm2 > 1000


def one_or_all(short, whole):
    """A few scans, and every one where the long form is asked for."""
    return pytest.mark.parametrize("cases", [short, pytest.param(whole, marks=pytest.mark.stress)])


@pytest.mark.slow
@one_or_all(["btcv24", "btcv27"], [f"btcv{number}" for number in range(24, 30)])
def test_held_out_ct_agrees_with_the_manual_labels(shared_data, cases):
    overlaps = []
    for case in cases:
        path = shared_data / f"scans/labelled_ct/{case}_ct.nii.gz"
        true = read_scan(str(path).replace("_ct.nii", "_organs.nii")).array == 6
        overlaps.append(agreement.dice(measure_liver(path).mask.array, true))
    assert float(np.median(overlaps)) >= 0.90, overlaps


def test_overlays_of_two_visits_have_one_scale(tmp_path):
    from PIL import Image

    scales = []
    for number, spacing in enumerate([(2.0, 2.0, 4.0), (0.8, 0.8, 7.0)]):
        affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
        mask = Volume(drawn_liver(), affine)
        path = tmp_path / f"{number}.png"
        write_overlay(Volume(np.where(mask.array, 100, -60), affine, "CT"), mask, path)
        with Image.open(path) as picture:
            scales.append(float(picture.info["mm_per_px"]))
    assert scales[0] == scales[1]
    assert 1.0 < scales[0] < 2.0


@pytest.mark.slow
@one_or_all(["03", "13"], ["01", "02", "03", "05", "08", "10", "13", "15"])
def test_held_out_mr_agrees_with_the_manual_labels_and_is_flagged(shared_data, cases):
    """No MR was in training. A refused scan counts as a Dice of 0."""
    overlaps = []
    for case in cases:
        path = shared_data / f"scans/labelled_mr/chaos_t2_{case}_mr.nii.gz"
        true = read_scan(str(path).replace("_mr.nii", "_organs.nii")).array == 1
        try:
            found = measure_liver(path, modality="MR")
        except MeasurementError:
            overlaps.append(0.0)
            continue
        assert "mr_unvalidated" in found.flags
        assert found.volume_ml_low < found.volume_ml < found.volume_ml_high
        assert found.spleen_volume_ml is None
        overlaps.append(agreement.dice(found.mask.array, true))
    assert float(np.median(overlaps)) >= 0.85, overlaps


@pytest.mark.slow
def test_a_mirrored_scan_is_flagged_a_blanked_one_refused_and_a_halved_one_called_cut_off(
    scan_of_a_liver,
):
    """A wrong header, a hole and padding in the middle of the liver each give a wrong volume."""
    scan = read_scan(scan_of_a_liver)
    right = measure_liver(scan, modality="CT")
    assert "orientation_doubtful" not in right.flags
    assert "liver_cut_off" not in right.flags
    mirrored = np.ascontiguousarray(scan.array[::-1])
    assert "orientation_doubtful" in measure_liver(replace(scan, array=mirrored)).flags
    middle = int(np.median(np.argwhere(right.mask.array)[:, 2]))
    blanked = scan.array.copy()
    blanked[:, :, middle : middle + 5] = scan.array.min()
    with pytest.raises(MeasurementError, match="scan is blank"):
        measure_liver(replace(scan, array=blanked))
    padded = scan.array.copy()
    padded[:, :, :middle] = scan.array.min()
    assert "liver_cut_off" in measure_liver(replace(scan, array=padded)).flags


@pytest.mark.slow
def test_a_head_has_no_liver(shared_data):
    with pytest.raises(MeasurementError) as raised:
        measure_liver(shared_data / "scans/dicom/quirks/vendor_hitachi/anatomical/001")
    assert raised.value.code == "no_liver_found"
