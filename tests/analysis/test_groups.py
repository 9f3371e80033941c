"""Two arms and all visits: known answers from R (tests/data/r/groups.R), and laws."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from fibrovol.analysis import groups
from fibrovol.analysis.arms import compare_arms
from fibrovol.analysis.design import Design
from fibrovol.analysis.mmrm import mixed_model
from fibrovol.analysis.mmrm_error import contrast_errors
from fibrovol.analysis.outcomes import kaplan_meier
from fibrovol.analysis.paired import make_pairs
from fibrovol.analysis.statistics import mean_t
from fibrovol.analysis.statistics_table import rows_of, statistics_of

FIRST = [1010, 980, 1205, 890, 1100, 950, 1320, 1015, 870, 990, 1150, 1080.0]
LATER = [1100, 1000, 1260, 1000, 1150, 1080, 1335, 1003, 902, 975, 1190, 1075.0]
ARM = [True] * 6 + [False] * 6
CHANGE = [later - first for first, later in zip(FIRST, LATER, strict=True)]


def test_analysis_of_covariance_equals_r() -> None:
    result = groups.ancova(FIRST, LATER, ARM)
    assert result is not None
    estimate, test = result
    assert estimate.value == pytest.approx(64.085034168911449, abs=1e-9)
    assert (estimate.low, estimate.high) == pytest.approx((18.111835101748, 110.058233236074))
    assert test.p_value == pytest.approx(0.0116741067592326, abs=1e-12)
    by_change = groups.ancova(FIRST, CHANGE, ARM)
    assert by_change is not None
    assert by_change[0].value == pytest.approx(estimate.value)


def test_welchs_interval_equals_r() -> None:
    estimate = groups.difference(CHANGE, ARM)
    assert estimate is not None
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx(
        (66.6666666666667, 21.9065551219434, 111.426778211390)
    )


def test_important_changes_are_counted_with_exact_limits() -> None:
    subjects = tuple(f"S{number}" for number in range(10))
    meld = [(20, 13), (18, 12), (15, 14), (22, 28), (10, 10), (11, 6), (30, 24), (9, 15), (8, 8)]
    rows = [
        {"subject": subject, "timepoint": visit, "meld": value, "albumin_g_dl": 3.0 + index}
        for subject, values in zip(subjects, meld, strict=False)
        for index, (visit, value) in enumerate(zip(("before", "after"), values, strict=True))
    ]
    found = {}
    for design in (
        Design(subjects, ("before", "after")),
        Design(subjects, ("before", "after"), important_difference={"albumin_g_dl": 1.0}),
    ):
        for key, by_name in statistics_of(design, make_pairs(design, [], [], rows)).items():
            found |= {(key[0], n): q for n, q in by_name.items() if n.startswith("important")}
    fell, rose = (found["meld", f"important_{way}_percent"] for way in ("fall", "rise"))
    # a MELD that fell by 5 (11 to 6) is not counted, one by 6 is; limits: R, binom.test(3, 9)
    assert (fell.n, fell.value) == (9, pytest.approx(100 / 3))
    assert (fell.low, fell.high) == pytest.approx((7.485463142, 70.070494379), abs=1e-7)
    assert rose.value == pytest.approx(200 / 9)
    assert found["albumin_g_dl", "important_rise_percent"].value == 100


def test_permutation_counts_all_ways_to_deal_the_arms() -> None:
    observed = np.mean(CHANGE[:6]) - np.mean(CHANGE[6:])
    ways = [
        abs(np.mean([CHANGE[i] for i in one]) * 2 - sum(CHANGE) / 6)
        for one in itertools.combinations(range(12), 6)
    ]
    test = groups.permutation(CHANGE, ARM)
    assert test.exact
    assert test.p_value == pytest.approx(np.mean(np.array(ways) >= observed - 1e-9))
    many = groups.permutation(np.tile(CHANGE, 3), ARM * 3)  # 36 subjects, 9 thousand million ways
    assert many.exact
    drawn, exact = groups.permuted(
        lambda labels: labels @ (np.tile(CHANGE, 3) - np.mean(CHANGE)), np.array(ARM * 3), seed=0
    )
    assert not exact
    assert many.p_value == pytest.approx(drawn, abs=4 * (many.p_value / 99_999) ** 0.5 + 1e-5)
    assert not groups.permutation(np.tile(CHANGE, 4), ARM * 4).exact


@pytest.mark.parametrize("k", [1, 3, 5, 8])
def test_met_halves_count_what_enumeration_counts(k: int) -> None:
    rng = np.random.default_rng(k)
    change, arm = rng.integers(-5, 9, 9) / 2, np.arange(9) < k  # with ties
    centred = change - change.mean()
    counted, exact = groups.permuted(lambda labels: labels @ centred, arm, seed=0)
    assert exact
    assert groups.permutation(change, arm).p_value == pytest.approx(counted, abs=1e-12)


def test_jump_to_reference_shrinks_the_difference_by_those_not_compared() -> None:
    names = tuple(f"S{n:02d}" for n in range(14))
    second = [*ARM, True, True]  # two of the second arm were never seen again
    arms = {n: "cells" if s else "control" for n, s in zip(names[::-1], second, strict=True)}
    design = Design(names, ("baseline", "month6"), groups=arms)
    rows = [
        _scan(name, visit, value)
        for visit, values in (("baseline", FIRST), ("month6", LATER))
        for name, value in zip(names[::-1], values, strict=False)
    ]
    compared = compare_arms(design, make_pairs(design, rows, []), None)
    assert compared is not None
    assert compared.names == ("cells", "control")  # in the order of the subjects
    (item,) = compared.contrasts
    assert "difference_jump_to_reference" not in item.quantities  # nobody of control is missing
    flipped = Design(names[::-1], ("baseline", "month6"), groups={
        name: "a" if arm == "control" else "b" for name, arm in arms.items()
    })  # fmt: skip
    flipped = replace(flipped, subjects=(names[7], *(n for n in names if n != names[7])))
    compared = compare_arms(flipped, make_pairs(flipped, rows, []), None)
    assert compared is not None
    (item,) = compared.contrasts
    whole, jump = (
        item.quantities[name] for name in ("difference_ancova", "difference_jump_to_reference")
    )
    assert item.arms == ("a", "b")
    assert jump.value == pytest.approx(whole.value * 6 / 8)
    assert jump.high - jump.low == pytest.approx(whole.high - whole.low)
    assert jump.p_value > whole.p_value
    assert "assumes that the 2 of the second arm" in jump.method


def test_log_rank_and_gray() -> None:
    # Freireich 1963, 6-MP against placebo: chi-square 16.79 (survdiff)
    mp = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    event = [1] * 9 + [0] * 12 + [1] * 21
    arm = [False] * 21 + [True] * 21
    test = groups.log_rank(mp + placebo, event, arm)
    assert test is not None
    assert test.statistic == pytest.approx(16.7929, abs=1e-4)
    # without competing events Gray's score is that of the log-rank test
    score = groups.gray(mp + placebo, event, arm)
    assert score is not None
    expected = 0.0
    both = kaplan_meier(mp + placebo, event)
    for t, n, d in zip(both.times, both.at_risk, both.events, strict=True):
        expected += sum(p == t for p in placebo) - d * sum(p >= t for p in placebo) / n
    assert score.statistic == pytest.approx(expected)
    assert score.p_value < 0.001
    assert groups.gray([1.0, 2, 3, 4], [2, 0, 2, 0], [True, True, False, False]) is None


def test_labels_that_mean_nothing_are_not_found_more_often_than_by_chance() -> None:
    rng = np.random.default_rng(2)
    p_values = []
    for _ in range(200):
        arm = rng.permutation([True] * 5 + [False] * 5)
        p_values.append(groups.permutation(rng.normal(0, 1, 10), arm).p_value)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.05 + 3 * (0.05 * 0.95 / 200) ** 0.5


# id, visit and value as written by groups.R; a value missing there is missing here
REPEATED = [
    (15.2, 14.9, 13.1), (20.1, 19.3, 19.9), (17.8, 18.8, 16.4), (24.3, 22.2, None),
    (21.0, 18.9, 17.2), (16.4, 17.5, 16.9), (22.7, None, 19.1), (18.9, 20.3, None),
    (19.4, 17.1, 15.8), (23.5, 24.0, 21.7),
]  # fmt: skip


NLME_CHANGES = (-0.532157918202491, -2.001903595591070)
NLME_LOG_LIKELIHOOD = -49.869793120436


def test_the_mixed_model_is_the_paired_analysis_where_everybody_came() -> None:
    table = np.array([row for row in REPEATED if None not in row], dtype=float)
    model = mixed_model(table)
    assert model is not None
    for column, change in enumerate(model.changes, start=1):
        alone = mean_t(table[:, column] - table[:, 0])
        assert change.value == pytest.approx(alone.value, abs=1e-5)
        assert (change.low, change.high) == pytest.approx((alone.low, alone.high), abs=1e-4)


def test_the_error_of_a_mean_holds_what_the_lost_were_foreseen_from() -> None:
    # two visits, the second missing for the low: the likelihood's mean is the regression's estimate
    # at the mean of all first values, and its variance is that of such an estimate
    rng = np.random.default_rng(5)
    first = rng.normal(0, 1, 400)
    later = 0.7 * first + rng.normal(0, 0.7, 400)
    seen = first > -0.2
    x, y = first[seen], later[seen]
    slope, level = np.polyfit(x, y, 1)
    left = y - level - slope * x
    variance = (left @ left) / (x.size - 2)
    distance = x.mean() - first.mean()
    expected = variance * (1 / x.size + distance**2 / ((x - x.mean()) ** 2).sum())
    expected += slope**2 * first.var(ddof=1) / first.size
    one = first.var(ddof=1)
    covariance = np.array([[one, slope * one], [slope * one, variance + slope**2 * one]])
    patterns = [
        (np.array([0]), first[~seen, None]),
        (np.array([0, 1]), np.column_stack([x, y])),
    ]
    found = contrast_errors(covariance, patterns, np.array([[0.0, 1.0]]))
    assert found is not None
    assert found[0][0] == pytest.approx(expected, rel=0.02)
    naive = variance / x.size + slope**2 * one / first.size
    assert found[0][0] > 1.5 * naive


def test_the_mixed_model_equals_nlme() -> None:
    table = np.array([[np.nan if v is None else v for v in row] for row in REPEATED])
    model = mixed_model(table)
    assert model is not None
    assert [change.value for change in model.changes] == pytest.approx(NLME_CHANGES, abs=2e-3)
    assert model.log_likelihood == pytest.approx(NLME_LOG_LIKELIHOOD, abs=1e-4)


def test_a_poor_month_six_that_keeps_people_away_biases_pairs_and_not_the_model() -> None:
    rng = np.random.default_rng(11)
    paired, modelled = [], []
    for _ in range(40):
        b = rng.normal(0, 1, 40)
        m6 = 0.8 * b + rng.normal(0, 0.6, 40)
        m12 = 0.2 * b + 0.7 * m6 + rng.normal(0, 0.45, 40)  # no change on average
        gone = (m6 - b) < np.quantile(m6 - b, 0.35)
        table = np.column_stack([b, m6, np.where(gone, np.nan, m12)])
        model = mixed_model(table)
        assert model is not None
        paired.append((m12 - b)[~gone].mean())
        modelled.append(model.changes[1].value)
    assert np.mean(paired) > 0.15
    assert abs(np.mean(modelled)) < 0.06


def _scan(subject: str, visit: str, value: float) -> dict[str, object]:
    return {
        "subject": subject, "timepoint": visit, "case_id": f"{subject}_{visit}",
        "status": "measured", "modality": "CT", "volume_ml": value, "volume_ml_low": value - 20,
        "volume_ml_high": value + 20, "flags": "", "error": "",
    }  # fmt: skip


def test_arms_are_told_apart_and_pooled_rows_say_that_they_are_pooled() -> None:
    names = tuple(f"S{n:02d}" for n in range(12))
    arms = {name: "cells" if second else "control" for name, second in zip(names, ARM, strict=True)}
    design = Design(names, ("baseline", "month6"), groups=arms)
    rows = [
        _scan(name, visit, value)
        for visit, values in (("baseline", FIRST), ("month6", LATER))
        for name, value in zip(names, values, strict=True)
    ]
    pairs = make_pairs(design, rows, [])
    found = compare_arms(design, pairs, None)
    assert found is not None
    assert found.names == ("cells", "control")
    (contrast,) = [one for one in found.contrasts if one.measure == "liver_volume_ml"]
    assert contrast.n == (6, 6)
    assert contrast.quantities["difference_ancova"].value == pytest.approx(-64.0850341689)
    labels = {row["measure"] for row in found.rows(design)}
    assert labels == {
        "liver_volume_ml[cells]", "liver_volume_ml[control]",
        "liver_volume_ml[control - cells]",
    }  # fmt: skip
    pooled = rows_of(design, statistics_of(design, pairs))
    assert all(row["method"].endswith("all arms together") for row in pooled)
    assert compare_arms(Design(names, ("baseline", "month6")), pairs, None) is None
