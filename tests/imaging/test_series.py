"""What inspect lists, and which series is measured."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fibrovol.errors import ConfigError, ScanError
from fibrovol.flags import scan_mismatches
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.readers.dicom_contrast import contrast_name
from fibrovol.imaging.readers.dicom_headers import SliceHeader
from fibrovol.imaging.series.choice import acquisition_of, choose, load_rules
from fibrovol.imaging.series.find import choose_series, find_series
from fibrovol.imaging.series.summary import SeriesSummary, kernel_is_sharp
from pydicom.uid import generate_uid

from .. import dicom_writer as writer
from ..dicom_writer import PLANES, SeriesSpec

COARSE = SeriesSpec(
    heights_mm=tuple(np.arange(-90.0, 90.01, 5.0)), rows=32, columns=36, spacing_mm=(5.0, 5.0),
    thickness_mm=5.0,
)  # fmt: skip


def put(folder: Path, spec: SeriesSpec, **headers: object) -> str:
    """Write a series into a folder among others; files have no suffix."""
    uid = generate_uid()
    parts = writer.slices(replace(spec, series_uid=uid))
    for part in parts:
        for keyword, value in headers.items():
            setattr(part, keyword, value)
    writer.save(parts, folder, name=uid[-8:] + ".{:04d}")
    return uid


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disc as hospitals burn it: two patients, no DICOMDIR, one flat folder, junk among it."""
    folder = tmp_path_factory.mktemp("export")
    put(folder, COARSE, PatientID="A", SeriesDescription="Abdomen portalvenoes 5.0 B30f")
    put(folder, COARSE, PatientID="A", SeriesDescription="Abdomen nativ", SeriesNumber=2)
    put(folder, replace(COARSE, orientation=PLANES["coronal"]), PatientID="A", SeriesNumber=4,
        SeriesDescription="MPR cor", ImageType=["DERIVED", "SECONDARY", "MPR"])  # fmt: skip
    put(folder, replace(COARSE, modality="MR"), PatientID="B", SeriesDescription="t2_haste_tra",
        EchoTime=90.0, RepetitionTime=1200.0)  # fmt: skip
    put(folder, replace(COARSE, heights_mm=(0.0,)), PatientID="A",
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesDescription="Topogram")  # fmt: skip
    writer.save([writer.capture(COARSE)], folder, name="capture{}")
    put(folder, writer.without(COARSE, 10, 11, 12, 13), PatientID="B", SeriesDescription="lost")
    (folder / "README.TXT").write_text("viewer", encoding="utf-8")
    (folder / "AUTORUN.INF").write_bytes(b"\0" * 300)
    (folder / "viewer").write_bytes(os.urandom(4096))
    (folder / "empty").write_bytes(b"")
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 100)
    (folder / ".hidden").write_bytes(b"\0" * 128 + b"DICM")
    return folder


def test_lists_every_series_with_what_it_is(export: Path) -> None:
    found = find_series(export)
    usable = [(one.modality, one.plane, one.contrast) for one in found if one.usable]
    assert sorted(usable) == [
        ("CT", "axial", "portal venous"),
        ("CT", "axial", "unenhanced"),
        ("CT", "coronal", "no agent stated"),
        ("MR", "axial", "T2"),
    ]
    others = {one.code: one for one in found if not one.usable}
    assert set(others) == {"left_out", "slice_gap_too_large"}
    reasons = {one.reason for one in found if one.code == "left_out"}
    assert reasons == {"localizer", "screen capture"}
    portal = next(one for one in found if one.contrast == "portal venous")
    assert portal.n_slices == portal.n_files == 37
    assert portal.spacing_mm == pytest.approx((5.0, 5.0, 5.0))
    assert portal.coverage_mm == pytest.approx(185.0)
    assert portal.kernel == "B30f"
    assert portal.patient_id == "A"


def test_what_is_listed_as_usable_is_read_and_with_those_flags(export: Path) -> None:
    for one in find_series(export):
        if one.usable:
            volume = read_scan(one.path, series_uid=one.series_uid)
            assert volume.flags == one.flags
            assert volume.source.contrast == one.contrast
            assert volume.spacing_mm == pytest.approx(one.spacing_mm)
            assert volume.source.n_slices == one.n_slices
        elif one.code != "left_out":
            with pytest.raises(ScanError) as refusal:
                read_scan(one.path, series_uid=one.series_uid)
            assert refusal.value.code == one.code


