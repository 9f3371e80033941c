"""clinical.csv and outcomes.csv as people have them: read, checked line by line, and put in order.

Only the known columns go on: a column with names or birth dates that is in the user's table
must not reach an output. No row and no value is passed over in silence: what is read otherwise than
it is there is named in a note, what cannot be read for certain is refused with its line.
"""

# Long because both tables are checked here, each cell with the sentence for what is wrong.

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import suggest
from ..tables import INPUT_TABLES, Column, Row, Table, Value
from ..vocabulary import Event
from . import words
from .arms import check_arms
from .bounds import BOUNDED, Bound, join_bounds, parse_bound, split_bounds
from .problems import Problems
from .sheet import Sheet, parse_number, read_sheet
from .visits import close_to, moment_of, same_visit, squeezed

#: Other names of our columns; REDCap's among them.
_ALIASES = {
    "record_id": "subject",
    "subject_id": "subject",
    "patient_id": "subject",
    "patient": "subject",
    "study_id": "subject",
    "redcap_event_name": "timepoint",
    "event_name": "timepoint",
    "visit": "timepoint",
    "arm": "group",
    "months": "followup_months",
    "follow_up_months": "followup_months",
}
#: Columns in another unit: ours, and what a value is multiplied with.
_UNITS = {
    "bilirubin_umol_l": ("bilirubin_mg_dl", 1 / 17.1),
    "creatinine_umol_l": ("creatinine_mg_dl", 1 / 88.4),
    "albumin_g_l": ("albumin_g_dl", 0.1),
    "height_m": ("height_cm", 100.0),
    "platelets_g_l": ("platelets_10e9_l", 1.0),
    "platelets_per_ul": ("platelets_10e9_l", 0.001),
    "followup_days": ("followup_months", 12 / 365.25),
    "followup_years": ("followup_months", 12.0),
}
_PASSED = ("redcap_repeat_instrument", "redcap_repeat_instance", "redcap_data_access_group")
_GRADES: Mapping[str, tuple[Callable[[str], object], str]] = {
    "ascites": (
        words.ascites_points,
        "none, mild, moderate or severe; a bare yes does not say how much",
    ),
    "encephalopathy_grade": (words.encephalopathy_points, "0, 1-2 or 3-4 (West Haven)"),
    "sex": (words.is_female, "F or M, or leave it empty; a number does not say which"),
    "dialysis": (words.yes_or_no, "yes or no: dialysis twice in the last week"),
    "fibrosis_stage_metavir": (lambda text: words.stage_of(text, "metavir"), "F0 to F4"),
    "fibrosis_stage_ishak": (lambda text: words.stage_of(text, "ishak"), "0 to 6"),
}
_REDCAP_ARM = re.compile(r"_arm_(\d+)$")
_LONGEST_MONTHS = 480.0
_USUAL_MONTHS = 180.0


@dataclass(frozen=True)
class Read:
    """A table that was read."""

    rows: tuple[Row, ...]
    """With every column of the table, None or "" if not known."""
    notes: tuple[str, ...]
    """What was read differently from how it is written."""


def read_clinical(
    path: Path,
    subjects: Collection[str],
    timepoints: Collection[str],
    arms: Mapping[str, str] | None = None,
) -> Read:
    """Read clinical.csv.

    Args:
        path: the file.
        subjects: the study's subjects; others are refused, because a misspelt code would silently
            lose its values.
        timepoints: the study's visits; clinical values may be of further visits. ``Month 6`` is
            read as ``month6`` where the study has that.
        arms: by subject, as study.csv gives them; another one here is refused.

    Raises:
        ManifestError: listing every problem with its line.
    """
    return _read(path, INPUT_TABLES["clinical"], subjects, tuple(timepoints), arms)


def read_outcomes(path: Path, subjects: Collection[str]) -> Read:
    """Read outcomes.csv.

    A subject may have several rows. Nothing can follow a death, months are counted from the first
    visit, and a follow-up that can only be in days is refused.

    Args:
        path: the file.
        subjects: the study's subjects; others are refused.

    Returns:
        The rows, in the file's order.

    Raises:
        ManifestError: listing every problem with its line.
    """
    return _read(path, INPUT_TABLES["outcomes"], subjects, ())


