"""Clinical scores from laboratory values: pure formulas, units checked, nothing imputed.

A score is computed only from values that are all there and plausible in their unit; otherwise it is
None. Values whose size says that they are in another unit are reported by :func:`unit_findings` and
kept out of every score until the user has looked at them.
"""

# Long because the scores share their ranges, units and rounding, and are compared side by side.

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..measures import MEASURES
from ..sheets.words import ascites_points, encephalopathy_points, is_female, stage_of, yes_or_no
from .clinical_units import PLAUSIBLE, Finding, bounds_of, number_of, unit_findings

UMOL_PER_MG_BILIRUBIN = 17.1  # umol/L in one mg/dL


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


def fib4(*, age_years: float, ast_u_l: float, alt_u_l: float, platelets_10e9_l: float) -> float:
    """FIB-4: ``age AST / (platelets sqrt(ALT))`` (Sterling et al., Hepatology 2006, 43:1317-1325).

    >>> round(fib4(age_years=50, ast_u_l=80, alt_u_l=64, platelets_10e9_l=100), 3)
    5.0
    """
    return age_years * ast_u_l / (platelets_10e9_l * math.sqrt(alt_u_l))


AST_UPPER_LIMIT_U_L = 40.0


def apri(*, ast_u_l: float, platelets_10e9_l: float) -> float:
    """APRI: ``100 (AST / 40) / platelets`` (Wai et al., Hepatology 2003, 38:518-526).

    >>> apri(ast_u_l=80, platelets_10e9_l=100)
    2.0
    """
    return 100 * ast_u_l / AST_UPPER_LIMIT_U_L / platelets_10e9_l


# --- a table with scores --------------------------------------------------------------------


SCORES = (
    *("child_pugh_score", "child_pugh_class", "meld", "meld_na", "meld_3", "albi", "albi_grade"),
    *("fib4", "apri"),
)
"""What :func:`with_scores` adds, besides the stages of a biopsy."""


def with_scores(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of clinical.csv with every score that their values allow.

    If only a bound of a value is known (``<0.5``), a score stands if it is the same whatever the
    value is between that bound and the end of the plausible range, as MELD is for each bilirubin
    below 1 mg/dL. Every score rises or falls steadily in each value, or is linear in each (after
    its logarithm or bounds): the two ends of each value tell.

    Args:
        rows: a row a subject and timepoint; numbers or None, words as given.

    Returns:
        The rows with :data:`SCORES` and the stages of a biopsy added; None if a part is missing or
        implausible (such values are set to None in the copy too, so that no comparison uses them).
    """
    suspicious = {(f.subject, f.timepoint, f.column) for f in unit_findings(rows)}
    return [_scored(row, suspicious) for row in rows]


def _scored(row: Mapping[str, Any], suspicious: set[tuple[str, str, str]]) -> dict[str, Any]:
    visit = str(row.get("subject") or ""), str(row.get("timepoint") or "")
    result: dict[str, Any] = dict(row)
    for column in PLAUSIBLE:
        if (*visit, column) in suspicious:
            result[column] = None
    for system in ("metavir", "ishak"):
        given = _text(result.get(f"fibrosis_stage_{system}"))
        result[f"fibrosis_{system}"] = stage_of(given, system) if given else None
    return result | _scores_between(
        result,
        {
            column: bound.ends(PLAUSIBLE[column].low, PLAUSIBLE[column].high)
            for column, bound in bounds_of(row).items()
            if (*visit, column) not in suspicious
        },
    )


def _scores_between(
    row: Mapping[str, Any], ends: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    """The scores that are the same at all ends of the values of which only bounds are known."""
    corners = itertools.product(*ends.values())
    found = [_scores({**row, **dict(zip(ends, corner, strict=True))}) for corner in corners]
    names = dict.fromkeys(name for one in found for name in one)
    return {
        name: found[0].get(name)
        if all(one.get(name) == found[0].get(name) for one in found)
        else None
        for name in names
    }


def bound_findings(rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """What a bound leaves open and what it does not, a finding a value.

    Args:
        rows: as :func:`with_scores` gives them.
    """
    suspicious = {(f.subject, f.timepoint, f.column) for f in unit_findings(rows)}
    findings = []
    for row in rows:
        visit = str(row.get("subject") or ""), str(row.get("timepoint") or "")
        bounds = {c: b for c, b in bounds_of(row).items() if (*visit, c) not in suspicious}
        if not bounds:
            continue
        inside = {
            column: bound.ends(PLAUSIBLE[column].low, PLAUSIBLE[column].high)[0]
            for column, bound in bounds.items()
        }
        with_values = _scores({**row, **inside})
        without = _scores(row)
        touched = [n for n, v in with_values.items() if v is not None and without.get(n) is None]
        names = {n: MEASURES[n].inside for n in touched if n in MEASURES}
        exact = [name for n, name in names.items() if row.get(n) is not None]
        open_ = [name for n, name in names.items() if row.get(n) is None]
        text = ", ".join(f"{column} is {bound}" for column, bound in bounds.items())
        text += ": a bound, which is compared with nothing."
        if exact:
            text += f" Computed, because the same for every such value: {', '.join(exact)}."
        if open_:
            text += f" Left empty, because not: {', '.join(open_)}."
        findings.append(
            Finding(*visit, ";".join(bounds), ";".join(map(str, bounds.values())), text)
        )
    return findings


def _scores(row: Mapping[str, Any]) -> dict[str, Any]:
    """Every score of exact values; None if a part is missing."""
    bilirubin, albumin, inr, creatinine, sodium = (
        number_of(row, column)
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
    result: dict[str, Any] = dict.fromkeys(SCORES)
    _add_fibrosis(result, row)
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


def _add_fibrosis(result: dict[str, Any], row: Mapping[str, Any]) -> None:
    """FIB-4 and APRI, as far as their parts are known."""
    age, ast, alt, platelets = (
        number_of(row, column) for column in ("age_years", "ast_u_l", "alt_u_l", "platelets_10e9_l")
    )
    if ast is not None and platelets is not None:
        result["apri"] = apri(ast_u_l=ast, platelets_10e9_l=platelets)
        if age is not None and alt is not None:
            result["fib4"] = fib4(
                age_years=age, ast_u_l=ast, alt_u_l=alt, platelets_10e9_l=platelets
            )


def _text(value: object) -> str:
    """A grade as text: 0 is a grade, nothing is not."""
    return "" if value is None else str(value)
