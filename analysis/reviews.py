"""Readers' verdicts on the cases, and what follows from them. Pure: rows in, rows out.

Rules, in one place:

- A reader's verdict is their newest line on a case. It counts for the mask that was read: once the
  case has another mask (it was corrected or measured again), the case is unread.
- A case that any reader rejects is not compared, until that reader changes their mind.
- Doubtful flags (and a liver that is cut off) let a case in when a reader accepted it and overruled
  every one of them, and no reader rejects it.
- Where every case must be read, a case that nobody accepted is not compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ..errors import InputError
from ..flags import FLAGS, questioned
from ..tables import VERDICTS, Row
from .design import REJECTED, UNREAD

_READER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,15}")
_LONGEST = {"reason": 300, "note": 2000}
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # what makes a spreadsheet compute a cell


@dataclass(frozen=True)
class Read:
    """What is read: a case as it stands now."""

    case_id: str
    """Its row in volumes.csv or collagen.csv."""
    revision: int
    """0 as measured, then one more with each correction."""
    mask_sha256: str
    """Of the mask; "" for a failed case."""
    value: float | None
    """Its number, None for a failed case."""
    flags: tuple[str, ...] = ()
    """Codes of FLAGS."""


@dataclass(frozen=True)
class Standing:
    """What all readers together say of one case."""

    verdict: str = ""
    """accept, reject, or "" if it is unread."""
    reason: str = ""
    """Of the rejection; of several readers joined by ``;``."""
    overruled: frozenset[str] = frozenset()
    """Doubtful flags that a reader overruled."""
    readers: tuple[str, ...] = ()
    """Those whose verdict counts, in the order of their first lines."""
    outdated: bool = False
    """Whether there are verdicts on an earlier mask and none on this one."""


def safe_text(text: str) -> str:
    """One line that no spreadsheet computes: what begins like a formula gets an apostrophe."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f"'{line}" if line.startswith(_FORMULA) else line


def make_review(read: Read, answer: Mapping[str, Any], *, at: datetime, version: str) -> Row:
    """A line of reviews.csv, without its number, from what a reader entered.

    Args:
        read: the case as the reader saw it.
        answer: ``verdict`` and ``reader``, and as wanted ``reason``, ``note``, ``quality`` and
            ``overruled_flags`` (a list of codes).
        at: when, with a time zone.
        version: of the software.

    Raises:
        InputError: ``bad_review``: what is missing or wrong.
    """
    verdict, reader = str(answer.get("verdict") or ""), str(answer.get("reader") or "")
    if verdict not in VERDICTS:
        raise _bad("The verdict is not a known one", verdict, f"give {', '.join(VERDICTS)}")
    if not _READER.fullmatch(reader):
        raise _bad(
            "The reader's code cannot be used",
            reader[:40] or "none",
            "give up to 16 letters, digits, - or _; not a name that should stay out of tables",
        )
    texts = {name: safe_text(str(answer.get(name) or "")) for name in _LONGEST}
    for name, longest in _LONGEST.items():
        if len(texts[name]) > longest:
            found = f"{len(texts[name])} characters"
            raise _bad(f"The {name} is too long", found, f"give at most {longest}")
    overruled = [str(code) for code in answer.get("overruled_flags") or []]
    if strangers := sorted(set(overruled) - set(questioned(read.flags))):
        raise _bad(
            "A flag cannot be overruled",
            ", ".join(strangers),
            "overrule only doubtful flags that this case carries",
        )
    if verdict == "accept" and read.value is None:
        raise _bad("A failed case cannot be accepted", "it has no number", "draw it, or reject it")
    if (verdict == "reject" or overruled) and not texts["reason"]:
        what = "A rejection" if verdict == "reject" else "Overruling a flag"
        raise _bad(f"{what} needs a reason", "none", "choose one from the list or write your own")
    return {
        "case_id": read.case_id,
        "revision": read.revision,
        "verdict": verdict,
        **texts,
        "overruled_flags": ";".join(code for code in FLAGS if code in overruled),
        "quality": _quality(answer.get("quality")),
        "reader": reader,
        "reviewed_at": at.astimezone(UTC).isoformat(timespec="seconds"),
        "mask_sha256": read.mask_sha256,
        "value": read.value,
        "version": version,
    }


def _quality(given: object) -> int | None:
    if given in (None, ""):
        return None
    if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= 5:
        return given
    raise _bad("The quality is not valid", repr(given)[:40], "give a whole number from 1 to 5")


def _bad(what: str, found: str, do: str) -> InputError:
    return InputError("bad_review", what, found=found, do=do)


def newest(reviews: Iterable[Row]) -> dict[tuple[str, str], Row]:
    """The newest line of each case and reader."""
    return {(str(row["case_id"]), str(row["reader"])): row for row in reviews}


def standing(reviews: Iterable[Row], masks: Mapping[str, str]) -> dict[str, Standing]:
    """What stands for each case that anybody read.

    Args:
        reviews: rows of reviews.csv in their order.
        masks: SHA-256 of each case's mask now, "" for a failed case; lines on a case that is not
            here are passed over.
    """
    found: dict[str, Standing] = {}
    for (case_id, reader), row in newest(reviews).items():
        if case_id not in masks or row["verdict"] == "withdraw":
            continue
        before = found.get(case_id, Standing())
        if row["mask_sha256"] != masks[case_id]:
            found[case_id] = replace(before, outdated=not before.verdict)
            continue
        rejected = "reject" in (row["verdict"], before.verdict)
        reasons = [before.reason, str(row["reason"]) if row["verdict"] == "reject" else ""]
        codes = str(row["overruled_flags"]).split(";") if row["verdict"] == "accept" else ()
        found[case_id] = Standing(
            verdict="reject" if rejected else "accept",
            reason="; ".join(dict.fromkeys(filter(None, reasons))),
            overruled=before.overruled | (frozenset(codes) - {""}),
            readers=(*before.readers, reader),
        )
    return found


@dataclass(frozen=True)
class Comparable:
    """The rows of a table as the comparison may take them."""

    rows: list[Row]
    """All of them; one that must stay out has no number, and says why in ``error``."""
    accepted: frozenset[str]
    """case_ids whose doubtful flags a reader overruled."""


def comparable(
    rows: Sequence[Row], stands: Mapping[str, Standing], *, require_review: bool = False
) -> Comparable:
    """Take the verdicts into account.

    Args:
        rows: of volumes.csv or collagen.csv.
        stands: of each case that was read.
        require_review: keep out what nobody accepted.
    """
    out: list[Row] = []
    accepted = set()
    for row in rows:
        case_id = str(row["case_id"])
        stand = stands.get(case_id, Standing())
        if stand.verdict == "reject":
            out.append(_kept_out(row, REJECTED, stand.reason))
        elif require_review and stand.verdict != "accept" and row["status"] == "measured":
            out.append(_kept_out(row, UNREAD, "no reader has accepted it"))
        else:
            out.append(row)
            doubts = set(questioned(str(row["flags"] or "").split(";")))
            if stand.verdict == "accept" and doubts <= stand.overruled:
                accepted.add(case_id)
    return Comparable(out, frozenset(accepted))


def _kept_out(row: Row, status: str, reason: str) -> Row:
    empty: Row = {name: None for name, value in row.items() if isinstance(value, float)}
    return {**row, **empty, "status": status, "error": reason}
