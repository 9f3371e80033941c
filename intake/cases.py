"""Read the rows of study.csv, one scan or slide each, and check them before anything starts."""

# Long because every column of study.csv is checked here, each with the sentence for what is wrong.

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PureWindowsPath
from typing import Literal

from ..errors import suggest
from ..sheets.arms import check_arms
from ..sheets.problems import Problems
from ..sheets.sheet import Sheet, parse_date, parse_number, renamed
from .remote import Url, is_url, read_url

Kind = Literal["scan", "slide"]
KINDS = ("scan", "slide")
MODALITIES = ("CT", "MR")
REQUIRED_COLUMNS = ("subject", "timepoint", "kind", "path")
OPTIONAL_COLUMNS = (
    "date",
    "stain",
    "mpp_um",
    "engine",
    "mask",
    "include_regions",
    "exclude_regions",
    "note",
    "modality",
    "series_uid",
    "mask_segment",
    "image",
    "white",
    "region_label",
    "include_class",
    "exclude_class",
    "group",
)
_ALIASES = {"arm": "group"}
_OF_SLIDES = (
    *("stain", "mpp_um", "include_regions", "exclude_regions"),
    *("image", "white", "region_label", "include_class", "exclude_class"),
)
_OF_SCANS = ("mask", "mask_segment")
_MAX_CODE = 64
_RESERVED = {
    *("con", "prn", "aux", "nul"),
    *(f"{device}{n}" for device in ("com", "lpt") for n in (*range(10), *"¹²³")),
}
"""Names that Windows takes for devices, with any suffix."""


@dataclass(frozen=True)
class Case:
    """One scan or slide to measure."""

    case_id: str
    """Name of its files in the output; unique without regard to case."""
    subject: str
    """Code as in study.csv, "" without a study."""
    timepoint: str
    """Visit as in study.csv, "" without a study."""
    kind: Kind
    """Either "scan" or "slide"."""
    path: Path
    """Where it is (made absolute, not resolved; it need not exist); only the name of what lies at
    an address."""
    written_path: str
    """The path as the user wrote it."""
    line: int = 0
    """Its line in study.csv, 0 without a study."""
    date: str = ""
    """ISO date of the visit, "" if not given."""
    stain: str = ""
    """For slides, "" if not given."""
    mpp_um: float | None = None
    """Pixel size given by the user, None to take the file's."""
    engine: str = ""
    """Segmentation engine, "" for the settings' one."""
    modality: str = ""
    """One of "CT" and "MR", or "" to take the file's."""
    series_uid: str = ""
    """The series to measure in a folder of several, "" to choose."""
    mask: Path | None = None
    """An existing mask to measure instead of segmenting, None without."""
    mask_segment: str = ""
    """Name or number of the liver in a mask of several organs, "" for one organ."""
    include_regions: Path | None = None
    """GeoJSON of what may be measured, None for all."""
    exclude_regions: Path | None = None
    """GeoJSON of what must not be measured."""
    note: str = ""
    """Free text, kept out of every output."""
    image: int | None = None
    """Number of the picture in a file that contains several, None if it is clear."""
    white: tuple[float, ...] = ()
    """Empty glass: red, green and blue, or a rectangle of it; () to look for it."""
    region_label: str = ""
    """Labels of a mask picture that are inside, joined by ";"."""
    include_class: str = ""
    """Classes of annotations that may be measured, joined by ";"."""
    exclude_class: str = ""
    """Classes of annotations that are left out."""
    group: str = ""
    """Arm of the trial, "" if not given."""
    drawn_regions: Path | None = None
    """GeoJSON of what a reader drew on the page; never from study.csv."""
    remote: tuple[tuple[str, Url], ...] = ()
    """For each input that is an address and no path, its attribute's name and the address."""


def place_of(case: Case) -> str:
    """What tells one image from another: its path, and its series if a folder contains several."""
    place = str(address_of(case) or case.path)
    part = case.series_uid or (f"image{case.image}" if case.image else "")
    return f"{place}#{part}" if part else place


def address_of(case: Case, name: str = "path") -> Url | None:
    """The address of one of a case's inputs, None if it is a path."""
    return dict(case.remote).get(name)


