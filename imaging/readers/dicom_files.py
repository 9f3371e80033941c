"""List many DICOM files and read their headers in parallel processes."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections import Counter
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
    ".nii", ".nrrd", ".nhdr", ".raw", ".mha", ".mhd", ".csv", ".json", ".yaml", ".txt",
    ".html", ".png", ".jpg", ".jpeg", ".pdf", ".zip", ".tar", ".tgz", ".7z", ".rar", ".iso",
    ".svs", ".tif", ".tiff", ".ndpi", ".xml", ".exe", ".py", ".log", ".md", ".ini", ".inf",
    ".dll", ".bat", ".geojson", ".css", ".js", ".bval", ".bvec",
}  # fmt: skip


def passed_over(path: Path) -> str:
    """Why a file or link in a folder is not looked into as DICOM; "" if it is."""
    name = path.name.lower()
    stem = name.removesuffix(".gz")  # a slice may be packed; .nii.gz is not a slice
    suffix = os.path.splitext(stem)[1]  # noqa: PTH122 - speed
    if name == "dicomdir":
        return "DICOMDIR"
    if name.startswith("."):
        return "hidden file"
    if suffix in {".hdr", ".img"}:
        half = next(one for one in (".hdr", ".img") if one != suffix)
        beside = path.with_name(path.name[: len(stem) - len(suffix)] + half)
        other = (beside, beside.with_name(beside.name + ".gz"), beside.with_suffix(half.upper()))
        return f"file of another kind ({suffix})" if any(o.is_file() for o in other) else ""
    return f"file of another kind ({suffix})" if suffix in _NEVER_DICOM else ""


@dataclass(frozen=True)
class Unreadable:
    """A file that looked like DICOM and could not be read."""

    path: Path
    error: ScanError


def list_files(path: Path, passed: Counter[str] | None = None) -> list[Path]:
    """All files that may be DICOM at or under a path, sorted.

    Hidden files, DICOMDIR and files with the suffix of another format are passed over; links to
    folders are not followed.

    Args:
        path: a file or folder.
        passed: is told how many files and links are passed over, by the reason.

    Raises:
        ScanError: ``unreadable_file``: the folder may not be opened.
    """
    if not path.is_dir():
        return [path]
    passed = Counter() if passed is None else passed
    found: list[Path] = []
    for folder, folders, names in os.walk(path, onerror=_refuse):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        if links:
            passed["link to a folder"] += len(links)
        hidden = [name for name in folders if name.startswith(".")]
        if hidden:
            passed["hidden folder"] += len(hidden)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            file = Path(folder) / name
            if reason := passed_over(file):
                passed[reason] += 1
            else:
                found.append(file)
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
