"""How much of a study was read, and how far readers agree. Pure: rows in, counts out.

Apart from reviews.py, which the reader's page needs at its start: scipy takes longer to import than
all else there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from scipy import stats

from ..tables import Row
from .agreement import BlandAltman, bland_altman, icc_2_1
from .reviews import Standing, newest
from .statistics import Estimate

_LEAST_FOR_AGREEMENT = 3


@dataclass(frozen=True)
class ReaderAgreement:
    """Two readers on the cases that both read."""

    readers: tuple[str, str]
    """Their codes."""
    n: int
    """Cases that both accepted or rejected."""
    agreed: int
    """Of them with the same verdict."""
    kappa: Estimate | None
    """Cohen's kappa, None if it is not defined: both always gave the same single verdict."""
    icc: Mapping[str, tuple[int, Estimate]] = field(default_factory=dict)
    """By "scan" or "slide": cases, and ICC(2,1) of the number each reader accepted, where readers
    corrected at least one of them."""


@dataclass(frozen=True)
class Reading:
    """How much of a study was read, and what came of it."""

    n_cases: int
    """Rows of volumes.csv and collagen.csv."""
    n_accepted: int
    """Cases that stand as accepted."""
    n_rejected: int
    """Cases that stand as rejected."""
    n_overruled: int
    """Accepted cases with at least one overruled flag."""
    readers: tuple[str, ...]
    """Everyone whose verdict counts."""
    n_corrected: int = 0
    """Cases whose outline a reader corrected."""
    correction: BlandAltman | None = None
    """Corrected minus measured volume, from 3 corrected cases on."""
    n_drawn: int = 0
    """Slides that were measured with areas or a white of a reader's."""
    agreement: tuple[ReaderAgreement, ...] = ()
    """Each pair of readers with at least one case in common."""

    @property
    def n_read(self) -> int:
        """Cases with a verdict."""
        return self.n_accepted + self.n_rejected


def cohens_kappa(both: Sequence[tuple[str, str]]) -> Estimate | None:
    """Cohen's kappa of two raters with its large-sample 95 % interval.

    Cohen, Educational and Psychological Measurement 1960, 20:37-46; standard error of Fleiss, Cohen
    and Everitt, Psychological Bulletin 1969, 72:323-327.

    Args:
        both: the two verdicts of each case.

    Returns:
        None without cases, or where chance alone already agrees always.
    """
    n = len(both)
    names = sorted({name for pair in both for name in pair})
    if n == 0 or len(names) < 2:
        return None
    table = np.zeros((len(names), len(names)))
    for first, second in both:
        table[names.index(first), names.index(second)] += 1 / n
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    agreed, chance = float(np.trace(table)), float(rows @ columns)
    if chance >= 1:
        return None
    kappa = (agreed - chance) / (1 - chance)
    weight = rows[None, :] + columns[:, None]  # p_.i + p_j. of cell (i, j)
    on = float((np.diag(table) * (1 - (rows + columns) * (1 - kappa)) ** 2).sum())
    off = (1 - kappa) ** 2 * float(((table - np.diag(np.diag(table))) * weight**2).sum())
    variance = (on + off - (kappa - chance * (1 - kappa)) ** 2) / (n * (1 - chance) ** 2)
    half = float(stats.norm.ppf(0.975)) * math.sqrt(max(0.0, variance))
    return Estimate(kappa, max(-1.0, kappa - half), min(1.0, kappa + half))


def reading(
    volumes: Sequence[Row],
    collagen: Sequence[Row],
    reviews: Sequence[Row],
    stands: Mapping[str, Standing],
) -> Reading:
    """Count what was read, for the methods.

    Args:
        volumes: rows of volumes.csv.
        collagen: rows of collagen.csv.
        reviews: rows of reviews.csv.
        stands: of each case that was read.
    """
    kinds = {str(r["case_id"]): "scan" for r in volumes} | {
        str(r["case_id"]): "slide" for r in collagen
    }
    ours = {case: stand for case, stand in stands.items() if case in kinds}
    pairs = [
        (float(row["corrected_from_ml"]), float(row["volume_ml"]))  # type: ignore[arg-type]
        for row in volumes
        if row.get("corrected_from_ml") is not None and row["volume_ml"] is not None
    ]
    readers = dict.fromkeys(name for stand in ours.values() for name in stand.readers)
    verdicts = [stand.verdict for stand in ours.values()]
    return Reading(
        n_cases=len(kinds),
        n_accepted=verdicts.count("accept"),
        n_rejected=verdicts.count("reject"),
        n_overruled=sum(s.verdict == "accept" and bool(s.overruled) for s in ours.values()),
        readers=tuple(readers),
        n_corrected=sum(bool(row.get("reader")) for row in volumes),
        n_drawn=sum(bool(row.get("reader")) for row in collagen),
        correction=bland_altman([a for a, _ in pairs], [b for _, b in pairs])
        if len(pairs) >= _LEAST_FOR_AGREEMENT
        else None,
        agreement=_agreements(newest(reviews), kinds),
    )


def _agreements(
    lines: Mapping[tuple[str, str], Row], kinds: Mapping[str, str]
) -> tuple[ReaderAgreement, ...]:
    by_reader: dict[str, dict[str, Row]] = {}
    for (case_id, reader), row in lines.items():
        if case_id in kinds and row["verdict"] != "withdraw":
            by_reader.setdefault(reader, {})[case_id] = row
    found = []
    for one, two in combinations(by_reader, 2):
        shared = [case for case in by_reader[one] if case in by_reader[two]]
        if not shared:
            continue
        rows = [(by_reader[one][case], by_reader[two][case]) for case in shared]
        both = [(str(a["verdict"]), str(b["verdict"])) for a, b in rows]
        found.append(
            ReaderAgreement(
                (one, two),
                len(shared),
                sum(a == b for a, b in both),
                cohens_kappa(both),
                _iccs(rows, kinds),
            )
        )
    return tuple(found)


def _iccs(
    rows: Sequence[tuple[Row, Row]], kinds: Mapping[str, str]
) -> dict[str, tuple[int, Estimate]]:
    """ICC of the numbers that two readers accepted; one mask read twice says nothing of it."""
    found = {}
    for kind in ("scan", "slide"):
        values = [
            (float(a["value"]), float(b["value"]))
            for a, b in rows
            if kinds[str(a["case_id"])] == kind
            and a["verdict"] == b["verdict"] == "accept"
            and a["value"] is not None
            and b["value"] is not None
        ]
        differ = any(a != b for a, b in values)
        if len(values) >= _LEAST_FOR_AGREEMENT and differ:
            found[kind] = (len(values), icc_2_1(values))
    return found
