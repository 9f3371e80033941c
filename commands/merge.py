"""merge: put the results of parts of a study together and write the report."""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import add_output
from .run import SHARDS, report_of

DESCRIPTION = """\
Puts together what the jobs of `fibrovol run --shard` or `--only` measured, and writes the report.
Nothing is measured: every case must be in a part, and every mask and picture is compared with the
hash taken when it was written. A later `fibrovol run` into the same folder finds every case
finished.

Takes as long as copying and hashing the masks.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "study", type=Path, metavar="STUDY", help="study.yaml, or study.csv, or their folder"
    )
    parser.add_argument(
        "parts",
        nargs="*",
        type=Path,
        metavar="PART",
        help="the results folders of the parts (default: every folder in DIR/shards)",
    )
    add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Merge the parts."""
    from ..batch.merge import merge_parts  # noqa: PLC0415 - start-up time
    from ..intake.study import read_study  # noqa: PLC0415
    from .console import counting, say  # noqa: PLC0415
    from .measuring import end  # noqa: PLC0415

    shards = arguments.output / SHARDS
    parts = arguments.parts or sorted(path for path in shards.glob("*") if path.is_dir())
    with counting("cases") as show:
        summary = merge_parts(
            read_study(arguments.study),
            parts,
            arguments.output,
            tell=None if arguments.json else show,
        )
    report = report_of(summary.output_dir)
    if not arguments.json:
        say(f"Report: {report}")
    return end("merge", summary, arguments, report=str(report))
