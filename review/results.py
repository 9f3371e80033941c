"""A results folder as a reader sees it: its cases, their masks, and who said what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..analysis.inputs import mask_hashes
from ..analysis.reviews import Read, Standing, standing
from ..batch.corrections import FOLDER, Corrections, read_corrections
from ..batch.journal import JOURNAL_NAME, read_records
from ..batch.output import WORK_NAME
from ..batch.record import Record
from ..errors import InputError, OutputError
from ..intake.remote import is_url
from ..kinds.table import KINDS
from ..tables import Row, read_table

TABLE_OF_KIND = {kind.name: kind.table for kind in KINDS.values()}
VALUE_COLUMN = {"scan": "volume_ml", "slide": "caf_percent"}
_STATE = ("volumes.csv", "collagen.csv", "reviews.csv", "provenance.json")


@dataclass(frozen=True)
class ReadCase:
    """One case as it is now."""

    kind: str
    """scan or slide."""
    row: Row
    """Of volumes.csv or collagen.csv."""
    mask_sha256: str
    """Of its present mask; "" for a failed case."""
    corrections: Corrections
    """By readers."""

    @property
    def case_id(self) -> str:
        """Its name."""
        return str(self.row["case_id"])

    @property
    def subject(self) -> str:
        """Code of the subject, "" without a study."""
        return str(self.row["subject"] or "")

    @property
    def timepoint(self) -> str:
        """Visit, "" without a study."""
        return str(self.row["timepoint"] or "")

    @property
    def value(self) -> float | None:
        """The number, None for a failed case."""
        value = self.row[VALUE_COLUMN[self.kind]]
        return None if value is None else float(value)

    @property
    def flags(self) -> tuple[str, ...]:
        """Codes of FLAGS."""
        return tuple(flag for flag in str(self.row["flags"] or "").split(";") if flag)

    @property
    def read(self) -> Read:
        """What a verdict is about."""
        return Read(
            self.case_id, self.corrections.standing, self.mask_sha256, self.value, self.flags
        )


@dataclass(frozen=True)
class State:
    """Everything in the folder at one moment."""

    cases: dict[str, ReadCase]
    """By case_id, scans first, in the order of the tables."""
    reviews: list[Row]
    """Rows of reviews.csv."""
    stands: dict[str, Standing]
    """By case_id, of those that were read."""


class Results:
    """A results folder that is read while others may write it.

    Args:
        directory: the folder that was given to ``-o``.

    Raises:
        OutputError: ``not_a_result``, it contains no finished results.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory).absolute()
        self._seen: tuple[object, ...] = ()
        self._state: State | None = None
        if not self._has_tables():
            raise OutputError(
                "not_a_result",
                "This folder contains no finished results",
                found=f"no volumes.csv or collagen.csv in {directory}",
                do="give the folder that was given to -o, or finish its run first",
            )

    def _has_tables(self) -> bool:
        return any((self.directory / f"{name}.csv").is_file() for name in TABLE_OF_KIND.values())

    @property
    def work(self) -> Path:
        """The run's work folder, made where it is missing."""
        path = self.directory / WORK_NAME
        path.mkdir(exist_ok=True)
        return path

    @property
    def title(self) -> str:
        """Of the study, "" if there is none."""
        return str(self.study().get("title") or "")

    def study(self) -> dict[str, Any]:
        """study.json, {} if there is none."""
        try:
            return dict(json.loads((self.directory / "study.json").read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def state(self) -> State:
        """What is there now; read again where a file changed.

        Raises:
            OutputError: ``not_a_result``: the folder was moved or removed meanwhile.
        """
        if not self._has_tables():
            raise OutputError(
                "not_a_result",
                "The results folder is no longer where it was",
                found=f"no volumes.csv or collagen.csv in {self.directory}",
                do="move it back, or start `fibrovol review` again where it is now",
            )
        seen = tuple(self._looks())
        if self._state is None or seen != self._seen:
            self._state, self._seen = self._read(), seen
        return self._state

    def _looks(self) -> Iterator[object]:
        folder = self.directory / FOLDER
        paths = [self.directory / name for name in _STATE]
        for path in (*paths, *sorted(folder.glob("*.json"))):
            try:
                found = path.stat()
                yield (path.name, found.st_ino, found.st_mtime_ns, found.st_size)
            except OSError:
                yield path.name

    def _read(self) -> State:
        tables = {kind: read_table(self.directory, name) for kind, name in TABLE_OF_KIND.items()}
        reviews = read_table(self.directory, "reviews")
        masks = mask_hashes(self.directory, [row for rows in tables.values() for row in rows])
        cases = {
            str(row["case_id"]): ReadCase(
                kind,
                row,
                masks[str(row["case_id"])],
                read_corrections(self.directory, str(row["case_id"])),
            )
            for kind, rows in tables.items()
            for row in rows
        }
        return State(cases, reviews, standing(reviews, masks))

    def record(self, case_id: str) -> Record:
        """What the run noted of a case.

        Raises:
            InputError: ``input_missing``, the folder was passed on without its work folder.
        """
        found: Record | None = None
        for record in read_records(self.directory / WORK_NAME / JOURNAL_NAME):
            if record.case_id == case_id:
                found = record
        if found is None:
            raise InputError(
                "input_missing",
                "Where this case's scan or slide lies is not known here",
                found=f"no {WORK_NAME}/{JOURNAL_NAME} with it",
                do="review the folder where it was measured; the picture can be read here",
            )
        return found

    def input_path(self, case_id: str) -> Path:
        """Where a case's scan or slide is.

        Raises:
            InputError: ``input_missing``: it is not known, not there, or in an object store.
        """
        place = self.record(case_id).inputs[0]
        if is_url(place):
            raise InputError(
                "input_missing",
                "This scan or slide lies in an object store",
                found="an address",
                do="copy it to a folder, name that in study.csv and run the study again",
            )
        if not Path(place).exists():
            raise InputError(
                "input_missing",
                "The scan or slide of this case is no longer there",
                found="nothing at its path",
                do="connect the disk or share that it lay on",
            )
        return Path(place)
