"""What readers corrected: kept next to the measurements and laid over their rows, never over files.

``corrections/CASE.json`` has every revision of a case, its masks are next to it. The standing one
replaces columns of the measured row wherever tables are written, as long as the input is the one
that was corrected.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..files import write_text
from ..flags import join_flags

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
    """The row as it was measured when it was first corrected."""

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
        revisions = tuple(Revision(**one) for one in data["revisions"])
        return Corrections(case_id, int(data["standing"]), revisions, dict(data["measured"]))
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
        "revisions": [asdict(one) for one in corrections.revisions],
    }
    path = Path(directory) / FOLDER / f"{corrections.case_id}.json"
    write_text(path, json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def corrected_row(corrections: Corrections, row: Mapping[str, Any]) -> dict[str, Any]:
    """A measured row as it stands after the readers.

    Args:
        corrections: of its case.
        row: as the engine measured it.
    """
    current = corrections.current
    if current is None:
        return dict(row)
    if str(row.get("input_sha256") or "") != current.input_sha256:
        flags = [flag for flag in str(row.get("flags") or "").split(";") if flag]
        return {**row, "flags": join_flags([*flags, OUTDATED])}
    return {**row, **current.row}


def with_corrections(entry: Mapping[str, Any], corrections: Corrections) -> dict[str, Any]:
    """A case's entry of provenance.json with what its corrections add: who, when and both masks.

    Args:
        entry: as the run wrote it.
        corrections: of the case.
    """
    names = ("revision", "reader", "saved_at", "before_sha256", "outputs")
    own = {name: sha for name, sha in entry["outputs"].items() if not name.startswith(f"{FOLDER}/")}
    measured = {key: value for key, value in entry.items() if key != "corrections"}
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
