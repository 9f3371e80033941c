"""Write a finished run's tables and provenance from its records.

Records are asked for one at a time, so that a study of many thousand cases needs no more memory
than one of a hundred.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from ..datapackage import write_datapackage
from ..files import atomic_path, sha256_file, write_json
from ..flags import join_flags
from ..intake.cases import Case, address_of
from ..intake.study import Study
from ..kinds.table import KINDS
from ..provenance import software_versions
from ..settings import Settings, as_plain
from ..tables import TABLES, read_table, write_table
from .corrections import corrected_parts, corrected_row, read_corrections, with_corrections
from .record import Record, case_columns

PROVENANCE_NAME = "provenance.json"

Records = Callable[[], Iterator[tuple[Case, Record]]]


def write_results(directory: Path, study: Study, settings: Settings, records: Records) -> None:
    """Write the tables, study.json, provenance.json and the data package, each whole or not at all.

    Args:
        directory: the output directory.
        study: what was measured; one without timepoints came from the command line.
        settings: as used.
        records: gives every case with its record, in the study's order, as often as asked.

    Raises:
        OSError: a file cannot be written.
    """
    is_study = bool(study.timepoints)
    if is_study:  # first: it says whose the tables are, should this be interrupted
        write_json(directory / "study.json", _study_json(study, settings))
    present = {case.kind for case in study.cases}
    for kind in KINDS.values():
        tables = {kind.table: _rows, **({kind.parts_table: _parts} if kind.parts_table else {})}
        for name, rows_of in tables.items():
            # a table of a kind that the study does not have would look like a lost one
            if kind.name in present or (directory / TABLES[name].filename).exists():
                rows = rows_of(directory, records, kind.name)
                write_table(directory, name, _with_earlier(directory, study, name, rows))
    if is_study:
        for name, given in (("clinical", study.clinical), ("outcomes", study.outcomes)):
            if given:
                write_table(directory, name, given)
            else:
                (directory / f"{name}.csv").unlink(missing_ok=True)
    _write_provenance(directory, study, settings, records)
    write_datapackage(directory, title=study.title)  # last: its time is that of the provenance


def table_rows(directory: Path, records: Records) -> Iterator[tuple[Case, Record, dict[str, Any]]]:
    """Every case with its record and its row as the table has it.

    A reader's correction is laid over the measured row, and what only several cases together show
    is flagged.

    Args:
        directory: the output directory, for the corrections.
        records: gives every case with its record, as often as asked.
    """
    mixed = mixed_people((case.subject, record.result.person) for case, record in records())
    for case, record in records():
        corrections = read_corrections(directory, case.case_id)
        row = corrected_row(corrections, record.table_row(case), KINDS[case.kind].table)
        flags = mixed.get(case.subject, ()) if record.result.person else ()
        yield case, record, with_flags(row, flags)


def _rows(directory: Path, records: Records, kind: str) -> Iterator[dict[str, Any]]:
    return (row for case, _, row in table_rows(directory, records) if case.kind == kind)


def with_flags(row: dict[str, Any], flags: Iterable[str]) -> dict[str, Any]:
    """A row with flags in addition to its own."""
    own = str(row.get("flags") or "").split(";")
    return {**row, "flags": join_flags([*filter(None, own), *flags])} if flags else row


def mixed_people(people: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, tuple[str, ...]]:
    """Flags of subjects under whose code the images state two PatientIDs, births or sexes.

    Args:
        people: subject and the marks of one of its cases (``CaseResult.person``).
    """
    seen: dict[str, dict[str, set[str]]] = {}
    for subject, person in people:
        for keyword, mark in person.items():
            seen.setdefault(subject, {}).setdefault(keyword, set()).add(mark)
    flags = {"PatientID": "patient_id_differs"}
    found = {
        subject: {
            flags.get(keyword, "another_person") for keyword, marks in own.items() if len(marks) > 1
        }
        for subject, own in seen.items()
        if subject
    }
    return {subject: tuple(sorted(names)) for subject, names in found.items() if names}


def _parts(directory: Path, records: Records, kind: str) -> Iterator[dict[str, Any]]:
    for case, record in records():
        if case.kind == kind:
            parts = corrected_parts(
                read_corrections(directory, case.case_id),
                record.table_row(case),
                record.result.parts,
                KINDS[kind].table,
            )
            yield from ({**part, **case_columns(case)} for part in parts)


def _with_earlier(
    directory: Path, study: Study, name: str, rows: Iterator[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Rows of earlier commands into one directory stay: one scan a command is common."""
    if not study.timepoints:
        own = {case.case_id for case in study.cases}
        yield from (dict(r) for r in read_table(directory, name) if r["case_id"] not in own)
    yield from rows


