"""Each subject's change of each measure, to search and to sort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...analysis.design import Pair
from ...measures import MEASURES
from .. import words
from ..section import Entry, Section, Source

_CLINICAL_SHOWN = ("child_pugh_score", "meld")  # the laboratory values stand in paired.csv


def entries(source: Source) -> Sequence[Entry]:
    """Where anything is compared."""
    rows = patient_rows(source.analysis.pairs)
    return [Entry("patients-h", "Each subject", {"rows": rows})] if rows else []


SECTION = Section("patients", entries)


def patient_rows(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """The per-patient table: printed text with the plain number that it sorts by."""
    rows = []
    for pair in pairs:
        measure = MEASURES[pair.measure]
        if measure.kind == "clinical" and (measure.key not in _CLINICAL_SHOWN or not pair.paired):
            continue  # who has no value at a visit stands in paired.csv; who is left out, above
        digits, change_digits = measure.digits, max(measure.digits, measure.mean_digits)
        if measure.kind == "clinical":
            change_digits = digits
        rows.append(
            {
                "subject": pair.subject,
                "measure": measure.title
                + (f" ({measure.unit})" if measure.unit not in ("", "points") else ""),
                "timepoint": pair.timepoint,
                "cells": [
                    (words.number(pair.baseline.value, digits), pair.baseline.value),
                    (words.number(pair.followup.value, digits), pair.followup.value),
                    (words.number(pair.change, change_digits, signed=True), pair.change),
                    (
                        words.interval(pair.change_low, pair.change_high, change_digits),
                        pair.change_low,
                    ),
                    (words.number(pair.percent_change, 1, signed=True), pair.percent_change),
                ],
                "call": pair.call,
                "reason": pair.brief,
                "flags": pair.flags,
            }
        )
    return rows
