"""Many DICOM files at once: which files there are, and their headers, by several processes."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ...errors import ScanError
from .dicom_headers import SliceHeader, read_headers

Progress = Callable[[int, int], None]
"""Called with the number of files done and the number of files in all."""

_CHUNK_FILES = 64
_WORTH_PROCESSES = 1500
"""Below this, starting processes takes longer than reading."""
_NEVER_DICOM = {
    ".nii", ".gz", ".nrrd", ".nhdr", ".raw", ".mha", ".mhd", ".csv", ".json", ".yaml", ".txt",
    ".html", ".png", ".jpg", ".jpeg", ".pdf", ".zip", ".svs", ".tif", ".tiff", ".ndpi", ".xml",
    ".exe", ".py", ".log", ".md", ".ini", ".inf", ".dll", ".bat", ".geojson", ".css", ".js",
}  # fmt: skip


@dataclass(frozen=True)
class Unreadable:
    """A file that looked like DICOM and could not be read."""

    path: Path
    error: ScanError


def list_files(path: Path) -> list[Path]:
    """All files that may be DICOM at or under a path, sorted.

    Hidden files, DICOMDIR and files with the suffix of another format are passed over; links to
    folders are not followed.

    Raises:
        ScanError: ``unreadable_file``: the folder may not be opened.
    """
    if not path.is_dir():
        return [path]
    found: list[Path] = []
    for folder, folders, names in os.walk(path, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(folder) / name
            for name in names
            if not name.startswith(".")
            and name.upper() != "DICOMDIR"
            and os.path.splitext(name)[1].lower() not in _NEVER_DICOM  # noqa: PTH122 - speed
        ]
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise ScanError(
        "unreadable_file",
        f"The folder {error.filename} cannot be opened",
        found=f"{type(error).__name__}: {error.strerror}",
        do="check that you may read it; slices in it would be missed",
    ) from error


def collect_headers(
    files: Sequence[Path], *, workers: int = 1, progress: Progress | None = None
) -> tuple[list[SliceHeader], list[Unreadable]]:
    """Records of all images among the files, and the files that could not be read.

    Args:
        files: what to read.
        workers: processes; only used for many files, and not inside a daemonic process.
        progress: called after each part.
    """
    chunks = [files[at : at + _CHUNK_FILES] for at in range(0, len(files), _CHUNK_FILES)]
    headers: list[SliceHeader] = []
    unreadable: list[Unreadable] = []

    def take(part: tuple[list[SliceHeader], list[Unreadable]], done: int) -> None:
        headers.extend(part[0])
        unreadable.extend(part[1])
        if progress is not None:
            progress(min(done * _CHUNK_FILES, len(files)), len(files))

    parallel = workers > 1 and len(files) >= _WORTH_PROCESSES
    if not parallel or multiprocessing.current_process().daemon:
        for done, chunk in enumerate(chunks, start=1):
            take(_read_chunk(chunk), done)
        return headers, unreadable
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for done, part in enumerate(pool.map(_read_chunk, chunks), start=1):
            take(part, done)
    return headers, unreadable


def _read_chunk(files: Sequence[Path]) -> tuple[list[SliceHeader], list[Unreadable]]:
    headers: list[SliceHeader] = []
    unreadable: list[Unreadable] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's on small offences; what counts is refused
        for file in files:
            try:
                headers += read_headers(file)
            except ScanError as error:
                unreadable.append(Unreadable(file, error))
    return headers, unreadable
