"""Turn paths on the command line into cases: the scans and slides under them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import FibrovolError, ScanError
from .cases import Case


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
    one_scan = like.series_uid or (like.mask is not None and _refers_to_one(like.mask))
    for path in paths:
        if path.is_dir() and not one_scan:
            cases += [
                replace(like, path=found, series_uid=series_uid)
                for found, series_uid in _studies_under(path, like.modality, workers, progress)
            ]
        else:
            cases.append(replace(like, path=path))
    return cases


def _refers_to_one(mask: Path) -> bool:
    """Whether a mask says which series it was drawn on: it is chosen when the case is measured."""
    from ..imaging.masks.gate import references_in  # noqa: PLC0415 - start-up time

    try:
        return bool(references_in(mask))
    except FibrovolError:
        return False  # the case fails with the reason


def _studies_under(
    path: Path, modality: str, workers: int, progress: Callable[[int, int], None] | None
) -> list[tuple[Path, str]]:
    """Path and series UID of what is measured of each study; "" if nothing was chosen."""
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
            continue  # a scout view or screen capture among the scans is not a lost case
        try:
            best = choose(group, path, modality=modality, match=None, rules=rules).chosen
            alone = len(groups) == 1 and sum(series.usable for series in group) == 1
            chosen.append((path if alone else best.path, best.series_uid))
        except ScanError:
            # measured from its folder, it fails with the reason
            chosen.append((path if len(groups) == 1 else group[0].path, ""))
    # two studies that nothing can be chosen from may lie in one folder: it is one failed case
    return list(dict.fromkeys(chosen)) or [(path, "")]


def expand_slides(paths: Iterable[Path], like: Case, *, each_image: bool = False) -> list[Case]:
    """The cases of paths given on the command line: in a folder, one a slide.

    Args:
        paths: slides, folders of slides, or folders that are one DICOM slide.
        like: what they have in common.
        each_image: one a picture that may be a slide, in files that hold several.

    Returns:
        Cases without ids. In a folder without slides, pictures of fields are taken; a folder with
        neither is one case, which a reader takes for DICOM or refuses.
    """
    from ..histology.readers import image_numbers  # noqa: PLC0415 - start-up time
    from ..histology.readers.find import find_slides  # noqa: PLC0415

    cases = []
    for path in paths:
        found = [path]
        if path.is_dir():
            found = find_slides(path) or find_slides(path, pictures=True) or [path]
        for file in found:
            numbers = image_numbers(file) if each_image else [like.image]
            cases += [replace(like, path=file, image=number) for number in numbers]
    return cases
