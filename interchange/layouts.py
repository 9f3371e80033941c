"""The one table of layouts that results can be exported in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .bids import write_bids
from .qupath import SCRIPT_NAME, write_for_qupath
from .results import Results, new_folder, read_folder
from .ro_crate import LEFT_OUT, write_ro_crate
from .segments import write_for_itk_snap, write_for_slicer


@dataclass(frozen=True)
class Layout:
    """A way to lay out results."""

    write: Callable[[Results, Path], Iterator[Path]]
    """Results and an empty folder in; yields each file that it wrote."""
    note: str
    """What to say when it is done."""


LAYOUTS = {
    "slicer": Layout(
        write_for_slicer,
        "Open the .seg.nrrd files in 3D Slicer next to the scans. Slides are not in it.",
    ),
    "itk-snap": Layout(
        write_for_itk_snap,
        "In ITK-SNAP open the scan, then Segmentation > Open Segmentation, then Segmentation > "
        "Import Label Descriptions with labels.txt. Slides are not in it.",
    ),
    "qupath": Layout(
        write_for_qupath,
        f"In QuPath run {SCRIPT_NAME} (Automate > Script editor): it makes the project. "
        "slides.json has the places of your slides. Scans are not in it.",
    ),
    "bids": Layout(
        write_bids,
        "The README in it says where the layout differs from BIDS. Images are not in it.",
    ),
    "ro-crate": Layout(write_ro_crate, f"Left out: {LEFT_OUT}."),
}
"""By the name that the command takes."""


def export(
    name: str,
    results: Path,
    folder: Path,
    *,
    slides: Mapping[str, Path] | None = None,
    tell: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Lay out results anew.

    Args:
        name: a key of :data:`LAYOUTS`.
        results: a finished results folder; nothing in it is changed.
        folder: where to write; must be new or empty.
        slides: where each slide is on this machine, by case_id; for QuPath.
        tell: called with (cases written, cases in all), about.

    Returns:
        The files that were written.

    Raises:
        OutputError: ``not_a_result``, ``output_not_writable``.
    """
    found = read_folder(results, slides)
    target = new_folder(folder, found.folder)
    written = []
    for path in LAYOUTS[name].write(found, target):
        written.append(path)
        if tell is not None:
            total = max(len(found.cases), len(written))
            tell(len(written), total)
    return written
