"""The definition of every result table: its columns with type, unit and description.

What writes a CSV file, what reads it and the data package next to it all look here, so a column can
not mean two things. Numbers are written with a fixed number of digits a column: two runs that
measured the same give the same bytes.
"""

# Long because every column of every table stands here, with a sentence each.

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from .errors import ManifestError
from .files import write_text
from .vocabulary import Call, Event, Status

Value = str | int | float | None
Row = dict[str, Value]
ColumnType = Literal["string", "integer", "number", "date"]


@dataclass(frozen=True)
class Column:
    """One column of a result table."""

    name: str
    """As in the header line; carries the unit where there is one."""
    type: ColumnType
    """String, integer, number or date (ISO); what is empty in the file is None for numbers,
    integers and dates, and "" for strings."""
    unit: str
    """UCUM-like unit, "" for what has none."""
    description: str
    """A sentence for the person who opens the table."""
    digits: str = ".6g"
    """How numbers are written: ".2f" two decimals, ".6g" six significant digits."""
    values: tuple[str, ...] = ()
    """The only values allowed, () for any."""


@dataclass(frozen=True)
class Table:
    """A result table."""

    name: str
    """The key in :data:`TABLES`; the file is ``name.csv``."""
    title: str
    """One line for people."""
    columns: tuple[Column, ...]
    """In the order they are written."""
    key: tuple[str, ...]
    """The columns that name a row."""
    required: tuple[str, ...] = ()
    """Columns that a table given by a user must have filled."""
    needed: tuple[str, ...] = ()
    """Columns without which a file is not this table; others may be missing, as in the tables of an
    older version, and are then empty. () for those of the key."""

    @property
    def filename(self) -> str:
        """The file's name in the output directory."""
        return f"{self.name}.csv"

    @property
    def header(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(column.name for column in self.columns)


def _text(name: str, description: str, values: tuple[str, ...] = ()) -> Column:
    return Column(name, "string", "", description, values=values)


def _count(name: str, description: str) -> Column:
    return Column(name, "integer", "", description)


def _number(name: str, unit: str, description: str, digits: str = ".6g") -> Column:
    return Column(name, "number", unit, description, digits)


_CASE = (
    _text("subject", "Code of the subject as in study.csv; empty without a study."),
    _text("timepoint", "Visit as in study.csv; empty without a study."),
    _text("case_id", "Name of this row's files in masks/, overlays/ and logs/."),
    _text("status", "measured, or failed: then every number is empty.", tuple(Status)),
)
_TRAIL = (
    _text("flags", "Codes joined by ; that say what to know before trusting the number."),
    _text("error", "For a failed case: the error's code, a colon and what to do about it."),
    _text("mask_path", "The measured region, relative to the output directory."),
    _text("overlay_path", "A picture of the region on the image, relative to the directory."),
    _text("input_sha256", "SHA-256 of the input; of its files' sorted SHA-256 if several."),
)

_VOLUMES = Table(
    "volumes",
    "Liver volume of each scan",
    (
        *_CASE,
        _text("series_uid", "SeriesInstanceUID of the measured series; empty for NIfTI."),
        _text("modality", "CT or MR.", ("CT", "MR")),
        _count("n_slices", "Slices acquired, duplicates left out."),
        _text("spacing_mm", "Voxel size along i, j and k in mm, joined by x."),
        _number("volume_ml", "mL", "Liver volume: voxels in the mask x voxel volume.", ".2f"),
        _number("volume_ml_low", "mL", "Lower 95 % limit from the engine's uncertainty.", ".2f"),
        _number("volume_ml_high", "mL", "Upper 95 % limit from the engine's uncertainty.", ".2f"),
        _text("engine", "The segmentation engine that found the liver."),
        *_TRAIL,
        _number("spleen_volume_ml", "mL", "Spleen volume, where the engine gives one.", ".2f"),
        _number("liver_spleen_ratio", "1", "Liver volume over spleen volume.", ".3f"),
        _text("contrast", "Phase of a CT or sequence of an MR as its headers tell; else empty."),
        _number(
            "corrected_from_ml",
            "mL",
            "What the engine had measured, where a reader corrected the outline.",
            ".2f",
        ),
        _text("reader", "Code of the reader who corrected or drew the outline."),
        _text("device", "What the network ran on: cpu, cuda or mps; empty without a network."),
    ),
    ("case_id",),
    needed=("case_id", "status", "volume_ml"),
)

#: What a slide's collagen measurement leaves out, and how it is called in a sentence.
EXCLUDED = {
    "lumens": "lumens and fat vacuoles inside its outline",
    "regions": "what the user's regions take out",
    "pen": "coloured ink",
    "coverslip_and_dirt": "grey marks (coverslip edges, dirt, black ink)",
    "debris": "pieces under 0.01 mm2",
}

_COLLAGEN = Table(
    "collagen",
    "Collagen area fraction of each slide",
    (
        *_CASE,
        _text("stain", "Stain as declared."),
        _number("mpp_um", "um", "Size of a pixel of the slide at full resolution."),
        _number("tissue_mm2", "mm2", "Area of tissue: the denominator.", ".4f"),
        _number("collagen_mm2", "mm2", "Area of collagen: the numerator.", ".4f"),
        _number("caf_percent", "%", "Collagen area fraction: collagen over tissue.", ".3f"),
        _number("caf_percent_low", "%", "Lower 95 % limit of the area fraction.", ".3f"),
        _number("caf_percent_high", "%", "Upper 95 % limit of the area fraction.", ".3f"),
        _count("n_fragments", "Pieces of tissue found."),
        _number("length_mm", "mm", "Length of the cores together.", ".2f"),
        *_TRAIL,
        _number(
            "caf_with_lumens_percent",
            "%",
            "The area fraction if vessel lumens and fat vacuoles count as tissue.",
            ".3f",
        ),
        *(
            _number(f"excluded_{name}_mm2", "mm2", f"Left out of the tissue: {what}.", ".4f")
            for name, what in EXCLUDED.items()
        ),
        _number(
            "corrected_from_percent",
            "%",
            "The area fraction before a reader drew regions to leave out or to keep to.",
            ".3f",
        ),
        _text("reader", "Code of the reader who drew regions."),
        _count("image", "Number of the picture in the slide's file; 1 where it contains one."),
        _text("stain_title", "The stain in words, as configs/stains.yaml or its own file says."),
        _text("stain_family", "Slides are only compared with slides of one family of stains."),
        _number("analysis_mpp_um", "um", "Size of the pixels in which it was measured."),
    ),
    ("case_id",),
    needed=("case_id", "status", "caf_percent"),
)

_FRAGMENTS = Table(
    "fragments",
    "Each piece of tissue on each slide",
    (
        _text("subject", "Code of the subject as in study.csv; empty without a study."),
        _text("timepoint", "Visit as in study.csv; empty without a study."),
        _text("case_id", "The slide's row in collagen.csv."),
        _count("fragment", "Number of the piece on the slide, from 1."),
        _number("tissue_mm2", "mm2", "Area of tissue of the piece.", ".4f"),
        _number("collagen_mm2", "mm2", "Area of collagen of the piece.", ".4f"),
        _number("caf_percent", "%", "Collagen area fraction of the piece.", ".3f"),
        _number("length_mm", "mm", "Length of the piece along its core.", ".2f"),
        _number("lumens_mm2", "mm2", "Lumens and fat vacuoles of the piece, left out.", ".4f"),
        _number(
            "caf_with_lumens_percent", "%", "The area fraction if they count as tissue.", ".3f"
        ),
    ),
    ("case_id", "fragment"),
)

_PAIRED = Table(
    "paired",
    "Each subject's change from the first visit",
    (
        _text("subject", "Code of the subject."),
        _text("measure", "What is compared: liver_volume_ml, caf_percent, a laboratory value."),
        _text("timepoint", "The later visit."),
        _number("baseline", "unit of the measure", "Value at the first visit."),
        _number("followup", "unit of the measure", "Value at the later visit."),
        _number("change", "unit of the measure", "followup minus baseline."),
        _number("percent_change", "%", "change over baseline, in per cent."),
        _number("change_low", "unit of the measure", "Lower 95 % measurement-error limit."),
        _number("change_high", "unit of the measure", "Upper 95 % measurement-error limit."),
        _text("call", "What the change is against measurement error.", tuple(Call)),
        _text("flags", "Codes joined by ; of both visits and of the pairing."),
        _count("days", "Days from the first visit to the later one, where dates are known."),
    ),
    ("subject", "measure", "timepoint"),
)

_STATISTICS = Table(
    "statistics",
    "The group's change and its tests",
    (
        _text("measure", "What is compared; a later visit beyond the second is named after @."),
        _text("quantity", "The quantity of this row."),
        _count("n", "Pairs that went in."),
        _number("value", "unit of the quantity", "Estimate or test statistic."),
        _number("low", "unit of the quantity", "Lower 95 % limit."),
        _number("high", "unit of the quantity", "Upper 95 % limit."),
        _number("p_value", "1", "Two-sided p-value."),
        _number("p_value_holm", "1", "p-value after Holm's correction over the measures."),
        _text("method", "How it was computed."),
    ),
    ("measure", "quantity"),
)

VERDICTS = ("accept", "reject", "withdraw")

_REVIEWS = Table(
    "reviews",
    "What readers said of each case: a line a verdict, never changed afterwards",
    (
        _count("review", "Number of the line, from 1."),
        _text("case_id", "The case's row in volumes.csv or collagen.csv."),
        _count(
            "revision",
            "What was read: 0 as measured, then one more with each correction by a reader.",
        ),
        _text(
            "verdict",
            "accept; reject, which keeps the case out of every comparison; or withdraw, which "
            "takes the same reader's earlier verdict back.",
            VERDICTS,
        ),
        _text("reason", "Why it was rejected, or why a doubtful flag was overruled."),
        _text("overruled_flags", "Doubtful flags, joined by ;, that the reader overruled."),
        _count("quality", "Quality of the image for this measurement, 1 (poor) to 5 (excellent)."),
        _text("note", "In the reader's own words."),
        _text("reader", "Code of the reader."),
        _text("reviewed_at", "When, as an ISO time in UTC."),
        _text("mask_sha256", "SHA-256 of the mask that was read; empty for a failed case."),
        _number("value", "unit of the measure", "The case's number when it was read."),
        _text("version", "Version of Fibrovol."),
    ),
    ("review",),
)

_ACQUISITION = Table(
    "acquisition",
    "How each measured image was made, as its headers tell",
    (
        *_CASE[:3],
        _text("kind", "scan or slide.", ("scan", "slide")),
        _text("modality", "CT or MR of a scan."),
        _text("manufacturer", "Maker of the scanner, as the headers state it."),
        _text("model", "Model of the scanner, as the headers state it."),
        _number("tube_voltage_kv", "kV", "Tube voltage of a CT."),
        _number("field_strength_t", "T", "Field strength of an MR."),
        _text("sequence", "ScanningSequence and SequenceVariant of an MR."),
        _number("repetition_time_ms", "ms", "Repetition time of an MR."),
        _number("echo_time_ms", "ms", "Echo time of an MR."),
        _number("slice_thickness_mm", "mm", "Slice thickness as the headers state it."),
        _text("spacing_mm", "Voxel size along i, j and k in mm, joined by x, as measured."),
        _text("kernel", "Convolution kernel of a CT."),
        _text("phase", "Phase of a CT or sequence of an MR as its headers tell; else empty."),
        _text("format", "Format of a slide's file."),
        _number("objective_power", "1", "Magnification of a slide's objective, as stated."),
        _number("mpp_um", "um", "Size of a slide's pixel at full resolution."),
        _text("mpp_source", "file, or given where the user stated the size of the pixel."),
    ),
    ("case_id",),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _VOLUMES,
        _COLLAGEN,
        _FRAGMENTS,
        _PAIRED,
        _STATISTICS,
        _REVIEWS,
        _ACQUISITION,
    )
}


