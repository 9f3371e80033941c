"""Embed the overlays of the cases as small pictures in the page."""

from __future__ import annotations

import base64
import io
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from PIL import Image, UnidentifiedImageError

BUDGET_BYTES = 9_000_000  # for all pictures together: the page stays below 15 MB after base64
_WIDEST_PX = 1000
_NARROWEST_PX = 320
_QUALITIES = (85, 75, 60)
_TALLEST = 1.1
"""Of a picture in widths of its column: two columns on A4 make it 9 cm high."""


@dataclass(frozen=True)
class Picture:
    """A picture inside the page."""

    uri: str
    """A ``data:`` address with the JPEG."""
    width_px: int
    """Of the embedded picture."""
    height_px: int
    """Of the embedded picture."""
    mm_per_px: float | None = None
    """Of the embedded picture; None if the file does not state its scale."""


def inside(directory: Path, relative: str) -> Path | None:
    """The file that a table names, None if it is missing or lies outside the directory.

    Tables name files with ``/`` on every system.
    """
    if not relative:
        return None
    parts = PurePosixPath(relative.replace("\\", "/")).parts
    root = Path(os.path.realpath(directory))
    path = Path(os.path.realpath(root.joinpath(*parts)))
    return path if path.is_relative_to(root) and path.is_file() else None


def embed(path: Path, budget_bytes: int) -> Picture | None:
    """Shrink a picture until it fits its share of the page.

    Args:
        path: a PNG or JPEG file.
        budget_bytes: for the compressed picture.

    Returns:
        The picture; None if the file is not a picture (the page says so then).
    """
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
            scale = _stated_scale(opened.info.get("mm_per_px"))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return None
    width, jpeg = _largest_jpeg(image, budget_bytes)
    text = base64.b64encode(jpeg).decode("ascii")
    shrunk = None if scale is None else scale * image.width / width
    height = _height(image, width)
    return Picture(f"data:image/jpeg;base64,{text}", width, height, shrunk)


def _height(image: Image.Image, width: int) -> int:
    return max(1, round(image.height * width / image.width))


def _largest_jpeg(image: Image.Image, budget_bytes: int) -> tuple[int, bytes]:
    """The widest JPEG that fits in its worst quality, in the best quality in which it fits."""
    widths = [min(_WIDEST_PX, image.width)]
    while widths[-1] > _NARROWEST_PX:
        widths.append(max(_NARROWEST_PX, int(widths[-1] * 0.8)))

    @cache
    def small(step: int) -> Image.Image:
        size = (widths[step], _height(image, widths[step]))
        return image.resize(size, Image.Resampling.LANCZOS)

    @cache
    def jpeg(step: int, quality: int) -> bytes:
        stream = io.BytesIO()
        # full colour resolution: a one-pixel contour would bleed into its surroundings
        small(step).save(stream, "JPEG", quality=quality, subsampling=0, optimize=True)
        return stream.getvalue()

    best, middle, worst = _QUALITIES
    last, step = len(widths) - 1, 0
    if len(jpeg(0, best)) <= budget_bytes:
        return widths[0], jpeg(0, best)
    if len(jpeg(0, worst)) > budget_bytes:
        # a guess saves trying every width: bytes fall about as pixels do
        guess = widths[0] * math.sqrt(budget_bytes / len(jpeg(0, worst)))
        step = next((n for n in range(1, last) if widths[n] <= guess), last)
        while step < last and len(jpeg(step, worst)) > budget_bytes:
            step += 1
        while step > 1 and len(jpeg(step - 1, worst)) <= budget_bytes:
            step -= 1
    if len(jpeg(step, worst)) > budget_bytes:
        return widths[step], jpeg(step, worst)  # the narrowest: more would hide the outline
    fitting = (quality for quality in (best, middle) if len(jpeg(step, quality)) <= budget_bytes)
    return widths[step], jpeg(step, next(fitting, worst))


def _stated_scale(text: object) -> float | None:
    """The text chunk ``mm_per_px`` of a picture as a number, None if it is not a scale."""
    try:
        value = float(str(text))
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def widths_at_one_scale(pictures: Sequence[Picture]) -> list[float | None]:
    """How wide pictures side by side must be so that a millimetre is as long in each.

    Args:
        pictures: those of one subject, in columns of equal width.

    Returns:
        For each the width in per cent of its column, None if its scale is not known. The widest
        fills its column, unless the tallest would then be higher than :data:`_TALLEST` columns.
    """
    known = [p for p in pictures if p.mm_per_px is not None]
    widest_mm = max((p.width_px * (p.mm_per_px or 0) for p in known), default=0.0)
    tallest_mm = max((p.height_px * (p.mm_per_px or 0) for p in known), default=0.0)
    column_mm = max(widest_mm, tallest_mm / _TALLEST)
    return [
        None if p.mm_per_px is None else 100 * p.width_px * p.mm_per_px / column_mm
        for p in pictures
    ]


def share_bytes(pictures: int) -> int:
    """What one of so many pictures may take."""
    return min(180_000, BUDGET_BYTES // max(1, pictures))
