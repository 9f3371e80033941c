"""Reading the tables that people make in a spreadsheet, with line numbers for what is wrong.

What Excel and its relatives do to a table is undone where it is harmless (byte order marks,
UTF-16, Windows' Western code page, semicolons or tabs, CRLF, a ``sep=`` line, a title above the
header, blank lines, empty columns at the end, quotes around a path); what cannot be read for
certain is refused. The first sheet of an ``.xlsx`` workbook is read as well.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import warnings
import zipfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from ..errors import ManifestError

_MAX_BYTES = 200_000_000  # 10^6 rows of 200 characters; more is the wrong file
_QUOTES = "\"'“”„‘’"


@dataclass(frozen=True)
class Sheet:
    """A table as it is in its file."""

    name: str
    """The file's name, for messages."""
    header: tuple[str, ...]
    """Column names, lower case, blanks as underscores."""
    rows: tuple[tuple[int, dict[str, str]], ...]
    """Line number in the file (the header is line 1) and cell text by column name."""
    decimal_comma: bool
    """Columns are parted by ``;`` or tabs, so ``0,5`` is one half."""
    notes: tuple[str, ...] = ()
    """What was read differently from how it is written."""


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
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise _problem(
            path.name, "is an old Excel workbook", "not text", "save it as .xlsx or `CSV UTF-8`"
        )
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else ""
    try:
        text = data.decode(encoding or "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        western = _western(data)
        if western is None:
            raise _problem(
                path.name,
                "is not UTF-8 text",
                f"a byte in line {line} that no UTF-8 text contains",
                "save it as `CSV UTF-8` (Excel: Save as, file type)",
            ) from None
        text = western
    if "\x00" in text:
        raise _problem(path.name, "is not text", "NUL bytes", "save it as `CSV UTF-8`")
    return text


def _western(data: bytes) -> str | None:
    """Text of Windows' Western code page, None if it is not plausibly that.

    Few letters beyond ASCII, all of them letters or signs of that page's languages: a Korean or
    Chinese file has many, in pairs.
    """
    high = [byte for byte in data if byte >= 0x80]
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return None
    pairs = re.search(rb"[\x81-\xfe][\xa1-\xfe]{2}", data)
    return None if pairs or len(high) > 0.05 * len(data) else text


def _is_workbook(path: Path) -> bool:
    """By its first bytes: a workbook may be named .csv."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def _workbook(path: Path) -> list[list[str]]:
    """The cells of a workbook's first sheet with content, as text: dates as ISO, numbers plain."""
    from openpyxl import load_workbook  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # styles and validations that it does not know
            book = load_workbook(io.BytesIO(path.read_bytes()), read_only=True, data_only=True)
        sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        tables = [[list(row) for row in sheet.iter_rows(values_only=True)] for sheet in sheets]
        names = [sheet.title for sheet in sheets]
        book.close()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise _problem(
            path.name, "is an Excel workbook that cannot be read", str(error), "save it again"
        ) from None
    filled = [index for index, table in enumerate(tables) if any(any(row) for row in table)]
    if not filled:
        raise _problem(path.name, "contains no table", "empty sheets", "fill the first sheet")
    if len(filled) > 1:
        held = ", ".join(names[index] for index in filled)
        raise _problem(
            path.name,
            "contains several tables",
            f"sheets {held}",
            "keep one table in each workbook",
        )
    return [[_cell_text(cell) for cell in row] for row in tables[filled[0]]]


def _cell_text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, datetime):
        return cell.date().isoformat()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    return str(cell)


def read_sheet(path: Path, needs: Collection[str] = ()) -> Sheet:
    """Read a comma, semicolon or tab separated file, or the one table of an ``.xlsx`` workbook.

    Args:
        path: the file.
        needs: columns of which the header line has at least one; lines above it, such as a title,
            are passed over with a note. () if the first line is the header.

    Raises:
        ManifestError: not found, not text, no header, a column twice, or a row with more cells
            than the header.
    """
    path = Path(path)
    if _is_workbook(path):
        cells = _workbook(path)
        records = list(enumerate(cells, start=1))
        return _sheet(path, records, decimal_comma=False, needs=needs)
    lines = _decode(path).splitlines()
    start = 1
    delimiter = ""
    if lines and (mark := re.fullmatch(r'"?sep=(.)"?', lines[0].strip(), re.IGNORECASE)):
        delimiter, lines, start = mark[1], lines[1:], 2
    if not lines or not lines[0].strip():
        raise _problem(path.name, "has no header line", "an empty first line", "name the columns")
    delimiter = delimiter or _delimiter(lines, needs)
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
    return _sheet(path, records, decimal_comma=delimiter != ",", needs=needs)


