"""What was asked of a case, kept in its record: enough to measure that one case again.

It contains paths and stays in the work folder, as the journal's other paths do.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..intake.cases import Case
from ..kinds.base import Permissions
from ..settings import Settings, as_plain, load_settings
from .journal import JOURNAL_NAME, read_records
from .output import WORK_NAME
from .record import Record
from .task import CaseTask

_PATHS = ("path", "mask", "include_regions", "exclude_regions", "drawn_regions")
_LEFT_OUT = ("note", "date", "group", "remote", "line")  # decide no number
_SECTIONS = ("liver", "collagen")


def asked_of(case: Case, settings: Settings, permissions: Permissions) -> dict[str, Any]:
    """A case, its settings and permissions as JSON knows them.

    Args:
        case: as the study gives it.
        settings: of the run.
        permissions: of the run.
    """
    own = {f.name: getattr(case, f.name) for f in fields(Case) if f.name not in _LEFT_OUT}
    paths = {name: str(own[name]) for name in _PATHS if own[name] is not None}
    plain = as_plain(settings)
    return {
        "case": {**{k: v for k, v in own.items() if k not in _PATHS}, **paths},
        "remote": [name for name, _ in case.remote],  # an address may be secret
        "settings": {name: plain[name] for name in _SECTIONS},
        "permissions": dict(vars(permissions)),
    }


def is_as_asked(record: Record, case: Case) -> bool:
    """Whether a case of a study is still the one that a record answers.

    Paths are compared as the user wrote them, and by their names: another machine may have the
    study elsewhere.
    """
    if not record.asked:
        return True  # an earlier version wrote it and did not say
    plain = asked_of(case, load_settings({}), Permissions())
    return _deciding(plain["case"]) == _deciding(record.asked["case"]) and (
        plain["remote"] == record.asked["remote"]
    )


def _deciding(case: dict[str, Any]) -> dict[str, Any]:
    names = {name: Path(case[name]).name for name in _PATHS if case.get(name)}
    return {**case, "white": list(case["white"]), **names}


def task_of(record: Record, staging: Path, *, threads: int = 1) -> CaseTask:
    """The task that a record came from, to be given again.

    Args:
        record: of the finished case.
        staging: an empty folder of its own, made by the worker.
        threads: that it may use.

    Raises:
        InputError: ``input_missing``: an earlier version wrote the record and did not say, or an
            input lies in an object store.
    """
    if not record.asked:
        raise InputError(
            "input_missing",
            "How this case was measured is not known here",
            found="results of an earlier version",
            do="repeat the same `fibrovol run` command, then load the page again",
        )
    if record.asked["remote"]:
        raise InputError(
            "input_missing",
            "An input of this case lies in an object store",
            found=", ".join(record.asked["remote"]),
            do="copy it to a folder, name that in study.csv and run the study again",
        )
    own = dict(record.asked["case"])
    own |= {name: Path(own[name]) for name in _PATHS if own.get(name)}
    own["white"] = tuple(own["white"])
    return CaseTask(
        Case(**own),
        load_settings(record.asked["settings"]),
        staging,
        threads=threads,
        permissions=Permissions(**record.asked["permissions"]),
        date_shift_days=record.date_shift_days,
    )


def slide_paths(results: Path) -> dict[str, Path]:
    """Where the slides of a results folder are, by case_id, as far as its records know.

    Args:
        results: the folder; without a journal, as in a copy that was passed on, nothing is known.
    """
    return {
        record.case_id: Path(record.asked["case"]["path"])
        for record in read_records(results / WORK_NAME / JOURNAL_NAME)
        if record.kind == "slide" and record.asked and "path" not in record.asked["remote"]
    }
