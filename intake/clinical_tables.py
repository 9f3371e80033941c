"""clinical.csv and outcomes.csv: read, checked line by line, and cut down to the known columns.

Only the known columns go on: a column with names or birth dates that stands in the user's table
must not reach an output.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..settings import suggest
from ..tables import INPUT_TABLES, Column, Row, Table, Value
from .cases import Problems
from .sheet import Sheet, parse_number, read_sheet


def read_clinical(
    path: Path, subjects: Collection[str], timepoints: Collection[str]
) -> tuple[Row, ...]:
    """Read clinical.csv.

    Args:
        path: the file.
        subjects: the study's subjects; others are refused, because a misspelt code would silently
            lose its values.
        timepoints: the study's visits; clinical values may be of further visits.

    Returns:
        One row a subject and visit, with every column of the table (None where not known).

    Raises:
        ManifestError: listing every problem with its line.
    """
    del timepoints  # a visit without a scan, such as month 12, is a visit all the same
    return _read(path, INPUT_TABLES["clinical"], subjects)


def read_outcomes(path: Path, subjects: Collection[str]) -> tuple[Row, ...]:
    """Read outcomes.csv.

    Args:
        path: the file.
        subjects: the study's subjects; others are refused.

    Returns:
        The rows, in the file's order.

    Raises:
        ManifestError: listing every problem with its line.
    """
    return _read(path, INPUT_TABLES["outcomes"], subjects)


def _read(path: Path, table: Table, subjects: Collection[str]) -> tuple[Row, ...]:
    sheet = read_sheet(path)
    problems = Problems()
    for name in sheet.header:
        hint = suggest(name, table.header)
        if name not in table.header and hint.startswith("did you mean"):
            problems.add(1, f"the column {name!r} is not known: {hint}")
    for name in table.required:
        if name not in sheet.header:
            problems.add(1, f"the column {name!r} is missing")
    problems.raise_if_any(sheet.name)
    rows: list[Row] = []
    first: dict[tuple[Value, ...], int] = {}
    for line, cells in sheet.rows:
        row: Row = {
            column.name: _value(line, column, cells.get(column.name, ""), sheet, problems)
            for column in table.columns
        }
        for name in table.required:
            if row[name] in ("", None):
                problems.add(line, f"{name} is empty")
        if row["subject"] and row["subject"] not in subjects:
            hint = suggest(str(row["subject"]), subjects)
            known = f": {hint}" if hint.startswith("did") else ""
            problems.add(line, f"the subject {row['subject']!r} is not in the study{known}")
        key = tuple(row[name] for name in table.key)
        before = first.setdefault(key, line)
        if before != line and table.name != "outcomes":
            problems.add(line, f"{' and '.join(table.key)} are the same as in line {before}")
        rows.append(row)
    problems.raise_if_any(sheet.name)
    return tuple(rows)


def _value(line: int, column: Column, text: str, sheet: Sheet, problems: Problems) -> Value:
    if column.type == "string":
        if column.values and text:
            if text.lower() not in column.values:
                problems.add(
                    line, f"{column.name} is {text!r}: {suggest(text.lower(), column.values)}"
                )
            return text.lower()
        return text
    # what people write for "not known"; a zero is never meant by it
    if text.lower() in ("", "na", "n/a", "nd", "-", ".", "?", "unknown", "none", "null"):
        return None
    try:
        number = parse_number(text, decimal_comma=sheet.decimal_comma)
    except ValueError:
        problems.add(line, f"{column.name} is {text!r}: write a number, or leave it empty")
        return None
    if column.type == "integer":
        if number != int(number):
            problems.add(line, f"{column.name} is {text!r}: write a whole number")
        return int(number)
    return number