_TITLE_LINES = 10


def _delimiter(lines: Sequence[str], needs: Collection[str]) -> str:
    """What parts the columns of the header, the first line that names one of those needed."""
    for line in lines[:_TITLE_LINES]:
        for sign in sorted(",;\t|", key=line.count, reverse=True):
            names = {re.sub(r"\s+", "_", name.strip(' "').lower()) for name in line.split(sign)}
            if names & set(needs):
                return sign
    return max(",;\t", key=lines[0].count)


def _sheet(
    path: Path,
    records: Sequence[tuple[int, list[str]]],
    *,
    decimal_comma: bool,
    needs: Collection[str],
) -> Sheet:
    """The table in the records of a file."""
    notes: tuple[str, ...] = ()
    names = [[re.sub(r"\s+", "_", cell.strip().lower()) for cell in row] for _, row in records]
    top = next(
        (i for i, row in enumerate(names[:_TITLE_LINES]) if not needs or set(row) & set(needs)), 0
    )
    if top:
        above = " ".join(" ".join(row).strip() for _, row in records[:top]).strip()
        notes = (f"{path.name}: the text above the header was passed over: {above[:80]!r}",)
    header = names[top] if names else []
    while header and not header[-1]:
        header.pop()
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled:
        raise _problem(path.name, "names a column twice", ", ".join(doubled), "keep one of them")
    rows: list[tuple[int, dict[str, str]]] = []
    for line, raw in records[top + 1 :]:
        cells = [clean_cell(cell) for cell in raw]
        if not any(cells):
            continue
        if any(cells[len(header) :]):
            raise _problem(
                path.name,
                f"line {line} has more cells than the header",
                f"{len(cells)} cells, {len(header)} columns",
                'put text that contains a comma in quotation marks: "a, b"',
            )
        cells += [""] * (len(header) - len(cells))
        rows.append((line, {n: c for n, c in zip(header, cells, strict=False) if n}))
    return Sheet(path.name, tuple(filter(None, header)), tuple(rows), decimal_comma, notes)


def renamed(sheet: Sheet, old: str, new: str) -> Sheet:
    """The sheet with one column under another name."""
    return replace(
        sheet,
        header=tuple(new if name == old else name for name in sheet.header),
        rows=tuple(
            (line, {new if name == old else name: cell for name, cell in cells.items()})
            for line, cells in sheet.rows
        ),
    )


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
            that appears twice (and is not in the message: it may be a patient's).
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
            raise ValueError(f"line {number}: the {first} appears twice")
        seen.add(name)
        yield number, name, value


def clean_cell(text: str) -> str:
    """A cell without the blanks (also the hard and zero-width ones) and quotes around it."""
    text = text.replace("\u00a0", " ").replace("\u200b", "").replace("\ufeff", "").strip()
    if len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        text = text[1:-1].strip()
    return text


def parse_number(text: str, *, decimal_comma: bool) -> float:
    """A decimal number; ``0,5`` where the comma cannot part columns or thousands.

    In a comma-separated file a quoted ``2,6`` is a decimal; ``1,234`` may be either and is refused.

    Raises:
        ValueError: not a finite number.
    """
    if re.fullmatch(r"[+-]?\d+,\d+" if decimal_comma else r"[+-]?\d+,(\d{1,2}|\d{4,})", text):
        text = text.replace(",", ".")
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        raise ValueError(text)
    return float(text)


def parse_date(text: str) -> str:
    """An ISO date from one written year first, with dots day first, or as Excel's serial number.

    With slashes, day-first and month-first dates cannot be distinguished and are refused.

    Raises:
        ValueError: any other form, or a day that does not exist.
    """
    if found := re.fullmatch(r"(\d{1,2})\. ?(\d{1,2})\. ?(\d{4})", text):
        return date(int(found[3]), int(found[2]), int(found[1])).isoformat()
    if re.fullmatch(r"[2-6]\d{4}(\.0)?", text):  # from 1954 to 2091
        return (date(1899, 12, 30) + timedelta(days=int(float(text)))).isoformat()
    text = re.sub(r"[T ]00:00(:00)?(\.0+)?$", "", text)
    match = re.fullmatch(r"(\d{4})([-/.]?)(\d{1,2})\2(\d{1,2})\.?", text.replace(". ", "."))
    if not match or (not match[2] and len(text) != 8):
        raise ValueError(text)
    return date(int(match[1]), int(match[3]), int(match[4])).isoformat()
