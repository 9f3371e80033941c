"""Pairing rules: who is compared with what, and how a change is called."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fibrovol.analysis import flow, statistics_table
from fibrovol.analysis.calls import call_change
from fibrovol.analysis.design import Design, Pair
from fibrovol.analysis.paired import make_pairs
from fibrovol.tables import Row
from hypothesis import given
from hypothesis import strategies as st

DESIGN = Design(
    subjects=("A", "B"),
    timepoints=("base", "late"),
    biological_variation_percent={"liver_volume_ml": 16.0},
)


def scan(subject: str, timepoint: str, value: float | None, **more: Any) -> Row:
    row: Row = {
        "subject": subject,
        "timepoint": timepoint,
        "case_id": f"{subject}-{timepoint}",
        "status": "measured" if value is not None else "failed",
        "modality": "CT",
        "spacing_mm": "1x1x5",
        "volume_ml": value,
        "volume_ml_low": None if value is None else value - 30,
        "volume_ml_high": None if value is None else value + 40,
        "flags": "",
        "error": "" if value is not None else "no_position: no slice position",
    }
    return row | more


def slide(subject: str, timepoint: str, percent: float, tissue: float, **more: Any) -> Row:
    row: Row = {
        "subject": subject,
        "timepoint": timepoint,
        "case_id": f"{subject}-{timepoint}-{percent}",
        "status": "measured",
        "stain": "psr",
        "tissue_mm2": tissue,
        "caf_percent": percent,
        "caf_percent_low": percent - 1,
        "caf_percent_high": percent + 1,
        "flags": "",
        "error": "",
    }
    return row | more


def only(pairs: list[Pair], subject: str, measure: str) -> Pair:
    (pair,) = [p for p in pairs if p.subject == subject and p.measure == measure]
    return pair


def test_limits_of_a_change_are_square_and_add() -> None:
    pair = only(make_pairs(DESIGN, [scan("A", "base", 1000.0), scan("A", "late", 1300.0)], []),
                "A", "liver_volume_ml")  # fmt: skip
    assert pair.change == 300
    assert pair.change_low == pytest.approx(300 - math.hypot(30, 40))
    assert pair.change_high == pytest.approx(300 + math.hypot(40, 30))
    assert pair.percent_change == pytest.approx(30)
    assert pair.call == "increased"


@pytest.mark.parametrize(
    ("change", "percent", "limits", "variation", "call", "flags"),
    [
        (300, 30, (250, 350), 16, "increased", ()),
        (-300, -30, (-350, -250), 16, "decreased", ()),
        (100, 10, (50, 150), 16, "within biological variation", ("within_biological_variation",)),
        (160, 16, (110, 210), 16, "within biological variation", ("within_biological_variation",)),
        (100, 10, (50, 150), None, "increased", ()),
        (100, 10, (-5, 205), 5, "within measurement error", ()),
        (100, 10, (0, 205), None, "within measurement error", ()),
        (300, 30, None, 16, "no limits", ("no_limits",)),
        (0, 0, None, None, "no limits", ("no_limits",)),
    ],
)
def test_calls(
    change: float,
    percent: float,
    limits: tuple[float, float] | None,
    variation: float | None,
    call: str,
    flags: tuple[str, ...],
) -> None:
    assert call_change(change, percent, limits, variation) == (call, flags)


def test_missing_visit_and_failed_visit_are_told_apart_and_kept() -> None:
    rows = [scan("A", "base", 1000.0), scan("B", "base", 900.0), scan("B", "late", None)]
    pairs = make_pairs(DESIGN, rows, [])
    missing, failed = (only(pairs, s, "liver_volume_ml") for s in ("A", "B"))
    assert missing.call == failed.call == "not paired"
    assert missing.flags == ("no_followup",)
    assert missing.reason == "no scan at late"
    assert failed.flags == ("failed_followup",)
    assert "the scan of late failed (no_position" in failed.reason
    counted = flow.flow_of(pairs)
    assert (counted.enrolled, counted.imaged, counted.measured, counted.paired) == (
        2,
        (2, 1, 1),
        (2, 0, 0),
        0,
    )
    assert dict(counted.excluded) == {"A": missing.reason, "B": failed.reason}
    assert dict(counted.reasons) == {"no scan at late": 1, "the scan of late failed": 1}


def test_slides_of_a_visit_are_weighted_by_tissue_area() -> None:
    slides = [
        slide("A", "base", 10.0, 30.0),
        slide("A", "base", 20.0, 10.0),
        slide("A", "late", 8.0, 5.0),
    ]
    pair = only(make_pairs(DESIGN, [], slides), "A", "caf_percent")
    assert pair.baseline.value == pytest.approx(12.5)
    assert (pair.baseline.low, pair.baseline.high) == pytest.approx((11.5, 13.5))
    assert pair.change == pytest.approx(-4.5)
    assert "several_combined" in pair.flags


def test_different_stains_are_never_compared() -> None:
    slides = [slide("A", "base", 10.0, 30.0), slide("A", "late", 8.0, 5.0, stain="masson")]
    pair = only(make_pairs(DESIGN, [], slides), "A", "caf_percent")
    assert pair.call == "not paired"
    assert pair.flags == ("stain_mismatch",)
    assert pair.change is None
    slides.append(slide("A", "late", 9.0, 2.0))
    pair = only(make_pairs(DESIGN, [], slides), "A", "caf_percent")
    assert pair.followup.value == 9.0  # the Masson slide is left out, the sirius red ones compared


def test_modalities_are_matched_where_possible_and_flagged_where_not() -> None:
    rows = [
        scan("A", "base", 1000.0),
        scan("A", "late", 1100.0, modality="MR"),
        scan("A", "late", 1200.0),
        scan("B", "base", 1000.0),
        scan("B", "late", 1200.0, modality="MR", spacing_mm="1x1x12"),
    ]
    pairs = make_pairs(DESIGN, rows, [])
    assert only(pairs, "A", "liver_volume_ml").followup.value == 1200
    crossed = only(pairs, "B", "liver_volume_ml")
    assert crossed.change == 200
    assert crossed.flags == ("modality_mismatch", "slice_thickness_mismatch")


@pytest.mark.parametrize(
    ("first", "later", "flags"),
    [
        ("portal venous", "portal venous", ()),
        ("portal venous", "unenhanced", ("phase_mismatch",)),
        ("portal venous", "", ()),  # not known is not another
        ("", "arterial", ()),
    ],
)
def test_another_phase_is_a_flag_on_the_pair(first: str, later: str, flags: tuple[str]) -> None:
    rows = [scan("A", "base", 1000.0, contrast=first), scan("A", "late", 1100.0, contrast=later)]
    pair = only(make_pairs(DESIGN, rows, []), "A", "liver_volume_ml")
    assert pair.change == 100
    assert tuple(flag for flag in pair.flags if flag == "phase_mismatch") == flags
    rows.append(scan("A", "base", 1000.0, contrast="delayed"))  # two at one visit: no one phase
    assert "phase_mismatch" not in only(make_pairs(DESIGN, rows, []), "A", "liver_volume_ml").flags


def test_a_failed_case_beside_a_measured_one_is_flagged() -> None:
    rows = [scan("A", "base", 1000.0), scan("A", "base", None), scan("A", "late", 1200.0)]
    pair = only(make_pairs(DESIGN, rows, []), "A", "liver_volume_ml")
    assert pair.change == 200
    assert "case_failed" in pair.flags


def test_smallest_detectable_change_widens_limits_and_changes_calls() -> None:
    rows = [scan("A", "base", 1000.0), scan("A", "late", 1200.0)]
    wide = Design(("A",), ("base", "late"), smallest_detectable={"liver_volume_ml": 250.0})
    pair = only(make_pairs(wide, rows, []), "A", "liver_volume_ml")
    assert (pair.change_low, pair.change_high) == (-50, 450)
    assert pair.call == "within measurement error"


def test_every_later_visit_is_compared_with_the_first() -> None:
    design = Design(("A",), ("base", "m6", "m12"))
    rows = [scan("A", visit, value) for visit, value in
            (("base", 1000.0), ("m6", 1100.0), ("m12", 1400.0))]  # fmt: skip
    pairs = make_pairs(design, rows, [])
    assert [pair.change for pair in pairs] == [100, 400]
    found = statistics_table.statistics_of(design, pairs)
    names = {row["measure"] for row in statistics_table.rows_of(design, found)}
    assert names == {"liver_volume_ml", "liver_volume_ml@m12"}


def test_statistics_have_holm_over_primary_measures_only() -> None:
    subjects = tuple("ABCDEFGH")
    design = Design(subjects, ("base", "late"))
    rows, slides = [], []
    for index, subject in enumerate(subjects):
        rows += [
            scan(subject, "base", 1000.0, spleen_volume_ml=300.0 + index),
            scan(subject, "late", 1100.0 + 7 * index, spleen_volume_ml=280.0 + index**1.5),
        ]
        slides += [slide(subject, "base", 15.0, 9.0), slide(subject, "late", 14.5 - index, 9.0)]
    found = statistics_table.statistics_of(design, make_pairs(design, rows, slides))
    liver = found["liver_volume_ml", "late"]
    assert liver["sign_flip"].p_value == pytest.approx(2 / 2**8)
    assert liver["sign_flip"].p_value_holm == pytest.approx(4 / 2**8)
    assert found["spleen_volume_ml", "late"]["sign_flip"].p_value_holm is None
    assert liver["mean_change"].value == pytest.approx(124.5)
    percent = liver["mean_percent_change_sign_flip"]
    assert percent.value == liver["mean_percent_change"].value == pytest.approx(12.45)
    change = liver["mean_change_sign_flip"]  # every baseline is 1,000 mL: a tenth of the limits
    assert (percent.low, percent.high) == pytest.approx((change.low / 10, change.high / 10))


def test_nobody_paired_gives_counts_and_no_numbers() -> None:
    found = statistics_table.statistics_of(DESIGN, make_pairs(DESIGN, [scan("A", "base", 1.0)], []))
    assert set(found["liver_volume_ml", "late"]) == {"n_enrolled", "n_paired"}
    with pytest.raises(ValueError, match="one measure"):
        flow.flow_of([])


def test_a_cut_liver_is_compared_with_nothing() -> None:
    cut = {"flags": "thick_slices;liver_cut_off", "spleen_volume_ml": 300.0}
    rows = [
        scan("A", "base", 1000.0, spleen_volume_ml=280.0),
        scan("A", "late", 600.0, **cut),
        scan("B", "base", 1000.0),
        scan("B", "late", 600.0, **cut),
        scan("B", "late", 1250.0),
    ]
    pairs = make_pairs(DESIGN, rows, [])
    alone = only(pairs, "A", "liver_volume_ml")
    assert alone.change is None
    assert alone.reason == "the liver is cut off in the scan of late"
    assert "liver_cut_off" in alone.flags
    assert only(pairs, "A", "spleen_volume_ml").change == 20
    assert only(pairs, "B", "liver_volume_ml").change == 250  # the whole liver of that visit counts


def test_a_doubtful_case_is_compared_with_nothing_until_a_reader_accepts_it() -> None:
    slides = [
        slide("A", "base", 10.0, 30.0),
        slide("A", "late", 24.0, 30.0, flags="short_biopsy;unusual_stain"),
    ]
    pair = only(make_pairs(DESIGN, [], slides), "A", "caf_percent")
    assert pair.call == "not paired"
    assert pair.change is None
    assert pair.followup.value is None  # neither in a mean nor in Table 1
    assert pair.flags == ("short_biopsy", "unusual_stain", "doubtful_followup")
    assert pair.brief == "the slide of late is doubtful (unusual_stain)"
    counted = flow.flow_of(
        [p for p in make_pairs(DESIGN, [], slides) if p.measure == "caf_percent"]
    )
    assert dict(counted.excluded)["A"] == f"{pair.brief} and no reader has accepted it"

    accepted = {"A-late-24.0": "looked at"}
    pair = only(make_pairs(DESIGN, [], slides, accepted=accepted), "A", "caf_percent")
    assert pair.change == pytest.approx(14.0)
    assert "unusual_stain" in pair.flags


def test_beside_a_doubtful_slide_the_other_one_of_the_visit_counts() -> None:
    slides = [
        slide("A", "base", 10.0, 30.0),
        slide("A", "late", 24.0, 30.0, flags="unusual_stain"),
        slide("A", "late", 12.0, 5.0),
    ]
    pair = only(make_pairs(DESIGN, [], slides), "A", "caf_percent")
    assert pair.change == pytest.approx(2.0)
    assert pair.flags == ("case_left_out", "within_sampling_error")
    # the doubtful slide must not decide which stain is compared either
    slides[2] = slide("A", "late", 12.0, 5.0, stain="masson")
    slides.append(slide("A", "base", 9.0, 1.0, stain="masson"))
    pair = only(make_pairs(DESIGN, [], slides), "A", "caf_percent")
    assert pair.change == pytest.approx(3.0)


@given(
    first=st.floats(0.5, 60),
    later=st.floats(0.5, 60),
    error=st.floats(0.05, 8),
    variation=st.one_of(st.none(), st.floats(0, 50)),
)
def test_no_change_whose_limits_exclude_zero_is_called_within_error(
    first: float, later: float, error: float, variation: float | None
) -> None:
    design = replace(
        DESIGN,
        biological_variation_percent={} if variation is None else {"caf_percent": variation},
    )
    slides = [
        slide("A", visit, value, 9.0, caf_percent_low=value - error, caf_percent_high=value + error)
        for visit, value in (("base", first), ("late", later))
    ]
    pair = only(make_pairs(design, [], slides), "A", "caf_percent")
    assert pair.change_low is not None
    assert pair.change_high is not None
    excludes_zero = pair.change_low > 0 or pair.change_high < 0
    assert (pair.call == "within measurement error") == (not excludes_zero)


def test_unchanged_livers_biopsied_twice_are_rarely_called_changed() -> None:
    rng = np.random.default_rng(3)
    sd = math.sqrt(math.log(1 + 0.43**2))
    true = rng.uniform(12, 22, 2000)
    names = tuple(f"S{n}" for n in range(2000))
    design = replace(DESIGN, subjects=names)
    slides = [
        slide(name, visit, float(value), 9.0)
        for visit in ("base", "late")
        for name, value in zip(names, true * np.exp(rng.normal(0, sd, 2000)), strict=True)
    ]
    pairs = [p for p in make_pairs(design, [], slides) if p.measure == "caf_percent"]
    called = sum(p.call in ("increased", "decreased") for p in pairs) / len(pairs)
    assert called <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)
    assert called > 0.02  # and it is not so wide that nothing ever could be


def test_what_was_measured_after_a_transplant_or_before_the_baseline_is_compared_with_nothing() -> (
    None
):
    rows = [scan("A", "base", 1000.0), scan("A", "late", 1400.0)]
    gone = replace(DESIGN, gone={"A": (3.0, "transplant")}, months={"late": 6.0})
    pair = only(make_pairs(gone, rows, []), "A", "liver_volume_ml")
    assert pair.flags == ("after_transplant",)
    assert pair.reason == "late is after transplantation (at 3 months)"
    late = replace(gone, gone={"A": (6.0, "transplant")})
    assert only(make_pairs(late, rows, []), "A", "liver_volume_ml").paired
    swapped = replace(DESIGN, days={("A", "late"): -180})
    pair = only(make_pairs(swapped, rows, []), "A", "liver_volume_ml")
    assert (pair.flags, pair.days) == (("visit_order",), -180)
    window = replace(DESIGN, days={("A", "late"): 1100}, windows={"late": (120, 240)})
    pair = only(make_pairs(window, rows, []), "A", "liver_volume_ml")
    assert "outside_window" in pair.flags
    assert pair.change == 400


def test_outlines_of_two_engines_are_flagged() -> None:
    rows = [scan("A", "base", 1000.0, engine="liver_net"),
            scan("A", "late", 1400.0, engine="existing_mask")]  # fmt: skip
    assert "engine_mismatch" in only(make_pairs(DESIGN, rows, []), "A", "liver_volume_ml").flags
