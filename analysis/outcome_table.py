"""What became of the subjects: counts, survival, incidence and status, with their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from ..vocabulary import Event
from . import outcomes
from .design import Design
from .quantities import Quantity
from .statistics import Estimate

LANDMARKS_MONTHS = (12.0, 24.0, 36.0, 60.0)
_NEAR = 0.15
"""How far, as a share of the landmark, the visit may be whose Child-Pugh class counts for it."""
_NEAR_MONTHS = 2.0


@dataclass(frozen=True)
class Happened:
    """How many subjects had an event at any time."""

    event: Event
    """Which."""
    count: int
    """Subjects with at least one."""
    percent: Estimate
    """Of the subjects whose outcome is known, with exact (Clopper-Pearson) limits."""
    causes: Mapping[str, int]
    """Subjects by the cause or kind that was given."""


@dataclass(frozen=True)
class Lost:
    """A subject who was lost to follow-up."""

    subject: str
    """The code."""
    months: float
    """When last seen."""
    last_class: str
    """The last Child-Pugh class that is known until then, "" for none."""


@dataclass(frozen=True)
class Status:
    """Where everybody is at a landmark; each subject in one of these."""

    months: float
    """The landmark."""
    counts: Mapping[str, int]
    """Subjects by status: the Child-Pugh class of those alive without transplantation, class not
    known, transplanted, dead, and not followed so long."""


@dataclass(frozen=True)
class OutcomeAnalysis:
    """Everything that is said about the outcomes of a study."""

    courses: tuple[outcomes.Course, ...]
    """Who had what when."""
    endpoints: outcomes.Endpoints
    """Times and events of survival."""
    happened: tuple[Happened, ...]
    """Counts of the events that came, and of who is alive at last news."""
    overall: outcomes.Curve
    """Survival."""
    transplant_free: outcomes.Curve
    """Survival without transplantation."""
    followup: outcomes.Curve
    """Reverse Kaplan-Meier curve."""
    incidence: Mapping[Event, outcomes.Incidence]
    """Cumulative incidence of each event that came, against its own competing events."""
    landmarks: tuple[float, ...]
    """Months at which numbers are given, none beyond the last follow-up."""
    status: tuple[Status, ...]
    """Where everybody is at each landmark."""
    lost: tuple[Lost, ...]
    """Those lost to follow-up."""
    missing: tuple[str, ...]
    """Enrolled subjects without a row."""

    @property
    def plain_followup(self) -> tuple[float, float, float]:
        """Median, least and most months to death or last news."""
        months = self.endpoints.last_months
        return float(np.median(months)), float(months.min()), float(months.max())


def analyse_outcomes(
    rows: Sequence[Mapping[str, Any]],
    design: Design,
    clinical: Sequence[Mapping[str, Any]] = (),
) -> OutcomeAnalysis | None:
    """Analyse the rows of outcomes.csv; None if nobody has a follow-up time.

    Args:
        rows: of outcomes.csv.
        design: who is enrolled, and when visits are.
        clinical: rows of clinical.csv with scores.
    """
    found = outcomes.courses(rows)
    if not found:
        return None
    points = outcomes.endpoints(found)
    longest = float(points.last_months.max())
    landmarks = tuple(month for month in LANDMARKS_MONTHS if month <= longest)
    classes = _classes(clinical, design)
    return OutcomeAnalysis(
        courses=found,
        endpoints=points,
        happened=_happened(found),
        overall=outcomes.kaplan_meier(points.last_months, points.died),
        transplant_free=outcomes.kaplan_meier(points.free_months, points.free_event),
        followup=outcomes.kaplan_meier(points.last_months, ~points.died),
        incidence={
            event: outcomes.incidence_of(found, event)
            for event in outcomes.COMPETING
            if any(course.first(event) is not None for course in found)
        },
        landmarks=landmarks,
        status=tuple(_status(found, classes, month) for month in landmarks),
        lost=tuple(
            Lost(c.subject, c.months, _last_class(classes.get(c.subject, ()), c.months))
            for c in found
            if c.last == Event.LOST
        ),
        missing=tuple(s for s in design.subjects if s not in points.subjects),
    )


def share(count: int, n: int) -> Estimate:
    """A share in per cent with exact limits (Clopper and Pearson)."""
    limits = stats.binomtest(count, n).proportion_ci()
    return Estimate(100 * count / n, 100 * float(limits.low), 100 * float(limits.high))


def _happened(found: Sequence[outcomes.Course]) -> tuple[Happened, ...]:
    counted = []
    for event in Event:
        if event == Event.NONE:  # alive and seen: a death or a loss later on is no good news
            who = [course for course in found if course.last not in (Event.DEATH, Event.LOST)]
        else:
            who = [course for course in found if course.first(event) is not None]
        if not who:
            continue
        causes: dict[str, int] = {}
        for course in who:
            named = {cause for _, one, cause in course.entries if one == event and cause}
            for cause in sorted(named):
                causes[cause] = causes.get(cause, 0) + 1
        counted.append(Happened(event, len(who), share(len(who), len(found)), causes))
    return tuple(counted)


def _classes(
    clinical: Sequence[Mapping[str, Any]], design: Design
) -> dict[str, list[tuple[float, str]]]:
    """Months and Child-Pugh class of each subject's visits, in time, where both are known."""
    found: dict[str, list[tuple[float, str]]] = {}
    for row in clinical:
        subject = str(row["subject"])
        months = design.months_of(subject, str(row["timepoint"]))
        if months is not None and row.get("child_pugh_class"):
            found.setdefault(subject, []).append((months, str(row["child_pugh_class"])))
    return {subject: sorted(visits) for subject, visits in found.items()}


