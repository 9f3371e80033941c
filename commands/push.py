"""push: send DICOM SEG and SR of a results folder to a DICOMweb server."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Sends every DICOM Segmentation and Structured Report that a run with --dicom wrote to a DICOMweb
server (STOW-RS), one at a time, and reads each back: only what the server then has as it was sent
counts as stored. An object is sent where the server files its study under the same PatientID.

The name and password are read from ~/.netrc, or a token from FIBROVOL_DICOMWEB_TOKEN.

Takes about a second per object.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument("directory", type=Path, metavar="DIR", help="the results folder")
    parser.add_argument(
        "server",
        metavar="URL",
        help="root of the server's DICOMweb services, or dimse://AE_TITLE@HOST:PORT",
    )
    parser.add_argument(
        "--without-identity",
        action="store_true",
        help="also send results whose study the server does not hold, to an archive of their own",
    )


def run(arguments: argparse.Namespace) -> int:
    """Push the results."""
    from ..batch.push import push  # noqa: PLC0415 - start-up time
    from ..intake.archive import open_archive  # noqa: PLC0415
    from .console import counting, give, say  # noqa: PLC0415

    with counting("objects") as show:
        done = push(
            open_archive(arguments.server),
            arguments.directory,
            without_identity=arguments.without_identity,
            tell=None if arguments.json else show,
        )
    if arguments.json:
        failed = [{"file": name, "problem": problem} for name, problem in done.failed]
        give({"command": "push", "stored": list(done.stored), "failed": failed})
    else:
        say(f"{len(done.stored)} stored and read back, {len(done.failed)} failed.")
        for name, problem in done.failed:
            say(f"  {name}: {problem}")
    return 3 if done.failed else 0
