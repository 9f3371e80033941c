"""The overlays of the cases as small pictures inside the page."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image, UnidentifiedImageError

BUDGET_BYTES = 9_000_000  # for all pictures together: the page stays below 15 MB after base64
_WIDEST_PX = 1000
_NARROWEST_PX = 320


@dataclass(frozen=True)
class Picture:
    """A picture inside the page.

    Attributes:
        uri: a ``data:`` address with the JPEG.
        width_px: of the embedded picture.
        height_px: of the embedded picture.
    """

    uri: str
    width_px: int
    height_px: int


def inside(directory: Path, relative: str) -> Path | None:
    """The file that a table names, None where it is missing or lies outside the directory.

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
        The picture; None where the file is no picture (the page says so then).
    """
    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return None
    width = min(_WIDEST_PX, image.width)
    while True:
        height = max(1, round(image.height * width / image.width))
        small = image.resize((width, height), Image.Resampling.LANCZOS)
        for quality in (85, 75, 60):
            stream = io.BytesIO()
            # full colour resolution: a one-pixel contour would bleed into its surroundings
            small.save(stream, "JPEG", quality=quality, subsampling=0, optimize=True)
            if stream.tell() <= budget_bytes:
                break
        if stream.tell() <= budget_bytes or width <= _NARROWEST_PX:
            text = base64.b64encode(stream.getvalue()).decode("ascii")
            return Picture(f"data:image/jpeg;base64,{text}", width, height)
        width = max(_NARROWEST_PX, int(width * 0.8))


def share_bytes(pictures: int) -> int:
    """What one of so many pictures may take."""
    return min(180_000, BUDGET_BYTES // max(1, pictures))
