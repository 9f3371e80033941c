"""Everything about arms: each arm's changes, their differences and their courses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scipy import stats

from ..measures import COMPARED
from . import groups, outcomes
from . import statistics as st
from .design import Design, Pair
from .outcome_table import OutcomeAnalysis
from .quantities import Quantity, quantities
from .statistics_table import Found, named

ADJUSTED = "difference_ancova_adjusted"
"""The quantity whose interval agrees with the corrected p-value."""


@dataclass(frozen=True)
class Contrast:
    """Two arms compared in one measure at one later visit, or in one outcome."""

    measure: str
    """Key of MEASURES, or the name of an outcome."""
    timepoint: str
    """The later visit, "" for an outcome."""
    arms: tuple[str, str]
    """Names; the difference is the second minus the first."""
    n: tuple[int, int]
    """Subjects compared in each."""
    quantities: Mapping[str, Quantity]
    """Differences and tests by name."""


@dataclass(frozen=True)
class Arms:
    """The analysis by arm."""

    names: tuple[str, ...]
    """In the order of their first subjects; the first is what the others are compared with."""
    sizes: tuple[int, ...]
    """Enrolled subjects of each."""
    found: Mapping[str, Found]
    """By arm, quantities by (measure, later visit) and name."""
    contrasts: tuple[Contrast, ...]
    """Changes of each other arm against the first."""
    courses: tuple[Contrast, ...]
    """Outcomes of each other arm against the first."""
    unassigned: tuple[str, ...]
    """Subjects of no arm, who are in no comparison of arms."""

    def rows(self, design: Design) -> list[dict[str, Any]]:
        """Rows of statistics.csv: ``measure[arm]`` and ``measure[arm - first arm]``."""
        rows = []
        for arm, found in self.found.items():
            for (measure, later), by_name in found.items():
                name = f"{named(design, measure, later)}[{arm}]"
                rows += [quantity.row(name) for quantity in by_name.values()]
        for item in (*self.contrasts, *self.courses):
            name = named(design, item.measure, item.timepoint) if item.timepoint else item.measure
            label = f"{name}[{item.arms[1]} - {item.arms[0]}]"
            rows += [quantity.row(label) for quantity in item.quantities.values()]
        return rows


def compare_arms(
    design: Design, pairs: Sequence[Pair], outcome: OutcomeAnalysis | None
) -> Arms | None:
    """Analyse by arm; None if there are not at least two arms."""
    names = design.group_names
    if not names:
        return None
    found: dict[str, dict[tuple[str, str], dict[str, Quantity]]] = {name: {} for name in names}
    contrasts = []
    for measure in COMPARED:
        for later in design.later_visits(measure):
            ours = [p for p in pairs if p.measure == measure and p.timepoint == later]
            by_arm = {
                name: [p for p in ours if design.groups.get(p.subject) == name] for name in names
            }
            for name, chosen in by_arm.items():
                if chosen:
                    rows = {row.name: row for row in quantities(chosen)}
                    found[name][measure, later] = rows
            contrasts += [
                _contrast(measure, later, (names[0], other), by_arm) for other in names[1:]
            ]
    kept = _corrected(design, [one for one in contrasts if one is not None])
    return Arms(
        names,
        tuple(sum(group == name for group in design.groups.values()) for name in names),
        found,
        tuple(kept),
        tuple(_courses(design, names, outcome)) if outcome else (),
        tuple(s for s in design.subjects if s not in design.groups),
    )


def _contrast(
    measure: str, later: str, arms: tuple[str, str], by_arm: Mapping[str, Sequence[Pair]]
) -> Contrast | None:
    chosen = [
        (pair, arm == arms[1]) for arm in arms for pair in by_arm[arm] if pair.change is not None
    ]
    second = [label for _, label in chosen]
    n = second.count(False), second.count(True)
    if min(n) < 1 or sum(n) < 3:
        return None
    first = [pair.baseline.value or 0.0 for pair, _ in chosen]
    last = [pair.followup.value or 0.0 for pair, _ in chosen]
    change = [pair.change or 0.0 for pair, _ in chosen]
    rows = {}
    total = sum(n)
    test = groups.permutation(change, second)
    if (welch := groups.difference(change, second)) is not None:
        rows["difference_of_changes"] = Quantity(
            "difference_of_changes", total, welch.value, welch.low, welch.high,
            method=f"mean change, second minus first arm ({n[1]} and {n[0]}); Welch's interval",
        )  # fmt: skip
    if (adjusted := groups.ancova(first, last, second)) is not None:
        estimate, t_test = adjusted
        rows["difference_ancova"] = Quantity(
            "difference_ancova", total, estimate.value, estimate.low, estimate.high,
            p_value=t_test.p_value,
            method="difference at equal baselines (analysis of covariance); t interval and test",
        )  # fmt: skip
        if (jump := _jump_to_reference(estimate, total, n[1], len(by_arm[arms[1]]))) is not None:
            rows["difference_jump_to_reference"] = jump
    rows["permutation"] = Quantity(
        "permutation", total, test.statistic, p_value=test.p_value,
        method="difference of mean changes; all ways to deal the arms" if test.exact
        else "difference of mean changes; 99,999 random ways to deal the arms",
    )  # fmt: skip
    return Contrast(measure, later, arms, n, rows)


def _jump_to_reference(adjusted: st.Estimate, total: int, n: int, enrolled: int) -> Quantity | None:
    """The difference if those of the second arm who are not compared changed as the first arm did.

    ``n`` of ``enrolled`` carry the difference, the others none; the interval keeps its width, so
    that nothing is gained by assuming (Carpenter, Roger & Kenward, J Biopharm Stat 2013,
    23:1352-1371; Cro et al., J R Stat Soc A 2019, 182:623-645). None if all are compared.
    """
    if n == enrolled or adjusted.low is None or adjusted.high is None:
        return None
    value = adjusted.value * n / enrolled
    half, df = (adjusted.high - adjusted.low) / 2, _ancova_df(total)
    error = _standard_error(adjusted.low, adjusted.high, df)
    return Quantity(
        "difference_jump_to_reference", total, value, value - half, value + half,
        p_value=2 * float(stats.t.sf(abs(value) / error, df)),
        method=f"sensitivity analysis: assumes that the {enrolled - n} of the second arm who are "
        "not compared changed as the first arm did (jump to reference); interval as wide as that "
        "of the analysis of covariance",
    )  # fmt: skip


def _ancova_df(n: int) -> int:
    """Residual degrees of freedom: mean, first value and arm are estimated."""
    return n - 3


def _standard_error(low: float, high: float, df: int) -> float:
    """What a t interval of the usual confidence was made from."""
    return (high - low) / 2 / float(stats.t.ppf((1 + st.CONFIDENCE) / 2, df))


def _corrected(design: Design, contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Holm's correction over primary measures, visits and arms, test by test."""
    kept = list(contrasts)
    for test in ("difference_ancova", "permutation"):
        family = [
            index
            for index, one in enumerate(kept)
            if one.measure in design.primary_measures and test in one.quantities
        ]
        p_values = [kept[index].quantities[test].p_value or 0.0 for index in family]
        for index, value in zip(family, st.holm(p_values), strict=True):
            old = kept[index]
            changed = replace(old.quantities[test], p_value_holm=value)
            kept[index] = replace(old, quantities={**old.quantities, test: changed})
        if test == "difference_ancova" and len(family) > 1:
            for index, level in zip(family, st.holm_levels(p_values), strict=True):
                _widen(kept, index, level)
    return kept


