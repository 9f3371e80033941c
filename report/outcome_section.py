"""The outcomes and the associations, ready to print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..analysis import outcomes
from ..analysis.outcome_table import OutcomeAnalysis
from ..analysis.statistics_table import Association
from ..measures import MEASURES
from . import figures_outcomes, words
from .sections import anchor

_EVENT_NAMES = {
    "none": "alive at last news",
    "death": "death",
    "transplant": "transplantation",
    "hcc": "hepatocellular carcinoma",
    "other_cancer": "another cancer",
    "lost": "lost to follow-up",
}


@dataclass(frozen=True)
class OutcomeSection:
    """What became of the patients.

    Attributes:
        sentence: counts and median follow-up.
        notes: what the numbers cannot show.
        survival_svg: Kaplan-Meier curves.
        incidence_svg: competing events.
        months: landmarks, as column headings.
        rows: label and a cell a landmark.
    """

    sentence: str
    notes: list[str]
    survival_svg: str
    incidence_svg: str
    months: list[str]
    rows: list[tuple[str, list[str]]]


def _percent(value: float, low: float | None, high: float | None) -> str:
    text = f"{100 * value:.0f} %"
    return text if low is None or high is None else f"{text} ({100 * low:.0f} to {100 * high:.0f})"


def _months(value: tuple[float | None, float | None, float | None]) -> str:
    middle, low, high = value
    if middle is None:
        return "not reached"

    def limit(month: float | None) -> str:
        return "not reached" if month is None else f"{month:g}"

    return f"{middle:g} months (95 % CI {limit(low)} to {limit(high)})"


def outcome_section(analysis: OutcomeAnalysis | None) -> OutcomeSection | None:
    """The section; None without outcomes."""
    if analysis is None:
        return None
    points = analysis.endpoints
    counts = "; ".join(
        f"{_EVENT_NAMES.get(event, event)} in {number}" for event, number in analysis.counts.items()
    )
    sentence = (
        f"Outcomes are known of {words.count(len(points.subjects), 'subject')}: {counts}. Median "
        f"follow-up by the reverse Kaplan-Meier method: "
        f"{_months(outcomes.median_time(analysis.followup))}. Median overall survival: "
        f"{_months(outcomes.median_time(analysis.overall))}; without transplantation: "
        f"{_months(outcomes.median_time(analysis.transplant_free))}."
    )
    notes = []
    if analysis.missing:
        notes.append(
            f"No outcome is recorded for {', '.join(analysis.missing)}; they are in no curve here."
        )
    if points.cut_short:
        notes.append(
            f"The record of {', '.join(points.cut_short)} ends with a transplantation or cancer. "
            "Their overall survival is censored there as if they fared like the others, which they "
            "may not; add a row with the last news to outcomes.csv."
        )
    notes.append(
        "The incidence counts each subject's first event of death, transplantation and cancer; "
        "those who had another event first cannot have it any more (Aalen-Johansen)."
    )
    rows = []
    for label, curve in (
        ("Overall survival", analysis.overall),
        ("Transplant-free survival", analysis.transplant_free),
    ):
        rows.append(
            (label, [_percent(*outcomes.survival_at(curve, m)) for m in analysis.landmarks])
        )
    for cause in analysis.incidence.causes:
        rows.append(
            (
                f"Incidence of {cause} first",
                [
                    _percent(*outcomes.incidence_at(analysis.incidence, cause, m))
                    for m in analysis.landmarks
                ],
            )
        )
    rows.append(
        (
            "At risk",
            [str(n) for n in outcomes.number_at_risk(analysis.overall, analysis.landmarks)],
        )
    )
    return OutcomeSection(
        sentence,
        notes,
        figures_outcomes.survival(
            "survival",
            [("Overall", analysis.overall), ("Transplant-free", analysis.transplant_free)],
        ),
        figures_outcomes.incidence(
            "incidence", analysis.incidence, ["Death", "Transplantation", "Cancer"]
        ),
        [f"{month:g} months" for month in analysis.landmarks],
        rows,
    )


@dataclass(frozen=True)
class AssociationSection:
    """How changes go together.

    Attributes:
        rows: printed cells of each pair of measures.
        scatter: SVG of each pair of primary measures.
    """

    rows: list[dict[str, str]]
    scatter: list[str]


def association_section(found: Sequence[Association]) -> AssociationSection | None:
    """The section; None where no two changes could be set beside each other."""
    if not found:
        return None
    rows, drawings = [], []
    for item in found:
        one, two = MEASURES[item.first], MEASURES[item.second]
        rho, test = item.rho, item.test
        rows.append(
            {
                "label": f"{one.title} and {two.inside}",
                "visit": item.timepoint,
                "n": str(len(item.points)),
                "rho": words.number(rho.value, 2, signed=True) if rho else "one does not vary",
                "interval": words.interval(rho.low, rho.high, 2) if rho else words.NOT_KNOWN,
                "p": words.p_value(test.p_value) if test else words.NOT_KNOWN,
            }
        )
        if two.kind != "clinical" or item.second == "child_pugh_score":
            drawings.append(
                figures_outcomes.scatter(
                    f"scatter-{anchor(item.first + '-' + item.second, item.timepoint)}",
                    item.points,
                    _change_label(item.first),
                    _change_label(item.second),
                )
            )
    return AssociationSection(rows, drawings)


def _change_label(key: str) -> str:
    measure = MEASURES[key]
    unit = "percentage points" if measure.unit == "%" else measure.unit
    return f"Change in {measure.inside}" + (f" ({unit})" if unit else "")
