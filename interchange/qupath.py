"""Slides for QuPath: outlines as GeoJSON, and a script with which QuPath makes a project of them.

The project itself cannot be written from outside: QuPath keeps the annotations of an entry in
``data.qpdata``, which Java serialises, and names in ``project.qpproj`` the library that opens the
slide on that machine (https://qupath.readthedocs.io/en/stable/docs/reference/projects_structure.html).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from ..errors import OutputError
from ..files import atomic_path, write_json, write_text
from .results import ResultCase, Results

SCRIPT_NAME = "make_qupath_project.groovy"
_SHOWN = ("subject", "timepoint", "stain", "caf_percent")


def write_for_qupath(results: Results, folder: Path) -> Iterator[Path]:
    """Write a GeoJSON file per slide, the list of slides with their places, and the script.

    Args:
        results: what was measured; a corrected slide has the corrected outlines.
        folder: where to, empty.

    Yields:
        What was written.

    Raises:
        OutputError: ``not_a_result``: no slide has outlines.
    """
    cases = [case for case in results.cases if case.polygons is not None]
    if not cases:
        raise OutputError(
            "not_a_result",
            "The results contain no outlines of slides",
            found="no masks/*_regions.geojson",
            do="measure slides with `collagen: {polygons: true}` in the settings",
        )
    slides = []
    for case in cases:
        assert case.polygons is not None, "chosen for having them"
        name = f"geojson/{case.case_id}.geojson"
        with atomic_path(folder / name) as temporary:
            shutil.copyfile(case.polygons, temporary)
        yield folder / name
        slides.append(_entry(case, name, results.slides.get(case.case_id)))
    write_json(folder / "slides.json", slides)
    yield folder / "slides.json"
    script = files(__package__).joinpath(SCRIPT_NAME).read_text(encoding="utf-8")
    write_text(folder / SCRIPT_NAME, script.replace("@FOLDER@", _quoted(folder.absolute())))
    yield folder / SCRIPT_NAME


def _entry(case: ResultCase, geojson: str, slide: Path | None) -> dict[str, str]:
    shown = {name: str(case.row[name]) for name in _SHOWN if case.row.get(name) not in (None, "")}
    place = {"slide": str(slide) if slide else "", "geojson": geojson}
    return {"name": case.case_id, **place, **shown}


def _quoted(path: Path) -> str:
    """For between the quotes of a Groovy string."""
    return str(path).replace("\\", "\\\\").replace("'", "\\'")
