"""Find the pieces of tissue, and measure the length along each core's midline. Pure."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from .bands import label_parts

#: A second midline in one piece is a core of its own if it is this many times longer than wide.
_LEAST_ASPECT = 3.0
#: Pixels of a piece's box from which its midline is taken on a coarser grid.
_MIDLINE_PX = 250_000
_POLYLINE_STEP = 12
_STEPS = [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)]


@dataclass(frozen=True)
class Pieces:
    """Connected pieces of the outline on the overview."""

    labels: NDArray[np.int32]
    """Piece of each pixel, numbered from 1 in reading order; 0 is background."""
    boxes: NDArray[np.int32]
    """Left, top, width and height of each label in pixels, background first."""
    centres: NDArray[np.float64]
    """x and y of each label's middle in pixels, background first."""


def label_fragments(outline: NDArray[np.bool_]) -> Pieces:
    """The connected pieces (8-connected) of the outline."""
    _, labels, stats, centres = cv2.connectedComponentsWithStats(
        outline.view(np.uint8), connectivity=8
    )
    return Pieces(np.asarray(labels), stats[:, : cv2.CC_STAT_AREA], centres)


def midline_lengths_mm(pieces: Pieces, mpp_um: float) -> list[float]:
    """:func:`midline_length_mm` of each piece, in their order.

    Args:
        pieces: from :func:`label_fragments`.
        mpp_um: pixel size of the overview, um.
    """
    lengths = []
    for label, (x, y, width, height) in enumerate(pieces.boxes[1:], start=1):
        piece = pieces.labels[y : y + height, x : x + width] == label
        lengths.append(midline_length_mm(piece, mpp_um))
    return lengths


def midline_length_mm(piece: NDArray[np.bool_], mpp_um: float) -> float:
    """Length of a core along its midline, mm.

    The longest path of the skeleton, and of what is left of it where cores touch, each lengthened
    at both ends by the distance from the skeleton's end to the edge (thinning eats half a core's
    width there).

    Args:
        piece: one piece of tissue, bool.
        mpp_um: pixel size, um.
    """
    # fine enough for a midline, and small enough to be thinned in a moment
    step = max(1, math.ceil(np.sqrt(piece.size / _MIDLINE_PX)))
    if step > 1:
        size = (max(1, piece.shape[1] // step), max(1, piece.shape[0] // step))
        share = cv2.resize(piece.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        mpp_um *= piece.shape[1] / size[0]
        piece = share >= 0.5
    padded = np.pad(piece, 1)
    inside = cv2.distanceTransform(padded.astype(np.uint8), cv2.DIST_L2, 5)
    # a smooth outline keeps the skeleton from growing branches into every bump: opened by a third
    # of the core's half width, by two distance transforms because the disk may be large
    radius = float(inside.max()) / 3
    beyond = cv2.distanceTransform((inside <= radius).astype(np.uint8), cv2.DIST_L2, 5)
    skeleton = skeletonize((beyond < radius) & padded)
    if not skeleton.any():
        return float(2 * inside.max() * mpp_um / 1000.0)
    length = 0.0
    while True:
        path, reach = _longest_path(skeleton)
        ends = inside[path[0]] + inside[path[-1]]
        # what is left next to a midline is a spur of the outline, unless it is a core of its own,
        # longer than wide, that touches the first
        wide = 2 * max(float(inside[place]) for place in path)
        if length > 0 and reach + ends < _LEAST_ASPECT * wide:
            break
        length += reach + float(ends)
        for row, column in path:
            near = int(inside[row, column]) + 1
            skeleton[
                max(0, row - near) : row + near + 1, max(0, column - near) : column + near + 1
            ] = False
        if not skeleton.any():
            break
    return length * mpp_um / 1000.0


def _longest_path(skeleton: NDArray[np.bool_]) -> tuple[list[tuple[int, int]], float]:
    """The longest of the shortest ways through the skeleton's largest part, and its length."""
    labels, areas_px = label_parts(skeleton)
    part = labels == 1 + int(np.argmax(areas_px[1:]))
    start = _farthest(part, np.argwhere(part)[0])[0][-1]
    return _farthest(part, start)


def _farthest(skeleton: NDArray[np.bool_], start: Any) -> tuple[list[tuple[int, int]], float]:
    """The way from ``start`` to the skeleton pixel farthest from it (Dijkstra), and its length."""
    start = (int(start[0]), int(start[1]))
    best = {start: 0.0}
    came_from: dict[tuple[int, int], tuple[int, int]] = {}
    queue = [(0.0, start)]
    last = start
    while queue:
        distance, here = heapq.heappop(queue)
        if distance > best[here]:
            continue
        last = here  # popped in order of distance: the last one is the farthest
        for step_row, step_column in _STEPS:
            there = (here[0] + step_row, here[1] + step_column)
            if not skeleton[there]:
                continue
            far = distance + (1.0 if 0 in (step_row, step_column) else 2**0.5)
            if far < best.get(there, np.inf):
                best[there] = far
                came_from[there] = here
                heapq.heappush(queue, (far, there))
    way = [last]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    # steps of 1 and sqrt 2 lengthen an oblique way by up to 8 %: measured along a polyline instead
    points = np.array([*way[::_POLYLINE_STEP], way[-1]], dtype=float)
    return way[::-1], float(np.hypot(*np.diff(points, axis=0).T).sum())
