"""Measure one case, from its files to its row, masks and pictures: what a worker does.

Files are written to a staging folder; the run moves them to their places when the case is whole.
What comes back is small: a row, hashes and times.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import Failure, FibrovolError, InputError, OutputError
from ..files import combine_sha256, not_writable, sha256_file, writing
from ..intake.cases import Case
from ..kinds.base import Job, Measured
from ..kinds.table import KINDS
from ..provenance import (
    InputState,
    content_sha256,
    fibrovol_version,
    file_sha256,
    software_versions,
)
from .local_copy import local_baseline, local_case
from .privacy import Scrubber
from .task import CaseResult, CaseTask, case_inputs, combined, input_states

TRANSIENT_CODES = (
    "out_of_memory",
    "time_limit",
    "internal_error",
    "input_changed",
    "storage_unreachable",
    "storage_not_installed",
)
"""Failures that a second attempt may not have; every other one stays until the input changes."""

OUT_OF_MEMORY = Failure(
    "out_of_memory",
    "The case needed more memory than was allowed",
    do="use fewer workers, raise run.memory_per_worker_gib, or use a machine with more memory",
)

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS) if hasattr(errno, "EDQUOT") else ()
_MEMORY_WORDS = ("can't allocate memory", "not enough memory", "insufficient memory")


def measure_case(task: CaseTask) -> CaseResult:
    """Measure one case; every failure of the case becomes its row, none its number.

    Args:
        task: the case and where to write.

    Raises:
        OutputError: the results cannot be written (the run must stop, it is not the case's fault).
    """
    from ..imaging.readers.identity import identifiers  # noqa: PLC0415 - start-up time

    case, started = task.case, time.perf_counter()
    result = CaseResult(case.case_id)
    with writing():
        task.staging.mkdir(parents=True, exist_ok=True)
    scrub = Scrubber(case_inputs(case)[0])
    with _case_log(task.staging / "logs" / f"{case.case_id}.log", scrub) as log:
        try:
            states = input_states(case)
            result = replace(result, stat_sha256=combined(s.stat_sha256 for s in states))
            with local_case(case, task) as local:
                if case.remote:
                    states = input_states(local)
                    scrub.add_place(local.path)
                    result.seconds["fetch"] = time.perf_counter() - started
                if not KINDS[case.kind].hides_identity:
                    scrub.add(identifiers(local.path))
                log.info("input: %d files, %d bytes", len(states[0].names), states[0].size_bytes)
                result, error = _measure(replace(task, case=local), states, result, scrub)
                if error is not None:
                    raise error
            if changed := _changed(case, result.stat_sha256):
                raise changed
        except OutputError:
            raise
        except Exception as error:  # noqa: BLE001 - the batch continues; the row says what happened
            failure = describe_failure(_changed(case, result.stat_sha256) or error)
            log.error("%s", failure)
            if not isinstance(error, FibrovolError):
                log.error("%s", "".join(traceback.format_exception(error)))
            _remove_all_but_log(task.staging)
            result = CaseResult(
                case.case_id,
                failure=failure.mapped(scrub),
                stat_sha256=result.stat_sha256,
                content_sha256=result.content_sha256,
                seconds=result.seconds,
            )
        result.seconds["total"] = time.perf_counter() - started
        log.info("%s in %.1f s", result.status, result.seconds["total"])
    with writing():
        outputs = {
            path.relative_to(task.staging).as_posix(): sha256_file(path)
            for path in sorted(task.staging.rglob("*"))
            if path.is_file()
        }
    return replace(
        result,
        outputs=outputs,
        seconds={step: round(value, 3) for step, value in result.seconds.items()},
        versions=software_versions(),
    )


def _measure(
    task: CaseTask, states: list[InputState], result: CaseResult, scrub: Scrubber
) -> tuple[CaseResult, Exception | None]:
    """Measure a case whose files are here.

    Args:
        task: the case.
        states: of its inputs.
        result: what is known before.
        scrub: is told what names the patient, once the headers are read.

    Returns:
        The result, with the content of the inputs even where there is an error, and that.
    """
    case, error = task.case, None
    root, companions = states[0], states[len(case_inputs(case)) :]
    inputs = tuple(file for state in (root, *companions) for file in state.files)
    job = Job(
        case,
        task.settings,
        task.staging,
        inputs,
        task.threads,
        task.permissions,
        fibrovol_version(),
        task.date_shift_days,
        partial(local_baseline, task),
        result.seconds,
        scrub.add,
    )
    measured = Measured({})
    try:
        measured = KINDS[case.kind].measure(job)
    except OutputError:
        raise
    except Exception as caught:  # noqa: BLE001 - of whatever kind, the case has failed
        error = caught
    start, used = time.perf_counter(), measured.files or inputs
    content = combined(content_sha256(state, measured.sha256) for state in states)
    result.seconds["hash"] = time.perf_counter() - start
    own = {
        "input_sha256": combine_sha256(
            measured.sha256.get(file) or file_sha256(file, root) for file in used
        )
    }
    return replace(
        result,
        content_sha256=content,
        row=_plain({**measured.row, **own}),
        parts=[_plain(part) for part in measured.parts],
        input_files=[_relative(file, root) for file in used],
        engine_sha256=measured.engine_sha256,
        parameters=_plain(measured.parameters),
        person=dict(measured.person),
    ), error


def _changed(case: Case, stat_hash: str) -> InputError | None:
    """The error for inputs that are not what they were at the start, which explains any other."""
    if not stat_hash:  # they could not even be looked at then
        return None
    try:
        now = combined([state.stat_sha256 for state in input_states(case)])
    except InputError as error:
        if error.code == "storage_unreachable":
            return error  # nobody knows whether it changed
        now = error.what
    if now == stat_hash:
        return None
    return InputError(
        "input_changed",
        "The input changed or vanished while it was measured",
        found="files, sizes or times differ from those at the start",
        do="wait until the copy is complete, then run the same command again",
    )


def describe_failure(error: Exception) -> Failure:
    """Give any failure of a case a code and a sentence.

    Raises:
        OutputError: it is the output that cannot be written, which no other case would survive.
    """
    if isinstance(error, FibrovolError):
        return error.failure
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        raise not_writable(error) from error
    text = str(error)
    if isinstance(error, MemoryError) or any(part in text.lower() for part in _MEMORY_WORDS):
        return OUT_OF_MEMORY
    if isinstance(error, OSError):
        return Failure(
            "unreadable_file",
            "A file of the case could not be read",
            found=error.strerror or text,
            do="check that it is complete and readable, and that the share is connected",
        )
    return Failure(
        "internal_error",
        "An unexpected error stopped this case",
        found=type(error).__name__,
        do="report it with the case's log in logs/",
    )


def _relative(file: Path, state: InputState) -> str:
    path = Path(file)
    if path == state.root:
        return ""
    if path.is_relative_to(state.root):
        return path.relative_to(state.root).as_posix()
    return f"../{path.relative_to(state.root.parent).as_posix()}"


def _plain(value: Any) -> Any:
    """Numbers, texts, lists and mappings that JSON knows, from whatever a measurement contains."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return _plain(value.tolist())
    return str(value)


def _remove_all_but_log(staging: Path) -> None:
    for path in staging.rglob("*"):
        if path.is_file() and path.parent.name != "logs":
            path.unlink()


class _ScrubbingFormatter(logging.Formatter):
    def __init__(self, scrub: Scrubber) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        return self._scrub(super().format(record))


@contextlib.contextmanager
def _case_log(path: Path, scrub: Scrubber) -> Iterator[logging.Logger]:
    """Collect what is said about a case, warnings of the libraries among it, into its log."""
    with writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(_ScrubbingFormatter(scrub))
    root = logging.getLogger()
    own = logging.getLogger("fibrovol")
    level = own.level
    own.setLevel(logging.INFO)
    root.addHandler(handler)
    # other handlers (a library's on stderr) would say it past the scrubber
    propagated = [h for h in root.handlers if h is not handler]
    for other in propagated:
        root.removeHandler(other)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            logging.captureWarnings(True)
            yield logging.getLogger("fibrovol.case")
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        for other in propagated:
            root.addHandler(other)
        own.setLevel(level)
        with contextlib.suppress(OSError):  # a disk that is full says so when results are written
            handler.close()