def _read(
    path: Path,
    table: Table,
    subjects: Collection[str],
    timepoints: Sequence[str],
    arms: Mapping[str, str] | None = None,
) -> Read:
    sheet = read_sheet(path, needs=("subject", *_ALIASES, *table.required))
    problems = Problems()
    notes = list(sheet.notes)
    columns = _columns(sheet, table, problems, notes)
    problems.raise_if_any(sheet.name)
    rows: list[Row] = []
    lines: list[int] = []
    for line, cells in sheet.rows:
        row = _row(line, cells, columns, table, sheet, problems)
        notes += _take_bounds(line, cells, columns, sheet, row, problems)
        for name in table.required:
            if row[name] in ("", None) and not _cell(cells, columns, name):
                problems.add(line, f"{name} is empty")
        row["subject"] = _subject(line, str(row["subject"]), subjects, problems)
        grade, used = _cell(cells, columns, "encephalopathy_grade"), row.get("encephalopathy_grade")
        if used and used != grade:
            notes.append(
                f"{sheet.name}, line {line}: encephalopathy_grade {grade!r}, which a spreadsheet "
                f"made a date, was read as {used!r}"
            )
        rows.append(row)
        lines.append(line)
    if table.name == "clinical":
        _match_visits(sheet.name, rows, lines, timepoints, problems, notes)
        _refuse_repeats(rows, lines, table, problems)
        stated = ((n, str(r["subject"]), str(r["group"])) for n, r in zip(lines, rows, strict=True))
        check_arms(stated, problems, arms)
    else:
        notes += _check_outcomes(sheet.name, rows, lines, problems)
    problems.raise_if_any(sheet.name)
    return Read(tuple(rows), tuple(notes))


def _cell(cells: Mapping[str, str], columns: Mapping[str, tuple[str, float]], ours: str) -> str:
    """The text of one of our columns, "" if the file has none."""
    return next((cells.get(name, "") for name, (one, _) in columns.items() if one == ours), "")


def _columns(
    sheet: Sheet, table: Table, problems: Problems, notes: list[str]
) -> dict[str, tuple[str, float]]:
    """For each column of the file that is ours: which, and the factor to its unit."""
    columns: dict[str, tuple[str, float]] = {}
    for name in sheet.header:
        ours, factor = _UNITS.get(name, (_ALIASES.get(name, name), 1.0))
        if name not in table.header and ours in table.header and ours not in sheet.header:
            columns[name] = ours, factor
            unit = f", times {factor:.6g}" if factor != 1.0 else ""
            notes.append(f"{sheet.name}: the column {name} was read as {ours}{unit}")
        elif name in table.header:
            columns[name] = name, 1.0
        elif ours in table.header:
            problems.add(1, f"the columns {name!r} and {ours!r} both are {ours}: keep one")
        else:
            hint = suggest(name, table.header)
            if hint.startswith("did you mean"):
                problems.add(1, f"the column {name!r} is not known: {hint}")
            elif name not in _PASSED:
                notes.append(f"{sheet.name}: the column {name!r} was not used")
    taken = Counter(ours for ours, _ in columns.values())
    for ours, number in taken.items():
        if number > 1:
            names = ", ".join(name for name, (one, _) in columns.items() if one == ours)
            problems.add(1, f"the columns {names} all are {ours}: keep one")
    for name in table.required:
        if name not in taken:
            problems.add(1, f"the column {name!r} is missing")
    return columns


def _row(
    line: int,
    cells: Mapping[str, str],
    columns: Mapping[str, tuple[str, float]],
    table: Table,
    sheet: Sheet,
    problems: Problems,
) -> Row:
    given = {ours: (cells.get(name, ""), factor) for name, (ours, factor) in columns.items()}
    who = _cell(cells, columns, "subject")
    row: Row = {}
    for column in table.columns:
        text, factor = given.get(column.name, ("", 1.0))
        value = _value(line, who, column, text, sheet, problems)
        row[column.name] = value * factor if isinstance(value, float) else value
    return row


