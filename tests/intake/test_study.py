"""study.csv and study.yaml as people really write them."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from fibrovol.errors import ConfigError, FibrovolError, ManifestError
from fibrovol.intake.cases import locate, slug, unique_ids
from fibrovol.intake.study import command_line_case, read_study, study_of_cases
from hypothesis import given
from hypothesis import strategies as st

HEADER = "subject,timepoint,kind,path,stain,mpp_um,date\n"
GOOD = (
    HEADER
    + "S01,baseline,scan,scans/a,,,2024-01-05\n"
    + "S01,month6,scan,scans/b,,,2024-07-05\n"
    + "S01,baseline,slide,slides/a.svs,psr,0.5,2024-01-05\n"
)


def _like(paths, case):
    return [replace(case, path=path) for path in paths]


def _write(tmp_path, text, name="study.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def _refused(tmp_path, text, **kwargs):
    with pytest.raises(ManifestError) as caught:
        read_study(_write(tmp_path, text, **kwargs))
    assert caught.value.code == "bad_manifest"
    return str(caught.value)


def test_a_plain_study_csv_is_a_study(tmp_path):
    study = read_study(_write(tmp_path, GOOD))
    assert [case.case_id for case in study.cases] == [
        "S01_baseline_scan",
        "S01_month6_scan",
        "S01_baseline_slide",
    ]
    assert study.timepoints == ("baseline", "month6")
    assert study.cases[0].path == tmp_path / "scans" / "a"
    assert study.cases[2].stain == "psr"
    assert study.cases[2].mpp_um == 0.5
    assert study.primary_measures == ("liver_volume_ml", "caf_percent")
    assert read_study(tmp_path) == study  # the folder will do


def test_files_that_are_missing_are_no_problem_of_the_table(tmp_path):
    assert not (tmp_path / "scans").exists()
    assert len(read_study(_write(tmp_path, GOOD)).cases) == 3


SPREADSHEETS = {
    "excel_utf8": ("\ufeff" + GOOD.replace("\n", "\r\n"), "utf-8"),
    "semicolons": (GOOD.replace(",", ";").replace("0.5", "0,5"), "utf-8"),
    "sep_line": ("sep=;\n" + GOOD.replace(",", ";"), "utf-8"),
    "tabs_utf16": (GOOD.replace(",", "\t"), "utf-16"),
    "old_mac": (GOOD.replace("\n", "\r"), "utf-8"),
    "empty_columns_and_lines": (
        "\n".join(f"{line},,," for line in GOOD.splitlines()) + "\n,,,,,,,,,\n\n",
        "utf-8",
    ),
    "blanks": (GOOD.replace(",", " , ").replace("S01", "\u00a0S01 "), "utf-8"),
    "capitals": (GOOD.replace("subject", "Subject").replace("scan,", "Scan,"), "utf-8"),
    "excel_dates": (GOOD.replace("2024-01-05", "2024-01-05 00:00:00"), "utf-8"),
    "korean_dates": (GOOD.replace("2024-07-05", "2024. 7. 5."), "utf-8"),
    "dicom_dates": (GOOD.replace("2024-01-05", "20240105"), "utf-8"),
    "backslashes": (GOOD.replace("/", "\\"), "utf-8"),
    "copied_as_path": (GOOD.replace("scans/a", '"""scans/a"""'), "utf-8"),
}


@pytest.mark.parametrize("name", SPREADSHEETS)
def test_what_spreadsheets_do_to_a_table_is_undone(tmp_path, name):
    expected = read_study(_write(tmp_path, GOOD)).cases
    text, encoding = SPREADSHEETS[name]
    cases = read_study(_write(tmp_path, text, encoding=encoding)).cases
    assert [(c.case_id, c.path, c.stain, c.mpp_um, c.date) for c in cases] == [
        (c.case_id, c.path, c.stain, c.mpp_um, c.date) for c in expected
    ]


def test_every_problem_is_listed_with_its_line(tmp_path):
    text = HEADER + (
        "S01,baseline,scann,scans/a,,,\n"
        "S01,month6,scan,,,,\n"
        ",baseline,slide,a.svs,,,05/01/2024\n"
        "=S1,baseline,slide,b.svs,psr,half,\n"
    )
    message = _refused(tmp_path, text)
    for part in (
        "line 2: kind is 'scann': did you mean 'scan'?",
        "line 3: path is empty",
        "line 4: subject is empty",
        "line 4: date is '05/01/2024'",
        "line 4: stain is empty",
        "line 5: subject '=S1' begins with '='",
        "line 5: mpp_um is 'half'",
        "nothing was measured",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("S01,baseline,scan,scans/a/../a,,,", "the path is the same as in line 2"),
        ("s01,month6,scan,scans/c,,,", "'s01' and 'S01' (line 2) look like one"),
        ("S1,month6,scan,scans/c,,,", "'S1' and 'S01' (line 2) look like one"),
        ("S02,Month 6,scan,scans/c,,,", "timepoint 'Month 6' and 'month6'"),
        ("S02,baseline,scan,scans/c,psr,,", "stain is given for a scan"),
        ("S02,baseline,scan,~/c,,,", "write the whole path"),
        ("S02,base\u202eline,scan,scans/c,,,", "invisible character"),
        ("S02,baseline,slide,c.svs,psr,inf,", "mpp_um is 'inf'"),
        ('S02,baseline,slide,"c.svs,psr,1,', "broken line"),
        ("S02,baseline,slide,c.svs,psr,0,5,2024-01-01", "more cells than the header"),
    ],
)
def test_a_line_that_would_mislead_is_refused(tmp_path, line, says):
    assert says in _refused(tmp_path, GOOD + line + "\n")


@pytest.mark.skipif(os.name == "nt", reason="such a path is right on Windows")
def test_a_path_of_another_machine_is_named_as_such(tmp_path):
    line = "S02,baseline,scan,C:\\scans\\a,,,\n"
    assert "a Windows path" in _refused(tmp_path, GOOD + line)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no header line"),
        (HEADER, "no case"),
        ("subject,timepoint,path\nS,b,x\n", "the column 'kind' is missing"),
        (GOOD.replace("mpp_um", "mpp"), "did you mean 'mpp_um'?"),
        (GOOD.replace("mpp_um", "path"), "names a column twice"),
        ("PK\x03\x04rest", "Excel workbook"),
        (GOOD + "\x00", "NUL"),
    ],
)
def test_a_file_that_is_no_study_table_is_refused(tmp_path, text, says):
    assert says in _refused(tmp_path, text)


def test_a_korean_windows_table_is_refused_rather_than_garbled(tmp_path):
    text = GOOD.replace("S01", "환자1")
    assert "CSV UTF-8" in _refused(tmp_path, text, encoding="cp949")
    assert read_study(_write(tmp_path, text)).cases[0].case_id == "환자1_baseline_scan"


def test_further_columns_are_noted_not_used(tmp_path):
    text = "".join(f"{line},x\n" for line in GOOD.splitlines()).replace("date,x", "date,hospital")
    study = read_study(_write(tmp_path, text))
    assert study.notes == ("study.csv: the column 'hospital' was not used",)


def test_one_slide_may_be_two_cases_through_its_regions(tmp_path):
    text = (
        "subject,timepoint,kind,path,stain,include_regions\n"
        "A,base,slide,x.svs,psr,left.geojson\nA,later,slide,x.svs,psr,right.geojson\n"
    )
    assert len(read_study(_write(tmp_path, text)).cases) == 2


YAML = """\
title: A trial
timepoints: [screening, month6]
primary_measures: [caf_percent]
biological_variation_percent: 12
smallest_detectable: {caf_percent: 1.5}
important_difference: {child_pugh_score: 2}
stain: masson
settings:
  run: {workers: 2}
