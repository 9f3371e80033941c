"""Download remote inputs while a case is measured."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..files import writing
from ..intake.cases import Case
from ..intake.remote import fetch
from ..kinds.table import KINDS
from .task import CaseTask


@contextlib.contextmanager
def local_case(case: Case, task: CaseTask) -> Iterator[Case]:
    """The case with its inputs as local files; copies are removed at the end.

    Args:
        case: the case.
        task: says where copies may lie (next to its staging folder, inside the output directory's
            work folder, where the next run sweeps up after a killed one) and how large they may be.

    Raises:
        InputError: an input cannot be fetched, or what was fetched cannot be whole.
        OutputError: the copy cannot be written.
    """
    if not case.remote:
        yield case
        return
    with writing():
        task.staging.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="inputs-", dir=task.staging.parent))
    try:
        left = round(task.settings.run.download_limit_gib * 2**30)
        local: dict[str, Path] = {}
        for name, url in case.remote:
            with writing():
                folder = scratch / name
                folder.mkdir()
            local[name] = fetch(url, folder, left)
            left -= sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        if "path" in local:
            KINDS[case.kind].check_copy(local["path"])
        yield replace(case, remote=(), **local)  # type: ignore[arg-type]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def local_baseline(task: CaseTask) -> Iterator[Case | None]:
    """The scan of the first visit, None without one or where it is missing."""
    baseline = task.baseline
    if baseline is None or not baseline.remote:
        yield baseline
        return
    only = tuple((name, url) for name, url in baseline.remote if name == "path")
    with contextlib.ExitStack() as stack:
        try:
            local = stack.enter_context(local_case(replace(baseline, remote=only, mask=None), task))
        except InputError as error:
            if error.code != "input_missing":
                raise  # the choice would depend on the network's mood
            local = None  # it is its own failed case; this one goes by the rules
        yield local
