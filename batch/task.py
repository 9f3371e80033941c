"""What a worker is asked about one case and what it answers: plain values that cross processes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..histology.readers.companions import slide_companions
from ..intake.cases import Case, address_of
from ..intake.remote import Url, remote_state
from ..provenance import InputState, code_sha256, input_state
from ..settings import CollagenSettings, LiverSettings, Settings, as_plain


@dataclass(frozen=True)
class Permissions:
    """What only the person at the command line may allow, never a study's files.

    Attributes:
        trust_bundle: run what a MONAI bundle's configuration says; it is a program.
        keep_identity: copy the patient's name, dates and numbers into DICOM results.
    """

    trust_bundle: bool = False
    keep_identity: bool = False


@dataclass(frozen=True)
class CaseTask:
    """What a worker needs to measure one case.

    Attributes:
        case: the case.
        settings: all settings.
        staging: an empty folder of its own (made by the worker) for its files.
        threads: threads it may use.
        baseline: the subject's scan of the first visit, for the choice among several series.
        permissions: what the user allowed.
        date_shift_days: added to the date of the subject's DICOM results; None leaves it out.
    """

    case: Case
    settings: Settings
    staging: Path
    threads: int = 1
    baseline: Case | None = None
    permissions: Permissions = Permissions()
    date_shift_days: int | None = None


@dataclass(frozen=True)
class CaseResult:
    """What came of one case; plain values, so that it crosses processes and fits a line of JSON.

    Attributes:
        case_id: of the case.
        row: the measured columns of volumes.csv or collagen.csv, ``status`` among them.
        fragments: rows of fragments.csv.
        outputs: SHA-256 by path relative to the output directory; they lie in ``staging``.
        stat_sha256: state of all inputs before they were read.
        content_sha256: content of all inputs.
        input_files: the files that were read, relative to the input.
        engine_sha256: of the weights or the mask.
        parameters: of the measurement, as it states them.
        seconds: wall time by step.
        versions: of the worker's software.
    """

    case_id: str
    row: dict[str, Any]
    fragments: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    stat_sha256: str = ""
    content_sha256: str = ""
    input_files: list[str] = field(default_factory=list)
    engine_sha256: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def case_inputs(case: Case) -> list[Path | Url]:
    """Every file, folder or address a case depends on, the scan or slide first."""
    names = ("path", "mask", "include_regions", "exclude_regions")
    places = [address_of(case, name) or getattr(case, name) for name in names]
    return [place for place in places if place is not None]


def input_states(case: Case) -> list[InputState]:
    """A look at every input of a case, and at the files that belong to its slide.

    Raises:
        InputError: one is missing or cannot be read.
    """
    places = case_inputs(case)
    is_local_slide = case.kind == "slide" and address_of(case) is None
    companions = slide_companions(case.path) if is_local_slide else []
    return [state_of(place) for place in (*places, *companions)]


def state_of(place: Path | Url) -> InputState:
    """A look at one input.

    Raises:
        InputError: it is missing or cannot be read.
    """
    return remote_state(place) if isinstance(place, Url) else input_state(place)


def combined(hashes: list[str]) -> str:
    """One hash for several, in their order."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def parameters_sha256(
    case: Case,
    settings: Settings,
    baseline: Case | None = None,
    permissions: Permissions = Permissions(),
) -> str:
    """SHA-256 of everything but the inputs that a case's results depend on.

    Settings of how to run (workers, memory) are not among them, nor those of the other kind: a
    changed stain setting measures no scan again.
    """
    if case.kind == "scan":
        own: dict[str, Any] = {
            "engine": case.engine or settings.liver.engine,
            "modality": case.modality,
            "series_uid": case.series_uid,
            "mask_segment": case.mask_segment,
            "settings": _plain_settings(settings.liver),
            "weights": [_look(settings.liver.bundle), _look(settings.liver.weights)],
            "baseline": _look(case_inputs(baseline)[0] if baseline else ""),
            "permissions": as_plain(permissions),
        }
    else:
        own = {
            "stain": case.stain,
            "mpp_um": case.mpp_um,
            "settings": _plain_settings(settings.collagen),
            "custom_stain": _look(settings.collagen.custom_stain),
        }
    own |= {"kind": case.kind, "code": code_sha256(case.kind)}
    # which of the optional files are there, in case_inputs' order; their content is an input
    own["files"] = [bool(case.mask), bool(case.include_regions), bool(case.exclude_regions)]
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=8)
def _plain_settings(settings: LiverSettings | CollagenSettings) -> dict[str, Any]:
    """As plain values, once: a study of thousands asks for the same again and again."""
    return as_plain(settings)


def _look(place: str | Path | Url) -> str:
    """The state of something that a result depends on beside the inputs; "" without one."""
    if not place:
        return ""
    try:
        return state_of(Path(place) if isinstance(place, str) else place).stat_sha256
    except InputError:
        return "missing"
