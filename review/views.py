"""What the page is told of cases, and what it is not told while readers must not know."""

from __future__ import annotations

import random
from typing import Any

from ..analysis.reviews import Standing, newest
from ..errors import ERROR_CODES
from ..flags import FLAGS, questioned
from ..measures import MEASURES
from .results import ReadCase, Results, State

REASONS = {
    "scan": (
        "outline wrong and not worth correcting",
        "liver not wholly in the scan",
        "wrong series or phase",
        "motion or other artefacts",
        "not this patient or visit",
    ),
    "slide": (
        "not liver, or too little of it",
        "stain failed or faded",
        "out of focus",
        "folds, pen or dirt counted",
        "not this patient or visit",
    ),
}
OVERRULING = (
    "looked at the picture: the flag does not matter here",
    "known in this study and the same at both visits",
)
_MEASURE = {"scan": "liver_volume_ml", "slide": "caf_percent"}


class Desk:
    """The cases under the names that the page uses.

    Args:
        results: the folder.
        blind_seed: None: cases go by their own names, in the order of the tables. Otherwise by
            numbers in an order that the seed shuffles, without subject or visit.
    """

    def __init__(self, results: Results, blind_seed: int | None) -> None:
        self.results = results
        self.blind = blind_seed is not None
        names = list(results.state().cases)
        if blind_seed is None:
            self._names = {name: name for name in names}
        else:
            random.Random(blind_seed).shuffle(names)
            width = len(str(len(names)))
            self._names = {f"case-{n:0{width}d}": name for n, name in enumerate(names, start=1)}

    def items(self) -> list[tuple[str, ReadCase]]:
        """Every case that is there now, with its name on the page."""
        cases = self.results.state().cases
        return [(key, cases[name]) for key, name in self._names.items() if name in cases]

    def case(self, key: str) -> ReadCase:
        """The case of a name.

        Raises:
            KeyError: there is none.
        """
        return self.results.state().cases[self._names[key]]

    def key_of(self, case: ReadCase) -> str:
        """The name of a case on the page."""
        return next(key for key, name in self._names.items() if name == case.case_id)


def list_view(desk: Desk, reader: str, report: dict[str, Any]) -> dict[str, Any]:
    """The worklist."""
    state = desk.results.state()
    return {
        "title": "" if desk.blind else desk.results.title,
        "blind": desk.blind,
        "reader": reader,
        "cases": [_summary(desk, key, case, state, reader) for key, case in desk.items()],
        **report,
    }


def _summary(desk: Desk, key: str, case: ReadCase, state: State, reader: str) -> dict[str, Any]:
    measure = MEASURES[_MEASURE[case.kind]]
    row = case.row
    own = _own(case, state, reader)
    return {
        "key": key,
        "kind": case.kind,
        "subject": "" if desk.blind else case.subject,
        "timepoint": "" if desk.blind else case.timepoint,
        "status": str(row["status"]),
        "value": case.value,
        "low": row[measure.low],
        "high": row[measure.high],
        "unit": measure.unit,
        "digits": measure.digits,
        "flags": [
            {"code": code, "sentence": FLAGS[code].sentence if code in FLAGS else ""}
            for code in case.flags
        ],
        "questioned": list(questioned(case.flags)),
        "error": _error(desk, case),
        "picture": bool(row["overlay_path"]),
        "revision": case.corrections.standing,
        "corrected": bool(row["reader"]),
        "mask_sha256": case.mask_sha256,
        "verdict": own["verdict"],
        "outdated": own["outdated"],
    }


def _error(desk: Desk, case: ReadCase) -> str:
    error = str(case.row["error"] or "")
    code, _, sentence = error.partition(":")
    return ERROR_CODES.get(code, "It failed.") if desk.blind and error else sentence.strip()


def _own(case: ReadCase, state: State, reader: str) -> dict[str, Any]:
    """The reader's own verdict on what stands now."""
    line = newest(state.reviews).get((case.case_id, reader)) if reader else None
    if line is None or line["verdict"] == "withdraw":
        return {"verdict": "", "outdated": False, "line": None}
    if line["mask_sha256"] != case.mask_sha256:
        return {"verdict": "", "outdated": True, "line": line}
    return {"verdict": line["verdict"], "outdated": False, "line": line}


def case_view(desk: Desk, case: ReadCase, reader: str) -> dict[str, Any]:
    """One case: its summary, its other visits, and others' verdicts once the reader gave one."""
    state = desk.results.state()
    case = state.cases[case.case_id]
    own = _own(case, state, reader)
    keys = [key for key, _ in desk.items()]
    place = keys.index(desk.key_of(case))
    return {
        **_summary(desk, keys[place], case, state, reader),
        "blind": desk.blind,
        "reader": reader,
        "previous": keys[place - 1] if place else "",
        "next": keys[place + 1] if place + 1 < len(keys) else "",
        "place": place + 1,
        "n_cases": len(keys),
        "visits": [] if desk.blind else _visits(desk, case),
        "spleen_ml": case.row.get("spleen_volume_ml"),
        "corrected_from": case.row.get(
            "corrected_from_ml" if case.kind == "scan" else "corrected_from_percent"
        ),
        "excluded_regions_mm2": case.row.get("excluded_regions_mm2"),
        "corrected_by": "" if desk.blind else str(case.row["reader"] or ""),
        "input_sha256": str(case.row["input_sha256"] or ""),
        "own": _line(own["line"]) if own["verdict"] else None,
        "others": _others(case, state, reader) if own["verdict"] else None,
        "reasons": list(REASONS[case.kind]),
        "overruling": list(OVERRULING),
    }


def _visits(desk: Desk, case: ReadCase) -> list[dict[str, str]]:
    """The subject's other scans or slides."""
    return [
        {"key": key, "timepoint": other.timepoint}
        for key, other in desk.items()
        if other.kind == case.kind
        and other.subject == case.subject != ""
        and other.case_id != case.case_id
        and other.value is not None
    ]


def _line(line: Any) -> dict[str, Any] | None:
    if line is None:
        return None
    names = ("verdict", "reason", "overruled_flags", "quality", "note", "reviewed_at")
    return {name: line[name] for name in names}


def _others(case: ReadCase, state: State, reader: str) -> list[dict[str, Any]]:
    stand = state.stands.get(case.case_id, Standing())
    return [
        {"reader": name, **(_line(newest(state.reviews)[case.case_id, name]) or {})}
        for name in stand.readers
        if name != reader
    ]
