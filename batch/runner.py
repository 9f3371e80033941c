"""Run a study: resume it, give each case a status, write the tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..code_hash import code_sha256
from ..errors import Failure, FibrovolError, ManifestError, OutputError
from ..files import writing
from ..intake.cases import Case, address_of, place_of
from ..intake.study import Study, read_study
from ..kinds.base import Permissions
from ..kinds.table import KINDS
from ..provenance import content_sha256
from ..settings import Settings, load_settings
from ..sheets.problems import Problems
from ..tables import as_written
from .asked import asked_of
from .corrections import with_chosen_series
from .journal import JOURNAL_NAME, Journal, read_records
from .lock import hold
from .measure_case import TRANSIENT_CODES, measure_case
from .output import WORK_NAME, OutputDirectory
from .pool import Attempt, Executor, SerialExecutor
from .privacy import INPUT
from .progress import Event, Progress, write_progress
from .record import Record
from .result_files import Records, table_rows, write_results
from .shown_progress import shown_progress
from .task import CaseResult, CaseTask, case_inputs, combined, input_states, parameters_sha256

_TELL_SECONDS = 1.0  # between two notes of how far the run is


@dataclass(frozen=True)
class RunSummary:
    """What a run did."""

    output_dir: Path
    """Where the tables are."""
    n_cases: int
    """Cases of the study."""
    n_measured: int
    """Of them measured."""
    n_reused: int
    """Of all, taken from an earlier run."""
    failures: tuple[tuple[str, Failure], ...]
    """case_id and why of each failed case, in the study's order; unlike in the tables with the path
    as the user wrote it."""
    kept: tuple[str, ...]
    """Files a person had edited, moved to kept/ because the case was measured again."""
    seconds: float
    """Wall time."""
    rows: tuple[dict[str, Any], ...] = ()
    """The cases' rows as in the tables, in the study's order."""


def run_study(
    study: Study | Path | str,
    output_dir: Path | str,
    *,
    settings: Settings | None = None,
    executor: Executor | None = None,
    progress: Callable[[Progress], None] | bool = False,
    measure: Callable[[CaseTask], CaseResult] = measure_case,
    permissions: Permissions | None = None,
    date_shifts: Mapping[str, int] | None = None,
) -> RunSummary:
    """Measure every case of a study and write the tables.

    A case that an earlier run finished in the same directory is taken from there, unless its
    inputs, its parameters, the engine's weights or the measuring code changed.

    Args:
        study: the study, or the path of its study.csv or study.yaml.
        output_dir: where everything is written, and nothing elsewhere.
        settings: the defaults with the study's changes if not given.
        executor: runs the cases; one after the other in this process if not given.
        progress: told after every case; True shows a bar in a notebook and on a terminal, lines
            elsewhere.
        measure: what measures a case.
        permissions: what the user allowed beyond the usual.
        date_shifts: days by subject, added to the dates of DICOM results; without it these hold
            no date.

    Returns:
        What was done; failed cases are in the tables and in it.

    Raises:
        ManifestError: the study contains no case, or names a stain or engine that does not exist.
        OutputError: the directory cannot be used, or another run holds it.
    """
    if progress is True:
        with shown_progress() as show:
            return run_study(
                study,
                output_dir,
                settings=settings,
                executor=executor,
                progress=show,
                measure=measure,
                permissions=permissions,
                date_shifts=date_shifts,
            )
    if not isinstance(study, Study):
        study = read_study(Path(study))
    output_dir = Path(output_dir)
    if not study.cases:
        raise ManifestError(
            "bad_manifest", "There is nothing to measure", do="give scans or slides"
        )
    settings = settings or load_settings(study.settings)
    _refuse_unknown_choices(study, settings)
    output = OutputDirectory(output_dir)
    output.refuse_inputs_inside(study)
    output.refuse_other_use(is_study=bool(study.timepoints))
    study = replace(
        study, cases=tuple(with_chosen_series(output.path, case) for case in study.cases)
    )
    with hold(output.work), Journal(output.work / JOURNAL_NAME) as journal:
        _refuse_results_of_the_rest(study, journal)
        output.clear_staging()
        run = _Run(
            study,
            settings,
            output,
            journal,
            permissions=permissions or Permissions(),
            date_shifts=date_shifts or {},
            tell=progress or (lambda _: None),
        )
        run.measure_all(executor or SerialExecutor(), measure)
        with writing():
            run.write_results()
        return run.end()


def _refuse_unknown_choices(study: Study, settings: Settings) -> None:
    """Refuse stains and engines that do not exist before anything is measured.

    Raises:
        ManifestError: listing every case that names one, with its line.
    """
    problems = Problems()
    for case in study.cases:
        if problem := KINDS[case.kind].problem(case, settings):
            problems.add(case.line, problem)
    problems.raise_if_any(study.source.name if study.source else "The command")


def _refuse_results_of_the_rest(study: Study, journal: Journal) -> None:
    """Keep a part of a study out of a folder whose tables would lose the other cases' rows.

    Raises:
        OutputError: it contains results of cases that are measured elsewhere.
    """
    others = [case.case_id for case in study.elsewhere if journal.get(case.case_id) is not None]
    if others:
        raise OutputError(
            "output_not_writable",
            "The output directory contains results of other cases of the study",
            found=", ".join(others[:5]) + (" ..." if len(others) > 5 else ""),
            do="give a part of the study a folder of its own with -o, then `fibrovol merge`",
        )


class _Run:
    """The state of one run."""

    def __init__(
        self,
        study: Study,
        settings: Settings,
        output: OutputDirectory,
        journal: Journal,
        *,
        permissions: Permissions,
        date_shifts: Mapping[str, int],
        tell: Callable[[Progress], None],
    ) -> None:
        self.study, self.settings = study, settings
        self.output, self.journal = output, journal
        self.permissions, self.date_shifts, self.tell = permissions, date_shifts, tell
        self._started = self._told = time.monotonic()
        self._done = self._failed = self._reused = 0
        self._kept: list[str] = []
        self._by_id = {case.case_id: case for case in study.cases}
        self._baselines = {
            (case.kind, case.subject): case
            for case in reversed((*study.cases, *study.elsewhere))
            if study.timepoints and case.timepoint == study.timepoints[0]
        }

    def _tell(self, event: Event, case_id: str = "", message: str = "") -> None:
        now = Progress(
            event,
            case_id,
            self._done,
            len(self.study.cases),
            self._failed,
            self._reused,
            time.monotonic() - self._started,
            message,
        )
        if not case_id or time.monotonic() - self._told > _TELL_SECONDS:
            write_progress(self.output.work, now)
            self._told = time.monotonic()
        self.tell(now)

    def measure_all(self, executor: Executor, measure: Callable[[CaseTask], CaseResult]) -> None:
        self._tell(Event.START)
        tasks = self._unfinished()
        for attempt in executor.run(measure, tasks):
            self._finish(attempt)

    def _unfinished(self) -> Iterator[CaseTask]:
        """The cases that no earlier run finished, as they are asked for."""
        for case in self.study.cases:
            record = self.journal.get(case.case_id)
            if record is not None and self._still_holds(case, record):
                self._reused += 1
                self._count(Event.REUSED, record)
            else:
                baseline = self._baseline_of(case)
                staging = self.output.new_staging()
                yield CaseTask(
                    case,
                    self.settings,
                    staging,
                    baseline=baseline,
                    permissions=self.permissions,
                    date_shift_days=self._date_shift(case),
                )

    def _baseline_of(self, case: Case) -> Case | None:
        """The subject's first scan, for a later one in a folder: it may hold several series."""
        if not KINDS[case.kind].follows_baseline:
            return None
        first = self._baselines.get((case.kind, case.subject))
        url = address_of(case)
        is_folder = url.may_be_folder if url else case.path.is_dir()
        may_choose = not case.series_uid and is_folder
        if not may_choose or first is None or first.timepoint == case.timepoint:
            return None
        return first

    def _date_shift(self, case: Case) -> int | None:
        return self.date_shifts.get(case.subject) if KINDS[case.kind].writes_dicom else None

    def _parameters_sha256(self, case: Case) -> str:
        return parameters_sha256(case, self.settings, self._baseline_of(case), self.permissions)

    def _still_holds(self, case: Case, record: Record) -> bool:
        """Whether a finished case need not be measured again."""
        failure = record.result.failure
        if failure is not None and failure.code in TRANSIENT_CODES:
            return False
        # the shift apart from the parameters: their hash is passed on, and so few can be tried out
        made_with = (record.parameters_sha256, record.date_shift_days)
        if made_with != (self._parameters_sha256(case), self._date_shift(case)):
            return False
        if not self.output.present(record.result.outputs):
            return False
        try:
            states = input_states(case)
            if combined(state.stat_sha256 for state in states) == record.result.stat_sha256:
                return True
            # copied or touched: the same content is the same case; what lies elsewhere is not
            # fetched for a look only
            content = "" if case.remote else combined(map(content_sha256, states))
        except FibrovolError:
            return False  # the measurement says what is wrong with it now
        return bool(content) and content == record.result.content_sha256

    def _finish(self, attempt: Attempt) -> None:
        result, case = attempt.result, self._by_id[attempt.result.case_id]
        before = self.journal.get(case.case_id)
        recorded = before.result.outputs if before is not None else {}
        self._kept += self.output.publish(attempt.staging, result.outputs, recorded)
        record = Record(
            result,
            kind=case.kind,
            path=place_of(case),
            inputs=tuple(str(path) for path in case_inputs(case)),
            code_sha256=code_sha256(KINDS[case.kind].module),
            parameters_sha256=self._parameters_sha256(case),
            date_shift_days=self._date_shift(case),
            attempts=attempt.number,
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            asked=asked_of(case, self.settings, self.permissions),
        )
        self.journal.add(record)
        self._count(Event(result.status), record)

    def _count(self, event: Event, record: Record) -> None:
        self._done += 1
        failure, case = record.result.failure, self._by_id[record.case_id]
        if failure is not None:
            self._failed += 1
        message = "" if failure is None else str(_with_path(failure, case))
        self._tell(event, case.case_id, message)

    def _records(self) -> Iterator[tuple[Case, Record]]:
        for case in self.study.cases:
            record = self.journal.get(case.case_id)
            assert record is not None, "every case was finished before this is asked"
            yield case, record

    def write_results(self) -> None:
        """Tables, study.json, provenance.json and the data package."""
        write_results(self.output.path, self.study, self.settings, self._records)

    def end(self) -> RunSummary:
        """Say that everything is written, and what was done."""
        self._tell(Event.END)
        return summarise(
            self.output.path,
            self._records,
            reused=self._reused,
            kept=self._kept,
            started=self._started,
        )