def _last_class(visits: Sequence[tuple[float, str]], until: float) -> str:
    known = [name for months, name in visits if months <= until + _NEAR_MONTHS]
    return known[-1] if known else ""


def _status(
    found: Sequence[outcomes.Course],
    classes: Mapping[str, Sequence[tuple[float, str]]],
    landmark: float,
) -> Status:
    counts = dict.fromkeys(
        ("class A", "class B", "class C", "class not known", "transplanted", "dead",
         "not followed so long"), 0,
    )  # fmt: skip
    near = max(_NEAR_MONTHS, _NEAR * landmark)
    for course in found:
        ended = [
            (name, course.first(event))
            for name, event in (("dead", Event.DEATH), ("transplanted", Event.TRANSPLANT))
        ]
        here = [name for name, months in ended if months is not None and months <= landmark]
        if here:  # who died after a transplantation is dead
            counts[here[0]] += 1
        elif course.months < landmark:
            counts["not followed so long"] += 1
        else:
            close = [
                (abs(at - landmark), name)
                for at, name in classes.get(course.subject, ())
                if abs(at - landmark) <= near
            ]
            counts[f"class {min(close)[1]}" if close else "class not known"] += 1
    return Status(landmark, counts)


def outcome_rows(analysis: OutcomeAnalysis) -> list[dict[str, Any]]:
    """The rows of statistics.csv: counts, survival, incidence, status and follow-up."""
    n = len(analysis.courses)
    rows = []
    for item in analysis.happened:
        name = f"outcome_{item.event}"
        method = "subjects; at any time" if item.event != Event.NONE else "subjects; at last news"
        rows.append(Quantity("count", n, float(item.count), method=method).row(name))
        rows.append(
            Quantity(
                "percent",
                n,
                item.percent.value,
                item.percent.low,
                item.percent.high,
                method="of the subjects with a known outcome; Clopper-Pearson limits",
            ).row(name)
        )
        rows += [
            Quantity(f"count, {cause}", n, float(count), method="subjects; cause as given").row(
                name
            )
            for cause, count in item.causes.items()
        ]
    for name, curve in (
        ("overall_survival", analysis.overall),
        ("transplant_free_survival", analysis.transplant_free),
    ):
        rows.append(_median(name, "median_months", n, curve, "Kaplan-Meier; log-log limits"))
        for month in analysis.landmarks:
            value, low, high = outcomes.survival_at(curve, month)
            method = "Kaplan-Meier; log-log limits"
            rows.append(
                Quantity(f"at_{month:g}_months", n, value, low, high, method=method).row(name)
            )
            rows.append(_at_risk(name, n, curve, month))
    for event, incidence in analysis.incidence.items():
        others = " and ".join(outcomes.COMPETING[event])
        for month in analysis.landmarks:
            value, low, high = outcomes.incidence_at(incidence, event, month)
            method = f"Aalen-Johansen; {others} compete; log-log limits"
            rows.append(
                Quantity(f"at_{month:g}_months", n, value, low, high, method=method).row(
                    f"incidence_{event}"
                )
            )
            rows.append(_at_risk(f"incidence_{event}", n, incidence, month))
    for status in analysis.status:
        for name, count in status.counts.items():
            percent = share(count, n)
            rows.append(
                Quantity(
                    f"percent, {name}",
                    n,
                    percent.value,
                    percent.low,
                    percent.high,
                    method=f"{count} subjects; Clopper-Pearson limits",
                ).row(f"status_at_{status.months:g}_months")
            )
    middle, least, most = analysis.plain_followup
    rows.append(
        Quantity(
            "plain_median_months",
            n,
            middle,
            least,
            most,
            method="months to death or last news; low and high are the range",
        ).row("followup")
    )
    rows.append(_median("followup", "median_months", n, analysis.followup, "reverse Kaplan-Meier"))
    return rows


def _at_risk(
    measure: str, n: int, curve: outcomes.Curve | outcomes.Incidence, month: float
) -> dict[str, Any]:
    (number,) = outcomes.number_at_risk(curve, [month])
    return Quantity(
        f"at_risk_at_{month:g}_months", n, float(number), method="under observation until then"
    ).row(measure)


def _median(
    measure: str, quantity: str, n: int, curve: outcomes.Curve, method: str
) -> dict[str, Any]:
    value, low, high = outcomes.median_time(curve)
    return Quantity(quantity, n, value, low, high, method=method).row(measure)
