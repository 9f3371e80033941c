"""report: write the report of a measured study again."""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import add_comparison

DESCRIPTION = """\
Rebuilds paired.csv, statistics.csv and report.html from the tables in a results folder.

Takes seconds, and longer with thousands of cases.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="the results folder of `fibrovol run`"
    )
    parser.add_argument(
        "--repeat",
        type=Path,
        metavar="DIR2",
        help="the results folder of a second run, reader or engine over the same cases: adds their "
        "agreement (Bland-Altman, ICC, smallest detectable change)",
    )
    add_comparison(parser)
    parser.add_argument(
        "--blind",
        action="store_true",
        help="also write report_blind.html, the pictures under codes for a reader who must not "
        "know subject or visit, and report_blind_key.csv, their key; with arms also "
        "report_blind_arms.html, the report with letters for arms, and report_blind_arms_key.csv",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the report again."""
    from ..report.page import build_report  # noqa: PLC0415
    from .console import give, say  # noqa: PLC0415

    path = build_report(
        arguments.directory,
        repeat=arguments.repeat,
        blind=arguments.blind,
        require_review=arguments.require_review,
        strict=arguments.strict,
    )
    if arguments.json:
        give({"command": "report", "report": str(path)})
    else:
        say(f"Report: {path}")
        if arguments.blind:
            say(f"Blinded pictures: {path.with_name('report_blind.html')}")
            say(f"Their key, not for the reader: {path.with_name('report_blind_key.csv')}")
            if (arms := path.with_name("report_blind_arms.html")).exists():
                say(f"Report with blinded arms: {arms}")
                say(f"Its key: {path.with_name('report_blind_arms_key.csv')}")
    return 0
