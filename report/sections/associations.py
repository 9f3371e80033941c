"""Whether the changes go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...analysis.association import Association
from ...measures import MEASURES
from .. import figures_outcomes, words
from ..section import Entry, Section, Source
from .measures import anchor


def entries(source: Source) -> Sequence[Entry]:
    """Where any two changes could be set side by side."""
    content = association_section(source.analysis.associations)
    return [Entry("associations", "Do the changes go together?", content)] if content else []


SECTION = Section("associations", entries)


@dataclass(frozen=True)
class AssociationSection:
    """How changes go together."""

    rows: list[dict[str, str]]
    """Printed cells of each pair of measures."""
    scatter: list[str]
    """SVG of each pair of primary measures."""


def association_section(found: Sequence[Association]) -> AssociationSection | None:
    """The section; None if no two changes could be compared."""
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
