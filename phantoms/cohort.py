"""Write a whole phantom study with the structure of the trial: scans, slides, tables and truth.

Two visits, a known mean change in volume and collagen, subjects who leave early, a scan that did
not survive its copy. A subject keeps body and liver shape between the visits; biopsies are taken
anew each time, from another place, as they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ..files import write_text
from ..settings import read_yaml
from .anatomy import draw_anatomy
from .patients import clinical_rows, outcome_rows
from .scans import write_ct_series, write_mr_series, write_truth_mask
from .slides import write_slide

BASELINE, FOLLOWUP = "baseline", "month6"
DEMO_YAML = Path(__file__).resolve().parents[1] / "configs" / "demo.yaml"

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class CaseTruth:
    """One scan or slide of the cohort; None if the kind has no such value.

    Attributes:
        subject, timepoint, kind: as in study.csv.
        path: relative to the cohort's folder, with forward slashes.
        readable: False for the scan that broke off.
        liver_volume_ml, spleen_volume_ml: exact.
        caf_percent, tissue_mm2, collagen_mm2: exact.
    """

    subject: str
    timepoint: str
    kind: str
    path: str
    readable: bool = True
    liver_volume_ml: float | None = None
    spleen_volume_ml: float | None = None
    caf_percent: float | None = None
    tissue_mm2: float | None = None
    collagen_mm2: float | None = None


@dataclass(frozen=True)
class CohortTruth:
    """What is known of a cohort.

    Attributes:
        directory: where it is.
        cases: in the order of study.csv.
    """

    directory: Path
    cases: tuple[CaseTruth, ...]

    def pairs(self, kind: str) -> list[tuple[str, float, float]]:
        """Subject, baseline and follow-up of all who have both, readable ones only.

        Args:
            kind: "scan" for liver volumes in mL, "slide" for collagen fractions in per cent.
        """
        visits: dict[str, dict[str, float]] = {}
        for case in self.cases:
            value = case.liver_volume_ml if kind == "scan" else case.caf_percent
            if case.kind == kind and case.readable and value is not None:
                visits.setdefault(case.subject, {})[case.timepoint] = value
        return [
            (subject, values[BASELINE], values[FOLLOWUP])
            for subject, values in visits.items()
            if len(values) == 2
        ]

    @property
    def mean_volume_change_ml(self) -> float:
        """Mean of the paired changes of liver volume, in mL."""
        return float(np.mean([after - before for _, before, after in self.pairs("scan")]))

    @property
    def mean_caf_change_points(self) -> float:
        """Mean of the paired changes of the collagen fraction, in percentage points."""
        return float(np.mean([after - before for _, before, after in self.pairs("slide")]))


@dataclass(frozen=True)
class _Job:
    """One scan or slide to write; small and plain, so that it can go to another process."""

    directory: Path
    subject: str
    timepoint: str
    kind: str
    relative: str
    visit_date: str
    seed: int
    scan_seed: int
    baseline_ml: float
    volume_ml: float
    cirrhosis: float
    modality: str
    broken: bool
    truth_mask: bool
    caf_percent: float
    stain: str
    spacing_mm: tuple[float, float, float]
    slide_px: tuple[int, int]
    slide_mpp_um: float


def write_cohort(
    directory: Path,
    *,
    seed: int = 0,
    subjects: int | None = None,
    small: bool = False,
    settings: Mapping[str, Any] | None = None,
    truth_masks: bool = False,
    workers: int = 1,
    progress: Progress | None = None,
) -> CohortTruth:
    """Write a phantom study that `fibrovol run` takes, and its truth.

    The folder then has study.csv, study.yaml, clinical.csv, outcomes.csv, truth.csv, scans/ and
    slides/. The same arguments give the same bytes.

    Args:
        directory: is created; files of an earlier cohort of the same shape are overwritten.
        seed: the source of all variation.
        subjects: number enrolled; None takes it from the settings (19). Under 5 fewer leave early.
        small: coarser scans and smaller slides, for tests.
        settings: keys of configs/demo.yaml; None reads that file.
        truth_masks: also write each scan's true liver as NIfTI under truth/.
        workers: processes that write at the same time.
        progress: called after each file with done, all, and what it was.

    Raises:
        ValueError: so few subjects that no two pairs are left.
        OutputError: a scan's folder contains other files.
    """
    directory = Path(directory)
    options = dict(read_yaml(DEMO_YAML) if settings is None else settings)
    count = int(options["subjects"] if subjects is None else subjects)
    jobs = _plan(directory, options, count, seed, small=small, truth_masks=truth_masks)
    directory.mkdir(parents=True, exist_ok=True)
    cases: list[CaseTruth] = []
    for done, case in enumerate(_work(jobs, workers), start=1):
        cases.append(case)
        if progress is not None:
            progress(done, len(jobs), f"{case.subject} {case.timepoint} {case.kind}")
    truth = CohortTruth(directory, tuple(cases))
    _write_tables(truth, jobs, seed)
    return truth


def _work(jobs: list[_Job], workers: int) -> Iterable[CaseTruth]:
    if workers <= 1:
        yield from map(_write_job, jobs)
        return
    # spawn, as Windows and macOS do: what works here works there
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_write_job, jobs)


# ---- planning ------------------------------------------------------------------------------


def _plan(
    directory: Path,
    options: Mapping[str, Any],
    count: int,
    seed: int,
    *,
    small: bool,
    truth_masks: bool,
) -> list[_Job]:
    """All jobs in the order of study.csv."""
    rng = np.random.default_rng([seed, 19])
    liver, collagen = options["liver"], options["collagen"]
    images = {**options["images"], **(options["small"] if small else {})}
    dropouts, broken, mr = _roles(options, count, rng)
    stays = np.array([index not in dropouts for index in range(count)])

    before_ml = np.clip(
        rng.normal(liver["baseline_ml"], liver["baseline_spread_ml"], count), 850.0, 1850.0
    )
    growth = _changes(rng, stays, liver["change_percent"], liver["change_spread_percent"])
    growth = np.clip(growth, -8.0, 24.0)
    before_caf = np.clip(
        rng.normal(collagen["baseline_percent"], collagen["baseline_spread_percent"], count),
        9.0,
        38.0,
    )
    fall = _changes(rng, stays, collagen["change_points"], collagen["change_spread_points"])
    after_caf = np.clip(before_caf + fall, 2.0, 44.0)
    cirrhosis = rng.uniform(0.3, 1.0, count)

    jobs: list[_Job] = []
    for index in range(count):
        subject = f"S{index + 1:02d}"
        enrolled = date(2015, 1, 5) + timedelta(days=int(rng.integers(0, 700)))
        second = enrolled + timedelta(days=183 + int(rng.integers(-12, 13)))
        for visit, (timepoint, day) in enumerate(((BASELINE, enrolled), (FOLLOWUP, second))):
            if visit == 1 and index in dropouts:
                continue
            job = _Job(
                directory=directory,
                subject=subject,
                timepoint=timepoint,
                kind="scan",
                relative=f"scans/{subject}_{timepoint}",
                visit_date=day.isoformat(),
                seed=1000 * seed + index + 1,
                scan_seed=visit,
                baseline_ml=float(before_ml[index]),
                volume_ml=float(before_ml[index] * (1.0 + visit * growth[index] / 100.0)),
                cirrhosis=float(cirrhosis[index]),
                modality="MR" if index in mr else "CT",
                broken=visit == 1 and index in broken,
                truth_mask=truth_masks,
                caf_percent=float(after_caf[index] if visit else before_caf[index]),
                stain=str(collagen["stain"]),
                spacing_mm=tuple(images["mr_spacing_mm" if index in mr else "ct_spacing_mm"]),
                slide_px=tuple(images["slide_px"]),
                slide_mpp_um=float(images["slide_mpp_um"]),
            )
            jobs.append(job)
            slide = f"slides/{subject}_{timepoint}.tif"
            jobs.append(replace(job, kind="slide", relative=slide, broken=False))
    return jobs


def _roles(
    options: Mapping[str, Any], count: int, rng: np.random.Generator
) -> tuple[set[int], set[int], set[int]]:
    """Who leaves early, whose second scan is broken, who is scanned by MR."""
    left, bad = int(options["without_second_visit"]), int(options["unreadable_scans"])
    if bad > count - 2:
        raise ValueError(
            f"{count} subjects are too few: {bad} with an unreadable scan, and two pairs are needed"
        )
    left = min(left, count - 2 - bad)
    order = [int(index) for index in rng.permutation(count)]
    mr = set(order[left + bad : left + bad + int(options["mr_subjects"])])
    return set(order[:left]), set(order[left : left + bad]), mr


def _changes(rng: np.random.Generator, stays: np.ndarray, mean: float, spread: float) -> np.ndarray:
    """Changes whose mean over those who stay is exactly the one asked for."""
    changes = rng.normal(0.0, 1.0, stays.size)
    kept = changes[stays]
    changes = (changes - kept.mean()) / max(float(kept.std(ddof=1)), 1e-9)
    return np.asarray(mean + spread * np.clip(changes, -2.2, 2.2))


# ---- writing -------------------------------------------------------------------------------


def _write_job(job: _Job) -> CaseTruth:
    path = job.directory / job.relative
    case = CaseTruth(job.subject, job.timepoint, job.kind, job.relative)
    if job.kind == "slide":
        slide = write_slide(
            path,
            stain=job.stain,
            caf_percent=job.caf_percent,
            seed=2 * job.seed + job.scan_seed,
            size_px=job.slide_px,
            mpp_um=job.slide_mpp_um,
        )
        return replace(
            case,
            caf_percent=slide.caf_percent,
            tissue_mm2=slide.tissue_mm2,
            collagen_mm2=slide.collagen_mm2,
        )
    anatomy = draw_anatomy(job.seed, liver_volume_ml=job.baseline_ml, cirrhosis=job.cirrhosis)
    if job.volume_ml != job.baseline_ml:
        anatomy = anatomy.with_liver_volume(job.volume_ml)
    write = write_ct_series if job.modality == "CT" else write_mr_series
    scan = write(
        path,
        anatomy,
        spacing_mm=job.spacing_mm,
        seed=job.scan_seed,
        subject=job.subject,
        study_date=job.visit_date,
    )
    if job.broken:
        _break_off(path)
        return replace(case, readable=False)
    if job.truth_mask:
        name = f"{job.subject}_{job.timepoint}_liver.nii.gz"
        write_truth_mask(scan, job.directory / "truth" / name)
    return replace(
        case, liver_volume_ml=scan.liver_volume_ml, spleen_volume_ml=scan.spleen_volume_ml
    )


def _break_off(series: Path) -> None:
    """Cut every file of a series short, as a copy does that ran out of space."""
    for file in sorted(series.glob("*.dcm")):
        content = file.read_bytes()
        file.write_bytes(content[: len(content) * 6 // 10])


def _write_tables(truth: CohortTruth, jobs: list[_Job], seed: int) -> None:
    directory = truth.directory
    study = [
        {
            "subject": job.subject,
            "timepoint": job.timepoint,
            "kind": job.kind,
            "path": job.relative,
            "date": job.visit_date,
            "stain": job.stain if job.kind == "slide" else "",
        }
        for job in jobs
    ]
    write_text(directory / "study.csv", _csv_text(study))
    description = {
        "title": "Phantom study: artificial patients, not people",
        "cases": "study.csv",
        "clinical": "clinical.csv",
        "outcomes": "outcomes.csv",
        "timepoints": [BASELINE, FOLLOWUP],
    }
    text = yaml.safe_dump(description, sort_keys=False, allow_unicode=True)
    write_text(directory / "study.yaml", text)
    visits = {(job.subject, job.timepoint) for job in jobs}
    subjects = list(dict.fromkeys(job.subject for job in jobs))
    completed = {subject for subject in subjects if (subject, FOLLOWUP) in visits}
    write_text(directory / "clinical.csv", _csv_text(clinical_rows(subjects, completed, seed)))
    write_text(directory / "outcomes.csv", _csv_text(outcome_rows(subjects, completed, seed)))
    write_text(directory / "truth.csv", _csv_text([_truth_row(case) for case in truth.cases]))


def _truth_row(case: CaseTruth) -> dict[str, object]:
    def number(value: float | None) -> str:
        return "" if value is None else f"{value:.4f}"

    return {
        "subject": case.subject,
        "timepoint": case.timepoint,
        "kind": case.kind,
        "path": case.path,
        "readable": "yes" if case.readable else "no",
        "liver_volume_ml": number(case.liver_volume_ml),
        "spleen_volume_ml": number(case.spleen_volume_ml),
        "caf_percent": number(case.caf_percent),
        "tissue_mm2": number(case.tissue_mm2),
        "collagen_mm2": number(case.collagen_mm2),
    }


def read_truth(directory: Path) -> CohortTruth:
    """Read the truth of a cohort that :func:`write_cohort` wrote."""

    def number(text: str) -> float | None:
        return float(text) if text else None

    with (Path(directory) / "truth.csv").open(encoding="utf-8", newline="") as stream:
        cases = [
            CaseTruth(
                subject=row["subject"],
                timepoint=row["timepoint"],
                kind=row["kind"],
                path=row["path"],
                readable=row["readable"] == "yes",
                liver_volume_ml=number(row["liver_volume_ml"]),
                spleen_volume_ml=number(row["spleen_volume_ml"]),
                caf_percent=number(row["caf_percent"]),
                tissue_mm2=number(row["tissue_mm2"]),
                collagen_mm2=number(row["collagen_mm2"]),
            )
            for row in csv.DictReader(stream)
        ]
    return CohortTruth(Path(directory), tuple(cases))


def _csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
