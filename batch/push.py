"""Push the DICOM results of a folder to an archive, each read back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import OutputError
from ..files import sha256_file
from ..intake.archive import Archive
from .journal import JOURNAL_NAME, read_records
from .output import WORK_NAME

_DICOM = ".dcm"


@dataclass(frozen=True)
class Pushed:
    """What was sent."""

    stored: tuple[str, ...]
    """Files that the server now has as they are here, relative to the results folder."""
    failed: tuple[tuple[str, str], ...]
    """Other files, and why."""


def push(
    server: Archive,
    directory: Path,
    *,
    without_identity: bool = False,
    tell: Callable[[int, int], None] | None = None,
) -> Pushed:
    """Send every SEG and SR that a run wrote.

    Args:
        server: where to.
        directory: a results folder.
        without_identity: also send objects whose study the server does not hold, such as those
            without the patient's identity to an archive of their own.
        tell: called with (objects done, objects in all).

    Raises:
        OutputError: ``no_dicom_source``: the folder contains no DICOM results.
        InputError: the server cannot be asked.
    """
    names = [
        (name, sha256)
        for record in read_records(directory / WORK_NAME / JOURNAL_NAME)
        for name, sha256 in record.result.outputs.items()
        if name.endswith(_DICOM)
    ]
    newest = dict(names)  # a case that was measured again is there twice
    if not newest:
        raise OutputError(
            "no_dicom_source",
            "The folder contains no DICOM results",
            found=f"no SEG or SR of a run in {directory}",
            do="measure with --dicom --keep-identity first",
        )
    stored: list[str] = []
    failed: list[tuple[str, str]] = []
    for number, (name, sha256) in enumerate(newest.items(), start=1):
        problem = _push_one(server, directory / name, sha256, without_identity=without_identity)
        if problem:
            failed.append((name, problem))
        else:
            stored.append(name)
        if tell is not None:
            tell(number, len(newest))
    return Pushed(tuple(stored), tuple(failed))


def _push_one(server: Archive, path: Path, sha256: str, *, without_identity: bool) -> str:
    import pydicom  # noqa: PLC0415 - start-up time

    if not path.is_file() or sha256_file(path) != sha256:
        return "it is missing, or was changed after it was written: measure the case again"
    dataset = pydicom.dcmread(path)
    patients = server.patients_of(dataset.StudyInstanceUID)
    if patients and patients != {str(dataset.PatientID).strip()}:
        return (
            "the server files its study under another patient: measure with --keep-identity, or "
            "have the archive corrected"
        )
    if not patients and not without_identity:
        return (
            "the server does not hold the study that was measured; --without-identity sends it to "
            "an archive of results without identity"
        )
    return server.store(dataset)
