"""run: measure a whole study and write its report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .options import add_comparison, add_output, add_run_options
from .scan_options import add_scan_options

if TYPE_CHECKING:
    from ..intake.study import Study
    from ..settings import Settings

SHARDS = "shards"
"""The folder in the results folder where the parts of a job array are written."""

DESCRIPTION = """\
Measures every scan and slide of a study, compares the visits and writes report.html.

Everything in the study tables that is wrong is listed before anything is measured. A
scan or slide that cannot be measured is listed as failed with the reason, and the
others continue. Run the same command again to resume after an interruption: what is
finished is not measured twice.

Takes a few seconds per scan and up to about a minute per whole slide, divided by
--workers. What is left is shown from the first case on.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    add_scan_options(parser)
    parser.add_argument(
        "--shift-dates",
        type=Path,
        metavar="FILE.csv",
        help="with --dicom: write study dates, moved by each subject's number of days (columns "
        "subject,days; drawn at random if there is no such file). "
        "Anyone who has the file can undo the shifts",
    )
    parser.add_argument(
        "--scheduler",
        metavar="tcp://HOST:PORT",
        help="address of a running Dask scheduler, whose workers see the same paths",
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--only",
        nargs="+",
        metavar="CASE",
        help="measure only these cases (case_id, such as S01_baseline_scan), without a report; "
        "`fibrovol merge` puts such parts together",
    )
    group.add_argument(
        "--shard",
        metavar="I/N",
        help="measure only the I-th of N parts, into DIR/shards: for a job array; then merge",
    )
    add_comparison(parser)
    parser.add_argument(
        "study", type=Path, metavar="STUDY", help="study.yaml, or study.csv, or their folder"
    )
    add_output(parser)
    add_run_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure the study and write its report."""
    from ..intake.study import read_study  # noqa: PLC0415
    from .console import say  # noqa: PLC0415
    from .measuring import end, measure_study, settings_of  # noqa: PLC0415

    study = read_study(arguments.study, strict=arguments.strict)
    for text in study.notes:
        say(f"Note: {text}.")
    settings = settings_of(arguments, study)
    if arguments.only or arguments.shard:
        return _run_part(study, arguments, settings)
    summary = measure_study(study, arguments, settings)
    report = report_of(summary.output_dir)
    if not arguments.json:
        say(f"Report: {report}")
    return end("run", summary, arguments, report=str(report))


def _run_part(study: Study, arguments: argparse.Namespace, settings: Settings) -> int:
    """Measure a part of the study; the report is for the whole."""
    from ..intake.shards import read_shard, take_cases, take_shard  # noqa: PLC0415
    from .console import say  # noqa: PLC0415
    from .measuring import end, measure_study, refuse_to_draw_shifts  # noqa: PLC0415

    refuse_to_draw_shifts(arguments)
    if arguments.only:
        part = take_cases(study, arguments.only)
    else:
        part = take_shard(study, arguments.shard)
        number, count = read_shard(arguments.shard)
        arguments.output = arguments.output / SHARDS / f"{number}-of-{count}"
    if not part.cases:
        say("There are fewer cases than parts: nothing to do.")
        return 0
    summary = measure_study(part, arguments, settings)
    if not arguments.json:
        say("When every part is measured: fibrovol merge STUDY -o DIR")
    return end("run", summary, arguments)


def report_of(directory: Path) -> Path:
    """The report of a run: as it is where nothing changed, else written again."""
    from ..batch.output import WORK_NAME  # noqa: PLC0415
    from ..report.page import build_report  # noqa: PLC0415
    from ..report.unchanged import made_from, note, still_holds  # noqa: PLC0415

    work, path = directory / WORK_NAME, directory / "report.html"
    made = made_from(directory)
    if not still_holds(directory, work, made):
        path = build_report(directory)
        note(directory, work, made)
    return path
