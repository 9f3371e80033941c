"""The quantities of statistics.csv about the change in one measure: one table, one line each.

A line says how the quantity is called, printed and computed. Where a function gives None, the
quantity does not exist for that sample and no row is written.
"""

# Long because it is one table: every quantity of statistics.csv, a few lines each.

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..vocabulary import Call
from . import power, ranks
from . import statistics as st
from .design import Pair
from .sample import (
    Result,
    Sample,
    called,
    change_of_mean,
    detectable,
    elsewhere,
    geometric_mean_ratio,
    if_varies,
    moved,
    of_percent,
    quartiles,
    sample_of,
    sd,
    share_called,
    tipping_point,
)


@dataclass(frozen=True)
class Quantity:
    """A row of statistics.csv."""

    name: str
    """The ``quantity``."""
    n: int
    """Pairs that went in."""
    value: float | None
    """Estimate or test statistic, None if there is none."""
    low: float | None = None
    """Lower 95 % limit."""
    high: float | None = None
    """Upper 95 % limit."""
    p_value: float | None = None
    """Two-sided."""
    p_value_holm: float | None = None
    """After Holm's correction, primary measures only."""
    method: str = ""
    """How it was computed."""

    def row(self, measure: str) -> dict[str, Any]:
        """The row of statistics.csv."""
        return {
            "measure": measure,
            "quantity": self.name,
            "n": self.n,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "p_value": self.p_value,
            "p_value_holm": self.p_value_holm,
            "method": self.method,
        }


class Unit(StrEnum):
    """What a quantity's numbers are measured in."""

    CHANGE = "change"
    """The unit of the measure, as a change: a per cent value changes by percentage points."""
    PERCENT = "percent"
    """Per cent of the baseline."""
    NONE = "none"
    """A pure number: an effect size, a count, a probability."""
    STATISTIC = "statistic"
    """A test statistic; what counts is its p-value."""


@dataclass(frozen=True)
class Definition:
    """One quantity: how it is computed and how it is printed."""

    name: str
    """As in the ``quantity`` column."""
    method: str | Callable[[Sample, Result], str]
    """How it was computed, as in the ``method`` column."""
    compute: Callable[[Sample], Result]
    """The number, with its limits or its p-value; None if the sample has none."""
    label: str = ""
    """The row of the report's table; "" for what is not printed as a row there."""
    unit: Unit = Unit.CHANGE
    """What the number is measured in."""
    digits: int | None = None
    """Decimals printed; None for those of a mean of the measure."""
    symbol: str = ""
    """The letter of a test statistic."""
    of_percent: bool = False
    """Whether ``n`` is the number of pairs that have a per cent change."""


_BCA = (
    f"mean; BCa bootstrap, {st.RESAMPLES} resamples, seed 0, tails widened for n (Hesterberg); "
    "approximate: 91 to 97 % coverage at n = 6 to 19 in simulations"
)
_T = "mean; Student's t interval"
_MEDIAN = "median; order statistics of the sign test"
_QUARTILES = "median; low and high are the quartiles"


def _flip_interval(of_percent: bool) -> Callable[[Sample, Result], str]:
    """How the interval of the sign-flip test was computed."""

    def method(sample: Sample, _: Result) -> str:
        n = sample.percent.size if of_percent else sample.n
        means = "all subset means" if n <= st.EXACT_SUBSETS else "99,999 random subset means"
        return f"mean; interval of the sign-flip test ({means}), for symmetric changes"

    return method


def _flip_method(_: Sample, result: Result) -> str:
    exact = isinstance(result, st.Test) and result.exact
    return "mean change; all sign patterns" if exact else "mean change; 99,999 patterns"


