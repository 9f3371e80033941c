"""Table 1: who the patients were at the first visit, compared subjects beside all others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..analysis.clinical import is_female, standard_liver_volume_ml
from ..analysis.design import Design, Pair
from ..measures import MEASURES
from . import words

_NUMBERS = (
    ("age_years", "Age, years", 0),
    ("child_pugh_score", "Child-Pugh score", 1),
    ("meld", "MELD", 1),
    ("meld_na", "MELD-Na", 1),
    ("meld_3", "MELD 3.0", 1),
    ("albi", "ALBI score", 2),
    ("albumin_g_dl", "Albumin, g/dL", 1),
    ("bilirubin_mg_dl", "Bilirubin, mg/dL", 1),
    ("inr", "INR", 2),
    ("creatinine_mg_dl", "Creatinine, mg/dL", 2),
    ("sodium_mmol_l", "Sodium, mmol/L", 0),
    ("weight_kg", "Weight, kg", 1),
)


@dataclass(frozen=True)
class TableOne:
    """A table ready to print.

    Attributes:
        columns: headings with the number of subjects.
        rows: label and a cell a column.
    """

    columns: list[str]
    rows: list[tuple[str, list[str]]]


def _summary(values: Sequence[float], digits: int) -> str:
    """Mean (SD), median [quartiles] and how many are known."""
    if not values:
        return words.NOT_KNOWN
    array = np.array(values)
    if array.size == 1:
        return f"{words.number(float(array[0]), digits)} (n = 1)"
    low, middle, high = (float(v) for v in np.quantile(array, [0.25, 0.5, 0.75]))
    return (
        f"{words.number(float(array.mean()), digits)} "
        f"({words.number(float(array.std(ddof=1)), digits)}); "
        f"{words.number(middle, digits)} [{words.number(low, digits)}, "
        f"{words.number(high, digits)}]; n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{array.size}"
    )


def _share(known: Sequence[bool]) -> str:
    if not known:
        return words.NOT_KNOWN
    return f"{sum(known)} of {len(known)} ({100 * sum(known) / len(known):.0f} %)"


def table_one(
    design: Design,
    pairs: Sequence[Pair],
    clinical: Sequence[Mapping[str, Any]],
    standard_volume: str,
) -> TableOne:
    """Baseline characteristics of all enrolled, of the paired and of the others.

    Args:
        design: subjects and timepoints.
        pairs: of all measures; baseline values of scans and slides come from them.
        clinical: rows with scores.
        standard_volume: formula of the standard liver volume, key of STANDARD_VOLUMES.
    """
    first = design.timepoints[0] if design.timepoints else ""
    rows_by_subject = {str(r["subject"]): r for r in clinical if r["timepoint"] == first}
    primary = [key for key in design.primary_measures if any(p.measure == key for p in pairs)]
    later = design.timepoints[1] if len(design.timepoints) > 1 else ""
    complete = {
        subject
        for subject in design.subjects
        if primary
        and all(
            any(
                p.paired and p.subject == subject and p.measure == key and p.timepoint == later
                for p in pairs
            )
            for key in primary
        )
    }
    groups: list[tuple[str, Collection[str]]] = [("Enrolled", design.subjects)]
    if complete and len(complete) < len(design.subjects):
        rest = [s for s in design.subjects if s not in complete]
        groups += [("Paired in all primary measures", complete), ("Not paired in all", rest)]
    rows: list[tuple[str, list[str]]] = []

    def add(label: str, cells: list[str]) -> None:
        if any(cell != words.NOT_KNOWN for cell in cells):
            rows.append((label, cells))

    def clinical_of(who: Collection[str]) -> list[Mapping[str, Any]]:
        return [rows_by_subject[s] for s in design.subjects if s in who and s in rows_by_subject]

    sexes = [[is_female(str(r["sex"] or "")) for r in clinical_of(who)] for _, who in groups]
    add("Female", [_share([s for s in known if s is not None]) for known in sexes])
    for key, label, digits in _NUMBERS:
        add(
            label,
            [
                _summary([float(r[key]) for r in clinical_of(who) if r[key] is not None], digits)
                for _, who in groups
            ],
        )
        if key == "child_pugh_score":
            add("Child-Pugh class", [_classes(clinical_of(who)) for _, who in groups])
    for key in ("liver_volume_ml", "caf_percent", "spleen_volume_ml", "liver_spleen_ratio"):
        measure = MEASURES[key]
        values = {
            p.subject: p.baseline.value
            for p in pairs
            if p.measure == key and p.timepoint == later and p.baseline.value is not None
        }
        unit = f", {measure.unit}" if measure.unit else ""
        add(
            f"{measure.title}{unit}",
            [
                _summary([values[s] for s in design.subjects if s in who and s in values],
                         measure.digits)
                for _, who in groups
            ],
        )  # fmt: skip
        if key == "liver_volume_ml":
            percent = _of_standard(values, rows_by_subject, standard_volume)
            add(
                f"Liver volume, % of standard ({standard_volume.title()}; secondary)",
                [
                    _summary([percent[s] for s in design.subjects if s in who and s in percent], 0)
                    for _, who in groups
                ],
            )
    return TableOne([f"{name} (n = {len(who)})" for name, who in groups], rows)


def _classes(rows: Sequence[Mapping[str, Any]]) -> str:
    known = [str(row["child_pugh_class"]) for row in rows if row["child_pugh_class"]]
    if not known:
        return words.NOT_KNOWN
    return ", ".join(f"{name} {known.count(name)}" for name in "ABC")


def _of_standard(
    volumes: Mapping[str, float], rows: Mapping[str, Mapping[str, Any]], formula: str
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