_CLINICAL = Table(
    "clinical",
    "Clinical values of each visit, as given",
    (
        _text("subject", "Code of the subject as in study.csv."),
        _text("timepoint", "Visit, as in study.csv or a further one."),
        _number("age_years", "a", "Age at the visit."),
        _text("sex", "Sex, as given."),
        _number("height_cm", "cm", "Body height."),
        _number("weight_kg", "kg", "Body weight."),
        _number("albumin_g_dl", "g/dL", "Serum albumin."),
        _number("bilirubin_mg_dl", "mg/dL", "Total serum bilirubin."),
        _number("inr", "1", "International normalised ratio of the prothrombin time."),
        _number("creatinine_mg_dl", "mg/dL", "Serum creatinine."),
        _number("sodium_mmol_l", "mmol/L", "Serum sodium."),
        _text("ascites", "Ascites, as given."),
        _text("encephalopathy_grade", "Grade of hepatic encephalopathy, as given."),
        _text("dialysis", "Dialysis, as given."),
        _text("group", "Arm of the trial, where study.csv does not give it."),
        _number("platelets_10e9_l", "10^9/L", "Platelets."),
        _number("ast_u_l", "U/L", "Aspartate aminotransferase."),
        _number("alt_u_l", "U/L", "Alanine aminotransferase."),
        _text("fibrosis_stage_metavir", "METAVIR fibrosis stage of a biopsy, F0 to F4, as given."),
        _text("fibrosis_stage_ishak", "Ishak fibrosis stage of a biopsy, 0 to 6, as given."),
        _text("bounds", "Values of which only a bound is known, joined by ;: bilirubin_mg_dl<0.5."),
    ),
    ("subject", "timepoint"),
    ("subject", "timepoint"),
)

