"""A process for measuring in: a case that hangs, crashes or takes all memory ends there.

The process is kept for the next case, so that the network is loaded once. Its parent watches its
memory and its time; when the parent dies, it ends too. It is started as ``python -m
fibrovol.batch.isolation`` rather than through multiprocessing, because a Dask worker may have no
such children, and because on Windows these would run the user's script again.
"""

from __future__ import annotations

import contextlib
import os
import pickle  # between this process and its own child only # nosec B403
import queue
import signal
import struct
import subprocess  # starts this Python with this module # nosec B404
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import psutil

from ..errors import Failure, FibrovolError
from ..files import Closing
from .measure_case import OUT_OF_MEMORY
from .task import CaseResult, CaseTask

Measure = Callable[[CaseTask], CaseResult]

_POLL_SECONDS = 0.1
_HEADER = struct.Struct("<Q")
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)


@dataclass(frozen=True)
class Limits:
    """What one case may use."""

    seconds: float
    """Wall time."""
    memory_bytes: int = 0
    """Resident memory of its process, 0 for no limit."""


class ProcessEndedError(Exception):
    """The process ended before it answered; ``failure`` says why, for the row."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class CaseProcess(Closing):
    """One process that measures cases one after the other; use it in a ``with`` block.

    Args:
        threads: threads its libraries may use.

    Attributes:
        threads: as given; a change holds from the next start of the process.
        stopped: whether :meth:`stop` was called.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.stopped = False
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()  # no process is started past a stop in another thread
        self._answers: queue.Queue[Any] = queue.Queue()

    def measure(self, measure: Measure, task: CaseTask, limits: Limits) -> CaseResult:
        """Measure one case in the process, which is started if there is none.

        Raises:
            ProcessEndedError: it took too long, took too much memory, or died.
            FibrovolError: what the measuring raised (only what stops the run).
        """
        process = self._started()
        with contextlib.suppress(OSError):  # it died while idle; the loop below finds out
            _send(_stdin(process), (measure, task))
        deadline = time.monotonic() + limits.seconds
        while True:
            try:
                answer = self._answers.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                self._watch(process, limits, deadline)
                continue
            if answer is None:
                raise self._ended(process)
            if isinstance(answer, BaseException):
                raise answer
            assert isinstance(answer, CaseResult)
            return answer

    def _started(self) -> subprocess.Popen[bytes]:
        with self._starting:
            return self._process_for_next()

    def _process_for_next(self) -> subprocess.Popen[bytes]:
        if self.stopped:
            raise ProcessEndedError(Failure("internal_error", "The run was stopped"))
        if self._process is not None and self._process.poll() is None:
            return self._process
        count = str(self.threads)
        environment = dict(os.environ)
        environment |= dict.fromkeys(_THREAD_VARIABLES, count)
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(  # noqa: S603 # nosec B603
            # this Python and this module; -P: a module in the user's current folder must not be
            # taken for a library
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self._answers = queue.Queue()
        threading.Thread(
            target=_collect, args=(self._process.stdout, self._answers), daemon=True
        ).start()
        return self._process

    def _watch(self, process: subprocess.Popen[bytes], limits: Limits, deadline: float) -> None:
        if time.monotonic() > deadline:
            self.close()
            raise ProcessEndedError(
                Failure(
                    "time_limit",
                    f"The case took longer than {limits.seconds / 60:.3g} minutes",
                    do="look at the scan or slide, or raise run.case_time_limit_min",
                )
            )
        if limits.memory_bytes and _resident_bytes(process.pid) > limits.memory_bytes:
            self.close()
            raise ProcessEndedError(OUT_OF_MEMORY)

    def _ended(self, process: subprocess.Popen[bytes]) -> ProcessEndedError:
        status = process.wait()
        self.close()
        # the kernel's out-of-memory killer sends SIGKILL, and so does nobody else as a rule
        if status == -getattr(signal, "SIGKILL", 9):
            return ProcessEndedError(OUT_OF_MEMORY)
        return ProcessEndedError(
            Failure(
                "internal_error",
                "The process that measured this case ended unexpectedly",
                found=f"exit status {status}",
                do="report it; the other cases are not affected",
            )
        )

    def stop(self) -> None:
        """End the process for good, from any thread: a case that is measured in it ends, too."""
        with self._starting:
            self.stopped = True
        self.close()

    def close(self) -> None:
        """End the process; the next case starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()


def measure_isolated(
    process: CaseProcess, measure: Measure, task: CaseTask, limits: Limits
) -> tuple[CaseResult, Path, int]:
    """Measure a case; retry once with fewer threads if its process dies, then it has failed.

    Args:
        process: where to measure.
        measure: what measures.
        task: the case; every attempt gets a staging folder of its own in the task's.
        limits: for each attempt.

    Returns:
        The result, its staging folder and the number of attempts.

    Raises:
        FibrovolError: what stops the run.
    """
    threads = full = process.threads
    number = 0
    while True:
        number += 1
        # unique: a scheduler may start a case again elsewhere while the first attempt still runs
        staging = task.staging / f"{number}-{os.getpid()}-{time.monotonic_ns()}"
        attempt = replace(task, staging=staging, threads=threads)
        try:
            result = process.measure(measure, attempt, limits)
        except ProcessEndedError as error:
            if number == 1 and error.failure.code != "time_limit" and not process.stopped:
                process.close()
                threads = process.threads = max(1, full // 2)
                continue
            result = _failed(task, staging, error.failure)
        if threads != full:
            process.close()  # the next case gets all its threads again
            process.threads = full
        return result, staging, number


def _failed(task: CaseTask, staging: Path, failure: Failure) -> CaseResult:
    """The result of a case whose process could not say anything itself."""
    case_id = task.case.case_id
    name = f"logs/{case_id}.log"
    log = staging / name
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8", newline="\n") as stream:
        stream.write(f"{failure}\n")
    return CaseResult(case_id, failure=failure, outputs={name: ""})


def _resident_bytes(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _stdin(process: subprocess.Popen[bytes]) -> BinaryIO:
    assert process.stdin is not None
    return process.stdin  # type: ignore[return-value]


def _send(stream: BinaryIO, value: Any) -> None:
    data = pickle.dumps(value)
    stream.write(_HEADER.pack(len(data)) + data)
    stream.flush()


def _receive(stream: BinaryIO) -> Any:
    """The next value, or None at the end of the stream."""
    header = stream.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    (length,) = _HEADER.unpack(header)
    data = stream.read(length)
    if len(data) < length:
        return None
    return pickle.loads(data)  # noqa: S301 # by our own child or parent # nosec B301


def _collect(stream: BinaryIO, answers: queue.Queue[Any]) -> None:
    """Pass on what the process says, and None when it ended."""
    try:
        while (answer := _receive(stream)) is not None:
            answers.put(answer)
    except (OSError, ValueError, EOFError, pickle.UnpicklingError):
        pass  # killed in the middle of an answer
    answers.put(None)


def _serve() -> None:
    """What the process does: measure what comes in, until its parent is gone."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # what a library prints must not get between the answers
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this one
    tasks: queue.Queue[Any] = queue.Queue()

    def read() -> None:
        while (received := _receive(sys.stdin.buffer)) is not None:
            tasks.put(received)
        os._exit(1)  # the parent is gone, and nobody will read the answer

    threading.Thread(target=read, daemon=True).start()
    while True:
        measure, task = tasks.get()
        try:
            answer: Any = measure(task)
        except FibrovolError as error:
            answer = error
        _send(answers, answer)


if __name__ == "__main__":
    _serve()
