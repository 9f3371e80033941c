"""status: show how far a run is, or how it ended."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from ..batch.progress import State, Status, read_status
from ..batch.shown_progress import duration
from .console import give

_LONGEST_LIST = 50
DESCRIPTION = """\
Says whether a run into a results folder is going on, is finished or was stopped, how
far it is, and which cases failed so far and why. Disturbs nothing.

Takes no time.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument("directory", type=Path, metavar="DIR", help="the results folder")


def run(arguments: argparse.Namespace) -> int:
    """Say how far the run is."""
    found = read_status(arguments.directory)
    if arguments.json:
        failures = [(case_id, str(failure)) for case_id, failure in found.failures]
        give({"command": "status", **asdict(found), "failures": failures})
    else:
        for line in status_lines(found):
            print(line)
    return 0


def status_lines(found: Status) -> list[str]:
    """The state of a results folder in sentences."""
    progress = found.progress
    counts = f"{progress.done} of {progress.total} cases finished, {progress.n_failed} failed"
    if found.state is State.RUNNING:
        who = f"process {found.holder.get('pid', '?')} on {found.holder.get('host', '?')}"
        lines = [f"Running ({who}) for {duration(progress.seconds)}: {counts}."]
        if progress.seconds_left is not None:
            lines.append(f"About {duration(progress.seconds_left)} left at the rate so far.")
    elif found.state is State.FINISHED:
        lines = [f"Finished: {counts}."]
    else:
        lines = [
            f"Stopped before the end: {counts}.",
            "Run the same command again to continue; what is finished is not measured twice.",
        ]
    for case_id, failure in found.failures[:_LONGEST_LIST]:
        lines.append(f"  {case_id}: {failure.sentence}")
    if len(found.failures) > _LONGEST_LIST:
        lines.append(f"  and {len(found.failures) - _LONGEST_LIST} more")
    return lines
