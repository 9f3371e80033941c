"""Choose what runs the cases: this process, a pool on this machine, or a Dask cluster."""

from __future__ import annotations

from ..settings import RunSettings
from .pool import Executor, PoolExecutor, make_plan


def make_executor(settings: RunSettings, scheduler: str = "") -> Executor:
    """The executor that fits: this machine's, or a Dask scheduler's where one is given.

    Raises:
        ConfigError: ``not_installed``, a scheduler is given and Dask is missing.
    """
    plan = make_plan(settings)
    if scheduler:
        from .cluster import DaskExecutor  # noqa: PLC0415 - most runs need no cluster

        return DaskExecutor(plan, scheduler)
    return PoolExecutor(plan)
