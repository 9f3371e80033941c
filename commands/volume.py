"""volume: measure the liver volume of single scans."""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import add_output, add_run_options
from .scan_options import add_scan_options

DESCRIPTION = """\
Measures the liver volume of one or many scans. No study is needed.

Writes volumes.csv, the liver masks (masks/, open them over the scan in 3D Slicer or
ITK-SNAP) and pictures with the contour (overlays/: look at them). A scan whose geometry
cannot be trusted is refused with the reason; the others are measured.

Takes a few seconds per scan on an ordinary computer.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="a folder with the DICOM files of a series, or a NIfTI file",
    )
    add_output(parser)
    parser.add_argument(
        "--engine", metavar="NAME", help="segmentation engine (default: liver_net, shipped)"
    )
    parser.add_argument(
        "--modality",
        choices=["ct", "mr"],
        help="for files that do not say it, such as NIfTI (default: recognised by the grey values)",
    )
    parser.add_argument(
        "--mask",
        type=Path,
        metavar="FILE",
        help="an existing liver mask of the one scan, measured instead of finding the liver",
    )
    parser.add_argument(
        "--mask-segment",
        metavar="NAME",
        help="the liver in a --mask of several organs: its name or number, 1-8 for several",
    )
    parser.add_argument(
        "--series-uid",
        metavar="UID",
        help="SeriesInstanceUID of the series to measure in a folder of several",
    )
    add_scan_options(parser)
    add_run_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure the scans."""
    from ..batch.pool import available_cores  # noqa: PLC0415
    from ..batch.runner import taken_ids  # noqa: PLC0415
    from ..imaging.readers.identity import names_patient  # noqa: PLC0415
    from ..intake.expand import expand  # noqa: PLC0415
    from ..intake.study import command_line_case, study_of_cases  # noqa: PLC0415
    from .console import counting, say  # noqa: PLC0415
    from .measuring import end, flags_text, measure_study, refuse_missing, settings_of, value_text  # noqa: PLC0415

    settings = settings_of(arguments)
    like = command_line_case(
        "scan",
        engine=arguments.engine or "",
        modality=(arguments.modality or "").upper(),
        mask=arguments.mask,
        mask_segment=arguments.mask_segment or "",
        series_uid=arguments.series_uid or "",
    )
    refuse_missing(arguments.paths)
    with counting("files") as show:
        drafts = expand(
            [path.absolute() for path in arguments.paths],
            like,
            workers=available_cores(),
            progress=None if arguments.json else show,
        )
    private = {draft.path for draft in drafts if names_patient(draft.path)}
    if arguments.keep_identity:
        private = set()
    study = study_of_cases(drafts, taken=taken_ids(arguments.output), private=private)
    for case in study.cases:
        if case.path in private:
            say(f"{case.path} is named after the patient: the results call it {case.case_id}.")
    summary = measure_study(study, arguments, settings)
    rows = summary.rows
    if not arguments.json:
        for row in rows:
            if row["status"] == "measured":
                value = value_text(row, "volume_ml", "mL", 0)
                say(f"{row['case_id']}: liver {value}{flags_text(row)}")
    return end("volume", summary, arguments, results=list(rows))
