"""Laws of labels and slopes: labels are never added up unasked, and scaled values are exact."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
from fibrovol.errors import RegionError, ScanError
from fibrovol.imaging.masks.files import VoxelMask, liver_of, read_voxels
from fibrovol.imaging.readers import read_scan
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from .. import dicom_writer as writer
from ..dicom_writer import SeriesSpec

PURE = settings(max_examples=150, deadline=None)
FILED = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
AFFINE = np.diag([-2.0, -2.0, 3.0, 1.0])
NAMES = ("liver", "Leber", "spleen", "left kidney", "Segment 1", "", "肝臓", "tumor", "Hepar")
TINY = SeriesSpec(heights_mm=(-15.0, -5.0, 5.0, 15.0), rows=9, columns=11, spacing_mm=(4.0, 4.0))


@st.composite
def drawings(draw: st.DrawFn) -> tuple[VoxelMask, dict[tuple[int, int], np.ndarray]]:
    """Labels in one layer or two, of any numbers and names, and the voxels of each."""
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    numbers = draw(st.lists(st.integers(1, 30_000), min_size=1, max_size=6, unique=True))
    n_layers = draw(st.integers(1, 2))
    kind = draw(st.sampled_from([np.int16, np.float32]))
    layers, voxels, names = [], {}, {}
    for layer in range(n_layers):
        array = np.zeros((5, 6, 7), dtype=kind)
        for number in numbers:
            array[rng.random(array.shape) < 0.3] = number
        layers.append(array)
        for number in numbers:
            if (array == number).any():
                voxels[layer, number] = array == number
                names[layer, number] = (draw(st.sampled_from(NAMES)), ("", ""))
    assume(voxels)
    return VoxelMask(tuple(layers), AFFINE, names), voxels


@PURE
@given(drawings())
def test_what_is_taken_unasked_is_one_label(drawn) -> None:
    mask, voxels = drawn
    try:
        taken = liver_of(mask, "", 0.0, "m").array
    except RegionError:
        return
    same = [key for key, own in voxels.items() if np.array_equal(own, taken)]
    assert same, "several labels were added up, or something else was taken"
    is_liver = {mask.names[key][0] for key in same} & {"liver", "Leber", "肝臓", "Hepar"}
    assert len(voxels) == 1 or is_liver


@PURE
@given(drawings(), st.data())
def test_the_one_that_is_named_equals_its_voxels(drawn, data) -> None:
    mask, voxels = drawn
    layer, number = data.draw(st.sampled_from(sorted(voxels)))
    name = mask.names[layer, number][0]
    wanted = data.draw(st.sampled_from([str(number), name] if name else [str(number)]))
    names = [mask.names[key][0].casefold() for key in voxels]
    alone = [key for key in voxels if str(key[1]) == wanted]
    single = names.count(wanted.casefold()) == 1 if wanted == name else len(alone) == 1
    try:
        taken = liver_of(mask, wanted, 0.0, "m").array
    except RegionError:
        assert not single
        return
    assert np.array_equal(taken, voxels[layer, number])


@PURE
@given(drawings(), st.data())
def test_labels_asked_for_together_are_their_union(drawn, data) -> None:
    mask, voxels = drawn
    single = [number for layer, number in voxels if (1 - layer, number) not in voxels]
    assume(single)
    chosen = data.draw(st.lists(st.sampled_from(single), min_size=1, unique=True))
    taken = liver_of(mask, ",".join(map(str, chosen)), 0.0, "m").array
    union = np.any([own for (_, number), own in voxels.items() if number in chosen], axis=0)
    assert np.array_equal(taken, union)


SLOPES = st.one_of(
    st.sampled_from([1.0, 2.0, 0.5, -1.0, 1 / 255, 0.1, 1e-3]),
    st.floats(1e-4, 50).map(lambda value: float(np.float32(value))),
)
STORED = [np.uint8, np.int16, np.uint16, np.int32]


@FILED
@given(st.sampled_from(STORED), SLOPES, st.integers(1, 200), st.booleans(), st.integers(0, 2**31))
def test_a_drawing_is_the_same_whatever_its_file_is_scaled_by(
    kind, slope, value, several, seed
) -> None:
    """One value is the mask; several that are no whole numbers are refused, never one of them."""
    own = np.random.default_rng(seed).random((5, 6, 7)) < 0.4
    other = ~own & (np.random.default_rng(seed + 1).random(own.shape) < 0.4)
    assume(own.any() and other.any())
    stored = (own * value).astype(kind)
    if several:
        stored[other] = value + 1
    with tempfile.TemporaryDirectory() as folder:
        path = save_scaled(stored, slope, 0.0, Path(folder) / "m.nii")
        mask = read_voxels(path)
        if not several:
            assert np.array_equal(liver_of(mask, "", 0.0, "m").array, own)
            return
        number = np.float32(value) * np.float32(slope)
        whole = abs(number - np.rint(number)) < 1e-4 and abs(slope - np.rint(slope)) < 1e-4
        try:
            taken = liver_of(mask, f"{np.rint(number):.0f}", 0.0, "m").array
        except RegionError:
            assert not whole or number < 0  # a label is asked for by a number without a sign
            return
        assert np.array_equal(taken, own)


def save_scaled(stored: np.ndarray, slope: float, inter: float, path: Path) -> Path:
    """NIfTI as it lies in the file: nibabel would choose a scale of its own."""
    image = nib.Nifti1Image(stored, AFFINE, dtype=stored.dtype)
    image.header.set_slope_inter(slope, inter)
    nib.save(image, path)
    header = nib.load(path).dataobj
    assert (header.slope, header.inter) == (np.float32(slope), np.float32(inter))
    assert np.array_equal(header.get_unscaled(), stored)
    return path


@FILED
@given(st.sampled_from(STORED), SLOPES, st.floats(-1100, 1100), st.integers(0, 2**31))
def test_a_file_is_its_stored_values_times_slope_plus_intercept(kind, slope, inter, seed) -> None:
    rng = np.random.default_rng(seed)
    high = min(int(np.iinfo(kind).max), 30_000)
    stored = rng.integers(0, high, (8, 9, 5), endpoint=True).astype(kind)
    with tempfile.TemporaryDirectory() as folder:
        path = save_scaled(stored, slope, inter, Path(folder) / "s.nii.gz")
        values = read_scan(path).array
    true = stored.astype(float) * float(np.float32(slope)) + float(np.float32(inter))
    assert np.abs(values - true).max() <= 1e-6 * np.abs(true).max() + 1e-4


@FILED
@given(
    st.lists(SLOPES, min_size=4, max_size=4), st.floats(-1100, 1100), st.booleans(),
    st.sampled_from(["CT", "MR"]), st.integers(0, 2**31),
)  # fmt: skip
def test_each_slice_has_its_own_slope(slopes, intercept, signed, modality, seed) -> None:
    """As PET and many MR have it; of any sign, with fractions, in any order of the files."""
    rng = np.random.default_rng(seed)
    true = []
    images = writer.slices(TINY)
    for image, slope in zip(images, slopes, strict=True):
        stored = rng.integers(0, 4095, (TINY.rows, TINY.columns))
        if modality == "MR":
            image.Modality, image.SOPClassUID = "MR", "1.2.840.10008.5.1.4.1.1.4"
            image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
        image.PixelRepresentation = int(signed)
        image.PixelData = stored.astype(np.int16 if signed else np.uint16).tobytes()
        image.RescaleSlope, image.RescaleIntercept = f"{slope:.10g}", f"{intercept:.10g}"
        true.append(stored * float(f"{slope:.10g}") + float(f"{intercept:.10g}"))
    with tempfile.TemporaryDirectory() as folder:
        writer.save([images[n] for n in rng.permutation(4)], Path(folder) / "s")
        try:
            values = read_scan(Path(folder) / "s").array
        except ScanError as error:
            raise AssertionError(str(error)) from error
    expected = np.stack(true).transpose(2, 1, 0)
    assert np.abs(values - expected).max() <= 1e-6 * np.abs(expected).max() + 1e-3
