"""Who works the cases off: one after the other here, or many at once through Dask."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

import psutil

from ..errors import OutputError
from ..settings import RunSettings
from .isolation import CaseProcess, Limits, measure_isolated
from .task import CaseResult, CaseTask

Measure = Callable[[CaseTask], CaseResult]

_MEMORY_SHARE = 0.8  # of the machine for cases; the rest is the system's and the driver's


@dataclass(frozen=True)
class Attempt:
    """A finished case.

    Attributes:
        result: what came of it.
        staging: where its files lie.
        number: how often it was tried.
    """

    result: CaseResult
    staging: Path
    number: int = 1


class Executor(Protocol):
    """Measures cases in any order, and gives each exactly once."""

    def run(self, measure: Measure, tasks: Iterable[CaseTask]) -> Iterator[Attempt]:
        """Take tasks as there is room for them, and give what came of each."""
        ...


@dataclass(frozen=True)
class Plan:
    """How the machine is shared; workers x threads is never more than it has.

    Attributes:
        workers: cases at the same time.
        threads: threads of each.
        limits: of each case.
    """

    workers: int
    threads: int
    limits: Limits


def available_cores() -> int:
    """Cores this process may use, which in a container or a job are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def available_memory_bytes() -> int:
    """Memory of the machine, or of the container or job where that is less."""
    total = int(psutil.virtual_memory().total)
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            limit = Path("/sys/fs/cgroup", name).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if limit.isdigit():
            total = min(total, int(limit))
    return total


