"""How far a run is: told to the caller, and noted in a file for `fibrovol status`."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from ..errors import OutputError
from ..files import write_text
from .journal import JOURNAL_NAME, read_records
from .lock import is_held, read_holder
from .output import WORK_NAME

PROGRESS_NAME = "progress.json"

State = Literal["running", "finished", "stopped"]


@dataclass(frozen=True)
class Progress:
    """How far a run is, told after every case.

    Attributes:
        event: "start", "reused" (finished by an earlier run), "measured", "failed" or "end".
        case_id: the case, "" for start and end.
        done: cases finished, reused ones among them.
        total: cases of the study.
        n_failed: failed so far.
        n_reused: taken from an earlier run.
        seconds: since the start of the run.
        message: for a failed case: why.
    """

    event: str
    case_id: str
    done: int
    total: int
    n_failed: int
    n_reused: int
    seconds: float
    message: str = ""

    @property
    def seconds_left(self) -> float | None:
        """What the rest will take at the rate so far; None before the first case is measured."""
        fresh = self.done - self.n_reused
        return self.seconds / fresh * (self.total - self.done) if fresh > 0 else None


@dataclass(frozen=True)
class Status:
    """The state of a results folder.

    Attributes:
        state: "running", "finished", or "stopped" before the end (the same command goes on).
        progress: how far the newest run is or was.
        holder: process, host and start of a running run, {} otherwise.
        failures: case_id and error of failed cases so far.
    """

    state: State
    progress: Progress
    holder: dict[str, str]
    failures: tuple[tuple[str, str], ...]


def write_progress(work: Path, progress: Progress) -> None:
    """Note how far the run is; a full disk must not stop it here, the results will say so."""
    with contextlib.suppress(OSError):
        write_text(work / PROGRESS_NAME, json.dumps(asdict(progress), ensure_ascii=False) + "\n")


def read_status(directory: Path) -> Status:
    """The state of a results folder, while it is written and after.

    Args:
        directory: what was given to ``-o``.

    Raises:
        OutputError: ``not_a_result``, no run ever wrote there.
    """
    work = Path(directory) / WORK_NAME
    try:
        progress = Progress(**json.loads((work / PROGRESS_NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise OutputError(
            "not_a_result",
            "This is no results folder",
            found=f"no run wrote in {directory}",
            do="give the folder that was given to -o",
        ) from None
    running = is_held(work)
    failed: dict[str, str] = {}
    for record in read_records(work / JOURNAL_NAME):
        error = str(record["row"].get("error") or "")
        failed.pop(str(record["case_id"]), None)
        if error:
            failed[str(record["case_id"])] = error
    state: State = "running" if running else "finished" if progress.event == "end" else "stopped"
    holder = {key: str(value) for key, value in read_holder(work).items()} if running else {}
    return Status(state, progress, holder, tuple(failed.items()))
