"""A scan: a CT or MR in, the volume of the liver out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ScanError
from ..files import writing
from ..flags import join_flags
from .base import Job, Kind, Measured, Permissions

if TYPE_CHECKING:
    from ..imaging.engines import EngineOptions
    from ..imaging.measure import LiverMeasurement
    from ..imaging.series.summary import SeriesSummary
    from ..imaging.volume import Volume
    from ..intake.cases import Case
    from ..settings import Settings

_LIGHT_ENGINES = ("liver_net", "existing_mask")
"""Known without the table of all engines, which brings torch; the driver does not need that."""


@dataclass(frozen=True)
class _Chosen:
    """The scan of a case that is measured."""

    volume: Volume
    flags: tuple[str, ...] = ()
    """How its series differs from that of the subject's first visit."""
    account: dict[str, Any] = field(default_factory=dict)
    """The rules' account for provenance, {} if there was nothing to choose."""


def _measure(job: Job) -> Measured:
    from ..imaging.measure import measure_liver  # noqa: PLC0415 - start-up time

    case, start = job.case, time.perf_counter()
    engine = case.engine or ("existing_mask" if case.mask else job.settings.liver.engine)
    if engine != "existing_mask":  # a drawn mask does without torch, which takes long to load
        _limit_torch(job.threads)
    chosen = _read(job)
    liver = measure_liver(
        chosen.volume,
        engine=engine,
        modality=case.modality,
        options=_engine_options(job),
    )
    job.seconds["measure"] = time.perf_counter() - start
    mask, overlay, flags = _write(job, liver)
    job.seconds["write"] = time.perf_counter() - start - job.seconds["measure"]
    source = liver.volume.source
    return Measured(
        {
            "series_uid": source.series_uid,
            "modality": liver.modality,
            "n_slices": source.n_slices or liver.volume.array.shape[2],
            "spacing_mm": [float(value) for value in liver.volume.spacing_mm],
            "volume_ml": float(liver.volume_ml),
            "volume_ml_low": liver.volume_ml_low,
            "volume_ml_high": liver.volume_ml_high,
            "engine": liver.engine,
            "flags": join_flags([*liver.flags, *chosen.flags, *flags]),
            "mask_path": mask,
            "overlay_path": overlay,
            "spleen_volume_ml": liver.spleen_volume_ml,
            "liver_spleen_ratio": liver.liver_spleen_ratio,
            "contrast": source.contrast,
            "device": liver.device,
        },
        files=tuple(Path(file) for file in source.files),
        sha256=source.sha256,
        engine_sha256=liver.engine_sha256,
        person=source.person,
        parameters={
            **liver.parameters,
            "technical_headers": dict(source.headers),
            "series_choice": chosen.account,
        },
    )


def _read(job: Job) -> _Chosen:
    """Read the one scan of the case, or the series that its mask or the rules choose.

    Headers are read once.

    Raises:
        RegionError: the mask was drawn on no series of the folder.
        ScanError: none is usable, the rules do not tell two apart, or the folder contains scans of
            several patients.
    """
    from ..imaging.series.by_mask import choose_by_mask  # noqa: PLC0415 - start-up time
    from ..imaging.series.choice import choose, load_rules  # noqa: PLC0415
    from ..imaging.series.find import list_scans  # noqa: PLC0415

    case = job.case
    listing = list_scans(case.path)
    job.hide(listing.dicom.identity)
    if case.series_uid or len(listing.dicom.measurable) <= 1:
        return _Chosen(listing.read(case.series_uid or None))
    with job.baseline() as baseline:
        match = _series_of(baseline)
    choice = None
    if case.mask is not None:
        choice = choose_by_mask(listing, case.mask, modality=case.modality, match=match)
    choice = choice or choose(
        listing.series, case.path, modality=case.modality, match=match, rules=load_rules()
    )
    patients = {choice.chosen.patient_id, *(other.series.patient_id for other in choice.runners_up)}
    if len(patients) > 1:
        raise ScanError(
            "several_series",
            "The folder contains scans of several patients",
            found=f"{len(patients)} different PatientIDs",
            do="give the folder of one patient's visit; `fibrovol inspect` lists what is there",
        )
    volume = listing.read_chosen(choice.chosen)
    return _Chosen(volume, choice.flags, choice.as_plain())


