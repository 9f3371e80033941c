"""Results laid out like BIDS derivatives.

BIDS has no CT and no liver, so this is *like* it: names, sidecars, participants.tsv and
dataset_description.json follow its rules (https://bids-specification.readthedocs.io, 1.10), and
README says where they cannot.
"""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..files import atomic_path, write_json, write_text
from ..tables import INPUT_TABLES, TABLES, Row, format_table
from .results import ResultCase, Results

BIDS_VERSION = "1.10.0"
_README = """\
Liver volumes and collagen area fractions measured with Fibrovol {version}.

The layout is like that of BIDS derivatives. It is not BIDS throughout: BIDS has no CT, no masks of
slides, and no tables with several rows per participant and visit. Masks of scans are in anat/,
masks of slides in micr/, tables in tables/, pictures in figures/; .bidsignore names what BIDS has
no rule for. The images themselves are not here. Empty cells are "n/a". participants.tsv gives the
subject code of each participant as it is in the study; labels may have letters and digits only.
"""
_NO_RULE = ("tables", "figures", "*_desc-collagen_dseg.*")
"""What a validator must not look at, in the language of .gitignore."""


_ON_THE_SCAN = {"Type": "ROI", "SpatialReference": "orig"}
_SPLEEN = {"Description": "Spleen", **_ON_THE_SCAN}


@dataclass(frozen=True)
class _Place:
    """Where the files of a case lie."""

    folder: str
    """Relative to the dataset, with ``/``."""
    figures: str
    stem: str
    """Start of the file names, without description and suffix."""
    sample: str = ""


def write_bids(results: Results, folder: Path) -> Iterator[Path]:
    """Write masks, pictures and tables like BIDS derivatives.

    Args:
        results: what was measured.
        folder: the dataset, empty.

    Yields:
        What was written.

    Raises:
        OutputError: ``not_a_result``: two subjects, or two visits, have the same label once what
            BIDS does not allow is left out.
    """
    version = str(results.provenance["versions"].get("fibrovol", ""))
    subjects = _labels(results, "subject")
    visits = _labels(results, "timepoint")
    places = _places(results, subjects, visits)
    yield _json(folder / "dataset_description.json", _description(results, version))
    yield _text(folder / "README", _README.format(version=version))
    yield _text(folder / ".bidsignore", "\n".join(_NO_RULE) + "\n")
    yield from _participants(folder, subjects)
    moved: dict[str, str] = {}
    for case, place in zip(results.cases, places, strict=True):
        for path, source in _files(case, place):
            target = folder / path
            with atomic_path(target) as temporary:
                shutil.copyfile(source, temporary)
            moved[source.relative_to(results.folder).as_posix()] = path
            yield target
        if case.mask is not None:
            yield _json(folder / f"{_mask_stem(case, place)}.json", _sidecar(case))
        if case.spleen is not None:
            yield _json(folder / f"{place.folder}/{place.stem}_desc-spleen_mask.json", _SPLEEN)
    yield from _samples(folder, results, places, subjects)
    for name, rows in results.tables.items():
        yield from _table(folder, name, rows, subjects, moved)


def _subject_of(row: Row) -> str:
    return str(row.get("subject") or row.get("case_id") or "")


def _labels(results: Results, column: str) -> dict[str, str]:
    """Each code with its label; codes of cases without a study are their case_ids."""
    codes: dict[str, None] = {}
    for rows in results.tables.values():
        for row in rows:
            code = _subject_of(row) if column == "subject" else str(row.get(column) or "")
            if code and column in row:
                codes[code] = None
    labels = {code: re.sub(r"[^A-Za-z0-9]", "", code) for code in codes}
    counts = Counter(label.lower() for label in labels.values())
    unclear = [code for code, label in labels.items() if not label or counts[label.lower()] > 1]
    if unclear:
        raise OutputError(
            "not_a_result",
            f"BIDS allows letters and digits only, and some codes in the column {column} cannot be "
            "told apart by them",
            found=", ".join(unclear[:6]),
            do="change these codes in study.csv and run again",
        )
    return labels


def _places(results: Results, subjects: dict[str, str], visits: dict[str, str]) -> list[_Place]:
    keys = [(case.table, _subject_of(case.row), case.row["timepoint"]) for case in results.cases]
    counts, seen, samples = Counter(keys), Counter[Any](), Counter[str]()
    places = []
    for case, key in zip(results.cases, keys, strict=True):
        seen[key] += 1
        subject = f"sub-{subjects[_subject_of(case.row)]}"
        visit = f"ses-{visits[str(case.row['timepoint'])]}" if case.row["timepoint"] else ""
        stem = "_".join(part for part in (subject, visit) if part)
        sample = ""
        if case.table == "collagen":
            samples[_subject_of(case.row)] += 1  # a participant's samples, whatever the visit
            sample = str(samples[_subject_of(case.row)])
            stem += f"_sample-{sample}"
            if stain := re.sub(r"[^A-Za-z0-9]", "", str(case.row.get("stain") or "")):
                stem += f"_stain-{stain}"
        elif counts[key] > 1:
            stem += f"_run-{seen[key]}"
        inside = "/".join(part for part in (subject, visit) if part)
        kind = "micr" if case.table == "collagen" else "anat"
        places.append(_Place(f"{inside}/{kind}", f"{subject}/figures", stem, sample))
    return places


