"""What is chosen before measuring: the series of a folder, by rules; engines and stains."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import ScanError
from ..settings import Settings, suggest
from .cases import Case, Problems
from .study import Study


@dataclass(frozen=True)
class Chosen:
    """What of a case's path is read.

    Attributes:
        path: the file or folder.
        series_uid: the series in it, None where there is only one.
        flags: how it differs from the series of the subject's first visit.
        choice: the rules' account for provenance, {} where there was nothing to choose.
    """

    path: Path
    series_uid: str | None = None
    flags: tuple[str, ...] = ()
    choice: dict[str, Any] = field(default_factory=dict)


def choose_for_case(case: Case, baseline: Case | None = None) -> Chosen:
    """Choose the series of a folder that holds several; to be asked when reading finds several.

    Args:
        case: a scan.
        baseline: the subject's scan of the first visit, whose series a later one should be like.

    Raises:
        ScanError: none is usable, the rules do not tell two apart, or the folder holds scans of
            several patients.
    """
    from ..imaging.series.find import choose_series  # noqa: PLC0415 - start-up time

    match = None
    if baseline is not None:
        try:
            match = choose_series(baseline.path, modality=baseline.modality).chosen
        except ScanError:
            match = None  # the first visit is its own failed case; this one goes by the rules
    choice = choose_series(case.path, modality=case.modality, match=match)
    patients = {choice.chosen.patient_id, *(other.series.patient_id for other in choice.runners_up)}
    if len(patients) > 1:
        raise ScanError(
            "several_series",
            "The folder holds scans of several patients",
            found=f"{len(patients)} different PatientIDs",
            do="give the folder of one patient's visit; `fibrovol inspect` lists what is there",
        )
    return Chosen(
        choice.chosen.path, choice.chosen.series_uid or None, choice.flags, choice.as_plain()
    )


def expand(
    paths: Iterable[Path],
    like: Case,
    *,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Case]:
    """The cases of paths given on the command line: in a folder, one a study or image file.

    Args:
        paths: files and folders; a folder may be an archive of many patients.
        like: what the scans have in common.
        workers: processes for reading headers.
        progress: called with (files done, files in all).

    Returns:
        Cases without ids. A study of which nothing can be measured is one too, so that its row
        says why.
    """
    cases = []
    for path in paths:
        if path.is_dir() and not like.series_uid:
            cases += [
                replace(like, path=found.path, series_uid=found.series_uid or "")
                for found in _studies_under(path, like.modality, workers, progress)
            ]
        else:
            cases.append(replace(like, path=path))
    return cases


def _studies_under(
    path: Path, modality: str, workers: int, progress: Callable[[int, int], None] | None
) -> list[Chosen]:
    from ..imaging.series.choice import choose, load_rules  # noqa: PLC0415
    from ..imaging.series.find import find_series  # noqa: PLC0415 - start-up time

    groups: dict[tuple[str, ...], list[Any]] = defaultdict(list)
    for series in find_series(path, workers=workers, progress=progress):
        # NIfTI and the like name no study: each file is one
        key = (series.patient_id, series.study_uid) if series.study_uid else (str(series.path),)
        groups[key].append(series)
    chosen = []
    rules = load_rules()
    for group in groups.values():
        if all(series.code == "left_out" for series in group) and len(groups) > 1:
            continue  # a scout view or screen capture beside the scans is no lost case
        try:
            best = choose(group, path, modality=modality, match=None, rules=rules).chosen
            alone = len(groups) == 1 and sum(series.usable for series in group) == 1
            chosen.append(Chosen(path if alone else best.path, best.series_uid or None))
        except ScanError:
            # measured from its folder, it fails with the reason
            chosen.append(Chosen(path if len(groups) == 1 else group[0].path))
    return chosen or [Chosen(path)]


def expand_slides(paths: Iterable[Path], like: Case) -> list[Case]:
    """The cases of paths given on the command line: in a folder, one a slide.

    Args:
        paths: slides, folders of slides, or folders that are one DICOM slide.
        like: what they have in common.

    Returns:
        Cases without ids. In a folder without slides, pictures of fields are taken; a folder with
        neither is one case, which a reader takes for DICOM or refuses.
    """
    from ..histology.readers.find import find_slides  # noqa: PLC0415 - start-up time

    cases = []
    for path in paths:
        found = [path]
        if path.is_dir():
            found = find_slides(path) or find_slides(path, pictures=True) or [path]
        cases += [replace(like, path=file) for file in found]
    return cases


def check_choices(study: Study, settings: Settings) -> None:
    """Refuse stains and engines that do not exist before anything is measured.

    Args:
        study: the cases.
        settings: for the engine of scans that name none.

    Raises:
        ManifestError: listing every case that names one, with its line.
    """
    problems = Problems()
    stains = {case.stain for case in study.cases if case.kind == "slide"}
    engines = {case.engine or settings.liver.engine for case in study.cases if case.kind == "scan"}
    known_stains, known_engines = _known_stains(stains), _known_engines(engines)
    for case in study.cases:
        engine = case.engine or settings.liver.engine
        if case.kind == "slide" and case.stain not in known_stains:
            hint = suggest(case.stain, known_stains)
            problems.add(case.line, f"the stain {case.stain!r} is not known: {hint}")
        elif case.kind == "scan" and engine not in known_engines:
            hint = suggest(engine, known_engines)
            problems.add(case.line, f"the engine {engine!r} does not exist: {hint}")
    problems.raise_if_any(study.source.name if study.source else "The command")


def _known_stains(used: set[str]) -> tuple[str, ...]:
    from ..histology.colour.stain_table import stain_names  # noqa: PLC0415 - start-up time

    return stain_names() if used else ()


def _known_engines(used: set[str]) -> tuple[str, ...]:
    shipped = ("liver_net", "existing_mask")
    if used <= {*shipped}:  # the table of all engines brings torch, which the driver does not need
        return shipped
    from ..imaging.engines import engine_names  # noqa: PLC0415

    return engine_names()