_OUTCOMES = Table(
    "outcomes",
    "What happened to each subject after the visits, as given",
    (
        _text("subject", "Code of the subject as in study.csv."),
        _number("followup_months", "mo", "Months from the first visit to the event or last news."),
        _text("event", "What happened; none: alive and followed until then.", tuple(Event)),
        _text("cause", "Cause of death or kind of cancer, as given."),
    ),
    ("subject", "event"),
    ("subject", "followup_months", "event"),
)

INPUT_TABLES: dict[str, Table] = {table.name: table for table in (_CLINICAL, _OUTCOMES)}


def _table(name: str) -> Table:
    return TABLES[name] if name in TABLES else INPUT_TABLES[name]


def _format(column: Column, value: object) -> str:
    """Write one value; a value that does not fit its column is a programming error."""
    if value is None or value == "":
        return ""
    if column.type == "number":
        number = float(value)  # type: ignore[arg-type]  # whatever is not a number raises here
        if not math.isfinite(number):
            raise ValueError(f"{column.name} is {number}: a failure must not become a number")
        text = format(number, column.digits)
        return text.removeprefix("-") if float(text) == 0 else text
    if column.type == "integer":
        if int(value) != value:  # type: ignore[call-overload]
            raise ValueError(f"{column.name} must be a whole number, not {value!r}")
        return str(int(value))  # type: ignore[call-overload]
    if column.type == "date":
        return value.isoformat() if isinstance(value, date) else str(value)
    text = " ".join(str(value).split())  # a row stays on one line
    if column.values and text not in column.values:
        raise ValueError(f"{column.name} must be one of {column.values}, not {text!r}")
    return text


