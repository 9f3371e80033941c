"""The task that a worker gets for one case, and its answer: plain values that cross processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..code_hash import code_sha256
from ..errors import Failure, InputError
from ..intake.cases import Case, address_of
from ..intake.remote import Url, remote_state
from ..kinds.base import NO_PERMISSIONS, Permissions
from ..kinds.table import KINDS
from ..provenance import InputState, input_state
from ..settings import Settings
from ..vocabulary import Status


@dataclass(frozen=True)
class CaseTask:
    """What a worker needs to measure one case."""

    case: Case
    settings: Settings
    staging: Path
    """An empty folder of its own (made by the worker) for its files."""
    threads: int = 1
    """Threads it may use."""
    baseline: Case | None = None
    """The subject's scan of the first visit, for the choice among several series."""
    permissions: Permissions = NO_PERMISSIONS
    date_shift_days: int | None = None
    """Added to the date of the subject's DICOM results; None leaves it out."""


@dataclass(frozen=True)
class CaseResult:
    """What came of one case; plain values, so that it crosses processes and fits a line of JSON."""

    case_id: str
    row: dict[str, Any] = field(default_factory=dict)
    """The measured columns of the kind's table; {} for a failed case."""
    failure: Failure | None = None
    """Why there is no number, None if there is one."""
    parts: list[dict[str, Any]] = field(default_factory=list)
    """Rows of the kind's table of parts."""
    outputs: dict[str, str] = field(default_factory=dict)
    """SHA-256 by path relative to the output directory; the files lie in ``staging``."""
    stat_sha256: str = ""
    """State of all inputs before they were read."""
    content_sha256: str = ""
    """Content of all inputs."""
    input_files: list[str] = field(default_factory=list)
    """The files that were read, relative to the input."""
    engine_sha256: str = ""
    """Of the weights or the mask."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """Of the measurement, as it states them."""
    person: dict[str, str] = field(default_factory=dict)
    """Marks that tell two people apart without naming them; only the journal has them."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time by step."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of the worker's software."""

    @property
    def status(self) -> Status:
        """As in the tables."""
        return Status.MEASURED if self.failure is None else Status.FAILED


def case_inputs(case: Case) -> list[Path | Url]:
    """Every file, folder or address a case depends on, the scan or slide first."""
    names = ("path", "mask", "include_regions", "exclude_regions")
    places = [address_of(case, name) or getattr(case, name) for name in names]
    return [place for place in places if place is not None]


def input_states(case: Case) -> list[InputState]:
    """The state of every input of a case, then of the files that belong to its slide.

    Raises:
        InputError: one is missing or cannot be read.
    """
    places = case_inputs(case)
    companions = [] if address_of(case) else KINDS[case.kind].companions(case.path)
    return [state_of(place) for place in (*places, *companions)]


def state_of(place: Path | Url) -> InputState:
    """The state of one input.

    Raises:
        InputError: it is missing or cannot be read.
    """
    return remote_state(place) if isinstance(place, Url) else input_state(place)


def combined(hashes: Iterable[str]) -> str:
    """One hash for several, in their order."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def parameters_sha256(
    case: Case,
    settings: Settings,
    baseline: Case | None = None,
    permissions: Permissions = NO_PERMISSIONS,
) -> str:
    """SHA-256 of everything but the inputs that a case's results depend on.

    Settings of how to run (workers, memory) are not among them, nor those of the other kind: a
    changed stain setting measures no scan again.
    """
    kind = KINDS[case.kind]
    own = {
        **kind.parameters(case, settings, permissions),
        "kind": kind.name,
        "code": code_sha256(kind.module),
        "settings_files": [_state_sha256(place) for place in kind.settings_files(settings)],
        "baseline": _state_sha256(case_inputs(baseline)[0] if baseline else ""),
        "baseline_series": baseline.series_uid if baseline else "",
        # which of the optional files are there, in case_inputs' order; their content is an input
        "files": [bool(case.mask), bool(case.include_regions), bool(case.exclude_regions)],
    }
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def _state_sha256(place: str | Path | Url) -> str:
    """The state of something that a result depends on besides the inputs; "" without one."""
    if not place:
        return ""
    try:
        return state_of(Path(place) if isinstance(place, str) else place).stat_sha256
    except InputError:
        return "missing"
