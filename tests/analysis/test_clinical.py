"""Clinical scores on published examples, at their borders, and with missing or wrong values."""

from __future__ import annotations

from typing import Any

import pytest
from fibrovol.analysis import clinical, clinical_units, standard_volume
from fibrovol.sheets import words as clinical_words
from fibrovol.vocabulary import StandardVolume

from .reference import one, reference

ROW: dict[str, Any] = {
    "subject": "A",
    "timepoint": "baseline",
    "sex": "F",
    "albumin_g_dl": 2.6,
    "bilirubin_mg_dl": 3.2,
    "inr": 1.8,
    "creatinine_mg_dl": 1.4,
    "sodium_mmol_l": 130.0,
    "ascites": "moderate",
    "encephalopathy_grade": "1",
    "dialysis": "no",
}


def test_meld_published_examples() -> None:
    # R package ameld (Gibb et al. 2023), tests/testthat/test_meld.R
    raw = clinical.meld_raw(bilirubin_mg_dl=4.2, creatinine_mg_dl=1.9, inr=1.2, dialysis=False)
    assert raw == pytest.approx(20.0391626, abs=1e-7)
    assert clinical.meld_raw(
        bilirubin_mg_dl=0.9, creatinine_mg_dl=0.9, inr=1.0, dialysis=False
    ) == pytest.approx(6.43)
    # R package transplantr (Asher 2020), tests/testthat/test_liver.R: 54 and 170 umol/L
    raw = clinical.meld_raw(
        bilirubin_mg_dl=54 / 17.1, creatinine_mg_dl=170 / 88.4, inr=2.0, dialysis=False
    )
    assert raw == pytest.approx(24.798, abs=2e-3)


def test_meld_bounds_and_dialysis() -> None:
    low: dict[str, Any] = {"bilirubin_mg_dl": 1.0, "inr": 1.0}
    four = clinical.meld(**low, creatinine_mg_dl=4.0, dialysis=False)
    assert clinical.meld(**low, creatinine_mg_dl=9.0, dialysis=False) == four
    assert clinical.meld(**low, creatinine_mg_dl=1.0, dialysis=True) == four
    assert clinical.meld(bilirubin_mg_dl=0.5, inr=0.8, creatinine_mg_dl=0.5, dialysis=False) == 6
    assert clinical.meld(bilirubin_mg_dl=29.0, inr=9.0, creatinine_mg_dl=4.0, dialysis=True) == 40


@pytest.mark.parametrize(
    ("sodium", "expected"),
    [
        (125, 28),  # R package ameld, tests/testthat/test_meld.R, type "unos"
        (110, 28),  # below the bound
        (137, 20),
        (145, 20),
    ],
)
def test_meld_na_published_example(sodium: float, expected: int) -> None:
    score = clinical.meld_na(
        bilirubin_mg_dl=4.2, creatinine_mg_dl=1.9, inr=1.2, sodium_mmol_l=sodium, dialysis=False
    )
    assert score == expected


def test_meld_na_worked_step_by_step() -> None:
    # scoutmytool.com, MELD-Na: MELD 13 and sodium 135: 13 + 2.64 - 0.86 = 15
    values: dict[str, Any] = {"bilirubin_mg_dl": 1.5, "creatinine_mg_dl": 1.0, "inr": 1.5}
    assert clinical.meld(**values, dialysis=False) == 13
    assert clinical.meld_na(**values, sodium_mmol_l=135, dialysis=False) == 15


def test_meld_na_leaves_a_meld_of_eleven_alone() -> None:
    score = clinical.meld_na(
        bilirubin_mg_dl=1.0, creatinine_mg_dl=1.6, inr=1.0, sodium_mmol_l=125, dialysis=False
    )
    assert score == 11


def test_meld_3_equals_the_formula_typed_in_r() -> None:
    female = clinical.meld_3_raw(
        female=True, bilirubin_mg_dl=3.2, creatinine_mg_dl=1.4, inr=1.8, sodium_mmol_l=130,
        albumin_g_dl=2.6, dialysis=False,
    )  # fmt: skip
    male = clinical.meld_3_raw(
        female=False, bilirubin_mg_dl=2.5, creatinine_mg_dl=1.2, inr=1.5, sodium_mmol_l=135,
        albumin_g_dl=3.0, dialysis=False,
    )  # fmt: skip
    assert female == pytest.approx(one("meld3.female"), abs=1e-9)
    assert male == pytest.approx(one("meld3.male"), abs=1e-9)


