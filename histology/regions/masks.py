"""Mask pictures: exactly two values, or the labels that are meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from ..overview.regions import MaskRegion
from .shapes import bad_region

#: How far a mask picture's proportions may differ from the slide's.
_SHAPE_TOLERANCE = 0.01
_SHOWN = 8
_TIFF = (".tif", ".tiff", ".btf")
#: JPEG blurs the border of a mask: this much off black and white, of this part of the pixels.
_JPEG_OFF, _JPEG_PART = 24, 0.98
#: A mask of one of these values alone has all of the slide inside.
_ALL_INSIDE = (1, 255, 65535, 0xFFFFFF)


def read(path: Path, slide_px: tuple[int, int], label: str) -> MaskRegion:
    """Read a mask that covers the whole slide.

    A picture of two values has its region where the value is not zero; of two colours where it is
    not black. In a picture with a colour table the numbers count, and not the colours they stand
    for. Where only transparency varies, the region is what is opaque.

    Args:
        path: the picture.
        slide_px: width and height of the slide's finest level.
        label: values or colours (#RRGGBB) that are inside, joined by ";"; "" for two-valued masks.

    Raises:
        RegionError: ``bad_region``: no picture, of other proportions, or with several labels.
    """
    values = _values(path)
    height, width = values.shape[:2]
    if abs(width / height / (slide_px[0] / slide_px[1]) - 1) > _SHAPE_TOLERANCE:
        found = f"mask {width} x {height}, slide {slide_px[0]} x {slide_px[1]} pixels"
        raise bad_region(path, found, "give a mask that covers the whole slide")
    if values.ndim == 3:
        values = _without_alpha(values)
    if values.ndim == 3 and (values == values[..., :1]).all():
        values = values[..., 0]
    coloured = values.ndim == 3
    numbers = _packed(values) if coloured else values
    found_values = np.unique(numbers)
    if label:
        return MaskRegion(np.isin(numbers, _wanted(path, label, found_values, coloured=coloured)))
    if path.suffix.lower() in (".jpg", ".jpeg") and not coloured and len(found_values) > 2:
        near = (values <= _JPEG_OFF) | (values >= 255 - _JPEG_OFF)
        if near.mean() >= _JPEG_PART:
            return MaskRegion(values > 127)
    whole = len(found_values) == 1 and int(found_values[0]) in _ALL_INSIDE
    if not whole and (len(found_values) > 2 or found_values[0] != 0):
        shown = ", ".join(_name(v, coloured=coloured) for v in found_values[:_SHOWN])
        more = f" and {len(found_values) - _SHOWN} more" if len(found_values) > _SHOWN else ""
        what = "colours" if coloured else "labels"
        raise bad_region(
            path,
            f"{len(found_values)} {what}: {shown}{more}",
            "give a picture of two values, 0 outside and another inside, or say which are inside "
            "with --region-label (region_label in study.csv), several joined by ;",
        )
    return MaskRegion(numbers != 0)


def _values(path: Path) -> NDArray[Any]:
    """The picture's own numbers, shape (height, width) or (height, width, channels)."""
    try:
        if path.name.lower().endswith(_TIFF):
            with tifffile.TiffFile(path) as tiff:
                values = np.asarray(tiff.series[0].asarray())
        else:
            with Image.open(path) as opened:
                values = np.asarray(opened)
    except (OSError, ValueError, TypeError, LookupError, RuntimeError) as error:
        raise bad_region(
            path,
            f"neither annotations nor a picture ({type(error).__name__})",
            "export annotations as GeoJSON",
        ) from error
    values = np.squeeze(values)
    if values.dtype == bool:
        values = values.astype(np.uint8)
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] > 4) or values.size == 0:
        raise bad_region(path, f"an array of shape {values.shape}", "give one picture")
    if values.dtype.kind == "f":
        if not (values == np.rint(values)).all():
            raise bad_region(path, "probabilities, no labels", "give a picture of two values")
        values = values.astype(np.int64)
    return values


def _without_alpha(values: NDArray[Any]) -> NDArray[Any]:
    """Colours without transparency: what is transparent is outside, which is black."""
    if values.shape[2] not in (2, 4):
        return values
    colours, alpha = values[..., :-1], values[..., -1]
    if (colours == colours[0, 0]).all():
        return np.asarray(alpha)
    hidden = alpha == 0
    return np.where(hidden[..., None], 0, colours) if hidden.any() else colours


def _packed(rgb: NDArray[Any]) -> NDArray[np.int64]:
    red, green, blue = (rgb[..., i].astype(np.int64) for i in range(3))
    return np.asarray((red << 16) | (green << 8) | blue)


def _wanted(path: Path, label: str, found: NDArray[Any], *, coloured: bool) -> list[int]:
    wanted = []
    for text in label.split(";"):
        part = text.strip()
        try:
            number = int(part.lstrip("#"), 16) if coloured else int(part)
        except ValueError as error:
            do = "give colours as #RRGGBB" if coloured else "give whole numbers"
            raise bad_region(path, f"the label {part!r}", do) from error
        if number not in found:
            shown = ", ".join(_name(v, coloured=coloured) for v in found[:_SHOWN])
            raise bad_region(path, f"no label {part} among {shown}", "give one of the labels")
        wanted.append(number)
    return wanted


def _name(value: Any, *, coloured: bool) -> str:
    return f"#{int(value):06X}" if coloured else str(int(value))