#: In the order of statistics.csv.
DEFINITIONS: tuple[Definition, ...] = (
    Definition("mean_baseline", _T, lambda s: st.mean_t(s.first)),
    Definition("sd_baseline", "SD, n - 1", lambda s: sd(s.first)),
    Definition("median_baseline", _QUARTILES, lambda s: quartiles(s.first)),
    Definition("mean_followup", _T, lambda s: st.mean_t(s.later)),
    Definition("sd_followup", "SD, n - 1", lambda s: sd(s.later)),
    Definition("median_followup", _QUARTILES, lambda s: quartiles(s.later)),
    Definition(
        "mean_change",
        _BCA,
        lambda s: st.mean_bca(s.change),
        "Mean change, bootstrap interval (approximate)",
    ),
    Definition(
        "mean_change_t",
        _T + ", for normal changes",
        lambda s: st.mean_t(s.change),
        "Mean change, t interval",
    ),
    Definition(
        "mean_change_sign_flip",
        _flip_interval(of_percent=False),
        lambda s: st.mean_sign_flip(s.change),
        "Mean change, sign-flip interval",
    ),
    Definition("median_change", _MEDIAN, lambda s: ranks.median_exact(s.change), "Median change"),
    Definition(
        "mean_percent_change",
        _BCA,
        of_percent(st.mean_bca),
        "Mean change, % of baseline, bootstrap interval (approximate)",
        unit=Unit.PERCENT,
        digits=1,
        of_percent=True,
    ),
    Definition(
        "mean_percent_change_sign_flip",
        _flip_interval(of_percent=True),
        of_percent(lambda percent: st.mean_sign_flip(st.as_changes(percent))),
        "Mean change, % of baseline, sign-flip interval",
        unit=Unit.PERCENT,
        digits=1,
        of_percent=True,
    ),
    Definition(
        "median_percent_change",
        _MEDIAN,
        of_percent(ranks.median_exact),
        unit=Unit.PERCENT,
        digits=1,
        of_percent=True,
    ),
    Definition(
        "change_of_mean_percent",
        "mean change over the mean baseline",
        change_of_mean,
        unit=Unit.PERCENT,
        digits=1,
    ),
    Definition(
        "geometric_mean_ratio",
        "later over first, geometric mean; Student's t interval of the logarithms",
        geometric_mean_ratio,
        "Geometric mean ratio, later over first",
        unit=Unit.NONE,
        digits=3,
    ),
    Definition(
        "mean_change_adjusted",
        "see statistics_table: it depends on the other comparisons",
        elsewhere,
        "Mean change, interval adjusted for all primary comparisons",
    ),
    Definition(
        "mean_change_mixed_model",
        "see statistics_table: it needs all visits",
        elsewhere,
        "Mean change, mixed model of all visits and subjects",
    ),
    Definition(
        "tipping_point",
        "mean change of those not compared at which the interval of all would reach no change",
        tipping_point,
        "Mean change of those not compared that would undo it",
    ),
    Definition(
        "hodges_lehmann",
        "median of the pairwise means; signed-rank interval, for symmetric changes",
        lambda s: ranks.hodges_lehmann(s.change),
        "Hodges-Lehmann estimate",
    ),
    Definition("sd_change", "SD of the changes, n - 1", lambda s: sd(s.change)),
    Definition(
        "cohen_dz",
        "mean change over its SD; noncentral t interval",
        if_varies(power.cohen_dz),
        "Effect size, Cohen's dz",
        unit=Unit.NONE,
        digits=2,
    ),
    Definition(
        "rank_biserial",
        "matched pairs, zeros out",
        lambda s: ranks.rank_biserial(s.change),
        "Effect size, matched rank-biserial",
        unit=Unit.NONE,
        digits=2,
    ),
    Definition(
        "paired_t",
        lambda s, _: f"Student's paired t, df {s.n - 1}",
        if_varies(st.paired_t),
        "Paired t test",
        unit=Unit.STATISTIC,
        symbol="t",
    ),
    Definition(
        "wilcoxon",
        "signed-rank sum; exact permutation distribution of the midranks, zeros out",
        lambda s: ranks.wilcoxon(s.change),
        "Wilcoxon signed-rank test",
        unit=Unit.STATISTIC,
        symbol="W+",
    ),
    Definition(
        "sign_flip",
        _flip_method,
        lambda s: st.sign_flip(s.change),
        "Sign-flip test of the mean",
        unit=Unit.STATISTIC,
    ),
    Definition(
        "shapiro_wilk",
        "normality of the changes",
        lambda s: st.shapiro_wilk(s.change),
        "Shapiro-Wilk look at normality",
        unit=Unit.STATISTIC,
        symbol="W",
    ),
    Definition(
        "detectable_change",
        "mean change found with 80 % power by a two-sided paired t test at 0.05",
        detectable,
        "Mean change detectable with this n (80 % power)",
    ),
    Definition(
        "smallest_p_value",
        "of an exact test with n pairs",
        lambda s: st.smallest_p(s.n),
        unit=Unit.NONE,
    ),
    Definition("n_increased", "pairs called increased", called(Call.INCREASED), unit=Unit.NONE),
    Definition("n_decreased", "pairs called decreased", called(Call.DECREASED), unit=Unit.NONE),
    Definition(
        "n_within_variation",
        "pairs called within biological variation",
        called(Call.WITHIN_VARIATION),
        unit=Unit.NONE,
    ),
    Definition(
        "n_within_error",
        "pairs called within measurement error",
        called(Call.WITHIN_ERROR),
        unit=Unit.NONE,
    ),
    Definition("n_lower", "pairs with a lower score", moved(-1), unit=Unit.NONE),
    Definition("n_unchanged", "pairs with the same score", moved(0), unit=Unit.NONE),
    Definition("n_higher", "pairs with a higher score", moved(1), unit=Unit.NONE),
    Definition("n_no_limits", "pairs without limits", called(Call.NO_LIMITS), unit=Unit.NONE),
    Definition(
        "increased_percent",
        "share called increased, of the called pairs; Clopper-Pearson limits",
        share_called(Call.INCREASED),
        "Share that increased, %",
        unit=Unit.NONE,
        digits=1,
    ),
    Definition(
        "decreased_percent",
        "share called decreased, of the called pairs; Clopper-Pearson limits",
        share_called(Call.DECREASED),
        "Share that decreased, %",
        unit=Unit.NONE,
        digits=1,
    ),
    Definition(
        "important_fall_percent",
        "see statistics_table: what matters is set in study.yaml",
        elsewhere,
        "Share that fell by at least the important difference, %",
        unit=Unit.NONE,
        digits=1,
    ),
    Definition(
        "important_rise_percent",
        "see statistics_table: what matters is set in study.yaml",
        elsewhere,
        "Share that rose by at least the important difference, %",
        unit=Unit.NONE,
        digits=1,
    ),
)


