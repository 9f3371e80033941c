"""The tables are contracts: header lines, exact bytes, and nothing that is not a number."""

import json
import math

import pytest
from fibrovol.datapackage import write_datapackage
from fibrovol.errors import ManifestError
from fibrovol.files import sha256_file
from fibrovol.tables import (
    TABLES,
    format_spacing,
    format_table,
    parse_spacing,
    read_table,
    write_table,
)
from hypothesis import given
from hypothesis import strategies as st

HEADERS = {
    "volumes": "subject,timepoint,case_id,status,series_uid,modality,n_slices,spacing_mm,volume_ml,"
    "volume_ml_low,volume_ml_high,engine,flags,error,mask_path,overlay_path,input_sha256,"
    "spleen_volume_ml,liver_spleen_ratio,contrast,corrected_from_ml,reader,device",
    "collagen": "subject,timepoint,case_id,status,stain,mpp_um,tissue_mm2,collagen_mm2,caf_percent,"
    "caf_percent_low,caf_percent_high,n_fragments,length_mm,flags,error,mask_path,overlay_path,"
    "input_sha256,caf_with_lumens_percent,excluded_lumens_mm2,excluded_regions_mm2,"
    "excluded_pen_mm2,excluded_coverslip_and_dirt_mm2,excluded_debris_mm2,"
    "corrected_from_percent,reader,image,stain_title,stain_family,analysis_mpp_um",
    "fragments": "subject,timepoint,case_id,fragment,tissue_mm2,collagen_mm2,caf_percent,length_mm,"
    "lumens_mm2,caf_with_lumens_percent",
    "paired": "subject,measure,timepoint,baseline,followup,change,percent_change,change_low,"
    "change_high,call,flags,days",
    "statistics": "measure,quantity,n,value,low,high,p_value,p_value_holm,method",
    "reviews": "review,case_id,revision,verdict,reason,overruled_flags,quality,note,reader,"
    "reviewed_at,mask_sha256,value,version",
}

MEASURED = {
    "subject": "홍-01",
    "timepoint": "baseline",
    "case_id": "S01_baseline_scan",
    "status": "measured",
    "modality": "CT",
    "n_slices": 168,
    "spacing_mm": "3x3x2.5",
    "volume_ml": 1432.1 + 1e-9,
    "volume_ml_low": 1390.0,
    "volume_ml_high": 1480.126,
    "engine": "liver_net",
    "flags": "thick_slices;low_confidence",
}


@pytest.mark.parametrize("name", HEADERS)
def test_the_header_is_the_contract(name):
    assert format_table(name, []) == HEADERS[name] + "\n"
    assert set(TABLES[name].key) <= set(TABLES[name].header)


def test_what_is_written_is_read_back(tmp_path):
    path = write_table(tmp_path, "volumes", [MEASURED])
    assert b"\r" not in path.read_bytes()
    (row,) = read_table(tmp_path, "volumes")
    assert row["subject"] == "홍-01"
    assert row["volume_ml"] == 1432.1
    assert row["volume_ml_high"] == 1480.13
    assert row["n_slices"] == 168
    assert row["spleen_volume_ml"] is None
    assert row["error"] == ""
    again = tmp_path / "again"
    assert write_table(again, "volumes", [row]).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_never_written(tmp_path, value):
    with pytest.raises(ValueError, match="failure must not become a number"):
        write_table(tmp_path, "volumes", [{**MEASURED, "volume_ml": value}])
    assert not list(tmp_path.iterdir())


def test_a_wrong_column_or_status_is_refused():
    with pytest.raises(ValueError, match="no column"):
        format_table("volumes", [{"volume": 1}])
    with pytest.raises(ValueError, match="status must be one of"):
        format_table("volumes", [{"status": "ok"}])
    with pytest.raises(ValueError, match="whole number"):
        format_table("volumes", [{"n_slices": 1.5}])


def test_a_sentence_with_line_ends_stays_one_row():
    text = format_table("volumes", [{"error": 'a "quoted", long\r\nsentence'}])
    assert text.count("\n") == 2
    assert '"a ""quoted"", long sentence"' in text


def test_a_table_saved_by_a_spreadsheet_is_still_read(tmp_path):
    path = write_table(tmp_path, "volumes", [MEASURED])
    rows = read_table(tmp_path, "volumes")
    text = path.read_text(encoding="utf-8")
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read_table(tmp_path, "volumes") == rows


def test_a_damaged_table_says_which_line(tmp_path):
    path = write_table(tmp_path, "volumes", [MEASURED])
    path.write_text(path.read_text(encoding="utf-8").replace("1432.10", "14 32"), encoding="utf-8")
    with pytest.raises(ManifestError, match=r"volumes.csv, line 2: volume_ml is not valid"):
        read_table(tmp_path, "volumes")
    path.write_text("subject,volume_ml\nA,1\n", encoding="utf-8")
    with pytest.raises(ManifestError, match="not a table of this version"):
        read_table(tmp_path, "volumes")


def test_a_table_that_was_not_written_is_empty(tmp_path):
    assert read_table(tmp_path, "collagen") == []


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12))
def test_writing_twice_changes_nothing(value):
    """Formatting is idempotent: a value read back and written again keeps its bytes."""
    for column in ("percent_change", "change_low"):
        first = format_table("paired", [{column: value}])
        cell = first.splitlines()[1].strip(",")
        assert format_table("paired", [{column: float(cell)}]) == first
        assert cell != "-0"


def test_spacing_survives():
    assert format_spacing((0.78125, 0.78125, 5.0)) == "0.78125x0.78125x5"
    assert parse_spacing("0.78125x0.78125x5") == (0.78125, 0.78125, 5.0)
    assert parse_spacing("") == ()


def test_the_data_package_describes_every_table_present(tmp_path):
    path = write_table(tmp_path, "volumes", [MEASURED])
    write_table(tmp_path, "statistics", [])
    package = json.loads(write_datapackage(tmp_path, title="T").read_text(encoding="utf-8"))
    assert [resource["name"] for resource in package["resources"]] == ["volumes", "statistics"]
    volumes = package["resources"][0]
    assert volumes["hash"] == f"sha256:{sha256_file(path)}"
    fields = volumes["schema"]["fields"]
    assert ",".join(field["name"] for field in fields) == HEADERS["volumes"]
    assert next(f for f in fields if f["name"] == "volume_ml")["unit"] == "mL"
    assert all(field["description"].endswith(".") for field in fields)
