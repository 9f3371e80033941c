"""Shift each subject's dates by a number of days, alike for all visits, so that intervals stay.

The list of shifts undoes them, so it stays with the study's owner: it is refused in a results
folder, and no result contains a shift or a hash of one (a few hundred values could be tried out).
"""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import ManifestError, OutputError
from ..files import write_text
from ..sheets.sheet import read_pairs

COLUMNS = ("subject", "days")
LONGEST_DRAWN_DAYS = 364
LONGEST_DAYS = 36_500


def date_shifts(
    path: Path, subjects: Iterable[str], *, results: Path | None = None
) -> dict[str, int]:
    """Read the list of shifts, or draw one and write it if there is none.

    A drawn shift lies 1 to 364 days back: later dates than today would look odd in an archive.

    Args:
        path: CSV with the columns ``subject,days``.
        subjects: those of the study.
        results: the results folder, which must not hold the list.

    Returns:
        Days by subject, for the study's subjects only.

    Raises:
        ManifestError: ``bad_manifest``: the list is wrong, or lacks a subject.
        OutputError: ``output_not_writable``: the list would lie in the results folder.
    """
    path, needed = Path(path), sorted(set(subjects))
    if results is not None and path.resolve().is_relative_to(Path(results).resolve()):
        raise OutputError(
            "output_not_writable",
            "The list of date shifts may not lie in the results folder",
            found=str(path),
            do="give a place of its own: anyone who has the list can undo the shifts",
        )
    if not path.exists():
        drawn = {subject: draw_days() for subject in needed}
        write_text(path, _text(drawn))
        path.chmod(0o600)  # for its owner alone; Windows goes by the folder
        return drawn
    listed = read_shifts(path)
    missing = [subject for subject in needed if subject not in listed]
    if missing:
        lines = "; ".join(f"{subject},{draw_days()}" for subject in missing[:20])
        raise ManifestError(
            "bad_manifest",
            f"{path.name} gives no shift for {len(missing)} of {len(needed)} subjects",
            found=", ".join(missing[:20]),
            do=f"correct their codes, or add a line for each, such as these random ones: {lines}",
        )
    return {subject: listed[subject] for subject in needed}


def draw_days() -> int:
    """A random shift that nobody can guess from another one."""
    return -1 - secrets.randbelow(LONGEST_DRAWN_DAYS)


def read_shifts(path: Path) -> dict[str, int]:
    """Days by subject of a list.

    Raises:
        ManifestError: ``bad_manifest``: a column is missing, a subject occurs twice, or a number of
            days is none, 0 (the true date would be written) or beyond 100 years.
    """
    shifts: dict[str, int] = {}
    try:
        for number, subject, text in read_pairs(path, *COLUMNS):
            shifts[subject] = _days(number, text)
    except ValueError as error:
        raise _bad_list(path, str(error)) from None
    return shifts


def _days(line: int, text: str) -> int:
    try:
        days = int(text)
    except ValueError:
        raise ValueError(f"line {line}: days is not a whole number") from None
    if not 0 < abs(days) <= LONGEST_DAYS:
        raise ValueError(f"line {line}: days is 0 or more than {LONGEST_DAYS}")
    return days


def _bad_list(path: Path, found: str) -> ManifestError:
    return ManifestError(
        "bad_manifest",
        f"The list of date shifts {Path(path).name} cannot be used",
        found=found,
        do="write a CSV with the columns subject,days and one line a subject, such as S01,-211; "
        "where there is no such file, Fibrovol draws one",
    )


def _text(shifts: dict[str, int]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    rows: Sequence[Sequence[object]] = [COLUMNS, *shifts.items()]
    writer.writerows(rows)
    return text.getvalue()
