"""Read what an analysis is made from: the files of a run's output directory, and nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ManifestError
from ..measures import COMPARED, IMPORTANT, PRIMARY_MEASURES
from ..sheets.clinical import Read, read_clinical, read_outcomes
from ..sheets.visits import in_time, moment_of
from ..tables import Row, read_table
from ..vocabulary import Event, StandardVolume
from .clinical import bound_findings, with_scores
from .clinical_units import Finding, unit_findings
from .design import SAMPLING_CV, Design
from .reviews import Standing, standing


@dataclass(frozen=True)
class Inputs:
    """The contents of an output directory."""

    directory: Path
    """Where the tables and pictures are."""
    design: Design
    """Subjects, timepoints and settings of the study."""
    volumes: list[Row]
    """Rows of volumes.csv."""
    collagen: list[Row]
    """Rows of collagen.csv."""
    fragments: list[Row]
    """Rows of fragments.csv."""
    clinical: list[dict[str, Any]]
    """Rows of clinical.csv with the scores that they allow; values that look as if in another unit
    are None."""
    unit_findings: list[Finding]
    """Those values."""
    bound_findings: list[Finding]
    """What bounds such as ``<0.5`` leave open."""
    outcomes: list[Row]
    """Rows of outcomes.csv."""
    standard_volume: StandardVolume
    """Formula of the standard liver volume."""
    versions: Mapping[str, str]
    """Software and what it was, from study.json."""
    reviews: list[Row]
    """Rows of reviews.csv."""
    stands: Mapping[str, Standing]
    """What stands for each case that was read."""
    require_review: bool
    """Compare only what a reader has accepted."""
    notes: tuple[str, ...]
    """What of the tables was read differently from how it is written."""
    cases: Mapping[str, Any] = field(default_factory=dict)
    """What provenance.json says of each case: parameters, hashes; {} without one."""

    def rejected(self, row: Row) -> bool:
        """Whether a reader rejected this row's case."""
        stand = self.stands.get(str(row["case_id"]))
        return stand is not None and stand.verdict == "reject"


def _unusable(what: str, found: str) -> ManifestError:
    return ManifestError(
        "bad_manifest",
        what,
        found=found,
        do="give the output directory of a finished `fibrovol run`, or run the study again",
    )


def read_inputs(directory: Path) -> Inputs:
    """Read an output directory.

    Args:
        directory: a run's output directory.

    Raises:
        ManifestError: no measurement tables in it, or a file that is not what it should be.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise _unusable("The report needs an output directory", f"no directory {directory}")
    volumes = read_table(directory, "volumes")
    collagen = read_table(directory, "collagen")
    if not volumes and not collagen:
        raise _unusable(
            "There is nothing to report", f"no rows in volumes.csv or collagen.csv in {directory}"
        )
    reviews = read_table(directory, "reviews")
    study = _read_study(directory / "study.json")
    planned = _planned(study, [*volumes, *collagen])
    clinical_read = _given(directory / "clinical.csv", read_clinical, *planned)
    outcomes_read = _given(directory / "outcomes.csv", read_outcomes, planned[0])
    clinical, outcomes = list(clinical_read.rows), list(outcomes_read.rows)
    scored = with_scores(clinical)
    notes = dict.fromkeys([*map(str, study.get("notes") or []), *clinical_read.notes,
                           *outcomes_read.notes])  # fmt: skip
    return Inputs(
        directory,
        _design(study, planned, clinical, outcomes),
        volumes,
        collagen,
        read_table(directory, "fragments"),
        scored,
        unit_findings(clinical),
        bound_findings(scored),
        outcomes,
        _standard_volume(study),
        {str(name): str(value) for name, value in (study.get("versions") or {}).items()},
        reviews,
        standing(reviews, mask_hashes(directory, [*volumes, *collagen])) if reviews else {},
        bool(study.get("require_review")),
        tuple(notes),
        _provenance_cases(directory),
    )


def _given(path: Path, read: Callable[..., Read], *known: Sequence[str]) -> Read:
    """A table that a person gave, or nothing if there is none."""
    return read(path, *known) if path.exists() else Read((), ())


def mask_hashes(directory: Path, rows: Iterable[Row]) -> dict[str, str]:
    """SHA-256 of each row's mask, as provenance.json says; "" if there is none."""
    cases = _provenance_cases(directory)
    found = {}
    for row in rows:
        case_id = str(row["case_id"])
        outputs = cases.get(case_id, {}).get("outputs", {})
        found[case_id] = str(outputs.get(str(row["mask_path"] or ""), ""))
    return found


