"""export: results in the layouts of other programs."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Writes a finished results folder in a layout that other programs know:

  slicer     .seg.nrrd per scan with names, colours and terminology (3D Slicer)
  itk-snap   label map per scan and labels.txt (ITK-SNAP)
  qupath     GeoJSON per slide, and a script with which QuPath makes a project of them
  bids       like BIDS derivatives, with dataset_description.json
  ro-crate   what may be passed on, with ro-crate-metadata.json (for a repository)

Nothing in the results folder is changed. It takes about a second per case.
"""
_NAMES = (
    "slicer",
    "itk-snap",
    "qupath",
    "bids",
    "ro-crate",
)  # not imported: --help waits for no library


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.description = DESCRIPTION
    parser.add_argument("layout", choices=_NAMES, help="the layout")
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a finished results folder")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="new folder for the export",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the export."""
    from ..batch.asked import slide_paths  # noqa: PLC0415 - start-up time
    from ..files import writing  # noqa: PLC0415
    from ..interchange.layouts import LAYOUTS, export  # noqa: PLC0415
    from .console import counting, give, say  # noqa: PLC0415

    with counting("files") as tell, writing():
        written = export(
            arguments.layout,
            arguments.results,
            arguments.output,
            slides=slide_paths(arguments.results),
            tell=None if arguments.json else tell,
        )
    if arguments.json:
        result = {"command": "export", "layout": arguments.layout, "n_files": len(written)}
        give({**result, "output_dir": str(arguments.output)})
    else:
        say(f"{len(written)} files written to {arguments.output}. {LAYOUTS[arguments.layout].note}")
    return 0
