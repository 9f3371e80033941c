"""Run cases on this machine, one after the other or several at once."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

import psutil

from ..settings import RunSettings
from .isolation import CaseProcess, Limits, measure_isolated
from .task import CaseResult, CaseTask

Measure = Callable[[CaseTask], CaseResult]

_MEMORY_SHARE = 0.8  # of the machine for cases; the rest is the system's and the driver's


@dataclass(frozen=True)
class Attempt:
    """A finished case."""

    result: CaseResult
    staging: Path
    """Where its files lie."""
    number: int = 1
    """How often it was tried."""


class Executor(Protocol):
    """Measures cases in any order, and gives each exactly once."""

    def run(self, measure: Measure, tasks: Iterable[CaseTask]) -> Iterator[Attempt]:
        """Take tasks as there is room for them, and give what came of each."""
        ...


@dataclass(frozen=True)
class Plan:
    """How the machine is shared; workers x threads is never more than it has."""

    workers: int
    """Cases at the same time."""
    threads: int
    """Threads of each."""
    limits: Limits
    """Of each case."""


def available_cores() -> int:
    """Cores this process may use, which in a container or a job are fewer than the machine has."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    granted = os.environ.get(
        "SLURM_CPUS_PER_TASK", ""
    )  # not every cluster binds a job to its cores
    if granted.isdigit():
        cores = min(cores, int(granted))
    return max(1, cores)


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


class PoolExecutor:
    """Cases in processes of their own, with limits of time and memory: one after the other or more.

    Each process is kept for further cases, so that the network is loaded once.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def run(self, measure: Measure, tasks: Iterable[CaseTask]) -> Iterator[Attempt]:
        """See :class:`Executor`."""
        waiting = iter(tasks)
        processes = [CaseProcess(self._plan.threads) for _ in range(self._plan.workers)]
        idle: queue.SimpleQueue[CaseProcess] = queue.SimpleQueue()
        for process in processes:
            idle.put(process)

        def attempt(task: CaseTask) -> Attempt:
            process = idle.get()
            try:
                return Attempt(*measure_isolated(process, measure, task, self._plan.limits))
            finally:
                idle.put(process)

        with ThreadPoolExecutor(len(processes), thread_name_prefix="fibrovol-case") as threads:
            try:
                running: set[Future[Attempt]] = {
                    threads.submit(attempt, task) for task in islice(waiting, len(processes))
                }
                while running:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        finished = future.result()
                        running |= {threads.submit(attempt, task) for task in islice(waiting, 1)}
                        yield finished
            finally:
                # before the threads are waited for: they wait for these
                for process in processes:
                    process.stop()
