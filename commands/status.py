"""status and verify: show a run's progress, check a results folder."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from ..batch.progress import State, Status, read_status
from ..batch.verify import Verification
from ..batch.verify import verify as verify_results
from .console import duration, give, say

_LONGEST_LIST = 50
EXIT_MISMATCH = 3


def status(arguments: argparse.Namespace) -> int:
    """``fibrovol status``."""
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
            "Give the same command again to go on; what is finished is not measured twice.",
        ]
    for case_id, failure in found.failures[:_LONGEST_LIST]:
        lines.append(f"  {case_id}: {failure.sentence}")
    if len(found.failures) > _LONGEST_LIST:
        lines.append(f"  and {len(found.failures) - _LONGEST_LIST} more")
    return lines


def verify(arguments: argparse.Namespace) -> int:
    """``fibrovol verify``."""

    def tell(done: int, total: int) -> None:
        if not arguments.json and sys.stderr.isatty():
            print(f"\r[{done}/{total}]", end="\n" if done == total else "", file=sys.stderr)

    found = verify_results(arguments.directory, tell)
    if arguments.json:
        give({"command": "verify", **asdict(found)})
    else:
        for line in verify_lines(found):
            print(line)
        if found.mismatches:
            say("What to do: measure again with the same command, or take the files from a backup.")
    return EXIT_MISMATCH if found.mismatches else 0


def verify_lines(found: Verification) -> list[str]:
    """What was held against what, in sentences."""
    lines = [
        f"Read again: {found.n_inputs} inputs, {found.n_outputs} masks, pictures and logs, "
        f"{found.n_tables} tables."
    ]
    if not found.mismatches:
        return [*lines, "All are as they were measured and written."]
    lines.append(f"{len(found.mismatches)} differ:")
    return lines + [f"  {one.what} {one.name}: {one.problem}" for one in found.mismatches]
