"""The rows of statistics.csv: every quantity of every measure, with Holm's correction in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..measures import COMPARED
from . import statistics as st
from .design import Design, Pair
from .quantities import Quantity, quantities

TESTS = ("paired_t", "wilcoxon", "sign_flip")
PRIMARY_TEST = "sign_flip"
"""Exact, and it assumes only that each change is as likely with the other sign."""

Found = Mapping[tuple[str, str], Mapping[str, Quantity]]
"""Quantities by (measure, later visit) and name."""


def statistics_of(
    design: Design, pairs: Sequence[Pair]
) -> dict[tuple[str, str], dict[str, Quantity]]:
    """All quantities by (measure, later visit) and name, Holm's correction in place.

    Holm's correction goes over the primary measures and later visits, test by test: each test's
    p-values form one family.
    """
    found: dict[tuple[str, str], dict[str, Quantity]] = {}
    for measure in COMPARED:
        for later in design.later_visits(measure):
            chosen = [p for p in pairs if p.measure == measure and p.timepoint == later]
            if chosen:
                found[measure, later] = {row.name: row for row in quantities(chosen)}
    for test in TESTS:
        family = [key for key in found if key[0] in design.primary_measures and test in found[key]]
        p_values = [found[key][test].p_value for key in family]
        adjusted = st.holm([p for p in p_values if p is not None])
        for key, value in zip(family, adjusted, strict=True):
            found[key][test] = replace(found[key][test], p_value_holm=value)
    return found


def named(design: Design, measure: str, later: str) -> str:
    """The ``measure`` column: visits beyond the second are named ``measure@visit``."""
    return measure if later in design.timepoints[1:2] else f"{measure}@{later}"


def rows_of(design: Design, found: Found) -> list[dict[str, Any]]:
    """The rows of statistics.csv about changes."""
    return [
        quantity.row(named(design, measure, later))
        for (measure, later), by_name in found.items()
        for quantity in by_name.values()
    ]