def _series_of(baseline: Case | None) -> SeriesSummary | None:
    """The series of the first visit, which a later one should be like; None if it is not clear.

    It is its own failed case then, and this one goes by the rules.
    """
    from ..imaging.series.find import choose_series, find_series  # noqa: PLC0415 - start-up time

    if baseline is None:
        return None
    try:
        if uid := baseline.series_uid:
            return next((one for one in find_series(baseline.path) if one.series_uid == uid), None)
        return choose_series(baseline.path, modality=baseline.modality).chosen
    except ScanError:
        return None


def _engine_options(job: Job) -> EngineOptions:
    from ..imaging.engines import EngineOptions  # noqa: PLC0415 - start-up time

    liver = job.settings.liver
    segment = job.case.mask_segment or liver.mask_segment
    return EngineOptions(
        replace(liver, mask_segment=segment), job.case.mask, job.permissions.trust_bundle
    )


def _write(job: Job, liver: LiverMeasurement) -> tuple[str, str, tuple[str, ...]]:
    """Write masks and picture.

    Returns:
        Where the liver's lie, relative to the staging folder, and flags of the writing.
    """
    from ..imaging.export.nifti import write_mask  # noqa: PLC0415 - start-up time
    from ..imaging.overlay import write_overlay  # noqa: PLC0415

    case_id = job.case.case_id
    mask, overlay = f"masks/{case_id}_liver.nii.gz", f"overlays/{case_id}.png"
    with writing():
        write_mask(liver.mask, job.staging / mask)
        if liver.spleen_mask is not None:
            write_mask(liver.spleen_mask, job.staging / f"masks/{case_id}_spleen.nii.gz")
        write_overlay(liver.volume, liver.mask, job.staging / overlay, second=liver.spleen_mask)
        flags = _write_dicom(job, liver) if job.settings.liver.dicom else ()
    return mask, overlay, flags


def _write_dicom(job: Job, liver: LiverMeasurement) -> tuple[str, ...]:
    """Segmentation and report; whatever fails in them leaves the measurement as it is."""
    from ..imaging.export.dicom_results import write_results  # noqa: PLC0415 - start-up time
    from ..imaging.export.dicom_source import Identity  # noqa: PLC0415

    identity = Identity(
        job.case.subject or job.case.case_id,
        keep=job.permissions.keep_identity,
        date_shift_days=job.date_shift_days,
    )
    return write_results(
        liver, job.staging / "masks", job.case.case_id, identity=identity, version=job.version
    )


def _limit_torch(threads: int) -> None:
    import torch  # noqa: PLC0415 - start-up time

    torch.set_num_threads(max(1, threads))


def _parameters(case: Case, settings: Settings, permissions: Permissions) -> dict[str, Any]:
    return {
        "engine": case.engine or settings.liver.engine,
        "modality": case.modality,
        "series_uid": case.series_uid,
        "mask_segment": case.mask_segment,
        "settings": dict(vars(settings.liver)),
        "permissions": vars(permissions),
    }


def _settings_files(settings: Settings) -> tuple[str, ...]:
    return (settings.liver.bundle, settings.liver.weights)


def _problem(case: Case, settings: Settings) -> str:
    engine = case.engine or settings.liver.engine
    if engine in _LIGHT_ENGINES:
        return ""
    from ..errors import suggest  # noqa: PLC0415
    from ..imaging.engines import engine_names  # noqa: PLC0415 - start-up time

    if engine in engine_names():
        return ""
    return f"the engine {engine!r} does not exist: {suggest(engine, engine_names())}"


SCAN = Kind(
    name="scan",
    table="volumes",
    value="volume_ml",
    unit="mL",
    measure=_measure,
    parameters=_parameters,
    settings_files=_settings_files,
    problem=_problem,
    module=__name__,
    hides_identity=True,
    follows_baseline=True,
    writes_dicom=True,
)
