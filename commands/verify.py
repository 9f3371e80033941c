"""verify: check that inputs and results are still what was measured."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from ..batch.verify import Verification
from ..batch.verify import verify as verify_results
from .console import counting, give, say

EXIT_MISMATCH = 3
DESCRIPTION = """\
Reads every input, mask, picture and table of a results folder again and says what is no
longer what was measured or written. Exit status 3 if something differs.

Takes as long as reading everything once.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument("directory", type=Path, metavar="DIR", help="the results folder")


def run(arguments: argparse.Namespace) -> int:
    """Check the results folder."""
    with counting("cases", quiet=arguments.json) as show:
        found = verify_results(arguments.directory, show)
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
