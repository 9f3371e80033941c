"""The series of a scan's folder: listed for a reader, and one chosen where the rules refuse.

The choice stands in ``corrections/CASE.json``, where every later run reads it, and the scan is
measured at once as such a run would: the next one finds it finished.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..batch.asked import asked_of, task_of
from ..batch.corrections import read_corrections, with_corrections, write_corrections
from ..batch.journal import JOURNAL_NAME, Journal, read_records
from ..batch.lock import hold
from ..batch.measure_case import measure_case
from ..batch.output import OutputDirectory
from ..batch.pool import available_cores
from ..batch.record import Record
from ..batch.result_files import case_entry, mixed_people, with_flags
from ..batch.task import parameters_sha256
from ..code_hash import code_sha256
from ..errors import FibrovolError, InputError
from ..files import writing
from ..imaging.series.find import find_series
from ..imaging.series.summary import SeriesSummary
from ..intake.cases import place_of
from ..kinds.table import KINDS
from ..provenance import software_versions
from .publish import write_case
from .results import ReadCase, Results


def list_series(results: Results, case: ReadCase) -> list[SeriesSummary]:
    """The series of DICOM slices where a case's scan lies.

    Raises:
        InputError: it is not there.
    """
    found = find_series(results.input_path(case.case_id))
    return [one for one in found if one.series_uid and one.n_slices]


def series_view(results: Results, case: ReadCase, *, blind: bool) -> dict[str, Any]:
    """What a reader chooses among; blinded without the words of the hospital.

    Args:
        results: the folder.
        case: a scan.
        blind: leave out descriptions, which may name people and days.
    """
    return {
        "series": [
            {
                "key": _key(one),
                "description": "" if blind else one.description,
                "number": one.series_number,
                "modality": one.modality,
                "plane": one.plane,
                "contrast": one.contrast,
                "slices": one.n_slices,
                "spacing_mm": one.spacing_mm,
                "original": one.is_original,
                "usable": one.usable,
                "reason": one.code if blind else one.reason,
                "measured": one.series_uid == str(case.row["series_uid"] or ""),
            }
            for one in list_series(results, case)
        ]
    }


def _key(one: SeriesSummary) -> str:
    """A name for the page: a UID would lead back to the hospital's archive."""
    return hashlib.sha256(one.series_uid.encode()).hexdigest()[:16]


def choose_series(results: Results, case: ReadCase, key: str, reader: str) -> None:
    """Measure a scan on the series that a reader chose.

    Args:
        results: the folder.
        case: a scan that nobody corrected.
        key: of the series, as :func:`series_view` gives it.
        reader: code of the reader.

    Raises:
        InputError: there is no such series, the case is corrected, or it changed meanwhile.
        FibrovolError: why the series could not be measured; nothing was changed then.
        OutputError: the folder cannot be written, or a run holds it.
    """
    listed = list_series(results, case)
    patients = {one.patient_id for one in listed if one.usable}
    if len(patients) > 1:
        raise InputError(
            "bad_review",
            "The folder contains scans of several patients",
            found=f"{len(patients)} different PatientIDs",
            do="give the folder of one patient's visit in study.csv and run the study again",
        )
    chosen = next((one for one in listed if _key(one) == key), None)
    if chosen is None or not chosen.usable:
        raise InputError(
            "bad_review",
            "This series cannot be measured",
            found="it is not there any more" if chosen is None else chosen.reason,
            do="choose another one",
        )
    if case.corrections.standing:
        raise InputError(
            "bad_review",
            "The outline of this case was corrected on its present series",
            found=f"revision {case.corrections.standing}",
            do="take the correction back first: undo it, or paint it back, and save",
        )
    before = results.record(case.case_id)
    output = OutputDirectory(results.directory)
    task = task_of(before, output.new_staging(), threads=available_cores())
    task = replace(task, case=replace(task.case, series_uid=chosen.series_uid))
    try:
        found = measure_case(task)
        if (failure := found.failure) is not None:
            raise FibrovolError(failure.code, failure.what, found=failure.found, do=failure.do)
        record = replace(
            before,
            result=found,
            path=place_of(task.case),
            code_sha256=code_sha256(KINDS[case.kind].module),
            parameters_sha256=parameters_sha256(task.case, task.settings, None, task.permissions),
            attempts=1,
            finished=_now(),
            asked=asked_of(task.case, task.settings, task.permissions),
        )
        _publish(results, case, task.staging, (before, record, reader))
    finally:
        shutil.rmtree(task.staging, ignore_errors=True)


def _publish(
    results: Results, case: ReadCase, staging: Path, change: tuple[Record, Record, str]
) -> None:
    """Move the files to their places, note the case as measured, and write its rows."""
    before, record, reader = change
    directory, found = results.directory, record.result
    with hold(results.work):
        if results.record(case.case_id).finished != before.finished:
            raise InputError(
                "changed_meanwhile",
                "This case was measured by somebody else meanwhile",
                found="a newer record",
                do="load the page again",
            )
        people = [
            (str(one.asked["case"]["subject"]), one.result.person)
            for one in (*read_records(results.work / JOURNAL_NAME), record)
            if one.asked and (one is record or one.case_id != case.case_id)
        ]
        with writing():
            OutputDirectory(directory).publish(staging, found.outputs, before.result.outputs)
            with Journal(results.work / JOURNAL_NAME) as journal:
                journal.add(record)
            corrections = replace(
                read_corrections(directory, case.case_id),
                chosen={"series_uid": found.row["series_uid"], "reader": reader}
                | {"chosen_at": record.finished},
            )
            write_corrections(directory, corrections)
            own = task_of(record, staging).case
            row = with_flags(record.table_row(own), mixed_people(people).get(own.subject, ()))
            write_case(
                results,
                case.kind,
                row,
                [],
                lambda entry: with_corrections(
                    {**case_entry(own, record, software_versions()), "line": entry.get("line", 0)},
                    corrections,
                ),
            )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
