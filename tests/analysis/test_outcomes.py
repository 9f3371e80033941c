"""Survival estimates against R's survival package, and endpoints from outcomes.csv."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from fibrovol.analysis import outcomes

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
    found = outcomes.endpoints(ROWS)
    assert found.subjects == ("A", "B", "C", "D", "E", "G")
    assert list(found.last_months) == [66, 40, 30, 22, 70, 50]
    assert list(found.died) == [False, True, False, False, False, False]
    assert list(found.free_months) == [66, 40, 30, 22, 12, 50]
    assert list(found.free_event) == [False, True, True, False, True, False]
    assert list(found.first_months) == [66, 20, 30, 22, 12, 50]
    assert list(found.first_cause) == [0, 3, 2, 0, 2, 3]
    assert found.cut_short == ("C", "G")


def test_a_death_beats_other_events_of_the_same_month() -> None:
    rows = [
        {"subject": "A", "followup_months": 9.0, "event": "transplant"},
        {"subject": "A", "followup_months": 9.0, "event": "death"},
    ]
    found = outcomes.endpoints(rows)
    assert list(found.first_cause) == [1]
    assert found.cut_short == ()


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
