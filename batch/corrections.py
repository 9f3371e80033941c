"""What readers corrected: kept next to the measurements and laid over their rows, never over files.

``corrections/CASE.json`` has every revision of a case, its masks are next to it. The standing one
replaces columns of the measured row wherever tables are written, as long as the input is the one
that was corrected.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..files import write_text
from ..flags import join_flags
from ..intake.cases import Case
from ..kinds.table import KINDS
from ..tables import as_written

FOLDER = "corrections"
OUTDATED = "correction_outdated"


@dataclass(frozen=True)
class Revision:
    """One correction of one case."""

    revision: int
    """From 1; a number is never used twice."""
    reader: str
    """Code of the reader."""
    saved_at: str
    """ISO time in UTC."""
    input_sha256: str
    """Of the scan or slide that was corrected."""
    before_sha256: str
    """Of the mask that the reader started from; "" if there was none."""
    row: dict[str, Any]
    """Columns of the case's row that this revision replaces."""
    outputs: dict[str, str]
    """SHA-256 of its files by path relative to the results folder."""
    parts: list[dict[str, Any]] = field(default_factory=list)
    """Rows of the kind's table of parts that replace the case's, without the case's own columns."""
    choices: dict[str, Any] = field(default_factory=dict)
    """What the reader gave and the case was measured with again: ``regions``, a GeoJSON file
    relative to the results folder, and ``white``, red, green and blue of empty glass."""
    hangs_on: tuple[str, ...] = ()
    """Columns of the measured row without which this revision does not hold, the input besides."""


@dataclass(frozen=True)
class Corrections:
    """Every revision of one case."""

    case_id: str
    """The case's row in volumes.csv or collagen.csv."""
    standing: int = 0
    """The revision that counts; 0: the case stands as it was measured."""
    revisions: tuple[Revision, ...] = ()
    """In order."""
    measured: dict[str, Any] = field(default_factory=dict)
    """The row as it was measured when it was last corrected."""
    measured_parts: list[dict[str, Any]] = field(default_factory=list)
    """Its rows of the table of parts, likewise."""
    chosen: dict[str, str] = field(default_factory=dict)
    """The series that a reader chose in a folder of several, which every later run measures:
    ``series_uid``, ``reader`` and ``chosen_at``."""

    @property
    def newest(self) -> int:
        """The highest number in use."""
        return max((one.revision for one in self.revisions), default=0)

    @property
    def current(self) -> Revision | None:
        """The revision that counts, None if the case stands as measured."""
        return next((one for one in self.revisions if one.revision == self.standing), None)


def read_corrections(directory: Path, case_id: str) -> Corrections:
    """Every correction of a case.

    Raises:
        OutputError: ``not_a_result``, the file cannot be understood.
    """
    path = Path(directory) / FOLDER / f"{case_id}.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        revisions = tuple(
            Revision(**{**one, "hangs_on": tuple(one.get("hangs_on", ()))})
            for one in data["revisions"]
        )
        return Corrections(
            case_id,
            int(data["standing"]),
            revisions,
            dict(data["measured"]),
            list(data.get("measured_parts", ())),
            dict(data.get("chosen", {})),
        )
    except FileNotFoundError:
        return Corrections(case_id)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise OutputError(
            "not_a_result",
            f"The corrections of {case_id} cannot be read",
            found=f"{path.name}: {error}",
            do="take the file from a backup; its masks are next to it and were not touched",
        ) from None