def slug(text: str) -> str:
    """A name that every file system takes: letters, digits, ``-``, ``_`` and ``.``, 60 at most."""
    text = unicodedata.normalize("NFC", text)
    name = re.sub(r"[^\w.-]+", "-", text).strip("-.")
    if not name or _is_device(name):
        name = f"case-{name}".rstrip("-")
    if len(name.encode()) > 60:
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        name = name.encode()[:51].decode(errors="ignore") + "-" + digest
    return name


def _is_device(name: str) -> bool:
    return name.split(".", maxsplit=1)[0].rstrip().lower() in _RESERVED


def unique_ids(names: Iterable[str], occupied: Iterable[str] = ()) -> list[str]:
    """Make slugs unique without regard to case: the second ``a`` becomes ``a_2``.

    Args:
        names: what to make ids of.
        occupied: ids that stand for something else already.
    """
    taken = {name.casefold() for name in occupied}
    ids = []
    for name in names:
        base = candidate = slug(name)
        number = 1
        while candidate.casefold() in taken:
            number += 1
            candidate = f"{base}_{number}"
        taken.add(candidate.casefold())
        ids.append(candidate)
    return ids


def locate(written: str, folder: Path) -> Path:
    """The absolute path of what a user wrote, relative to a folder, on any system.

    Backslashes separate folders on every system, unless a file of that very
    name is there.

    Raises:
        ValueError: a form that is not a path here, with the reason.
    """
    if is_url(written):
        raise ValueError("addresses are read in study.csv only; copy the file to a folder first")
    if any(ord(character) < 32 for character in written):
        raise ValueError("it contains a control character")
    if written.startswith(("\\\\.\\", "\\\\?\\", "//./")):
        raise ValueError("device paths are not read")
    if written.startswith("~"):
        raise ValueError("`~` is not expanded; write the whole path")
    windows = PureWindowsPath(written)
    if os.name != "nt":
        if windows.drive:
            raise ValueError("it is a Windows path, and this machine does not run Windows")
        if "\\" in written and not (folder / written).exists():
            written = windows.as_posix()
    else:
        refuse_windows_names(windows)
    return Path(os.path.normpath(folder / written))


def refuse_windows_names(path: PureWindowsPath) -> None:
    """Refuse what Windows would take for something else than the file that is meant.

    Raises:
        ValueError: a drive without a folder, a device, a name whose end Windows drops.
    """
    if path.drive and not path.root:
        raise ValueError("a drive without a folder, like `C:scan`, depends on where you are")
    for part in path.parts[1 if path.anchor else 0 :]:
        if _is_device(part):
            raise ValueError(f"Windows takes {part!r} for a device; rename it")
        if part not in (".", "..") and part[-1] in ". ":
            raise ValueError(f"Windows drops the last character of {part!r}; rename it")


def _code_problem(kind: str, code: str) -> str:
    """Why a subject or timepoint code cannot be used; "" if it can."""
    if not code:
        return f"{kind} is empty"
    if len(code) > _MAX_CODE:
        return f"{kind} is longer than {_MAX_CODE} characters"
    if code[0] in "=+-@":
        return f"{kind} {code!r} begins with {code[0]!r}, which a spreadsheet takes for a formula"
    if any(unicodedata.category(character).startswith("C") for character in code):
        return f"{kind} {code!r} contains an invisible character"
    return ""


def _look_alikes(codes: Iterable[tuple[int, str]], kind: str) -> list[str]:
    """Codes that differ only in case, blanks, width or leading zeros: one of them is a slip."""
    first: dict[str, tuple[int, str]] = {}
    problems = []
    for line, code in codes:
        plain = re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", code).casefold())
        plain = re.sub(r"(?<!\d)0+(?=\d)", "", plain)
        line_of, known = first.setdefault(plain or code, (line, code))
        if known != code:
            problems.append(
                f"line {line}: {kind} {code!r} and {known!r} (line {line_of}) look like one; "
                "write both the same, or make them clearly different"
            )
            first[plain or code] = (line_of, known)
    return problems


