"""The table "what read_scan does" of docs/design.md, a row a test.

Every series holds the same ellipsoid. It is measured within 0.5 % of its true volume, with the
right flags, or the series is refused with the right code. Nothing else may happen.
"""
# Long because the design page's table is one table, and its rows share what builds the series.

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fibrovol.errors import ScanError
from fibrovol.imaging.readers import read_scan
from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from .. import dicom_writer as writer
from ..dicom_writer import PLANES, TRUE_ML, SeriesSpec, measured_ml, save, slices, without

TOLERANCE = 0.005
FIVE = tuple(np.arange(-65.0, 65.01, 5.0))
BASE = SeriesSpec(heights_mm=FIVE, thickness_mm=5.0)
FINE = SeriesSpec()
"""Slices 2.5 mm apart, for what depends on the distance."""
Writer = Callable[[Path], None]


def plain(spec: SeriesSpec = BASE, **changes: object) -> Writer:
    return lambda folder: save(slices(replace(spec, **changes)), folder) and None


def changed(change: Callable[[int, Dataset], None], **more: object) -> Writer:
    return plain(change=change, **more)


def touched(
    edit: Callable[[list[FileDataset]], list[FileDataset]], spec: SeriesSpec = BASE
) -> Writer:
    return lambda folder: save(edit(slices(spec)), folder) and None


def _shuffle(parts: list[FileDataset]) -> list[FileDataset]:
    order = np.random.default_rng(3).permutation(len(parts))
    numbers = np.random.default_rng(4).permutation(len(parts))
    for part, number in zip(parts, numbers, strict=True):
        part.InstanceNumber = int(number) + 1
    return [parts[index] for index in order]


def _set(**values: object) -> Callable[[int, Dataset], None]:
    def change(_: int, ds: Dataset) -> None:
        for keyword, value in values.items():
            setattr(ds, keyword, value)

    return change


def _delete(*keywords: str, only: int | None = None) -> Callable[[int, Dataset], None]:
    def change(number: int, ds: Dataset) -> None:
        if only is None or number == only:
            for keyword in keywords:
                delattr(ds, keyword)

    return change


def _long_decimals(number: int, ds: Dataset) -> None:
    """More than the 16 characters that a DS may have, as some anonymisers write."""
    from pydicom.dataelem import RawDataElement

    for keyword, tag in (("ImagePositionPatient", 0x00200032), ("PixelSpacing", 0x00280030)):
        text = "\\".join(f"{float(value):.17f}" for value in ds[keyword].value)
        ds._dict[pydicom_tag(tag)] = RawDataElement(
            pydicom_tag(tag),
            "DS",
            len(text),
            text.encode() + b" " * (len(text) % 2),
            0,
            False,
            True,
        )


def pydicom_tag(value: int) -> object:
    from pydicom.tag import Tag

    return Tag(value)


def _per_slice_slope(number: int, ds: Dataset) -> None:
    """Philips MR and PET-like exports: each slice uses its whole range."""
    spec = replace(BASE, slope=0.05 + 0.003 * (number % 7), intercept=-1000.0 - number)
    stored = np.frombuffer(ds.PixelData, np.uint16).reshape(ds.Rows, ds.Columns)
    writer.set_pixels(ds, spec, stored.astype(float) - 1024)


