"""What volume, collagen and run share: from settings to a summary."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..batch.executor import make_executor
from ..batch.runner import RunSummary, run_study
from ..errors import ConfigError, InputError
from ..intake.date_shifts import date_shifts
from ..intake.remote import is_url
from ..intake.study import Study
from ..kinds.table import KINDS
from ..settings import Settings, load_settings
from .console import as_result, give, progress, say, summarise
from .scan_options import liver_settings, permissions

EXIT_ALL_MEASURED = 0
EXIT_SOME_FAILED = 3
NOT_WRITTEN = "dicom_not_written"


def settings_of(arguments: argparse.Namespace, study: Study | None = None) -> Settings:
    """Defaults, then study.yaml, then --settings, then single options; later ones win."""
    changes: list[Any] = [study.settings] if study else []
    if arguments.settings:
        changes.append(arguments.settings)
    if arguments.workers is not None:
        changes.append({"run": {"workers": arguments.workers}})
    if getattr(arguments, "require_review", False):
        changes.append({"report": {"require_review": True}})
    return load_settings(*changes, liver_settings(arguments))


def measure_study(study: Study, arguments: argparse.Namespace, settings: Settings) -> RunSummary:
    """Measure a study as the arguments ask, with progress on stderr."""
    with progress(as_json=arguments.json) as show:
        return run_study(
            study,
            arguments.output,
            settings=settings,
            executor=make_executor(settings.run, getattr(arguments, "scheduler", None) or ""),
            progress=show,
            permissions=permissions(arguments),
            date_shifts=_date_shifts(study, arguments, settings),
        )


def _date_shifts(
    study: Study, arguments: argparse.Namespace, settings: Settings
) -> dict[str, int] | None:
    path = getattr(arguments, "shift_dates", None)
    if path is None:
        return None
    if arguments.keep_identity or not settings.liver.dicom:
        raise ConfigError(
            "bad_config",
            "--shift-dates changes the dates of DICOM results without identity",
            found="--keep-identity" if arguments.keep_identity else "no --dicom",
            do="give --dicom with it, and --keep-identity without it",
        )
    scans = [case.subject for case in study.cases if KINDS[case.kind].writes_dicom]
    return date_shifts(path, scans, results=arguments.output)


def refuse_to_draw_shifts(arguments: argparse.Namespace) -> None:
    """Refuse to draw date shifts in one of many jobs: each would draw its own.

    Raises:
        ConfigError: the list of shifts is not there yet.
    """
    path = arguments.shift_dates
    if path is not None and not path.exists():
        raise ConfigError(
            "bad_config",
            "A part of a study cannot draw the date shifts: each part would draw different ones",
            found=f"no file {path}",
            do="write the file first, with the columns subject,days",
        )


def end(command: str, summary: RunSummary, arguments: argparse.Namespace, **more: Any) -> int:
    """Say or give what was done.

    Returns:
        The exit status.
    """
    if arguments.json:
        give({**as_result(command, summary), **more})
    else:
        summarise(summary)
    unwritten = [row["case_id"] for row in summary.rows if NOT_WRITTEN in str(row.get("flags"))]
    if unwritten and not arguments.json:
        say(f"No DICOM result of {', '.join(map(str, unwritten))}: logs/ says why.")
    if getattr(arguments, "dicom", False) and not arguments.keep_identity and not arguments.json:
        say(
            "The DICOM results carry the subjects' codes, not the patients of the images: to file "
            "them next to the images, give --keep-identity."
        )
    return EXIT_SOME_FAILED if summary.failures or unwritten else EXIT_ALL_MEASURED


def refuse_missing(paths: Sequence[Path]) -> None:
    """Refuse addresses, and a command of which no path is there; one of many is a failed case."""
    for path in paths:
        if is_url(path.as_posix().replace(":/", "://", 1)):  # a path folds an address's slashes
            raise InputError(
                "input_missing",
                "Addresses are read from study.csv only",
                found=path.parts[0] + "//...",
                do="write a study.csv with this address in its column path and give it to "
                "`fibrovol run`, or copy the files to a folder first",
            )
    if not any(path.exists() for path in paths):
        raise InputError(
            "input_missing",
            "There is nothing to measure",
            found=f"nothing at {', '.join(map(str, paths))}",
            do="check the path, and that the disk or share is connected",
        )


def value_text(row: dict[str, Any], column: str, unit: str, decimals: int) -> str:
    """A number with its unit and its limits, for people."""
    text = f"{row[column]:,.{decimals}f} {unit}"
    low, high = row[f"{column}_low"], row[f"{column}_high"]
    if low is not None and high is not None:
        text += f" (95 % limits {low:,.{decimals}f} to {high:,.{decimals}f})"
    return text


def flags_text(row: dict[str, Any]) -> str:
    """The flags of a row, for people."""
    return f"; note: {row['flags'].replace(';', ', ')}" if row["flags"] else ""
