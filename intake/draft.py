"""Draft study.csv and study.yaml from a folder of scans and slides.

What is clear becomes a row: one subject, one visit, one series. What is not clear is never guessed:
it goes into ``study-open.csv`` with the reason, in the same columns, so that a person can fill in
what is missing and move the line over.
"""

from __future__ import annotations

import csv
import datetime
import io
import os
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ManifestError, OutputError, ScanError
from ..files import write_text
from ..histology.readers.find import find_slides
from ..imaging.series.choice import SeriesChoice, choose, describe, load_rules
from ..imaging.series.find import find_series
from ..imaging.series.summary import SeriesSummary
from ..sheets.sheet import read_pairs

COLUMNS = (
    "subject", "timepoint", "kind", "path", "date", "stain", "modality", "series_uid", "note",
)  # fmt: skip
_DAYS_A_MONTH = 30.44
_OTHERS_SHOWN = 3
_STAIN_WORDS = (
    ("psr", r"psr|sirius"),
    ("masson", r"masson|\bmt\b|tri.?chrom"),
)
_BASELINE_WORDS = r"(?:^|[^a-z])(?:base ?line|bl|pre|t0|m0+|month ?0+|0 ?m)(?:[^a-z0-9]|$)"


@dataclass(frozen=True)
class Visits:
    """How a date becomes a visit."""

    months: int = 6
    """Of the follow-up after baseline."""
    tolerance_days: int = 60
    """How far a follow-up may lie from that."""

    @property
    def followup(self) -> str:
        """Name of the later visit."""
        return f"month{self.months}"


@dataclass(frozen=True)
class DraftRow:
    """A line of study.csv, or of study-open.csv with what is not clear as its note."""

    subject: str
    timepoint: str
    kind: str
    path: Path
    date: str = ""
    stain: str = ""
    modality: str = ""
    series_uid: str = ""
    note: str = ""


@dataclass(frozen=True)
class Draft:
    """What was drafted."""

    rows: tuple[DraftRow, ...]
    """Clear ones, in study.csv."""
    open_rows: tuple[DraftRow, ...]
    """Those that a person must decide, in study-open.csv."""
    study_yaml: Path
    """The file to give to ``fibrovol run``."""


