"""The journal of finished cases, from which a killed run resumes.

One line a finished case, appended: a CRC-32 of the line, a blank, JSON. A line that was cut off
when the machine stopped does not match its CRC and is dropped, with what follows it. Later lines
replace earlier ones of the same case.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..files import Closing, atomic_path, not_writable
from .record import Record

_SYNC_SECONDS = 1.0  # at most this much is lost when the power fails; nothing when only we die

JOURNAL_NAME = "journal.jsonl"


def _line(record: Record) -> bytes:
    plain = record.as_plain()
    text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _is_whole(line: bytes) -> bool:
    if len(line) < 10 or not line.endswith(b"\n") or line[8:9] != b" ":
        return False
    return line[:8] == b"%08x" % zlib.crc32(line[9:-1])


def _parse(line: bytes) -> Record | None:
    """The record of a whole line; None for one of another version, whose case is measured anew."""
    try:
        return Record.of_plain(json.loads(line[9:-1]))
    except (KeyError, TypeError):
        return None


def read_records(path: Path) -> Iterator[Record]:
    """The whole records in the order they were written, later ones of a case replacing earlier.

    The file is not touched: a run may be writing it.

    Args:
        path: the journal; a missing one has no records.

    Raises:
        OutputError: the file cannot be read.
    """
    return (record for record, _, _ in _read(path) if record is not None)


def _read(path: Path) -> Iterator[tuple[Record | None, int, int]]:
    """Records, where each begins and ends, up to the first line that is not whole."""
    place = 0
    try:
        with path.open("rb") as stream:
            for line in stream:
                if not _is_whole(line):
                    return
                yield _parse(line), place, place + len(line)
                place += len(line)
    except FileNotFoundError:
        return
    except OSError as error:
        raise not_writable(error) from None


class Journal(Closing):
    """The records of an output directory, by case_id; use it in a ``with`` block.

    Only the places of the records are kept in memory.

    Args:
        path: the journal's file; made when the first record is added.

    Raises:
        OutputError: the file cannot be read or written, or is a link.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(path)
        self._places: dict[str, tuple[int, int]] = {}
        self._end = 0
        self._stream: Any = None
        self._reader: Any = None
        self._synced = 0.0
        if self._path.is_symlink():
            raise OutputError(
                "output_not_writable",
                "The journal is a link",
                found=self._path.name,
                do="remove it; Fibrovol writes only inside the output directory",
            )
        if self._load() > 2 * len(self._places) + 100:
            self._compact()
            self._load()

    def _load(self) -> int:
        """Find the records, cut off what is not whole, and count the lines."""
        lines = self._end = 0
        for record, start, end in _read(self._path):
            if record is not None:
                self._places[record.case_id] = (start, end)
            self._end = end
            lines += 1
        if self._path.exists() and self._path.stat().st_size > self._end:
            with self._path.open("r+b") as stream:
                stream.truncate(self._end)
        return lines

    def _compact(self) -> None:
        with atomic_path(self._path) as temporary, temporary.open("wb") as stream:
            for case_id in self._places:
                record = self.get(case_id)
                assert record is not None, "every place is that of a record"
                stream.write(_line(record))
        self.close()

    def get(self, case_id: str) -> Record | None:
        """The newest record of a case, None if there is none.

        Raises:
            OutputError: the journal cannot be read any more, or was changed.
        """
        if case_id not in self._places:
            return None
        start, end = self._places[case_id]
        try:
            if self._reader is None:
                self._reader = self._path.open("rb")
            self._reader.seek(start)
            line = self._reader.read(end - start)
        except OSError as error:
            raise not_writable(error) from None
        record = _parse(line) if _is_whole(line) else None
        if record is None:
            raise OutputError(
                "output_not_writable",
                "The journal was changed while it was in use",
                found=self._path.name,
                do="run the same command again",
            )
        return record

    def add(self, record: Record) -> None:
        """Append the record of a finished case.

        Raises:
            OutputError: the file cannot be written (full disk, read-only).
        """
        try:
            if self._stream is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._stream = self._path.open("ab", buffering=0)
            line = _line(record)
            if self._stream.write(line) != len(line):
                raise OSError(28, "No space left on device")  # a short write is a full disk
            if time.monotonic() - self._synced > _SYNC_SECONDS:
                os.fsync(self._stream.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            raise not_writable(error) from None
        self._places[record.case_id] = (self._end, self._end + len(line))
        self._end += len(line)

    def close(self) -> None:
        """Close the file."""
        for stream in (self._stream, self._reader):
            if stream is not None:
                stream.close()
        self._stream = self._reader = None
