"""Draw axial, coronal and sagittal slices with contours. Pure: arrays in, a figure out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from nibabel.affines import voxel_sizes
from numpy.typing import NDArray

from ..notebook import shown
from .patient_axes import oriented, to_ras
from .volumetry import occupied_planes

_LIVER_COLOUR, _SECOND_COLOUR = "#ff3b30", "#32ade6"
_CT_SHOWN_HU = (-110.0, 240.0)
_N_AXIAL = 6
_SCALE_BAR_MM = 50.0
_SHOWN_MM = (380.0, 300.0)
"""Width and height of every panel: the same scale in every picture, so that visits compare."""
_WIDTH_PX, _HEIGHT_PX, _DPI = 1200, 476, 100


class Scan(NamedTuple):
    """What is drawn on."""

    array: NDArray[Any]
    """(i, j, k)."""
    affine: NDArray[np.float64]
    """4 x 4, RAS+ in mm."""
    modality: str
    """A CT is shown through a soft-tissue window, all else by its own grey values."""


def draw_panels(
    scan: Scan, liver: NDArray[np.bool_], second: NDArray[np.bool_] | None = None
) -> Any:
    """Draw six axial slices through the liver, one coronal, one sagittal.

    As radiologists look at it: the patient's right is on the left of the picture.

    Args:
        scan: the scan.
        liver: bool, on the scan's grid; without a voxel, slices are spread over the scan.
        second: bool, on the scan's grid, outlined in blue: the spleen, or what a person drew.

    Returns:
        A matplotlib ``Figure``; ``figure.axes[0]`` is the first axial slice.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - start-up time
    from matplotlib.figure import Figure  # noqa: PLC0415 - start-up time

    scene = _scene(scan, liver, second)
    figure = Figure(figsize=(_WIDTH_PX / _DPI, _HEIGHT_PX / _DPI), dpi=_DPI, facecolor="black")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        2, 4, left=0.005, right=0.995, top=0.995, bottom=0.005, wspace=0.02, hspace=0.02
    )
    places = [grid[row, column] for row in range(2) for column in range(3)]
    for place, k in zip(places, _levels(scene.liver, 2, _N_AXIAL), strict=True):
        _panel(figure.add_subplot(place), scene, axis=2, index=k)
    for row, axis in ((0, 1), (1, 0)):
        _panel(figure.add_subplot(grid[row, 3]), scene, axis=axis, index=_widest(scene.liver, axis))
    return shown(figure, lambda target: as_png(figure, target))


def mm_per_px(figure: Any) -> float:
    """Millimetres per pixel of a figure of :func:`draw_panels`."""
    panel = figure.axes[0]
    panel.apply_aspect()  # settles its size, as drawing does
    return float(_SHOWN_MM[0] / panel.get_window_extent().width)


def as_png(figure: Any, target: Any) -> None:
    """Write a figure to a path or stream; the same figure gives the same bytes."""
    metadata = {"Software": None, "mm_per_px": f"{mm_per_px(figure):.4f}"}
    figure.savefig(target, format="png", facecolor="black", metadata=metadata)


@dataclass(frozen=True)
class _Scene:
    """What is drawn: arrays along R, A, S, and the middle of the liver's box in voxels."""

    image: NDArray[Any]
    low: float
    high: float
    liver: NDArray[np.bool_]
    second: NDArray[np.bool_] | None
    spacing_mm: NDArray[np.float64]
    middle: tuple[float, float, float]


def _scene(scan: Scan, liver: NDArray[np.bool_], second: NDArray[np.bool_] | None) -> _Scene:
    order = to_ras(scan.affine)
    image, liver = oriented(scan.array, order), oriented(liver, order)
    spacing = np.empty(3)
    spacing[order[:, 0].astype(int)] = voxel_sizes(scan.affine)
    low, high = _window(image, scan.modality)
    present = [occupied_planes(liver, axis) for axis in range(3)]
    middle = [
        (p[0] + p[-1]) / 2 if len(p) else (n - 1) / 2
        for p, n in zip(present, liver.shape, strict=True)
    ]
    return _Scene(
        image=image,
        low=low,
        high=high,
        liver=liver,
        second=None if second is None else oriented(second, order),
        spacing_mm=spacing,
        middle=(float(middle[0]), float(middle[1]), float(middle[2])),
    )


def _others(axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(3) if other != axis)


def _window(image: NDArray[Any], modality: str) -> tuple[float, float]:
    if modality == "CT" or float(image.min()) <= -100:
        return _CT_SHOWN_HU
    low, high = np.percentile(image[::2, ::2, ::2], [0.5, 99.5])
    return float(low), float(max(high, low + 1e-6))


def _levels(liver: NDArray[np.bool_], axis: int, count: int) -> list[int]:
    """Slices spread over the organ, from its top to its bottom; over the scan where it is empty."""
    present = occupied_planes(liver, axis)
    first, last = (present[0], present[-1]) if len(present) else (0, liver.shape[axis] - 1)
    fractions = (np.arange(count) + 0.5) / count
    return [round(float(last - (last - first) * f)) for f in fractions]


def _widest(liver: NDArray[np.bool_], axis: int) -> int:
    """The slice with most liver, the middle one where there is none."""
    areas = liver.sum(axis=_others(axis))
    return int(np.argmax(areas)) if areas.any() else len(areas) // 2


def _plane(array: NDArray[Any], axis: int, index: int) -> NDArray[Any]:
    """One slice as a picture, as a view: ``np.take`` copies the whole of a turned array."""
    return array[(slice(None),) * axis + (index,)].T


def _panel(axes: Any, scene: _Scene, *, axis: int, index: int) -> None:
    """Draw one slice with contours and a scale bar."""
    columns, rows = _others(axis)
    axes.set_autoscale_on(False)  # or each part would move the limits that are set below
    axes.imshow(
        _plane(scene.image, axis, index),
        cmap="gray",
        vmin=scene.low,
        vmax=scene.high,
        origin="lower",
        aspect=float(scene.spacing_mm[rows] / scene.spacing_mm[columns]),
        interpolation="nearest",
    )
    for mask, colour in ((scene.liver, _LIVER_COLOUR), (scene.second, _SECOND_COLOUR)):
        if mask is None:
            continue
        plane = _plane(mask, axis, index)
        if plane.any():
            # the contour must close at the edge of the scan, where a cut-off organ ends
            rim = np.pad(plane, 1).astype(float)
            x, y = np.arange(-1, plane.shape[1] + 1), np.arange(-1, plane.shape[0] + 1)
            axes.contour(x, y, rim, levels=[0.5], colors=[colour], linewidths=1.0)
    half_width, half_height = (
        mm / 2 / scene.spacing_mm[side] for mm, side in zip(_SHOWN_MM, (columns, rows), strict=True)
    )
    across, up = scene.middle[columns], scene.middle[rows]
    # the patient's right, or the front, is on the left
    axes.set_xlim(across + half_width, across - half_width)
    axes.set_ylim(up - half_height, up + half_height)
    bar = _SCALE_BAR_MM / scene.spacing_mm[columns]
    start, level = across + 0.94 * half_width, up - 0.93 * half_height
    axes.plot([start, start - bar], [level, level], color="white", linewidth=2)
    name = f"{('sagittal', 'coronal', 'axial')[axis]} {index}"
    style = {"transform": axes.transAxes, "color": "white", "fontsize": 7}
    axes.text(0.02, 0.97, name, va="top", **style)
    axes.text(0.03, 0.06, "50 mm", va="bottom", **style)
    axes.set_axis_off()
