"""A study in, its tables out: resumable, a status for each case, never a silent gap."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..config import Settings, as_plain, load_settings
from ..errors import FibrovolError, ManifestError
from ..files import sha256_file, write_text
from ..provenance import code_sha256, content_sha256, software_versions
from .cases import Case, place_of
from .choosing import check_choices
from .executor import Attempt, Executor, SerialExecutor
from .journal import JOURNAL_NAME, Journal, Record, read_records
from .lock import hold
from .manifest import Study
from .measuring import TRANSIENT_CODES, measure_case
from .outputdir import WORK_NAME, OutputDirectory
from .privacy import INPUT
from .progress import Progress, write_progress
from .results import TABLES, read_table, write_datapackage, write_table
from .task import (
    CaseResult,
    CaseTask,
    Permissions,
    case_inputs,
    combined,
    input_states,
    parameters_sha256,
)
from .writing import writing

_TELL_SECONDS = 1.0  # between two notes of how far the run is

TABLE_OF_KIND = {"scan": "volumes", "slide": "collagen"}


@dataclass(frozen=True)
class RunSummary:
    """What a run did.

    Attributes:
        output_dir: where the tables are.
        n_cases: cases of the study.
        n_measured: of them measured.
        n_reused: of all, taken from an earlier run.
        failures: case_id and error of each failed case, in the study's order; unlike in the tables
            with the path as the user wrote it.
        kept: files a person had edited, moved to kept/ because the case was measured again.
        seconds: wall time.
    """

    output_dir: Path
    n_cases: int
    n_measured: int
    n_reused: int
    failures: tuple[tuple[str, str], ...]
    kept: tuple[str, ...]
    seconds: float


def run_study(
    study: Study,
    output_dir: Path,
    *,
    settings: Settings | None = None,
    executor: Executor | None = None,
    progress: Callable[[Progress], None] | None = None,
    measure: Callable[[CaseTask], CaseResult] = measure_case,
    permissions: Permissions | None = None,
) -> RunSummary:
    """Measure every case of a study and write the tables.

    A case that an earlier run finished in the same directory is taken from there, unless its
    inputs, its parameters, the engine's weights or the measuring code changed.

    Args:
        study: the study.
        output_dir: where everything is written, and nothing elsewhere.
        settings: the defaults with the study's changes if not given.
        executor: who works the cases off; one after the other in this process if not given.
        progress: told after every case.
        measure: what measures a case.
        permissions: what the user allowed beyond the usual.

    Returns:
        What was done; failed cases are in the tables and in it.

    Raises:
        ManifestError: the study holds no case, or names a stain or engine that does not exist.
        OutputError: the directory cannot be used, or another run holds it.
    """
    if not study.cases:
        raise ManifestError(
            "bad_manifest", "There is nothing to measure", do="give scans or slides"
        )
    settings = settings or load_settings(study.settings)
    check_choices(study, settings)
    output = OutputDirectory(output_dir)
    output.refuse_inputs_inside(study)
    output.refuse_other_use(is_study=bool(study.timepoints))
    with hold(output.work), Journal(output.work / JOURNAL_NAME) as journal:
        output.clear_staging()
        run = _Run(study, settings, output, journal, permissions or Permissions())
        run.tell = progress or run.tell
        run.work_off(executor or SerialExecutor(), measure)
        with writing():
            run.write_results()
        return run.end()


class _Run:
    """The state of one run."""

    def __init__(
        self,
        study: Study,
        settings: Settings,
        output: OutputDirectory,
        journal: Journal,
        permissions: Permissions,
    ) -> None:
        self.study, self.settings = study, settings
        self.output, self.journal = output, journal
        self.permissions = permissions
        self.tell: Callable[[Progress], None] = lambda _: None
        self._started = self._told = time.monotonic()
        self._done = self._failed = self._reused = 0
        self._kept: list[str] = []
        self._by_id = {case.case_id: case for case in study.cases}
        self._first_scans = {
            case.subject: case
            for case in reversed(study.cases)
            if case.kind == "scan" and study.timepoints and case.timepoint == study.timepoints[0]
        }

    def _tell(self, event: str, case_id: str = "", message: str = "") -> None:
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

    def work_off(self, executor: Executor, measure: Callable[[CaseTask], CaseResult]) -> None:
        self._tell("start")
        tasks = self._unfinished()
        for attempt in executor.run(measure, tasks):
            self._finish(attempt)

    def _unfinished(self) -> Iterator[CaseTask]:
        """The cases that no earlier run finished, as they are asked for."""
        for case in self.study.cases:
            record = self.journal.records.get(case.case_id)
            if record is not None and self._still_holds(case, record):
                self._reused += 1
                self._count("reused", record)
            else:
                baseline = self._baseline_of(case)
                staging = self.output.new_staging()
                yield CaseTask(
                    case, self.settings, staging, baseline=baseline, permissions=self.permissions
                )

    def _baseline_of(self, case: Case) -> Case | None:
        """The subject's first scan, for a later one in a folder: it may hold several series."""
        first = self._first_scans.get(case.subject)
        may_choose = case.kind == "scan" and not case.series_uid and case.path.is_dir()
        if not may_choose or first is None or first.timepoint == case.timepoint:
            return None
        return first

    def _parameters_sha256(self, case: Case) -> str:
        return parameters_sha256(case, self.settings, self._baseline_of(case), self.permissions)

    def _still_holds(self, case: Case, record: Record) -> bool:
        """Whether a finished case need not be measured again."""
        row = record["row"]
        if str(row.get("error", "")).partition(":")[0] in TRANSIENT_CODES:
            return False
        if record["parameters_sha256"] != self._parameters_sha256(case):
            return False
        if not self.output.present(record["outputs"]):
            return False
        try:
            states = input_states(case)
            if combined([state.stat_sha256 for state in states]) == record["stat_sha256"]:
                return True
            # copied or touched: the same content is the same case
            content = combined([content_sha256(state) for state in states])
        except FibrovolError:
            return False  # the measurement says what is wrong with it now
        return bool(record["content_sha256"] and content == record["content_sha256"])

    def _finish(self, attempt: Attempt) -> None:
        result, case = attempt.result, self._by_id[attempt.result.case_id]
        before = self.journal.records.get(case.case_id, {}).get("outputs", {})
        self._kept += self.output.publish(attempt.staging, result.outputs, before)
        record: Record = {
            **dataclasses.asdict(result),
            "kind": case.kind,
            "path": place_of(case),
            "inputs": [str(path) for path in case_inputs(case)],
            "code_sha256": code_sha256(case.kind),
            "parameters_sha256": self._parameters_sha256(case),
            "attempts": attempt.number,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.journal.add(record)
        self._count(str(result.row["status"]), record)

    def _count(self, event: str, record: Record) -> None:
        self._done += 1
        error = str(record["row"].get("error", ""))
        if error:
            self._failed += 1
        case = self._by_id[str(record["case_id"])]
        self._tell(event, case.case_id, _with_path(error, case))

    def _records(self) -> Iterator[tuple[Case, Record]]:
        for case in self.study.cases:
            yield case, self.journal.records[case.case_id]

    def write_results(self) -> None:
        """Tables, study.json, provenance.json and the data package, each whole or not at all."""
        directory = self.output.path
        by_table: dict[str, list[dict[str, Any]]] = {"volumes": [], "collagen": [], "fragments": []}
        for case, record in self._records():
            ids = {
                "subject": case.subject,
                "timepoint": case.timepoint,
                "case_id": case.case_id,
            }
            row = {**record["row"], **ids}
            if case.kind == "slide":
                row.setdefault("stain", case.stain)
            by_table[TABLE_OF_KIND[case.kind]].append(row)
            by_table["fragments"] += [{**fragment, **ids} for fragment in record["fragments"]]
        if not self._is_study:
            self._keep_earlier_rows(by_table)
        if self._is_study:  # first: it says whose the tables are, should this be interrupted
            write_text(directory / "study.json", _json(self._study_json()))
        for name, rows in by_table.items():
            # a table of a kind that the study does not have would look like a lost one
            if rows or (directory / TABLES[name].filename).exists():
                write_table(directory, name, rows)
        if self._is_study:
            for name, given in (
                ("clinical", self.study.clinical),
                ("outcomes", self.study.outcomes),
            ):
                if given:
                    write_table(directory, name, given)
                else:
                    (directory / f"{name}.csv").unlink(missing_ok=True)
        write_datapackage(directory, title=self.study.title)
        write_text(directory / "provenance.json", _json(self._provenance()))

    @property
    def _is_study(self) -> bool:
        return bool(self.study.timepoints)

    def _keep_earlier_rows(self, by_table: dict[str, list[dict[str, Any]]]) -> None:
        """Rows of earlier commands into the same directory stay: one scan a command is common."""
        own = set(self._by_id)
        for name, rows in by_table.items():
            earlier = read_table(self.output.path, name)
            rows[:0] = [dict(row) for row in earlier if row["case_id"] not in own]

    def _study_json(self) -> dict[str, Any]:
        study = self.study
        subjects: dict[str, list[str]] = {}
        for case in study.cases:
            visits = subjects.setdefault(case.subject, [])
            if case.timepoint not in visits:
                visits.append(case.timepoint)
        order = {name: position for position, name in enumerate(study.timepoints)}
        variation = {
            "liver_volume_ml": self.settings.report.biological_variation_percent,
            **study.biological_variation_percent,
        }
        return {
            "title": study.title,
            "timepoints": list(study.timepoints),
            "subjects": [
                {"subject": subject, "timepoints": sorted(visits, key=lambda name: order[name])}
                for subject, visits in subjects.items()
            ],
            "primary_measures": list(study.primary_measures),
            "biological_variation_percent": variation,
            "smallest_detectable": dict(study.smallest_detectable),
            "standard_liver_volume": self.settings.report.standard_liver_volume,
            "versions": software_versions(),
        }

    def _provenance(self) -> dict[str, Any]:
        """Everything a number can be followed to; the inputs' places stay in the work folder."""
        source = self.study.source
        versions = software_versions()
        cases = {
            case.case_id: {
                "kind": case.kind,
                "line": case.line,
                "status": record["row"]["status"],
                "input": {
                    "sha256": record["row"].get("input_sha256", ""),
                    "content_sha256": record["content_sha256"],
                    "n_files": len(record["input_files"]),
                },
                "engine_sha256": record["engine_sha256"],
                "code_sha256": record["code_sha256"],
                "parameters": record["parameters"],
                "parameters_sha256": record["parameters_sha256"],
                "outputs": record["outputs"],
                "attempts": record["attempts"],
                "finished": record["finished"],
                "seconds": record["seconds"],
                "versions": dict(record["versions"].items() - versions.items()),
            }
            for case, record in self._records()
        }
        if not self._is_study:
            cases = {**self._earlier_provenance(), **cases}
        return {
            "schema": "fibrovol-provenance-1",
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "study": {
                "file": source.name if source else "",
                "sha256": sha256_file(source) if source and source.is_file() else "",
            },
            "settings": as_plain(self.settings),
            "versions": versions,
            "tables": {
                path.name: sha256_file(path) for path in sorted(self.output.path.glob("*.csv"))
            },
            "cases": cases,
        }

    def _earlier_provenance(self) -> dict[str, Any]:
        try:
            text = (self.output.path / "provenance.json").read_text(encoding="utf-8")
            return dict(json.loads(text)["cases"])
        except (OSError, ValueError, KeyError):
            return {}

    def end(self) -> RunSummary:
        """Say that everything is written, and what was done."""
        self._tell("end")
        failures = [
            (case.case_id, _with_path(str(record["row"]["error"]), case))
            for case, record in self._records()
            if record["row"].get("error")
        ]
        return RunSummary(
            self.output.path,
            len(self.study.cases),
            len(self.study.cases) - len(failures),
            self._reused,
            tuple(failures),
            tuple(self._kept),
            time.monotonic() - self._started,
        )


def _with_path(error: str, case: Case) -> str:
    """A sentence for the user's own screen, with the path as the user wrote it."""
    return error.replace(INPUT, case.written_path)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def taken_ids(output_dir: Path) -> dict[str, str]:
    """The case_ids that an output directory knows, with the path each stands for."""
    records = read_records(Path(output_dir) / WORK_NAME / JOURNAL_NAME)
    return {name: str(record["path"]) for name, record in records.items()}