def read_cases(
    sheet: Sheet, folder: Path, *, stain: str = "", engine: str = "", modality: str = ""
) -> tuple[tuple[Case, ...], tuple[str, ...]]:
    """Check the rows of study.csv.

    Args:
        sheet: the table.
        folder: what relative paths are relative to.
        stain: stain of slides that name none.
        engine: engine of scans that name none.
        modality: modality of scans that name none.

    Returns:
        The cases in order, and notes on columns that were passed over.

    Raises:
        ManifestError: listing every problem with its line.
    """
    problems, notes = Problems(), list(sheet.notes)
    for other, ours in _ALIASES.items():
        if other in sheet.header and ours not in sheet.header:
            sheet = renamed(sheet, other, ours)
            notes.append(f"{sheet.name}: the column {other!r} was read as {ours!r}")
    known = REQUIRED_COLUMNS + OPTIONAL_COLUMNS
    for name in sheet.header:
        if name not in known:
            hint = suggest(name, known)
            if hint.startswith("did you mean"):
                problems.add(1, f"the column {name!r} is not known: {hint}")
            else:
                notes.append(f"{sheet.name}: the column {name!r} was not used")
    for name in REQUIRED_COLUMNS:
        if name not in sheet.header:
            problems.add(1, f"the column {name!r} is missing")
    problems.raise_if_any(sheet.name)
    if not sheet.rows:
        problems.add(2, "no case: add one line for each scan or slide")
    defaults = {"stain": stain, "engine": engine, "modality": modality}
    drafts = [
        case
        for line, row in sheet.rows
        if (case := _read_case(line, row, sheet, folder, defaults, problems)) is not None
    ]
    for attribute in ("subject", "timepoint"):
        codes = [(case.line, getattr(case, attribute)) for case in drafts]
        problems.lines += _look_alikes(codes, attribute)
    _find_repeats(drafts, problems)
    _check_groups(drafts, problems)
    problems.raise_if_any(sheet.name)
    ids = unique_ids(f"{case.subject}_{case.timepoint}_{case.kind}" for case in drafts)
    cases = tuple(replace(case, case_id=name) for case, name in zip(drafts, ids, strict=True))
    return cases, tuple(notes)


def _check_groups(cases: list[Case], problems: Problems) -> None:
    """A subject is in one arm; an empty cell leaves it to the subject's other lines."""
    check_arms(((case.line, case.subject, case.group) for case in cases), problems)
    with_arm = {case.subject for case in cases if case.group}
    for subject in dict.fromkeys(case.subject for case in cases if with_arm):
        if subject not in with_arm:
            problems.add(0, f"the group of {subject} is not given, but that of others is")


def _find_repeats(cases: list[Case], problems: Problems) -> None:
    """One file cannot be two visits; only different regions of one slide can."""
    first: dict[tuple[object, ...], Case] = {}
    for case in cases:
        regions = (case.include_regions, case.exclude_regions)
        path = os.path.normcase(case.path)
        classes = (case.image, case.region_label, case.include_class, case.exclude_class)
        key = (path, case.kind, case.series_uid, regions, classes, case.mask, case.remote)
        before = first.setdefault(key, case)
        if before is not case:
            problems.add(
                case.line,
                f"the path is the same as in line {before.line}: one {case.kind} cannot be "
                "measured as two; give the right path, or the series_uid of each series",
            )


def _read_paths(
    line: int, row: Mapping[str, str], folder: Path, problems: Problems
) -> tuple[dict[str, Path | None], dict[str, Url]]:
    paths: dict[str, Path | None] = {}
    urls: dict[str, Url] = {}
    for name in ("path", "mask", "include_regions", "exclude_regions"):
        written = row.get(name, "")
        try:
            if is_url(written):
                urls[name] = read_url(written)
                paths[name] = Path(urls[name].name)
            else:
                paths[name] = locate(written, folder) if written else None
        except ValueError as error:
            shown = Url(written) if is_url(written) else repr(written)
            problems.add(line, f"{name} {shown}: {error}")
    if not row["path"]:
        problems.add(line, "path is empty")
    return paths, urls


def _read_values(
    line: int, row: Mapping[str, str], sheet: Sheet, problems: Problems
) -> tuple[float | None, str]:
    mpp_um = None
    if text := row.get("mpp_um", ""):
        try:
            mpp_um = parse_number(text, decimal_comma=sheet.decimal_comma)
        except ValueError:
            problems.add(line, f"mpp_um is {text!r}: write the um of one pixel, such as 0.5")
    day = row.get("date", "")
    try:
        day = parse_date(day) if day else ""
    except ValueError:
        problems.add(line, f"date is {day!r}: write year-month-day, such as 2024-01-31")
    return mpp_um, day


