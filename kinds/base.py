"""The contract of a kind of case: what a scan is, what a slide is, in one shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # plain values that are handed in: their code decides no number
    from ..intake.cases import Case
    from ..settings import Settings


@dataclass(frozen=True)
class Permissions:
    """What only the person at the command line may allow, never a study's files."""

    trust_bundle: bool = False
    """Run what a MONAI bundle's configuration says; it is a program."""
    keep_identity: bool = False
    """Copy the patient's name, dates and numbers into DICOM results."""


NO_PERMISSIONS = Permissions()


@dataclass(frozen=True)
class Job:
    """One case to measure, with every input as a file on this machine."""

    case: Case
    settings: Settings
    staging: Path
    """Where its files are written, in masks/ and overlays/; the run moves them to their places."""
    inputs: tuple[Path, ...]
    """The files of the scan or slide, companions among them, as they were seen before reading."""
    threads: int
    permissions: Permissions
    version: str
    """Fibrovol's, for DICOM results."""
    date_shift_days: int | None
    """Added to the date of the subject's DICOM results; None leaves it out."""
    baseline: Callable[[], AbstractContextManager[Case | None]]
    """The subject's case of this kind at the first visit, with its file here; None without one."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time by step, filled while it is measured."""
    hide: Callable[[Iterable[str]], None] = lambda _: None
    """Takes texts that name the patient out of the case's log and messages, once they are known."""


@dataclass(frozen=True)
class Measured:
    """What a kind says about one case; the caller adds status and hashes."""

    row: Mapping[str, Any]
    """Values by column of the kind's table."""
    parts: tuple[Mapping[str, Any], ...] = ()
    """Rows of the kind's ``parts_table``."""
    files: tuple[Path, ...] = ()
    """The files that were read; all of ``Job.inputs`` where this is empty."""
    sha256: Mapping[Path, str] = field(default_factory=dict)
    """Of files that were hashed while they were read."""
    engine_sha256: str = ""
    """Of the weights or the mask."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Of the measurement, for provenance."""
    person: Mapping[str, str] = field(default_factory=dict)
    """Marks that tell two people apart without naming them, compared within the batch only."""


@dataclass(frozen=True)
class Kind:
    """A kind of case. A new kind is one file that makes one of these, and one line in table.py."""

    name: str
    """As in study.csv's column ``kind``."""
    table: str
    """The table of its rows."""
    value: str
    """The column of the number that is measured."""
    unit: str
    measure: Callable[[Job], Measured]
    """Measures one case, and writes its mask and its picture."""
    parameters: Callable[[Case, Settings, Permissions], dict[str, Any]]
    """Plain values of everything but the inputs that its results depend on."""
    settings_files: Callable[[Settings], tuple[str, ...]]
    """Files and folders named in the settings that its results depend on; "" for none."""
    problem: Callable[[Case, Settings], str]
    """Why a case cannot be measured as it is asked for, a clause; "" if it can."""
    module: str
    """The module whose imports decide its numbers, for the hash of the code."""
    companions: Callable[[Path], list[Path]] = lambda _: []
    """Which files belong to the one that names an input."""
    check_copy: Callable[[Path], None] = lambda _: None
    """Refuses a copy of an input from elsewhere that cannot be whole."""
    case_columns: tuple[str, ...] = ()
    """Attributes of the case that stand in its row even where it failed."""
    parts_table: str = ""
    """The table of the parts of a case, "" for none."""
    hides_identity: bool = False
    """Whether ``measure`` tells ``Job.hide`` who was scanned, from headers that it reads anyway."""
    follows_baseline: bool = False
    """Whether what is measured at a later visit depends on what the first visit shows."""
    writes_dicom: bool = False
    """Whether its results can be DICOM, whose dates may be shifted."""