"""
FEW = "subject,timepoint,kind,path\nA,month6,slide,b.svs\nA,screening,slide,a.svs\n"


def test_study_yaml_orders_and_fills_in(tmp_path):
    _write(tmp_path, FEW)
    _write(
        tmp_path,
        "subject,timepoint,weight_kg,albumin_g_dl,Patient Name\nA,month6,70,NA,Kim\n",
        "clinical.csv",
    )
    _write(tmp_path, "subject,followup_months,event\nA,14,Lost\n", "outcomes.csv")
    study = read_study(_write(tmp_path, YAML, "study.yaml"))
    assert study.timepoints == ("screening", "month6")
    assert [case.stain for case in study.cases] == ["masson", "masson"]
    assert study.biological_variation_percent == {"liver_volume_ml": 12.0}
    assert study.smallest_detectable == {"caf_percent": 1.5}
    assert study.important_difference == {"child_pugh_score": 2.0}
    assert study.settings == {"run": {"workers": 2}}
    assert study.clinical[0]["weight_kg"] == 70
    assert study.clinical[0]["albumin_g_dl"] is None
    assert "Kim" not in str(study.clinical)
    assert study.outcomes[0]["event"] == "lost"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("title:", "titel:"), "did you mean 'title'?"),
        (("month6]", "month9]"), "month6 is missing"),
        (("month6]", "month6, month6]"), "each one once"),
        (("[caf_percent]", "[caf_pct]"), "did you mean 'caf_percent'?"),
        (("percent: 12", "percent: much"), "a number"),
        (("percent: 12", "percent: -1"), "from 0 to 100"),
        (("{workers: 2}", "{worker: 2}"), "did you mean 'workers'?"),
        (("stain: masson", "cases: other.csv"), "a file that is there"),
        (("title: A trial", "clinical: missing.csv"), "a file that is there"),
        (("title: A trial", "title: [A]"), "must be text"),
    ],
)
def test_study_yaml_is_checked_as_strictly(tmp_path, change, says):
    _write(tmp_path, FEW)
    path = _write(tmp_path, YAML.replace(*change), "study.yaml")
    with pytest.raises((ManifestError, ConfigError)) as caught:
        read_study(path)
    assert says in str(caught.value)


def test_without_an_order_the_dates_decide(tmp_path):
    text = "subject,timepoint,kind,path,date\nA,late,scan,b,2024-06-01\nA,early,scan,a,2023-06-01\n"
    assert read_study(_write(tmp_path, text)).timepoints == ("early", "late")
    undated = text.replace("2023-06-01", "")
    with pytest.raises(ManifestError, match="Which visit comes first"):
        read_study(_write(tmp_path, undated))
    named = undated.replace("late", "month6").replace("early", "baseline")
    assert read_study(_write(tmp_path, named)).timepoints == ("baseline", "month6")


def test_arms_days_and_subjects_without_scans(tmp_path):
    text = (
        "subject,timepoint,kind,path,date,arm\nA,month6,scan,b,2024-06-01,cells\n"
        "A,baseline,scan,a,2023-12-01,cells\nB,baseline,scan,c,,control\n"
    )
    _write(tmp_path, text)
    study = read_study(_write(tmp_path, "subjects: [C]\n", "study.yaml"))
    assert study.groups == {"A": "cells", "B": "control"}
    assert study.days == {"A": {"month6": 183, "baseline": 0}}
    assert study.enrolled == ("A", "B", "C")
    assert any("'arm' was read as 'group'" in note for note in study.notes)
    with pytest.raises(ManifestError, match="--strict"):
        read_study(tmp_path / "study.yaml", strict=True)
    with pytest.raises(ManifestError, match="line 3: the group of A is 'control'"):
        read_study(_write(tmp_path, text.replace("a,2023-12-01,cells", "a,2023-12-01,control")))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("clinical.csv", "subject,timepoint,inr\nB,x,1\n", "'B' is not in the study"),
        ("clinical.csv", "subject,timepoint,inr\nA,x,1.2.\n", "write a number"),
        ("clinical.csv", "subject,timepoint,inr\nA,x,1\nA,x,2\n", "same as in line 2"),
        ("clinical.csv", "subject,timepoint,albumin\nA,x,3\n", "did you mean 'albumin_g_dl'?"),
        ("clinical.csv", "subject,inr\nA,1\n", "'timepoint' is missing"),
        ("outcomes.csv", "subject,followup_months,event\nA,3,moved\n", "event is 'moved'"),
        ("outcomes.csv", "subject,followup_months,event\nA,,death\n", "followup_months is empty"),
    ],
)
def test_clinical_and_outcomes_are_checked_with_the_study(tmp_path, name, text, says):
    _write(tmp_path, FEW.replace("slide", "scan"))
    _write(tmp_path, text, name)
    with pytest.raises(ManifestError) as caught:
        read_study(tmp_path)
    assert says in str(caught.value)
    assert name in str(caught.value)


def test_a_study_that_is_not_there_says_how_to_get_one(tmp_path):
    with pytest.raises(ManifestError, match="fibrovol init"):
        read_study(tmp_path / "nowhere" / "study.yaml")


def test_cases_of_the_command_line_are_named_by_their_files(tmp_path):
    paths = [tmp_path / "a.nii.gz", tmp_path / "x" / "A.nii.gz", tmp_path / "ct folder (1)"]
    study = study_of_cases(_like(paths, command_line_case("scan")))
    assert [case.case_id for case in study.cases] == ["a", "A_2", "ct-folder-1"]
    with pytest.raises(ManifestError, match="given twice"):
        study_of_cases(_like([paths[0], paths[0]], command_line_case("scan")))
    with pytest.raises(ManifestError, match="mask belongs to one image"):
        study_of_cases(_like(paths, command_line_case("scan", mask=paths[0])))
    kept = study_of_cases(_like(paths, command_line_case("scan")), taken={"first": str(paths[1])})
    assert [case.case_id for case in kept.cases] == ["a", "first", "ct-folder-1"]


@given(st.lists(st.text(max_size=200), max_size=5))
def test_any_name_becomes_one_that_any_file_system_takes(names):
    ids = unique_ids(names)
    assert len({name.lower() for name in ids}) == len(names)
    for name in ids:
        assert 0 < len(name.encode()) <= 64
        assert not set('<>:"/\\|?*') & set(name)
        assert name[0] not in ".-"
        assert name[-1] != "."
        assert name.lower().split(".")[0] not in {"con", "nul", "com1"}


_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=80)


@given(_TEXT, _TEXT)
def test_no_text_breaks_the_reader(first, second):
    """Whatever stands in a cell, the answer is a study or a FibrovolError."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "study.csv"
        text = f"subject,timepoint,kind,path\n{first},b,scan,{second}\n"
        path.write_bytes(text.encode())
        try:
            study = read_study(path)
        except FibrovolError:
            return
        assert all(case.subject for case in study.cases)


