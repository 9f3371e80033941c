"""One case, from its files to its row, masks and pictures: what a worker does.

Files are written to a staging folder; the run moves them to their places when the case is whole.
What comes back is small: a row, hashes and times.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FibrovolError, InputError, OutputError, ScanError
from ..files import not_writable, sha256_file, sha256_files, writing
from ..flags import join_flags
from ..histology.readers.companions import slide_companions
from ..histology.settings import Tuning
from ..imaging.readers.identity import identifiers
from ..intake.cases import Case
from ..intake.expand import Chosen, choose_for_case
from ..provenance import (
    InputState,
    content_sha256,
    fibrovol_version,
    input_state,
    software_versions,
)
from ..tables import format_spacing
from .fetch import at_hand, baseline_at_hand
from .privacy import Scrubber
from .task import CaseResult, CaseTask, case_inputs, combined, input_states

if TYPE_CHECKING:
    from ..imaging.engines import EngineOptions
    from ..imaging.measure import LiverMeasurement

TRANSIENT_CODES = (
    "out_of_memory",
    "time_limit",
    "internal_error",
    "input_changed",
    "storage_unreachable",
    "storage_not_installed",
)
"""Failures that a second attempt may not have; every other one stays until the input changes."""

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS) if hasattr(errno, "EDQUOT") else ()
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "insufficient memory")


def measure_case(task: CaseTask) -> CaseResult:
    """Measure one case; every failure of the case becomes its row, none its number.

    Args:
        task: the case and where to write.

    Raises:
        OutputError: the results cannot be written (the run must stop, it is not the case's fault).
    """
    case, started = task.case, time.perf_counter()
    seconds: dict[str, float] = {}
    with writing():
        task.staging.mkdir(parents=True, exist_ok=True)
    log_path = task.staging / "logs" / f"{case.case_id}.log"
    stat_hash = content_hash = ""
    scrub = Scrubber(case_inputs(case)[0])
    with _case_log(log_path, scrub) as log:
        try:
            states = input_states(case)
            stat_hash = combined([state.stat_sha256 for state in states])
            with at_hand(case, task) as local:
                if case.remote:
                    states = input_states(local)
                    scrub.add_place(local.path)
                    seconds["fetch"] = time.perf_counter() - started
                if case.kind == "scan":
                    scrub.add(identifiers(local.path))
                content_hash = combined([content_sha256(state) for state in states])
                seconds["hash"] = time.perf_counter() - started - seconds.get("fetch", 0.0)
                log.info("input: %d files, %d bytes", len(states[0].names), states[0].size_bytes)
                measured = _MEASURES[case.kind](replace(task, case=local), states[0], seconds)
            if changed := _changed(case, stat_hash):
                raise changed
        except OutputError:
            raise
        except Exception as error:  # noqa: BLE001 - the batch goes on; the row says what happened
            failure = describe_failure(_changed(case, stat_hash) or error)
            log.error("%s", failure)
            if not isinstance(error, FibrovolError):
                log.error("%s", "".join(traceback.format_exception(error)))
            _remove_all_but_log(task.staging)
            measured = CaseResult(case.case_id, failed_row(scrub(str(failure))))
        seconds["total"] = time.perf_counter() - started
        log.info("%s in %.1f s", measured.row["status"], seconds["total"])
    with writing():
        outputs = {
            path.relative_to(task.staging).as_posix(): sha256_file(path)
            for path in sorted(task.staging.rglob("*"))
            if path.is_file()
        }
    return CaseResult(
        case.case_id,
        measured.row,
        measured.fragments,
        outputs,
        stat_hash,
        content_hash,
        measured.input_files,
        measured.engine_sha256,
        _plain(measured.parameters),
        {step: round(value, 3) for step, value in seconds.items()},
        software_versions(),
    )


def _changed(case: Case, stat_hash: str) -> InputError | None:
    """The error for inputs that are not what they were at the start, which explains any other."""
    if not stat_hash:  # they could not even be looked at then
        return None
    try:
        now = combined([state.stat_sha256 for state in input_states(case)])
    except InputError as error:
        if error.code == "storage_unreachable":
            return error  # nobody knows whether it changed
        now = error.what
    if now == stat_hash:
        return None
    return InputError(
        "input_changed",
        "The input changed or vanished while it was measured",
        found="other files, sizes or times than at the start",
        do="wait until it is copied and the share is connected, then give the same command again",
    )


def failed_row(error: str) -> dict[str, Any]:
    """The row of a failed case: no numbers, the code and what to do."""
    return {"status": "failed", "error": error}


@dataclass(frozen=True)
class Failure:
    """Why a case failed.

    Attributes:
        code: of ``ERROR_CODES``.
        sentence: for people.
    """

    code: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence}"


def describe_failure(error: Exception) -> Failure:
    """Give any failure of a case a code and a sentence.

    Raises:
        OutputError: it is the output that cannot be written, which no other case would survive.
    """
    if isinstance(error, FibrovolError):
        return Failure(error.code, str(error))
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        raise not_writable(error) from error
    text = str(error)
    if isinstance(error, MemoryError) or any(part in text.lower() for part in _OUT_OF_MEMORY):
        return Failure("out_of_memory", out_of_memory_sentence())
    if isinstance(error, OSError):
        return Failure(
            "unreadable_file",
            f"A file of the case could not be read. Found: {error.strerror or text}. What to do: "
            "check that it is whole, that it may be read and that the share is connected.",
        )
    return Failure(
        "internal_error",
        f"An unexpected error stopped this case. Found: {type(error).__name__}. What to do: "
        "report it with the case's log in logs/.",
    )


def out_of_memory_sentence() -> str:
    """What to do about a case that needs too much memory."""
    return (
        "The case needed more memory than was allowed. What to do: use fewer workers, raise "
        "run.memory_per_worker_gib, or use a machine with more memory."
    )


def _measure_scan(task: CaseTask, state: InputState, seconds: dict[str, float]) -> CaseResult:
    from ..imaging.export.nifti import write_mask  # noqa: PLC0415
    from ..imaging.measure import measure_liver  # noqa: PLC0415
    from ..imaging.overlay import write_overlay  # noqa: PLC0415

    case, start = task.case, time.perf_counter()
    _limit_torch(task.threads)
    engine = case.engine or ("existing_mask" if case.mask else task.settings.liver.engine)
    options = _engine_options(task)
    chosen = Chosen(case.path, case.series_uid or None)

    def measure() -> LiverMeasurement:
        return measure_liver(
            chosen.path,
            engine=engine,
            modality=case.modality,
            series_uid=chosen.series_uid,
            options=options,
        )

    try:
        liver = measure()
    except ScanError as error:
        if error.code != "several_series" or case.series_uid:
            raise
        with baseline_at_hand(task) as baseline:
            chosen = choose_for_case(case, baseline)
        liver = measure()
    seconds["measure"] = time.perf_counter() - start
    mask = f"masks/{case.case_id}_liver.nii.gz"
    overlay = f"overlays/{case.case_id}.png"
    with writing():
        write_mask(liver.mask, task.staging / mask)
        if liver.spleen_mask is not None:
            write_mask(liver.spleen_mask, task.staging / f"masks/{case.case_id}_spleen.nii.gz")
        write_overlay(liver.volume, liver.mask, task.staging / overlay, second=liver.spleen_mask)
        if task.settings.liver.dicom:
            _write_dicom(task, liver)
    seconds["write"] = time.perf_counter() - start - seconds["measure"]
    source = liver.volume.source
    used = source.files or state.files
    return CaseResult(
        case.case_id,
        {
            "status": "measured",
            "series_uid": source.series_uid,
            "modality": liver.modality,
            "n_slices": source.n_slices or liver.volume.array.shape[2],
            "spacing_mm": format_spacing(liver.volume.spacing_mm),
            "volume_ml": float(liver.volume_ml),
            "volume_ml_low": liver.volume_ml_low,
            "volume_ml_high": liver.volume_ml_high,
            "engine": liver.engine,
            "flags": join_flags([*liver.flags, *chosen.flags]),
            "mask_path": mask,
            "overlay_path": overlay,
            "input_sha256": sha256_files(used),
            "spleen_volume_ml": liver.spleen_volume_ml,
            "liver_spleen_ratio": liver.liver_spleen_ratio,
            "contrast": source.contrast,
        },
        input_files=[_relative(file, state) for file in used],
        engine_sha256=liver.engine_sha256,
        parameters={
            **liver.parameters,
            "technical_headers": dict(source.headers),
            "series_choice": chosen.choice,
        },
    )


def _engine_options(task: CaseTask) -> EngineOptions:
    from ..imaging.engines import EngineOptions  # noqa: PLC0415 - start-up time

    case, liver = task.case, task.settings.liver
    return EngineOptions(
        mask_path=case.mask,
        mask_segment=case.mask_segment or liver.mask_segment,
        resample_mask=liver.resample_mask,
        bundle_path=Path(liver.bundle) if liver.bundle else None,
        bundle_label=liver.bundle_label,
        trust_bundle=task.permissions.trust_bundle,
        weights_path=Path(liver.weights) if liver.weights else None,
        fast=liver.fast,
    )


def _write_dicom(task: CaseTask, liver: LiverMeasurement) -> None:
    """Segmentation and report for viewers and the PACS; a scan from elsewhere has none."""
    from ..imaging.export.dicom_seg import write_seg  # noqa: PLC0415 - start-up time
    from ..imaging.export.dicom_source import Identity  # noqa: PLC0415
    from ..imaging.export.dicom_sr import write_sr  # noqa: PLC0415

    case_id = task.case.case_id
    identity = Identity(
        task.case.subject or case_id,
        keep=task.permissions.keep_identity,
        date_shift_days=task.date_shift_days,
    )
    common: dict[str, Any] = {
        "identity": identity,
        "engine": liver.engine,
        "version": fibrovol_version(),
    }
    masks = task.staging / "masks"
    try:
        segmentation = write_seg(
            liver.mask, liver.volume, masks / f"{case_id}_liver.seg.dcm", **common
        )
        limits = None
        if liver.volume_ml_low is not None and liver.volume_ml_high is not None:
            limits = (liver.volume_ml_low, liver.volume_ml_high)
        write_sr(
            segmentation,
            liver.volume,
            masks / f"{case_id}_volume.sr.dcm",
            volume_ml=liver.volume_ml,
            limits_ml=limits,
            **common,
        )
    except OutputError as error:
        if error.code != "no_dicom_source":
            raise
        logging.getLogger("fibrovol.case").warning("%s", error)


def _measure_slide(task: CaseTask, state: InputState, seconds: dict[str, float]) -> CaseResult:
    from ..histology.measure import measure_collagen, write_outputs  # noqa: PLC0415

    case, start = task.case, time.perf_counter()
    measurement = measure_collagen(
        case.path,
        stain=case.stain,
        mpp_um=case.mpp_um,
        include=case.include_regions,
        exclude=case.exclude_regions,
        settings=task.settings.collagen,
        tuning=Tuning(threads=task.threads),
    )
    seconds["measure"] = time.perf_counter() - start
    with writing():
        masks, overlays = task.staging / "masks", task.staging / "overlays"
        polygons = task.settings.collagen.polygons
        files = write_outputs(measurement, masks, case.case_id, polygons=polygons)
        overlays.mkdir(exist_ok=True)
        for picture in (files.overlay_path, files.pair_path):
            picture.replace(overlays / picture.name)
    seconds["write"] = time.perf_counter() - start - seconds["measure"]
    columns = (
        "stain",
        "mpp_um",
        "tissue_mm2",
        "collagen_mm2",
        "caf_percent",
        "caf_percent_low",
        "caf_percent_high",
        "n_fragments",
        "length_mm",
        "caf_with_lumens_percent",
    )
    beside = [file for part in slide_companions(case.path) for file in input_state(part).files]
    used = [*state.files, *beside]
    row = {name: _plain(getattr(measurement, name)) for name in columns}
    excluded = {f"excluded_{k}_mm2": float(v) for k, v in measurement.excluded_mm2.items()}
    return CaseResult(
        case.case_id,
        {
            **row,
            **excluded,
            "status": "measured",
            "flags": join_flags(measurement.flags),
            "mask_path": f"masks/{files.mask_path.name}",
            "overlay_path": f"overlays/{files.overlay_path.name}",
            "input_sha256": sha256_files(used),
        },
        fragments=[
            {
                "fragment": fragment.number,
                "tissue_mm2": float(fragment.tissue_mm2),
                "collagen_mm2": float(fragment.collagen_mm2),
                "caf_percent": float(fragment.caf_percent),
                "length_mm": float(fragment.length_mm),
                "lumens_mm2": float(fragment.lumens_mm2),
                "caf_with_lumens_percent": float(fragment.caf_with_lumens_percent),
            }
            for fragment in measurement.fragments
        ],
        input_files=[_relative(file, state) for file in used],
        parameters=dict(measurement.parameters),
    )


_MEASURES: Mapping[str, Callable[[CaseTask, InputState, dict[str, float]], CaseResult]] = {
    "scan": _measure_scan,
    "slide": _measure_slide,
}


def _relative(file: Path, state: InputState) -> str:
    path = Path(file)
    if path == state.root:
        return ""
    if path.is_relative_to(state.root):
        return path.relative_to(state.root).as_posix()
    return f"../{path.relative_to(state.root.parent).as_posix()}"


def _plain(value: Any) -> Any:
    """Numbers, texts, lists and mappings that JSON knows, from whatever a measurement holds."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return _plain(value.tolist())
    return str(value)


def _limit_torch(threads: int) -> None:
    import torch  # noqa: PLC0415

    torch.set_num_threads(max(1, threads))


def _remove_all_but_log(staging: Path) -> None:
    for path in staging.rglob("*"):
        if path.is_file() and path.parent.name != "logs":
            path.unlink()


class _ScrubbingFormatter(logging.Formatter):
    def __init__(self, scrub: Scrubber) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        return self._scrub(super().format(record))


@contextlib.contextmanager
def _case_log(path: Path, scrub: Scrubber) -> Iterator[logging.Logger]:
    """Collect what is said about a case, warnings of the libraries among it, into its log."""
    with writing():
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    handler.setFormatter(_ScrubbingFormatter(scrub))
    root = logging.getLogger()
    own = logging.getLogger("fibrovol")
    level = own.level
    own.setLevel(logging.INFO)
    root.addHandler(handler)
    # other handlers (a library's on stderr) would say it past the scrubber
    propagated = [h for h in root.handlers if h is not handler]
    for other in propagated:
        root.removeHandler(other)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            logging.captureWarnings(True)
            yield logging.getLogger("fibrovol.case")
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        for other in propagated:
            root.addHandler(other)
        own.setLevel(level)
        with contextlib.suppress(OSError):  # a disk that is full says so when results are written
            handler.close()