def quantities(pairs: Sequence[Pair]) -> list[Quantity]:
    """All quantities of one measure and one later visit.

    Args:
        pairs: the pairs; those that are not paired count for nothing here.

    Returns:
        The rows without Holm's correction. Below 2 pairs only what can be said is there.
    """
    sample = sample_of(pairs)
    rows = [
        Quantity("n_enrolled", sample.enrolled, float(sample.enrolled),
                 method="subjects in the study"),
        Quantity("n_paired", sample.n, float(sample.n),
                 method="subjects with both visits comparable"),
    ]  # fmt: skip
    if sample.n:
        rows += [row for one in DEFINITIONS if (row := _quantity(one, sample)) is not None]
    return rows


def _quantity(definition: Definition, sample: Sample) -> Quantity | None:
    result = definition.compute(sample)
    if result is None:
        return None
    n = int(sample.percent.size) if definition.of_percent else sample.n
    method = definition.method
    text = method if isinstance(method, str) else method(sample, result)
    if isinstance(result, st.Test):
        return Quantity(definition.name, n, result.statistic, p_value=result.p_value, method=text)
    if isinstance(result, st.Estimate):
        return Quantity(definition.name, n, result.value, result.low, result.high, method=text)
    return Quantity(definition.name, n, result, method=text)