def _parse(column: Column, text: str) -> Value:
    if column.type == "number":
        number = float(text) if text else None
        if number is not None and not math.isfinite(number):
            raise ValueError(text)
        return number
    if column.type == "integer":
        return int(text) if text else None
    if column.type == "date":
        return date.fromisoformat(text).isoformat() if text else None
    if column.values and text and text not in column.values:
        raise ValueError(text)
    return text


def format_table(name: str, rows: Iterable[Mapping[str, Any]]) -> str:
    """The CSV text of a table.

    Args:
        name: a key of :data:`TABLES` or :data:`INPUT_TABLES`.
        rows: values by column name; what is missing is written empty.

    Raises:
        KeyError: an unknown table.
        ValueError: a column that the table does not have, or a value that does not fit its column
            (NaN and infinity fit none).
    """
    table = _table(name)
    known = set(table.header)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table.header)
    for row in rows:
        if unknown := set(row) - known:
            raise ValueError(f"{table.filename} has no column {sorted(unknown)}")
        writer.writerow([_format(column, row.get(column.name)) for column in table.columns])
    return stream.getvalue()


def as_written(name: str, row: Mapping[str, Any]) -> Row:
    """A row as :func:`read_table` would give it once it is written: rounded, every column there.

    Raises:
        ValueError: see :func:`format_table`.
    """
    return {
        column.name: _parse(column, _format(column, row.get(column.name)))
        for column in _table(name).columns
    }


def write_table(directory: Path, name: str, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write ``directory/name.csv`` atomically (UTF-8, LF) and return its path.

    Raises:
        ValueError: see :func:`format_table`.
        OSError: the directory cannot be written.
    """
    path = Path(directory) / _table(name).filename
    write_text(path, format_table(name, rows))
    return path


def read_table(directory: Path, name: str) -> list[Row]:
    """Read ``directory/name.csv`` as typed values, in the file's order.

    Tolerates the marks that spreadsheets leave (a byte order mark, CRLF, ``;`` between columns).

    Args:
        directory: the output directory of a run.
        name: a key of :data:`TABLES` or :data:`INPUT_TABLES`.

    Returns:
        One dictionary a row, with every column of the table: strings "" and numbers None if the
        file is empty or has no such column; an empty list where there is no such file.

    Raises:
        ManifestError: the file is not this table, or a value does not fit its column.
    """
    table = _table(name)
    path = Path(directory) / table.filename
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8-sig")
    first = text.split("\n", 1)[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
    there = reader.fieldnames or ()
    missing = [name for name in table.needed or table.key if name not in there]
    if missing:
        raise ManifestError(
            "bad_manifest",
            f"{table.filename} is not a table of this version",
            found=f"no column {', '.join(missing)}",
            do="run the study again, or restore the file that the run wrote",
        )
    rows: list[Row] = []
    for number, record in enumerate(reader, start=2):
        row: Row = {}
        for column in table.columns:
            cell = (record.get(column.name) or "").strip()
            try:
                row[column.name] = _parse(column, cell)
            except ValueError:
                raise ManifestError(
                    "bad_manifest",
                    f"{table.filename}, line {number}: {column.name} is not valid",
                    found=repr(cell),
                    do="result tables must not be edited; run the study again",
                ) from None
        rows.append(row)
    return rows


def format_spacing(spacing_mm: Sequence[float]) -> str:
    """Write a voxel size for the ``spacing_mm`` column: ``0.7812x0.7812x5``."""
    return "x".join(format(value, ".5g") for value in spacing_mm)


def parse_spacing(text: str) -> tuple[float, ...]:
    """The voxel size in mm of a ``spacing_mm`` cell; () for an empty one."""
    return tuple(float(part) for part in text.split("x")) if text else ()
