"""Match a repeat of the same cases (by a second run, reader or engine) case by case."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ManifestError
from ..flags import doubtful
from ..measures import MEASURES, Measure
from ..tables import Row, read_table
from .agreement import LEAST_CASES, BlandAltman, Repeatability, bland_altman, repeatability
from .quantities import Quantity
from .statistics import Estimate


@dataclass(frozen=True)
class Agreement:
    """The agreement of one measure."""

    measure: str
    """Key of MEASURES."""
    points: tuple[tuple[str, float, float], ...]
    """Label, first and second value of each case measured in both."""
    limits: BlandAltman
    """Bland and Altman's."""
    error: Repeatability
    """Within-subject error."""
    only_first: tuple[str, ...]
    """Cases measured here and not in the repeat."""
    only_second: tuple[str, ...]
    """Cases measured in the repeat and not here."""
    doubtful: tuple[str, ...]
    """Cases left out because a flag makes them doubtful on either side."""
    same_input: int
    """Cases whose input files were the same, None if not recorded."""
    engines: tuple[str, str]
    """Engines or stains on each side, for the caption."""

    @property
    def identical(self) -> bool:
        """Whether every case gave the same value twice: a rerun, which shows no error at all."""
        return all(one == two for _, one, two in self.points)

    def quantities(self) -> list[Quantity]:
        """Rows of statistics.csv."""
        n = self.limits.n
        if self.identical:
            method = "every case gave the same value twice: no limits, no smallest change"
            return [Quantity("repeat_identical", n, float(n), method=method)]

        def row(name: str, estimate: Estimate, method: str) -> Quantity:
            return Quantity(name, n, estimate.value, estimate.low, estimate.high, method=method)

        rows = [
            row("repeat_bias", self.limits.bias, "second minus first; Student's t interval"),
            row("repeat_limit_low", self.limits.lower, "Bland-Altman; bias - 1.96 SD"),
            row("repeat_limit_high", self.limits.upper, "Bland-Altman; bias + 1.96 SD"),
            row("repeat_icc_2_1", self.error.icc, "two-way random, absolute agreement, single"),
            Quantity("repeat_within_sd", n, self.error.within_sd, method="root mean d^2 / 2"),
            row(
                "repeat_coefficient",
                self.error.repeatability_coefficient,
                "1.96 sqrt(2) within-subject SD; chi-square interval",
            ),
            Quantity(
                "smallest_detectable_change",
                n,
                self.error.smallest_detectable,
                method="the repeatability coefficient: one patient's change must exceed it",
            ),
        ]
        if self.error.cov_percent is not None:
            rows.append(
                Quantity("repeat_cov_percent", n, self.error.cov_percent, method="root mean square")
            )
        return rows


def agreement(first: Path, second: Path, *, accepted: Collection[str] = ()) -> list[Agreement]:
    """Compare the tables of two output directories, case by case.

    Cases are matched by their ``case_id``; where that is not in both, by subject and visit if each
    side has just one case there.

    Args:
        first: an output directory.
        second: the repeat's output directory.
        accepted: case_ids whose doubtful flags a reader has accepted; other doubtful cases are left
            out of the agreement.

    Returns:
        One entry a measure with at least 3 cases measured in both.

    Raises:
        ManifestError: nothing matches.
    """
    found, counts = [], []
    for key, table in (
        ("liver_volume_ml", "volumes"),
        ("spleen_volume_ml", "volumes"),
        ("caf_percent", "collagen"),
    ):
        measure = MEASURES[key]
        result, matched = _compare(
            measure, read_table(first, table), read_table(second, table), accepted
        )
        counts.append(f"{matched} with {measure.inside}")
        if result is not None:
            found.append(result)
    if not found:
        raise ManifestError(
            "bad_manifest",
            "The repeat cannot be compared: fewer than 3 cases were measured in both",
            found=", ".join(counts),
            do="give the output directory of a second run over the same study.csv",
        )
    return found


def _compare(
    measure: Measure, first: Sequence[Row], second: Sequence[Row], accepted: Collection[str]
) -> tuple[Agreement | None, int]:
    doubts = {
        str(row["case_id"])
        for row in (*first, *second)
        if str(row["case_id"]) not in accepted and doubtful(str(row["flags"] or "").split(";"))
    }
    one, two = (
        {name: row for name, row in _measured(rows, measure).items() if name not in doubts}
        for rows in (first, second)
    )
    pairs = [(one[name], two[name]) for name in one if name in two]
    rest_one = _single_visits([row for name, row in one.items() if name not in two])
    rest_two = _single_visits([row for name, row in two.items() if name not in one])
    pairs += [(rest_one[visit], rest_two[visit]) for visit in rest_one if visit in rest_two]
    if len(pairs) < LEAST_CASES:
        return None, len(pairs)
    points = tuple((_label(a), _value(a, measure), _value(b, measure)) for a, b in pairs)
    left, right = [p[1] for p in points], [p[2] for p in points]
    if len(set(left + right)) == 1:
        return None, len(pairs)
    matched_one = {str(a["case_id"]) for a, _ in pairs}
    matched_two = {str(b["case_id"]) for _, b in pairs}
    how = "engine" if measure.kind == "scan" else "stain"
    return Agreement(
        measure.key,
        points,
        bland_altman(left, right),
        repeatability(left, right),
        tuple(name for name in one if name not in matched_one),
        tuple(name for name in two if name not in matched_two),
        tuple(sorted(doubts)),
        sum(bool(a["input_sha256"]) and a["input_sha256"] == b["input_sha256"] for a, b in pairs),
        (
            " and ".join(sorted({str(a[how]) for a, _ in pairs if a[how]})),
            " and ".join(sorted({str(b[how]) for _, b in pairs if b[how]})),
        ),
    ), len(pairs)


def _measured(rows: Sequence[Row], measure: Measure) -> dict[str, Row]:
    return {str(row["case_id"]): row for row in rows if row[measure.column] is not None}


def _single_visits(rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    """Rows by subject and visit, where a visit has just one."""
    visits: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["subject"]:
            visits.setdefault((str(row["subject"]), str(row["timepoint"])), []).append(row)
    return {visit: found[0] for visit, found in visits.items() if len(found) == 1}


def _label(row: Mapping[str, Any]) -> str:
    parts = [str(row["subject"] or row["case_id"]), str(row["timepoint"] or "")]
    return " ".join(part for part in parts if part)


def _value(row: Mapping[str, Any], measure: Measure) -> float:
    return float(row[measure.column])