def _read_image(line: int, row: Mapping[str, str], problems: Problems) -> int | None:
    text = row.get("image", "")
    if text and not (text.isascii() and text.isdigit() and int(text) > 0):
        problems.add(line, f"image is {text!r}: write the picture's number in the file, from 1")
        return None
    return int(text) if text else None


def read_white(text: str) -> tuple[float, ...]:
    """The colour of empty glass, or a rectangle of it, as a user writes it: "235,228,205".

    Raises:
        ValueError: neither three numbers of 1 to 255 nor four that a rectangle can have.
    """
    numbers = tuple(float(part) for part in re.split(r"[,;\s]+", text.strip()) if part)
    is_colour = len(numbers) == 3 and all(1 <= number <= 255 for number in numbers)
    if not is_colour and not (len(numbers) == 4 and min(numbers) >= 0 and min(numbers[2:]) >= 1):
        raise ValueError("write red, green and blue of empty glass, or x, y, width and height")
    return numbers


def _read_white(line: int, row: Mapping[str, str], problems: Problems) -> tuple[float, ...]:
    text = row.get("white", "")
    try:
        return read_white(text) if text else ()
    except ValueError:
        problems.add(
            line,
            f"white is {text!r}: write red, green and blue of empty glass, such as 235 228 205, or "
            "x, y, width and height of a rectangle of it in pixels",
        )
        return ()


def _read_case(
    line: int,
    row: Mapping[str, str],
    sheet: Sheet,
    folder: Path,
    defaults: Mapping[str, str],
    problems: Problems,
) -> Case | None:
    before = len(problems.lines)
    for name in ("subject", "timepoint"):
        if problem := _code_problem(name, row[name]):
            problems.add(line, problem)
    kind = row["kind"].lower()
    if kind not in KINDS:
        problems.add(line, f"kind is {row['kind']!r}: {suggest(kind, KINDS)}")
    paths, urls = _read_paths(line, row, folder, problems)
    mpp_um, day = _read_values(line, row, sheet, problems)
    modality = row.get("modality", "").upper() or defaults["modality"]
    if kind == "scan" and modality not in ("", *MODALITIES):
        problems.add(line, f"modality is {modality!r}: {suggest(modality, MODALITIES)}")
    stain = row.get("stain", "") or (defaults["stain"] if kind == "slide" else "")
    if kind == "slide" and not stain:
        problems.add(line, "stain is empty: a slide needs one, such as psr or masson")
    for name, other in (
        *((name, "slide") for name in _OF_SLIDES),
        *((name, "scan") for name in _OF_SCANS),
    ):
        if row.get(name) and kind in KINDS and kind != other:
            problems.add(line, f"{name} is given for a {kind}: it is for a {other}")
    if row.get("mask_segment") and not row.get("mask"):
        problems.add(line, "mask_segment is given without a mask")
    image, white = _read_image(line, row, problems), _read_white(line, row, problems)
    if len(problems.lines) > before:
        return None
    is_scan = kind == "scan"
    return Case(
        case_id="",
        subject=row["subject"],
        timepoint=row["timepoint"],
        kind="scan" if is_scan else "slide",
        path=paths["path"] or folder,
        written_path=str(urls.get("path", row["path"])),
        line=line,
        date=day,
        stain=stain.lower(),
        mpp_um=mpp_um,
        engine=(row.get("engine", "") or defaults["engine"]) if is_scan else "",
        modality=modality if is_scan else "",
        series_uid=row.get("series_uid", "") if is_scan else "",
        mask=paths["mask"],
        mask_segment=row.get("mask_segment", ""),
        include_regions=paths["include_regions"],
        exclude_regions=paths["exclude_regions"],
        note=row.get("note", ""),
        image=image,
        white=white,
        region_label=row.get("region_label", ""),
        include_class=row.get("include_class", ""),
        exclude_class=row.get("exclude_class", ""),
        group=row.get("group", ""),
        remote=tuple(urls.items()),
    )
