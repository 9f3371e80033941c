"""inspect: list what is under a path, what can be measured, and why the rest cannot."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import SlideError
from .console import counting, give, say

_IDENTITY = {"patient_id", "study_date"}


DESCRIPTION = """\
Lists every series and slide under the paths: what it is, whether it can be measured,
and why not. Reads headers only and writes nothing. The list is for your screen:
descriptions and paths in it may name a patient.
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
    """All pictures of a file that holds several."""
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
                listing = list_scans(path, workers=os.cpu_count() or 1, progress=show)
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
        for line in [*map(_scan_lines, scans), *map(_slide_lines, slides)]:
            print(line)
        if passed and (not (scans or slides) or "link to a folder" in passed):
            counts = ", ".join(f"{count} x {reason}" for reason, count in passed.most_common(5))
            say(f"Passed over: {counts}. Links are not followed: give what they lead to.")
        say(f"{n_usable} of {len(scans) + len(slides)} can be measured.")
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


def _scan_lines(series: Any) -> str:
    facts = [series.modality or "scan", series.description, series.contrast, series.plane]
    if series.n_slices:
        facts.append(f"{series.n_slices} slices")
    if series.spacing_mm:
        facts.append(" x ".join(f"{value:.3g}" for value in series.spacing_mm) + " mm")
    facts += [series.label, *(f"note: {flag}" for flag in series.flags)]
    verdict = "usable" if series.usable else "not usable"
    return _lines(series.path, verdict, facts, series.series_uid, series.reason)


def _slide_lines(slide: SlideSummary) -> str:
    facts = ["slide", slide.format_name]
    if slide.size_px:
        facts.append(f"{slide.size_px[0]} x {slide.size_px[1]} pixels")
    if slide.mpp_um:
        facts.append(f"{slide.mpp_um:.4g} um a pixel")
    if slide.images:
        facts.append(f"picture {slide.image} of {len(slide.images)}: {'; '.join(slide.images)}")
    verdict = "usable" if slide.usable else "not usable"
    if slide.code in ("no_pixel_size", "implausible_pixel_size"):
        verdict = "needs mpp"
    if slide.code == "several_images":
        verdict = "needs image"
    return _lines(slide.path, verdict, facts, "", slide.reason)


def _lines(path: Path, verdict: str, facts: list[str], uid: str, reason: str) -> str:
    text = f"{verdict:<10}  {path}\n            "
    text += ", ".join(fact for fact in facts if fact)
    if uid:
        text += f"\n            series_uid {uid}"
    if reason:
        text += f"\n            {reason}"
    return text
