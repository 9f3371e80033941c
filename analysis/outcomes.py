"""Survival and competing events: Kaplan-Meier, reverse Kaplan-Meier, Aalen-Johansen.

Pure functions of follow-up times and events. The estimators are the textbook ones and agree with
R's ``survival::survfit`` to 1e-6 (tests/data/r); lifelines would bind the project to an old pandas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ..vocabulary import Event
from .statistics import CONFIDENCE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_TIE = 1e-9  # of a survival of one half, as R's quantile.survfit


@dataclass(frozen=True)
class Curve:
    """A survival curve."""

    times: FloatArray
    """Distinct times of events and censorings, shape ``(t,)``, ascending."""
    at_risk: IntArray
    """Under observation just before each time."""
    events: IntArray
    """Events at each time."""
    survival: FloatArray
    """Estimate just after each time."""
    se: FloatArray
    """Greenwood's standard error of it."""
    low: FloatArray
    """Lower limit (log-log), NaN if there is none yet."""
    high: FloatArray
    """Upper limit."""


@dataclass(frozen=True)
class Incidence:
    """Cumulative incidence of competing events."""

    times: FloatArray
    """Distinct times of events and censorings, shape ``(t,)``."""
    causes: tuple[str, ...]
    """Names, in order."""
    at_risk: IntArray
    """Under observation just before each time."""
    incidence: FloatArray
    """Shape ``(t, causes)``."""
    se: FloatArray
    """Infinitesimal jackknife standard errors, same shape."""
    low: FloatArray
    """Lower limits (log-log), NaN before the first event."""
    high: FloatArray
    """Upper limits."""
    event_free: FloatArray
    """Probability of no event yet, shape ``(t,)``."""


def _check(time: ArrayLike, event: ArrayLike) -> tuple[FloatArray, NDArray[Any]]:
    times, events = np.asarray(time, dtype=np.float64), np.asarray(event)
    if times.ndim != 1 or times.shape != events.shape or times.size == 0:
        raise ValueError("time and event must be of one shape (n,) with n above 0")
    if not np.isfinite(times).all() or (times < 0).any():
        raise ValueError("times must be finite and not negative")
    return times, events


