"""The rows of statistics.csv: every quantity of every measure, with Holm's correction in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..measures import COMPARED
from . import statistics as st
from .design import Design, Pair
from .mmrm import mixed_model
from .quantities import Quantity, quantities
from .sample import sample_of

TESTS = ("paired_t", "wilcoxon", "sign_flip")
MIXED = "mean_change_mixed_model"
ADJUSTED = "mean_change_adjusted"
IMPORTANT_CHANGES = {"important_fall_percent": -1, "important_rise_percent": 1}
"""Quantities of those who changed by at least what is said to matter, and in which direction."""
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
    _add_mixed_models(design, found, pairs)
    _add_important(design, found, pairs)
    for test in TESTS:
        family = [key for key in found if key[0] in design.primary_measures and test in found[key]]
        p_values = [found[key][test].p_value for key in family]
        adjusted = st.holm([p for p in p_values if p is not None])
        for key, value in zip(family, adjusted, strict=True):
            found[key][test] = replace(found[key][test], p_value_holm=value)
        if test == PRIMARY_TEST and len(family) > 1:
            _adjust_intervals(found, family, pairs)
    return found


def _add_mixed_models(
    design: Design, found: dict[tuple[str, str], dict[str, Quantity]], pairs: Sequence[Pair]
) -> None:
    """Add each change as a mixed model of all visits estimates it, where anybody missed one."""
    for measure in COMPARED:
        visits = [later for later in design.later_visits(measure) if (measure, later) in found]
        by_visit = {(p.subject, p.timepoint): p for p in pairs if p.measure == measure}
        rows = []
        for subject in design.subjects:
            ours = [by_visit[subject, later] for later in visits if (subject, later) in by_visit]
            if ours:
                first = ours[0].baseline.value
                later = [p.followup.value if p.paired or first is None else None for p in ours]
                rows.append([first, *later])
        table = np.array(rows, dtype=np.float64) if rows else np.empty((0, 0))
        used = [0, *(k for k in range(1, table.shape[1]) if (~np.isnan(table[:, k])).sum() >= 3)]
        if len(used) < 2 or not np.isnan(table[:, used]).any():
            continue
        model = mixed_model(table[:, used])
        if model is None:
            continue
        for column, estimate, test in zip(used[1:], model.changes, model.tests, strict=True):
            found[measure, visits[column - 1]][MIXED] = Quantity(
                MIXED, model.n, estimate.value, estimate.low, estimate.high, test.p_value,
                method=f"mixed model of {len(used)} visits, unstructured covariance, REML; "
                "observed information, Kenward-Roger correction, Satterthwaite df; assumes that "
                "who is missing can be foreseen from their other visits",
            )  # fmt: skip


def _add_important(
    design: Design, found: dict[tuple[str, str], dict[str, Quantity]], pairs: Sequence[Pair]
) -> None:
    """Add the shares of those who changed by at least what is said to matter."""
    for (measure, later), by_name in found.items():
        least = design.important_difference.get(measure, 0.0)
        changes = sample_of(
            [p for p in pairs if (p.measure, p.timepoint) == (measure, later)]
        ).change
        if not least or not changes.size:
            continue
        for name, sign in IMPORTANT_CHANGES.items():
            k = int((sign * changes >= least * (1 - 1e-9)).sum())
            share = st.share(k, changes.size)
            by_name[name] = Quantity(
                name, changes.size, share.value, share.low, share.high,
                method=f"{k} changed by at least {least:g}; Clopper-Pearson limits",
            )  # fmt: skip


def _adjust_intervals(
    found: dict[tuple[str, str], dict[str, Quantity]],
    family: Sequence[tuple[str, str]],
    pairs: Sequence[Pair],
) -> None:
    """Add each primary mean change's interval at the level that Holm's correction asks of it."""
    levels = st.holm_levels([found[key][PRIMARY_TEST].p_value or 0.0 for key in family])
    for key, level in zip(family, levels, strict=True):
        sample = sample_of([p for p in pairs if (p.measure, p.timepoint) == key])
        estimate = st.mean_sign_flip(sample.change, level)
        found[key][ADJUSTED] = Quantity(
            ADJUSTED,
            sample.n,
            estimate.value,
            estimate.low,
            estimate.high,
            method=f"mean; {100 * level:.4g} % interval of the sign-flip test, the level of its "
            f"step in Holm's correction over {len(family)} comparisons",
        )


def named(design: Design, measure: str, later: str) -> str:
    """The ``measure`` column: visits beyond the second are named ``measure@visit``."""
    return measure if later in design.timepoints[1:2] else f"{measure}@{later}"


def rows_of(design: Design, found: Found) -> list[dict[str, Any]]:
    """The rows of statistics.csv about changes."""
    together = "; all arms together" if design.group_names else ""
    return [
        replace(quantity, method=quantity.method + together).row(named(design, measure, later))
        for (measure, later), by_name in found.items()
        for quantity in by_name.values()
    ]
