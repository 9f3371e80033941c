"""The outcomes of the subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...analysis import outcomes
from ...analysis.outcome_table import Happened, OutcomeAnalysis
from ...vocabulary import Event
from .. import figures_outcomes, words
from ..section import Entry, Section, Source

_EVENT_NAMES: dict[str, str] = {
    Event.NONE: "alive at last news",
    Event.DEATH: "death",
    Event.TRANSPLANT: "transplantation",
    Event.HCC: "hepatocellular carcinoma",
    Event.OTHER_CANCER: "another cancer",
    Event.DECOMPENSATION: "decompensation",
    Event.BLEEDING: "variceal bleeding",
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

    sentences: list[str]
    """Counts, follow-up and survival."""
    notes: list[str]
    """What the numbers cannot show."""
    survival_svg: str
    """Kaplan-Meier curves."""
    incidence_svg: str
    """Competing events, "" if none came."""
    swimmer_svg: str
    """Every subject's course."""
    months: list[str]
    """Landmarks, as column headings."""
    rows: list[tuple[str, list[str]]]
    """Label and a cell a landmark: estimates, and how many are at risk."""
    status: list[tuple[str, list[str]]]
    """Label and a cell a landmark: where everybody stands."""


def _percent(value: float, low: float | None, high: float | None) -> str:
    text = f"{100 * value:.0f} %"
    return text if low is None or high is None else f"{text} ({100 * low:.0f} to {100 * high:.0f})"


def _month(month: float) -> str:
    """Months to a tenth, for those that came from days."""
    return f"{round(month, 1):g}"


def _months(value: tuple[float | None, float | None, float | None]) -> str:
    middle, low, high = value

    def limit(month: float | None) -> str:
        return "not reached" if month is None else _month(month)

    unit = "" if middle is None else " months"
    if low is None and high is None:
        return limit(middle) + unit
    return f"{limit(middle)}{unit} (95 % CI {limit(low)} to {limit(high)})"


def _share(percent: float) -> str:
    return f"{percent:.1f} %"


def _counted(item: Happened) -> str:
    text = f"{_EVENT_NAMES[item.event]} in {item.count} ({_share(item.percent.value)}"
    if item.causes:
        text += ": " + ", ".join(f"{cause} {count}" for cause, count in item.causes.items())
    return text + ")"


def _sentences(analysis: OutcomeAnalysis) -> list[str]:
    n = len(analysis.courses)
    middle, least, most = analysis.plain_followup
    sentences = [
        f"Outcomes are known of {words.count(n, 'subject')}: "
        + "; ".join(_counted(item) for item in analysis.happened)
        + ".",
        f"Median follow-up: {_month(middle)} months (range {_month(least)} to {_month(most)}); by "
        f"the reverse Kaplan-Meier method {_months(outcomes.median_time(analysis.followup))}. "
        f"Median overall survival: {_months(outcomes.median_time(analysis.overall))}; "
        f"without transplantation: {_months(outcomes.median_time(analysis.transplant_free))}.",
    ]
    for status in analysis.status[-1:]:
        good = status.counts["class A"]
        if not any(status.counts[f"class {letter}"] for letter in "ABC"):
            continue  # nobody's class is known: no share of them
        unsure = [
            f"{status.counts[name]} {text}"
            for name, text in (
                ("class not known", "had no class known near then"),
                ("not followed so long", "were not followed so long"),
            )
            if status.counts[name]
        ]
        sentences.append(
            f"{good} of {n} ({_share(100 * good / n)}) were in Child-Pugh class A at "
            f"{status.months:g} months without transplantation or death"
            + (f"; {' and '.join(unsure)}, and count as not." if unsure else ".")
        )
    if analysis.lost:
        last = ", ".join(
            f"{item.subject} at {_month(item.months)}"
            + (f" (class {item.last_class})" if item.last_class else "")
            for item in analysis.lost
        )
        sentences.append(
            f"{len(analysis.lost)} ({_share(100 * len(analysis.lost) / n)}) were lost to "
            f"follow-up, in months and with the last Child-Pugh class known: {last}."
        )
    return sentences


def _notes(analysis: OutcomeAnalysis) -> list[str]:
    notes = []
    if analysis.missing:
        notes.append(
            f"No outcome is recorded for {', '.join(analysis.missing)}; they are in no curve here."
        )
    if analysis.endpoints.cut_short:
        notes.append(
            f"The record of {', '.join(analysis.endpoints.cut_short)} ends with an event that is "
            "neither death nor last news. Their overall survival is censored there as if they "
            "fared like the others, which they may not; add a row with the last news to "
            "outcomes.csv."
        )
    competing = "; ".join(
        f"{_EVENT_NAMES[event]} against {' and '.join(_EVENT_NAMES[o] for o in others)}"
        for event, others in outcomes.COMPETING.items()
        if event in analysis.incidence
    )
    if competing:
        notes.append(
            f"Each incidence has its own competing events (Aalen-Johansen): {competing}. In one "
            "month the event that can only come first comes first."
        )
    return notes


def outcome_section(analysis: OutcomeAnalysis | None) -> OutcomeSection | None:
    """The section; None without outcomes."""
    if analysis is None:
        return None
    rows = []
    curves = (
        ("Overall survival", analysis.overall),
        ("Transplant-free survival", analysis.transplant_free),
    )
    for label, curve in curves:
        cells = [_percent(*outcomes.survival_at(curve, m)) for m in analysis.landmarks]
        rows += [(label, cells), (f"{label}: at risk", _at_risk(curve, analysis))]
    for event, incidence in analysis.incidence.items():
        cells = [_percent(*outcomes.incidence_at(incidence, event, m)) for m in analysis.landmarks]
        label = f"Incidence of {_EVENT_NAMES[event]}"
        rows += [(label, cells), (f"{label}: at risk", _at_risk(incidence, analysis))]
    n = len(analysis.courses)
    status = [
        (
            name[0].upper() + name[1:],
            [
                f"{one.counts[name]} ({_share(100 * one.counts[name] / n)})"
                for one in analysis.status
            ],
        )
        for name in (analysis.status[0].counts if analysis.status else ())
    ]
    drawn = [(_EVENT_NAMES[event], curve) for event, curve in analysis.incidence.items()]
    return OutcomeSection(
        _sentences(analysis),
        _notes(analysis),
        figures_outcomes.survival(
            "survival",
            [("Overall", analysis.overall), ("Transplant-free", analysis.transplant_free)],
        ),
        figures_outcomes.incidence("incidence", drawn) if drawn else "",
        figures_outcomes.swimmer("swimmer", analysis.courses),
        [f"{month:g} months" for month in analysis.landmarks],
        rows,
        status,
    )


def _at_risk(curve: outcomes.Curve | outcomes.Incidence, analysis: OutcomeAnalysis) -> list[str]:
    return [str(number) for number in outcomes.number_at_risk(curve, analysis.landmarks)]