def kaplan_meier(time: ArrayLike, event: ArrayLike, confidence: float = CONFIDENCE) -> Curve:
    """The Kaplan-Meier estimate with Greenwood's error and log-log limits.

    Args:
        time: follow-up, shape ``(n,)``.
        event: whether it ended with the event, shape ``(n,)``; otherwise censored.
        confidence: of the limits, at each time by itself.

    Raises:
        ValueError: shapes differ, nobody, or a time that is negative or not finite.
    """
    observed, happened = _check(time, event)
    happened = happened.astype(bool)
    times = np.unique(observed)
    at_risk = np.array([(observed >= t).sum() for t in times])
    events = np.array([((observed == t) & happened).sum() for t in times])
    survival = np.cumprod(1 - events / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(events / (at_risk * (at_risk - events)))
        se = survival * np.sqrt(greenwood)
        low, high = _log_log(survival, se, confidence)
    se = np.where(survival == 0, np.nan, se)
    return Curve(times, at_risk, events, survival, se, low, high)


def _log_log(
    estimate: FloatArray, se: FloatArray, confidence: float
) -> tuple[FloatArray, FloatArray]:
    """Limits that are symmetric on the scale of ``log(-log(estimate))``; NaN at 0 and 1."""
    z = float(stats.norm.ppf((1 + confidence) / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.log(-np.log(estimate))
        half = z * se / np.abs(estimate * np.log(estimate))
        low, high = np.exp(-np.exp(inner + half)), np.exp(-np.exp(inner - half))
    undefined = (estimate <= 0) | (estimate >= 1)
    return np.where(undefined, np.nan, low), np.where(undefined, np.nan, high)


def survival_at(curve: Curve, time: float) -> tuple[float, float | None, float | None]:
    """Survival at a time, with its limits (None if there are none)."""
    index = int(np.searchsorted(curve.times, time, side="right")) - 1
    if index < 0:
        return 1.0, None, None
    low, high = float(curve.low[index]), float(curve.high[index])
    value = float(curve.survival[index])
    return value, None if np.isnan(low) else low, None if np.isnan(high) else high


def median_time(curve: Curve) -> tuple[float | None, float | None, float | None]:
    """The median survival time and its limits (Brookmeyer & Crowley), None if not reached.

    Where the curve runs level at one half, the middle of that stretch, as R does.
    """

    def crossing(values: FloatArray) -> float | None:
        known = ~np.isnan(values)
        times, levels = curve.times[known], values[known]
        below = np.flatnonzero(levels < 0.5 - _TIE)
        level = np.flatnonzero(np.abs(levels - 0.5) <= _TIE)
        if level.size:
            first = float(times[level[0]])
            return (first + float(times[below[0]])) / 2 if below.size else first
        return float(times[below[0]]) if below.size else None

    steps = curve.events > 0  # limits and survival only move there
    return (
        crossing(np.where(steps, curve.survival, np.nan)),
        crossing(np.where(steps, curve.low, np.nan)),
        crossing(np.where(steps, curve.high, np.nan)),
    )


def aalen_johansen(
    time: ArrayLike,
    cause: ArrayLike,
    causes: Sequence[str],
    confidence: float = CONFIDENCE,
) -> Incidence:
    """Cumulative incidence of competing events (Aalen & Johansen 1978).

    One minus Kaplan-Meier would count patients who died as if they could still be transplanted and
    overstates every incidence.

    Args:
        time: follow-up, shape ``(n,)``.
        cause: 0 for censored, k for the k-th of ``causes``, shape ``(n,)``.
        causes: names.
        confidence: of the limits, at each time by itself.

    Raises:
        ValueError: shapes differ, nobody, or a cause outside the list.
    """
    observed, code = _check(time, cause)
    if (code < 0).any() or (code > len(causes)).any():
        raise ValueError(f"causes must lie between 0 and {len(causes)}")
    times = np.unique(observed)
    shape = (times.size, len(causes))
    at_risk = np.zeros(times.size, dtype=np.int64)
    incidence, se = np.zeros(shape), np.zeros(shape)
    event_free = np.zeros(times.size)
    free, cumulative = 1.0, np.zeros(len(causes))
    # influence of each subject on the event-free probability and on each incidence
    free_influence = np.zeros(observed.size)
    influence = np.zeros((observed.size, len(causes)))
    for index, t in enumerate(times):
        risk = observed >= t
        n = int(risk.sum())
        any_event = (observed == t) & (code > 0)
        for k in range(len(causes)):
            this = (observed == t) & (code == k + 1)
            hazard = this.sum() / n
            influence[:, k] += free_influence * hazard + free * (this - risk * hazard) / n
            cumulative[k] += free * hazard
        total = any_event.sum() / n
        free_influence = free_influence * (1 - total) - free * (any_event - risk * total) / n
        free *= 1 - total
        at_risk[index], event_free[index] = n, free
        incidence[index] = cumulative
        se[index] = np.sqrt((influence**2).sum(axis=0))
    low, high = _log_log(incidence, se, confidence)
    return Incidence(times, tuple(causes), at_risk, incidence, se, low, high, event_free)


def incidence_at(
    curve: Incidence, cause: str, time: float
) -> tuple[float, float | None, float | None]:
    """Cumulative incidence of one cause at a time, with its limits."""
    index = int(np.searchsorted(curve.times, time, side="right")) - 1
    if index < 0:
        return 0.0, None, None
    column = curve.causes.index(cause)
    low, high = float(curve.low[index, column]), float(curve.high[index, column])
    value = float(curve.incidence[index, column])
    return value, None if np.isnan(low) else low, None if np.isnan(high) else high


# --- from outcomes.csv to endpoints ---------------------------------------------------------

#: What may come in one month comes in this order: nobody is transplanted or falls ill after death.
_ORDER = (
    *(Event.NONE, Event.DECOMPENSATION, Event.BLEEDING, Event.HCC, Event.OTHER_CANCER),
    *(Event.TRANSPLANT, Event.LOST, Event.DEATH),
)

#: For each event whose incidence is estimated, what makes it impossible from then on.
COMPETING: dict[Event, tuple[Event, ...]] = {
    Event.TRANSPLANT: (Event.DEATH,),
    Event.DEATH: (Event.TRANSPLANT,),
    Event.HCC: (Event.DEATH, Event.TRANSPLANT),
    Event.OTHER_CANCER: (Event.DEATH, Event.TRANSPLANT),
    Event.DECOMPENSATION: (Event.DEATH, Event.TRANSPLANT),
    Event.BLEEDING: (Event.DEATH, Event.TRANSPLANT),
}


@dataclass(frozen=True)
class Course:
    """What is recorded of one subject, in the order in which it came."""

    subject: str
    """The code."""
    entries: tuple[tuple[float, Event, str], ...]
    """Months, event and cause."""

    @property
    def months(self) -> float:
        """The end of follow-up."""
        return self.entries[-1][0]

    @property
    def last(self) -> Event:
        """How it ends: death, lost, or whatever else was recorded last."""
        return self.entries[-1][1]

    def first(self, *events: Event) -> float | None:
        """Months to the first of some events, None if none came."""
        return next((months for months, event, _ in self.entries if event in events), None)

    def before(self, event: Event, others: Sequence[Event]) -> tuple[float, int]:
        """Months and code of the first of an event (1) and of its competitors (2); 0 censored."""
        for months, found, _ in self.entries:
            if found == event:
                return months, 1
            if found in others:
                return months, 2
        return self.months, 0


def courses(rows: Sequence[Mapping[str, Any]]) -> tuple[Course, ...]:
    """The rows of outcomes.csv by subject, in time; rows without months are left out.

    A subject may have several rows (cancer at 20 months, death at 40).
    """
    found: dict[str, list[tuple[float, Event, str]]] = {}
    for row in rows:
        months = row.get("followup_months")
        if months is None or months == "":
            continue
        event = Event(row["event"] or Event.NONE)
        entry = float(months), event, str(row.get("cause") or "")
        found.setdefault(str(row["subject"]), []).append(entry)
    return tuple(
        Course(subject, tuple(sorted(entries, key=lambda e: (e[0], _ORDER.index(e[1])))))
        for subject, entries in found.items()
    )


@dataclass(frozen=True)
class Endpoints:
    """Times and events of the survival analyses; one entry per subject, in their order."""

    subjects: tuple[str, ...]
    """Codes."""
    last_months: FloatArray
    """End of follow-up."""
    died: NDArray[np.bool_]
    """Whether the follow-up ended with death."""
    free_months: FloatArray
    """Until transplantation, death or end of follow-up."""
    free_event: NDArray[np.bool_]
    """Whether transplantation or death came."""
    cut_short: tuple[str, ...]
    """Subjects whose record ends with another event than death or last news: their overall
    survival is censored there."""


def endpoints(found: Sequence[Course]) -> Endpoints:
    """Times and events of overall and of transplant-free survival."""
    free = [course.first(Event.TRANSPLANT, Event.DEATH) for course in found]
    return Endpoints(
        tuple(course.subject for course in found),
        np.array([course.months for course in found], dtype=np.float64),
        np.array([course.last == Event.DEATH for course in found], dtype=bool),
        np.array(
            [c.months if f is None else f for c, f in zip(found, free, strict=True)],
            dtype=np.float64,
        ),
        np.array([f is not None for f in free], dtype=bool),
        tuple(c.subject for c in found if c.last not in (Event.DEATH, Event.NONE, Event.LOST)),
    )


def incidence_of(found: Sequence[Course], event: Event) -> Incidence:
    """Cumulative incidence of one event against its own competitors (:data:`COMPETING`)."""
    timed = [course.before(event, COMPETING[event]) for course in found]
    return aalen_johansen(
        [months for months, _ in timed], [code for _, code in timed], (event, "competing")
    )


def number_at_risk(curve: Curve | Incidence, times: Sequence[float]) -> list[int]:
    """How many are still under observation just before each time."""
    counts = []
    for t in times:
        index = int(np.searchsorted(curve.times, t, side="left"))
        counts.append(int(curve.at_risk[index]) if index < curve.times.size else 0)
    return counts
