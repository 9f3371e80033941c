"""Merge the results of parts of a study, measured apart, into one results folder."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..files import atomic_path, sha256_file, writing
from ..intake.cases import Case
from ..intake.study import Study
from ..settings import Settings, build
from .asked import is_as_asked
from .journal import JOURNAL_NAME, Journal, read_records
from .lock import hold, is_held
from .output import WORK_NAME, OutputDirectory
from .progress import Event, Progress, write_progress
from .record import Record
from .result_files import PROVENANCE_NAME, write_results
from .runner import RunSummary, summarise

_MANY = 20  # names listed in a message


@dataclass(frozen=True)
class _Found:
    """A record and the part that it comes from."""

    record: Record
    part: Path


def merge_parts(
    study: Study,
    parts: Sequence[Path],
    output_dir: Path,
    *,
    tell: Callable[[int, int], None] | None = None,
) -> RunSummary:
    """Put the results of ``run --only`` or ``run --shard`` together, as if run in one.

    Nothing is measured. Every case of the study must be in a part, whole: its files are compared
    with the hashes that were taken when they were written. A later ``run`` into the merged folder
    finds every case finished.

    Args:
        study: the whole study.
        parts: results folders of its parts.
        output_dir: where the merged results are written.
        tell: called with (cases done, cases in all).

    Raises:
        OutputError: ``not_a_result``: a folder is no result of this study, is still being written,
            was made with other settings than another or lacks a file; a case is in none; two parts
            disagree about a case; a case's line in the study was changed since.
    """
    started = time.monotonic()
    if output_dir.resolve() in {part.resolve() for part in parts}:
        raise _no_result(
            "The merged results would be written over a part",
            str(output_dir),
            "give a folder of their own with -o",
        )
    settings = _settings_of(parts)
    found = _collect(study, parts)
    output = OutputDirectory(output_dir)
    output.refuse_inputs_inside(study)
    output.refuse_other_use(is_study=bool(study.timepoints))
    with hold(output.work), Journal(output.work / JOURNAL_NAME) as journal:
        output.clear_staging()
        for number, case in enumerate(study.cases, start=1):
            one = found[case.case_id]
            _copy_outputs(one, output)
            journal.add(one.record)
            if tell is not None:
                tell(number, len(study.cases))

        def records() -> Iterator[tuple[Case, Record]]:
            for case in study.cases:
                record = journal.get(case.case_id)
                assert record is not None, "it was just added"
                yield case, record

        with writing():
            write_results(output.path, study, settings, records)
        summary = summarise(output.path, records, reused=len(study.cases), kept=(), started=started)
        total, failed = len(study.cases), len(summary.failures)
        end = Progress(Event.END, "", total, total, failed, total, summary.seconds)
        write_progress(output.work, end)
        return summary


def _no_result(what: str, found: str, do: str) -> OutputError:
    return OutputError("not_a_result", what, found=found, do=do)


def _settings_of(parts: Sequence[Path]) -> Settings:
    """The settings that every part was measured with."""
    first: dict[str, Any] = {}
    for part in parts:
        if is_held(part / WORK_NAME):
            raise _no_result(
                "A part is still being measured", str(part), "wait until its run has ended"
            )
        try:
            text = (part / PROVENANCE_NAME).read_text(encoding="utf-8")
            settings = {**json.loads(text)["settings"], "run": {}}  # how it was run is not a result
            own = dict(json.loads(text)["settings"]["run"])
        except (OSError, ValueError, KeyError, TypeError):
            raise _no_result(
                "A part contains no finished results",
                f"no usable {PROVENANCE_NAME} in {part}",
                "repeat its `fibrovol run`, then merge",
            ) from None
        if not first:
            first, run = settings, own
        elif settings != first:
            raise _no_result(
                "Two parts were measured with different settings",
                f"{parts[0]} and {part}",
                "measure both again with the same --settings",
            )
    if not first:
        raise _no_result("There is nothing to merge", "no part", "give the folders of the parts")
    return build(Settings, {**first, "run": run}, "", PROVENANCE_NAME)


def _collect(study: Study, parts: Sequence[Path]) -> dict[str, _Found]:
    """The record of every case of the study; the newest where several parts hold equal ones."""
    known = {case.case_id: case for case in study.cases}
    found: dict[str, _Found] = {}
    for part in parts:
        newest = {r.case_id: r for r in read_records(part / WORK_NAME / JOURNAL_NAME)}
        if strange := sorted(set(newest) - set(known)):
            raise _no_result(
                "A part contains cases that the study does not have",
                f"{', '.join(strange[:_MANY])} in {part}",
                "give the study that the part was measured from",
            )
        for case_id, record in newest.items():
            if not is_as_asked(record, known[case_id]):
                raise _no_result(
                    f"The study was changed after the case {case_id} was measured",
                    f"another line for it than the one that {part} was measured from",
                    "measure this part again, or give the study as it was",
                )
            before = found.get(case_id)
            if before is not None and not _agree(before.record, record):
                raise _no_result(
                    f"Two parts disagree about the case {case_id}",
                    f"{before.part} and {part}",
                    "leave one of them out, or measure both again with the same version",
                )
            if before is None or before.record.finished <= record.finished:
                found[case_id] = _Found(record, part)
    if missing := [case.case_id for case in study.cases if case.case_id not in found]:
        more = f" and {len(missing) - _MANY} more" if len(missing) > _MANY else ""
        raise _no_result(
            f"{len(missing)} of {len(study.cases)} cases are in no part",
            ", ".join(missing[:_MANY]) + more,
            "measure them with `fibrovol run --only`, and merge that folder, too",
        )
    return found


def _agree(one: Record, other: Record) -> bool:
    """Whether two records of a case say the same: row, failure and what was measured."""
    if one.result.failure is not None or other.result.failure is not None:
        return one.result.failure == other.result.failure
    return (one.result.row, one.code_sha256, one.parameters_sha256) == (
        other.result.row,
        other.code_sha256,
        other.parameters_sha256,
    )


def _copy_outputs(found: _Found, output: OutputDirectory) -> None:
    """Copy a case's files; each must be what the part's run wrote."""
    for name, sha256 in found.record.result.outputs.items():
        source = found.part / name
        with writing(), atomic_path(output.path / name) as temporary:
            try:
                shutil.copyfile(source, temporary)
            except FileNotFoundError:
                raise _no_result(
                    "A file of a part is missing",
                    str(source),
                    "repeat the same `fibrovol run` for this part, then merge",
                ) from None
            if sha256 and sha256_file(temporary) != sha256:
                raise _no_result(
                    "A file of a part was changed after it was written",
                    str(source),
                    "merge first and edit in the merged folder, or measure the part again",
                )
