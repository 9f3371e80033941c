"""Read DICOM series: folders and files of CT and MR images, classic or enhanced multi-frame."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...errors import ScanError
from ..grid_limits import THICK_MM
from ..volume import ScanSource, Volume
from .dicom_contrast import contrast_name
from .dicom_files import Progress, Unreadable, collect_headers, list_files
from .dicom_geometry import StackGeometry, place_slices
from .dicom_headers import SliceHeader
from .dicom_pixels import AIR_HU, PixelReader, value_type
from .dicom_split import split_series
from .dicom_stack import SplitSeries, Stack, geometry_of
from .identity import identifying_texts, person_marks


def split_all(headers: Iterable[SliceHeader], pixels: PixelReader) -> list[SplitSeries]:
    """Take every series apart, in the order of their UIDs."""
    series: dict[str, list[SliceHeader]] = defaultdict(list)
    for header in headers:
        series[header.series_uid].append(header)
    return [split_series(series[uid], pixels.fingerprint) for uid in sorted(series)]


@dataclass(frozen=True)
class DicomListing:
    """The DICOM images under a path, their headers read once: for the choice and the reading."""

    path: Path
    """The file or folder that was listed."""
    series: tuple[SplitSeries, ...] = ()
    """Every series, taken apart."""
    unreadable: tuple[Unreadable, ...] = ()
    """Files that looked like DICOM and could not be read."""
    n_files: int = 0
    """Files that were looked at."""
    identity: tuple[str, ...] = ()
    """Texts in the headers that name the patient, for taking them out of messages."""
    passed_over: Mapping[str, int] = field(default_factory=dict)
    """Files and links that were not looked into, by the reason."""
    pixels: PixelReader = field(default_factory=PixelReader, compare=False, repr=False)
    """Gives the values; it has read some where two images lie at one position."""

    @property
    def measurable(self) -> list[Stack]:
        """The stacks that nothing speaks against."""
        return [one for part in self.series for one in part.stacks if one.problem is None]

    def read(self, series_uid: str | None = None) -> Volume:
        """Read one series.

        Args:
            series_uid: which, as :func:`fibrovol.imaging.series.find.find_series` names it; may be
                omitted when exactly one is measurable.

        Raises:
            ScanError: with the reason; see the table in ``docs/reference/scans.md``.
        """
        series = [*self.series]
        if series_uid is not None:
            series = [one for one in series if one.uid == series_uid.split("#")[0]]
        stack = _choose(self, series, series_uid)
        _refuse_lost_files(stack, [*self.unreadable])
        return read_stack(stack, self.pixels)


def list_dicom(path: Path, *, workers: int = 1, progress: Progress | None = None) -> DicomListing:
    """Read the headers of all DICOM images at or under a path, and take the series apart.

    Args:
        path: a file, or a folder that is searched with its sub-folders.
        workers: processes for reading headers.
        progress: called with (files done, files in all).

    Raises:
        ScanError: ``unreadable_file``: a folder may not be opened.
    """
    passed: Counter[str] = Counter()
    files = list_files(path, passed)
    headers, unreadable = collect_headers(files, workers=workers, progress=progress)
    pixels = PixelReader()
    return DicomListing(
        path,
        tuple(split_all(headers, pixels)),
        tuple(unreadable),
        len(files),
        identifying_texts(header.who for header in headers),
        dict(passed),
        pixels,
    )


def read_dicom(path: Path, *, series_uid: str | None = None) -> Volume:
    """Read one series of a DICOM folder, or one multi-frame file; see :class:`DicomListing`.

    Raises:
        ScanError: with the reason; see the table in ``docs/reference/scans.md``.
    """
    return list_dicom(path).read(series_uid)


def _refuse_lost_files(stack: Stack, unreadable: list[Unreadable]) -> None:
    """A damaged file next to the slices may be one of them: the end of the liver would be lost."""
    folders = {image.path.parent for image in stack.slices}
    lost = [file for file in unreadable if file.path.parent in folders]
    if lost:
        first = lost[0]
        raise ScanError(
            first.error.code,
            f"{len(lost)} of the files next to the series cannot be read",
            found=f"{first.path.name}: {first.error.found or first.error.what}",
            do="copy or export the series again, or remove these files if they are not part of it",
        ) from first.error


def _choose(listing: DicomListing, series: Sequence[SplitSeries], series_uid: str | None) -> Stack:
    stacks = [stack for one in series for stack in one.stacks]
    if series_uid is not None and "#" in series_uid:
        stacks = [stack for stack in stacks if stack.uid == series_uid]
    good = [stack for stack in stacks if stack.problem is None]
    if len(good) == 1:
        return good[0]
    if len(good) > 1:
        names = "; ".join(f"{_describe(stack)}" for stack in good[:8])
        more = f"; and {len(good) - 8} more" if len(good) > 8 else ""
        raise ScanError(
            "several_series",
            f"{listing.path.name} contains {len(good)} measurable series",
            found=names + more,
            do="name one of them (series_uid), or give the folder of one series",
        )
    problems = [stack for stack in stacks if stack.problem is not None]
    if problems:
        # the largest stack is what the user meant
        first = max(problems, key=lambda stack: len(stack.slices))
        assert first.problem is not None
        _refuse_lost_files(first, [*listing.unreadable])  # the cause, where slices are missing
        raise first.problem
    if listing.unreadable:
        raise listing.unreadable[0].error
    raise _nothing(listing, series, series_uid)


def _nothing(
    listing: DicomListing, series: Sequence[SplitSeries], series_uid: str | None
) -> ScanError:
    reasons: Counter[str] = Counter()
    for one in series:
        for left in one.left_out:
            reasons[left.reason] += len(left.images)
    found = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(5))
    colour = sum(count for reason, count in reasons.items() if reason.startswith("colour image"))
    if colour and colour == sum(reasons.values()):
        return ScanError(
            "unsupported_pixel_data",
            "The images are in colour",
            found=found,
            do="give the original grey-scale series",
        )
    what = f"No measurable CT or MR series in {listing.path.name}"
    if series_uid is not None:
        what = f"The series {series_uid} is not in {listing.path.name}"
    passed = Counter(listing.passed_over).most_common(5)
    if not found:
        found = f"{listing.n_files} files, none of them a CT or MR image"
        found += "".join(f"; passed over: {count} x {reason}" for reason, count in passed)
    links = "link to a folder" in listing.passed_over
    volumes = re.compile(r"\.(?:nii|hdr|nrrd|nhdr|mha|mhd)\b")
    files = any(volumes.search(reason) for reason in listing.passed_over)
    return ScanError(
        "not_a_scan",
        what,
        found=found,
        do="give the folder of a CT or MR series"
        + (": the links in it are not followed, give what they lead to" if links else "")
        + (", or the path of a NIfTI, NRRD or MetaImage file itself" if files else ""),
    )


def _describe(stack: Stack) -> str:
    head = stack.slices[0]
    parts = [head.modality or "?", f"{len(stack.slices)} slices"]
    if head.description:
        parts.append(head.description.split(" | ")[0])
    if stack.label:
        parts.append(stack.label)
    return f"{stack.uid} ({', '.join(parts)})"


def read_stack(stack: Stack, pixels: PixelReader | None = None) -> Volume:
    """Read the pixels of a stack that has no problem onto its grid.

    Raises:
        ScanError: the stack's problem, or what its pixel data show.
    """
    if stack.problem is not None:
        raise stack.problem
    pixels = pixels or PixelReader()
    geometry = geometry_of(stack)
    ordered = [stack.slices[index] for index in geometry.order]
    head = ordered[len(ordered) // 2]
    dtype = value_type(ordered)
    _check_rescale(ordered)

    def images() -> Iterator[np.ndarray]:
        for header in ordered:
            yield pixels.values(header)

    fill = AIR_HU if head.modality == "CT" else 0.0
    array = place_slices(images(), geometry, dtype, fill)
    if head.photometric == "MONOCHROME1" and head.modality == "CT":
        _check_reversed(array)
    source = ScanSource(
        files=tuple(sorted({header.path for header in ordered})),
        series_uid=stack.uid,
        n_slices=len(ordered),
        slice_thickness_mm=head.slice_thickness_mm,
        headers=dict(head.technical),
        contrast=contrast_name(ordered[len(ordered) // 2], stack.label),
        sha256={path: pixels.sha256[path] for path in {header.path for header in ordered}},
        person=person_marks(head.who),
        placed=(stack, geometry),
    )
    return Volume(array, geometry.affine, head.modality, stack_flags(stack, geometry), source)


def stack_of(volume: Volume) -> tuple[Stack, StackGeometry] | None:
    """The slices that a volume was read from, and their geometry; None for another format."""
    placed = volume.source.placed
    return placed if placed is not None and placed[1].shape == volume.array.shape else None


def stack_flags(stack: Stack, geometry: StackGeometry) -> tuple[str, ...]:
    """All flags of a stack that can be read."""
    head = stack.slices[0]
    flags = list(geometry.flags)
    if stack.n_duplicates:
        flags.append("duplicate_slices")
    if stack.n_set_aside:
        flags.append("images_set_aside")
    usual_gap = float(np.median(np.diff(geometry.heights_mm)))
    thickest = max(image.slice_thickness_mm or 0.0 for image in stack.slices)
    if max(usual_gap, thickest) > THICK_MM:
        flags.append("thick_slices")
    if head.modality == "CT" and head.rescale_intercept is None:
        flags.append("no_rescale")
    return tuple(flags)


def _check_rescale(headers: list[SliceHeader]) -> None:
    bad = [header for header in headers if header.rescale_slope == 0]
    if bad:
        raise ScanError(
            "unsupported_pixel_data",
            f"{len(bad)} slices state a RescaleSlope of 0",
            found=bad[0].path.name,
            do="export the series again",
        )


def _check_reversed(array: np.ndarray) -> None:
    """Refuse a MONOCHROME1 CT whose stored values are reversed: its HU cannot be known."""
    edge = np.concatenate([array[0].ravel()[::7], array[-1].ravel()[::7]])
    if float(np.median(edge)) > 0:
        raise ScanError(
            "unsupported_pixel_data",
            "The CT is MONOCHROME1 and its values are reversed",
            found=f"a median of {float(np.median(edge)):.0f} HU at the edge, where air is expected",
            do="export the original series",
        )
