"""Masks and volumes as DICOM SEG and SR: read back by others, the same mask in the same place."""

# Long because SEG and SR are two views of one export, and their tests share what reads them back.

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
import pytest
from fibrovol.errors import OutputError, RegionError
from fibrovol.imaging.export.dicom_results import write_results
from fibrovol.imaging.export.dicom_seg import Organ, write_seg
from fibrovol.imaging.export.dicom_source import Identity, shifted, source_images
from fibrovol.imaging.export.dicom_sr import Size, write_sr
from fibrovol.imaging.export.nifti import write_mask
from fibrovol.imaging.masks.segmentation import (
    bounding_volume,
    is_segmentation,
    lay_on,
    read_segment,
)
from fibrovol.imaging.measure import LiverMeasurement
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.volume import Volume
from scipy.spatial import cKDTree

from .. import dicom_writer as writer
from ..dicom_writer import PLANES, SeriesSpec

hd = pytest.importorskip("highdicom")

SMALL = SeriesSpec(
    heights_mm=tuple(np.arange(-65.0, 65.01, 5.0)), rows=56, columns=64, spacing_mm=(2.5, 2.25),
    thickness_mm=5.0,
)  # fmt: skip
MIDDLE_MM = SMALL.heights_mm[9:18]
"""Of slices that show the object, for tests of what the headers say."""
SUBJECT = Identity("S-007")
SECRETS = ("Doe", "Jane", "HOSP-4711", "19500102", "ACC0815", "House", "20200101")


def classic(**changes: object) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        writer.write_series(folder, replace(SMALL, **changes))

    return write


def enhanced(folder: Path, spec: SeriesSpec = SMALL) -> None:
    order = [int(n) for n in np.random.default_rng(1).permutation(len(spec.heights_mm))]
    writer.save([writer.enhanced(replace(spec, modality="MR"), order=order)], folder)


SERIES = {
    "axial": classic(),
    "coronal": classic(orientation=PLANES["coronal"]),
    "sagittal": classic(orientation=PLANES["sagittal"]),
    "oblique": classic(orientation=PLANES["oblique"]),
    "feet first, prone": classic(
        orientation=PLANES["feet_first_prone"], patient_position="FFP"
    ),
    "head to foot": classic(heights_mm=SMALL.heights_mm[::-1]),
    "MR": classic(modality="MR"),
    "enhanced MR, frames in disorder": enhanced,
    "frames of an odd number of bytes": classic(rows=52, columns=58),
    "frames of an odd number of voxels": classic(rows=57, columns=63),
    "enhanced MR, an odd number of voxels": lambda folder: enhanced(
        folder, replace(SMALL, rows=57, columns=63)
    ),
}  # fmt: skip
REPAIRED = {
    "tilt": classic(tilt_degrees=17.0),
    "a missing slice": lambda folder: (
        writer.write_series(folder, writer.without(SMALL, 9)) and None
    ),
}


