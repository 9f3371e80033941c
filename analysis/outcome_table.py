"""The rows of statistics.csv about what became of the patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import outcomes
from .quantities import Quantity

LANDMARKS_MONTHS = (12.0, 24.0, 36.0, 60.0)


@dataclass(frozen=True)
class OutcomeAnalysis:
    """Everything that is said about the outcomes of a study."""

    endpoints: outcomes.Endpoints
    """Times and events."""
    counts: dict[str, int]
    """How many subjects had each event at any time."""
    overall: outcomes.Curve
    """Survival."""
    transplant_free: outcomes.Curve
    """Survival without transplantation."""
    followup: outcomes.Curve
    """Reverse Kaplan-Meier curve."""
    incidence: outcomes.Incidence
    """Cumulative incidence of the first event."""
    landmarks: tuple[float, ...]
    """Months at which numbers are given, none beyond the last follow-up."""
    missing: tuple[str, ...]
    """Enrolled subjects without a row."""


def analyse_outcomes(
    rows: Sequence[Mapping[str, Any]], subjects: Sequence[str]
) -> OutcomeAnalysis | None:
    """Analyse the rows of outcomes.csv; None where nobody has a follow-up time.

    Args:
        rows: of outcomes.csv.
        subjects: everybody enrolled.
    """
    points = outcomes.endpoints(rows)
    if not points.subjects:
        return None
    counts: dict[str, set[str]] = {}
    for row in rows:
        counts.setdefault(str(row["event"] or "none"), set()).add(str(row["subject"]))
    longest = float(points.last_months.max())
    return OutcomeAnalysis(
        points,
        {event: len(who) for event, who in sorted(counts.items())},
        outcomes.kaplan_meier(points.last_months, points.died),
        outcomes.kaplan_meier(points.free_months, points.free_event),
        outcomes.kaplan_meier(points.last_months, ~points.died),
        outcomes.aalen_johansen(points.first_months, points.first_cause, outcomes.FIRST_CAUSES),
        tuple(month for month in LANDMARKS_MONTHS if month <= longest),
        tuple(subject for subject in subjects if subject not in points.subjects),
    )


def outcome_rows(analysis: OutcomeAnalysis) -> list[dict[str, Any]]:
    """The rows of statistics.csv: survival, incidence and follow-up."""
    n = len(analysis.endpoints.subjects)
    rows = []
    for name, curve in (
        ("overall_survival", analysis.overall),
        ("transplant_free_survival", analysis.transplant_free),
    ):
        rows.append(_median(name, "median_months", n, curve, "Kaplan-Meier; log-log limits"))
        for month in analysis.landmarks:
            value, low, high = outcomes.survival_at(curve, month)
            rows.append(
                Quantity(
                    f"at_{month:g}_months", n, value, low, high,
                    method="Kaplan-Meier; log-log limits",
                ).row(name)
            )  # fmt: skip
    for cause in analysis.incidence.causes:
        for month in analysis.landmarks:
            value, low, high = outcomes.incidence_at(analysis.incidence, cause, month)
            rows.append(
                Quantity(
                    f"at_{month:g}_months", n, value, low, high,
                    method="Aalen-Johansen, first of death, transplant and cancer; log-log limits",
                ).row(f"incidence_{cause}")
            )  # fmt: skip
    rows.append(_median("followup", "median_months", n, analysis.followup, "reverse Kaplan-Meier"))
    return rows


def _median(
    measure: str, quantity: str, n: int, curve: outcomes.Curve, method: str
) -> dict[str, Any]:
    value, low, high = outcomes.median_time(curve)
    return Quantity(quantity, n, value, low, high, method=method).row(measure)
