"""Draw what was measured: thin contours over the slide, and a side-by-side picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from ..overview.bands import row_bands

#: Collagen contour and tint, tissue outline (RGB). Green and black stand off from red, yellow and
#: blue stains alike, and are distinguished by colour-blind readers by their lightness.
COLLAGEN_RGB, TISSUE_RGB = (0, 230, 60), (20, 20, 20)
#: Fibres finer than a pixel of the picture have no contour: the tint must show them.
_TINT = 0.5


def draw_overlay(
    rgb: NDArray[np.uint8],
    tissue: NDArray[np.float32],
    collagen: NDArray[np.float32],
    mpp_um: float,
) -> NDArray[np.uint8]:
    """The slide with collagen tinted and outlined, tissue outlined without lumens, a scale bar.

    Args:
        rgb: the slide at the picture's resolution, shape (height, width, 3).
        tissue: share of tissue in each pixel, 0 to 1.
        collagen: share of collagen in each pixel, 0 to 1.
        mpp_um: pixel size of the picture, um.
    """
    picture = np.empty(rgb.shape, dtype=np.uint8)
    for band in row_bands(rgb.shape):
        weight = (_TINT * collagen[band])[..., None]
        mixed = rgb[band] * (1 - weight) + np.array(COLLAGEN_RGB, np.float32) * weight
        picture[band] = np.clip(mixed + 0.5, 0, 255)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    for share, colour in ((tissue, TISSUE_RGB), (collagen, COLLAGEN_RGB)):
        inside = (share >= 0.5).astype(np.uint8)
        if colour == TISSUE_RGB:
            inside = _without_lumens(inside)
        # a contour is what has a neighbour outside, the picture's edge included
        core = cv2.erode(inside, cross, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        picture[inside > core] = colour
    return draw_scale_bar(picture, mpp_um)


def _without_lumens(inside: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The tissue with its lumens filled: their outlines would hide the fibres round them."""
    contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros_like(inside), contours, -1, 1, cv2.FILLED))


def draw_scale_bar(picture: NDArray[np.uint8], mpp_um: float) -> NDArray[np.uint8]:
    """Add a scale bar of a round length, at the lower left, on a white plate."""
    height, width = picture.shape[:2]
    wanted = 0.2 * width * mpp_um
    power = 10.0 ** math.floor(math.log10(max(wanted, 1.0)))
    length_um = max(step * power for step in (1, 2, 5) if step * power <= max(wanted, 1.0))
    bar = max(1, round(length_um / mpp_um))
    text = f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} um"
    scale = max(0.4, min(1.2, width / 1600))
    thick = max(1, round(2 * scale))
    (text_w, text_h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    pad = round(8 * scale) + 2
    plate_w, plate_h = max(bar, text_w) + 2 * pad, text_h + 3 * pad + thick * 2
    if plate_w + 2 * pad > width or plate_h + 2 * pad > height:
        return picture  # a picture of a few pixels has no room for it
    x, y = pad, height - pad - plate_h
    out = picture.copy()
    cv2.rectangle(out, (x, y), (x + plate_w, y + plate_h), (255, 255, 255), -1)
    cv2.putText(
        out,
        text,
        (x + pad, y + pad + text_h),
        cv2.FONT_HERSHEY_SIMPLEX,
        scale,
        (0, 0, 0),
        thick,
        cv2.LINE_AA,
    )
    bottom = y + plate_h - pad
    cv2.rectangle(out, (x + pad, bottom - 2 * thick), (x + pad + bar, bottom), (0, 0, 0), -1)
    return out


def side_by_side(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two pictures of one size side by side with a white gap."""
    gap = np.full((left.shape[0], max(4, left.shape[1] // 100), 3), 255, dtype=np.uint8)
    return np.concatenate([left, gap, right], axis=1)
