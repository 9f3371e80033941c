"""Adding lines to reviews.csv: whole or not at all, in order, with every older line as it was."""

from __future__ import annotations

import os
from pathlib import Path

import filelock

from ..datapackage import write_datapackage
from ..errors import OutputError
from ..files import atomic_path, sha256_file, writing
from ..provenance import fibrovol_version
from ..tables import TABLES, Row, format_table, read_table

LOCK_NAME = "reviews.lock"
_PATIENCE_SECONDS = 20.0
_TABLE = TABLES["reviews"]


def add_review(directory: Path, work: Path, review: Row, *, title: str = "") -> Row:
    """Append one line, after those of any other reader's page.

    The file is written whole to another name, flushed to the disk and renamed: whatever happens,
    it contains all earlier lines, byte for byte, and the new one or not.

    Args:
        directory: the results folder.
        work: its work folder.
        review: as ``make_review`` gives it.
        title: of the study, for the data package.

    Returns:
        The line with its number.

    Raises:
        OutputError: the file cannot be written, or another page holds it for too long.
        ManifestError: reviews.csv is there, but is not this table.
    """
    path = Path(directory) / _TABLE.filename
    with writing():
        try:
            with filelock.FileLock(work / LOCK_NAME, timeout=_PATIENCE_SECONDS):
                before = path.read_bytes() if path.exists() else b""
                rows = read_table(directory, "reviews")
                numbered: Row = {"review": _next(rows), **review}
                if not before.startswith(format_table("reviews", []).encode()):
                    before = _as_ours(path, before, rows)
                header, _, line = format_table("reviews", [numbered]).partition("\n")
                with atomic_path(path) as temporary, temporary.open("wb") as stream:
                    stream.write((before or f"{header}\n".encode()) + line.encode())
                    stream.flush()
                    os.fsync(stream.fileno())
                write_datapackage(directory, title=title)
                return numbered
        except filelock.Timeout:
            raise OutputError(
                "output_in_use",
                "Another reader's page is writing reviews.csv",
                found="it did not finish in 20 s",
                do="give the verdict again",
            ) from None


def _next(rows: list[Row]) -> int:
    return 1 + max((int(row["review"] or 0) for row in rows), default=0)


def _as_ours(path: Path, before: bytes, rows: list[Row]) -> bytes:
    """What a spreadsheet saved over the table, as we write it; its own bytes are kept aside."""
    if not before:
        return b""
    kept = path.parent / "kept" / f"{sha256_file(path)[:8]}-{path.name}"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(before)
    return format_table("reviews", rows).encode()


def software() -> str:
    """What is in the table's ``version``."""
    return fibrovol_version()
