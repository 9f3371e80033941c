"""init: draft study tables from folders of scans and slides."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..batch.pool import available_cores
from .console import counting, give, say
from .options import add_output, positive

DESCRIPTION = """\
Drafts study.csv and study.yaml from what is in the folders. What is clear becomes a
row; what is not (two series that could be meant, a date between visits) goes to
study-open.csv with the reason, for you to decide. Check every row: it goes by what the
files say. Without --codes the PatientID becomes the subject code.

Takes as long as reading a header per file: minutes for an archive.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument("scans", type=Path, metavar="SCANS", help="folder with the scans")
    parser.add_argument(
        "slides", type=Path, nargs="?", metavar="SLIDES", help="folder with the slides"
    )
    add_output(parser)
    parser.add_argument(
        "--codes",
        type=Path,
        metavar="FILE.csv",
        help="your code list: columns patient_id,subject; it stays with you",
    )
    parser.add_argument(
        "--months",
        type=positive,
        default=6,
        metavar="N",
        help="when the follow-up was planned, in months after baseline (default: 6)",
    )
    parser.add_argument(
        "--tolerance-days",
        type=positive,
        default=60,
        metavar="N",
        help="most days between that date and a scan (default: 60)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Draft the study."""
    from ..intake.draft import Visits, draft_study  # noqa: PLC0415 - start-up time

    with counting("files", quiet=arguments.json) as show:
        draft = draft_study(
            arguments.scans,
            arguments.slides,
            arguments.output,
            codes=arguments.codes,
            workers=available_cores(),
            visits=Visits(arguments.months, arguments.tolerance_days),
            progress=show,
        )
    if arguments.json:
        give(
            {
                "command": "init",
                "study": str(draft.study_yaml),
                "n_rows": len(draft.rows),
                "n_open": len(draft.open_rows),
            }
        )
    else:
        table = draft.study_yaml.with_name("study.csv")
        say(f"{len(draft.rows)} scans and slides are listed in {table}.")
        if draft.open_rows:
            where = draft.study_yaml.with_name("study-open.csv")
            say(f"{len(draft.open_rows)} need your decision in {where}; each says why.")
        say("Check every row, then: " + f"fibrovol run {draft.study_yaml} -o results")
    return 0