def summarise(
    output_dir: Path,
    records: Records,
    *,
    reused: int,
    kept: Iterable[str],
    started: float,
) -> RunSummary:
    """What was done, from the records of all cases.

    Args:
        output_dir: where the tables are.
        records: every case with its record.
        reused: how many were finished before.
        kept: edited files that were moved away.
        started: of the run, by ``time.monotonic``.
    """
    failures, rows = [], []
    for case, record, row in table_rows(output_dir, records):
        rows.append(as_written(KINDS[case.kind].table, row))
        if failure := record.result.failure:
            failures.append((case.case_id, _with_path(failure, case)))
    return RunSummary(
        output_dir,
        len(rows),
        len(rows) - len(failures),
        reused,
        tuple(failures),
        tuple(kept),
        time.monotonic() - started,
        tuple(rows),
    )


def _with_path(failure: Failure, case: Case) -> Failure:
    """For the user's own screen, with the path as the user wrote it."""
    return failure.mapped(lambda text: text.replace(INPUT, case.written_path))


def taken_ids(output_dir: Path) -> dict[str, str]:
    """The case_ids that an output directory knows, with the path each stands for."""
    path = Path(output_dir) / WORK_NAME / JOURNAL_NAME
    return {record.case_id: record.path for record in read_records(path)}
