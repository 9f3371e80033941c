"""What a results folder contains, for laying it out anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..tables import INPUT_TABLES, TABLES, Row, read_table

ORGAN_TABLES = ("volumes", "collagen")
"""Tables with a row and a mask per case."""


@dataclass(frozen=True)
class ResultCase:
    """A row with a mask."""

    table: str
    """``volumes`` or ``collagen``."""
    row: Row
    """As in the table: a reader's correction is in it already."""
    mask: Path | None
    """What was measured; None for a failed case."""
    overlay: Path | None
    """Its picture."""
    spleen: Path | None = None
    """Mask of the spleen of a scan, where the engine gave one."""
    polygons: Path | None = None
    """GeoJSON of a slide, where it was written."""

    @property
    def case_id(self) -> str:
        """The name of its files."""
        return str(self.row["case_id"])


@dataclass(frozen=True)
class Results:
    """A finished results folder."""

    folder: Path
    tables: dict[str, list[Row]]
    """Every table that is there, by name."""
    cases: tuple[ResultCase, ...]
    """Rows of ``volumes`` and ``collagen``, failed ones too."""
    provenance: dict[str, Any]
    """Head of provenance.json, and its cases under ``cases``."""
    package: dict[str, Any]
    """datapackage.json."""
    slides: Mapping[str, Path] = field(default_factory=dict)
    """Where each slide is on this machine, by case_id, as far as it is known."""


def read_folder(folder: Path, slides: Mapping[str, Path] | None = None) -> Results:
    """Read a results folder.

    Args:
        folder: what was given to ``-o``.
        slides: where each slide is, by case_id; for :attr:`Results.slides`.

    Raises:
        OutputError: ``not_a_result``: no run has finished there, or a mask that a table names is
            missing.
    """
    folder = Path(folder)
    try:
        provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        package = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))
        if not (provenance["written"] and dict(provenance["versions"]) and dict(package)):
            raise ValueError
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise OutputError(
            "not_a_result",
            "This is no finished results folder",
            found=f"{type(error).__name__} at provenance.json or datapackage.json in {folder}",
            do="give the folder that was given to -o, after its run has ended",
        ) from None
    tables = {
        name: read_table(folder, name)
        for name, table in {**TABLES, **INPUT_TABLES}.items()
        if (folder / table.filename).exists()
    }
    cases = tuple(
        _case(folder, table, row) for table in ORGAN_TABLES for row in tables.get(table, [])
    )
    return Results(folder, tables, cases, provenance, package, slides or {})


def _case(folder: Path, table: str, row: Row) -> ResultCase:
    case_id = str(row["case_id"])
    spleen = folder / f"masks/{case_id}_spleen.nii.gz"
    has_spleen = table == "volumes" and row.get("spleen_volume_ml") is not None
    mask = _file(folder, row.get("mask_path"), case_id)
    polygons = None
    if table == "collagen" and mask is not None:
        # next to the mask, whose name is a reader's if the slide was corrected
        polygons = mask.with_name(mask.name.replace("_mask.ome.tif", "_regions.geojson"))
    return ResultCase(
        table,
        row,
        mask,
        _file(folder, row.get("overlay_path"), case_id),
        spleen if has_spleen and spleen.is_file() else None,
        polygons if polygons is not None and polygons.is_file() else None,
    )


def _file(folder: Path, name: object, case_id: str) -> Path | None:
    if not name:
        return None
    path = folder / str(name)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise OutputError(
            "not_a_result",
            f"A file of {case_id} is not in the results folder",
            found=str(name),
            do="correct its row, or run the same `fibrovol run` again",
        )
    if not path.is_file():
        raise OutputError(
            "not_a_result",
            f"A file of {case_id} is missing",
            found=f"no {name} in {folder}",
            do="run the same `fibrovol run` again: it makes what is missing",
        )
    return path


def new_folder(path: Path, results: Path) -> Path:
    """Make the folder for an export.

    Raises:
        OutputError: ``output_not_writable``: it has content, or is inside the results.
    """
    path = Path(path)
    if path.resolve().is_relative_to(results.resolve()):
        raise OutputError(
            "output_not_writable",
            "The export would be written into the results",
            found=str(path),
            do="give a folder outside with -o",
        )
    if path.exists() and not path.is_dir():
        raise OutputError(
            "output_not_writable",
            "The export needs a folder of its own",
            found=f"a file called {path.name}",
            do="give a new folder with -o",
        )
    if path.exists() and any(path.iterdir()):
        raise OutputError(
            "output_not_writable",
            "The folder for the export is not empty",
            found=f"{path} contains {next(path.iterdir()).name}",
            do="give a new folder with -o, or empty this one",
        )
    path.mkdir(parents=True, exist_ok=True)
    return path
