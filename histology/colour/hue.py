"""Hue and chroma of colours, and histograms of them, pure.

Why hue. A brighter lamp, a longer exposure, or the brightness and contrast sliders of camera
software map every channel by the same straight line, v -> a v + b. The differences between channels
are then all multiplied by ``a`` and their angle, the hue, does not move, while saturation, optical
density and every fixed threshold on them do. A thicker section or a stronger stain moves the hue
little as well. So hue says *which* stain a pixel has; how much colour it has only decides whether
it can be told at all.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

#: Bits kept per channel in a colour histogram.
CUBE_BITS = 6


def within_a_turn(angle_deg: Any) -> Any:
    """Angles of -360 to 720 degrees brought to 0 to 360.

    The same to the bit as numpy's remainder, which takes ten times as long.
    """
    turn = angle_deg.dtype.type(360)
    return angle_deg + turn * ((angle_deg < 0).astype(angle_deg.dtype) - (angle_deg >= turn))


def wrap_deg(angle: float) -> float:
    """An angle brought to -180 .. 180 degrees."""
    return (angle + 180.0) % 360.0 - 180.0


def hue_and_chroma(rgb: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Hue in degrees (-180 to 180) and chroma (0 to 255) of RGB colours, shape (..., 3).

    The hexagonal hue's circular form (Preucil's circle): hue = atan2(sqrt(3) (G - B), 2R - G - B).
    """
    return hue_of(*(rgb[..., i].astype(np.float32) for i in range(3)))


def hue_of(
    red: NDArray[np.float32], green: NDArray[np.float32], blue: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """:func:`hue_and_chroma` of channels whose shapes numpy broadcasts."""
    across = np.float32(np.sqrt(3.0)) * (green - blue)
    along = 2 * red - green - blue
    return np.degrees(np.arctan2(across, along)), np.hypot(across, along) / 2


def cube_axis(bits: int = CUBE_BITS) -> NDArray[np.float32]:
    """A channel's value in the middle of each of its bins, shape (2**bits,); 0 and 255 kept."""
    side = 1 << bits
    step = 256 // side
    axis = (np.arange(side) * step + (step - 1) / 2).astype(np.float32)
    axis[0], axis[-1] = 0, 255  # a clipped channel stays clipped
    return axis


def cube_colours() -> NDArray[np.float32]:
    """RGB at the middle of each bin of :func:`colour_histogram`, shape (2**(3 CUBE_BITS), 3)."""
    red, green, blue = np.meshgrid(*[cube_axis()] * 3, indexing="ij")
    # channel after channel in memory: that is how they are used
    return np.stack([red.ravel(), green.ravel(), blue.ravel()]).T


def colour_histogram(rgb: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Counts of the colours inside ``mask``, over the bins of :func:`cube_colours`."""
    bins = [1 << CUBE_BITS] * 3
    counts = cv2.calcHist([rgb], [0, 1, 2], mask.view(np.uint8), bins, [0, 256] * 3)
    return np.asarray(counts.ravel(), dtype=np.int64)


def weighted_quantile(
    values: NDArray[np.floating[Any]], weight: NDArray[np.float64], part: float
) -> float:
    """Value below which ``part`` of the weight lies; 0 without values."""
    if values.size == 0 or weight.sum() <= 0:
        return 0.0
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(total, part * total[-1])])
