"""What became of the subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...analysis import outcomes
from ...analysis.outcome_table import OutcomeAnalysis
from ...vocabulary import Event
from .. import figures_outcomes, words
from ..section import Entry, Section, Source

_EVENT_NAMES: dict[str, str] = {
    Event.NONE: "alive at last news",
    Event.DEATH: "death",
    Event.TRANSPLANT: "transplantation",
    Event.HCC: "hepatocellular carcinoma",
    Event.OTHER_CANCER: "another cancer",
    Event.LOST: "lost to follow-up",
}


def entries(source: Source) -> Sequence[Entry]:
    """Where outcomes are known."""
    content = outcome_section(source.analysis.outcomes)
    return [Entry("outcomes", "What became of the patients", content)] if content else []


SECTION = Section("outcomes", entries)


@dataclass(frozen=True)
class OutcomeSection:
    """What became of the patients."""

    sentence: str
    """Counts and median follow-up."""
    notes: list[str]
    """What the numbers cannot show."""
    survival_svg: str
    """Kaplan-Meier curves."""
    incidence_svg: str
    """Competing events."""
    months: list[str]
    """Landmarks, as column headings."""
    rows: list[tuple[str, list[str]]]
    """Label and a cell a landmark."""


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
