"""Table 1: the subjects at the first visit, all of them and in groups."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..measures import MEASURES
from ..sheets.words import is_female
from ..vocabulary import StandardVolume
from .design import Design, Pair
from .standard_volume import standard_liver_volume_ml

#: The rows about numbers of clinical.csv, in order; Child-Pugh class follows its score.
_CLINICAL = tuple(key for key, measure in MEASURES.items() if measure.kind == "clinical")
_IMAGES = tuple(key for key, measure in MEASURES.items() if measure.kind != "clinical")


@dataclass(frozen=True)
class Summary:
    """A number over a group, as far as it is known."""

    values: tuple[float, ...]
    """In the order of the subjects; () if nobody's is known."""
    digits: int
    """Decimals to print."""

    @property
    def mean(self) -> float:
        """Arithmetic mean."""
        return float(np.mean(self.values))

    @property
    def sd(self) -> float:
        """Standard deviation, n - 1."""
        return float(np.std(self.values, ddof=1))

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Lower quartile, median, upper quartile."""
        low, middle, high = np.quantile(self.values, [0.25, 0.5, 0.75])
        return float(low), float(middle), float(high)


@dataclass(frozen=True)
class Counts:
    """How many of a group are of each kind."""

    counts: Mapping[str, int]
    """By kind, those with 0 included."""
    known: int
    """Subjects of whom it is known."""


@dataclass(frozen=True)
class TableOne:
    """Baseline characteristics by group."""

    groups: tuple[tuple[str, int], ...]
    """Name and number of subjects of each column."""
    rows: tuple[tuple[str, tuple[Summary | Counts, ...]], ...]
    """Label and a cell a group; a row of which nothing is known in any group is left out."""


def table_one(
    design: Design,
    pairs: Sequence[Pair],
    clinical: Sequence[Mapping[str, Any]],
    standard_volume: StandardVolume,
) -> TableOne:
    """Baseline characteristics of all enrolled, of the paired and of the others.

    Args:
        design: subjects and timepoints.
        pairs: of all measures; baseline values of scans and slides come from them.
        clinical: rows with scores.
        standard_volume: formula of the standard liver volume, one of StandardVolume.
    """
    first = design.timepoints[0] if design.timepoints else ""
    later = design.timepoints[1] if len(design.timepoints) > 1 else ""
    rows_by_subject = {str(r["subject"]): r for r in clinical if r["timepoint"] == first}
    groups = _groups(design, pairs)
    rows: list[tuple[str, tuple[Summary | Counts, ...]]] = []

    def add(label: str, cells: Iterable[Summary | Counts]) -> None:
        row = tuple(cells)
        if any(cell.values if isinstance(cell, Summary) else cell.known for cell in row):
            rows.append((label, row))

    def column(values: Mapping[str, float], digits: int) -> list[Summary]:
        return [
            Summary(tuple(values[s] for s in design.subjects if s in who and s in values), digits)
            for _, who in groups
        ]

    def clinical_of(who: Collection[str]) -> list[Mapping[str, Any]]:
        return [rows_by_subject[s] for s in design.subjects if s in who and s in rows_by_subject]

    add("Female", (_female(clinical_of(who)) for _, who in groups))
    for key in _CLINICAL:
        measure = MEASURES[key]
        known = {s: float(r[key]) for s, r in rows_by_subject.items() if r[key] is not None}
        add(measure.label, column(known, measure.mean_digits))
        if key == "child_pugh_score":
            add("Child-Pugh class", (_classes(clinical_of(who)) for _, who in groups))
    for key in _IMAGES:
        measure = MEASURES[key]
        values = {
            p.subject: p.baseline.value
            for p in pairs
            if p.measure == key and p.timepoint == later and p.baseline.value is not None
        }
        add(measure.label, column(values, measure.digits))
        if key == "liver_volume_ml":
            percent = _of_standard(values, rows_by_subject, standard_volume)
            label = f"Liver volume, % of standard ({standard_volume.title()}; secondary)"
            add(label, column(percent, 0))
    return TableOne(tuple((name, len(who)) for name, who in groups), tuple(rows))


def _groups(design: Design, pairs: Sequence[Pair]) -> list[tuple[str, Collection[str]]]:
    """All; with arms each arm, else those paired in all primary measures and the rest."""
    if design.group_names:
        by_arm = {name: [] for name in design.group_names}  # type: dict[str, list[str]]
        for subject in design.subjects:
            if subject in design.groups:
                by_arm[design.groups[subject]].append(subject)
        return [("Enrolled", design.subjects), *by_arm.items()]
    primary = [key for key in design.primary_measures if any(p.measure == key for p in pairs)]
    visits = design.timepoints[1:]
    paired = {(p.subject, p.measure, p.timepoint) for p in pairs if p.paired}
    complete = [
        subject
        for subject in design.subjects
        if primary and all((subject, key, visit) in paired for key in primary for visit in visits)
    ]
    groups: list[tuple[str, Collection[str]]] = [("Enrolled", design.subjects)]
    if complete and len(complete) < len(design.subjects):
        rest = [s for s in design.subjects if s not in complete]
        where = " at all visits" if len(visits) > 1 else ""
        name = f"Paired in all primary measures{where}"
        groups += [(name, complete), ("Not paired in all", rest)]
    return groups


def _female(rows: Sequence[Mapping[str, Any]]) -> Counts:
    known = [s for row in rows if (s := is_female(str(row["sex"] or ""))) is not None]
    return Counts({"female": sum(known)}, len(known))


def _classes(rows: Sequence[Mapping[str, Any]]) -> Counts:
    known = [str(row["child_pugh_class"]) for row in rows if row["child_pugh_class"]]
    return Counts({name: known.count(name) for name in "ABC"}, len(known))


def _of_standard(
    volumes: Mapping[str, float], rows: Mapping[str, Mapping[str, Any]], formula: StandardVolume
) -> dict[str, float]:
    """Measured over expected volume in per cent, where body size is known."""
    percent = {}
    for subject, volume in volumes.items():
        row = rows.get(subject, {})
        height, weight = row.get("height_cm"), row.get("weight_kg")
        if height is None or weight is None:
            continue
        expected = standard_liver_volume_ml(formula, height_cm=height, weight_kg=weight)
        percent[subject] = 100 * volume / expected
    return percent
