"""Publish a reader's correction: its files, the case's rows, provenance and the data package.

Nothing is overwritten, and whoever saves second on the same revision is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..batch.corrections import (
    FOLDER,
    OUTDATED,
    Corrections,
    corrected_parts,
    corrected_row,
    read_corrections,
    with_corrections,
    write_corrections,
)
from ..batch.lock import hold
from ..batch.result_files import PROVENANCE_NAME, dump_provenance
from ..datapackage import write_datapackage
from ..errors import InputError, OutputError
from ..files import move, sha256_file, writing
from ..flags import join_flags
from ..kinds.table import KINDS
from ..tables import TABLES, read_table, write_table
from .results import ReadCase, Results

CASE_COLUMNS = ("subject", "timepoint", "case_id")


def measured_of(results: Results, case: ReadCase) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A case's row and the rows of its parts as they were measured, before any reader.

    Args:
        results: the folder.
        case: as it stands.
    """
    if case.corrections.standing and OUTDATED not in case.flags:
        return dict(case.corrections.measured), list(case.corrections.measured_parts)
    row = dict(case.row)
    row["flags"] = join_flags([flag for flag in case.flags if flag != OUTDATED])
    table = KINDS[case.kind].parts_table
    rows = read_table(results.directory, table) if table else []
    own = [part for part in rows if part["case_id"] == case.case_id]
    return row, [{k: v for k, v in part.items() if k not in CASE_COLUMNS} for part in own]


def refuse_stale(case: ReadCase, revision: int, mask_sha256: str) -> None:
    """Refuse what was drawn over something else than what stands.

    Args:
        case: as it stands.
        revision: that the page had loaded.
        mask_sha256: of the mask that the page had loaded.

    Raises:
        InputError: ``changed_meanwhile``.
    """
    if (revision, mask_sha256) != (case.corrections.standing, case.mask_sha256):
        raise InputError(
            "changed_meanwhile",
            "Somebody else saved this case since you opened it",
            found=f"revision {case.corrections.standing}, yours was {revision}",
            do="nothing of yours was saved; load the page again and compare",
        )


def publish(
    results: Results, case: ReadCase, new: Corrections, staging: Path | None
) -> Corrections:
    """Move the files to their places and write the tables, unless somebody else was quicker.

    Args:
        results: the folder.
        case: as it was when the correction was begun.
        new: the case's corrections from now on.
        staging: the folder of the new revision's files, None without one.

    Raises:
        InputError: ``changed_meanwhile``.
        OutputError: the folder cannot be written, or a run holds it.
    """
    directory = results.directory
    with hold(results.work):
        if read_corrections(directory, case.case_id).standing != case.corrections.standing:
            raise InputError(
                "changed_meanwhile",
                "Somebody else saved this case while yours was measured",
                found="a newer revision",
                do="nothing of yours was saved; load the page again and compare",
            )
        with writing():
            folder = directory / FOLDER
            folder.mkdir(exist_ok=True)
            for path in sorted(staging.iterdir()) if staging else []:
                move(path, folder / path.name)
            write_corrections(directory, new)
            _write_tables(results, case.kind, new)
    return new


def _write_tables(results: Results, kind: str, new: Corrections) -> None:
    """The case's rows, its provenance and the data package."""
    table = KINDS[kind].table
    write_case(
        results,
        kind,
        corrected_row(new, new.measured, table),
        corrected_parts(new, new.measured, new.measured_parts, table),
        lambda entry: with_corrections(entry, new),
    )


def write_case(
    results: Results,
    kind: str,
    row: dict[str, Any],
    parts: list[dict[str, Any]],
    entry_of: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    """Replace one case in the tables, in provenance.json and in the data package.

    Args:
        results: the folder, held by the caller.
        kind: of the case.
        row: the case's new row.
        parts: the new rows of its parts, without the columns that name the case.
        entry_of: gives the case's new entry of provenance.json from the old one.

    Raises:
        OutputError: ``not_a_result``: provenance.json cannot be used.
        OSError: a file cannot be written.
    """
    directory, table, case_id = results.directory, KINDS[kind].table, str(row["case_id"])
    path = directory / PROVENANCE_NAME
    try:
        provenance = json.loads(path.read_text(encoding="utf-8"))
        entry = provenance["cases"][case_id]
    except (OSError, ValueError, KeyError):
        raise OutputError(
            "not_a_result",
            "The results lack their provenance",
            found=f"no usable {PROVENANCE_NAME}",
            do="repeat the same `fibrovol run` command, which writes it",
        ) from None
    written = [table]
    before = read_table(directory, table)
    write_table(directory, table, [row if r["case_id"] == case_id else dict(r) for r in before])
    if parts_table := KINDS[kind].parts_table:
        written.append(parts_table)
        names = {name: row[name] for name in CASE_COLUMNS}
        own = [{**part, **names} for part in parts]
        write_table(
            directory, parts_table, _replaced(read_table(directory, parts_table), own, before)
        )
    provenance["cases"][case_id] = entry_of(entry)
    files = [TABLES[name].filename for name in written]
    provenance["tables"] = {
        **provenance.get("tables", {}),
        **{name: sha256_file(directory / name) for name in files},
    }
    cases = provenance.pop("cases")
    dump_provenance(path, provenance, cases.items())
    write_datapackage(directory, title=results.title)


def _replaced(
    before: list[dict[str, Any]], own: list[dict[str, Any]], cases: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The rows of all parts, with one case's replaced, in the order of the cases."""
    by_case: dict[str, list[dict[str, Any]]] = {str(case["case_id"]): [] for case in cases}
    for part in before:
        by_case.setdefault(str(part["case_id"]), []).append(part)
    if own:
        by_case[str(own[0]["case_id"])] = own
    return [part for parts in by_case.values() for part in parts]
