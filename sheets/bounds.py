"""Laboratory values of which only a bound is known: ``<0.5``, ``>500``.

A bound is not a number and never becomes one. It is kept in the column ``bounds`` of clinical.csv,
so that the column of numbers stays one: ``bilirubin_mg_dl<0.5``, several joined by ``;``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .sheet import parse_number

#: The columns in which a bound is understood.
BOUNDED = (
    *("age_years", "albumin_g_dl", "bilirubin_mg_dl", "inr", "creatinine_mg_dl", "sodium_mmol_l"),
    *("platelets_10e9_l", "ast_u_l", "alt_u_l"),
)
_SIGNS = {"<": "<", "<=": "<=", "≤": "<=", "=<": "<=", ">": ">", ">=": ">=", "≥": ">=", "=>": ">="}
_CELL = re.compile(r"(<=|=<|>=|=>|[<>≤≥])\s*(\S+)")
_KEPT = re.compile(r"(\w+)(<=?|>=?)(\S+)")


@dataclass(frozen=True)
class Bound:
    """What is known of a value that was not measured exactly."""

    sign: str
    """``<``, ``<=``, ``>`` or ``>=``."""
    limit: float
    """The bound, in the unit of its column."""

    def __str__(self) -> str:
        """As in a table: ``<0.5``."""
        return f"{self.sign}{self.limit:.6g}"

    @property
    def below(self) -> bool:
        """Whether the value is below the limit."""
        return self.sign.startswith("<")

    def ends(self, low: float, high: float) -> tuple[float, float]:
        """The smallest and the largest value it may be, between what is plausible at all."""
        inside = self.limit
        if "=" not in self.sign:
            inside = math.nextafter(self.limit, -math.inf if self.below else math.inf)
        return (low, inside) if self.below else (inside, high)


def parse_bound(text: str, factor: float = 1.0, *, decimal_comma: bool = False) -> Bound | None:
    """The bound that a cell states, None if it states none.

    Args:
        text: the cell.
        factor: to the unit of the column.
        decimal_comma: whether ``<0,5`` is one half without doubt.

    >>> str(parse_bound("< 0.50"))
    '<0.5'
    """
    found = _CELL.fullmatch(text)
    if not found:
        return None
    try:
        limit = parse_number(found[2], decimal_comma=decimal_comma)
    except ValueError:
        return None
    return Bound(_SIGNS[found[1]], float(f"{limit * factor:.6g}")) if limit > 0 else None


def join_bounds(bounds: Mapping[str, Bound]) -> str:
    """The cell of the column ``bounds``."""
    return ";".join(f"{column}{bound}" for column, bound in bounds.items())


def split_bounds(text: str) -> dict[str, Bound]:
    """The bounds of the column ``bounds``, by column.

    Raises:
        ValueError: a part that is no bound of one of :data:`BOUNDED`.
    """
    found = {}
    for part in filter(None, (one.strip() for one in text.split(";"))):
        match = _KEPT.fullmatch(part)
        bound = parse_bound(match[2] + match[3]) if match else None
        if match is None or bound is None or match[1] not in BOUNDED:
            raise ValueError(part)
        found[match[1]] = bound
    return found


def bound_of(rows: Iterable[Mapping[str, Any]], column: str) -> str:
    """The bound that the first of some rows has for a column, as text; "" if none has one."""
    for row in rows:
        if bound := split_bounds(str(row.get("bounds") or "")).get(column):
            return str(bound)
    return ""
