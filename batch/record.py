"""The record of a finished case: one line of the journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import Failure
from ..intake.cases import Case
from ..kinds.table import KINDS
from ..tables import format_spacing
from .task import CaseResult


@dataclass(frozen=True)
class Record:
    """A finished case, measured or failed."""

    result: CaseResult
    kind: str
    """A key of ``KINDS``."""
    path: str
    """What tells its image from others: path or address, and series."""
    inputs: tuple[str, ...]
    """Paths and addresses of all inputs, the scan or slide first."""
    code_sha256: str
    parameters_sha256: str
    date_shift_days: int | None
    attempts: int
    """How often it was tried."""
    finished: str
    """ISO time, UTC."""
    asked: dict[str, Any] = field(default_factory=dict)
    """How it was to be measured (batch/asked.py); {} from earlier versions."""

    @property
    def case_id(self) -> str:
        """Of the case."""
        return self.result.case_id

    def as_plain(self) -> dict[str, Any]:
        """As JSON knows it."""
        return asdict(self)

    @classmethod
    def of_plain(cls, plain: Mapping[str, Any]) -> Record:
        """What :meth:`as_plain` gave.

        Raises:
            KeyError, TypeError: it is not a record of this version.
        """
        result = dict(plain["result"])
        failure = result.pop("failure")
        own = CaseResult(**result, failure=Failure(**failure) if failure else None)
        return cls(**{**plain, "result": own, "inputs": tuple(plain["inputs"])})

    def table_row(self, case: Case) -> dict[str, Any]:
        """Its row for the kind's table."""
        result = self.result
        row = {name: getattr(case, name) for name in KINDS[case.kind].case_columns}
        row |= result.row
        if spacing := row.get("spacing_mm"):
            row["spacing_mm"] = format_spacing(spacing)
        row |= {"status": result.status, "error": result.failure or ""}
        return row | case_columns(case)


def case_columns(case: Case) -> dict[str, str]:
    """What names a case in every table."""
    return {"subject": case.subject, "timepoint": case.timepoint, "case_id": case.case_id}
