"""One classifier says what an image is; whose it is and which bits are image are asked too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fibrovol.errors import ScanError
from fibrovol.flags import Acquisition, scan_mismatches
from fibrovol.imaging.readers import read_scan
from fibrovol.imaging.readers.dicom_contrast import contrast_name
from fibrovol.imaging.readers.dicom_headers import SliceHeader
from fibrovol.imaging.readers.dicom_kind import derived_kind, is_slab, virtual_kind
from fibrovol.imaging.series.choice import choose, load_rules
from fibrovol.imaging.series.find import choose_series, find_series
from fibrovol.imaging.series.summary import SeriesSummary
from pydicom.uid import JPEG2000Lossless

from .. import dicom_writer as writer
from ..dicom_writer import SeriesSpec

SMALL = SeriesSpec(
    heights_mm=tuple(np.arange(-65.0, 65.01, 5.0)), rows=56, columns=64, spacing_mm=(2.5, 2.25),
    thickness_mm=5.0,
)  # fmt: skip
DERIVED = ("DERIVED", "SECONDARY", "AXIAL")


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("CSA MIP THIN", "projection"), ("MIP_TRA", "projection"), ("MNIP", "projection"),
        ("MIN IP", "projection"), ("HD MIP", "projection"), ("PROJECTION IMAG", "projection"),
        ("CT_SOM7 SPI MIP", "projection"), ("AIP", "projection"), ("THICK SLAB", "projection"),
        ("SUBTRACT", "subtraction"), ("ERROR_MAP", "error map"), ("MOSAIC", "mosaic"),
        ("IODINE", "iodine"), ("FAT_FRACTION", "fat fraction"), ("R2_STAR MAP", "relaxation"),
        ("ADC", "relaxation or diffusion"), ("PHASE MAP", "phase"), ("VELOCITY", "phase"),
        ("Z_EFF", "material"), ("CBF", "perfusion"), ("LABELMAP", "label map"),
        ("CSAMIP", "projection"), ("MINMIP", "projection"), ("STIFFNESS", "elastography"),
        ("MAXIMUM INTENSITY PROJECTION", "projection"), ("KTRANS", "perfusion"),
        ("CONFIDENCE", "error map"), ("PHASE", "phase"), ("BF", "perfusion"),
        ("MAXIMUM", "projection"), ("T2STARMAP", "relaxation"), ("T1_STAR_MAP", "relaxation"),
        ("STD_DEVIATION", "error map"), ("FAT_MAP", "fat fraction"), ("QSM", "relaxation"),
        ("B1_MAP", "relaxation"), ("ECV", "relaxation"),
    ],
)  # fmt: skip
def test_image_types_of_scanners_name_what_was_computed(word, kind):
    assert kind in derived_kind((*DERIVED, word), "Abdomen 5.0", modality="MR")


@pytest.mark.parametrize(
    "values",
    [
        ("ORIGINAL", "PRIMARY", "AXIAL"), ("DERIVED", "SECONDARY", "REFORMATTED"),
        ("DERIVED", "PRIMARY", "DIXON", "WATER"), ("DERIVED", "PRIMARY", "DIXON", "IN_PHASE"),
        ("ORIGINAL", "PRIMARY", "OTHER"), ("ORIGINAL", "PRIMARY", "M", "SE"),
        ("ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"), ("DERIVED", "SECONDARY", "MPR"),
        ("ORIGINAL", "PRIMARY", "T1", "NONE", "MAGNITUDE"), ("DERIVED", "PRIMARY", "OUT_PHASE"),
        ("DERIVED", "PRIMARY", "OPP_PHASE"), ("ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"),
        ("DERIVED", "PRIMARY", "OUT_OF_PHASE"), ("DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"),
    ],
)  # fmt: skip
def test_plain_images_stay(values):
    assert derived_kind(values, "Abdomen portal 5.0", modality="MR") == ""


@pytest.mark.parametrize(
    ("description", "kind"),
    [
        ("MIP THIN AX 20/5", "projection"), ("MinIP", "projection"),
        ("Iodine (mg/ml) 2.5 venous", "iodine"), ("t1_vibe_dixon_venous_SUB", "subtraction"),
        ("PDFF portal venous q-dixon", "fat fraction"), ("R2* map", "relaxation"),
        ("Subtraktion venoes", "subtraction"), ("Leber Jod Karte", "iodine"),
        ("Z Effective", "material"), ("MOLLI T1MAP", "relaxation"),
        ("肝臓 最大値投影", "projection"), ("Apparent Diffusion Coefficient", "relaxation"),
        ("최대강도투사", "projection"),
        ("Fat map", "fat fraction"), ("QSM liver", "relaxation"), ("B1+ map", "relaxation"),
        ("ECV 10 min delay", ""), ("T1rho weighted", ""),
        ("TAP support", ""), ("Abdomen submit", ""), ("affine", ""),
    ],
)  # fmt: skip
def test_descriptions_name_it_where_the_image_type_does_not(description, kind):
    found = derived_kind(DERIVED, description, modality="MR")
    assert kind in found if kind else found == ""


@pytest.mark.parametrize(
    ("description", "kind"),
    [
        ("Maximum Intensity Projection 10mm", "projection"), ("Abd 10/2 MaxIP", "projection"),
        ("Avg IP 5mm", "projection"), ("mapa de iodo", "iodine"), ("LungPBV", "iodine"),
        ("GSI Fat(Water)", "material"), ("Rho/Z 3.0", "material"), ("SUBTR portal-native", "sub"),
        ("dyn_SUB1", "sub"), ("вычитание", "sub"), ("減算", "sub"), ("Differenz", "sub"),
        ("fraction graisseuse", "fat fraction"), ("Fettanteil", "fat fraction"),
        ("脂肪分数", "fat fraction"), ("지방분율", "fat fraction"), ("dADC", "relaxation"),
        ("MRE Stiffness map", "elastography"), ("탄성도", "elastography"), ("TTP", "perfusion"),
        ("Wash-in", "perfusion"), ("Hepatic perfusion index", "perfusion"),
    ],
)  # fmt: skip
def test_descriptions_of_other_vendors_and_languages(description, kind):
    assert kind in derived_kind(DERIVED, description, modality="MR")


@pytest.mark.parametrize(
    "description",
    ["sub-acute liver", "MRE enterography", "adrenal washout 15 min", "subxiphoid", "Real time"],
)
def test_words_of_plain_series_name_no_map(description):
    assert derived_kind(DERIVED, description, modality="MR") == ""


@pytest.mark.parametrize("third", ["R_FFE", "P", "I_IR"])
def test_philips_parts_are_no_magnitude(third):
    kind = derived_kind(("ORIGINAL", "PRIMARY", third, third[0], "FFE"), "x", modality="MR")
    assert kind == "phase image"


@pytest.mark.parametrize(
    "description", ["sin contraste virtual", "虚拟平扫", "Virtual Non-Contrast"]
)
def test_virtual_images_are_named_in_other_languages(description):
    assert virtual_kind(DERIVED, description) == "virtual non-contrast"


def test_thin_slices_that_a_mip_was_made_of_are_measured():
    assert derived_kind(("ORIGINAL", "PRIMARY", "AXIAL"), "Angio 1.0 for MIP", modality="CT") == ""


def test_a_unit_that_is_no_hounsfield_unit_is_a_map(tmp_path):
    def change(number, image):
        image.RescaleType = "MGML"

    writer.write_series(tmp_path, replace(SMALL, change=change))
    with pytest.raises(ScanError, match="mg/mL"):
        read_scan(tmp_path)


def test_a_thick_slab_is_a_projection(tmp_path):
    assert is_slab(DERIVED, 20.0, 5.0)
    assert not is_slab(("ORIGINAL", "PRIMARY"), 20.0, 5.0)
    assert not is_slab(DERIVED, 5.0, 2.5)
    assert not is_slab(DERIVED, 5.0, 1.0)

    def change(number, image):
        image.ImageType, image.SeriesDescription = [*DERIVED], "Abdomen"

    writer.write_series(tmp_path, replace(SMALL, thickness_mm=20.0, change=change))
    with pytest.raises(ScanError, match="thick slabs") as caught:
        read_scan(tmp_path)
    assert caught.value.code == "derived_images"
    (listed,) = find_series(tmp_path)
    assert (listed.usable, listed.code) == (False, "derived_images")


def test_inspect_and_reading_never_contradict_each_other(tmp_path):
    def change(number, image):
        image.ImageType, image.SeriesDescription = [*DERIVED, "IODINE"], "Iodine map"

    writer.write_series(tmp_path / "map", replace(SMALL, change=change))
    (listed,) = find_series(tmp_path / "map")
    assert not listed.usable
    assert "iodine" in listed.reason
    with pytest.raises(ScanError, match="iodine"):
        read_scan(tmp_path / "map")


def summary(uid: str, **more) -> SeriesSummary:
    return SeriesSummary(
        Path("x"), uid, modality="CT", plane="axial", n_slices=60, coverage_mm=250.0,
        slice_thickness_mm=2.5, spacing_mm=(0.8, 0.8, 2.5), usable=True, **more,
    )  # fmt: skip


@pytest.mark.parametrize("virtual", ["mono-energetic", "virtual non-contrast"])
def test_a_computed_image_is_never_chosen_before_a_plain_one(virtual):
    plain = replace(
        summary("1", contrast="portal venous"), slice_thickness_mm=6.0, spacing_mm=(0.8, 0.8, 6.0)
    )
    choice = choose(
        [summary("2", contrast=virtual), plain], Path("x"), modality="", match=None,
        rules=load_rules(),
    )  # fmt: skip
    assert choice.chosen.series_uid == "1"


# phases


def ct(description: str, protocol: str = "", **technical) -> SliceHeader:
    text = " | ".join(part for part in (description, protocol) if part)
    return SliceHeader(Path("x"), modality="CT", description=text, technical=technical)


@pytest.mark.parametrize(
    ("description", "phase"),
    [
        ("CT LATE ART 5.0", "arterial"), ("Leber spätarteriell", "arterial"),
        ("Abdomen nativ 5.0", "unenhanced"), ("PRE CONTRAST", "unenhanced"),
        ("C- 5.0", "unenhanced"), ("Abdome sem contraste", "unenhanced"),
        ("sans injection", "unenhanced"), ("senza mdc", "unenhanced"), ("平扫", "unenhanced"),
        ("単純", "unenhanced"), ("조영전", "unenhanced"), ("нативная фаза", "unenhanced"),
        ("C+ PORT 5.0", "portal venous"), ("60 SEC", "portal venous"),
        ("腹部 门静脉期", "portal venous"), ("門脈相", "portal venous"),
        ("복부 문맥기", "portal venous"),
        ("венозная фаза", "portal venous"), ("mit KM portalvenös", "portal venous"),
        ("fase venosa", "portal venous"), ("temps portal", "portal venous"),
        ("Thorax/Abd PV W/O metal", "portal venous"), ("HEPATIC VENOUS", "portal venous"),
        ("fase tardia", "delayed"), ("腹部 平衡相", "delayed"), ("отсроченная фаза", "delayed"),
        ("EQUILIBRIUM", "delayed"), ("180 s", "delayed"), ("fase arteriosa", "arterial"),
        ("W/CONTRAST", "contrast, phase unknown"), ("HCC pv delayed", "contrast, phase unknown"),
        ("WITH AND WITHOUT CONTRAST VENOUS 5.0", "portal venous"),
        ("LATERAL decubitus", "no agent stated"), ("plate artifact", "no agent stated"),
        ("TAP support 5.0", "no agent stated"), ("CT portable", "no agent stated"),
        ("Abdomen WITHOUT arms", "no agent stated"), ("W/WO", "no agent stated"),
        ("nativ und venoes", "no agent stated"), ("Intravenous line", "no agent stated"),
        ("non-contrast", "unenhanced"), ("o. KM", "unenhanced"), ("NC Abdomen", "unenhanced"),
        ("sans IV", "unenhanced"), ("s/ contraste", "unenhanced"), ("非增强", "unenhanced"),
        ("造影なし", "unenhanced"), ("조영제 없이", "unenhanced"), ("бесконтрастная", "unenhanced"),
        ("True non-contrast", "unenhanced"), ("temps artériel tardif", "arterial"),
        ("35 sec delay", "arterial"), ("delay 70 s", "portal venous"), ("70 Sek.", "portal venous"),
        ("70秒", "portal venous"), ("80 segundos", "portal venous"), ("Pfortader", "portal venous"),
        ("портовенозная", "portal venous"), ("Ausscheidungsphase", "delayed"),
        ("экскреторная фаза", "delayed"), ("5 min delay", "delayed"),
        ("m. KM", "contrast, phase unknown"), ("W CONTRAST", "contrast, phase unknown"),
        ("腹部平扫+增强", "no agent stated"), ("без и с контрастом", "no agent stated"),
        ("조영 전후", "no agent stated"), ("Prevent trial", "no agent stated"),
    ],
)  # fmt: skip
def test_the_phase_is_read_in_whole_words_and_ten_languages(description, phase):
    assert contrast_name(ct(description)) == phase


def test_the_series_speaks_before_the_protocol():
    assert contrast_name(ct("ARTERIAL 5.0", "ABD LIVER W/WO")) == "arterial"
    assert contrast_name(ct("Abdomen 5.0", "LIVER portal venous")) == "portal venous"


def test_an_agent_tells_what_the_words_do_not():
    assert contrast_name(ct("5.0", ContrastBolusAgent="Omnipaque")) == "contrast, phase unknown"
    assert contrast_name(ct("5.0", ContrastBolusVolume=90.0)) == "contrast, phase unknown"
    for nothing in ("NONE", "", "oral", "n/a"):
        assert contrast_name(ct("5.0", ContrastBolusAgent=nothing)) == "no agent stated"
    timed = replace(
        ct("5.0", ContrastBolusAgent="Omnipaque"),
        split={"ContrastBolusStartTime": "101500.0", "AcquisitionTime": "101610.5"},
    )
    assert contrast_name(timed) == "portal venous"


@pytest.mark.parametrize(
    ("first", "later", "flags"),
    [
        ("portal venous", "no agent stated", ("phase_mismatch",)),
        ("contrast, phase unknown", "no agent stated", ("phase_mismatch",)),
        ("unenhanced", "no agent stated", ()),
        ("portal venous", "", ()),  # a NIfTI says nothing
    ],
)
def test_an_agent_at_one_visit_alone_flags_the_pair(first, later, flags):
    looks = [Acquisition("CT", phase, 5.0) for phase in (first, later)]
    assert scan_mismatches(*looks) == scan_mismatches(*reversed(looks)) == flags


def test_dixon_frames_are_named():
    for word, name in (("IN_PHASE", "in phase"), ("OUT_PHASE", "opposed phase"), ("FAT", "fat")):
        header = SliceHeader(
            Path("x"), modality="MR", image_type=("ORIGINAL", "PRIMARY", "DIXON", word)
        )
        assert contrast_name(header) == name
    fat_saturated = SliceHeader(Path("x"), modality="MR", description="T2 fat sat")
    assert contrast_name(fat_saturated) == "T2"


# whose it is


def two_people(folder: Path, **other) -> None:
    """Two series under one SeriesInstanceUID and frame, one 2.5 mm above the other."""
    writer.write_series(folder / "a", SMALL)

    def change(number, image):
        for keyword, value in other.items():
            setattr(image, keyword, value)
        image.SOPInstanceUID += f".{number}"

    second = replace(
        SMALL, change=change, heights_mm=tuple(h + 2.5 for h in SMALL.heights_mm),
        semi_axes_mm=(40.0, 30.0, 35.0),
    )  # fmt: skip
    writer.write_series(folder / "b", second)


@pytest.mark.parametrize(
    "other",
    [
        {"PatientID": "B"},
        {"PatientBirthDate": "19700101"},
        {"StudyInstanceUID": "1.2.3.2"},
        {"StudyDate": "20220505"},
    ],
)
def test_two_patients_or_studies_in_one_series_are_told_apart(tmp_path, other):
    two_people(tmp_path, **other)
    listed = find_series(tmp_path)
    assert [one.usable for one in listed] == [True, True]
    assert all("patient or study" in one.label for one in listed)
    volumes = sorted(
        writer.measured_ml(read_scan(tmp_path, series_uid=one.series_uid)) for one in listed
    )
    small = 4 / 3 * np.pi * 40 * 30 * 35 / 1000
    assert volumes == pytest.approx([small, writer.TRUE_ML], rel=0.02)
    with pytest.raises(ScanError, match="patient or study 1 of 2") as caught:
        read_scan(tmp_path)
    assert caught.value.code == "several_series"
    assert not {"B", "19700101"} & set(str(caught.value).split())


def test_a_few_images_of_another_patient_are_no_slices_of_this_one(tmp_path):
    def change(number, image):
        if number >= len(SMALL.heights_mm) - 2:
            image.PatientID = "B"

    writer.write_series(tmp_path, replace(SMALL, change=change))
    listed = find_series(tmp_path)
    assert [(one.usable, one.n_slices) for one in listed] == [
        (True, len(SMALL.heights_mm) - 2),
        (False, 2),
    ]
    assert read_scan(tmp_path).array.shape[2] == len(SMALL.heights_mm) - 2


def test_a_study_for_every_file_is_an_anonymisers_doing(tmp_path):
    def change(number, image):
        image.StudyInstanceUID = f"1.2.3.{number + 1}"

    writer.write_series(tmp_path, replace(SMALL, change=change))
    assert writer.measured_ml(read_scan(tmp_path)) == pytest.approx(writer.TRUE_ML, rel=0.02)


def test_two_visits_that_nothing_else_tells_apart_are_refused_with_the_true_reason(tmp_path):
    writer.write_series(tmp_path / "a", SMALL)

    def change(number, image):
        image.StudyDate, image.StudyInstanceUID = "20210101", "1.2.3.2"
        image.SOPInstanceUID += f".{number}"

    writer.write_series(tmp_path / "b", replace(SMALL, change=change, object_value=60.0))
    with pytest.raises(ScanError, match="patient or study 1 of 2"):
        choose_series(tmp_path)


# grey values that are no image


def test_bits_above_the_stored_ones_are_no_image(tmp_path):
    def change(number, image):
        pixels = image.pixel_array.copy()
        pixels[20:24, 10:40] |= 0x1000  # an overlay in the first unused bit
        image.BitsStored, image.HighBit = 16, 15
        image.PixelData = pixels.tobytes()
        image.compress(JPEG2000Lossless, generate_instance_uid=False)
        image.BitsStored, image.HighBit = 12, 11

    writer.write_series(tmp_path / "clean", replace(SMALL, bits=12))
    writer.write_series(tmp_path / "overlay", replace(SMALL, bits=12, change=change))
    clean, overlay = read_scan(tmp_path / "clean"), read_scan(tmp_path / "overlay")
    assert np.array_equal(clean.array, overlay.array)


@pytest.mark.parametrize(("signed", "padding"), [(False, 63536), (True, 30000), (False, -2000)])
def test_padding_is_no_tissue(tmp_path, signed, padding):
    def change(number, image):
        pixels = image.pixel_array.copy()
        pixels[:5] = np.array(padding % 65536, np.uint16).astype(pixels.dtype)
        image.PixelData = pixels.tobytes()
        image.add_new(0x00280120, "SS" if signed or padding < 0 else "US", padding)

    writer.write_series(tmp_path, replace(SMALL, signed=signed, change=change))
    array = read_scan(tmp_path).array
    assert array.max() <= 101
    assert (array[:, :5] == -1024).all()
    assert (array[:, 5:] >= -901).all()
