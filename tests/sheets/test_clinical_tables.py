"""Clinical tables as people have them: read right, with a note, or refused by line and subject."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openpyxl  # type: ignore[import-untyped]
import pytest
from fibrovol.analysis.clinical import bound_findings, with_scores
from fibrovol.analysis.clinical_units import unit_findings
from fibrovol.errors import ManifestError
from fibrovol.sheets.clinical import Read, read_clinical, read_outcomes
from fibrovol.tables import write_table

SUBJECTS = ("A1", "A2", "07")
VISITS = ("baseline", "month6")
HEAD = "subject,timepoint,sex,albumin_g_dl,bilirubin_mg_dl,inr,creatinine_mg_dl,ascites,dialysis\n"
ROW = "A1,baseline,F,2.8,2.4,1.6,0.9,mild,no\n"


def clinical(tmp_path: Path, text: str | bytes, name: str = "clinical.csv") -> Read:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_clinical(path, SUBJECTS, VISITS)


def outcomes(tmp_path: Path, rows: str, header: str = "subject,followup_months,event") -> Read:
    path = tmp_path / "outcomes.csv"
    path.write_text(f"{header}\n{rows}", encoding="utf-8")
    return read_outcomes(path, SUBJECTS)


@pytest.mark.parametrize(
    "text",
    [
        HEAD + ROW,
        "Laboratory of the liver study,,,,,,,,\n" + HEAD + ROW,
        "﻿" + (HEAD + ROW).replace(",", ";").replace(".", ",").replace("\n", "\r\n"),
        (HEAD + ROW).replace(",", "\t").encode("utf-16"),
        (HEAD + ROW).replace("A1,baseline", "A1,Baseline"),
        (HEAD + ROW)
        .replace("A1,baseline", "A1,baseline_arm_1")
        .replace("subject,timepoint", "record_id,redcap_event_name"),
        HEAD.replace("bilirubin_mg_dl", "bilirubin_umol_l") + ROW.replace("2.4", "41.04"),
        HEAD.replace("albumin_g_dl", "albumin_g_l") + ROW.replace("2.8", '"28,0"'),
        (HEAD + ROW).replace(",F,", ",weiblich,").replace("mild,no", "trace,nein"),
    ],
)
def test_one_table_in_many_clothes(tmp_path: Path, text: str | bytes) -> None:
    (row,) = clinical(tmp_path, text).rows
    assert (row["subject"], row["timepoint"]) == ("A1", "baseline")
    assert row["albumin_g_dl"] == pytest.approx(2.8)
    assert row["bilirubin_mg_dl"] == pytest.approx(2.4)
    assert (
        with_scores([row])[0]["meld"] == with_scores(clinical(tmp_path, HEAD + ROW).rows)[0]["meld"]
    )


def test_a_workbook_is_read_and_several_tables_in_it_are_asked_about(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for line in (HEAD, ROW):
        sheet.append(line.strip().split(","))
    book.save(tmp_path / "clinical.xlsx")
    (row,) = read_clinical(tmp_path / "clinical.xlsx", SUBJECTS, VISITS).rows
    assert row["inr"] == pytest.approx(1.6)
    book.create_sheet("old").append(["x"])
    book.save(tmp_path / "clinical.xlsx")
    with pytest.raises(ManifestError, match="several tables"):
        read_clinical(tmp_path / "clinical.xlsx", SUBJECTS, VISITS)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("mild", "yes"), r"line 2: ascites is 'yes' \(A1\)"),
        ((",F,", ",2,"), r"line 2: sex is '2' \(A1\)"),
        ((",no\n", ",X\n"), r"line 2: dialysis is 'X' \(A1\)"),
        (("2.4", "<"), r"line 2: bilirubin_mg_dl is '<' \(A1\)"),
        (("2.4", '"<1,234"'), r"bilirubin_mg_dl is"),
        (("2.4", '"1,234"'), r"bilirubin_mg_dl is '1,234'"),
        (("A1,", "a1,"), r"'a1' and 'A1' look like one"),
        (("A1,", "7,"), r"'7' and '07' look like one"),
        (("baseline", "baselin"), r"did you mean 'baseline'"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        clinical(tmp_path, HEAD + ROW.replace(*change))


@pytest.mark.parametrize(
    ("column", "cell", "kept", "meld"),
    [
        ("bilirubin_mg_dl", "<0.5", "bilirubin_mg_dl<0.5", True),  # MELD takes 1 for all below
        ("bilirubin_mg_dl", "< 1.0", "bilirubin_mg_dl<1", True),
        ("bilirubin_mg_dl", "<1.5", "bilirubin_mg_dl<1.5", False),
        ("bilirubin_umol_l", "<=8.55", "bilirubin_mg_dl<=0.5", True),
        ("bilirubin_mg_dl", ">20", "bilirubin_mg_dl>20", False),
        ("creatinine_mg_dl", "≥4", "creatinine_mg_dl>=4", True),
        ("creatinine_umol_l", ">353.6", "creatinine_mg_dl>4", True),
        ("inr", "<1,0", "inr<1", True),
    ],
)
def test_a_bound_gives_the_scores_that_do_not_hang_on_it(
    tmp_path: Path, column: str, cell: str, kept: str, meld: bool
) -> None:
    ours = column.replace("umol_l", "mg_dl")
    values = {"bilirubin_mg_dl": "2.4", "creatinine_mg_dl": "0.9", "inr": "1.6"} | {ours: cell}
    head = ",".join(values).replace(ours, column)
    cells = ",".join(f'"{value}"' for value in values.values())
    read = clinical(tmp_path, f"subject,timepoint,{head}\nA1,baseline,{cells}\n")
    (row,) = read.rows
    assert row["bounds"] == kept
    assert row[ours] is None
    assert "line 2" in " ".join(read.notes)
    (scored,) = with_scores([row])
    assert (scored["meld"] is not None) is meld
    (finding,) = bound_findings([scored])
    assert ("Left empty" in finding.sentence) is not meld
    # the table that goes into the results keeps numbers and bounds apart, and is read as the same
    write_table(tmp_path, "clinical", read.rows)
    again = read_clinical(tmp_path / "clinical.csv", SUBJECTS, VISITS)
    assert again.rows[0]["bounds"] == kept
    assert not again.notes


def test_a_score_from_a_bound_is_that_of_every_value_below_it() -> None:
    rng = np.random.default_rng(0)
    compared = 0
    for _ in range(200):
        row = {
            "subject": "A1", "timepoint": "baseline", "sex": "F", "ascites": "mild",
            "encephalopathy_grade": "0", "dialysis": "no",
            "albumin_g_dl": rng.uniform(2, 4), "bilirubin_mg_dl": rng.uniform(0.3, 5),
            "inr": rng.uniform(0.9, 2.5), "creatinine_mg_dl": rng.uniform(0.4, 4.5),
            "sodium_mmol_l": rng.uniform(120, 140),
        }  # fmt: skip
        column = str(rng.choice(["albumin_g_dl", "bilirubin_mg_dl", "inr", "creatinine_mg_dl"]))
        limit, below = float(f"{row[column]:.3g}"), bool(rng.integers(2))
        bounded = row | {column: None, "bounds": f"{column}{'<' if below else '>'}{limit:g}"}
        (scored,) = with_scores([bounded])
        for factor in rng.uniform(0.8, 1, 3) if below else rng.uniform(1.001, 1.25, 3):
            (exact,) = with_scores([row | {column: limit * factor * (1 - 1e-9)}])
            for name in ("meld", "meld_na", "meld_3", "child_pugh_score", "albi_grade"):
                if scored[name] is not None:
                    compared += 1
                    assert scored[name] == exact[name], (name, bounded)
    assert compared > 100


def test_a_bound_beyond_what_can_be_is_taken_for_another_unit(tmp_path: Path) -> None:
    read = clinical(tmp_path, HEAD + ROW.replace("2.4", ">500"))
    (finding,) = unit_findings(read.rows)
    assert finding.value == ">500"
    assert "probably umol/L" in finding.sentence
    assert with_scores(read.rows)[0]["meld"] is None


@pytest.mark.parametrize("cell", ["1-2", "02-Jan", "2. Jan", "45293", "2024-01-02", "01-Feb"])
def test_a_grade_that_a_spreadsheet_made_a_date(tmp_path: Path, cell: str) -> None:
    read = clinical(tmp_path, f"subject,timepoint,encephalopathy_grade\nA1,baseline,{cell}\n")
    assert read.rows[0]["encephalopathy_grade"] == "1-2"
    assert bool(read.notes) == (cell != "1-2")


def test_a_visit_in_another_unit_is_found_by_the_subjects_own_values(tmp_path: Path) -> None:
    text = "subject,timepoint,bilirubin_mg_dl\nA1,baseline,2.2\nA1,month6,25\nA2,baseline,24\n"
    (finding,) = unit_findings(clinical(tmp_path, text).rows)
    assert (finding.subject, finding.timepoint) == ("A1", "month6")
    assert "11 times" in finding.sentence
    scored = with_scores(clinical(tmp_path, text).rows)
    assert [row["bilirubin_mg_dl"] for row in scored] == [2.2, None, 24]


def test_visits_before_the_baseline_and_a_missing_baseline_are_named(tmp_path: Path) -> None:
    read = clinical(tmp_path, "subject,timepoint,inr\nA1,Screening,1.2\nA1,Month 06,1.3\n")
    assert [row["timepoint"] for row in read.rows] == ["Screening", "month6"]
    notes = " ".join(read.notes)
    assert "'Screening' is before baseline" in notes
    assert "no row is of baseline" in notes
    assert "'Month 06' was read as 'month6' in 1 row" in notes


def test_outcomes_by_the_words_of_the_clinic(tmp_path: Path) -> None:
    read = outcomes(tmp_path, "A1,3,LT\nA1,60,alive\nA2,4,Died\n07,30,variceal bleeding\n")
    assert [row["event"] for row in read.rows] == ["transplant", "none", "death", "bleeding"]
    days = outcomes(tmp_path, "A1,365.25,none\n", "subject,followup_days,event")
    assert days.rows[0]["followup_months"] == pytest.approx(12)


def test_news_after_a_loss_and_visits_without_a_time_are_named(tmp_path: Path) -> None:
    read = outcomes(tmp_path, "A1,12,lost\nA1,30,alive\nA2,12,lost\nA2,12,bleeding\n")
    (note,) = read.notes
    assert "line 2: A1 is lost at 12 months, but there is news of 30 months" in note
    text = "subject,timepoint,inr\nA1,baseline,1.2\nA1,Visit 1,1.3\nA2,control,1.3\nA2,month60,1\n"
    notes = clinical(tmp_path, text).notes
    assert ["'Visit 1'" in notes[0], "'control'" in notes[1], len(notes)] == [True, True, 2]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("A1,-3,death\n", r"line 2: followup_months is -3 \(A1\)"),
        ("A1,1854,none\n", "154 years"),
        ("A1,200,none\nA2,220,none\n", "median of 220"),
        ("A1,30,death\nA1,60,none\n", r"line 3: A1: none at 60 months, after the death at 30"),
        ("A1,30,death\nA1,40,LT\n", "line 3: A1: transplant at 40 months, after the death"),
        ("A1,30,death\nA1,30,dead\n", "dies a second time"),
        ("A1,,death\n", "line 2: followup_months is empty"),
        ("A1,30,\n", "line 2: event is empty"),
        ("A1,30,LT\nA1,30,transplant\n", "line 3: A1: transplant at 30 months is in line 2, too"),
        ("A1,30,relapse\n", r"has 1 problem(.|\n)*event is 'relapse'"),
        ("A1,30,1\n", "line 2: event is '1'"),
    ],
)
def test_outcomes_that_cannot_be_true(tmp_path: Path, rows: str, says: str) -> None:
    with pytest.raises(ManifestError, match=says):
        outcomes(tmp_path, rows)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("A1,baseline,drug\nA1,month6,placebo\n", "group of A1 is 'placebo', but 'drug' in line 2"),
        ("A1,baseline,drug\nA2,baseline,Drug\n", "'Drug' of A2 and 'drug' (line 2) look like one"),
        ("07,baseline,drug\n", "group of 07 is 'drug', but 'placebo' in study.csv"),
    ],
)
def test_nobody_is_in_two_arms_and_no_arm_is_spelt_twice(
    tmp_path: Path, cells: str, said: str
) -> None:
    path = tmp_path / "clinical.csv"
    path.write_text("subject,timepoint,group\n" + cells, encoding="utf-8")
    with pytest.raises(ManifestError) as refused:
        read_clinical(path, SUBJECTS, VISITS, {"07": "placebo"})
    assert said in str(refused.value)


def test_doses_are_two_arms(tmp_path: Path) -> None:
    cells = "subject,timepoint,group\nA1,baseline,0.5 mg\nA2,baseline,5 mg\n"
    assert len(clinical(tmp_path, cells).rows) == 2


def test_a_unit_in_the_cell_of_a_bound_and_a_dash_of_a_word_processor(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="without a unit"):
        clinical(tmp_path, HEAD + ROW.replace("2.4", "<0.5 mg/dL"))
    head = "subject,timepoint,encephalopathy_grade\n"
    assert len(clinical(tmp_path, head + "A1,baseline,1\u20132\nA2,baseline,II\u00b0\n").rows) == 2


def test_exactly_ten_times_is_ten_times() -> None:
    rows = [{"subject": "A1", "timepoint": v, "creatinine_mg_dl": c} for v, c in
            (("baseline", 9.2), ("month6", 0.92))]  # fmt: skip
    assert [found.value for found in unit_findings(rows)] == ["9.2"]


def test_two_arms_of_redcap_are_not_pooled_without_a_word(tmp_path: Path) -> None:
    rows = "A1,baseline_arm_1\nA2,baseline_arm_2\n"
    notes = clinical(tmp_path, "record_id,redcap_event_name\n" + rows).notes
    assert any("arms 1 and 2 of REDCap" in note for note in notes)
    notes = clinical(tmp_path, "subject,timepoint\n" + rows.replace("arm_2", "arm_1")).notes
    assert not any("of REDCap" in note for note in notes)
