"""Survival estimates against R's survival package, and endpoints from outcomes.csv."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from fibrovol.analysis import outcomes
from fibrovol.analysis.design import Design
from fibrovol.analysis.outcome_table import analyse_outcomes, outcome_rows
from fibrovol.vocabulary import Event

from .reference import FOLDER, reference


def nan_none(values: tuple[float | None, ...]) -> list[float]:
    return [np.nan if value is None else value for value in values]


@pytest.mark.parametrize("name", ["aml", "aml_reverse", "level"])
def test_kaplan_meier_equals_r(name: str) -> None:
    source = name.removesuffix("_reverse")
    time, status = reference(f"{source}.input_time"), reference(f"{source}.input_status")
    curve = outcomes.kaplan_meier(time, 1 - status if name.endswith("reverse") else status)
    for field, values in {
        "time": curve.times,
        "n_risk": curve.at_risk,
        "survival": curve.survival,
        "se": curve.se,
        "low": curve.low,
        "high": curve.high,
    }.items():
        np.testing.assert_allclose(values, reference(f"{name}.{field}"), atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(
        nan_none(outcomes.median_time(curve)), reference(f"{name}.median"), atol=1e-9
    )


def test_aalen_johansen_equals_r() -> None:
    with (FOLDER / "pbc.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    curve = outcomes.aalen_johansen(
        [float(row["time"]) for row in rows],
        [int(row["status"]) for row in rows],
        ("transplant", "death"),
    )
    np.testing.assert_allclose(curve.times, reference("pbc.time"))
    np.testing.assert_array_equal(curve.at_risk, reference("pbc.n_risk"))
    for k, name in enumerate(curve.causes):
        for field, values in {
            "": curve.incidence,
            "_se": curve.se,
            "_low": curve.low,
            "_high": curve.high,
        }.items():
            np.testing.assert_allclose(
                values[:, k], reference(f"pbc.{name}{field}"), atol=1e-6, rtol=1e-6
            )
    np.testing.assert_allclose(curve.incidence.sum(axis=1) + curve.event_free, 1, atol=1e-12)


def test_competing_incidence_is_below_one_minus_kaplan_meier() -> None:
    time = [2.0, 3, 5, 5, 8, 9, 12, 15]
    cause = [1, 2, 1, 0, 2, 1, 2, 0]
    curve = outcomes.aalen_johansen(time, cause, ("death", "transplant"))
    naive = 1 - outcomes.kaplan_meier(time, np.array(cause) == 1).survival
    assert (curve.incidence[:, 0] <= naive + 1e-12).all()
    assert curve.incidence[-1, 0] < naive[-1]
    assert outcomes.incidence_at(curve, "death", 1)[0] == 0
    assert outcomes.incidence_at(curve, "death", 2)[0] == pytest.approx(1 / 8)


ROWS = [
    {"subject": "A", "followup_months": 66.0, "event": "none"},
    {"subject": "B", "followup_months": 20.0, "event": "hcc"},
    {"subject": "B", "followup_months": 40.0, "event": "death"},
    {"subject": "C", "followup_months": 30.0, "event": "transplant"},
    {"subject": "D", "followup_months": 22.0, "event": "lost"},
    {"subject": "E", "followup_months": 12.0, "event": "transplant"},
    {"subject": "E", "followup_months": 70.0, "event": "none"},
    {"subject": "F", "followup_months": None, "event": "none"},
    {"subject": "G", "followup_months": 50.0, "event": "other_cancer"},
]


def test_endpoints_of_several_rows_a_subject() -> None:
    courses = outcomes.courses(ROWS)
    found = outcomes.endpoints(courses)
    assert found.subjects == ("A", "B", "C", "D", "E", "G")
    assert list(found.last_months) == [66, 40, 30, 22, 70, 50]
    assert list(found.died) == [False, True, False, False, False, False]
    assert list(found.free_months) == [66, 40, 30, 22, 12, 50]
    assert list(found.free_event) == [False, True, True, False, True, False]
    assert found.cut_short == ("C", "G")
    hcc = [course.before(Event.HCC, outcomes.COMPETING[Event.HCC]) for course in courses]
    assert hcc == [(66, 0), (20, 1), (30, 2), (22, 0), (12, 2), (50, 0)]
    death = [course.before(Event.DEATH, outcomes.COMPETING[Event.DEATH]) for course in courses]
    assert death == [(66, 0), (40, 1), (30, 2), (22, 0), (12, 2), (50, 0)]


@pytest.mark.parametrize("event", ["transplant", "hcc", "other_cancer", "bleeding"])
@pytest.mark.parametrize("reverse", [False, True])
def test_what_can_only_come_before_death_comes_first_in_one_month(
    event: str, reverse: bool
) -> None:
    rows = [
        {"subject": "A", "followup_months": 9.0, "event": event},
        {"subject": "A", "followup_months": 9.0, "event": "death"},
    ]
    (course,) = outcomes.courses(rows[::-1] if reverse else rows)
    one = Event(event)
    assert course.before(one, outcomes.COMPETING[one]) == (9.0, 1)
    assert course.last == Event.DEATH
    assert outcomes.endpoints([course]).cut_short == ()


def test_the_dead_are_not_counted_as_alive_at_an_earlier_visit() -> None:
    rows = [
        {"subject": "A", "followup_months": 6.0, "event": "none", "cause": ""},
        {"subject": "A", "followup_months": 30.0, "event": "death", "cause": "infection"},
        {"subject": "B", "followup_months": 60.0, "event": "none", "cause": ""},
        {"subject": "C", "followup_months": 22.0, "event": "lost", "cause": ""},
    ]
    clinical = [
        {"subject": "B", "timepoint": "month60", "child_pugh_class": "A"},
        {"subject": "C", "timepoint": "month20", "child_pugh_class": "A"},
        {"subject": "C", "timepoint": "month60", "child_pugh_class": "B"},
    ]
    design = Design(
        ("A", "B", "C", "D"), ("baseline", "month6"), months={"month60": 60, "month20": 20}
    )
    found = analyse_outcomes(rows, design, clinical)
    assert found is not None
    happened = {item.event: (item.count, dict(item.causes)) for item in found.happened}
    assert happened == {"none": (1, {}), "death": (1, {"infection": 1}), "lost": (1, {})}
    assert found.plain_followup == (30, 22, 60)
    assert [(item.months, item.last_class) for item in found.lost] == [(22, "A")]
    assert found.missing == ("D",)
    last = found.status[-1]
    assert last.months == 60
    assert {k: v for k, v in last.counts.items() if v} == {
        "class A": 1, "dead": 1, "not followed so long": 1,
    }  # fmt: skip
    rows_of = {(r["measure"], r["quantity"]): r for r in outcome_rows(found)}
    assert rows_of["outcome_death", "percent"]["value"] == pytest.approx(100 / 3)
    assert rows_of["outcome_death", "count, infection"]["value"] == 1
    assert rows_of["overall_survival", "at_risk_at_24_months"]["value"] == 2


def test_reading_curves() -> None:
    curve = outcomes.kaplan_meier([5.0, 8, 12], [1, 0, 1])
    assert outcomes.survival_at(curve, 4) == (1.0, None, None)
    assert outcomes.survival_at(curve, 5)[0] == pytest.approx(2 / 3)
    assert outcomes.number_at_risk(curve, [0, 5, 6, 12, 13]) == [3, 3, 2, 1, 0]
    none = outcomes.kaplan_meier([5.0, 8], [0, 0])
    assert outcomes.median_time(none) == (None, None, None)


def test_bad_times_and_causes_are_refused() -> None:
    with pytest.raises(ValueError, match="not negative"):
        outcomes.kaplan_meier([-1.0], [1])
    with pytest.raises(ValueError, match="one shape"):
        outcomes.kaplan_meier([], [])
    with pytest.raises(ValueError, match="between 0 and 1"):
        outcomes.aalen_johansen([1.0], [2], ("death",))


def test_who_died_after_transplantation_is_dead_at_the_landmark() -> None:
    rows = [
        {"subject": "A", "followup_months": 5.0, "event": "transplant", "cause": ""},
        {"subject": "A", "followup_months": 9.0, "event": "death", "cause": ""},
        {"subject": "B", "followup_months": 30.0, "event": "none", "cause": ""},
    ]
    design = Design(subjects=("A", "B"), timepoints=("baseline", "month6"))
    analysis = analyse_outcomes(rows, design)
    assert analysis is not None
    counts = analysis.status[0].counts
    assert (counts["dead"], counts["transplanted"]) == (1, 0)
