"""JPEG tiles decoded at a half, a quarter or an eighth of their size.

Between two levels of a pyramid there often is none of the wanted pixel size: Aperio's step is four.
JPEG keeps blocks of 8 x 8 pixels as frequencies, of which the decoder can leave the upper ones out
(libjpeg's scaled decoding): the smaller picture comes without decoding and averaging the large one.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ..slide import RgbImage

#: Factors, and OpenCV's flag for each: those of grey pictures, because those of colour mean BGR.
REDUCTIONS = {
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}
_START, _END = b"\xff\xd8", b"\xff\xd9"
#: TIFF's numbers for the compression, and for colours kept as red, green and blue.
JPEG, _RGB = 7, 2
#: A tile's last bytes, among which the marker of its end stands; some writers fill up behind it.
_TAIL_BYTES = 64
#: How far a reduced tile may lie from the mean of the full one, in the mean over its pixels: other
#: than by noise only where the two decoders take the tile's colours for different ones.
_ALIKE = 6.0


def is_whole(data: bytes) -> bool:
    """Whether a tile continues to its end; a decoder that is not asked fills up what is missing."""
    return _END in data[-_TAIL_BYTES:]


def can_reduce(page: Any) -> bool:
    """Whether the tiles of a TIFF page are JPEG and of a size that all reductions divide."""
    sides = (page.tilewidth, page.tilelength) if page.is_tiled else ()
    return bool(
        page.compression == JPEG
        and page.samplesperpixel == len("RGB")
        and sides
        and all(side % max(REDUCTIONS) == 0 for side in sides)
    )


def decode_reduced(data: bytes, page: Any, factor: int) -> RgbImage | None:
    """A tile at ``1 / factor`` of its size.

    Args:
        data: the tile as it stands in the file.
        page: its TIFF page (tables common to all tiles, and the colours they are kept in).
        factor: one of :data:`REDUCTIONS`.

    Returns:
        Shape (height / factor, width / factor, 3); None if it is cut short or damaged.
    """
    tables = page.jpegtables
    body = data[len(_START) :]
    if tables is not None:
        body = tables[len(_START) : -len(_END)] + body
    # Adobe's marker says whether the three channels are red, green, blue or brightness and colour
    transform = 0 if page.photometric == _RGB else 1
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])
    whole = np.frombuffer(_START + adobe + body, dtype=np.uint8)
    flags = REDUCTIONS[factor] | cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    out = cv2.imdecode(whole, flags)
    if out is None or out.shape[:2] != (page.tilelength // factor, page.tilewidth // factor):
        return None
    return np.asarray(out, dtype=np.uint8)


def decodes_alike(reduced: RgbImage | None, full: RgbImage) -> bool:
    """Whether a reduced tile shows what the full one shows."""
    if reduced is None:
        return False
    height, width = reduced.shape[:2]
    mean = cv2.resize(full, (width, height), interpolation=cv2.INTER_AREA)
    return float(np.abs(mean.astype(np.int16) - reduced).mean()) <= _ALIKE