def _mask_stem(case: ResultCase, place: _Place) -> str:
    described = "collagen_dseg" if case.table == "collagen" else "liver_mask"
    return f"{place.folder}/{place.stem}_desc-{described}"


def _files(case: ResultCase, place: _Place) -> Iterator[tuple[str, Path]]:
    stem = f"{place.folder}/{place.stem}"
    if case.mask is not None:
        suffix = "".join(case.mask.suffixes[-2:])
        yield f"{_mask_stem(case, place)}{suffix}", case.mask
    if case.spleen is not None:
        yield f"{stem}_desc-spleen_mask.nii.gz", case.spleen
    if case.polygons is not None:
        yield f"{stem}_desc-collagen_dseg.geojson", case.polygons
    if case.overlay is not None:
        organ = "collagen" if case.table == "collagen" else "liver"
        yield f"{place.figures}/{place.stem}_desc-{organ}_overlay.png", case.overlay


def _description(results: Results, version: str) -> dict[str, Any]:
    licences = results.package.get("licenses") or [{}]
    described = {
        "Name": results.package.get("title") or "Fibrovol results",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "License": licences[0].get("name") or licences[0].get("title") or "",
        "GeneratedBy": [
            {
                "Name": "Fibrovol",
                "Version": version,
                "Description": "Liver volume on CT and MR, collagen area fraction on slides",
            }
        ],
    }
    return {key: value for key, value in described.items() if value}


def _sidecar(case: ResultCase) -> dict[str, Any]:
    columns = {
        column.name: case.row[column.name]
        for column in TABLES[case.table].columns
        if column.name not in {"mask_path", "overlay_path", "error", "subject", "timepoint"}
        and case.row.get(column.name) not in (None, "")
    }
    if case.table == "collagen":
        labels = {"background": 0, "tissue": 1, "collagen": 2}
        return {"Description": "Collagen", "LabelValues": labels, "Fibrovol": columns}
    return {"Description": "Liver", **_ON_THE_SCAN, "Fibrovol": columns}


def _participants(folder: Path, subjects: dict[str, str]) -> Iterator[Path]:
    lines = [f"sub-{label}\t{_cell(code)}" for code, label in subjects.items()]
    yield _text(folder / "participants.tsv", "\n".join(["participant_id\tsubject", *lines]) + "\n")
    meaning = {"subject": {"Description": "Code of the subject as in the study."}}
    yield _json(folder / "participants.json", meaning)


def _samples(
    folder: Path, results: Results, places: list[_Place], subjects: dict[str, str]
) -> Iterator[Path]:
    lines = [
        f"sample-{place.sample}\tsub-{subjects[_subject_of(case.row)]}\ttissue"
        for case, place in zip(results.cases, places, strict=True)
        if place.sample
    ]
    if lines:
        text = "\n".join(["sample_id\tparticipant_id\tsample_type", *dict.fromkeys(lines)])
        yield _text(folder / "samples.tsv", text + "\n")


def _table(
    folder: Path, name: str, rows: list[Row], subjects: dict[str, str], moved: dict[str, str]
) -> Iterator[Path]:
    table = {**TABLES, **INPUT_TABLES}[name]
    cells = list(csv.DictReader(io.StringIO(format_table(name, rows))))
    has_subject = "subject" in table.header
    header = (*(("participant_id",) if has_subject else ()), *table.header)
    lines = ["\t".join(header)]
    for row in cells:
        if has_subject:
            row["participant_id"] = f"sub-{subjects[_subject_of(dict(row))]}"
        for column in ("mask_path", "overlay_path"):
            if row.get(column):
                row[column] = moved[row[column]]
        lines.append("\t".join(_cell(row[column]) for column in header))
    stem = folder / "tables" / name
    yield _text(stem.with_suffix(".tsv"), "\n".join(lines) + "\n")
    meaning = {
        column.name: {
            "Description": column.description,
            **({"Units": column.unit} if column.unit else {}),
        }
        for column in table.columns
    }
    yield _json(stem.with_suffix(".json"), meaning)


def _cell(text: str) -> str:
    return " ".join(text.split()) or "n/a"


def _text(path: Path, text: str) -> Path:
    write_text(path, text)
    return path


def _json(path: Path, value: object) -> Path:
    write_json(path, value)
    return path
