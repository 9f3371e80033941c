"""List every series under a path: what it is, and usable or why not. Headers only."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import ScanError
from ..grey_values import check_body, check_ct, modality_of
from ..readers import ARCHIVES, read_scan, reader_of
from ..readers.dicom import DicomListing, list_dicom, stack_flags
from ..readers.dicom_files import Progress, Unreadable
from ..readers.dicom_stack import Stack, geometry_of
from ..readers.nifti import pair_of
from ..volume import Volume
from .choice import SeriesChoice, SeriesRules, choose, load_rules
from .summary import SeriesSummary, summarise

LEFT_OUT = "left_out"
_LOOKED_AT = 9  # slices of a CT, for its grey values


def find_series(
    path: Path | str,
    *,
    workers: int = 1,
    progress: Progress | None = None,
    values: bool = False,
) -> list[SeriesSummary]:
    """List all scans under a path.

    Pixel data stay on the disk, except where two images of a series lie at one position: a few of
    those are compared, to tell copies from phases.

    Args:
        path: a file or a folder, searched with its sub-folders.
        workers: processes for reading headers; more than one only from code that is guarded by
            ``if __name__ == "__main__"``.
        progress: called with (files done, files in all).
        values: also look at grey values, of a file whole and of a DICOM CT in some slices.

    Returns:
        usable ones first, then by patient, date and series number; what cannot be measured is
        listed with the reason.

    Raises:
        ScanError: ``unreadable_file``: the path does not exist or may not be opened.
    """
    listing = list_scans(path, workers=workers, progress=progress)
    return [*(listing.with_values() if values else listing).series]


@dataclass(frozen=True)
class Listing:
    """What is under a path, its headers read once: for the choice of a series and its reading."""

    path: Path
    """The file or folder."""
    series: tuple[SeriesSummary, ...]
    """Every scan, as :func:`find_series` gives them."""
    dicom: DicomListing
    """The DICOM images among them."""

    def read(self, series_uid: str | None = None) -> Volume:
        """Read a scan of the listing; no header is read again.

        Args:
            series_uid: which series; may be omitted where one is measurable.

        Raises:
            ScanError: as :func:`fibrovol.imaging.readers.read_scan`.
        """
        if self.path.is_dir() or self.dicom.series or self.dicom.unreadable:
            return self.dicom.read(series_uid)
        return read_scan(self.path, series_uid=series_uid)  # another format, or refused with why

    def with_values(self) -> Listing:
        """The same with what the grey values say: what reading would refuse is not usable."""
        found = [self._looked_at(one) if one.usable else one for one in self.series]
        return replace(self, series=tuple(sorted(found, key=_order)))

    def _looked_at(self, one: SeriesSummary) -> SeriesSummary:
        try:
            if one.series_uid:
                if one.modality == "CT":
                    check_ct(self._some_values(one.series_uid))
                return one
            volume = read_scan(one.path)
            check_body(volume)
            modality = modality_of(volume, "")
            if modality == "CT":
                check_ct(volume.array)
        except ScanError as error:
            return replace(one, usable=False, code=error.code, reason=str(error))
        return replace(one, modality=modality)

    def _some_values(self, series_uid: str) -> NDArray[np.float32]:
        """Every fourth pixel of a few slices, these along the last axis."""
        stack = next(stack for stack in self.dicom.measurable if stack.uid == series_uid)
        slices = sorted(stack.slices, key=lambda one: (str(one.path), one.frame or 0))
        chosen = np.unique(np.linspace(0, len(slices) - 1, _LOOKED_AT).round().astype(int))
        return np.stack([self.dicom.pixels.values(slices[n])[::4, ::4] for n in chosen], axis=-1)

    def read_chosen(self, series: SeriesSummary) -> Volume:
        """Read one of :attr:`series`.

        Raises:
            ScanError: as :func:`fibrovol.imaging.readers.read_scan`.
        """
        if series.series_uid:
            return self.dicom.read(series.series_uid)
        return read_scan(series.path)


def list_scans(path: Path | str, *, workers: int = 1, progress: Progress | None = None) -> Listing:
    """List all scans under a path for reading; see :func:`find_series`."""
    path = Path(path)
    if not path.exists():
        raise ScanError("unreadable_file", f"{path} does not exist", do="check the path")
    found = [_summary_of_file(file) for file in _named_files(path)]
    dicom = DicomListing(path)
    if path.is_dir() or not found:
        dicom = list_dicom(path, workers=workers, progress=progress)
    broken = _folders(dicom.unreadable)
    for series in dicom.series:
        found += [_summary_of_stack(stack, broken) for stack in series.stacks]
        for left in series.left_out:
            summary = summarise(left.images, None, "")
            found.append(
                replace(
                    summary, series_uid=series.uid, n_slices=0, code=LEFT_OUT, reason=left.reason
                )
            )
    found += [_summary_of_unreadable(folder, files) for folder, files in broken.items()]
    return Listing(path, tuple(sorted(found, key=_order)), dicom)


def choose_series(
    path: Path | str,
    *,
    modality: str = "",
    match: SeriesSummary | None = None,
    rules: SeriesRules | None = None,
) -> SeriesChoice:
    """Choose which series under a path is measured, by the rules of configs/series.yaml.

    Args:
        path: a file or a folder.
        modality: "CT" or "MR" where the user wants that one, "" for any.
        match: the series that the same patient's baseline was measured on; a follow-up takes what
            is most like it.
        rules: the rules; those of configs/series.yaml when omitted.

    Raises:
        ScanError: ``not_a_scan`` or the reason of the best candidate when none is usable,
            ``several_series`` when the rules do not tell two apart.
    """
    return choose(
        find_series(path), Path(path), modality=modality, match=match, rules=rules or load_rules()
    )


def _order(summary: SeriesSummary) -> tuple[object, ...]:
    return (
        not summary.usable,
        summary.patient_id,
        summary.study_date,
        summary.series_number if summary.series_number is not None else 1 << 30,
        summary.series_uid,
        summary.code,
        summary.reason,
        str(summary.path),
    )


def _named_files(path: Path) -> list[Path]:
    """NIfTI, NRRD, MetaImage and packed files at or under a path."""

    def is_named(file: Path) -> bool:
        if file.name.lower().endswith(ARCHIVES):
            return True
        # of a pair, the header alone is listed
        return bool(reader_of(file).suffixes) and pair_of(file)[0] == file

    if path.is_file():
        return [path] if path.name.lower().endswith(ARCHIVES) or reader_of(path).suffixes else []
    found = []
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(folder) / name for name in sorted(names) if not name.startswith(".")]
    return [file for file in found if file.is_file() and is_named(file)]


def _summary_of_file(file: Path) -> SeriesSummary:
    if file.name.lower().endswith(ARCHIVES):  # never opened: it may unpack to anything
        return SeriesSummary(file, n_files=1, code=LEFT_OUT, reason="an archive: unpack it first")
    describe = reader_of(file).describe
    assert describe is not None, f"{file} was listed without a reader"
    n_files = len(pair_of(file))
    try:
        grid = describe(file)
    except ScanError as error:
        return SeriesSummary(file, n_files=n_files, code=error.code, reason=str(error))
    return SeriesSummary(
        file,
        n_files=n_files,
        n_slices=grid.shape[2],
        spacing_mm=grid.spacing_mm,
        matrix=grid.shape[:2],
        coverage_mm=grid.shape[2] * grid.spacing_mm[2],
        plane=grid.plane,
        usable=True,
        flags=grid.flags,
    )


def _summary_of_stack(stack: Stack, broken: dict[Path, list[Unreadable]]) -> SeriesSummary:
    problem = stack.problem
    geometry = None if problem is not None else geometry_of(stack)
    summary = replace(summarise(stack.slices, geometry, stack.label), series_uid=stack.uid)
    if geometry is None:
        assert problem is not None
        return replace(summary, code=problem.code, reason=str(problem))
    folders = {image.path.parent for image in stack.slices} & set(broken)
    if folders:
        first = broken[min(folders)][0]
        return replace(
            summary,
            code=first.error.code,
            reason=f"{first.path.name} next to its slices cannot be read: one may be missing",
        )
    return replace(summary, usable=True, flags=stack_flags(stack, geometry))


def _folders(unreadable: Sequence[Unreadable]) -> dict[Path, list[Unreadable]]:
    folders: dict[Path, list[Unreadable]] = defaultdict(list)
    for file in unreadable:
        folders[file.path.parent].append(file)
    return dict(sorted(folders.items()))


def _summary_of_unreadable(folder: Path, files: list[Unreadable]) -> SeriesSummary:
    first = files[0]
    return SeriesSummary(
        path=first.path if len(files) == 1 else folder,
        n_files=len(files),
        code=first.error.code,
        reason=f"{first.path.name}: {first.error.found or first.error.what}",
    )