def draft_study(
    scans: Path,
    slides: Path | None,
    output: Path,
    *,
    codes: Path | None = None,
    visits: Visits | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Draft:
    """Draft study.csv, study-open.csv and study.yaml.

    Args:
        scans: folder of a hospital's export, as it came.
        slides: folder of slides, None without.
        output: folder for the drafts; existing ones are not overwritten.
        codes: CSV with the columns ``patient_id,subject``; without it the PatientID is the code.
        visits: how dates become visits.
        workers: processes that read headers.
        progress: called with (files read, files in all).

    Raises:
        ManifestError: ``bad_manifest``: nothing to measure, or the code list is wrong.
        OutputError: ``output_not_writable``: a draft is there already.
        ScanError: a folder cannot be opened.
    """
    visits = visits or Visits()
    output = Path(output)
    existing = [
        name for name in ("study.csv", "study.yaml", "study-open.csv") if (output / name).exists()
    ]
    if existing:
        raise OutputError(
            "output_not_writable",
            f"{output} already contains a study",
            found=", ".join(existing),
            do="give another folder, or move these files away first",
        )
    code_of = {} if codes is None else read_codes(codes)
    found = find_series(scans, workers=workers, progress=progress)
    rows, left = plan_scans(found, scans, code_of, visits)
    if slides is not None:
        more, more_left = plan_slides(find_slides(slides), {row.subject for row in rows}, visits)
        rows, left = [*rows, *more], [*left, *more_left]
    if rows or left:
        write_text(output / "study-open.csv", _table(left, output))
    if not rows:
        raise ManifestError(
            "bad_manifest",
            "No scan in the folder can be put into a study without your decision"
            if left
            else "No scan under the folder can be put into a study",
            found=f"{len(left)} scans or slides with something open" if left else "nothing usable",
            do=f"see {output / 'study-open.csv'}: its column note says what is missing; fill it in "
            "and save the lines as study.csv"
            if left
            else "see `fibrovol inspect` for each series and why it cannot be measured",
        )
    write_text(output / "study.csv", _table(rows, output))
    write_text(output / "study.yaml", _yaml(rows, left, visits))
    return Draft(tuple(rows), tuple(left), output / "study.yaml")


def read_codes(path: Path) -> dict[str, str]:
    """Subject codes by PatientID.

    Raises:
        ManifestError: ``bad_manifest``: a column is missing, or an id or code appears twice.
    """
    try:
        return {patient: code for _, patient, code in read_pairs(path, "patient_id", "subject")}
    except ValueError as error:
        raise _bad_codes(path, str(error)) from None


def _bad_codes(path: Path, found: str) -> ManifestError:
    return ManifestError(
        "bad_manifest",
        f"The code list {Path(path).name} cannot be used",
        found=found,
        do="write a CSV with the columns patient_id,subject and one line a patient",
    )


def plan_scans(
    series: Sequence[SeriesSummary], root: Path, code_of: Mapping[str, str], visits: Visits
) -> tuple[list[DraftRow], list[DraftRow]]:
    """Rows for scans, and those that are not clear: pure.

    The first usable date of a patient is the baseline. The follow-up is the only date within the
    window; its series is the one most like the baseline's.
    """
    rows: list[DraftRow] = []
    left: list[DraftRow] = []
    patients: dict[str, list[SeriesSummary]] = defaultdict(list)
    for one in series:
        if not one.usable:
            continue
        if not one.patient_id:
            left.append(_open(one, "", "the file states no PatientID: who is it?"))
        elif code_of and one.patient_id not in code_of:
            left.append(_open(one, "", "the code list does not name this patient"))
        else:
            patients[one.patient_id].append(one)
    for patient, members in sorted(patients.items()):
        subject = code_of.get(patient, clean_code(patient))
        done, undone = _plan_patient(subject, members, root, visits)
        rows += done
        left += undone
    return rows, left


def clean_code(patient_id: str) -> str:
    """A PatientID as a subject code: what spreadsheets or file systems trip over is replaced."""
    code = re.sub(r"\s+", "-", patient_id.strip()).lstrip("=+-@")
    return "".join(c if c.isprintable() else "-" for c in code)[:64] or "unnamed"


def _plan_patient(
    subject: str, members: Sequence[SeriesSummary], root: Path, visits: Visits
) -> tuple[list[DraftRow], list[DraftRow]]:
    rows: list[DraftRow] = []
    left: list[DraftRow] = []
    by_date: dict[str, list[SeriesSummary]] = defaultdict(list)
    for one in members:
        if _day(one.study_date) is None:
            left.append(_open(one, subject, "the file states no study date: which visit?"))
        else:
            by_date[one.study_date].append(one)
    dates = sorted(by_date)
    if not dates:
        return rows, left
    days = {date: (_ordinal(date) - _ordinal(dates[0])) for date in dates}
    middle = visits.months * _DAYS_A_MONTH
    window = [d for d in dates[1:] if abs(days[d] - middle) <= visits.tolerance_days]
    followup = window[0] if len(window) == 1 else None
    baseline = None
    for date in dates:
        timepoint = "baseline" if date == dates[0] else visits.followup if date == followup else ""
        if not timepoint:
            reason = f"{days[date]} days after the first scan: which visit?"
            if date in window:
                reason = f"one of {len(window)} scans near month {visits.months}: which one?"
            left += [_open(one, subject, reason) for one in by_date[date]]
            continue
        try:
            choice = choose(by_date[date], root, modality="", match=baseline, rules=load_rules())
        except ScanError as error:
            left += [
                replace(_open(one, subject, error.what), timepoint=timepoint)
                for one in by_date[date]
            ]
            continue
        if timepoint == "baseline":
            baseline = choice.chosen
        rows.append(_row(choice.chosen, subject, timepoint, _why(choice)))
    return rows, left


def _why(choice: SeriesChoice) -> str:
    """What a person who checks the draft wants to know: what differs, and what was not taken."""
    others = [f"{describe(other.series)} ({other.reason})" for other in choice.runners_up]
    more = [f"{len(others) - _OTHERS_SHOWN} more"] if len(others) > _OTHERS_SHOWN else []
    notes = [*choice.flags]
    if others:
        notes.append("taken before " + ", ".join(others[:_OTHERS_SHOWN] + more))
    return "; ".join(notes)


def _day(date: str) -> datetime.date | None:
    try:
        return datetime.date(int(date[:4]), int(date[4:6]), int(date[6:8]))
    except ValueError:
        return None


def _ordinal(date: str) -> int:
    day = _day(date)
    assert day is not None
    return day.toordinal()


def _row(one: SeriesSummary, subject: str, timepoint: str, note: str) -> DraftRow:
    day = _day(one.study_date)
    return DraftRow(
        subject,
        timepoint,
        "scan",
        one.path,
        "" if day is None else day.isoformat(),
        modality=one.modality if one.modality in {"CT", "MR"} else "",
        series_uid=one.series_uid,
        note=note,
    )


def _open(one: SeriesSummary, subject: str, reason: str) -> DraftRow:
    what = ", ".join(
        part
        for part in (one.description, one.contrast, one.label, f"{one.n_slices} slices")
        if part
    )
    return _row(one, subject, "", f"{reason} ({what})")


def plan_slides(
    files: Sequence[Path], subjects: set[str], visits: Visits
) -> tuple[list[DraftRow], list[DraftRow]]:
    """Rows for slides by the words in their names and folders: pure.

    A slide is clear when its path names exactly one known subject, a visit and a stain.
    """
    rows: list[DraftRow] = []
    left: list[DraftRow] = []
    later = (
        rf"(?:^|[^a-z])(?:post|follow ?up|fu|m0*{visits.months}|month ?0*{visits.months}|"
        rf"0*{visits.months} ?m(?:onths?)?)(?:[^a-z0-9]|$)"
    )
    for file in files:
        text = " ".join(file.parts[-3:]).lower().replace("_", " ").replace("-", " ")
        named = [code for code in sorted(subjects) if _names(text, code)]
        visit = [
            name
            for name, pattern in (("baseline", _BASELINE_WORDS), (visits.followup, later))
            if re.search(pattern, text)
        ]
        stain = [name for name, pattern in _STAIN_WORDS if re.search(pattern, text)]
        unclear = [
            word
            for word, found in (("subject", named), ("timepoint", visit), ("stain", stain))
            if len(found) != 1
        ]
        row = DraftRow(
            named[0] if len(named) == 1 else "",
            visit[0] if len(visit) == 1 else "",
            "slide",
            file,
            stain=stain[0] if len(stain) == 1 else "",
        )
        if unclear:
            note = f"the name does not say which {' or '.join(unclear)}"
            left.append(replace(row, note=note))
        else:
            rows.append(row)
    return rows, left


def _names(text: str, code: str) -> bool:
    plain = re.escape(code.lower().replace("_", " ").replace("-", " "))
    return re.search(rf"(?<![a-z0-9]){plain}(?![a-z0-9])", text) is not None


def _table(rows: Sequence[DraftRow], output: Path) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        values = {**{name: getattr(row, name) for name in COLUMNS}, "path": _relative(row, output)}
        writer.writerow([values[name] for name in COLUMNS])
    return text.getvalue()


def _relative(row: DraftRow, output: Path) -> str:
    """The path as study.csv states it: relative to the table where both lie on one drive."""
    try:
        return Path(os.path.relpath(row.path.resolve(), output.resolve())).as_posix()
    except ValueError:
        return row.path.resolve().as_posix()


def _yaml(rows: Sequence[DraftRow], left: Sequence[DraftRow], visits: Visits) -> str:
    subjects = sorted({row.subject for row in rows})
    both = [
        subject
        for subject in subjects
        if len({row.timepoint for row in rows if row.subject == subject}) > 1
    ]
    lines = [
        "# Drafted by `fibrovol init`: check it, then `fibrovol run study.yaml -o results`.",
        f"# study.csv: {len(rows)} rows, {len(subjects)} subjects, {len(both)} with both visits.",
        f"# baseline is a patient's first scan; {visits.followup} the only one within "
        f"{visits.tolerance_days} days of month {visits.months}.",
    ]
    if left:
        lines += [
            f"# study-open.csv: {len(left)} scans or slides that were not clear. Its column note",
            "# says what is missing; fill it in and move the line to study.csv.",
        ]
    lines += ["title: Liver volume and collagen", f"timepoints: [baseline, {visits.followup}]"]
    return "\n".join(lines) + "\n"
