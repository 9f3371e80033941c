"""Pull the scans of a list of patients from an archive, whole series only."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import Failure, InputError, ManifestError
from ..files import PARTIAL_PREFIX, move, sha256_files, write_text, writing
from ..sheets.sheet import read_sheet
from .archive import Archive
from .dicomweb import is_uid
from .dicomweb_input import MODALITIES


@dataclass(frozen=True)
class PulledSeries:
    """One series."""

    path: Path
    n_images: int
    fresh: bool
    """Whether it came now; False where it was there, whole."""


@dataclass(frozen=True)
class Pulled:
    """What arrived, and what did not."""

    series: tuple[PulledSeries, ...]
    failures: tuple[tuple[int, Failure], ...]
    """Line of the list, and why nothing or not everything of it came."""


def pull(
    server: Archive,
    patients: Path,
    folder: Path,
    *,
    modalities: tuple[str, ...] = MODALITIES,
    tell: Callable[[int, int], None] | None = None,
) -> Pulled:
    """Copy every series of the listed patients or studies into a folder.

    A series is written under another name and renamed when it is whole: as many images as the
    server states, each of the patient who was asked for. What came before from the same server and
    is as it came, by its hash, is not fetched again.

    Args:
        server: where from.
        patients: CSV with the column ``patient_id`` and, optionally, ``study_uid``.
        folder: where to; ``STUDY_UID/SERIES_UID/*.dcm``.
        modalities: of the series that are pulled.
        tell: called with (lines done, lines in all).

    Raises:
        ManifestError: the list is wrong.
        InputError: the server refuses who asks, or cannot be reached.
        OutputError: the folder cannot be written.
    """
    rows = _rows(patients)
    series: list[PulledSeries] = []
    failures: list[tuple[int, Failure]] = []
    for number, (line, patient_id, study_uid) in enumerate(rows, start=1):
        try:
            studies = [study_uid] if study_uid else server.studies_of(patient_id)
            found = [
                (study, uid, count)
                for study in studies
                for uid, count in server.series_of(study, modalities)
            ]
            if not found:
                failures.append((line, _nothing(modalities)))
            for study, uid, count in found:
                series.append(_pull_series(server, folder, patient_id, (study, uid), count))
        except InputError as error:
            if not _is_of_one_patient(error):
                raise
            failures.append((line, error.failure))
        if tell is not None:
            tell(number, len(rows))
    return Pulled(tuple(series), tuple(failures))


def _rows(path: Path) -> list[tuple[int, str, str]]:
    sheet = read_sheet(path)
    if "patient_id" not in sheet.header:
        raise ManifestError(
            "bad_manifest",
            f"{path.name} has no column patient_id",
            found=", ".join(sheet.header),
            do="write one line a patient: patient_id, and study_uid where one study is meant",
        )
    for line, row in sheet.rows:
        if set(row["patient_id"]) & set("*?\\"):
            raise ManifestError(
                "bad_manifest",
                f"{path.name}, line {line}: patient_id is a pattern, not a number",
                found=repr(row["patient_id"]),
                do="write one line per patient, without *, ? or \\",
            )
        if (study_uid := row.get("study_uid", "")) and not is_uid(study_uid):
            raise ManifestError(
                "bad_manifest",
                f"{path.name}, line {line}: study_uid is not a UID",
                found=repr(study_uid),
                do="write the StudyInstanceUID, digits and dots only",
            )
        if not row["patient_id"]:
            raise ManifestError(
                "bad_manifest",
                f"{path.name}, line {line}: patient_id is empty",
                found=", ".join(value for value in row.values() if value),
                do="write the PatientID; the images' own is compared with it",
            )
    rows = [(line, row["patient_id"], row.get("study_uid", "")) for line, row in sheet.rows]
    if not rows:
        raise ManifestError(
            "bad_manifest", f"{path.name} lists no patient", found="a header", do="add one per line"
        )
    first = {row[1:]: row for row in reversed(rows)}  # a line that stands twice is pulled once
    return sorted(first.values())


def _nothing(modalities: tuple[str, ...]) -> Failure:
    return Failure(
        "input_missing",
        "The server has no such series of this patient",
        found=f"no {' or '.join(modalities)}",
        do="check the patient_id (leading zeros, the issuer's prefix) and the study_uid",
    )


def _is_of_one_patient(error: InputError) -> bool:
    """Whether the other patients can be asked: a server that is gone or refuses, it cannot."""
    return error.code in ("input_changed", "input_missing") or "cut short" in error.what


def _pull_series(
    server: Archive, folder: Path, patient_id: str, uids: tuple[str, str], count: int
) -> PulledSeries:
    target = folder / uids[0] / uids[1]
    note = target.with_name(target.name + ".json")
    asked = {"server": server.url, "patient_id": patient_id, "n_images": count}
    if target.is_dir() and _is_as_noted(note, target, asked):
        return PulledSeries(target, count, fresh=False)
    partial = target.with_name(PARTIAL_PREFIX + target.name)
    with writing():
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    try:
        server.save_series(uids, count, partial, patient_id=patient_id)
        with writing():
            shutil.rmtree(target, ignore_errors=True)
            move(partial, target)
            write_text(note, json.dumps({**asked, "sha256": _content_sha256(target)}) + "\n")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return PulledSeries(target, count, fresh=True)


def _is_as_noted(note: Path, series: Path, asked: dict[str, object]) -> bool:
    """Whether a series came whole from the same server for the same patient, and is as it came."""
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        return bool(known == {**asked, "sha256": _content_sha256(series)})
    except (OSError, ValueError):
        return False


def _content_sha256(series: Path) -> str:
    return sha256_files(series.glob("*.dcm"))
