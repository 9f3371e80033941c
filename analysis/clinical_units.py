"""Values of clinical.csv whose size says that they are in another unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..sheets.bounds import Bound, split_bounds

_SI = {"bilirubin_mg_dl": 17.1, "creatinine_mg_dl": 88.4, "albumin_g_dl": 10.0}


@dataclass(frozen=True)
class Range:
    """What a value can be in its unit, and what it probably is outside."""

    low: float
    """Smallest plausible value."""
    high: float
    """Largest plausible value."""
    unit: str
    """The column's unit."""
    above: str
    """What a larger value probably is."""
    below: str
    """What a smaller value probably is."""


# wider than any survivor's value in the column's unit, narrower than the usual other unit
PLAUSIBLE = {
    "albumin_g_dl": Range(0.8, 6.5, "g/dL", "g/L", "not albumin in g/dL"),
    "bilirubin_mg_dl": Range(0.05, 30.0, "mg/dL", "umol/L", "not bilirubin in mg/dL"),
    "inr": Range(0.7, 12.0, "", "prothrombin time in seconds or per cent", "a quick value"),
    "creatinine_mg_dl": Range(0.15, 15.0, "mg/dL", "umol/L", "not creatinine in mg/dL"),
    "sodium_mmol_l": Range(100.0, 175.0, "mmol/L", "not sodium in mmol/L", "not sodium in mmol/L"),
    "platelets_10e9_l": Range(3.0, 1500.0, "10^9/L", "platelets per uL", "not platelets in 10^9/L"),
    "ast_u_l": Range(3.0, 20000.0, "U/L", "not AST in U/L", "ukat/L"),
    "alt_u_l": Range(3.0, 20000.0, "U/L", "not ALT in U/L", "ukat/L"),
    "height_cm": Range(100.0, 230.0, "cm", "mm", "m or inches"),
    "weight_kg": Range(25.0, 250.0, "kg", "pounds or g", "not weight in kg"),
    "age_years": Range(0.0, 115.0, "a", "a year of birth", "not an age"),
}
# a whole column's median beyond this is in the other unit although each value might be true
_COLUMN_MEDIAN = {"bilirubin_mg_dl": 15.0, "creatinine_mg_dl": 8.0}
_COLUMN_LEAST = 4
_UNLIKE = 10.0  # times the same subject's lowest: umol/L among mg/dL is 17 and 88 times


@dataclass(frozen=True)
class Finding:
    """A value that is not what its column says."""

    subject: str
    """The code."""
    timepoint: str
    """The visit."""
    column: str
    """The column in clinical.csv."""
    value: str
    """As given."""
    sentence: str
    """What it probably is and what to do."""


def bounds_of(row: Mapping[str, Any]) -> dict[str, Bound]:
    """The values of a row of which only a bound is known, by column."""
    return split_bounds(str(row.get("bounds") or ""))


def number_of(row: Mapping[str, Any], column: str) -> float | None:
    """A number of a row, None if it is not known."""
    value = row.get(column)
    return None if value is None or value == "" else float(value)


def _unlike_the_others(rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Values of one subject that are ten times another of theirs: one visit in another unit."""
    found = []
    for column in ("bilirubin_mg_dl", "creatinine_mg_dl"):
        limits = PLAUSIBLE[column]
        lowest: dict[str, float] = {}
        for row in rows:
            value = number_of(row, column)
            if value is not None and value >= limits.low:
                subject = str(row.get("subject") or "")
                lowest[subject] = min(value, lowest.get(subject, value))
        for row in rows:
            value, subject = number_of(row, column), str(row.get("subject") or "")
            if value is None or not limits.low <= value <= limits.high or subject not in lowest:
                continue
            times = value / lowest[subject]
            if times >= _UNLIKE * (1 - 1e-9):  # 9.2 / 0.92 is a little below ten
                found.append(
                    Finding(
                        subject,
                        str(row.get("timepoint") or ""),
                        column,
                        f"{value:g}",
                        f"{column} is {value:g} {limits.unit}, {times:.0f} times what this subject "
                        f"has at another visit: probably {limits.above}. It is left out of every "
                        f"score until it is corrected in clinical.csv (divide by {_SI[column]:g}).",
                    )
                )
    return found


def unit_findings(rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Values of clinical.csv that are probably in another unit.

    Args:
        rows: a row a subject and timepoint.

    Returns:
        A finding for each value outside the plausible range of its unit, and for every value of a
        column whose median is implausible (a table in SI units throughout), and for a value ten
        times what the same subject has at another visit.
    """
    found = _unlike_the_others(rows)
    for column, limits in PLAUSIBLE.items():
        values = sorted(v for row in rows if (v := number_of(row, column)) is not None)
        typical = values[len(values) // 2] if values else 0.0
        whole = len(values) >= _COLUMN_LEAST and typical > _COLUMN_MEDIAN.get(column, math.inf)
        for row in rows:
            value, bound = number_of(row, column), bounds_of(row).get(column)
            if value is None and bound is not None:
                value = bound.limit
            if value is None or (limits.low <= value <= limits.high and not whole):
                continue
            guess = limits.below if value < limits.low else limits.above
            unit = f" in {limits.unit}" if limits.unit else ""
            hint, given = "", str(bound or f"{value:g}")
            if guess == "umol/L" or (guess == "g/L" and column == "albumin_g_dl"):
                hint = f" (divide by {_SI[column]:g})"
            found.append(
                Finding(
                    str(row.get("subject") or ""),
                    str(row.get("timepoint") or ""),
                    column,
                    given,
                    f"{column} is {given}{unit}: probably {guess}. It is left out of every score "
                    f"until it is corrected in clinical.csv{hint}.",
                )
            )
    return found