def _provenance_cases(directory: Path) -> dict[str, Any]:
    """The cases of provenance.json; {} if it is missing or damaged."""
    try:
        text = (directory / "provenance.json").read_text(encoding="utf-8")
        return dict(json.loads(text)["cases"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _read_study(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        study = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise _unusable("study.json cannot be read", str(error)) from error
    if not isinstance(study, dict):
        raise _unusable("study.json does not describe a study", type(study).__name__)
    return study


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))


def _standard_volume(study: Mapping[str, Any]) -> StandardVolume:
    formula = str(study.get("standard_liver_volume") or StandardVolume.URATA)
    if formula not in tuple(StandardVolume):
        raise ManifestError(
            "bad_manifest",
            "The formula of the standard liver volume is unknown",
            found=formula,
            do=f"name one of {', '.join(StandardVolume)}",
        )
    return StandardVolume(formula)


def _planned(study: Mapping[str, Any], rows: list[Row]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Subjects and visits as study.json says; what it does not say comes from the tables."""
    entries = study.get("subjects") or []
    enrolled = [str(e["subject"]) if isinstance(e, dict) else str(e) for e in entries]
    seen = [str(row.get("subject") or "") for row in rows]
    visits = _unique(str(row.get("timepoint") or "") for row in rows)
    given = _unique(map(str, study.get("timepoints") or []))
    timepoints = _unique([*given, *(visits if given else in_time(visits) or visits)])
    first = moment_of(timepoints[0]) if timepoints else None
    if first and first.kind == "screening":
        # a screening visit is the baseline only where there is no other
        baseline = [v for v in timepoints if (m := moment_of(v)) and m.kind == "baseline"]
        timepoints = _unique([*baseline, *timepoints])
    return _unique([*enrolled, *seen]), timepoints


def _numbers(study: Mapping[str, Any], key: str, default: Mapping[str, float]) -> dict[str, float]:
    value = study.get(key)
    if isinstance(value, int | float):
        value = {"liver_volume_ml": float(value)}
    return {**default, **{str(name): float(number) for name, number in (value or {}).items()}}


def _design(
    study: Mapping[str, Any],
    planned: tuple[tuple[str, ...], tuple[str, ...]],
    clinical: Sequence[Row],
    outcomes: Sequence[Row],
) -> Design:
    """The design as study.json says, completed from the tables."""
    subjects, timepoints = planned
    primary = tuple(map(str, study.get("primary_measures") or PRIMARY_MEASURES))
    if unknown := [key for key in primary if key not in COMPARED]:
        raise ManifestError(
            "bad_manifest",
            "A primary measure is not one that is compared",
            found=", ".join(unknown),
            do=f"name some of {', '.join(COMPARED)}",
        )
    further = _unique(str(row["timepoint"] or "") for row in clinical)
    further = tuple(visit for visit in further if visit not in timepoints)
    first = moment_of(timepoints[0]) if timepoints else None

    def before(visit: str) -> bool:
        moment = moment_of(visit)
        return bool(first and moment and moment.order < first.order)

    plans = study.get("visits") or {}
    months = {
        visit: moment.months
        for visit in (*timepoints, *further)
        if (moment := moment_of(visit)) and moment.kind in ("baseline", "after")
    } | {str(visit): float(plan["months"]) for visit, plan in plans.items() if "months" in plan}
    later = sorted(
        (visit for visit in further if not before(visit)),
        key=lambda visit: months.get(visit, math.inf),
    )
    entries = [entry for entry in study.get("subjects") or [] if isinstance(entry, dict)]
    groups = {str(e["subject"]): str(e["group"]) for e in entries if e.get("group")}
    groups |= {str(row["subject"]): str(row["group"]) for row in clinical if row.get("group")}
    return Design(
        subjects=subjects,
        timepoints=tuple(visit for visit in timepoints if not before(visit)),
        primary_measures=primary,
        biological_variation_percent=_numbers(study, "biological_variation_percent", {}),
        smallest_detectable=_numbers(study, "smallest_detectable", {}),
        title=str(study.get("title") or ""),
        clinical_timepoints=tuple(later),
        groups=groups,
        months=months,
        days={
            (str(entry["subject"]), str(visit)): int(days)
            for entry in entries
            for visit, days in (entry.get("days") or {}).items()
        },
        windows=_windows(plans, months),
        sampling_cv_percent=_numbers(study, "sampling_cv_percent", SAMPLING_CV),
        important_difference=_numbers(study, "important_difference", IMPORTANT),
        gone=_gone(outcomes),
    )


def _windows(
    plans: Mapping[str, Any], months: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """Days in which a visit is as planned: as given, else a third of the time to either side."""
    windows = {
        visit: (month * 365.25 / 12 * 2 / 3, month * 365.25 / 12 * 4 / 3)
        for visit, month in months.items()
        if month > 0
    }
    for visit, plan in plans.items():
        if "window_days" in plan:
            low, high = plan["window_days"]
            windows[str(visit)] = float(low), float(high)
    return windows


def _gone(outcomes: Sequence[Row]) -> dict[str, tuple[float, str]]:
    """By subject, when transplantation or death came first, and which."""
    gone: dict[str, tuple[float, str]] = {}
    for row in outcomes:
        event, months = str(row["event"] or ""), row["followup_months"]
        if event in (Event.TRANSPLANT, Event.DEATH) and isinstance(months, int | float):
            found = (float(months), event)
            gone[str(row["subject"])] = min(gone.get(str(row["subject"]), found), found)
    return gone
