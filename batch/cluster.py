"""Run cases on the workers of a Dask scheduler; needs the extra ``cluster``."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import chain, islice
from typing import Any

from ..errors import ConfigError, OutputError, how_to_install
from .isolation import CaseProcess, measure_isolated
from .pool import Attempt, Measure, Plan
from .task import CaseTask


class DaskExecutor:
    """Many cases at once on the workers of a Dask scheduler.

    The scheduler sees paths and rows, never images; each worker's cases run in a process of their
    own, which ends alone when a case takes too much memory or time.

    Args:
        plan: threads and limits of each case; how many run at once is the scheduler's matter.
        scheduler: its address ("tcp://host:8786").

    Raises:
        ConfigError: ``not_installed``, Dask is missing here.
    """

    def __init__(self, plan: Plan, scheduler: str) -> None:
        if find_spec("distributed") is None:
            raise ConfigError(
                "not_installed",
                "The library for --scheduler is not installed",
                found="no module distributed (Dask)",
                do=f"here and on every worker, {how_to_install('cluster')}; or leave --scheduler "
                "out and use --workers",
            )
        self._plan, self._scheduler = plan, scheduler

    def run(self, measure: Measure, tasks: Iterable[CaseTask]) -> Iterator[Attempt]:
        """See :class:`fibrovol.batch.pool.Executor`.

        Raises:
            OutputError: ``scheduler_lost``, the scheduler cannot be reached or has stopped.
        """
        waiting = iter(tasks)
        first = next(waiting, None)
        if first is None:
            return  # everything was finished before: no scheduler is needed
        waiting = chain([first], waiting)
        from distributed import as_completed  # noqa: PLC0415 - an extra
        from distributed.client import FutureCancelledError  # noqa: PLC0415
        from distributed.comm.core import CommClosedError  # noqa: PLC0415
        from distributed.scheduler import KilledWorker  # noqa: PLC0415

        try:
            with self._client() as client:
                # a few more than there are workers, so that none waits for this loop
                slots = max(1, sum(client.nthreads().values()))
                window = [
                    self._submit(client, measure, task) for task in islice(waiting, slots + 2)
                ]
                running = as_completed(window, loop=client.loop)
                for future in running:
                    attempt = future.result()
                    for task in islice(waiting, 1):
                        running.add(self._submit(client, measure, task))
                    future.release()
                    yield attempt
        except KilledWorker:
            raise _lost("workers died repeatedly") from None
        except (CommClosedError, ConnectionError, FutureCancelledError, TimeoutError) as error:
            raise _lost(type(error).__name__) from error

    def _submit(self, client: Any, measure: Measure, task: CaseTask) -> Any:
        # Dask remembers for good what stands before the "-"; by case that would be 8 kB for each
        name = f"case-{uuid.uuid4().hex}"
        return client.submit(_measure_on_worker, measure, task, self._plan, key=name, pure=False)

    def _client(self) -> Any:
        from distributed import Client  # noqa: PLC0415 - an extra

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        try:
            return Client(self._scheduler, timeout=5, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise _lost(str(error)) from error


def _lost(found: str) -> OutputError:
    return OutputError(
        "scheduler_lost",
        "The Dask scheduler cannot be reached or has stopped",
        found=found,
        do="check that it and its workers run, with this version of Fibrovol and the same paths, "
        "then run the same command again: finished cases are kept",
    )


_OF_THREAD = threading.local()
"""The case process of each thread of this worker, kept for its next case."""


def _measure_on_worker(measure: Measure, task: CaseTask, plan: Plan) -> Attempt:
    """What a Dask worker runs."""
    process: CaseProcess | None = getattr(_OF_THREAD, "process", None)
    if process is None:
        process = _OF_THREAD.process = CaseProcess(plan.threads)
    process.threads = plan.threads
    return Attempt(*measure_isolated(process, measure, task, plan.limits))
