"""inspect: list what is under a path, what can be measured, and why the rest cannot."""

from __future__ import annotations

import argparse
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from ..batch.pool import available_cores
from ..errors import SlideError
from .console import counting, give, say

_IDENTITY = {"patient_id", "study_date", "identity_removed"}
_HEADINGS = ("#", "patient", "date", "series", "slices", "usable")
_NUMBERS = ("#", "slices")
_WIDEST = (16, 10, 48, 6, 11)

DESCRIPTION = """\
Lists every series and slide under the paths as a table, by patient and date: what it
is, whether it can be measured, and below why not. Reads headers and some pixels, and
writes nothing. A patient is called P1, P2 and so on, or by the PatientID where the
file says that identity was removed from it. The list is for your screen: paths and
descriptions in it may name a patient.

Takes as long as reading a header per file: minutes for an archive.
"""


@dataclass(frozen=True)
class SlideSummary:
    """What a slide says about itself."""

    path: Path
    """The file."""
    usable: bool
    """Whether it can be measured as it is."""
    format_name: str = ""
    """In words."""
    size_px: tuple[int, int] | None = None
    """Width and height."""
    mpp_um: float | None = None
    """Pixel size, None if the file states none."""
    image: int = 1
    """Number of the picture in the file."""
    images: tuple[str, ...] = ()
    """All pictures of a file that contains several."""
    code: str = ""
    """Why it is not usable, of ERROR_CODES."""
    reason: str = ""
    """The same as a sentence."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files or folders")


def run(arguments: argparse.Namespace) -> int:
    """List what is under the paths."""
    from ..histology.readers.find import find_slides  # noqa: PLC0415 - start-up time
    from ..imaging.series.find import list_scans  # noqa: PLC0415

    scans: list[Any] = []
    slides: list[SlideSummary] = []
    passed: Counter[str] = Counter()
    for path in arguments.paths:
        files = find_slides(path)
        slides += [summarise_slide(file) for file in files]
        if path.is_dir() or not files:
            known = {*files}
            with counting("files") as show:
                listing = list_scans(path, workers=available_cores(), progress=show)
                listing = listing.with_values()
            passed.update(listing.dicom.passed_over)
            for series in listing.series:
                if series.modality == "SM" and series.path not in known:
                    slides.append(summarise_slide(series.path))
                elif series.path not in known:
                    scans.append(series)
    n_usable = sum(one.usable for one in [*scans, *slides])
    if arguments.json:
        give(
            {
                "command": "inspect",
                "scans": [_plain_scan(series) for series in scans],
                "slides": [{**asdict(slide), "path": str(slide.path)} for slide in slides],
                "n_usable": n_usable,
            }
        )
    else:
        codes = _codes(scans)
        rows = [
            _scan_row(one, codes.get(one.patient_id, "")) for one in sorted(scans, key=_in_order)
        ]
        rows += [_slide_row(one) for one in sorted(slides, key=lambda one: (one.path, one.image))]
        print(_table(rows))
        if passed and (not (scans or slides) or "link to a folder" in passed):
            counts = ", ".join(f"{count} x {reason}" for reason, count in passed.most_common(5))
            say(f"Passed over: {counts}. Links are not followed: give what they lead to.")
        totals = _totals(scans, slides)
        say(f"{n_usable} of {len(scans) + len(slides)} can be measured: {totals}.")
    return 0 if n_usable else 1


def summarise_slide(path: Path) -> SlideSummary:
    """Open a slide and say what it is."""
    from ..histology.readers import open_slide  # noqa: PLC0415 - start-up time

    try:
        with open_slide(path) as slide:
            return SlideSummary(
                path,
                True,
                slide.format_name,
                slide.size_px,
                slide.mpp_um,
                image=slide.image,
                images=slide.images,
            )
    except SlideError as error:
        return SlideSummary(path, False, code=error.code, reason=str(error))


def _plain_scan(series: Any) -> dict[str, Any]:
    """For programs; who was scanned and when stays out of it."""
    plain = {**asdict(series), "path": str(series.path)}
    return {key: value for key, value in plain.items() if key not in _IDENTITY}


@dataclass(frozen=True)
class _Row:
    """A series or slide in the table."""

    columns: tuple[str, ...]
    """What stands under :data:`_HEADINGS`."""
    details: tuple[str, ...]
    """Lines below the table: where it is, what else is known, why it is not usable."""


def _codes(scans: Sequence[Any]) -> dict[str, str]:
    """What the table calls each patient, by PatientID.

    The PatientID itself where the file says that whom it shows was taken out of it
    (PatientIdentityRemoved); it may be a hospital's number elsewhere, and a running code stands.
    """
    removed: dict[str, bool] = {}
    for one in scans:
        if one.patient_id:
            removed[one.patient_id] = removed.get(one.patient_id, True) and one.identity_removed
    taken = {patient for patient, is_code in removed.items() if is_code}
    running = (name for n in count(1) if (name := f"P{n}") not in taken)
    return {one: one if one in taken else next(running) for one in sorted(removed)}


def _in_order(series: Any) -> tuple[Any, ...]:
    number = series.series_number if series.series_number is not None else 1 << 30
    return (
        not series.patient_id,
        series.patient_id,
        series.study_date,
        number,
        str(series.path),
        series.series_uid,
    )


def _scan_row(series: Any, patient: str) -> _Row:
    number = "" if series.series_number is None else str(series.series_number)
    name = series.description or ("" if series.series_uid else series.path.name)
    what = ", ".join(part for part in (name, series.modality, series.contrast) if part)
    facts = [series.plane]
    if series.spacing_mm:
        facts.append(" x ".join(f"{value:.3g}" for value in series.spacing_mm) + " mm")
    facts += [series.label, *(f"note: {flag}" for flag in series.flags)]
    uid = f"series_uid {series.series_uid}" if series.series_uid else ""
    return _Row(
        (
            patient or "not stated",
            _day(series.study_date),
            " ".join(part for part in (number, what) if part) or "scan",
            str(series.n_slices or ""),
            "yes" if series.usable else "no",
        ),
        _details(series.path, facts, uid, series.reason),
    )


def _slide_row(slide: SlideSummary) -> _Row:
    facts = [slide.format_name]
    if slide.size_px:
        facts.append(f"{slide.size_px[0]} x {slide.size_px[1]} pixels")
    if slide.mpp_um:
        facts.append(f"{slide.mpp_um:.4g} um a pixel")
    if slide.images:
        facts.append(f"picture {slide.image} of {len(slide.images)}: {'; '.join(slide.images)}")
    verdict = "yes" if slide.usable else "no"
    if slide.code in ("no_pixel_size", "implausible_pixel_size"):
        verdict = "needs mpp"
    if slide.code == "several_images":
        verdict = "needs image"
    return _Row(
        ("", "", f"slide {slide.path.name}", "", verdict),
        _details(slide.path, facts, "", slide.reason),
    )


def _day(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 and date.isdigit() else date


def _details(path: Path, facts: Sequence[str], *more: str) -> tuple[str, ...]:
    lines = (str(path), ", ".join(fact for fact in facts if fact), *more)
    return tuple(" ".join(line.split()) for line in lines if line)


def _table(rows: Sequence[_Row]) -> str:
    """The table, then the details of each line by its number."""
    if not rows:
        return ""
    cells: list[tuple[str, ...]] = [_HEADINGS]
    for number, row in enumerate(rows, start=1):
        shown = (
            _short(" ".join(cell.split()), wide)
            for cell, wide in zip(row.columns, _WIDEST, strict=True)
        )
        cells.append((str(number), *shown))
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = []
    for line in cells:
        padded = []
        for name, cell, width in zip(_HEADINGS, line, widths, strict=True):
            gap = " " * (width - _width(cell))
            padded.append(gap + cell if name in _NUMBERS else cell + gap)
        lines.append("  ".join(padded).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    for number, row in enumerate(rows, start=1):
        lines.append("")
        head, *others = row.details
        margin = len(str(len(rows)))
        lines.append(f"{number:>{margin}}  {head}")
        lines += [f"{'':{margin}}  {other}" for other in others]
    return "\n".join(lines)


def _width(text: str) -> int:
    """Columns on the screen: Chinese, Japanese and Korean letters take two."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def _short(text: str, widest: int) -> str:
    if _width(text) <= widest:
        return text
    while text and _width(text) > widest - 3:
        text = text[:-1]
    return text + "..."


def _totals(scans: Sequence[Any], slides: Sequence[SlideSummary]) -> str:
    """What is there, in numbers."""
    patients = len({one.patient_id for one in scans if one.patient_id})
    dates = len({(one.patient_id, one.study_date) for one in scans if one.study_date})
    parts = []
    if scans:
        usable = sum(one.usable for one in scans)
        parts.append(f"{usable} of {len(scans)} series of {_counted(patients, 'patient')}")
        parts[0] += f" on {_counted(dates, 'date')}" if dates else ""
    if slides:
        usable = sum(one.usable for one in slides)
        parts.append(f"{usable} of {_counted(len(slides), 'slide')}")
    return ", ".join(parts) or "nothing that is a scan or a slide"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
