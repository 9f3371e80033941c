"""The rows of statistics.csv: every estimate and test of every measure, from its pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..measures import MEASURES
from . import power as statistics_power
from . import statistics as st
from .association import spearman
from .design import Design, Pair

TESTS = ("paired_t", "wilcoxon", "sign_flip")
PRIMARY_TEST = (
    "sign_flip"  # exact at any n; assumes only that each change is as likely with the other sign
)


@dataclass(frozen=True)
class Quantity:
    """A row of statistics.csv.

    Attributes:
        name: the ``quantity``.
        n: pairs that went in.
        value: estimate or test statistic, None where there is none.
        low: lower 95 % limit.
        high: upper 95 % limit.
        p_value: two-sided.
        p_value_holm: after Holm's correction, primary measures only.
        method: how it was computed.
    """

    name: str
    n: int
    value: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_value_holm: float | None = None
    method: str = ""

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


def _estimate(name: str, n: int, estimate: st.Estimate, method: str) -> Quantity:
    return Quantity(name, n, estimate.value, estimate.low, estimate.high, method=method)


def _test(name: str, n: int, test: st.Test, method: str) -> Quantity:
    return Quantity(name, n, test.statistic, p_value=test.p_value, method=method)


def quantities(pairs: Sequence[Pair]) -> list[Quantity]:
    """All quantities of one measure and one later visit.

    Args:
        pairs: the pairs; those that are not paired count for nothing here.

    Returns:
        The rows without Holm's correction. Below 2 pairs only what can be said is there.
    """
    good = [pair for pair in pairs if pair.change is not None]
    n = len(good)
    rows = [Quantity("n_enrolled", len(pairs), float(len(pairs)), method="subjects in the study")]
    rows.append(Quantity("n_paired", n, float(n), method="subjects with both visits comparable"))
    if n == 0:
        return rows
    first = np.array([pair.baseline.value for pair in good], dtype=np.float64)
    later = np.array([pair.followup.value for pair in good], dtype=np.float64)
    change = st.as_changes(np.array([pair.change for pair in good], dtype=np.float64))
    percent = np.array([p.percent_change for p in good if p.percent_change is not None])
    bca = (
        f"mean; BCa bootstrap, {st.RESAMPLES} resamples, seed 0, tails widened for n (Hesterberg); "
        "approximate: 91 to 97 % coverage at n = 6 to 19 in simulations"
    )
    for when, values in (("baseline", first), ("followup", later)):
        rows.append(_estimate(f"mean_{when}", n, st.mean_t(values), "mean; Student's t interval"))
        if n > 1:
            rows.append(Quantity(f"sd_{when}", n, float(values.std(ddof=1)), method="SD, n - 1"))
        quartiles = np.quantile(values, [0.25, 0.5, 0.75])
        rows.append(
            Quantity(
                f"median_{when}",
                n,
                float(quartiles[1]),
                float(quartiles[0]),
                float(quartiles[2]),
                method="median; low and high are the quartiles",
            )
        )
    rows.append(_estimate("mean_change", n, st.mean_bca(change), bca))
    rows.append(
        _estimate(
            "mean_change_t", n, st.mean_t(change), "mean; Student's t interval, for normal changes"
        )
    )
    rows.append(
        _estimate(
            "mean_change_sign_flip",
            n,
            st.mean_sign_flip(change),
            "mean; interval of the sign-flip test (subset means), for symmetric changes",
        )
    )
    rows.append(
        _estimate(
            "median_change", n, st.median_exact(change), "median; order statistics of the sign test"
        )
    )
    if percent.size:
        rows.append(_estimate("mean_percent_change", percent.size, st.mean_bca(percent), bca))
        rows.append(
            _estimate(
                "mean_percent_change_sign_flip",
                percent.size,
                st.mean_sign_flip(st.as_changes(percent)),
                "mean; interval of the sign-flip test (subset means), for symmetric changes",
            )
        )
        rows.append(
            _estimate(
                "median_percent_change",
                percent.size,
                st.median_exact(percent),
                "median; order statistics of the sign test",
            )
        )
    rows.append(
        _estimate(
            "hodges_lehmann",
            n,
            st.hodges_lehmann(change),
            "median of the pairwise means; signed-rank interval, for symmetric changes",
        )
    )
    varies = n > 1 and np.ptp(change) > 0
    sd = float(change.std(ddof=1)) if n > 1 else 0.0
    if n > 1:
        rows.append(Quantity("sd_change", n, sd, method="SD of the changes, n - 1"))
    if varies:
        rows.append(
            _estimate(
                "cohen_dz",
                n,
                statistics_power.cohen_dz(change),
                "mean change over its SD; noncentral t interval",
            )
        )
    rows.append(
        Quantity("rank_biserial", n, st.rank_biserial(change), method="matched pairs, zeros out")
    )
    if varies:
        rows.append(_test("paired_t", n, st.paired_t(change), f"Student's paired t, df {n - 1}"))
    rows.append(
        _test(
            "wilcoxon",
            n,
            st.wilcoxon(change),
            "signed-rank sum; exact permutation distribution of the midranks, zeros out",
        )
    )
    flip = st.sign_flip(change)
    rows.append(
        _test(
            "sign_flip",
            n,
            flip,
            "mean change; all sign patterns" if flip.exact else "mean change; 99,999 patterns",
        )
    )
    if (shapiro := st.shapiro_wilk(change)) is not None:
        rows.append(_test("shapiro_wilk", n, shapiro, "normality of the changes"))
    if varies and (detectable := statistics_power.detectable_change(n, sd)) is not None:
        rows.append(
            Quantity(
                "detectable_change",
                n,
                detectable,
                method="mean change found with 80 % power by a two-sided paired t test at 0.05",
            )
        )
    rows.append(
        Quantity("smallest_p_value", n, st.smallest_p(n), method="of an exact test with n pairs")
    )
    if any(pair.call for pair in good):
        for name, call in (
            ("n_increased", "increased"),
            ("n_decreased", "decreased"),
            ("n_within_error", "within measurement error"),
        ):
            number = sum(pair.call == call for pair in good)
            rows.append(Quantity(name, n, float(number), method=f"pairs called {call}"))
        usual = sum("within_biological_variation" in pair.flags for pair in good)
        rows.append(
            Quantity(
                "n_within_variation",
                n,
                float(usual),
                method="of those, beyond their error but within biological variation",
            )
        )
    return rows


def statistics_of(
    design: Design, pairs: Sequence[Pair]
) -> dict[tuple[str, str], dict[str, Quantity]]:
    """All quantities by (measure, later visit) and name, Holm's correction in place.

    Holm's correction goes over the primary measures and later visits, test by test: each test's
    p-values form one family.
    """
    found: dict[tuple[str, str], dict[str, Quantity]] = {}
    for measure in MEASURES:
        for later in design.later_visits(measure):
            chosen = [p for p in pairs if p.measure == measure and p.timepoint == later]
            if chosen:
                found[measure, later] = {row.name: row for row in quantities(chosen)}
    for test in TESTS:
        family = [key for key in found if key[0] in design.primary_measures and test in found[key]]
        p_values = [found[key][test].p_value for key in family]
        adjusted = st.holm([p for p in p_values if p is not None])
        for key, value in zip(family, adjusted, strict=True):
            old = found[key][test]
            found[key][test] = Quantity(
                old.name, old.n, old.value, old.low, old.high, old.p_value, value, old.method
            )
    return found


def rows_of(
    design: Design, found: Mapping[tuple[str, str], Mapping[str, Quantity]]
) -> list[dict[str, Any]]:
    """The rows of statistics.csv; later visits beyond the second are named ``measure@visit``."""
    rows: list[dict[str, Any]] = []
    second = design.timepoints[1:2]
    for (measure, later), by_name in found.items():
        name = measure if later in second else f"{measure}@{later}"
        rows.extend(quantity.row(name) for quantity in by_name.values())
    return rows


@dataclass(frozen=True)
class Association:
    """How two changes go together.

    Attributes:
        first: key of the measure on the horizontal axis.
        second: key of the other.
        timepoint: the later visit.
        points: subject and both changes.
        rho: Spearman's correlation, None where it cannot be computed.
        test: its permutation test.
    """

    first: str
    second: str
    timepoint: str
    points: tuple[tuple[str, float, float], ...]
    rho: st.Estimate | None
    test: st.Test | None

    def quantity(self) -> Quantity:
        """The row of statistics.csv, under the first measure."""
        rho, test = self.rho, self.test
        exact = "exact" if test is None or test.exact else "99,999 orders"
        return Quantity(
            f"spearman_with_{self.second}",
            len(self.points),
            rho.value if rho else None,
            rho.low if rho else None,
            rho.high if rho else None,
            test.p_value if test else None,
            method="rank correlation of the changes; BCa bootstrap, approximate; "
            f"permutation test, {exact}",
        )


ASSOCIATED = (
    ("liver_volume_ml", "caf_percent"),
    ("liver_volume_ml", "child_pugh_score"),
    ("liver_volume_ml", "meld"),
    ("liver_volume_ml", "albumin_g_dl"),
    ("caf_percent", "child_pugh_score"),
    ("caf_percent", "meld"),
    ("caf_percent", "albumin_g_dl"),
)


def associations(design: Design, pairs: Sequence[Pair]) -> list[Association]:
    """Rank correlations between the changes of :data:`ASSOCIATED`, at each later visit.

    Only subjects with both changes count. Those with fewer than 4 are left out.
    """
    changes: dict[tuple[str, str], dict[str, float]] = {}
    for pair in pairs:
        if pair.change is not None:
            changes.setdefault((pair.measure, pair.timepoint), {})[pair.subject] = pair.change
    found = []
    for first, second in ASSOCIATED:
        for later in design.timepoints[1:]:
            one, two = changes.get((first, later), {}), changes.get((second, later), {})
            points = tuple((s, one[s], two[s]) for s in design.subjects if s in one and s in two)
            if len(points) < 4:
                continue
            result = spearman([p[1] for p in points], [p[2] for p in points])
            rho, test = result if result else (None, None)
            found.append(Association(first, second, later, points, rho, test))
    return found