@pytest.mark.parametrize(
    ("female", "dialysis", "laboratory", "raw", "score"),
    [  # creatinine, bilirubin, INR, sodium, albumin
        (False, False, (0.8, 0.8, 1.0, 140, 4.0), 6.0, 6),
        (True, False, (1.0, 1.5, 1.2, 135, 3.0), 13.2066, 13),
        (False, False, (1.0, 2.0, 1.5, 137, 1.8), 15.9914, 16),
        (True, False, (2.5, 10.0, 2.2, 128, 2.8), 37.7320, 38),
        (False, True, (5.0, 2.0, 1.5, 137, 3.5), 25.0850, 25),
    ],
)
def test_meld_3_published_examples(
    female: bool, dialysis: bool, laboratory: tuple[float, ...], raw: float, score: int
) -> None:
    # Radulator, a published radiology calculator, at 5ebacc04:
    # tests/e2e/calculators/hepatology/meld-3.spec.js, "verified examples"
    names = ("creatinine_mg_dl", "bilirubin_mg_dl", "inr", "sodium_mmol_l", "albumin_g_dl")
    values: dict[str, Any] = dict(zip(names, laboratory, strict=True))
    values |= {"female": female, "dialysis": dialysis}
    assert clinical.meld_3_raw(**values) == pytest.approx(raw, abs=5e-5)
    assert clinical.meld_3(**values) == score


def test_meld_3_bounds() -> None:
    values: dict[str, Any] = {"female": False, "bilirubin_mg_dl": 2.0, "inr": 1.5}
    at_bounds = clinical.meld_3_raw(
        **values, creatinine_mg_dl=3.0, sodium_mmol_l=125, albumin_g_dl=1.5, dialysis=False
    )
    beyond = clinical.meld_3_raw(
        **values, creatinine_mg_dl=7.0, sodium_mmol_l=118, albumin_g_dl=1.1, dialysis=False
    )
    dialysed = clinical.meld_3_raw(
        **values, creatinine_mg_dl=1.0, sodium_mmol_l=118, albumin_g_dl=1.1, dialysis=True
    )
    assert at_bounds == beyond == dialysed
    healthy = clinical.meld_3(
        female=False, bilirubin_mg_dl=0.6, creatinine_mg_dl=0.8, inr=0.9, sodium_mmol_l=141,
        albumin_g_dl=4.4, dialysis=False,
    )  # fmt: skip
    assert healthy == 6


@pytest.mark.parametrize(
    ("bilirubin", "albumin", "inr", "ascites", "brain", "expected"),
    [
        (1.9, 3.6, 1.6, "none", "none", (5, "A")),
        (2.0, 3.5, 1.7, "mild", "1", (10, "C")),  # every border counts 2
        (3.0, 2.8, 2.3, "slight", "2", (10, "C")),
        (3.1, 2.7, 2.4, "severe", "4", (15, "C")),
        (3.2, 2.6, 2.0, "mild", "1", (12, "C")),
        (1.0, 3.0, 1.2, "mild", "0", (7, "B")),
        (1.0, 3.0, 1.2, "none", "0", (6, "A")),
    ],
)
def test_child_pugh(
    bilirubin: float,
    albumin: float,
    inr: float,
    ascites: str,
    brain: str,
    expected: tuple[int, str],
) -> None:
    liquid, grade = (
        clinical_words.ascites_points(ascites),
        clinical_words.encephalopathy_points(brain),
    )
    assert liquid is not None
    assert grade is not None
    assert expected == clinical.child_pugh(
        bilirubin_mg_dl=bilirubin, albumin_g_dl=albumin, inr=inr, ascites=liquid,
        encephalopathy=grade,
    )  # fmt: skip


def test_albi_scores_and_grades() -> None:
    expected = reference("albi")  # 1, 2 and 5 mg/dL; 4.0, 3.2 and 2.4 g/dL
    for (bilirubin, albumin, grade), score in zip(
        ((1.0, 4.0, 2), (2.0, 3.2, 2), (5.0, 2.4, 3)), expected, strict=True
    ):
        found = clinical.albi(bilirubin_mg_dl=bilirubin, albumin_g_dl=albumin)
        assert found[0] == pytest.approx(score, abs=1e-9)
        assert found[1] == grade
    assert clinical.albi(bilirubin_mg_dl=0.7, albumin_g_dl=4.2)[1] == 1
    with pytest.raises(ValueError, match="above zero"):
        clinical.albi(bilirubin_mg_dl=0.0, albumin_g_dl=3.0)


@pytest.mark.parametrize(
    ("albumin_g_l", "bilirubin_umol_l", "score", "grade"),
    [
        (40, 10, -2.740, 1),
        (35, 17, -2.163, 2),
        (25, 50, -1.004, 3),
        (38.3530, 10, -2.600, 1),  # -2.60 is the end of grade 1
        (38.3529, 10, -2.600, 2),
        (24.1177, 10, -1.390, 2),  # -1.39 is the end of grade 2
        (24.1176, 10, -1.390, 3),
    ],
)
def test_albi_published_examples(
    albumin_g_l: float, bilirubin_umol_l: float, score: float, grade: int
) -> None:
    # Radulator, a published radiology calculator, at 76106fa3:
    # tests/e2e/calculators/hepatology/albi-score.spec.js
    found = clinical.albi(bilirubin_mg_dl=bilirubin_umol_l / 17.1, albumin_g_dl=albumin_g_l / 10)
    assert found[0] == pytest.approx(score, abs=5e-4)
    assert found[1] == grade


