"""collagen: measure the collagen area fraction of single slides."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from .options import add_output, add_run_options, micrometres
from .slide_options import ALL_IMAGES, add_slide_choices, slide_choices

DESCRIPTION = """\
Measures the collagen area fraction (collagen proportionate area) of one or many slides:
collagen in per cent of tissue. No study is needed.

Writes collagen.csv, fragments.csv (each piece of tissue), masks (masks/; the .geojson
opens in QuPath) and pictures (overlays/: look at them).

Takes seconds for a field, and up to about a minute for a whole slide.
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="a slide (SVS, NDPI, MRXS, TIFF, DICOM, …) or a picture of a field",
    )
    add_output(parser)
    parser.add_argument(
        "--stain",
        required=True,
        metavar="STAIN",
        help="psr (picrosirius red), masson, masson_green, van_gieson, or custom",
    )
    parser.add_argument(
        "--custom-stain",
        type=Path,
        metavar="FILE.yaml",
        help="with --stain custom: its colours, as stain vectors or as regions picked on a slide",
    )
    parser.add_argument(
        "--mpp",
        type=micrometres,
        metavar="UM",
        help="size of one pixel at full resolution in um, for files that do not state it",
    )
    parser.add_argument(
        "--exclude",
        type=Path,
        metavar="FILE.geojson",
        help="regions to leave out (capsule, large vessels, folds): GeoJSON of QuPath, ImageJ ROI, "
        "Aperio XML, NDPA, or a mask picture",
    )
    parser.add_argument(
        "--include",
        type=Path,
        metavar="FILE.geojson",
        help="measure only inside these regions",
    )
    add_slide_choices(parser)
    add_run_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure the slides."""
    from ..batch.runner import taken_ids  # noqa: PLC0415
    from ..intake.expand import expand_slides  # noqa: PLC0415
    from ..intake.study import command_line_case, study_of_cases  # noqa: PLC0415
    from .console import say  # noqa: PLC0415
    from .measuring import end, flags_text, measure_study, refuse_missing, settings_of, value_text  # noqa: PLC0415

    settings = settings_of(arguments)
    if arguments.custom_stain:
        path = str(arguments.custom_stain.absolute())
        settings = replace(settings, collagen=replace(settings.collagen, custom_stain=path))
    like = command_line_case(
        "slide",
        stain=arguments.stain.lower(),
        mpp_um=arguments.mpp,
        include_regions=arguments.include,
        exclude_regions=arguments.exclude,
        **slide_choices(arguments),
    )
    refuse_missing(arguments.paths)
    drafts = expand_slides(arguments.paths, like, each_image=arguments.image == ALL_IMAGES)
    study = study_of_cases(drafts, taken=taken_ids(arguments.output))
    summary = measure_study(study, arguments, settings)
    paths = {case.case_id: case.written_path for case in study.cases}
    rows = [{**row, "path": paths[str(row["case_id"])]} for row in summary.rows]
    if not arguments.json:
        for row in rows:
            if row["status"] == "measured":
                path = str(row["path"])
                source = "" if Path(path).stem == row["case_id"] else f" ({path})"
                value = value_text(row, "caf_percent", "%", 2)
                say(
                    f"{row['case_id']}{source}: collagen {value} of {row['tissue_mm2']:.3g} mm2 "
                    f"tissue{flags_text(row)}"
                )
    return end("collagen", summary, arguments, results=rows)
