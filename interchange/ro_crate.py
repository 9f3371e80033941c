"""Results as a Research Object Crate: the files, and ro-crate-metadata.json that describes them.

https://www.researchobject.org/ro-crate/specification/1.1/
"""

from __future__ import annotations

import mimetypes
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..files import atomic_path, sha256_file, write_json
from ..tables import INPUT_TABLES, TABLES
from .results import Results

METADATA_NAME = "ro-crate-metadata.json"
_TOP = (
    "report.html",
    "checklists.html",
    "datapackage.json",
    "provenance.json",
    "study.json",
    "references.bib",
)
_TOP_TABLES = ("reviews.csv", "acquisition.csv")
_FOLDERS = ("masks", "overlays", "corrections")
LEFT_OUT = "logs/, kept/, the key of a blinded report and .fibrovol/ (paths of your files)"
_FORMATS = {
    ".gz": "application/gzip",
    ".geojson": "application/geo+json",
    ".dcm": "application/dicom",
    ".bib": "application/x-bibtex",
    ".csv": "text/csv",
}
_DESCRIBED = {
    "report.html": "The comparison on one page",
    "provenance.json": "Inputs' SHA-256, settings, software and weights of every number",
    "datapackage.json": "Every column of the tables with its unit (Frictionless)",
    "study.json": "What the study asked for",
    "checklists.html": "What reporting guidelines ask for, and where it is stated",
    "references.bib": "The works that the methods rest on",
    "reviews.csv": "What readers said of the cases",
    "acquisition.csv": "How each measured image was made",
}


def write_ro_crate(results: Results, folder: Path) -> Iterator[Path]:
    """Copy what may be passed on, and describe it.

    Args:
        results: what was measured.
        folder: the crate, empty.

    Yields:
        What was written.
    """
    names = list(_names(results))
    for name in names:
        target = folder / name
        with atomic_path(target) as temporary:
            shutil.copyfile(results.folder / name, temporary)
        yield target
    write_json(folder / METADATA_NAME, _metadata(results, folder, names))
    yield folder / METADATA_NAME


def _names(results: Results) -> Iterator[str]:
    tables = [table.filename for table in (*TABLES.values(), *INPUT_TABLES.values())]
    for name in dict.fromkeys((*_TOP, *tables, *_TOP_TABLES)):
        if (results.folder / name).is_file():
            yield name
    for part in _FOLDERS:
        for path in sorted((results.folder / part).rglob("*")):
            if path.is_file() and not path.name.startswith("."):
                yield path.relative_to(results.folder).as_posix()


def _metadata(results: Results, folder: Path, names: list[str]) -> dict[str, Any]:
    titles = {
        table.filename: table.title for table in (*TABLES.values(), *INPUT_TABLES.values())
    } | _DESCRIBED
    written = str(results.provenance["written"])
    versions = results.provenance["versions"]
    licence = _licence(results.package.get("licenses") or [])
    root: dict[str, Any] = {
        "@id": "./",
        "@type": "Dataset",
        "name": results.package.get("title") or "Fibrovol results",
        "description": "Liver volumes and collagen area fractions measured with Fibrovol",
        "datePublished": written,
        "hasPart": [{"@id": name} for name in names],
        "mentions": {"@id": "#measuring"},
        "license": {"@id": licence["@id"]},
    }
    graph: list[dict[str, Any]] = [
        {
            "@id": METADATA_NAME,
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        root,
        licence,
        {
            "@id": "#fibrovol",
            "@type": "SoftwareApplication",
            "name": "Fibrovol",
            "version": str(versions.get("fibrovol", "")),
            "softwareRequirements": sorted(
                f"{name} {version}" for name, version in versions.items() if name != "fibrovol"
            ),
        },
        {
            "@id": "#measuring",
            "@type": "CreateAction",
            "name": "Measuring",
            "endTime": written,
            "instrument": {"@id": "#fibrovol"},
            "result": [{"@id": name} for name in names if name.endswith(".csv")],
        },
    ]
    for name in names:
        path = folder / name
        entry = {
            "@id": name,
            "@type": "File",
            "name": titles.get(name, path.name),
            "encodingFormat": _format(path),
            "contentSize": str(path.stat().st_size),
            "sha256": sha256_file(path),
        }
        graph.append(entry)
    return {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}


def _licence(stated: list[dict[str, str]]) -> dict[str, Any]:
    """The licence that study.yaml gives; a crate must have one, so its absence is said."""
    if not stated:
        return {
            "@id": "#licence",
            "@type": "CreativeWork",
            "name": "No licence stated",
            "description": "The study states no licence. Ask its authors before you use the data.",
        }
    one = stated[0]
    name = one.get("name") or one.get("title") or one.get("path") or ""
    return {
        "@id": one.get("path") or "#licence",
        "@type": "CreativeWork",
        "name": name,
        "description": "The licence that the study states.",
    }


def _format(path: Path) -> str:
    known = _FORMATS.get(path.suffix.lower())
    return known or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
