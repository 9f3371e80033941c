"""Pixels as files keep them brought to 8-bit RGB: one way for all formats. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..slide import RgbImage

#: The largest values of cameras with more than 8 bits.
_FULL_SCALES = (255, 1023, 4095, 16383, 65535)
#: A picture is grey where no pixel has channels further apart than this, and if pixels darker than
#: that are there: empty glass has no colour either.
_GREY_APART, _DARK = 2, 200
_DARK_PART = 0.01

Raw = NDArray[Any]
Normalise = Callable[[Raw], RgbImage]


def full_scale(largest: int) -> int:
    """The largest value that a camera may give whose brightest pixel has ``largest``."""
    return next((full for full in _FULL_SCALES if largest <= full), _FULL_SCALES[-1])


def to_8_bit(raw: Raw, full: int) -> NDArray[np.uint8]:
    """Values of 0 to ``full`` as 0 to 255, rounded."""
    if raw.dtype == np.uint8 and full == 255:
        return raw
    scaled = raw.astype(np.float32) * np.float32(255.0 / full) + np.float32(0.5)
    return np.minimum(scaled, 255.0).astype(np.uint8)


def on_white(rgb: RgbImage, alpha: NDArray[np.uint8], *, premultiplied: bool = False) -> RgbImage:
    """A picture laid on white, as a viewer shows it where it is transparent.

    Args:
        rgb: shape (height, width, 3).
        alpha: shape (height, width, 1), 255 is opaque.
        premultiplied: whether the colours were multiplied by alpha already.
    """
    opaque = alpha.astype(np.uint16)
    colour = rgb.astype(np.uint16)
    if premultiplied:
        return np.minimum(colour + (255 - opaque), 255).astype(np.uint8)
    return ((colour * opaque + 255 * (255 - opaque) + 127) // 255).astype(np.uint8)


def from_cmyk(cmyk: NDArray[np.uint8]) -> RgbImage:
    """Cyan, magenta, yellow and black (255 is full ink) as red, green and blue."""
    light = 255 - cmyk.astype(np.uint16)
    return np.asarray((light[..., :3] * light[..., 3:4] + 127) // 255, dtype=np.uint8)


def is_grey(least: NDArray[np.uint8], most: NDArray[np.uint8]) -> bool:
    """Whether a picture of something has no colour at all; a stain cannot be told on it.

    Args:
        least: each pixel's least channel.
        most: its largest.
    """
    return bool((most - least).max() <= _GREY_APART and (most < _DARK).mean() > _DARK_PART)


def ranked(rgb: RgbImage) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """The least, the middle and the largest channel of each pixel, (..., 3) -> (...).

    Pair by pair: numpy's functions along a last axis of three take twenty times as long.
    """
    red, green, blue = (np.ascontiguousarray(rgb[..., i]) for i in range(3))
    less, more = np.minimum(red, green), np.maximum(red, green)
    middle = np.maximum(less, np.minimum(more, blue))
    return np.minimum(less, blue), middle, np.maximum(more, blue)