def lopsided(scan: Volume) -> Volume:
    """The object, with a bite out of one side: a flip in any axis shows."""
    mask = scan.array > (float(scan.array.max()) + float(scan.array.min())) / 2
    mask[: mask.shape[0] // 2, : mask.shape[1] // 3] = False
    mask[:, mask.shape[1] // 2 :, : mask.shape[2] // 3] = False
    return Volume(mask, scan.affine)


def export(folder: Path, scan: Volume, mask: Volume, **identity: object) -> tuple[Path, Path]:
    who = replace(SUBJECT, **identity)
    sources = source_images(scan, who)
    made_by = {"engine": "liver_net", "version": "1.2"}
    seg = write_seg([Organ("Liver", mask)], sources, folder / "seg.dcm", **made_by)
    volume_ml = float(mask.array.sum()) * mask.voxel_volume_ml
    size = Size("Liver", volume_ml, (volume_ml - 9, volume_ml + 11))
    write_sr(seg, sources, [size], folder / "sr.dcm", **made_by)
    return folder / "seg.dcm", folder / "sr.dcm"


def assert_same_place(a: Volume, b: Volume) -> None:
    """Every voxel of one mask has its own in the other, 0.02 mm away at most."""
    assert a.array.sum() == b.array.sum()
    one = np.argwhere(a.array) @ a.affine[:3, :3].T + a.affine[:3, 3]
    two = np.argwhere(b.array) @ b.affine[:3, :3].T + b.affine[:3, 3]
    distance, partner = cKDTree(one).query(two)
    assert distance.max() < 0.02
    assert len(set(partner)) == len(two)


@dataclass(frozen=True)
class Exported:
    """A series as it was read, the mask on it, and the objects made of both."""

    folder: Path
    """Of the series."""
    scan: Volume
    mask: Volume
    seg: Path
    report: Path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    """The export of one of :data:`SERIES`, made once for all who only read it."""

    @cache
    def make(case: str) -> Exported:
        folder = tmp_path_factory.mktemp("exported")
        SERIES[case](folder / "in")
        scan = read_scan(folder / "in")
        mask = lopsided(scan)
        return Exported(folder / "in", scan, mask, *export(folder / "out", scan, mask))

    return make


@pytest.mark.parametrize("case", SERIES)
def test_the_mask_comes_back_by_highdicom(case: str, exported: Callable[[str], Exported]) -> None:
    one = exported(case)
    volume = hd.seg.segread(one.seg).get_volume(combine_segments=True)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    assert_same_place(Volume(volume.array > 0, affine), one.mask)


@pytest.mark.parametrize("case", SERIES)
def test_the_mask_comes_back_by_our_reader(case: str, exported: Callable[[str], Exported]) -> None:
    one = exported(case)
    assert is_segmentation(one.seg)
    frames = read_segment(one.seg)
    assert np.array_equal(lay_on(frames, one.scan), one.mask.array)
    assert_same_place(bounding_volume(frames), one.mask)


@pytest.mark.parametrize("case", SERIES)
def test_the_mask_comes_back_by_dcmqi(
    tmp_path: Path, case: str, exported: Callable[[str], Exported]
) -> None:
    """dcmqi is DCMTK and ITK: an implementation that shares nothing with ours."""
    here = Path(sys.executable).parent
    tool = shutil.which("segimage2itkimage") or shutil.which("segimage2itkimage", path=here)
    if tool is None:
        pytest.skip("dcmqi's segimage2itkimage is not on the path")
    sitk = pytest.importorskip("SimpleITK")
    one = exported(case)
    command = [tool, "--inputDICOM", str(one.seg), "--outputDirectory", str(tmp_path)]
    subprocess.run([*command, "--outputType", "nrrd"], check=True, capture_output=True)
    image = sitk.ReadImage(str(tmp_path / "1.nrrd"))
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    array = sitk.GetArrayFromImage(image).transpose(2, 1, 0) > 0
    assert_same_place(Volume(array, np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps), one.mask)


@pytest.mark.parametrize("case", REPAIRED)
def test_a_repaired_scan_is_segmented_on_its_own_slices(tmp_path: Path, case: str) -> None:
    REPAIRED[case](tmp_path / "in")
    scan = read_scan(tmp_path / "in")
    assert scan.flags
    mask = Volume(scan.array > -400, scan.affine)
    seg_path, _ = export(tmp_path / "out", scan, mask)
    frames = read_segment(seg_path)
    stated = {file.InstanceNumber for file in map(pydicom.dcmread, (tmp_path / "in").iterdir())}
    assert len(frames.images) <= len(stated)
    for image, position in zip(frames.images, frames.positions_mm, strict=True):
        spec = replace(SMALL, tilt_degrees=17.0 if case == "tilt" else 0.0)
        truth = writer.image(spec, position) > -400
        assert np.count_nonzero(image ^ truth) <= 0.06 * np.count_nonzero(truth) + 24
    again = lay_on(frames, scan)
    assert np.count_nonzero(again ^ mask.array) < 0.03 * np.count_nonzero(mask.array)


def test_codes_units_and_references(exported: Callable[[str], Exported]) -> None:
    one = exported("axial")
    mask = one.mask
    seg, report = pydicom.dcmread(one.seg), hd.sr.srread(one.report)
    images = [pydicom.dcmread(file, stop_before_pixels=True) for file in one.folder.iterdir()]
    segment = seg.SegmentSequence[0]
    assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "10200004"
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == "1.2"
    assert seg.StudyInstanceUID == report.StudyInstanceUID == SMALL.study_uid
    assert seg.FrameOfReferenceUID == SMALL.frame_uid
    sources = {image.SOPInstanceUID for image in images}
    derived = {
        frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for frame in seg.PerFrameFunctionalGroupsSequence
    }
    assert derived <= sources
    (group,) = report.content.get_volumetric_roi_measurement_groups()
    (measured,) = group.get_measurements()
    assert measured.name.value == "118565006"
    assert measured.unit.value == "cm3"
    assert measured.value == pytest.approx(mask.array.sum() * mask.voxel_volume_ml, abs=1e-3)
    assert measured.method.value == "126030"
    assert group.referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID
    assert {"10200004"} == {site.value.value for site in group.finding_sites}


def test_dciodvfy_finds_no_error(exported: Callable[[str], Exported]) -> None:
    tool = shutil.which("dciodvfy")
    if tool is None:
        pytest.skip("dciodvfy (Debian: dicom3tools) is not on the path")
    for case in ("axial", "enhanced MR, frames in disorder"):
        one = exported(case)
        for file in (one.seg, one.report):
            result = subprocess.run([tool, str(file)], capture_output=True, text=True, check=False)
            errors = [line for line in result.stderr.splitlines() if line.startswith("Error")]
            assert not errors


@pytest.mark.parametrize("case", ["axial", "enhanced MR, frames in disorder"])
def test_no_identity_leaves(case: str, exported: Callable[[str], Exported]) -> None:
    one = exported(case)
    for file in (one.seg, one.report):
        data = file.read_bytes()
        for secret in SECRETS:
            assert secret.encode() not in data, secret
        made = pydicom.dcmread(file)
        assert made.PatientID == "S-007"
        assert str(made.PatientName) == "S-007^"


def test_identity_is_kept_when_asked_for(
    tmp_path: Path, exported: Callable[[str], Exported]
) -> None:
    one = exported("axial")
    for file in export(tmp_path / "out", one.scan, one.mask, keep=True):
        made = pydicom.dcmread(file)
        assert str(made.PatientName) == "Doe^Jane"
        assert made.PatientID == "HOSP-4711"
        assert made.AccessionNumber == "ACC0815"
        assert made.StudyDate == "20200101"


def test_dates_are_shifted_when_asked_for(
    tmp_path: Path, exported: Callable[[str], Exported]
) -> None:
    one = exported("axial")
    for file in export(tmp_path / "out", one.scan, one.mask, date_shift_days=-40):
        assert pydicom.dcmread(file).StudyDate == "20191122"
    assert shifted("20200101", None) == shifted("nonsense", 3) == shifted("99991231", 1) == ""
    assert shifted("10000301", -40) == "10000120"
    objects = {
        write_seg(
            [Organ("Liver", one.mask)],
            source_images(one.scan, replace(SUBJECT, date_shift_days=days)),
            tmp_path / "s.dcm",
            engine="e",
            version="1",
        ).SOPInstanceUID
        for days in (None, -40, -41)
    }
    assert len(objects) == 3  # a PACS keeps one object a UID


def test_a_repeated_export_has_the_same_uids(
    tmp_path: Path, exported: Callable[[str], Exported]
) -> None:
    one = exported("axial")
    scan = one.scan
    first = [pydicom.dcmread(f).SOPInstanceUID for f in (one.seg, one.report)]
    again = [
        pydicom.dcmread(f).SOPInstanceUID for f in export(tmp_path / "b", scan, lopsided(scan))
    ]
    assert first == again
    # an archive keeps what it has under a UID: another mask must not come under the same
    other = lopsided(scan)
    other.array[tuple(index[0] for index in other.array.nonzero())] = False
    changed = [pydicom.dcmread(f).SOPInstanceUID for f in export(tmp_path / "c", scan, other)]
    assert not set(changed) & set(first)


def test_a_nifti_scan_has_no_dicom_result(tmp_path: Path) -> None:
    mask = Volume(np.ones((8, 8, 8), bool), np.diag([2.0, 2.0, 2.0, 1.0]))
    write_mask(mask, tmp_path / "scan.nii.gz")
    scan = read_scan(tmp_path / "scan.nii.gz")
    with pytest.raises(OutputError) as refusal:
        export(tmp_path, scan, mask)
    assert refusal.value.code == "no_dicom_source"


def test_an_empty_mask_is_an_error(tmp_path: Path, exported: Callable[[str], Exported]) -> None:
    scan = exported("axial").scan
    with pytest.raises(ValueError, match="empty"):
        export(tmp_path / "out", scan, Volume(np.zeros(scan.array.shape, bool), scan.affine))


def measurement(scan: Volume, spleen: Volume | None = None) -> LiverMeasurement:
    mask = lopsided(scan)
    ml = float(mask.array.sum()) * mask.voxel_volume_ml
    return LiverMeasurement(
        ml, ml - 9, ml + 11, mask, scan, "CT", (), "liver_net 1", "",
        spleen_volume_ml=None if spleen is None else float(spleen.array.sum()) / 1000,
        spleen_mask=spleen,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=\u6d2a^\u5409\u6d1e=\ud64d^\uae38\ub3d9"),
        ("ISO_IR 100", "M\u00fcller^J\u00f6rg"),
        ("GB18030", "\u738b^\u5c0f\u4e1c"),
        ("ISO_IR 192", "\u00c4rzte^\u00d6"),
    ],
)
@pytest.mark.parametrize("keep", [False, True])
def test_names_in_any_character_set_are_written_as_utf8(tmp_path, charset, name, keep):
    def change(number: int, image: pydicom.Dataset) -> None:
        image.SpecificCharacterSet = charset
        image.PatientName = name

    spec = replace(SMALL, heights_mm=MIDDLE_MM, change=change)
    writer.write_series(tmp_path / "in", spec)
    scan = read_scan(tmp_path / "in")
    identity = replace(SUBJECT, keep=keep)
    assert write_results(measurement(scan), tmp_path, "a", identity=identity, version="1") == ()
    for file in ("a_liver.seg.dcm", "a_volume.sr.dcm"):
        made = pydicom.dcmread(tmp_path / file)
        assert made.SpecificCharacterSet == "ISO_IR 192"
        assert str(made.PatientName) == (name if keep else "S-007^")


def test_a_missing_frame_of_reference_is_made_up_once(tmp_path):
    def change(number: int, image: pydicom.Dataset) -> None:
        for keyword in ("FrameOfReferenceUID", "StudyDate", "AccessionNumber", "StudyID"):
            del image[keyword]

    writer.write_series(tmp_path / "in", replace(SMALL, heights_mm=MIDDLE_MM, change=change))
    scan = read_scan(tmp_path / "in")
    uids = set()
    for name in ("a", "b"):
        flags = write_results(measurement(scan), tmp_path, name, identity=SUBJECT, version="1")
        assert flags == ("frame_of_reference_made_up",)
        uids.add(pydicom.dcmread(tmp_path / f"{name}_liver.seg.dcm").FrameOfReferenceUID)
    assert len(uids) == 1


def test_the_spleen_has_its_segment_and_its_measurement(tmp_path, exported):
    scan = exported("axial").scan
    spleen = np.zeros(scan.array.shape, bool)
    spleen[3:9, 3:9, 3:6] = True
    liver = measurement(scan, Volume(spleen, scan.affine))
    write_results(liver, tmp_path, "a", identity=SUBJECT, version="1")
    segments = pydicom.dcmread(tmp_path / "a_liver.seg.dcm").SegmentSequence
    assert [one.SegmentLabel for one in segments] == ["Liver", "Spleen"]
    # the liver is found by its code, the spleen by its name
    path = tmp_path / "a_liver.seg.dcm"
    assert np.array_equal(lay_on(read_segment(path), scan), liver.mask.array)
    assert np.array_equal(lay_on(read_segment(path, "spleen"), scan), spleen)
    report = hd.sr.srread(tmp_path / "a_volume.sr.dcm")
    groups = report.content.get_volumetric_roi_measurement_groups()
    sites = [group.finding_sites[0].value.value for group in groups]
    assert sites == ["10200004", "78961009"]
    values = [group.get_measurements()[0].value for group in groups]
    assert values == pytest.approx([liver.volume_ml, liver.spleen_volume_ml], abs=1e-3)


def test_a_failed_export_leaves_the_measurement(tmp_path, monkeypatch, exported):
    scan = exported("axial").scan

    def refuse(*args: object, **more: object) -> None:
        raise ValueError("'' is not a valid value")

    monkeypatch.setattr(hd.sr, "MeasurementReport", refuse)
    flags = write_results(measurement(scan), tmp_path, "a", identity=SUBJECT, version="1")
    assert flags == ("dicom_not_written",)
    assert not [*tmp_path.glob("a_*")]  # no half result


# --- segmentations made by others ---------------------------------------------------------------

OTHERS = [
    ("liver.dcm", "", "liver_seg.nrrd", 1),
    ("liver.dcm", "LIVER", "liver_seg.nrrd", 1),
    ("partial_overlaps.dcm", "1", "partial_overlaps-1.nrrd", 1),
    ("partial_overlaps.dcm", "orange", "partial_overlaps-2.nrrd", 2),
    ("partial_overlaps.dcm", "PURPLE", "partial_overlaps-3.nrrd", 3),
    ("partial_overlaps.dcm", "4", "partial_overlaps-1.nrrd", 4),
    ("partial_overlaps.dcm", "dark", "partial_overlaps-1.nrrd", 5),
    ("sparse-labelmap-noppv.dcm", "", "sparse_labelmap_noppv_seg.nrrd", 1),
    ("sparse-labelmap-ppv5.dcm", "", "sparse_labelmap_ppv5_seg.nrrd", 1),
]


@pytest.mark.parametrize(("name", "segment", "truth", "value"), OTHERS)
def test_segmentations_of_others(
    shared_data: Path, name: str, segment: str, truth: str, value: int
) -> None:
    sitk = pytest.importorskip("SimpleITK")
    folder = shared_data / "scans" / "dicom" / "segmentation_objects"
    frames = read_segment(folder / name, segment)
    row, column = np.array(frames.orientation[:3]), np.array(frames.orientation[3:])
    found = set()
    for image, position in zip(frames.images, frames.positions_mm, strict=True):
        j, i = np.nonzero(image)
        at = (
            position
            + i[:, None] * row * frames.pixel_spacing_mm[1]
            + j[:, None] * column * frames.pixel_spacing_mm[0]
        )
        found |= set(map(tuple, (at.round(1) + 0.0).tolist()))
    image = sitk.ReadImage(str(folder / truth))
    k, j, i = np.nonzero(sitk.GetArrayFromImage(image) == value)
    turn = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    at = np.stack([i, j, k], axis=1) @ turn.T + image.GetOrigin()
    assert found == set(map(tuple, (at.round(1) + 0.0).tolist()))


def test_the_engine_measures_a_segmentation(exported: Callable[[str], Exported]) -> None:
    from fibrovol.imaging.engines.base import EngineOptions
    from fibrovol.imaging.engines.existing_mask import existing_mask

    one = exported("head to foot")
    scan, mask, seg_path = one.scan, one.mask, one.seg
    for segment in ("", "1", "liver"):
        options = EngineOptions.of(mask_path=seg_path, mask_segment=segment)
        assert np.array_equal(existing_mask(scan, options).liver, mask.array)
    moved = Volume(scan.array, scan.affine + np.array([[0, 0, 0, 1.0], *[[0] * 4] * 3]))
    options = EngineOptions.of(mask_path=seg_path)
    with pytest.raises(RegionError):
        existing_mask(moved, options)
    laid = existing_mask(moved, EngineOptions.of(mask_path=seg_path, resample_mask=True)).liver
    assert laid.sum() == pytest.approx(mask.array.sum(), rel=0.05)


def test_several_segments_must_be_chosen_from(shared_data: Path) -> None:
    file = shared_data / "scans" / "dicom" / "segmentation_objects" / "partial_overlaps.dcm"
    with pytest.raises(RegionError, match="several labels") as refusal:
        read_segment(file)
    assert "2 ORANGE" in refusal.value.found
    with pytest.raises(RegionError, match="liver"):
        read_segment(file, "liver")


def test_a_segmentation_of_another_scan_is_refused(exported: Callable[[str], Exported]) -> None:
    one = exported("axial")
    scan, frames = one.scan, read_segment(one.seg)
    for changed in (
        Volume(scan.array, scan.affine + np.array([[0, 0, 0, 1.0], *[[0] * 4] * 3])),
        Volume(scan.array, scan.affine + np.array([*[[0] * 4] * 2, [0, 0, 0, 2.0], [0] * 4])),
        Volume(scan.array, scan.affine @ np.diag([1.1, 1, 1, 1])),
        Volume(scan.array[:20, :20], scan.affine),
    ):
        with pytest.raises(RegionError) as refusal:
            lay_on(frames, changed)
        assert refusal.value.code == "bad_region"


def test_other_files_are_no_segmentation(exported: Callable[[str], Exported]) -> None:
    folder = exported("axial").folder
    image = sorted(folder.iterdir())[0]
    assert not is_segmentation(image)
    assert not is_segmentation(folder.parent)
    with pytest.raises(RegionError):
        read_segment(image)
