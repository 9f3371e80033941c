"""The journal of finished cases: what a killed run finds again.

One line a finished case, appended: a CRC-32 of the line, a blank, JSON. A line that was cut off
when the machine stopped does not match its CRC and is dropped, with what follows it. Later lines
replace earlier ones of the same case.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import OutputError
from ..files import atomic_path
from .writing import not_writable

_SYNC_SECONDS = 1.0  # at most this much is lost when the power fails; nothing when only we die

Record = dict[str, Any]

JOURNAL_NAME = "journal.jsonl"


def _line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parse(line: bytes) -> Record | None:
    """The record of a whole line, None for a damaged one."""
    if len(line) < 10 or not line.endswith(b"\n") or line[8:9] != b" ":
        return None
    text = line[9:-1]
    if line[:8] != b"%08x" % zlib.crc32(text):
        return None
    return dict(json.loads(text))


def read_records(path: Path) -> dict[str, Record]:
    """The newest record of each case, without touching the file: a run may be writing it.

    Args:
        path: the journal; a missing one has no records.

    Raises:
        OutputError: the file cannot be read.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Record], int, int]:
    """Records, and the lines and bytes that are whole."""
    records: dict[str, Record] = {}
    lines, whole = 0, 0
    try:
        with path.open("rb") as stream:
            for line in stream:
                record = _parse(line)
                if record is None:
                    break
                records[str(record["case_id"])] = record
                lines += 1
                whole += len(line)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise not_writable(error) from None
    return records, lines, whole


class Journal:
    """The records of an output directory, by case_id; use it in a ``with`` block.

    Args:
        path: the journal's file; made when the first record is added.

    Raises:
        OutputError: the file cannot be read or written, or is a link.
    """

    def __init__(self, path: Path) -> None:
        self._path = Path(path)
        self._records: dict[str, Record] = {}
        self._stream: Any = None
        self._synced = 0.0
        if self._path.is_symlink():
            raise OutputError(
                "output_not_writable",
                "The journal is a link",
                found=self._path.name,
                do="remove it; Fibrovol writes only inside the output directory",
            )
        self._load()

    def _load(self) -> None:
        self._records, lines, whole = _read(self._path)
        if lines and self._path.stat().st_size > whole:
            with self._path.open("r+b") as stream:
                stream.truncate(whole)
        if lines > 2 * len(self._records) + 100:
            self._compact()

    def _compact(self) -> None:
        with atomic_path(self._path) as temporary:
            temporary.write_bytes(b"".join(map(_line, self._records.values())))

    @property
    def records(self) -> Mapping[str, Record]:
        """The newest record of each case."""
        return self._records

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
        self._records[str(record["case_id"])] = record

    def close(self) -> None:
        """Let go of the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
