"""Write the picture of a measurement: axial, coronal and sagittal slices with the contour."""

from __future__ import annotations

from pathlib import Path

from ..files import atomic_path
from .panels import Scan, as_png, draw_panels
from .volume import Volume


def write_overlay(
    volume: Volume, mask: Volume, path: Path, *, second: Volume | None = None
) -> None:
    """Write a PNG: six axial slices through the liver, one coronal, one sagittal.

    The same input gives the same bytes.

    Args:
        volume: the scan.
        mask: bool, on the scan's grid.
        path: ends in ``.png``.
        second: bool, on the scan's grid, outlined in blue: the spleen, or what a person drew.
    """
    scan = Scan(volume.array, volume.affine, volume.modality)
    figure = draw_panels(scan, mask.array, None if second is None else second.array)
    with atomic_path(path) as temporary:
        as_png(figure, temporary)
