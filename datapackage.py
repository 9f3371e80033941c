"""The Frictionless data package that describes the result tables of a directory."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from .files import sha256_file, write_text
from .tables import INPUT_TABLES, TABLES

_HEAD = 4096
_WRITTEN = re.compile(r'"written": "(\d{4}-\d\d-\d\dT[\d:]+(?:\+00:00|Z))"')


def datapackage(directory: Path, *, title: str = "") -> dict[str, Any]:
    """Describe the tables present in a directory as a Frictionless data package.

    Args:
        directory: the output directory of a run.
        title: the study's title.

    Returns:
        The descriptor, with each file's size and SHA-256 and each column's unit.
    """
    resources = []
    for table in (*TABLES.values(), *INPUT_TABLES.values()):
        path = Path(directory) / table.filename
        if not path.exists():
            continue
        fields = []
        for column in table.columns:
            field: dict[str, Any] = {
                "name": column.name,
                "type": column.type,
                "description": column.description,
            }
            if column.unit:
                field["unit"] = column.unit
            if column.values:
                field["constraints"] = {"enum": list(column.values)}
            fields.append(field)
        resources.append(
            {
                "name": table.name,
                "path": table.filename,
                "title": table.title,
                "profile": "tabular-data-resource",
                "format": "csv",
                "mediatype": "text/csv",
                "encoding": "utf-8",
                "bytes": path.stat().st_size,
                "hash": f"sha256:{sha256_file(path)}",
                "dialect": {"delimiter": ",", "lineTerminator": "\n", "header": True},
                "schema": {
                    "fields": fields,
                    "primaryKey": list(table.key),
                    "missingValues": [""],
                },
            }
        )
    return {
        "profile": "tabular-data-package",
        "name": "fibrovol-results",
        "title": title or "Fibrovol results",
        **_origin(Path(directory)),
        "resources": resources,
    }


def _origin(directory: Path) -> dict[str, Any]:
    """When the results were written, from what, and their licence; what is not known is left out.

    The time is the run's, from provenance.json: writing the report again does not change it.
    """
    found: dict[str, Any] = {}
    provenance = directory / "provenance.json"
    if provenance.is_file():
        with provenance.open(encoding="utf-8", errors="replace") as stream:
            head = stream.read(_HEAD)  # the rest is one line per case
        if match := _WRITTEN.search(head):
            found["created"] = match[1]
        found["sources"] = [
            {
                "title": "The scans and slides of the study: their SHA-256, settings, network "
                "weights and software",
                "path": provenance.name,
            }
        ]
    if licence := _licence(directory):
        found["licenses"] = [{"path" if "://" in licence else "name": licence}]
    return found


def _licence(directory: Path) -> str:
    """As study.yaml gave it; "" without: nobody but the study can license its data."""
    try:
        study = json.loads((directory / "study.json").read_text(encoding="utf-8"))
        return str(study.get("licence") or "")
    except (OSError, ValueError, AttributeError):
        return ""


def write_datapackage(directory: Path, *, title: str = "") -> Path:
    """Write ``datapackage.json`` next to the tables; call it again after writing another table."""
    path = Path(directory) / "datapackage.json"
    package = datapackage(directory, title=title)
    write_text(path, json.dumps(package, indent=2, ensure_ascii=False) + "\n")
    return path
