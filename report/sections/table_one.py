"""Table 1: who the patients were at the first visit, compared subjects next to all others."""

from __future__ import annotations

from collections.abc import Sequence

from ...analysis.characteristics import Counts, Summary
from .. import words
from ..section import Entry, Section, Source


def entries(source: Source) -> Sequence[Entry]:
    """Where anything is known of the first visit."""
    table = source.analysis.table_one
    if not table.rows:
        return []
    content = {
        "columns": [f"{name} (n = {number})" for name, number in table.groups],
        "rows": [(label, [cell_text(cell) for cell in cells]) for label, cells in table.rows],
    }
    return [Entry("table-one", "Patients at the first visit", content)]


SECTION = Section("table_one", entries)


def cell_text(cell: Summary | Counts) -> str:
    """Mean (SD), median [quartiles] and how many are known; or how many are of each kind."""
    if isinstance(cell, Counts):
        return _counts(cell)
    if not cell.values:
        return words.NOT_KNOWN
    if len(cell.values) == 1:
        return f"{words.number(cell.values[0], cell.digits)} (n = 1)"
    low, middle, high = (words.number(value, cell.digits) for value in cell.quartiles)
    return (
        f"{words.number(cell.mean, cell.digits)} ({words.number(cell.sd, cell.digits)}); "
        f"{middle} [{low}, {high}]; n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{len(cell.values)}"
    )


def _counts(cell: Counts) -> str:
    if not cell.known:
        return words.NOT_KNOWN
    if len(cell.counts) == 1:
        (number,) = cell.counts.values()
        return f"{number} of {cell.known} ({100 * number / cell.known:.0f} %)"
    return ", ".join(f"{name} {number}" for name, number in cell.counts.items())