def _study_json(study: Study, settings: Settings) -> dict[str, Any]:
    subjects: dict[str, list[str]] = {subject: [] for subject in study.enrolled}
    for case in study.cases:
        visits = subjects.setdefault(case.subject, [])
        if case.timepoint not in visits:
            visits.append(case.timepoint)
    order = {name: position for position, name in enumerate(study.timepoints)}
    return {
        "title": study.title,
        **({"licence": study.licence} if study.licence else {}),
        "timepoints": list(study.timepoints),
        "subjects": [
            {
                "subject": subject,
                "timepoints": sorted(visits, key=lambda name: order[name]),
                **({"group": study.groups[subject]} if subject in study.groups else {}),
                **({"days": dict(study.days[subject])} if subject in study.days else {}),
            }
            for subject, visits in subjects.items()
        ],
        "visits": {visit: dict(plan) for visit, plan in study.visits.items()},
        "sampling_cv_percent": dict(study.sampling_cv_percent),
        "important_difference": dict(study.important_difference),
        "notes": list(study.notes),
        "primary_measures": list(study.primary_measures),
        "biological_variation_percent": {
            "liver_volume_ml": settings.report.biological_variation_percent,
            **study.biological_variation_percent,
        },
        "smallest_detectable": dict(study.smallest_detectable),
        "standard_liver_volume": settings.report.standard_liver_volume,
        "require_review": settings.report.require_review,
        "versions": software_versions(),
    }


def _write_provenance(directory: Path, study: Study, settings: Settings, records: Records) -> None:
    """Everything a number can be followed to; the inputs' places stay in the work folder."""
    source, versions = study.source, software_versions()
    head = {
        "schema": "fibrovol-provenance-1",
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "study": {
            "file": source.name if source else "",
            "sha256": sha256_file(source) if source and source.is_file() else "",
        },
        "settings": as_plain(settings),
        "versions": versions,
        "tables": {path.name: sha256_file(path) for path in sorted(directory.glob("*.csv"))},
    }
    own = {case.case_id for case in study.cases}
    earlier = {} if study.timepoints else _earlier_provenance(directory)
    own_entries = (
        (
            case.case_id,
            with_corrections(
                case_entry(case, record, versions), read_corrections(directory, case.case_id)
            ),
        )
        for case, record in records()
    )
    others = ((name, entry) for name, entry in earlier.items() if name not in own)
    dump_provenance(directory / PROVENANCE_NAME, head, chain(others, own_entries))


def dump_provenance(
    path: Path, head: Mapping[str, Any], entries: Iterable[tuple[str, Mapping[str, Any]]]
) -> None:
    """Write provenance.json, one line per case, atomically.

    Args:
        path: of the file.
        head: everything but the cases.
        entries: each case's name and entry.
    """
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as stream,
    ):
        stream.write(_json(head).removesuffix("\n}\n") + ',\n "cases": {')
        separator = "\n"
        for name, entry in entries:
            stream.write(f"{separator}  {_line(name)}: {_line(entry)}")
            separator = ",\n"
        stream.write("\n }\n}\n")


def case_entry(case: Case, record: Record, versions: Mapping[str, str]) -> dict[str, Any]:
    """What provenance.json says of a case.

    Args:
        case: as the study gives it.
        record: of its measurement.
        versions: of the software that writes the file; a case's own differ at most in some.
    """
    result = record.result
    return {
        "kind": case.kind,
        "line": case.line,
        "status": result.status,
        "input": {
            "sha256": result.row.get("input_sha256", ""),
            "content_sha256": result.content_sha256,
            "n_files": len(result.input_files),
            # the object's name may hold a patient's; it stays in the work folder, as paths do
            **({"store": url.store} if (url := address_of(case)) else {}),
        },
        "engine_sha256": result.engine_sha256,
        "code_sha256": record.code_sha256,
        "parameters": result.parameters,
        "parameters_sha256": record.parameters_sha256,
        "outputs": result.outputs,
        "attempts": record.attempts,
        "finished": record.finished,
        "seconds": result.seconds,
        "versions": dict(result.versions.items() - versions.items()),
    }


def _earlier_provenance(directory: Path) -> dict[str, Any]:
    try:
        text = (directory / PROVENANCE_NAME).read_text(encoding="utf-8")
        return dict(json.loads(text)["cases"])
    except (OSError, ValueError, KeyError):
        return {}


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