def _widen(kept: list[Contrast], index: int, level: float) -> None:
    """Add the interval of a difference at the confidence that Holm's correction asks of it."""
    old = kept[index]
    found = old.quantities["difference_ancova"]
    if found.value is None or found.low is None or found.high is None:
        return
    df = _ancova_df(found.n)
    error = _standard_error(found.low, found.high, df)
    half = error * float(stats.t.ppf((1 + level) / 2, df))
    row = Quantity(
        ADJUSTED, found.n, found.value, found.value - half, found.value + half,
        method=f"analysis of covariance, {100 * level:.3g} % interval: the level of its step in "
        "Holm's correction",
    )  # fmt: skip
    kept[index] = replace(old, quantities={**old.quantities, ADJUSTED: row})


def _courses(design: Design, names: Sequence[str], outcome: OutcomeAnalysis) -> list[Contrast]:
    found = []
    for other in names[1:]:
        arms = names[0], other
        known = [c for c in outcome.courses if design.groups.get(c.subject) in arms]
        second = [design.groups[c.subject] == other for c in known]
        n = second.count(False), second.count(True)
        if min(n) < 1:
            continue
        points = outcomes.endpoints(known)
        for name, months, ended in (
            ("overall_survival", points.last_months, points.died),
            ("transplant_free_survival", points.free_months, points.free_event),
        ):
            if (test := groups.log_rank(months, ended, second)) is not None:
                row = Quantity(
                    "log_rank", sum(n), test.statistic, p_value=test.p_value,
                    method="chi-square, 1 df",
                )  # fmt: skip
                found.append(Contrast(name, "", arms, n, {"log_rank": row}))
        for event, others in outcomes.COMPETING.items():
            timed = [course.before(event, others) for course in known]
            test = groups.gray([m for m, _ in timed], [code for _, code in timed], second)
            if test is not None:
                how = "all" if test.exact else "9,999 random"
                row = Quantity(
                    "gray", sum(n), test.statistic, p_value=test.p_value,
                    method=f"Gray's score; {how} ways to deal the arms",
                )  # fmt: skip
                found.append(Contrast(f"incidence_{event}", "", arms, n, {"gray": row}))
    return found
