"""Who works the cases off: one after the other here, or many at once elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from .task import CaseResult, CaseTask

Measure = Callable[[CaseTask], CaseResult]


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


def available_cores() -> int:
    """Cores this process may use, which in a container or a job are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


class SerialExecutor:
    """One case after the other in this process.

    Args:
        threads: threads a case may use; 0 takes every core.
    """

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads or available_cores()

    def run(self, measure: Measure, tasks: Iterable[CaseTask]) -> Iterator[Attempt]:
        """See :class:`Executor`."""
        for task in tasks:
            yield Attempt(measure(replace(task, threads=self._threads)), task.staging)
