"""volume, collagen and run: measure what the arguments name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..batch.output import WORK_NAME
from ..batch.pool import available_cores, make_executor
from ..batch.runner import RunSummary, run_study, taken_ids
from ..errors import ConfigError, InputError
from ..imaging.readers.identity import names_patient
from ..intake.date_shifts import date_shifts
from ..intake.expand import expand, expand_slides
from ..intake.remote import is_url
from ..intake.study import Study, command_line_case, read_study, study_of_cases
from ..report.unchanged import made_from, note, still_holds
from ..settings import Settings, load_settings
from .console import as_result, counting, give, progress, say, summarise
from .scan_options import liver_settings, permissions
from .slide_options import ALL_IMAGES, slide_choices

EXIT_ALL_MEASURED = 0
NOT_WRITTEN = "dicom_not_written"
EXIT_SOME_FAILED = 3


def _settings(arguments: argparse.Namespace, study: Study | None = None) -> Settings:
    """Defaults, then study.yaml, then --settings, then single options; later ones win."""
    changes: list[Any] = [study.settings] if study else []
    if arguments.settings:
        changes.append(arguments.settings)
    if arguments.workers is not None:
        changes.append({"run": {"workers": arguments.workers}})
    if getattr(arguments, "require_review", False):
        changes.append({"report": {"require_review": True}})
    return load_settings(*changes, liver_settings(arguments))


def _measure(study: Study, arguments: argparse.Namespace, settings: Settings) -> RunSummary:
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
    scans = [case.subject for case in study.cases if case.kind == "scan"]
    return date_shifts(path, scans, results=arguments.output)


def _end(command: str, summary: RunSummary, arguments: argparse.Namespace, **more: Any) -> int:
    if arguments.json:
        give({**as_result(command, summary), **more})
    else:
        summarise(summary)
    unwritten = [row["case_id"] for row in summary.rows if NOT_WRITTEN in str(row.get("flags"))]
    if unwritten and not arguments.json:
        say(f"No DICOM result of {', '.join(map(str, unwritten))}: logs/ says why.")
    return EXIT_SOME_FAILED if summary.failures or unwritten else EXIT_ALL_MEASURED


def volume(arguments: argparse.Namespace) -> int:
    """``fibrovol volume``."""
    settings = _settings(arguments)
    like = command_line_case(
        "scan",
        engine=arguments.engine or "",
        modality=(arguments.modality or "").upper(),
        mask=arguments.mask,
        mask_segment=arguments.mask_segment or "",
        series_uid=arguments.series_uid or "",
    )
    _refuse_missing(arguments.paths)
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
            say(f"{case.path} is called after the patient: the results call it {case.case_id}.")
    summary = _measure(study, arguments, settings)
    rows = summary.rows
    if not arguments.json:
        for row in rows:
            if row["status"] == "measured":
                say(f"{row['case_id']}: liver {_value(row, 'volume_ml', 'mL', 0)}{_flags(row)}")
    return _end("volume", summary, arguments, results=list(rows))


def collagen(arguments: argparse.Namespace) -> int:
    """``fibrovol collagen``."""
    settings = _settings(arguments)
    if arguments.custom_stain:
        path = str(arguments.custom_stain.absolute())
        settings = replace(settings, collagen=replace(settings.collagen, custom_stain=path))
    like = command_line_case(
        "slide",
        stain=arguments.stain.lower(),
        mpp_um=arguments.mpp,
        include_regions=arguments.include,
        exclude_regions=arguments.exclude,
        **slide_choices(arguments),
    )
    _refuse_missing(arguments.paths)
    drafts = expand_slides(arguments.paths, like, each_image=arguments.image == ALL_IMAGES)
    study = study_of_cases(drafts, taken=taken_ids(arguments.output))
    summary = _measure(study, arguments, settings)
    paths = {case.case_id: case.written_path for case in study.cases}
    rows = [{**row, "path": paths[str(row["case_id"])]} for row in summary.rows]
    if not arguments.json:
        for row in rows:
            if row["status"] == "measured":
                path = str(row["path"])
                source = "" if Path(path).stem == row["case_id"] else f" ({path})"
                say(
                    f"{row['case_id']}{source}: collagen {_value(row, 'caf_percent', '%', 2)} of "
                    f"{row['tissue_mm2']:.3g} mm2 tissue{_flags(row)}"
                )
    return _end("collagen", summary, arguments, results=rows)


def _refuse_missing(paths: Sequence[Path]) -> None:
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


def _value(row: dict[str, Any], column: str, unit: str, decimals: int) -> str:
    text = f"{row[column]:,.{decimals}f} {unit}"
    low, high = row[f"{column}_low"], row[f"{column}_high"]
    if low is not None and high is not None:
        text += f" (95 % limits {low:,.{decimals}f} to {high:,.{decimals}f})"
    return text


def _flags(row: dict[str, Any]) -> str:
    return f"; note: {row['flags'].replace(';', ', ')}" if row["flags"] else ""


def run(arguments: argparse.Namespace) -> int:
    """``fibrovol run``."""
    study = read_study(arguments.study, strict=arguments.strict)
    for text in study.notes:
        say(f"Note: {text}.")
    settings = _settings(arguments, study)
    summary = _measure(study, arguments, settings)
    report = _report_of(summary.output_dir)
    if not arguments.json:
        say(f"Report: {report}")
    return _end("run", summary, arguments, report=str(report))


def _report_of(directory: Path) -> Path:
    """The report of a run: as it is where nothing changed, else written again."""
    work, path = directory / WORK_NAME, directory / "report.html"
    made = made_from(directory)
    if not still_holds(directory, work, made):
        path = build_report(directory)
        note(directory, work, made)
    return path


def report(arguments: argparse.Namespace) -> int:
    """``fibrovol report``."""
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
    return EXIT_ALL_MEASURED


def build_report(
    directory: Path,
    *,
    repeat: Path | None = None,
    blind: bool = False,
    require_review: bool = False,
    strict: bool = False,
) -> Path:
    """Rebuild paired.csv, statistics.csv and report.html."""
    from ..report.page import build_report as build  # noqa: PLC0415 - matplotlib takes a second

    return build(
        directory, repeat=repeat, blind=blind, require_review=require_review, strict=strict
    )
