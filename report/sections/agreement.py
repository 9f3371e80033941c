"""The agreement with a repeat of the same cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...analysis.repeat import Agreement
from ...measures import MEASURES
from .. import figures_outcomes, words
from ..section import Entry, Section, Source


def entries(source: Source) -> Sequence[Entry]:
    """Where there is a repeat."""
    analysis = source.analysis
    if not analysis.repeated:
        return []
    content = {
        "measures": agreement_sections(analysis.repeated),
        "repeat_name": analysis.repeat_name,
    }
    return [Entry("agreement", "Agreement with the repeat", content)]


SECTION = Section("agreement", entries)


def agreement_sections(found: Sequence[Agreement]) -> list[dict[str, Any]]:
    """What the template prints for each measure."""
    sections = []
    for item in found:
        measure = MEASURES[item.measure]
        digits = max(1, measure.digits)
        rows = []
        for label, estimate, kind in (
            ("Bias, second minus first", item.limits.bias, "unit"),
            ("Lower limit of agreement", item.limits.lower, "unit"),
            ("Upper limit of agreement", item.limits.upper, "unit"),
            ("Repeatability coefficient", item.error.repeatability_coefficient, "unit"),
            ("ICC(2,1)", item.error.icc, "none"),
        ):
            places = digits if kind == "unit" else 3
            value = words.number(estimate.value, places)
            rows.append(
                (
                    label,
                    words.change_with_unit(value, measure) if kind == "unit" else value,
                    words.interval(estimate.low, estimate.high, places),
                )
            )
        if item.error.cov_percent is not None:
            cov = f"{words.number(item.error.cov_percent, 1)} %"
            rows.append(("Within-subject CoV", cov, words.NOT_KNOWN))
        smallest = words.change_with_unit(
            words.number(item.error.smallest_detectable, digits), measure
        )
        notes = []
        if item.identical:
            notes.append(
                "Every case gave the same value twice. That shows that the program repeats itself, "
                "not how well a liver or a slide can be measured: no limits are given."
            )
        else:
            notes.append(
                f"One patient's change must exceed {smallest} to be told from measuring twice. To "
                f"use it for the calls, write smallest_detectable: {{{item.measure}: "
                f"{item.error.smallest_detectable:.4g}}} into study.yaml."
            )
        if item.same_input:
            notes.append(
                f"{item.same_input} of {len(item.points)} cases were measured from the same files: "
                "for these, the error is that of reading, not of repeating the scan or section."
            )
        if item.limits.slope_p is not None and item.limits.slope_p < 0.05:
            notes.append(
                "The difference grows or shrinks with the size (p of the slope "
                f"{words.p_value(item.limits.slope_p, sign=True)}): one pair of limits does not "
                "fit small and large values alike."
            )
        if item.doubtful:
            notes.append(f"Left out as doubtful: {', '.join(item.doubtful)}.")
        for names, where in ((item.only_first, "here"), (item.only_second, "in the repeat")):
            if names:
                notes.append(f"Measured only {where}: {', '.join(names)}.")
        sections.append(
            {
                "title": measure.title,
                "n": len(item.points),
                "how": item.engines,
                "rows": rows,
                "notes": notes,
                "svg": ""
                if item.identical
                else figures_outcomes.bland_altman(
                    f"agreement-{item.measure.replace('_', '-')}",
                    measure.title,
                    measure.unit,
                    item.points,
                    item.limits,
                ),
            }
        )
    return sections
