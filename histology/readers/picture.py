"""Read photographed fields and exported tiles (PNG, JPEG, BMP), which state no pixel size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ...errors import SlideError
from ..slide import RgbImage, SlideContent, SlideLevel, refuse_other_images
from .jpeg_damage import find_damage
from .pixels import full_scale, on_white, to_8_bit

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")

_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")
_NAMES = ("PNG", "JPEG", "BMP")


class ArrayReader:
    """Regions of a picture held in memory."""

    def __init__(self, rgb: RgbImage) -> None:
        self._rgb = rgb

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RgbImage:
        """See :class:`fibrovol.histology.slide.LevelReader`; there is one level."""
        assert level == 0
        return self._rgb[y : y + height, x : x + width]

    def close(self) -> None:
        """Nothing is held open."""


def accepts(path: Path) -> bool:
    """Whether the first bytes are those of a PNG, JPEG or BMP."""
    return path.is_file() and _magic_index(path) is not None


def open_content(path: Path, image: int | None = None) -> SlideContent:
    """Read the picture; a transparent pixel becomes white, as a viewer shows it.

    Raises:
        SlideError: ``unreadable_slide``: damaged, or grey.
    """
    refuse_other_images(path, image)
    index = _magic_index(path)
    assert index is not None
    # imdecode on bytes, not imread: OpenCV on Windows cannot open non-ASCII paths
    data = path.read_bytes()
    encoded = np.frombuffer(data, dtype=np.uint8)
    flags = cv2.IMREAD_UNCHANGED if _NAMES[index] == "PNG" else cv2.IMREAD_COLOR
    decoded = cv2.imdecode(encoded, flags)
    is_jpeg = _NAMES[index] == "JPEG"
    harm = find_damage(data) if is_jpeg and decoded is not None else None
    if decoded is None or harm or (is_jpeg and not _jpeg_is_complete(encoded)):
        raise SlideError(
            "unreadable_slide",
            f"The picture {path.name} is damaged and cannot be decoded",
            found=f"{_NAMES[index]} of {len(encoded)} bytes" + (f": {harm}" if harm else ""),
            do="copy or export it again",
        )
    rgb = _to_rgb(path, np.asarray(decoded))
    height, width = rgb.shape[:2]
    return SlideContent(
        reader=ArrayReader(rgb),
        levels=(SlideLevel(width, height, 1.0),),
        mpp_um=None,  # dpi in a picture is a printing size, not a microscope's
        format_name=_NAMES[index],
        mpp_found=f"a {_NAMES[index]} picture, which states no microscope pixel size",
    )


def _to_rgb(path: Path, decoded: np.ndarray) -> RgbImage:
    if decoded.ndim == 2 or decoded.shape[2] not in (3, 4):
        raise SlideError(
            "unreadable_slide",
            f"{path.name} is grey; stains are identified by their colours",
            found=f"{decoded.dtype} array of shape {decoded.shape}",
            do="export the field as an RGB picture",
        )
    whole = to_8_bit(decoded, 255 if decoded.dtype == np.uint8 else full_scale(int(decoded.max())))
    rgb = np.ascontiguousarray(whole[..., 2::-1])
    return rgb if whole.shape[2] == 3 else on_white(rgb, whole[..., 3:])


def _jpeg_is_complete(encoded: np.ndarray) -> bool:
    # libjpeg fills a truncated picture with grey without an error; the end marker tells
    return bytes(encoded[-1024:]).rfind(b"\xff\xd9") >= 0


def _magic_index(path: Path) -> int | None:
    with path.open("rb") as stream:
        head = stream.read(8)
    return next((i for i, magic in enumerate(_MAGIC) if head.startswith(magic)), None)
