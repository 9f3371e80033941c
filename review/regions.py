"""What a reader draws on a slide: areas to leave out or to keep to, and the white of its glass.

The areas become a GeoJSON file of the reader's own, in pixels of the finest level, and the slide is
measured again with them by what measured it the first time. Nothing drawn takes them back: the
tables are then, byte for byte, as they were measured.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from ..batch.asked import task_of
from ..batch.corrections import FOLDER, Corrections, Revision
from ..batch.measure_case import measure_case
from ..batch.output import OutputDirectory
from ..batch.pool import available_cores
from ..batch.task import CaseResult
from ..errors import FibrovolError, InputError, OutputError, RegionError
from ..files import sha256_file, write_text, writing
from ..flags import join_flags
from ..histology.settings import DRAWN_IN, DRAWN_OUT
from ..tables import as_written
from .publish import measured_of, publish, refuse_stale
from .results import ReadCase, Results

_MOST_SHAPES, _MOST_CORNERS = 500, 200_000
_CLASSES = {"out": DRAWN_OUT, "in": DRAWN_IN}
_HANGS_ON = ("stain", "mpp_um", "image", "tissue_mm2", "collagen_mm2", "caf_percent")
_DECIMALS = 2
"""Of a coordinate in pixels of the finest level."""
_RGB = 3


@dataclass(frozen=True)
class Drawn:
    """What the page sends to be measured."""

    shapes: tuple[tuple[str, tuple[tuple[float, float], ...]], ...]
    """Each "out" or "in", and its corners in pixels of the finest level."""
    white: tuple[float, ...]
    """Red, green and blue of empty glass, () to leave it as it was."""
    reader: str
    """Code of the reader."""
    revision: int
    """The revision that the page had loaded."""
    mask_sha256: str
    """Of the mask that the page had loaded."""

    @classmethod
    def of_page(cls, answer: Mapping[str, Any], reader: str) -> Drawn:
        """What the page sent.

        Raises:
            RegionError: ``bad_region``: it is not what a page of ours sends.
        """
        try:
            shapes = tuple(
                (str(one["kind"]), tuple((float(x), float(y)) for x, y in one["corners"]))
                for one in answer["shapes"]
            )
            white = tuple(float(value) for value in answer.get("white") or ())
            drawn = cls(shapes, white, reader, int(answer["revision"]), str(answer["mask_sha256"]))
        except (KeyError, TypeError, ValueError) as error:
            raise _bad(f"no list of areas ({type(error).__name__})") from None
        if any(kind not in _CLASSES for kind, _ in shapes):
            raise _bad("an area that is neither to leave out nor to keep to")
        if len(shapes) > _MOST_SHAPES or sum(len(c) for _, c in shapes) > _MOST_CORNERS:
            raise _bad(f"more than {_MOST_SHAPES} areas or {_MOST_CORNERS} corners")
        if not all(math.isfinite(value) for _, c in shapes for corner in c for value in corner):
            raise _bad("a corner that is no number")
        if white and (len(white) != _RGB or not all(1 <= value <= 255 for value in white)):
            raise _bad("a white that is not red, green and blue of 1 to 255")
        return drawn


def _bad(found: str) -> RegionError:
    return RegionError(
        "bad_region", "What was drawn cannot be used", found=found, do="draw it again"
    )


def save_regions(
    results: Results,
    case: ReadCase,
    drawn: Drawn,
    size_px: tuple[int, int],
    origin_px: tuple[int, int] = (0, 0),
) -> Corrections:
    """Measure a slide again with what a reader drew.

    Args:
        results: the folder.
        case: as it stands.
        drawn: areas and white; none of both takes the correction back.
        size_px: width and height of the slide's finest level.
        origin_px: where its corner is on the whole glass.

    Returns:
        The case's corrections with the new one, or back at 0.

    Raises:
        InputError: ``changed_meanwhile``: another reader saved since the page was loaded;
            ``input_changed``: the slide is not the one that was measured; ``input_missing``.
        RegionError: an area does not lie on the slide, or has no extent.
        FibrovolError: why the slide could not be measured with it.
        OutputError: the folder cannot be written, or a run holds it.
    """
    refuse_stale(case, drawn.revision, drawn.mask_sha256)
    measured, parts = measured_of(results, case)
    before = replace(case.corrections, measured=measured, measured_parts=parts)
    if not drawn.shapes and not drawn.white:
        return publish(results, case, replace(before, standing=0), None)
    number = before.newest + 1
    stem = f"{case.case_id}_r{number}_{drawn.reader}"
    output = OutputDirectory(results.directory)
    staging, flat = output.new_staging(), output.new_staging()
    try:
        with writing():
            flat.mkdir(parents=True)
        file = None
        if drawn.shapes:
            file = flat / f"{stem}_drawn.geojson"
            with writing():
                write_text(file, as_geojson(drawn.shapes, size_px, origin_px))
        found = _measure(results, case, (stem, file, drawn.white), staging)
        if found.row["input_sha256"] != (measured["input_sha256"] or found.row["input_sha256"]):
            raise InputError(
                "input_changed",
                "The slide is not the one that was measured",
                found="other content at its path",
                do="run the study again, then read this case",
            )
        with writing():
            for name in found.outputs:
                if not name.startswith("logs/"):
                    (staging / name).replace(flat / Path(name).name)
        revision = Revision(
            revision=number,
            reader=drawn.reader,
            saved_at=datetime.now(UTC).isoformat(timespec="seconds"),
            input_sha256=str(measured["input_sha256"] or ""),
            before_sha256=case.mask_sha256,
            row=_row(found, measured, drawn.reader),
            outputs={f"{FOLDER}/{p.name}": sha256_file(p) for p in sorted(flat.iterdir())},
            parts=found.parts,
            choices={
                **({"regions": f"{FOLDER}/{file.name}"} if file else {}),
                **({"white": list(drawn.white)} if drawn.white else {}),
            },
            hangs_on=_HANGS_ON,
        )
        new = replace(before, standing=number, revisions=(*before.revisions, revision))
        return publish(results, case, new, flat)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(flat, ignore_errors=True)


def _measure(
    results: Results,
    case: ReadCase,
    choices: tuple[str, Path | None, tuple[float, ...]],
    staging: Path,
) -> CaseResult:
    """Measure a case as the run did, with a name for its files, regions and a white of its own."""
    stem, file, white = choices
    results.input_path(case.case_id)  # says what is missing in words for a reader
    task = task_of(results.record(case.case_id), staging, threads=available_cores())
    own = replace(task.case, case_id=stem, drawn_regions=file, white=white or task.case.white)
    found = measure_case(replace(task, case=own))
    if (failure := found.failure) is not None:
        raise FibrovolError(failure.code, failure.what, found=failure.found, do=failure.do)
    return found


def _row(found: CaseResult, measured: Mapping[str, Any], reader: str) -> dict[str, Any]:
    """The columns that the new measurement replaces, as they are written in tables."""
    flags = [flag for flag in str(found.row.get("flags") or "").split(";") if flag]
    row = {
        **found.row,
        "status": "measured",
        "error": "",
        "flags": join_flags([*flags, "regions_by_reader"]),
        "mask_path": f"{FOLDER}/{Path(found.row['mask_path']).name}",
        "overlay_path": f"{FOLDER}/{Path(found.row['overlay_path']).name}",
        "corrected_from_percent": measured.get("caf_percent"),
        "reader": reader,
    }
    written = as_written("collagen", row)
    return {name: written[name] for name in row if name != "input_sha256"}


def as_geojson(
    shapes: tuple[tuple[str, tuple[tuple[float, float], ...]], ...],
    size_px: tuple[int, int],
    origin_px: tuple[int, int] = (0, 0),
) -> str:
    """The areas as QuPath reads them: valid polygons inside the slide, in level-0 pixels.

    An outline that crosses itself covers what an odd number of its turns goes round, as the page
    shows it.

    Args:
        shapes: "out" or "in", and corners.
        size_px: width and height of the finest level.
        origin_px: where the slide's corner is on the whole glass. Coordinates count from that
            corner, as QuPath has it; for programs that count from the glass's, it is noted.

    Raises:
        RegionError: ``bad_region``: an area has no extent on the slide.
    """
    slide = shapely.box(0, 0, *size_px)
    features = []
    for number, (kind, corners) in enumerate(shapes, start=1):
        ring = np.round(np.array(corners, np.float64).reshape(-1, 2), _DECIMALS)
        area = shapely.intersection(_polygons(ring), slide)
        polygons = [p for p in shapely.get_parts(area) if p.geom_type == "Polygon" and p.area > 0]
        if not polygons:
            raise RegionError(
                "bad_region",
                f"Area {number} covers nothing of the slide",
                found=f"{len(ring)} corners",
                do="undo it and draw it again",
            )
        features.append(
            {
                "type": "Feature",
                "geometry": shapely.geometry.mapping(shapely.MultiPolygon(polygons)),
                "properties": {
                    "objectType": "annotation",
                    "classification": {"name": _CLASSES[kind]},
                    # as it was drawn, for the page to show it again
                    "drawn": {"kind": kind, "corners": ring.tolist()},
                },
            }
        )
    whole = {
        "type": "FeatureCollection",
        "scanned_part_at_px": list(origin_px),
        "features": features,
    }
    return json.dumps(whole, indent=1) + "\n"


def _polygons(ring: NDArray[np.float64]) -> Any:
    """What a ring covers by the even-odd rule, as valid polygons."""
    if len(ring) < 3:
        return shapely.Polygon()
    polygon = shapely.Polygon(ring)
    return polygon if polygon.is_valid else shapely.make_valid(polygon, method="linework")


def drawn_view(results: Results, case: ReadCase) -> dict[str, Any]:
    """The areas and the white that stand, or stood until the case was measured anew.

    Args:
        results: the folder.
        case: as it stands.

    Raises:
        OutputError: the file of the areas is missing or changed.
    """
    choices = current.choices if (current := case.corrections.current) else {}
    shapes: list[dict[str, Any]] = []
    if name := choices.get("regions"):
        path = results.directory / name
        if not path.is_file() or sha256_file(path) != (
            current.outputs.get(name) if current else ""
        ):
            raise OutputError(
                "not_a_result",
                "The areas that a reader drew cannot be shown",
                found=f"{name} is missing or was changed",
                do="take it from a backup",
            )
        content = json.loads(path.read_text(encoding="utf-8"))
        shapes = [feature["properties"]["drawn"] for feature in content["features"]]
    return {"shapes": shapes, "white": choices.get("white")}
