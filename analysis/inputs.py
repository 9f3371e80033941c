"""What an analysis is made from: the files of a run's output directory, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ManifestError
from ..measures import COMPARED, PRIMARY_MEASURES
from ..tables import Row, read_table
from .clinical import STANDARD_VOLUMES, Finding, unit_findings, with_scores
from .design import Design
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
    outcomes: list[Row]
    """Rows of outcomes.csv."""
    standard_volume: str
    """Formula of the standard liver volume."""
    versions: Mapping[str, str]
    """Software and what it was, from study.json."""
    reviews: list[Row]
    """Rows of reviews.csv."""
    stands: Mapping[str, Standing]
    """What stands for each case that was read."""
    require_review: bool
    """Compare only what a reader has accepted."""

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
    clinical = read_table(directory, "clinical")
    reviews = read_table(directory, "reviews")
    study = _read_study(directory / "study.json")
    return Inputs(
        directory,
        _design(study, [*volumes, *collagen], clinical),
        volumes,
        collagen,
        read_table(directory, "fragments"),
        with_scores(clinical),
        unit_findings(clinical),
        read_table(directory, "outcomes"),
        _standard_volume(study),
        {str(name): str(value) for name, value in (study.get("versions") or {}).items()},
        reviews,
        standing(reviews, mask_hashes(directory, [*volumes, *collagen])) if reviews else {},
        bool(study.get("require_review")),
    )


def mask_hashes(directory: Path, rows: Iterable[Row]) -> dict[str, str]:
    """SHA-256 of each row's mask, as provenance.json says; "" where there is none."""
    try:
        text = (directory / "provenance.json").read_text(encoding="utf-8")
        cases = dict(json.loads(text)["cases"])
    except (OSError, ValueError, KeyError):
        cases = {}
    found = {}
    for row in rows:
        case_id = str(row["case_id"])
        outputs = cases.get(case_id, {}).get("outputs", {})
        found[case_id] = str(outputs.get(str(row["mask_path"] or ""), ""))
    return found


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


def _standard_volume(study: Mapping[str, Any]) -> str:
    formula = str(study.get("standard_liver_volume") or "urata")
    if formula not in STANDARD_VOLUMES:
        raise ManifestError(
            "bad_manifest",
            "The formula of the standard liver volume is not known",
            found=formula,
            do=f"name one of {', '.join(STANDARD_VOLUMES)}",
        )
    return formula


def _design(study: Mapping[str, Any], rows: list[Row], clinical: list[Row]) -> Design:
    """The design as study.json says; what it does not say comes from the tables' order."""
    entries = study.get("subjects") or []
    enrolled = [str(e["subject"]) if isinstance(e, dict) else str(e) for e in entries]
    seen = [str(row.get("subject") or "") for row in rows]
    subjects = _unique([*enrolled, *seen])
    timepoints = _unique(
        [
            *map(str, study.get("timepoints") or []),
            *(str(row.get("timepoint") or "") for row in rows),
        ]
    )
    primary = tuple(map(str, study.get("primary_measures") or PRIMARY_MEASURES))
    if unknown := [key for key in primary if key not in COMPARED]:
        raise ManifestError(
            "bad_manifest",
            "A primary measure is not one that is compared",
            found=", ".join(unknown),
            do=f"name some of {', '.join(COMPARED)}",
        )
    variation = study.get("biological_variation_percent")
    if isinstance(variation, (int, float)):
        variation = {"liver_volume_ml": float(variation)}
    return Design(
        subjects=subjects,
        timepoints=timepoints,
        primary_measures=primary,
        biological_variation_percent={
            str(key): float(value) for key, value in (variation or {}).items()
        },
        smallest_detectable={
            str(key): float(value)
            for key, value in (study.get("smallest_detectable") or {}).items()
        },
        title=str(study.get("title") or ""),
        clinical_timepoints=tuple(
            visit
            for visit in _unique(str(row["timepoint"] or "") for row in clinical)
            if visit not in timepoints
        ),
    )