def test_slug_keeps_what_it_can():
    assert slug("S01_baseline") == "S01_baseline"
    assert slug("../../etc/passwd") == "etc-passwd"
    assert slug("CON") == "case-CON"
    assert len(slug("x" * 200)) == 60


def test_paths_stay_where_they_are(tmp_path):
    assert locate("../up/x", tmp_path) == tmp_path.parent / "up" / "x"
    (tmp_path / "target").mkdir()
    if hasattr(os, "symlink") and os.name != "nt":
        (tmp_path / "link").symlink_to(tmp_path / "target")
        assert locate("link", tmp_path) == tmp_path / "link"


def test_slides_of_one_name_are_told_apart_by_their_folders(tmp_path):
    paths = [tmp_path / folder / "liver.tif" for folder in ("rat1", "rat2", "rat10")]
    study = study_of_cases(_like(paths, command_line_case("slide")))
    assert [case.case_id for case in study.cases] == ["rat1_liver", "rat2_liver", "rat10_liver"]
    deeper = [tmp_path / a / "he" / "liver.tif" for a in ("rat1", "rat2")]
    study = study_of_cases(_like([*deeper, tmp_path / "x.tif"], command_line_case("slide")))
    assert [case.case_id for case in study.cases] == ["rat1_he_liver", "rat2_he_liver", "x"]
    # a name that the results know already stands for another file
    known = {"liver": str(paths[0])}
    study = study_of_cases(_like(paths[:2], command_line_case("slide")), taken=known)
    assert [case.case_id for case in study.cases] == ["liver", "rat2_liver"]


