"""Inputs that lie elsewhere, as files here for as long as their case is measured."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import InputError, SlideError
from ..files import writing
from ..histology.readers.companions import dicom_series
from ..intake.cases import Case
from ..intake.remote import fetch
from .task import CaseTask


@contextlib.contextmanager
def at_hand(case: Case, task: CaseTask) -> Iterator[Case]:
    """The case with its inputs as local files; copies are removed at the end.

    Args:
        case: the case.
        task: says where copies may lie (beside its staging, inside the output directory's work
            folder, where the next run sweeps up after a killed one) and how large they may be.

    Raises:
        InputError: an input cannot be fetched.
        SlideError: ``unreadable_slide``, one file of a DICOM slide was given.
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
        if case.kind == "slide" and "path" in local and dicom_series(local["path"]) is not None:
            raise SlideError(
                "unreadable_slide",
                "The address names one file of a DICOM slide; its other files would be left out, "
                "the sharpest level perhaps",
                found="a single DICOM whole-slide file",
                do="give the address of the folder (prefix) that holds the files of this slide "
                "and of no other",
            )
        yield replace(case, remote=(), **local)  # type: ignore[arg-type]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def baseline_at_hand(task: CaseTask) -> Iterator[Case | None]:
    """The scan of the first visit, None without one or where it is not there."""
    baseline = task.baseline
    if baseline is None or not baseline.remote:
        yield baseline
        return
    only = tuple((name, url) for name, url in baseline.remote if name == "path")
    with contextlib.ExitStack() as stack:
        try:
            local = stack.enter_context(at_hand(replace(baseline, remote=only, mask=None), task))
        except InputError as error:
            if error.code != "input_missing":
                raise  # the choice would depend on the network's mood
            local = None  # it is its own failed case; this one goes by the rules
        yield local
