"""Clinical scores from laboratory values: pure formulas, units checked, nothing imputed.

A score is computed only from values that are all there and plausible in their unit; otherwise it is
None. Values whose size says that they are in another unit are reported by :func:`unit_findings` and
kept out of every score until the user has looked at them.
"""

# Long because the scores share their ranges, units and rounding, and are compared side by side.

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..sheets.words import ascites_points, encephalopathy_points, is_female, yes_or_no

UMOL_PER_MG_BILIRUBIN = 17.1  # umol/L in one mg/dL
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


def _number(row: Mapping[str, Any], column: str) -> float | None:
    value = row.get(column)
    return None if value is None or value == "" else float(value)


def _unlike_the_others(rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Values of one subject that are ten times another of theirs: one visit in another unit."""
    found = []
    for column in ("bilirubin_mg_dl", "creatinine_mg_dl"):
        limits = PLAUSIBLE[column]
        lowest: dict[str, float] = {}
        for row in rows:
            value = _number(row, column)
            if value is not None and value >= limits.low:
                subject = str(row.get("subject") or "")
                lowest[subject] = min(value, lowest.get(subject, value))
        for row in rows:
            value, subject = _number(row, column), str(row.get("subject") or "")
            if value is None or not limits.low <= value <= limits.high or subject not in lowest:
                continue
            times = value / lowest[subject]
            if times >= _UNLIKE:
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
        values = sorted(v for row in rows if (v := _number(row, column)) is not None)
        typical = values[len(values) // 2] if values else 0.0
        whole = len(values) >= _COLUMN_LEAST and typical > _COLUMN_MEDIAN.get(column, math.inf)
        for row in rows:
            value = _number(row, column)
            if value is None or (limits.low <= value <= limits.high and not whole):
                continue
            guess = limits.below if value < limits.low else limits.above
            unit = f" in {limits.unit}" if limits.unit else ""
            hint = ""
            if guess == "umol/L" or (guess == "g/L" and column == "albumin_g_dl"):
                hint = f" (divide by {_SI[column]:g})"
            found.append(
                Finding(
                    str(row.get("subject") or ""),
                    str(row.get("timepoint") or ""),
                    column,
                    f"{value:g}",
                    f"{column} is {value:g}{unit}: probably {guess}. It is left out of every score "
                    f"until it is corrected in clinical.csv{hint}.",
                )
            )
    return found


# --- scores ---------------------------------------------------------------------------------


def child_pugh(
    *,
    bilirubin_mg_dl: float,
    albumin_g_dl: float,
    inr: float,
    ascites: int,
    encephalopathy: int,
) -> tuple[int, str]:
    """The Child-Pugh score and class (Pugh et al., Br J Surg 1973, 60:646-649, with INR).

    Args:
        bilirubin_mg_dl: below 2: 1 point, 2 to 3: 2, above 3: 3.
        albumin_g_dl: above 3.5: 1 point, 2.8 to 3.5: 2, below 2.8: 3.
        inr: below 1.7: 1 point, 1.7 to 2.3: 2, above 2.3: 3.
        ascites: points, see :func:`ascites_points`.
        encephalopathy: points, see :func:`encephalopathy_points`.

    Returns:
        5 to 15 points; class A to 6, B to 9, C from 10.
    """
    score = ascites + encephalopathy
    score += 1 if bilirubin_mg_dl < 2 else 2 if bilirubin_mg_dl <= 3 else 3
    score += 1 if albumin_g_dl > 3.5 else 2 if albumin_g_dl >= 2.8 else 3
    score += 1 if inr < 1.7 else 2 if inr <= 2.3 else 3
    return score, "A" if score <= 6 else "B" if score <= 9 else "C"


def _clamp(value: float, low: float, high: float = math.inf) -> float:
    return min(max(value, low), high)


def _round(value: float) -> int:
    """To the nearest whole number, halves up, as allocation policies do."""
    return math.floor(value + 0.5)


def meld_raw(
    *, bilirubin_mg_dl: float, creatinine_mg_dl: float, inr: float, dialysis: bool
) -> float:
    """MELD before rounding and clipping (Kamath et al., Hepatology 2001; bounds of UNOS 2002).

    Args:
        bilirubin_mg_dl: set to 1 where lower.
        creatinine_mg_dl: set to 1 where lower, to 4 where higher.
        inr: set to 1 where lower.
        dialysis: twice in the last week: creatinine counts as 4.
    """
    creatinine = 4.0 if dialysis else _clamp(creatinine_mg_dl, 1.0, 4.0)
    return (
        9.57 * math.log(creatinine)
        + 3.78 * math.log(_clamp(bilirubin_mg_dl, 1.0))
        + 11.20 * math.log(_clamp(inr, 1.0))
        + 6.43
    )


def meld(*, bilirubin_mg_dl: float, creatinine_mg_dl: float, inr: float, dialysis: bool) -> int:
    """MELD, 6 to 40: see :func:`meld_raw`."""
    raw = meld_raw(
        bilirubin_mg_dl=bilirubin_mg_dl,
        creatinine_mg_dl=creatinine_mg_dl,
        inr=inr,
        dialysis=dialysis,
    )
    return int(_clamp(_round(raw), 6, 40))


def meld_na(
    *,
    bilirubin_mg_dl: float,
    creatinine_mg_dl: float,
    inr: float,
    sodium_mmol_l: float,
    dialysis: bool,
) -> int:
    """MELD-Na as in the OPTN policy of January 2016, 6 to 40.

    From a MELD above 11, ``MELD + 1.32 (137 - Na) - 0.033 MELD (137 - Na)`` with sodium between 125
    and 137 mmol/L and MELD already rounded. (The formula of Kim et al., NEJM 2008, differs.)

    Args:
        bilirubin_mg_dl: as for MELD.
        creatinine_mg_dl: as for MELD.
        inr: as for MELD.
        sodium_mmol_l: serum sodium.
        dialysis: as for MELD.
    """
    first = meld(
        bilirubin_mg_dl=bilirubin_mg_dl,
        creatinine_mg_dl=creatinine_mg_dl,
        inr=inr,
        dialysis=dialysis,
    )
    if first <= 11:
        return first
    lack = 137 - _clamp(sodium_mmol_l, 125, 137)
    return int(_clamp(_round(first + 1.32 * lack - 0.033 * first * lack), 6, 40))


def meld_3_raw(
    *,
    female: bool,
    bilirubin_mg_dl: float,
    creatinine_mg_dl: float,
    inr: float,
    sodium_mmol_l: float,
    albumin_g_dl: float,
    dialysis: bool,
) -> float:
    """MELD 3.0 before rounding (Kim et al., Gastroenterology 2021, 161:1887-1895).

    Args:
        female: adds 1.33.
        bilirubin_mg_dl: set to 1 where lower.
        creatinine_mg_dl: between 1 and 3.
        inr: set to 1 where lower.
        sodium_mmol_l: between 125 and 137.
        albumin_g_dl: between 1.5 and 3.5.
        dialysis: twice in the last week: creatinine counts as 3.
    """
    bilirubin = math.log(_clamp(bilirubin_mg_dl, 1.0))
    creatinine = math.log(3.0 if dialysis else _clamp(creatinine_mg_dl, 1.0, 3.0))
    sodium = 137 - _clamp(sodium_mmol_l, 125, 137)
    albumin = 3.5 - _clamp(albumin_g_dl, 1.5, 3.5)
    return (
        1.33 * female
        + 4.56 * bilirubin
        + 0.82 * sodium
        - 0.24 * sodium * bilirubin
        + 9.09 * math.log(_clamp(inr, 1.0))
        + 11.14 * creatinine
        + 1.85 * albumin
        - 1.83 * albumin * creatinine
        + 6
    )


def meld_3(**values: Any) -> int:
    """MELD 3.0, 6 to 40; the arguments are those of :func:`meld_3_raw`."""
    return int(_clamp(_round(meld_3_raw(**values)), 6, 40))


def albi(*, bilirubin_mg_dl: float, albumin_g_dl: float) -> tuple[float, int]:
    """The ALBI score and grade (Johnson et al., J Clin Oncol 2015, 33:550-558).

    ``0.66 log10(bilirubin in umol/L) - 0.085 (albumin in g/L)``; grade 1 to -2.60, 2 to -1.39.

    Raises:
        ValueError: the bilirubin is not above zero.
    """
    if bilirubin_mg_dl <= 0:
        raise ValueError("bilirubin must be above zero")
    score = 0.66 * math.log10(bilirubin_mg_dl * UMOL_PER_MG_BILIRUBIN) - 0.085 * albumin_g_dl * 10
    return score, 1 if score <= -2.60 else 2 if score <= -1.39 else 3


# --- standard liver volume ------------------------------------------------------------------


def bsa_du_bois(height_cm: float, weight_kg: float) -> float:
    """Body surface in m2 (Du Bois 1916): ``0.007184 cm^0.725 kg^0.425``."""
    return 0.007184 * height_cm**0.725 * weight_kg**0.425


def bsa_mosteller(height_cm: float, weight_kg: float) -> float:
    """Body surface in m2 (Mosteller 1987): ``sqrt(cm kg / 3600)``."""
    return math.sqrt(height_cm * weight_kg / 3600)


STANDARD_VOLUMES: dict[str, tuple[Callable[[float, float], float], float, float]] = {
    # name: body surface formula, mL per m2, mL; where a paper used which surface
    "urata": (bsa_du_bois, 706.2, 2.4),  # Urata 1995
    "heinemann": (bsa_du_bois, 1072.8, -345.7),  # Heinemann 1999
    "hashimoto": (bsa_du_bois, 961.3, -404.8),  # Hashimoto 2006
    "feng": (bsa_mosteller, 758.259, -124.272),  # Feng 2017
}


def standard_liver_volume_ml(formula: str, *, height_cm: float, weight_kg: float) -> float:
    """The liver volume expected from body size, in mL.

    Secondary to any measured change: the formulas come from healthy livers, fit poorly in
    cirrhosis, and ascites inflates the weight.

    Raises:
        KeyError: an unknown formula.
    """
    surface, slope, intercept = STANDARD_VOLUMES[formula]
    return slope * surface(height_cm, weight_kg) + intercept


# --- a table with scores --------------------------------------------------------------------


def with_scores(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of clinical.csv with every score that their values allow.

    Args:
        rows: a row a subject and timepoint; numbers or None, words as given.

    Returns:
        The rows with ``child_pugh_score``, ``child_pugh_class``, ``meld``, ``meld_na``, ``meld_3``,
        ``albi`` and ``albi_grade`` added; None where a part is missing or implausible (such values
        are set to None in the copy too, so that no comparison uses them).
    """
    suspicious = {(f.subject, f.timepoint, f.column) for f in unit_findings(rows)}
    return [_scored(row, suspicious) for row in rows]


def _scored(row: Mapping[str, Any], suspicious: set[tuple[str, str, str]]) -> dict[str, Any]:
    visit = str(row.get("subject") or ""), str(row.get("timepoint") or "")
    result: dict[str, Any] = dict(row)
    for column in PLAUSIBLE:
        if (*visit, column) in suspicious:
            result[column] = None

    bilirubin, albumin, inr, creatinine, sodium = (
        _number(result, column)
        for column in (
            "bilirubin_mg_dl",
            "albumin_g_dl",
            "inr",
            "creatinine_mg_dl",
            "sodium_mmol_l",
        )
    )
    ascites = ascites_points(str(row.get("ascites") or ""))
    brain = encephalopathy_points(_text(row.get("encephalopathy_grade")))
    female = is_female(str(row.get("sex") or ""))
    dialysis_text = str(row.get("dialysis") or "")
    # an empty cell means nobody wrote down a dialysis: the creatinine stands as measured
    dialysis = False if not dialysis_text else yes_or_no(dialysis_text)
    names = ("child_pugh_score", "child_pugh_class", "meld", "meld_na", "meld_3", "albi",
             "albi_grade")  # fmt: skip
    result.update(dict.fromkeys(names))
    if bilirubin is None:
        return result
    if albumin is not None:
        result["albi"], result["albi_grade"] = albi(bilirubin_mg_dl=bilirubin, albumin_g_dl=albumin)
    if inr is None:
        return result
    if albumin is not None and ascites is not None and brain is not None:
        result["child_pugh_score"], result["child_pugh_class"] = child_pugh(
            bilirubin_mg_dl=bilirubin,
            albumin_g_dl=albumin,
            inr=inr,
            ascites=ascites,
            encephalopathy=brain,
        )
    if creatinine is None or dialysis is None:
        return result
    kidney = {
        "bilirubin_mg_dl": bilirubin,
        "creatinine_mg_dl": creatinine,
        "inr": inr,
        "dialysis": dialysis,
    }
    result["meld"] = meld(**kidney)  # type: ignore[arg-type]
    if sodium is not None:
        result["meld_na"] = meld_na(**kidney, sodium_mmol_l=sodium)  # type: ignore[arg-type]
        if albumin is not None and female is not None:
            result["meld_3"] = meld_3(
                **kidney, female=female, sodium_mmol_l=sodium, albumin_g_dl=albumin
            )
    return result


def _text(value: object) -> str:
    """A grade as text: 0 is a grade, nothing is not."""
    return "" if value is None else str(value)
