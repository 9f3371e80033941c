"""Measure colour fringes: how far the red and blue images are displaced from the green one. Pure.

Scanners and cameras that take the colours one after another, or through a lens that bends them
differently, put the same edge a part of a pixel apart in each. A white vacuole in red tissue then
has a blue rim on one side, which passes for collagen. The displacement is one for the whole slide:
it is measured where tissue is, and taken out again by the smoothing that every pixel gets anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

#: Displacements up to this many pixels are found and mended; less than the second are left.
_LARGEST_PX, _SMALLEST_PX = 1.5, 0.05
#: Least correlation of the channels' edges. Where red hardly sees the tissue (picrosirius red) its
#: edges are noise.
_LEAST_LIKENESS = 0.6
# Part of the samples that must tell, and how far apart they may be (median deviation, pixels).
_LEAST_PART, _LARGEST_SPREAD_PX = 0.5, 0.1
_REACH_PX = 2
#: Digits of a displacement. OpenCV reckons differently in the ninth where a picture lies elsewhere
#: in memory: the same slide would give other parameters each time.
_DIGITS = 6
_DENSITY = -np.log((np.arange(256, dtype=np.float32) + 8) / 263)


@dataclass(frozen=True)
class ChannelShift:
    """Where a channel shows what green shows at (0, 0): x and y in pixels."""

    red_px: tuple[float, float] = (0.0, 0.0)
    """Of the red channel."""
    blue_px: tuple[float, float] = (0.0, 0.0)
    """Of the blue channel."""

    def __bool__(self) -> bool:
        return any((*self.red_px, *self.blue_px))


NO_SHIFT = ChannelShift()


def channel_shift(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Displacement of red and blue against green in one picture.

    The peak of the correlation of the channels' edges (gradients of optical density, so that a
    channel in which tissue is pale counts like the others), found between pixels by a parabola.

    Args:
        rgb: shape (height, width, 3), at least 16 pixels along each side.

    Returns:
        Shape (2, 3): x, y in pixels and the correlation, of red and of blue. NaN if it is too
        low or the peak lies out of reach.
    """
    red, green, blue = (_edges(channel) for channel in cv2.split(rgb))
    inner = slice(_REACH_PX, -_REACH_PX), slice(_REACH_PX, -_REACH_PX)
    reference = np.ascontiguousarray(green[inner])
    found = np.full((2, 3), np.nan)
    for row, edges in enumerate((red, blue)):
        likeness = _correlations(edges, reference)
        y, x = np.unravel_index(int(np.argmax(likeness)), likeness.shape)
        last = 2 * _REACH_PX
        if likeness[y, x] < _LEAST_LIKENESS or not (0 < x < last and 0 < y < last):
            continue
        top = _top(likeness[y - 1 : y + 2, x - 1 : x + 2])
        found[row] = x + top[0] - _REACH_PX, y + top[1] - _REACH_PX, likeness[y, x]
    return found


def settle_shift(seen: Sequence[NDArray[np.float64]]) -> ChannelShift:
    """The displacement of a slide from those of its samples (:func:`channel_shift`).

    The middle of what the samples say. A channel that few of them could tell, or about which they
    do not agree, is left as it is.
    """
    shifts = []
    for row in range(2):
        told = np.array([one[row, :2] for one in seen if np.isfinite(one[row]).all()])
        middle = np.median(told, axis=0) if len(told) else np.zeros(2)
        agreed = len(told) >= max(1.0, _LEAST_PART * len(seen)) and (
            float(np.median(np.abs(told - middle), axis=0).max()) <= _LARGEST_SPREAD_PX
        )
        large = _SMALLEST_PX <= float(np.hypot(*middle)) <= _LARGEST_PX
        x, y = (round(float(place), _DIGITS) for place in middle)
        shifts.append((x, y) if agreed and large else (0.0, 0.0))
    return ChannelShift(shifts[0], shifts[1])


def move_back(
    rgb: NDArray[np.uint8],
    smoothed: NDArray[np.uint8],
    variance_px2: float,
    shift: ChannelShift,
) -> NDArray[np.uint8]:
    """Move red and blue back onto green, by the weights of a smoothing whose middle lies aside.

    Args:
        rgb: the picture, shape (height, width, 3).
        smoothed: the same smoothed, of which green is kept.
        variance_px2: of that smoothing along each axis; (1, 2, 1) / 4 has 0.5.
        shift: what to take out.
    """
    out = smoothed.copy()
    for index, (x, y) in ((0, shift.red_px), (2, shift.blue_px)):
        if x or y:
            across, down = _weights(variance_px2, x), _weights(variance_px2, y)
            channel = cv2.sepFilter2D(cv2.extractChannel(rgb, index), -1, across, down)
            cv2.insertChannel(channel, out, index)
    return out


def _weights(variance_px2: float, shift_px: float) -> NDArray[np.float32]:
    """Three weights of sum 1 whose middle is ``shift_px`` and whose variance is as wanted."""
    whole = round(shift_px)
    part = shift_px - whole
    second = variance_px2 + part * part
    weights = np.zeros(2 * _REACH_PX + 1, dtype=np.float32)
    middle = _REACH_PX + whole
    weights[middle - 1 : middle + 2] = (second - part) / 2, 1 - second, (second + part) / 2
    return weights if whole else weights[1:-1]


def _edges(channel: NDArray[np.uint8]) -> NDArray[np.float64]:
    density = cv2.LUT(cv2.GaussianBlur(channel, (3, 3), 0), _DENSITY)
    across, down = (cv2.Sobel(density, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    edges = cv2.magnitude(across, down)
    return np.asarray(edges - edges.mean(), dtype=np.float64)


def _correlations(
    edges: NDArray[np.float64], reference: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Correlation of ``reference`` with ``edges`` displaced by -2 to 2 pixels, rows first.

    Not by BLAS, whose own threads would wait for ours.
    """
    height, width = reference.shape
    own = float(np.sqrt(np.einsum("ij,ij->", reference, reference)))
    side = 2 * _REACH_PX + 1
    found = np.zeros((side, side))
    for left in range(side):
        part = edges[:, left : left + width]
        squares = np.einsum("ij,ij->i", part, part)
        for top in range(side):
            rows = slice(top, top + height)
            length = own * float(np.sqrt(squares[rows].sum()))
            product = float(np.einsum("ij,ij->", part[rows], reference))
            found[top, left] = product / length if length > 0 else 0.0
    return found


def _top(values: NDArray[np.float64]) -> tuple[float, float]:
    """Where the paraboloid through 3 x 3 values (least squares) has its top, from the middle one.

    Of both axes together: the edges of parallel fibres tell little about one direction, and two
    parabolas, each along an axis, would turn a displacement along y into one along x as well.
    """
    steps = np.array([-1.0, 0.0, 1.0])
    bend_x, bend_y = (values.sum(axis=axis) @ np.array([1.0, -2.0, 1.0]) / 3 for axis in (0, 1))
    slope_x, slope_y = (values.sum(axis=axis) @ steps / 6 for axis in (0, 1))
    twist = float(steps @ values @ steps) / 4
    hessian = np.array([[bend_x, twist], [twist, bend_y]])
    if bend_x >= 0 or np.linalg.det(hessian) <= 0:
        return 0.0, 0.0
    x, y = np.clip(-np.linalg.solve(hessian, [slope_x, slope_y]), -1.0, 1.0)
    return float(x), float(y)
