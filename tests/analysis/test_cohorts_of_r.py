"""Whole data sets that ship with R: every number to a millionth (tests/data/r/cohorts.R)."""

from __future__ import annotations

import csv
from functools import cache

import numpy as np
import pytest
from fibrovol.analysis import groups, outcomes, ranks
from fibrovol.analysis import statistics as st
from numpy.typing import NDArray

from .reference import FOLDER


@cache
def _reference() -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    with (FOLDER / "cohorts_reference.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            text = row["value"]
            values.setdefault(row["name"], []).append(np.nan if text == "NA" else float(text))
    return values


def known(name: str) -> NDArray[np.float64]:
    return np.array(_reference()[name])


def cohort(name: str) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    with (FOLDER / "cohorts.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["set"] == name]
    return np.array([float(r["time"]) for r in rows]), np.array([int(r["status"]) for r in rows])


def near(values: object, name: str) -> None:
    np.testing.assert_allclose(
        np.array(values, dtype=float), known(name), atol=1e-6, rtol=1e-6, err_msg=name
    )


def test_lung_survival_median_and_log_rank() -> None:
    time, code = cohort("lung")
    died, women = code % 10 == 1, code >= 10
    curve = outcomes.kaplan_meier(time, died)
    step = np.searchsorted(curve.times, known("lung.at"), side="right") - 1
    near(curve.survival[step], "lung.survival")
    near(curve.low[step], "lung.low")
    near(curve.high[step], "lung.high")
    near([(time >= at).sum() for at in known("lung.at")], "lung.n_risk")
    near(outcomes.median_time(curve), "lung.median")
    test = groups.log_rank(time, died, women)
    assert test is not None
    near([test.statistic], "lung.log_rank")


@pytest.mark.parametrize(("name", "n"), [("pbc", 418), ("mgus2", 1384)])
def test_competing_events_of_whole_cohorts(name: str, n: int) -> None:
    time, code = cohort(name)
    assert time.size == n
    curve = outcomes.aalen_johansen(time, code, ("first", "second"))
    step = np.searchsorted(curve.times, known(f"{name}.at"), side="right") - 1
    for k, cause in enumerate(curve.causes):
        near(curve.incidence[step, k], f"{name}.{cause}")
        near(curve.se[step, k], f"{name}.{cause}_se")
        near(curve.low[step, k], f"{name}.{cause}_low")
        near(curve.high[step, k], f"{name}.{cause}_high")


def test_sleep_paired_and_as_two_arms() -> None:
    first, later = known("sleep.first"), known("sleep.later")
    change = later - first
    t, mean = st.paired_t(change), st.mean_t(change)
    near([t.statistic, t.p_value, mean.low, mean.high], "sleep.t")
    near([st.sign_flip(change).p_value], "sleep.sign_flip")
    signed = ranks.wilcoxon(change)
    near([signed.statistic, signed.p_value], "sleep.wilcoxon")
    dealt = groups.permutation([*first, *later], [False] * 10 + [True] * 10)
    assert dealt.exact
    near([dealt.p_value], "sleep.permutation")


def test_chicks_by_analysis_of_covariance() -> None:
    found = groups.ancova(known("chick.first"), known("chick.later"), known("chick.arm") == 1)
    assert found is not None
    estimate, test = found
    near([estimate.value, estimate.low, estimate.high, test.p_value], "chick.ancova")
