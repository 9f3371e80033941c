"""The picture that shows a measurement: axial, coronal and sagittal slices with the contour."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import atomic_path
from .volume import Volume

_LIVER_COLOUR, _SPLEEN_COLOUR = "#ff3b30", "#32ade6"
_CT_SHOWN_HU = (-110.0, 240.0)
_N_AXIAL = 6
_SCALE_BAR_MM = 50.0
_MARGIN_MM = 80.0  # what is shown around the liver


def write_overlay(
    volume: Volume, mask: Volume, path: Path, *, spleen: Volume | None = None
) -> None:
    """Write a PNG: six axial slices through the liver, one coronal, one sagittal.

    Drawn as radiologists look at it: the patient's right is on the left of the picture. The same
    input gives the same bytes.

    Args:
        volume: the scan.
        mask: bool, on the scan's grid.
        path: ends in ``.png``.
        spleen: bool, on the scan's grid.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - start-up time
    from matplotlib.figure import Figure  # noqa: PLC0415 - start-up time

    scene = _scene(volume, mask, spleen)
    figure = Figure(figsize=(12.0, 6.2), dpi=100, facecolor="black")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 4, left=0.01, right=0.99, top=0.95, bottom=0.01, wspace=0.02)
    places = [grid[row, column] for row in range(2) for column in range(3)]
    for place, k in zip(places, _levels(scene.liver, 2, _N_AXIAL), strict=True):
        _panel(figure.add_subplot(place), scene, axis=2, index=k)
    for row, axis in ((0, 1), (1, 0)):  # the coronal and the sagittal slice with most liver
        others = tuple(a for a in range(3) if a != axis)
        widest = int(np.argmax(scene.liver.sum(axis=others)))
        _panel(figure.add_subplot(grid[row, 3]), scene, axis=axis, index=widest)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", facecolor="black", metadata={"Software": None})


@dataclass(frozen=True)
class _Scene:
    """What is drawn: arrays along R, A, S, cut to the box around the liver."""

    image: NDArray[Any]
    low: float
    high: float
    liver: NDArray[np.bool_]
    spleen: NDArray[np.bool_] | None
    spacing_mm: NDArray[np.float64]
    first: tuple[int, ...]


def _scene(volume: Volume, mask: Volume, spleen: Volume | None) -> _Scene:
    order = _to_ras(volume.affine)
    image, liver = _oriented(volume.array, order), _oriented(mask.array, order)
    spacing = np.empty(3)
    spacing[order[:, 0].astype(int)] = volume.spacing_mm
    low, high = _window(image, volume.modality)
    box = _shown_box(liver, spacing)
    return _Scene(
        image=image[box],
        low=low,
        high=high,
        liver=liver[box],
        spleen=None if spleen is None else _oriented(spleen.array, order)[box],
        spacing_mm=spacing,
        first=tuple(int(side.start) for side in box),
    )


def _to_ras(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    import nibabel  # noqa: PLC0415 - start-up time

    return np.asarray(
        nibabel.orientations.ornt_transform(
            nibabel.orientations.io_orientation(affine),
            nibabel.orientations.axcodes2ornt(("R", "A", "S")),
        )
    )


def _oriented(array: NDArray[Any], order: NDArray[np.float64]) -> NDArray[Any]:
    """Axes flipped and swapped so that they run along R, A, S."""
    import nibabel  # noqa: PLC0415 - start-up time

    return np.asarray(nibabel.orientations.apply_orientation(array, order))


def _window(image: NDArray[Any], modality: str) -> tuple[float, float]:
    if modality == "CT" or float(image.min()) <= -100:
        return _CT_SHOWN_HU
    low, high = np.percentile(image[::2, ::2, ::2], [0.5, 99.5])
    return float(low), float(max(high, low + 1e-6))


def _shown_box(liver: NDArray[np.bool_], spacing: NDArray[np.float64]) -> tuple[slice, ...]:
    """The liver's box and a margin; the whole scan where the liver is empty."""
    box = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        present = np.flatnonzero(liver.any(axis=others))
        margin = math.ceil(_MARGIN_MM / spacing[axis])
        first, last = (present[0], present[-1]) if len(present) else (0, liver.shape[axis] - 1)
        box.append(slice(max(0, int(first) - margin), int(last) + margin + 1))
    return tuple(box)


def _levels(liver: NDArray[np.bool_], axis: int, count: int) -> list[int]:
    """Slices spread over the organ, from its top to its bottom; over the scan where it is empty."""
    others = tuple(a for a in range(3) if a != axis)
    present = np.flatnonzero(liver.any(axis=others))
    first, last = (present[0], present[-1]) if len(present) else (0, liver.shape[axis] - 1)
    fractions = (np.arange(count) + 0.5) / count
    return [round(float(last - (last - first) * f)) for f in fractions]


def _panel(axes: Any, scene: _Scene, *, axis: int, index: int) -> None:
    """Draw one slice, ``index`` counted within the scene, with contours and a scale bar."""
    columns, rows = [a for a in range(3) if a != axis]
    axes.imshow(
        np.take(scene.image, index, axis=axis).T,
        cmap="gray",
        vmin=scene.low,
        vmax=scene.high,
        origin="lower",
        aspect=float(scene.spacing_mm[rows] / scene.spacing_mm[columns]),
        interpolation="nearest",
    )
    for mask, colour in ((scene.liver, _LIVER_COLOUR), (scene.spleen, _SPLEEN_COLOUR)):
        if mask is None:
            continue
        plane = np.take(mask, index, axis=axis).T
        if plane.any():
            # the contour must close at the edge of the scan, where a cut-off organ ends
            rim = np.pad(plane, 1).astype(float)
            x, y = np.arange(-1, plane.shape[1] + 1), np.arange(-1, plane.shape[0] + 1)
            axes.contour(x, y, rim, levels=[0.5], colors=[colour], linewidths=1.0)
    width, height = scene.image.shape[columns], scene.image.shape[rows]
    axes.set_xlim(width - 0.5, -0.5)  # the patient's right, or the front, is on the left
    axes.set_ylim(-0.5, height - 0.5)
    bar = _SCALE_BAR_MM / scene.spacing_mm[columns]
    axes.plot([width * 0.97, width * 0.97 - bar], [height * 0.04] * 2, color="white", linewidth=2)
    name = f"{('sagittal', 'coronal', 'axial')[axis]} {scene.first[axis] + index}"
    style = {"transform": axes.transAxes, "color": "white", "fontsize": 7}
    axes.text(0.02, 0.97, name, va="top", **style)
    axes.text(0.03, 0.06, "50 mm", va="bottom", **style)
    axes.set_axis_off()