def test_several_processes_give_the_same_list(
    export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fibrovol.imaging.readers import dicom_files

    steps: list[tuple[int, int]] = []
    alone = find_series(export, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1][0] == steps[-1][1] > 0
    monkeypatch.setattr(dicom_files, "_WORTH_PROCESSES", 10)
    assert find_series(export, workers=2) == alone


def test_listing_reads_headers_only(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fibrovol.imaging.readers.dicom_pixels import PixelReader

    def refuse(*_: object) -> None:
        raise AssertionError("pixel data were read")

    monkeypatch.setattr(PixelReader, "values", refuse)
    assert find_series(export)


def test_a_damaged_file_spoils_the_series_beside_it(tmp_path: Path) -> None:
    paths = writer.save(writer.slices(COARSE), tmp_path)
    paths[36].write_bytes(paths[36].read_bytes()[:800])
    found = find_series(tmp_path)
    assert not any(one.usable for one in found)
    assert {one.code for one in found} == {"unreadable_file"}


def test_a_truncated_file_is_found_from_its_header(tmp_path: Path) -> None:
    paths = writer.save(writer.slices(COARSE), tmp_path)
    paths[5].write_bytes(paths[5].read_bytes()[:-100])
    (found,) = find_series(tmp_path)
    assert found.code == "truncated_pixel_data"


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="does not exist"):
        find_series(tmp_path / "no")


# --- the choice ---------------------------------------------------------------------------------

CT = SeriesSummary(
    Path("a"), "1", "CT", "abdomen", "axial", "portal venous", 60, 60, (0.7, 0.7, 3.0), (512, 512),
    3.0, 180.0, "B30f", usable=True,
)  # fmt: skip

BETTER = {
    "CT before MR": (CT, replace(CT, modality="MR", contrast="T1"), "modality"),
    "the whole liver": (CT, replace(CT, coverage_mm=100.0), "coverage"),
    "axial": (CT, replace(CT, plane="coronal"), "plane"),
    "thin": (CT, replace(CT, spacing_mm=(0.7, 0.7, 7.0), slice_thickness_mm=7.0), "thickness"),
    "original": (CT, replace(CT, is_original=False), "original"),
    "portal venous before native": (CT, replace(CT, contrast="unenhanced"), "phase"),
    "portal venous before arterial": (CT, replace(CT, contrast="arterial"), "phase"),
    "soft kernel": (CT, replace(CT, kernel="B70f"), "kernel"),
    "complete": (CT, replace(CT, flags=("missing_slices",)), "flags"),
    "3 mm before 0.6 mm": (CT, replace(CT, spacing_mm=(0.7, 0.7, 0.6), slice_thickness_mm=0.6),
                           "closest thickness"),
    "longer": (replace(CT, coverage_mm=300.0), CT, "larger coverage"),
    "T1 before T2": (
        replace(CT, modality="MR", contrast="T1"), replace(CT, modality="MR", contrast="T2"),
        "phase",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BETTER)
def test_the_rules_choose_and_say_why(case: str) -> None:
    better, worse, reason = BETTER[case]
    worse = replace(worse, series_uid="0")
    for order in ([better, worse], [worse, better]):
        choice = choose(order, Path("x"), modality="", match=None, rules=load_rules())
        assert choice.chosen == better
        assert [other.reason for other in choice.runners_up] == [reason]


def test_a_tie_is_left_to_the_user() -> None:
    with pytest.raises(ScanError, match="do not distinguish") as refusal:
        choose([CT, replace(CT, series_uid="2")], Path("x"), modality="", match=None,
               rules=load_rules())  # fmt: skip
    assert refusal.value.code == "several_series"
    assert "study.csv" in refusal.value.do


def test_a_followup_takes_what_is_like_the_baseline() -> None:
    baseline = replace(CT, contrast="arterial", spacing_mm=(0.7, 0.7, 5.0), slice_thickness_mm=5.0)
    portal, arterial = replace(CT, series_uid="p"), replace(CT, contrast="arterial", series_uid="a")
    choice = choose([portal, arterial], Path("x"), modality="", match=baseline, rules=load_rules())
    assert choice.chosen.series_uid == "a"
    assert choice.runners_up[0].reason == "like the baseline: phase"
    assert choice.flags == ()
    only = choose([portal], Path("x"), modality="", match=baseline, rules=load_rules())
    assert only.flags == ("phase_mismatch",)


def test_mismatches_are_flags() -> None:
    mr = replace(CT, modality="MR", contrast="T1")
    assert scan_mismatches(acquisition_of(CT), acquisition_of(mr)) == ("modality_mismatch",)
    thick = replace(CT, spacing_mm=(0.7, 0.7, 7.0), slice_thickness_mm=7.0)
    assert scan_mismatches(acquisition_of(CT), acquisition_of(thick)) == (
        "slice_thickness_mismatch",
    )
    assert scan_mismatches(acquisition_of(CT), acquisition_of(CT)) == ()


def test_the_wanted_modality_only() -> None:
    mr = replace(CT, modality="MR", contrast="T1", series_uid="m")
    choice = choose([CT, mr], Path("x"), modality="MR", match=None, rules=load_rules())
    assert choice.chosen == mr
    assert choice.runners_up == ()
    with pytest.raises(ScanError, match="No MR series"):
        choose([CT], Path("x"), modality="MR", match=None, rules=load_rules())


def test_chooses_from_a_real_folder(export: Path) -> None:
    choice = choose_series(export)
    assert choice.chosen.contrast == "portal venous"
    assert choice.chosen.modality == "CT"
    plain = str(choice.as_plain())
    assert "Doe" not in plain
    assert str(export) not in plain


def test_nothing_usable_says_why(tmp_path: Path) -> None:
    put(tmp_path, writer.without(COARSE, 10, 11, 12, 13))
    with pytest.raises(ScanError) as refusal:
        choose_series(tmp_path)
    assert refusal.value.code == "slice_gap_too_large"
    assert "inspect" in refusal.value.do


def test_rules_with_a_misspelt_criterion_are_refused(repository: Path) -> None:
    text = (repository / "configs" / "series.yaml").read_text(encoding="utf-8")
    with pytest.raises(ConfigError, match="thicknes"):
        load_rules(text.replace("  - thickness #", "  - thicknes #"))
    with pytest.raises(ConfigError, match="does not exist"):
        load_rules(text + "\nfoo: 1\n")
    with pytest.raises(ConfigError, match="min_coverage_mm"):
        load_rules(text.replace("150.0", "much"))


@pytest.mark.parametrize(
    ("modality", "description", "expected"),
    [
        ("CT", "Abd. venoes 3.0", "portal venous"),
        ("CT", "ABDOMEN ART 1.5", "arterial"),
        ("CT", "Leber nativ", "unenhanced"),
        ("CT", "foie sans injection", "unenhanced"),
        ("CT", "late 5mm", "delayed"),
        ("CT", "Body 3.0", "no agent stated"),
        ("MR", "t1_vibe_dixon_tra_bh_W", "water"),
        ("MR", "t2_haste_cor", "T2"),
        ("MR", "ep2d_diff_b50_400_800", "diffusion"),
        ("MR", "T1 VIBE hepatobil. 20min", "T1 hepatobiliary"),
    ],
)
def test_the_contrast_is_guessed_from_the_words(
    modality: str, description: str, expected: str
) -> None:
    header = SliceHeader(Path("x"), modality=modality, description=description)
    assert contrast_name(header) == expected


@pytest.mark.parametrize(
    ("kernel", "sharp"),
    [("B30f", False), ("B70f", True), ("I31f\\3", False), ("Br40d", False), ("Bl64d", True),
     ("STANDARD", False), ("LUNG", True), ("BONEPLUS", True), ("FC08", False), ("FC51", True),
     ("B", False), ("D", True), ("", None), ("?", None)],
)  # fmt: skip
def test_sharp_kernels_are_known(kernel: str, sharp: bool | None) -> None:
    assert kernel_is_sharp(kernel) is sharp