def write_corrections(directory: Path, corrections: Corrections) -> None:
    """Write ``corrections/CASE.json`` atomically."""
    data = {
        "case_id": corrections.case_id,
        "standing": corrections.standing,
        "measured": corrections.measured,
        "measured_parts": corrections.measured_parts,
        "chosen": corrections.chosen,
        "revisions": [asdict(one) for one in corrections.revisions],
    }
    path = Path(directory) / FOLDER / f"{corrections.case_id}.json"
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def corrected_row(corrections: Corrections, row: Mapping[str, Any], table: str) -> dict[str, Any]:
    """A measured row as it stands after the readers.

    Args:
        corrections: of its case.
        row: as the engine measured it.
        table: the row's table.
    """
    current = corrections.current
    if current is None:
        return dict(row)
    if not _holds(corrections, current, row, table):
        flags = [flag for flag in str(row.get("flags") or "").split(";") if flag]
        return {**row, "flags": join_flags([*flags, OUTDATED])}
    return {**row, **current.row}


def _holds(corrections: Corrections, current: Revision, row: Mapping[str, Any], table: str) -> bool:
    """Whether a revision was made of the case as this row measured it."""
    if str(row.get("input_sha256") or "") != current.input_sha256:
        return False
    now = as_written(table, row) if current.hangs_on else {}
    return all(now[name] == corrections.measured.get(name) for name in current.hangs_on)


def corrected_parts(
    corrections: Corrections,
    row: Mapping[str, Any],
    parts: list[dict[str, Any]],
    table: str,
) -> list[dict[str, Any]]:
    """The rows of a case's parts as they stand after the readers.

    Args:
        corrections: of the case.
        row: of the case, as the engine measured it.
        parts: as the engine measured them.
        table: the table of ``row``.
    """
    current = corrections.current
    if current is None or not current.parts or not _holds(corrections, current, row, table):
        return parts
    return current.parts


def with_corrections(entry: Mapping[str, Any], corrections: Corrections) -> dict[str, Any]:
    """A case's entry of provenance.json with what its corrections add: who, when and both masks.

    Args:
        entry: as the run wrote it.
        corrections: of the case.
    """
    names = ("revision", "reader", "saved_at", "before_sha256", "outputs", "choices")
    own = {name: sha for name, sha in entry["outputs"].items() if not name.startswith(f"{FOLDER}/")}
    ours = ("corrections", "series_chosen")
    measured = {key: value for key, value in entry.items() if key not in ours}
    if corrections.chosen:
        measured["series_chosen"] = corrections.chosen
    if not corrections.revisions:
        return {**measured, "outputs": own}
    return {
        **measured,
        "outputs": {**own, **correction_outputs(corrections)},
        "corrections": {
            "standing": corrections.standing,
            "revisions": [
                {name: getattr(one, name) for name in names} for one in corrections.revisions
            ],
        },
    }


def correction_outputs(corrections: Corrections) -> dict[str, str]:
    """SHA-256 of every file of a case's corrections."""
    return {name: sha for one in corrections.revisions for name, sha in one.outputs.items()}


def with_chosen_series(directory: Path, case: Case) -> Case:
    """A case with the series that a reader chose, unless study.csv names one.

    Args:
        directory: the results folder.
        case: as the study gives it.

    Raises:
        OutputError: see :func:`read_corrections`.
    """
    if case.series_uid or not KINDS[case.kind].follows_baseline:
        return case
    chosen = read_corrections(directory, case.case_id).chosen
    return replace(case, series_uid=chosen["series_uid"]) if chosen else case


def orphans(directory: Path, case_ids: set[str]) -> list[tuple[str, str]]:
    """Files in ``corrections/`` that no case knows: name relative to the folder, and why."""
    folder = Path(directory) / FOLDER
    found: list[tuple[str, str]] = []
    known: set[str] = set()
    for path in sorted(folder.glob("*.json")):
        if path.stem not in case_ids:
            found.append((f"{FOLDER}/{path.name}", "it corrects a case that is not in the results"))
        known |= {
            f"{FOLDER}/{path.name}",
            *correction_outputs(read_corrections(directory, path.stem)),
        }
    for path in sorted(folder.glob("*")):
        name = f"{FOLDER}/{path.name}"
        if path.is_file() and name not in known:
            found.append((name, "no correction knows this file"))
    return found
