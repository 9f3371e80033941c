"""What the name of a visit means: baseline, month 6, after; and which two names are one visit.

Three people write ``month6``, ``Month 6`` and ``month_6_arm_1`` (REDCap). They mean one visit. What
cannot be told for certain is asked about, never guessed.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass

_ARM = re.compile(r"[\s_-]*arm[\s_-]*[0-9a-z]+$")
_UNITS = {
    "year": (12.0, ("years", "year", "yrs", "yr", "y", "jahre", "jahr", "ans")),
    "month": (1.0, ("months", "month", "mths", "mth", "mos", "mo", "mon", "m", "monate", "monat",
                    "mois", "meses", "mes", "개월")),
    "week": (12 / 52.1775, ("weeks", "week", "wks", "wk", "w", "wochen", "woche", "semaines")),
    "day": (12 / 365.25, ("days", "day", "d", "tage", "tag", "jours", "jour")),
}  # fmt: skip
_BASELINE = (
    *("baseline", "base", "bl", "bsl", "pre", "before", "pretreatment", "pretherapy", "initial"),
    *("enrolment", "enrollment", "inclusion", "vorher", "avant", "start", "preop", "pretransplant"),
)
_SCREENING = ("screening", "screen", "scr", "runin")
_AFTER = (
    *("post", "after", "followup", "fu", "posttreatment", "posttherapy", "end", "eot", "final"),
    *("endoftreatment", "nachher", "après", "last", "postop", "later", "late"),
)


@dataclass(frozen=True)
class Moment:
    """When a visit is, as its name tells."""

    kind: str
    """screening, baseline, after (planned months known), number (visit 1, visit 2) or later."""
    months: float = 0.0
    """Planned months from the baseline, or the visit's number."""

    @property
    def order(self) -> tuple[int, float]:
        """Sorts visits in time."""
        return ("screening", "baseline", "number", "after", "later").index(self.kind), self.months


def squeezed(name: str) -> str:
    """A name without case, blanks, width, punctuation and leading zeros of its numbers."""
    text = re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


def moment_of(name: str) -> Moment | None:
    """What a visit's name says of its time; None if it says nothing that is known."""
    text = _ARM.sub("", unicodedata.normalize("NFKC", name).casefold())
    words = re.sub(r"[\W_]+", " ", text.replace(".", "\0")).replace("\0", ".").strip(" .")
    tight = words.replace(" ", "")
    for kind, names in (("baseline", _BASELINE), ("screening", _SCREENING), ("later", _AFTER)):
        if tight in names or re.fullmatch(rf"({'|'.join(names)})(visit|scan|biopsy)", tight):
            return Moment(kind)
    for factor, units in _UNITS.values():
        unit = "|".join(units)
        found = re.fullmatch(rf"(?:fu|followup|post|at|after)?(?:{unit})0*(\d+(?:\.\d+)?)", tight)
        found = found or re.fullmatch(
            rf"0*(\d+(?:\.\d+)?)(?:{unit})(?:fu|followup|post|after)?", tight
        )
        if found:
            months = float(found[1]) * factor
            return Moment("after", round(months, 4)) if months else Moment("baseline")
    if found := re.fullmatch(r"(?:visit|visite|v|timepoint|time|tp|t|scan|biopsy)0*(\d+)", tight):
        return Moment("number", float(found[1]))
    return None


def in_time(names: Iterable[str]) -> tuple[str, ...] | None:
    """Visits in the order that their names tell, None if they do not tell it.

    One visit that says nothing may stand after a baseline; two such cannot be ordered. Visits of
    plain numbers (visit 1, visit 2) are ordered among themselves and after a baseline.
    """
    found = {name: moment_of(name) for name in names}
    if len(found) < 2:
        return tuple(found)
    silent = [name for name, moment in found.items() if moment is None]
    known = {name: moment for name, moment in found.items() if moment is not None}
    orders = [moment.order for moment in known.values()]
    kinds = {moment.kind for moment in known.values()}
    if len(set(orders)) < len(orders) or {"number", "after"} <= kinds:
        return None
    ordered = tuple(sorted(known, key=lambda name: known[name].order))
    if not silent:
        return ordered
    alone = len(silent) == 1 and len(known) == 1 and kinds == {"baseline"}
    return (*ordered, *silent) if alone else None


def same_visit(name: str, known: Collection[str]) -> tuple[str, ...]:
    """Those of some visits that a name may mean: itself, else what looks or means the same."""
    if name in known:
        return (name,)
    alike = tuple(one for one in known if squeezed(one) == squeezed(name))
    if alike:
        return alike
    moment = moment_of(name)
    if moment is None:
        return ()
    return tuple(one for one in known if moment_of(one) == moment)


def close_to(name: str, known: Collection[str]) -> str:
    """A visit that a name without a known meaning was probably meant to be, "" for none."""
    if moment_of(name) is not None:
        return ""
    by_plain = {squeezed(one): one for one in known}
    close = difflib.get_close_matches(squeezed(name), list(by_plain), n=1, cutoff=0.75)
    return by_plain[close[0]] if close else ""