def _value(
    line: int, who: str, column: Column, text: str, sheet: Sheet, problems: Problems
) -> Value:
    if column.type == "string":
        return _word(line, who, column, text, problems)
    if words.is_unknown(text) or text.lower() == "none":  # a zero is never meant by it
        return None
    if column.name in BOUNDED and parse_bound(text, decimal_comma=sheet.decimal_comma):
        return None  # kept by _take_bounds
    try:
        number = parse_number(text, decimal_comma=sheet.decimal_comma)
    except ValueError:
        hint = "write a number, or leave it empty"
        if text[:1] in "<>≤≥":
            hint = (
                f"write a bound such as {text[0]}0.5, without a unit, or leave it empty"
                if column.name in BOUNDED
                else "a bound cannot be used here; write a number, or leave it empty"
            )
        problems.add(line, f"{column.name} is {text!r} ({who}): {hint}")
        return None
    if column.type == "integer":
        if number != int(number):
            problems.add(line, f"{column.name} is {text!r} ({who}): write a whole number")
        return int(number)
    return number


def _take_bounds(
    line: int,
    cells: Mapping[str, str],
    columns: Mapping[str, tuple[str, float]],
    sheet: Sheet,
    row: Row,
    problems: Problems,
) -> list[str]:
    """Keep ``<0.5`` in the row's ``bounds``, and say so in notes."""
    if "bounds" not in row:
        return []
    kept: dict[str, Bound] = {}
    try:
        kept = split_bounds(str(row["bounds"] or ""))
    except ValueError as error:
        problems.add(line, f"bounds has {str(error)!r}: write such as bilirubin_mg_dl<0.5")
    notes = []
    for name, (ours, factor) in columns.items():
        text = cells.get(name, "")
        bound = parse_bound(text, factor, decimal_comma=sheet.decimal_comma)
        if ours not in BOUNDED or bound is None:
            continue
        kept[ours] = bound
        notes.append(
            f"{sheet.name}, line {line}: {name} {text!r} ({row['subject']}) is kept as a bound: a "
            "score is computed only if it is the same for every such value, and no change of "
            f"{ours} is computed"
        )
    row["bounds"] = join_bounds(kept)
    return notes


def _word(line: int, who: str, column: Column, text: str, problems: Problems) -> str:
    if column.name in ("subject", "timepoint", "cause", "group", "bounds"):
        return text
    if column.name == "event":
        event = words.event_of(text) if text else ""
        if event is None:
            known = ", ".join(Event)
            problems.add(line, f"event is {text!r} ({who}): write one of {known}")
        return event or ""
    if words.is_unknown(text):
        return ""
    if column.name == "encephalopathy_grade":
        text = words.grade_range(text)
    understood, wanted = _GRADES[column.name]
    if understood(text) is None:
        problems.add(line, f"{column.name} is {text!r} ({who}): write {wanted}")
    return text


def _subject(line: int, code: str, subjects: Collection[str], problems: Problems) -> str:
    if not code or code in subjects:
        return code
    alike = [one for one in subjects if squeezed(one) == squeezed(code)]
    if alike:
        found = f"{code!r} and {alike[0]!r} look like one"
        problems.add(line, f"the subject {found}; write both the same, leading zeros too")
    else:
        hint = suggest(code, subjects)
        known = f": {hint}" if hint.startswith("did") else ""
        problems.add(line, f"the subject {code!r} is not in the study{known}")
    return code


def _match_visits(
    name: str,
    rows: Sequence[Row],
    lines: Sequence[int],
    timepoints: Sequence[str],
    problems: Problems,
    notes: list[str],
) -> None:
    """Give each row the study's own spelling of its visit, or a further visit's first spelling."""
    further: list[str] = []
    renamed: dict[tuple[str, str], int] = {}
    for row, line in zip(rows, lines, strict=True):
        given = str(row["timepoint"] or "")
        if not given:
            continue
        found = same_visit(given, timepoints) or same_visit(given, further)
        if len(found) > 1:
            problems.add(line, f"timepoint {given!r} may be {' or '.join(found)}: write which")
        elif found:
            if found[0] != given:
                renamed[given, found[0]] = renamed.get((given, found[0]), 0) + 1
            row["timepoint"] = found[0]
        elif meant := close_to(given, timepoints):
            problems.add(line, f"timepoint {given!r} is not a visit: did you mean {meant!r}?")
        else:
            further.append(given)
    notes += _arms_of_events(name, [given for given, _ in renamed], rows)
    for (given, used), number in renamed.items():
        notes.append(f"{name}: the visit {given!r} was read as {used!r} in {_rows(number)}")
    if timepoints and rows and not any(row["timepoint"] == timepoints[0] for row in rows):
        notes.append(
            f"{name}: no row is of {timepoints[0]}, the first visit: its changes cannot be computed"
        )
    for visit in further:
        moment = moment_of(visit)
        if moment is None or moment.kind == "number":
            number = sum(row["timepoint"] == visit for row in rows)
            notes.append(
                f"{name}: the visit {visit!r} is none of the study's ({', '.join(timepoints)}), "
                f"and its name says no time: {_rows(number)} taken as a visit of its own"
            )
    early = [visit for visit in further if _before_baseline(visit, timepoints)]
    for visit in early:
        notes.append(f"{name}: the visit {visit!r} is before {timepoints[0]}: it is not compared")