def test_standard_liver_volume() -> None:
    surface = standard_volume.bsa_du_bois(170, 70)
    assert surface == pytest.approx(1.81, abs=0.005)  # Du Bois' chart
    assert standard_volume.bsa_mosteller(180, 80) == pytest.approx(2.0)
    assert standard_volume.standard_liver_volume_ml(
        "urata", height_cm=170, weight_kg=70
    ) == pytest.approx(706.2 * surface + 2.4)
    with pytest.raises(KeyError):
        standard_volume.standard_liver_volume_ml("guess", height_cm=170, weight_kg=70)


def test_scores_of_a_whole_row() -> None:
    (row,) = clinical.with_scores([ROW])
    assert (row["child_pugh_score"], row["child_pugh_class"]) == (13, "C")
    assert row["meld"] == 21
    assert row["meld_3"] == round(one("meld3.female"))
    assert row["albi_grade"] == 3


@pytest.mark.parametrize(
    ("column", "lost"),
    [
        ("albumin_g_dl", {"child_pugh_score", "meld_3", "albi"}),
        ("bilirubin_mg_dl", {"child_pugh_score", "meld", "meld_na", "meld_3", "albi"}),
        ("inr", {"child_pugh_score", "meld", "meld_na", "meld_3"}),
        ("creatinine_mg_dl", {"meld", "meld_na", "meld_3"}),
        ("sodium_mmol_l", {"meld_na", "meld_3"}),
        ("sex", {"meld_3"}),
        ("ascites", {"child_pugh_score"}),
        ("encephalopathy_grade", {"child_pugh_score"}),
    ],
)
def test_missing_parts_are_never_imputed(column: str, lost: set[str]) -> None:
    scores = {"child_pugh_score", "meld", "meld_na", "meld_3", "albi"}
    (row,) = clinical.with_scores([ROW | {column: None}])
    assert {name for name in scores if row[name] is None} == lost
    if column in ("sex", "ascites", "encephalopathy_grade"):
        (row,) = clinical.with_scores([ROW | {column: "yes and no"}])
        assert {name for name in scores if row[name] is None} == lost


@pytest.mark.parametrize(
    ("column", "value", "word"),
    [
        ("bilirubin_mg_dl", 34.0, "umol/L"),
        ("albumin_g_dl", 32.0, "g/L"),
        ("creatinine_mg_dl", 97.0, "umol/L"),
        ("inr", 14.5, "seconds"),
        ("height_cm", 1.72, "m or inches"),
        ("age_years", 1961.0, "year of birth"),
    ],
)
def test_values_in_another_unit_are_reported_and_kept_out_of_scores(
    column: str, value: float, word: str
) -> None:
    rows = [ROW | {column: value}]
    (finding,) = clinical_units.unit_findings(rows)
    assert (finding.subject, finding.column) == ("A", column)
    assert word in finding.sentence
    (row,) = clinical.with_scores(rows)
    assert row[column] is None
    if column == "bilirubin_mg_dl":
        assert row["meld"] is row["albi"] is row["child_pugh_score"] is None


def test_a_whole_column_in_si_units_is_noticed() -> None:
    rows = [ROW | {"subject": s, "bilirubin_mg_dl": v} for s, v in zip("ABCDE", (18.0, 22.0, 25.0,
            29.0, 9.0), strict=True)]  # fmt: skip
    assert len(clinical_units.unit_findings(rows)) == 5
    assert clinical_units.unit_findings([ROW]) == []


def test_every_formula_is_computed() -> None:
    for formula in StandardVolume:
        volume = standard_volume.standard_liver_volume_ml(formula, height_cm=168, weight_kg=65)
        assert 900 < volume < 1700


def test_fibrosis_scores_and_stages() -> None:
    row = ROW | {
        "age_years": 50.0, "ast_u_l": 80.0, "alt_u_l": 64.0, "platelets_10e9_l": 100.0,
        "fibrosis_stage_metavir": "F4", "fibrosis_stage_ishak": "ishak 5",
    }  # fmt: skip
    (scored,) = clinical.with_scores([row])
    assert scored["fib4"] == pytest.approx(50 * 80 / (100 * 8))
    assert scored["apri"] == pytest.approx(2.0)
    assert (scored["fibrosis_metavir"], scored["fibrosis_ishak"]) == (4, 5)
    (partly,) = clinical.with_scores([row | {"alt_u_l": None, "fibrosis_stage_metavir": ""}])
    assert (partly["fib4"], partly["apri"]) == (None, pytest.approx(2.0))
    assert partly["fibrosis_metavir"] is None
    (unlikely,) = clinical.with_scores([row | {"platelets_10e9_l": 100_000.0}])
    assert unlikely["apri"] is None  # per uL
