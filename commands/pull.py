"""pull: copy the scans of listed patients from a DICOMweb server."""

from __future__ import annotations

import argparse
from pathlib import Path

from .options import add_output

DESCRIPTION = """\
Copies every CT and MR series of the listed patients from a DICOMweb server (QIDO-RS, WADO-RS),
whole series only: as many images as the server states, each of the patient who was asked for. Run
the same command again to resume after an interruption. Then `fibrovol init` drafts a study from the
folder.

The name and password are read from ~/.netrc, or a token from FIBROVOL_DICOMWEB_TOKEN.

Takes as long as the network needs: a scan of 500 slices is about 250 MB.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "server",
        metavar="URL",
        help="root of the server's DICOMweb services, or dimse://AE_TITLE@HOST:PORT",
    )
    parser.add_argument(
        "patients",
        type=Path,
        metavar="PATIENTS.csv",
        help="one line a patient: patient_id, and study_uid where one study is meant",
    )
    add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Pull the series."""
    from ..intake.archive import open_archive  # noqa: PLC0415 - start-up time
    from ..intake.pull import pull  # noqa: PLC0415
    from .console import counting, give, say  # noqa: PLC0415

    server = open_archive(arguments.server)
    with counting("patients") as show:
        done = pull(
            server,
            arguments.patients,
            arguments.output,
            tell=None if arguments.json else show,
        )
    fresh = sum(one.fresh for one in done.series)
    if arguments.json:
        give(
            {
                "command": "pull",
                "n_series": len(done.series),
                "n_fresh": fresh,
                "failures": [{"line": line, "error": str(why)} for line, why in done.failures],
            }
        )
    else:
        say(f"{len(done.series)} series in {arguments.output}, {fresh} of them new.")
        for line, why in done.failures:
            say(f"  line {line}: {why.sentence}")
    return 3 if done.failures else 0
