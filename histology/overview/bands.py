"""Process an overview band by band, with little memory and mainly within a core's cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

#: Pixels of a band.
BAND_PX = 1 << 17
#: Least height of a blurred band as a multiple of how far the blur reaches.
_REACHES = 8


def row_bands(shape: tuple[int, ...], least_rows: int = 1) -> Iterator[slice]:
    """Rows of a picture of that shape, about :data:`BAND_PX` pixels at a time."""
    rows = max(least_rows, BAND_PX // max(1, shape[1]))
    for top in range(0, shape[0], rows):
        yield slice(top, min(top + rows, shape[0]))


def blurred(
    rgb: NDArray[np.uint8], sigma_px: float, work: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """What ``work`` makes of each pixel of ``rgb`` blurred by a Gaussian.

    Args:
        rgb: shape (height, width, 3).
        sigma_px: the Gaussian's standard deviation.
        work: a function of single pixels, (rows, width, 3) -> (rows, width).
    """
    out = np.empty(rgb.shape[:2], dtype=np.uint8)
    reach = int(3 * sigma_px) + 2  # beyond OpenCV's kernel, which ends at 3 sigma
    # what a band shares with its neighbours is blurred for each of them: little against a high one
    for band in row_bands(out.shape, least_rows=_REACHES * reach):
        top = max(0, band.start - reach)
        part = cv2.GaussianBlur(rgb[top : band.stop + reach], (0, 0), sigma_px)
        out[band] = work(part[band.start - top :][: band.stop - band.start])
    return out


def label_parts(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The connected parts (8-connected) of a mask.

    OpenCV's own statistics, with boxes and centres, take five times as long.

    Returns:
        The number of each pixel's part, 0 outside the mask; and each number's pixels.
    """
    count, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=8)
    labels = np.asarray(labels, dtype=np.int32)
    areas_px = np.zeros(count, dtype=np.int64)
    for band in row_bands(labels.shape):
        areas_px += np.bincount(labels[band].reshape(-1), minlength=count)
    return labels, areas_px


def by_label(truths: NDArray[np.bool_], labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """The truth value of each pixel's label, shape of ``labels``."""
    out = np.empty(labels.shape, dtype=bool)
    for band in row_bands(out.shape):
        out[band] = truths.take(labels[band])  # numpy widens the labels to 64 bits
    return out


def count_by_label(
    mask: NDArray[np.bool_], labels: NDArray[np.int32], count: int
) -> NDArray[np.int64]:
    """Pixels of ``mask`` in each of ``count`` labels."""
    counts = np.zeros(count, dtype=np.int64)
    for band in row_bands(mask.shape):
        counts += np.bincount(labels[band][mask[band]], minlength=count)
    return counts
