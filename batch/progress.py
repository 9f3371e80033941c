"""Report a run's progress to the caller, and record it in a file for `fibrovol status`."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from ..errors import Failure, OutputError
from ..files import write_text
from .journal import JOURNAL_NAME, read_records
from .lock import is_held, read_holder
from .output import WORK_NAME

PROGRESS_NAME = "progress.json"


class Event(StrEnum):
    """What a run tells."""

    START = "start"
    """Nothing is done yet."""
    REUSED = "reused"
    """A case was finished by an earlier run."""
    MEASURED = "measured"
    """A case has its number."""
    FAILED = "failed"
    """A case has none; the message says why."""
    END = "end"
    """The tables are written."""


class State(StrEnum):
    """The state of the newest run in a results folder."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    """Before the end; the same command resumes it."""


@dataclass(frozen=True)
class Progress:
    """How far a run is, told after every case."""

    event: str
    """An :class:`Event`."""
    case_id: str
    """The case, "" for start and end."""
    done: int
    """Cases finished, reused ones among them."""
    total: int
    """Cases of the study."""
    n_failed: int
    """Failed so far."""
    n_reused: int
    """Taken from an earlier run."""
    seconds: float
    """Since the start of the run."""
    message: str = ""
    """For a failed case: why."""

    @property
    def seconds_left(self) -> float | None:
        """What the rest will take at the rate so far; None before the first case is measured."""
        fresh = self.done - self.n_reused
        return self.seconds / fresh * (self.total - self.done) if fresh > 0 else None


@dataclass(frozen=True)
class Status:
    """The state of a results folder."""

    state: State
    progress: Progress
    """How far the newest run is or was."""
    holder: dict[str, str]
    """Process, host and start of a running run, {} otherwise."""
    failures: tuple[tuple[str, Failure], ...]
    """case_id and why of failed cases so far."""


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
            "This is not a results folder",
            found=f"no run wrote in {directory}",
            do="give the folder that was given to -o",
        ) from None
    running = is_held(work)
    failed: dict[str, Failure] = {}
    for record in read_records(work / JOURNAL_NAME):
        failed.pop(record.case_id, None)
        if record.result.failure is not None:
            failed[record.case_id] = record.result.failure
    ended = State.FINISHED if progress.event == Event.END else State.STOPPED
    state = State.RUNNING if running else ended
    holder = {key: str(value) for key, value in read_holder(work).items()} if running else {}
    return Status(state, progress, holder, tuple(failed.items()))