def _reconstruct(uid: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        parts = slices(BASE)
        for part in parts:
            part.compress(uid, generate_instance_uid=False)
        save(parts, folder)

    return write


def _deflate(folder: Path) -> None:
    parts = slices(BASE)
    for part in parts:
        part.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    save(parts, folder)


def _implicit(folder: Path) -> None:
    parts = slices(BASE)
    for part in parts:
        part.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        part._is_implicit_VR = True
    save(parts, folder)


def _big_endian(folder: Path) -> None:
    save([writer.big_endian(part) for part in slices(BASE)], folder)


def _copies_by_new_uid(parts: list[FileDataset]) -> list[FileDataset]:
    again = slices(BASE)
    for part in again:
        part.ContentTime = "111111"
    return [*parts, *again[10:25]]


def _add(
    *makers: Callable[[SeriesSpec], FileDataset],
) -> Callable[[list[FileDataset]], list[FileDataset]]:
    return lambda parts: [*parts, *(make(BASE) for make in makers)]


def _enhanced(modality: str, order: list[int] | None = None) -> Writer:
    def write(folder: Path) -> None:
        value = {"CT": {}, "MR": {"modality": "MR", "intercept": -1024.0}}[modality]
        spec = replace(BASE, **value)
        ds = writer.enhanced(spec, order=order)
        save([ds], folder)

    return write


def _high_bits(number: int, ds: Dataset) -> None:
    """12 bits of value with an overlay plane in bit 15, as older scanners embed it."""
    stored = np.frombuffer(ds.PixelData, np.uint16).copy()
    stored[:: 3 + number % 5] |= 0x8000
    ds.BitsStored, ds.HighBit = 12, 11
    ds.PixelData = stored.tobytes()


def _double_step(parts: list[FileDataset]) -> list[FileDataset]:
    return [part for n, part in enumerate(parts) if n < 14 or n % 2 == 0]


def _shift_some(number: int, ds: Dataset) -> None:
    """A reconstruction centre moved by 6 columns from slice 10 on, stated in the position."""
    if number < 10:
        return
    moved = [float(value) for value in ds.ImagePositionPatient]
    moved[0] += 6 * BASE.spacing_mm[1]
    ds.ImagePositionPatient = [f"{value:.6f}" for value in moved]
    spec = replace(BASE, change=None)
    writer.set_pixels(ds, spec, writer.image(spec, np.array(moved)))


MR_HEIGHTS = tuple(np.arange(-66.0, 66.01, 6.0))

MEASURED: dict[str, tuple[Writer, set[str]]] = {
    "clean": (plain(), set()),
    "signed": (plain(signed=True), set()),
    "fractional slope": (plain(slope=0.04441064140343), set()),
    "slope per slice": (changed(_per_slice_slope), set()),
    "one slice missing": (touched(lambda p: p, without(FINE, 20)), {"missing_slices"}),
    "three slices missing": (touched(lambda p: p, without(FINE, 20, 21, 22)), {"missing_slices"}),
    "two separate ones missing": (touched(lambda p: p, without(FINE, 12, 30)), {"missing_slices"}),
    "5 then 10 mm": (
        touched(_double_step, replace(BASE, thickness_mm=2.5)),
        {"uneven_slices"},
    ),
    "jitter of 0.02 mm": (plain(FINE, jitter_mm=0.02), set()),
    "jitter of 0.4 mm": (plain(FINE, jitter_mm=0.4), {"uneven_slices"}),
    "overlapping slices": (plain(FINE, thickness_mm=5.0), set()),
    "thin slices far apart": (plain(thickness_mm=1.0), set()),
    "tilt +15": (plain(tilt_degrees=15.0), {"gantry_tilt"}),
    "tilt -15": (plain(tilt_degrees=-15.0), {"gantry_tilt"}),
    "tilt +30": (plain(tilt_degrees=30.0), {"gantry_tilt"}),
    "tilt -30": (plain(tilt_degrees=-30.0), {"gantry_tilt"}),
    "tilt and a missing slice": (
        touched(lambda p: p, without(replace(FINE, tilt_degrees=12.0), 25)),
        {"gantry_tilt", "missing_slices"},
    ),
    "slices displaced": (changed(_shift_some), {"shifted_slices"}),
    "oblique": (plain(orientation=PLANES["oblique"]), set()),
    "sagittal": (plain(orientation=PLANES["sagittal"]), set()),
    "coronal": (plain(orientation=PLANES["coronal"]), set()),
    "feet first": (plain(patient_position="FFS"), set()),
    "prone": (plain(orientation=(-1, 0, 0, 0, -1, 0), patient_position="HFP"), set()),
    "feet first, prone": (
        plain(orientation=PLANES["feet_first_prone"], patient_position="FFP"), set()
    ),
    "head to foot": (plain(heights_mm=BASE.heights_mm[::-1]), set()),
    "every file twice": (touched(lambda p: [*p, *p]), {"duplicate_slices"}),
    "some images again under new UIDs": (touched(_copies_by_new_uid), {"duplicate_slices"}),
    "localizer in the series": (
        touched(_add(lambda s: writer.localizer(s, labelled=True))), set()
    ),
    "unlabelled localizer": (touched(_add(lambda s: writer.localizer(s, labelled=False))), set()),
    "secondary capture": (touched(_add(writer.capture)), set()),
    "capture without a place": (
        touched(_add(lambda s: writer.capture(s, with_place=False))), set()
    ),
    "shuffled InstanceNumber": (touched(_shuffle), set()),
    "no InstanceNumber": (changed(_delete("InstanceNumber")), set()),
    "InstanceNumber all the same": (changed(_set(InstanceNumber=1)), set()),
    "MONOCHROME1": (plain(photometric="MONOCHROME1"), set()),
    "over-long decimals": (changed(_long_decimals), set()),
    "an acquisition number a slice": (
        changed(lambda n, ds: setattr(ds, "AcquisitionNumber", n // 2 + 1)), set()
    ),
    "overlay in the high bits": (changed(_high_bits), set()),
    "enhanced CT": (_enhanced("CT"), set()),
    "enhanced CT, frames in disorder": (
        _enhanced("CT", [int(n) for n in np.random.default_rng(5).permutation(len(FIVE))]), set()
    ),
    "enhanced MR": (_enhanced("MR"), set()),
    "classic MR": (plain(modality="MR"), set()),
    "thick MR": (
        plain(modality="MR", heights_mm=MR_HEIGHTS, thickness_mm=5.5), {"thick_slices"}
    ),
    "JPEG-LS": (_reconstruct(JPEGLSLossless), set()),
    "JPEG 2000": (_reconstruct(JPEG2000Lossless), set()),
    "RLE": (_reconstruct(RLELossless), set()),
    "deflated": (_deflate, set()),
    "implicit VR": (_implicit, set()),
    "big endian": (_big_endian, set()),
    "a frame of reference a file": (
        changed(lambda n, ds: setattr(ds, "FrameOfReferenceUID", generate_uid())), set()
    ),
    "no rescale": (
        changed(_delete("RescaleSlope", "RescaleIntercept"), signed=True), {"no_rescale"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MEASURED)
def test_is_measured_right_and_flagged(case: str, tmp_path: Path) -> None:
    write, flags = MEASURED[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the writer is made to break rules
        write(tmp_path)
    volume = read_scan(tmp_path)
    # without a CT's rescale the grey values carry no offset; the object is still the brighter part
    level = (float(volume.array.max()) + float(volume.array.min())) / 2
    assert measured_ml(volume, level) == pytest.approx(TRUE_ML, rel=TOLERANCE)
    assert set(volume.flags) == flags
    centre = writer.measured_centre(volume, level)
    assert centre == pytest.approx([-12, 25, 310], abs=0.6)  # RAS of the object's LPS centre


@pytest.mark.parametrize("case", ["clean", "signed", "slope per slice", "MONOCHROME1", "JPEG 2000"])
def test_values_are_hounsfield_units(case: str, tmp_path: Path) -> None:
    MEASURED[case][0](tmp_path)
    array = read_scan(tmp_path).array
    assert float(array.max()) == pytest.approx(writer.OBJECT_VALUE, abs=0.05)
    assert float(array.min()) == pytest.approx(writer.OUTSIDE_VALUE, abs=0.05)


def test_mr_stored_upside_down_is_turned_over(tmp_path: Path) -> None:
    def reverse(_: int, ds: Dataset) -> None:
        stored = np.frombuffer(ds.PixelData, np.uint16)
        ds.PixelData = (65535 - stored).astype(np.uint16).tobytes()
        ds.PhotometricInterpretation = "MONOCHROME1"
        for keyword in ("RescaleSlope", "RescaleIntercept", "RescaleType"):
            if keyword in ds:
                delattr(ds, keyword)

    changed(reverse, modality="MR")(tmp_path)
    array = read_scan(tmp_path).array
    assert array.max() == 1124
    assert array.min() == 124


def _truncate(folder: Path) -> None:
    paths = save(slices(BASE), folder)
    data = paths[20].read_bytes()
    paths[20].write_bytes(data[: len(data) - 9000])


def _truncate_compressed(folder: Path) -> None:
    parts = slices(BASE)
    for part in parts:
        part.compress(JPEG2000Lossless, generate_instance_uid=False)
    paths = save(parts, folder)
    data = paths[20].read_bytes()
    paths[20].write_bytes(data[: len(data) - 400])


def _cut_in_the_header(folder: Path) -> None:
    paths = save(slices(BASE), folder)
    paths[-1].write_bytes(paths[-1].read_bytes()[:700])


def _text_file(folder: Path) -> None:
    (folder / "image.dcm").write_text("this is no image", encoding="utf-8")


def _mixed_spacing(number: int, ds: Dataset) -> None:
    if number % 3 == 1:
        ds.PixelSpacing = [1.0, 1.0]


def _mixed_spacing_half(number: int, ds: Dataset) -> None:
    if number >= 15:
        ds.PixelSpacing = [1.0, 1.0]


def _mixed_size(number: int, ds: Dataset) -> None:
    if number in {20, 21}:
        stored = np.frombuffer(ds.PixelData, np.uint16).reshape(ds.Rows, ds.Columns)
        ds.PixelData, ds.Rows = stored[:-10].tobytes(), ds.Rows - 10


def _imager_spacing_only(number: int, ds: Dataset) -> None:
    del ds.PixelSpacing
    ds.ImagerPixelSpacing = [1, 1]


FRAMES = [generate_uid() for _ in range(2)]


def _moved_patient(number: int, ds: Dataset) -> None:
    ds.FrameOfReferenceUID = FRAMES[number >= 15]


def _colour(number: int, ds: Dataset) -> None:
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelData = bytes(ds.Rows * ds.Columns * 3)


def _reversed_ct(number: int, ds: Dataset) -> None:
    stored = np.frombuffer(ds.PixelData, np.uint16)
    ds.PixelData = (4095 - stored).astype(np.uint16).tobytes()
    ds.PhotometricInterpretation = "MONOCHROME1"


def _two_unmarked(parts: list[FileDataset]) -> list[FileDataset]:
    """Two phases with nothing in the headers that differs, filed in alternation."""
    other = slices(replace(BASE, object_value=40.0))
    mixed = []
    for number, pair in enumerate(zip(parts, other, strict=True)):
        for copy, part in enumerate(pair):
            part.InstanceNumber = 2 * number + copy
            mixed.append(part)
    return mixed


REFUSED: dict[str, tuple[Writer, str]] = {
    "gap of 17.5 mm": (touched(lambda p: p[:20] + p[26:], FINE), "slice_gap_too_large"),
    "slices 16 mm apart": (
        plain(heights_mm=tuple(np.arange(-64.0, 65, 16.0))), "slice_gap_too_large"
    ),
    "no orientation": (changed(_delete("ImageOrientationPatient")), "no_orientation"),
    "no position": (changed(_delete("ImagePositionPatient")), "no_position"),
    "one slice without position": (changed(_delete("ImagePositionPatient", only=9)), "no_position"),
    "no pixel spacing": (changed(_delete("PixelSpacing")), "no_pixel_spacing"),
    "only ImagerPixelSpacing": (
        changed(_imager_spacing_only),
        "no_pixel_spacing",
    ),
    "orientation of zeros": (changed(_set(ImageOrientationPatient=[0] * 6)), "no_orientation"),
    "pixel spacing of zero": (changed(_set(PixelSpacing=[0, 0])), "implausible_geometry"),
    "pixel spacing of 50 mm": (changed(_set(PixelSpacing=[50, 50])), "implausible_geometry"),
    "three slices": (plain(heights_mm=(-5.0, 0.0, 5.0)), "too_few_slices"),
    "one slice": (plain(heights_mm=(0.0,)), "too_few_slices"),
    "all at one position": (
        changed(_set(ImagePositionPatient=["0", "0", "0"]), heights_mm=(0.0, 1.0, 2.0, 30.0)),
        "too_few_slices",
    ),
    "mixed PixelSpacing": (changed(_mixed_spacing), "inconsistent_slices"),
    "PixelSpacing changes half-way": (changed(_mixed_spacing_half), "inconsistent_slices"),
    "different Rows": (changed(_mixed_size), "inconsistent_slices"),
    "two phases, nothing tells them apart": (touched(_two_unmarked), "ambiguous_slices"),
    "truncated file": (_truncate, "truncated_pixel_data"),
    "truncated JPEG 2000": (_truncate_compressed, "truncated_pixel_data"),
    "text file named .dcm": (_text_file, "not_a_scan"),
    "empty folder": (lambda folder: None, "not_a_scan"),
    "colour": (changed(_colour), "unsupported_pixel_data"),
    "reversed MONOCHROME1 CT": (changed(_reversed_ct), "unsupported_pixel_data"),
    "slope of zero": (changed(_set(RescaleSlope="0")), "unsupported_pixel_data"),
    "no pixel data": (changed(_delete("PixelData")), "unsupported_pixel_data"),
    "ultrasound": (changed(_set(Modality="US")), "not_a_scan"),
    "only captures": (lambda f: save([writer.capture(BASE)], f) and None, "not_a_scan"),
    "patient moved between two halves": (changed(_moved_patient), "inconsistent_slices"),
    "radial stack": (
        lambda folder: save(
            [
                writer.dataset(
                    (s := replace(BASE, orientation=(np.cos(a), np.sin(a), 0, 0, 0, -1))),
                    n,
                    writer.positions(replace(s, heights_mm=(0.0,)))[0],
                )
                for n, a in enumerate(np.linspace(0, 2, 12))
            ],
            folder,
        )
        and None,
        "inconsistent_slices",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused_with_its_code(case: str, tmp_path: Path) -> None:
    write, code = REFUSED[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write(tmp_path)
    with pytest.raises(ScanError) as refusal:
        read_scan(tmp_path)
    assert refusal.value.code == code
    assert refusal.value.do  # every refusal says what to do


def test_a_header_cut_short_is_never_left_out_silently(tmp_path: Path) -> None:
    _cut_in_the_header(tmp_path)
    with pytest.raises(ScanError) as refusal:
        read_scan(tmp_path)
    assert refusal.value.code in {
        "unreadable_file",
        "no_position",
        "no_pixel_spacing",
        "no_orientation",
    }


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="does not exist") as refusal:
        read_scan(tmp_path / "nothing")
    assert refusal.value.code == "unreadable_file"


@pytest.mark.skipif(
    os.name == "nt" or (hasattr(os, "geteuid") and os.geteuid() == 0),
    reason="needs a user whom permissions bind",
)
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    paths = save(slices(BASE), tmp_path)
    paths[5].chmod(0)
    with pytest.raises(ScanError) as refusal:
        read_scan(tmp_path)
    assert refusal.value.code == "unreadable_file"


def test_a_file_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = save(slices(BASE), tmp_path)
    real = Path.open

    def refuse(self: Path, *args: object, **kwargs: object) -> object:
        if self == paths[5]:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ScanError, match="Permission denied") as refusal:
        read_scan(tmp_path)
    assert refusal.value.code == "unreadable_file"


def _phases(key: str, first: object, second: object, *, offset: float = 0.0) -> Writer:
    def write(folder: Path) -> None:
        for number, (value, height) in enumerate(((first, 100.0), (second, 40.0))):
            spec = replace(
                BASE,
                object_value=height,
                heights_mm=tuple(h + number * offset for h in FIVE),
                thickness_mm=5.0,
                modality="MR" if key in {"EchoTime", "DiffusionBValue"} else "CT",
                change=_set(**{key: value}) if key != "times" else None,
            )
            parts = slices(spec)
            for index, part in enumerate(parts):
                part.InstanceNumber = number * len(parts) + index + 1
                if key == "times":
                    seconds = 10 * 3600 + number * 60 + index * 0.1
                    hours, rest = divmod(seconds, 3600)
                    part.ContentTime = f"{hours:02.0f}{rest // 60:02.0f}{rest % 60:05.2f}"
            save(parts, folder, name=f"{number}" + "-{:03d}")

    return write


PHASES = {
    "acquisition numbers": _phases("AcquisitionNumber", 1, 2),
    "temporal positions": _phases("TemporalPositionIdentifier", 1, 2),
    "echoes": _phases("EchoTime", 2.3, 4.6),
    "b values": _phases("DiffusionBValue", 0.0, 800.0),
    "kernels": _phases("ConvolutionKernel", "B30f", "B70f"),
    "content times": _phases("times", 0, 0),
    "InstanceNumber only": _phases("StationName", "A", "A"),
    "half a slice apart": _phases("AcquisitionNumber", 1, 2, offset=2.5),
    "0.4 mm apart": _phases("AcquisitionNumber", 1, 2, offset=0.4),
    "0.4 mm apart, by number": _phases("StationName", "A", "A", offset=0.4),
}


@pytest.mark.parametrize("case", PHASES)
def test_two_phases_in_one_series_are_two_series(case: str, tmp_path: Path) -> None:
    from fibrovol.imaging.series.find import find_series

    PHASES[case](tmp_path)
    with pytest.raises(ScanError) as refusal:
        read_scan(tmp_path)
    assert refusal.value.code == "several_series"
    usable = [one for one in find_series(tmp_path) if one.usable]
    assert len(usable) == 2
    values = []
    for one in usable:
        volume = read_scan(tmp_path, series_uid=one.series_uid)
        assert volume.array.shape[2] == len(FIVE)
        assert volume.flags == ()
        top = float(volume.array.max())
        values.append(top)
        level = (top + float(volume.array.min())) / 2
        assert measured_ml(volume, level) == pytest.approx(TRUE_ML, rel=TOLERANCE)
    assert values == pytest.approx([100.0, 40.0], abs=0.1)


def test_echoes_in_an_enhanced_object(tmp_path: Path) -> None:
    save([writer.enhanced(replace(BASE, modality="MR"), echoes=2)], tmp_path)
    with pytest.raises(ScanError) as refusal:
        read_scan(tmp_path)
    assert refusal.value.code == "several_series"
    uid = refusal.value.found.split(" ")[0]
    volume = read_scan(tmp_path, series_uid=uid)
    assert volume.array.shape[2] == len(BASE.heights_mm)


def test_two_series_in_one_folder_must_be_chosen_from(tmp_path: Path) -> None:
    uids = [
        writer.write_series(tmp_path / name, series_uid=generate_uid()).series_uid for name in "ab"
    ]
    with pytest.raises(ScanError) as refusal:
        read_scan(tmp_path)
    assert refusal.value.code == "several_series"
    assert all(uid in refusal.value.found for uid in uids)
    assert read_scan(tmp_path, series_uid=uids[1]).source.series_uid == uids[1]


def test_a_series_that_is_not_there(tmp_path: Path) -> None:
    writer.write_series(tmp_path, heights_mm=FIVE)
    with pytest.raises(ScanError, match="not in") as refusal:
        read_scan(tmp_path, series_uid="1.2.3")
    assert refusal.value.code == "not_a_scan"


def test_the_source_names_files_and_technique_but_no_person(tmp_path: Path) -> None:
    spec = writer.write_series(tmp_path, heights_mm=FIVE)
    volume = read_scan(tmp_path)
    source = volume.source
    assert source.series_uid == spec.series_uid
    assert source.n_slices == len(FIVE)
    assert len(source.files) == len(FIVE)
    assert source.slice_thickness_mm == 2.5
    assert source.headers["ConvolutionKernel"] == "B30f"
    text = repr((volume.modality, volume.flags, source.headers))
    for secret in ("Doe", "HOSP-4711", "19500102", "ACC0815", "House"):
        assert secret not in text


def test_axes_are_column_row_slice(tmp_path: Path) -> None:
    """i runs along a row of the image, j down a column, k along row x column."""
    spec = writer.write_series(tmp_path, heights_mm=FIVE)
    volume = read_scan(tmp_path)
    assert volume.array.shape == (spec.columns, spec.rows, len(FIVE))
    assert volume.spacing_mm == pytest.approx((1.125, 1.25, 5.0))
    first = writer.positions(spec)[0]
    assert volume.affine[:3, 3] == pytest.approx([-first[0], -first[1], first[2]], abs=1e-4)
    stored = np.frombuffer(slices(spec)[10].PixelData, np.uint16).reshape(spec.rows, spec.columns)
    assert np.array_equal(volume.array[:, :, 10], stored.T.astype(np.int16) - 1024)


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "scan.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(ScanError, match="archive") as refusal:
        read_scan(tmp_path / "scan.zip")
    assert refusal.value.code == "not_a_scan"


def test_moving_a_series_to_another_folder_changes_nothing(tmp_path: Path) -> None:
    touched(_shuffle)(tmp_path / "a")
    first = read_scan(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b" / "deep" / "er")
    second = read_scan(tmp_path / "b")
    assert np.array_equal(first.array, second.array)
    assert np.array_equal(first.affine, second.affine)
