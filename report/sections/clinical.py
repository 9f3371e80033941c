"""The clinical values and scores: one table, Child-Pugh classes, and what looks wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...analysis.clinical_units import Finding
from ...analysis.design import Design, Pair
from ...analysis.quantities import Quantity
from ...analysis.statistics_table import IMPORTANT_CHANGES
from ...measures import MEASURES
from .. import figures, words
from ..section import Entry, Section, Source

_FEW = 3  # subjects; below it a visit is folded away: a mean of two says nothing
_FROM_SCANS = ("liver_spleen_ratio",)  # says as much of portal hypertension as a score does
_DRAWN = ("child_pugh_score", "meld", "albumin_g_dl")


def entries(source: Source) -> Sequence[Entry]:
    """Where there is a clinical.csv."""
    analysis = source.analysis
    content = clinical_section(
        analysis.design,
        analysis.pairs,
        analysis.found,
        analysis.inputs.clinical,
        analysis.inputs.unit_findings,
        analysis.inputs.bound_findings,
    )
    return [Entry("clinical", "Clinical values and scores", content)] if content else []


SECTION = Section("clinical", entries)


@dataclass(frozen=True)
class ClinicalSection:
    """The section ready to print."""

    rows: list[dict[str, Any]]
    """A row a measure and later visit."""
    figures: list[str]
    """SVG of the scores that people ask for."""
    classes: list[tuple[str, list[tuple[str, list[int]]], bool]]
    """Heading and rows of the Child-Pugh class tables, one a later visit."""
    findings: list[Finding] = field(default_factory=list)
    """Values that look as if in another unit."""
    bounds: list[Finding] = field(default_factory=list)
    """Values of which only a bound is known."""
    important: list[dict[str, Any]] = field(default_factory=list)
    """By measure, who changed by at least what is said to matter."""


def clinical_section(
    design: Design,
    pairs: Sequence[Pair],
    found: Mapping[tuple[str, str], Mapping[str, Quantity]],
    clinical: Sequence[Mapping[str, Any]],
    findings: Sequence[Finding],
    bounds: Sequence[Finding] = (),
) -> ClinicalSection | None:
    """Everything about clinical.csv; None without such a table."""
    if not clinical:
        return None
    rows = []
    for (key, later), by_name in found.items():
        measure = MEASURES[key]
        if not (measure.kind == "clinical" or key in _FROM_SCANS) or not by_name["n_paired"].value:
            continue
        digits = measure.mean_digits
        first, last, change = (
            by_name[name] for name in ("mean_baseline", "mean_followup", "mean_change_sign_flip")
        )
        rows.append(
            {
                "label": measure.label,
                "visit": later,
                "n": str(first.n),
                "first": _mean_sd(first, by_name.get("sd_baseline"), digits),
                "later": _mean_sd(last, by_name.get("sd_followup"), digits),
                "change": words.number(change.value, digits, signed=True),
                "interval": words.interval(change.low, change.high, digits),
                "hodges": words.number(by_name["hodges_lehmann"].value, digits, signed=True),
                "p": words.p_value(by_name["sign_flip"].p_value),
                "p_rank": words.p_value(by_name["wilcoxon"].p_value),
                "moved": _moved(by_name),
                "few": first.n < _FEW,
            }
        )
    drawings = []
    for key in _DRAWN:
        ours = [p for p in pairs if p.measure == key]
        if any(p.paired for p in ours):
            drawings.append(_drawing(design, key, ours))
    return ClinicalSection(
        rows,
        drawings,
        _class_tables(design, clinical),
        list(findings),
        list(bounds),
        _important(design, found),
    )


def _important(
    design: Design, found: Mapping[tuple[str, str], Mapping[str, Quantity]]
) -> list[dict[str, Any]]:
    """By measure, who changed by what is said to matter, and who says so."""
    visits: dict[str, list[str]] = {}
    for (key, later), by_name in found.items():
        fell, rose = (by_name.get(name) for name in IMPORTANT_CHANGES)
        if fell is not None and rose is not None and fell.n >= _FEW:
            text = f"by {later} it fell in {_share(fell)} and rose in {_share(rose)} of {fell.n}"
            visits.setdefault(key, []).append(text)
    rows = []
    for key, texts in visits.items():
        measure, least = MEASURES[key], design.important_difference[key]
        own = least == measure.important
        rows.append(
            {
                "label": measure.title,
                "least": words.with_unit(f"{least:g}", measure),
                "visits": texts,
                "source": measure.important_source if own else "as study.yaml sets",
            }
        )
    return rows


def _share(share: Quantity) -> str:
    return f"{words.number(share.value, 0)} % ({words.interval(share.low, share.high, 0)})"


def _moved(by_name: Mapping[str, Quantity]) -> str:
    """How many scores went down, stayed and went up; "" for what is not a score."""
    counts = [by_name.get(name) for name in ("n_lower", "n_unchanged", "n_higher")]
    known = [str(int(count.value or 0)) for count in counts if count is not None]
    return " / ".join(known)


def _mean_sd(mean: Quantity, sd: Quantity | None, digits: int) -> str:
    text = words.number(mean.value, digits)
    return f"{text} ({words.number(sd.value, digits)})" if sd else text


def _drawing(design: Design, key: str, ours: Sequence[Pair]) -> str:
    measure = MEASURES[key]
    visits = [design.timepoints[0]]
    visits += [v for v in design.later_visits(key) if any(p.timepoint == v for p in ours)]
    by_visit = {(p.subject, p.timepoint): p for p in ours}
    lines = []
    for subject in design.subjects:
        later = [by_visit[subject, visit] for visit in visits[1:] if (subject, visit) in by_visit]
        values = (later[0].baseline.value, *(pair.followup.value for pair in later))
        lines.append(figures.Line(subject, values, ""))
    return figures.spaghetti(f"lines-{key}", measure.title, measure.unit, visits, lines, [])


def _class_tables(
    design: Design, clinical: Sequence[Mapping[str, Any]]
) -> list[tuple[str, list[tuple[str, list[int]]], bool]]:
    """From each Child-Pugh class to each, for subjects with both."""
    classes = {
        (str(row["subject"]), str(row["timepoint"])): str(row["child_pugh_class"])
        for row in clinical
        if row["child_pugh_class"]
    }
    tables = []
    for later in design.later_visits("child_pugh_score"):
        both = [
            (classes[subject, design.timepoints[0]], classes[subject, later])
            for subject in design.subjects
            if (subject, design.timepoints[0]) in classes and (subject, later) in classes
        ]
        if both:
            rows = [(one, [both.count((one, two)) for two in "ABC"]) for one in "ABC"]
            tables.append((later, rows, len(both) < _FEW))
    return tables
