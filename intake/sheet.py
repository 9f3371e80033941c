"""Reading the tables that people make in a spreadsheet, with line numbers for what is wrong.

What Excel and its relatives do to a CSV file is undone where it is harmless (byte order marks,
UTF-16, semicolons or tabs, CRLF, a ``sep=`` line, blank lines, empty columns at the end, quotes
around a path); what cannot be read for certain is refused.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ..errors import ManifestError

_MAX_BYTES = 200_000_000  # 10^6 rows of 200 characters; more is the wrong file
_QUOTES = "\"'“”„‘’"


@dataclass(frozen=True)
class Sheet:
    """A table as it stands in its file."""

    name: str
    """The file's name, for messages."""
    header: tuple[str, ...]
    """Column names, lower case, blanks as underscores."""
    rows: tuple[tuple[int, dict[str, str]], ...]
    """Line number in the file (the header is line 1) and cell text by column name."""
    decimal_comma: bool
    """Columns are parted by ``;`` or tabs, so ``0,5`` is one half."""


def _problem(name: str, what: str, found: str, do: str) -> ManifestError:
    return ManifestError("bad_manifest", f"{name} {what}", found=found, do=do)


def _decode(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            size = f"{path.stat().st_size / 1e6:.0f} MB"
            raise _problem(path.name, "is too large for a table", size, "check the path")
        data = path.read_bytes()
    except FileNotFoundError:
        raise _problem(path.name, "was not found", str(path), "check the path") from None
    except OSError as error:
        raise _problem(path.name, "cannot be read", str(error.strerror), "check it") from None
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise _problem(
            path.name, "is an Excel workbook", "not text", "save it as `CSV UTF-8` from Excel"
        )
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ""
    try:
        text = data.decode(encoding or "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _problem(
            path.name,
            "is not UTF-8 text",
            f"a byte in line {line} that no UTF-8 text holds",
            "save it as `CSV UTF-8` (Excel: Save as, file type)",
        ) from None
    if "\x00" in text:
        raise _problem(path.name, "is not text", "NUL bytes", "save it as `CSV UTF-8`")
    return text


def read_sheet(path: Path) -> Sheet:
    """Read a comma, semicolon or tab separated file.

    Args:
        path: the file.

    Raises:
        ManifestError: not found, not text, no header, a column twice, or a row with more cells
            than the header.
    """
    path = Path(path)
    lines = _decode(path).splitlines()
    start = 1
    delimiter = ""
    if lines and (mark := re.fullmatch(r'"?sep=(.)"?', lines[0].strip(), re.IGNORECASE)):
        delimiter, lines, start = mark[1], lines[1:], 2
    if not lines or not lines[0].strip():
        raise _problem(path.name, "has no header line", "an empty first line", "name the columns")
    delimiter = delimiter or max(",;\t", key=lines[0].count)
    reader = csv.reader(io.StringIO("\n".join(lines), newline=""), delimiter=delimiter, strict=True)
    try:
        # line_num is the last line of the record, which is the line itself for all but broken rows
        records = [(reader.line_num + start - 1, cells) for cells in reader]
    except csv.Error as error:
        raise _problem(
            path.name,
            f"has a broken line {reader.line_num + start - 1}",
            str(error),
            'close every quotation mark; write a quotation mark inside a cell as ""',
        ) from None
    header = [re.sub(r"\s+", "_", cell.strip().lower()) for cell in records[0][1]]
    while header and not header[-1]:
        header.pop()
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled:
        raise _problem(path.name, "names a column twice", ", ".join(doubled), "keep one of them")
    rows: list[tuple[int, dict[str, str]]] = []
    for line, raw in records[1:]:
        cells = [clean_cell(cell) for cell in raw]
        if not any(cells):
            continue
        if any(cells[len(header) :]):
            raise _problem(
                path.name,
                f"line {line} has more cells than the header",
                f"{len(cells)} cells, {len(header)} columns",
                'put a text that holds a comma into quotation marks: "a, b"',
            )
        cells += [""] * (len(header) - len(cells))
        rows.append((line, {n: c for n, c in zip(header, cells, strict=False) if n}))
    return Sheet(path.name, tuple(filter(None, header)), tuple(rows), delimiter != ",")


def read_pairs(path: Path, first: str, second: str) -> Iterator[tuple[int, str, str]]:
    """The lines of a list that gives each of something one value: codes, shifts of dates.

    Args:
        path: CSV with both columns; others are passed over.
        first: the column that names each once.
        second: the column of the values.

    Yields:
        Line number and both cells without blanks around them.

    Raises:
        ValueError: what is wrong, with its line: no such file, no text, an empty cell, or a name
            that stands twice (and is not in the message: it may be a patient's).
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as stream:
            lines = list(csv.DictReader(stream, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(str(error)) from None
    seen = set()
    for number, line in enumerate(lines, start=2):
        name, value = ((line.get(column) or "").strip() for column in (first, second))
        if not name or not value:
            raise ValueError(f"line {number} lacks {first} or {second}")
        if name in seen:
            raise ValueError(f"line {number}: the {first} stands twice")
        seen.add(name)
        yield number, name, value


def clean_cell(text: str) -> str:
    """A cell without the blanks (also the hard and zero-width ones) and quotes around it."""
    text = text.replace("\u00a0", " ").replace("\u200b", "").replace("\ufeff", "").strip()
    if len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        text = text[1:-1].strip()
    return text


def parse_number(text: str, *, decimal_comma: bool) -> float:
    """A decimal number; ``0,5`` only where the comma does not part columns.

    Raises:
        ValueError: not a finite number.
    """
    if decimal_comma and re.fullmatch(r"[+-]?\d+,\d+", text):
        text = text.replace(",", ".")
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        raise ValueError(text)
    return float(text)


def parse_date(text: str) -> str:
    """An ISO date from one written year first, as DICOM (20240105) or as Excel shows it.

    Day-first and month-first dates cannot be told apart and are refused.

    Raises:
        ValueError: any other form, or a day that does not exist.
    """
    text = re.sub(r"[T ]00:00(:00)?(\.0+)?$", "", text)
    match = re.fullmatch(r"(\d{4})([-/.]?)(\d{1,2})\2(\d{1,2})\.?", text.replace(". ", "."))
    if not match or (not match[2] and len(text) != 8):
        raise ValueError(text)
    return date(int(match[1]), int(match[3]), int(match[4])).isoformat()