def make_plan(settings: RunSettings) -> Plan:
    """Share this machine among the workers asked for."""
    cores = available_cores()
    workers = min(settings.workers, cores)
    threads = min(settings.threads_per_worker or cores, max(1, cores // workers))
    memory = round(settings.memory_per_worker_gib * 2**30)
    return Plan(
        workers,
        threads,
        Limits(
            seconds=settings.case_time_limit_min * 60.0,
            memory_bytes=memory or round(available_memory_bytes() * _MEMORY_SHARE / workers),
        ),
    )


class SerialExecutor:
    """One case after the other in this process, without limits: for notebooks and tests.

    Args:
        threads: threads a case may use; 0 takes every core.
    """

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads or available_cores()

    def run(self, measure: Measure, tasks: Iterable[CaseTask]) -> Iterator[Attempt]:
        """See :class:`Executor`."""
        for task in tasks:
            yield Attempt(measure(replace(task, threads=self._threads)), task.staging)


class IsolatedExecutor:
    """One case after the other in a process of their own, with limits of time and memory."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def run(self, measure: Measure, tasks: Iterable[CaseTask]) -> Iterator[Attempt]:
        """See :class:`Executor`."""
        with CaseProcess(self._plan.threads) as process:
            for task in tasks:
                yield Attempt(*measure_isolated(process, measure, task, self._plan.limits))


class DaskExecutor:
    """Many cases at once: on this machine, or on the workers of a Dask scheduler.

    The scheduler sees paths and rows, never images; each worker's cases run in a process of their
    own, which ends alone when a case takes too much memory or time.

    Args:
        plan: how many, and the limits of each.
        scheduler: address of a running scheduler ("tcp://host:8786"), "" for an embedded one that
            lives in this process and takes no tasks from elsewhere.
    """

    def __init__(self, plan: Plan, scheduler: str = "") -> None:
        self._plan, self._scheduler = plan, scheduler

    def run(self, measure: Measure, tasks: Iterable[CaseTask]) -> Iterator[Attempt]:
        """See :class:`Executor`.

        Raises:
            OutputError: ``scheduler_lost``, the scheduler cannot be reached or went away.
        """
        waiting, run_id = iter(tasks), uuid.uuid4().hex
        first = next(waiting, None)
        if first is None:
            return  # everything was finished before: no scheduler is needed
        waiting = chain([first], waiting)
        from distributed import as_completed  # noqa: PLC0415 - start-up time
        from distributed.client import FutureCancelledError  # noqa: PLC0415
        from distributed.comm.core import CommClosedError  # noqa: PLC0415
        from distributed.scheduler import KilledWorker  # noqa: PLC0415

        try:
            with self._client() as client:
                try:
                    # a few more than there are workers, so that none waits for this loop
                    window = [
                        self._submit(client, run_id, measure, task)
                        for task in islice(waiting, self._slots(client) + 2)
                    ]
                    running = as_completed(window, loop=client.loop)
                    for future in running:
                        attempt = future.result()
                        for task in islice(waiting, 1):
                            running.add(self._submit(client, run_id, measure, task))
                        future.release()
                        yield attempt
                finally:
                    # before the client closes: it waits for its threads, and they for these
                    _stop(run_id)
        except KilledWorker:
            raise _lost("workers died again and again") from None
        except (CommClosedError, ConnectionError, FutureCancelledError, TimeoutError) as error:
            raise _lost(type(error).__name__) from error

    def _submit(self, client: Any, run_id: str, measure: Measure, task: CaseTask) -> Any:
        # Dask remembers for good what stands before the "-"; by case that would be 8 kB for each
        name = f"case-{uuid.uuid4().hex}"
        return client.submit(
            _measure_on_worker, run_id, measure, task, self._plan, key=name, pure=False
        )

    def _client(self) -> Any:
        import logging  # noqa: PLC0415

        import dask  # noqa: PLC0415
        from distributed import Client, LocalCluster  # noqa: PLC0415 - start-up time

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        if self._scheduler:
            try:
                return Client(self._scheduler, timeout=5, set_as_default=False)
            except (OSError, TimeoutError, ValueError) as error:
                raise _lost(str(error)) from error
        # Dask always opens a web server; this one has no pages and is seen by this machine only
        quiet: dict[str, Any] = {
            "distributed.scheduler.http.routes": [],
            "distributed.worker.http.routes": [],
            # its diaries grow with every case, and nobody reads them
            "distributed.admin.log-length": 100,
            "distributed.admin.low-level-log-length": 100,
            # a hundred looks a second at what this process does, for a page that is not served
            "distributed.worker.profile.enabled": False,
            "distributed.admin.system-monitor.interval": "10s",
        }
        with dask.config.set(quiet):
            cluster = LocalCluster(
                n_workers=1,
                threads_per_worker=self._plan.workers,
                processes=False,  # every case has a process of its own already
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},  # else "/" asks to install bokeh
                memory_limit=0,
                silence_logs=logging.CRITICAL,
            )
        return _ClosingClient(cluster)

    def _slots(self, client: Any) -> int:
        if not self._scheduler:
            return self._plan.workers
        return max(1, sum(client.nthreads().values()))


class _ClosingClient:
    """A client that closes its embedded cluster, too."""

    def __init__(self, cluster: Any) -> None:
        from distributed import Client  # noqa: PLC0415 - start-up time

        self._cluster, self._client = cluster, Client(cluster, set_as_default=False)

    def __enter__(self) -> Any:
        return self._client

    def __exit__(self, *error: object) -> None:
        self._client.close()
        self._cluster.close()


def _lost(found: str) -> OutputError:
    return OutputError(
        "scheduler_lost",
        "The Dask scheduler cannot be reached or went away",
        found=found,
        do="check that it and its workers run, with this version of Fibrovol and the same paths, "
        "then give the same command again: finished cases are kept",
    )


_PROCESSES: dict[int, CaseProcess] = {}
"""The process of each thread of this worker, kept for its next case."""

_STOPPED: set[str] = set()
"""Runs of which nothing more is started in this process."""

_LOCK = threading.Lock()


def _measure_on_worker(run_id: str, measure: Measure, task: CaseTask, plan: Plan) -> Attempt:
    """What a Dask worker runs."""
    with _LOCK:
        if run_id in _STOPPED:
            raise RuntimeError("the run was stopped")
        process = _PROCESSES.setdefault(threading.get_ident(), CaseProcess(plan.threads))
        process.threads = plan.threads
    return Attempt(*measure_isolated(process, measure, task, plan.limits))


def _stop(run_id: str) -> None:
    """End the embedded cluster's processes, which may be in the middle of a case."""
    with _LOCK:
        _STOPPED.add(run_id)
        processes = list(_PROCESSES.values())
        _PROCESSES.clear()
    for process in processes:
        process.stop()


def make_executor(settings: RunSettings, scheduler: str = "") -> Executor:
    """The executor that fits: Dask for several workers or a scheduler, else one process."""
    plan = make_plan(settings)
    if scheduler or plan.workers > 1:
        return DaskExecutor(plan, scheduler)
    return IsolatedExecutor(plan)