def _arms_of_events(name: str, given: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """A note where REDCap's events are of several arms and no column says whose is which."""
    arms = sorted({found[1] for one in given if (found := _REDCAP_ARM.search(one))})
    if len(arms) < 2 or any(row["group"] for row in rows):
        return []
    return [
        f"{name}: the events are of arms {' and '.join(arms)} of REDCap; arms are compared only if "
        "a column group names each subject's"
    ]


def _before_baseline(visit: str, timepoints: Sequence[str]) -> bool:
    moment, first = moment_of(visit), moment_of(timepoints[0]) if timepoints else None
    return bool(moment and first and moment.order < first.order)


def _rows(number: int) -> str:
    return f"{number} row" + ("s" if number > 1 else "")


def _refuse_repeats(
    rows: Sequence[Row], lines: Sequence[int], table: Table, problems: Problems
) -> None:
    first: dict[tuple[Value, ...], int] = {}
    for row, line in zip(rows, lines, strict=True):
        before = first.setdefault(tuple(row[name] for name in table.key), line)
        if before != line:
            names = " and ".join(table.key)
            problems.add(line, f"{names} are the same as in line {before} ({row['subject']})")


def _check_outcomes(
    name: str, rows: Sequence[Row], lines: Sequence[int], problems: Problems
) -> list[str]:
    """What cannot be true of a person, and months that can only be days; notes on what is odd."""
    notes: list[str] = []
    by_subject: dict[str, list[tuple[float, str, int]]] = {}
    known: list[float] = []
    for row, line in zip(rows, lines, strict=True):
        months, event, who = row["followup_months"], str(row["event"] or ""), str(row["subject"])
        if not isinstance(months, float | int):
            continue
        if months < 0:
            problems.add(line, f"followup_months is {months:g} ({who}): months cannot be negative")
        elif months > _LONGEST_MONTHS:
            problems.add(
                line,
                f"followup_months is {months:g} ({who}): {months / 12:.0f} years; if these are days"
                ", name the column followup_days",
            )
        else:
            known.append(float(months))
        by_subject.setdefault(who, []).append((float(months), event, line))
    known.sort()
    if known and known[len(known) // 2] > _USUAL_MONTHS:
        problems.add(
            0,
            f"followup_months has a median of {known[len(known) // 2]:g}, which is "
            f"{known[len(known) // 2] / 12:.0f} years; if these are days, name it followup_days",
        )
    for who, entries in by_subject.items():
        deaths = [(months, line) for months, event, line in entries if event == Event.DEATH]
        if len(deaths) > 1:
            problems.add(deaths[1][1], f"{who} dies a second time (first in line {deaths[0][1]})")
        first_of: dict[tuple[float, str], int] = {}
        last = max(months for months, _, _ in entries)
        for months, event, line in entries:
            before = first_of.setdefault((months, event), line)
            if before != line and event in (Event.TRANSPLANT, Event.HCC, Event.OTHER_CANCER):
                problems.add(line, f"{who}: {event} at {months:g} months is in line {before}, too")
            if event == Event.LOST and last > months:
                notes.append(
                    f"{name}, line {line}: {who} is lost at {months:g} months, but there is news "
                    f"of {last:g} months: not counted as lost"
                )
            if deaths and months > deaths[0][0]:
                problems.add(
                    line,
                    f"{who}: {event or 'a row'} at {months:g} months, after the death at "
                    f"{deaths[0][0]:g} months (line {deaths[0][1]})",
                )
    return notes