def test_the_folders_of_scans_stay_out_of_their_names(tmp_path):
    paths = [tmp_path / patient / "ct.nii.gz" for patient in ("Roe^Jane", "Doe^John")]
    study = study_of_cases(_like(paths, command_line_case("scan")))
    assert [case.case_id for case in study.cases] == ["ct", "ct_2"]


def test_a_hash_is_a_letter_of_a_name(tmp_path):
    paths = [tmp_path / f"rat #{number}.tif" for number in (1, 2, 10)]
    study = study_of_cases(_like(paths, command_line_case("slide")))
    assert [case.case_id for case in study.cases] == ["rat-1", "rat-2", "rat-10"]


def test_what_is_said_of_a_slide_is_read_and_checked(tmp_path):
    header = "subject,timepoint,kind,path,stain,image,white,region_label,include_class\n"
    rows = "S1,a,slide,x.tif,psr,1,235 228 205,2,Tissue\nS1,a,slide,x.tif,psr,2,,,\n"
    first, second = read_study(_write(tmp_path, header + rows)).cases
    assert (first.image, first.white, first.region_label) == (1, (235.0, 228.0, 205.0), "2")
    assert (first.include_class, second.image) == ("Tissue", 2)
    for cell, word in (
        ("0,,,", "image is '0'"),
        ("1,300 1 1,,", "white is"),
        ("1,5 5,,", "white is"),
    ):
        assert word in _refused(tmp_path, header + f"S1,a,slide,x.tif,psr,{cell}\n")
    assert "for a scan" in _refused(tmp_path, header + "S1,a,scan,x,,2,,,\n")
