"""Slides for the page: tiles of the picture at any zoom, and of the masks as layers over it.

Levels are those of DeepZoom: the highest is level 0 of the slide, each lower one half as large.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from ..errors import InputError, RegionError
from ..files import Closing
from ..histology.readers import open_slide
from ..histology.slide import Slide
from ..histology.tiles.grid import plan_grid
from ..histology.tiles.tiles import read_overview
from .results import ReadCase, Results

TILE_PX = 512
LAYERS = ("collagen", "tissue")
_OVERVIEW_PX = 2048
_KEPT = 4
_JPEG_QUALITY = 85
_COLLAGEN_BGR, _OUTSIDE_BGR = (80, 170, 0), (60, 60, 60)
_COLLAGEN_ALPHA, _OUTSIDE_ALPHA, _FAINTEST_ALPHA = 150, 140, 60


_WHITE_PX, _UNEVEN, _DARKEST_WHITE = 24, 16.0, 100.0
"""Of picking white: the side of what is looked at; how much it may vary; how dark it may be."""


def _no_glass(found: str) -> RegionError:
    return RegionError(
        "bad_region", "This is not empty glass", found=found, do="click where nothing lies on it"
    )


class OpenSlide:
    """A slide that is read tile by tile.

    Args:
        slide: as its reader gives it.
        mask: the case's mask file, None for a failed case.
    """

    def __init__(self, slide: Slide, mask: Path | None) -> None:
        self._slide, self._lock = slide, threading.Lock()
        self._overview: NDArray[np.uint8] | None = None
        self._overview_scale = math.inf
        self.mask = None if mask is None else MaskTiles(mask, slide.mpp_um)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._slide.close()
            if self.mask is not None:
                self.mask.close()

    def info(self) -> dict[str, Any]:
        """Sizes, for the page."""
        width, height = self._slide.size_px
        mask = self.mask
        return {
            "width": width,
            "height": height,
            "tile": TILE_PX,
            "mpp_um": self._slide.mpp_um,
            "layers": list(LAYERS) if mask else [],
            # the mask's whole width in level-0 pixels: it need not be the slide's to the pixel
            "mask_width": mask.width_px * mask.scale if mask else 0,
            "mask_px": [mask.width_px, mask.height_px] if mask else [0, 0],
        }

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the finest level."""
        return self._slide.size_px

    @property
    def origin_px(self) -> tuple[int, int]:
        """Where the slide's corner is on the whole glass."""
        return self._slide.origin_px

    def white_at(self, x: float, y: float) -> tuple[float, float, float]:
        """Red, green and blue of the empty glass round a place.

        Args:
            x: of the place, pixels of the finest level.
            y: likewise.

        Raises:
            RegionError: ``bad_region``: it is not on the slide, or not empty glass.
        """
        width, height = self.size_px
        if not (0 <= x < width and 0 <= y < height):
            raise _no_glass("a place beside the slide")
        side = max(8, min(_WHITE_PX, width, height))
        left = int(min(max(0, x - side / 2), max(0, width - side)))
        top = int(min(max(0, y - side / 2), max(0, height - side)))
        with self._lock:
            rgb = self._slide.read_region(0, left, top, min(side, width), min(side, height))
        pixels = rgb.reshape(-1, 3).astype(np.float64)
        red, green, blue = (float(value) for value in np.median(pixels, axis=0))
        spread = float(np.percentile(np.abs(pixels - (red, green, blue)).max(axis=1), 90))
        if spread > _UNEVEN:
            raise _no_glass(f"tissue or dirt: its pixels differ by {spread:.0f} of 255")
        if min(red, green, blue) < _DARKEST_WHITE:
            raise _no_glass(f"a place as dark as {red:.0f}, {green:.0f}, {blue:.0f}")
        return red, green, blue

    def tile(self, level: int, column: int, row: int) -> bytes:
        """One tile as JPEG.

        Raises:
            KeyError: there is no such tile.
            SlideError: the pixels cannot be decoded.
        """
        width, height = self._slide.size_px
        scale = _scale(level, width, height)
        x, y, w, h = _box(column, row, scale, width, height)
        with self._lock:
            rgb = self._read(x, y, w, h, scale)
        size = (math.ceil(w / scale), math.ceil(h / scale))
        if rgb.shape[1::-1] != size:
            rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        return bytes(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1])

    def _read(self, x: int, y: int, w: int, h: int, scale: float) -> NDArray[np.uint8]:
        levels = self._slide.levels
        if scale * 1.01 >= self._coarsest():
            return self._from_overview(x, y, w, h)
        number = max(
            (n for n, level in enumerate(levels) if level.downsample <= scale * 1.01),
            key=lambda n: levels[n].downsample,
        )
        level = levels[number]
        left, top = round(x / level.downsample), round(y / level.downsample)
        right = min(level.width_px, max(left + 1, round((x + w) / level.downsample)))
        bottom = min(level.height_px, max(top + 1, round((y + h) / level.downsample)))
        return self._slide.read_region(number, left, top, right - left, bottom - top)

    def _coarsest(self) -> float:
        """From which scale on the overview is as good."""
        return max(1.0, max(self._slide.size_px) / _OVERVIEW_PX)

    def _from_overview(self, x: int, y: int, w: int, h: int) -> NDArray[np.uint8]:
        if self._overview is None:
            grid = plan_grid(self._slide, self._slide.mpp_um * self._coarsest())
            self._overview = read_overview(self._slide, grid)
        tall, wide = self._overview.shape[:2]
        across, down = wide / self._slide.size_px[0], tall / self._slide.size_px[1]
        left, top = int(x * across), int(y * down)
        right = min(wide, max(left + 1, math.ceil((x + w) * across)))
        bottom = min(tall, max(top + 1, math.ceil((y + h) * down)))
        return self._overview[top:bottom, left:right]


class MaskTiles:
    """A mask (0 background, 1 tissue, 2 collagen) read tile by tile from its pyramid.

    Args:
        path: an OME-TIFF as Fibrovol writes it.
        slide_mpp_um: of the slide's level 0.

    Raises:
        InputError: ``input_missing``: it cannot be read.
    """

    def __init__(self, path: Path, slide_mpp_um: float) -> None:
        opened: tifffile.TiffFile | None = None
        try:
            self._file = opened = tifffile.TiffFile(path)
            self._levels = [level.keyframe for level in self._file.series[0].levels]
            found = tifffile.xml2dict(self._file.ome_metadata or "")
            mpp = float(found["OME"]["Image"]["Pixels"]["PhysicalSizeX"])
        except Exception as error:
            if opened is not None:
                opened.close()
            raise InputError(
                "input_missing",
                "The mask of this slide cannot be read",
                found=f"{path.name}: {type(error).__name__}",
                do="take it from a backup, or run the study again",
            ) from error
        self._lock = threading.Lock()
        self.height_px, self.width_px = self._levels[0].shape
        self.scale = mpp / slide_mpp_um

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def tile(self, layer: str, level: int, column: int, row: int) -> bytes:
        """One tile of a layer as PNG; what is covered in part is fainter, but never gone.

        Raises:
            KeyError: there is no such tile or layer.
        """
        if layer not in LAYERS:
            raise KeyError(layer)
        scale = _scale(level, self.width_px, self.height_px)
        x, y, w, h = _box(column, row, scale, self.width_px, self.height_px)
        size = (math.ceil(w / scale), math.ceil(h / scale))
        # only level 0 has every thin line: coarser levels of the mask take every second pixel
        parts = []
        step = max(1, min(h, (1 << 22) // max(1, w)))
        step = max(1, round(step / scale)) * round(scale)
        for top in range(y, y + h, step):
            with self._lock:
                values = self._read(x, top, w, min(step, y + h - top))
            inside = values == 2 if layer == "collagen" else values == 0
            rows = math.ceil(inside.shape[0] / scale)
            share = cv2.resize(
                inside.astype(np.float32), (size[0], rows), interpolation=cv2.INTER_AREA
            )
            parts.append(share)
        return _coloured(np.vstack(parts)[: size[1]], layer)

    def _read(self, x: int, y: int, w: int, h: int) -> NDArray[np.uint8]:
        """A region of level 0, from the file's tiles."""
        page = self._levels[0]
        tall, wide = page.tile
        across = math.ceil(self.width_px / wide)
        out = np.zeros((h, w), np.uint8)
        for j in range(y // tall, (y + h - 1) // tall + 1):
            for i in range(x // wide, (x + w - 1) // wide + 1):
                number = j * across + i
                if not page.databytecounts[number]:
                    continue
                handle = self._file.filehandle
                handle.seek(page.dataoffsets[number])
                packed = handle.read(page.databytecounts[number])
                tile = page.decode(packed, number)[0]
                if tile is None:
                    continue
                pixels = np.asarray(tile).reshape(tile.shape[-3:-1])
                left, top = i * wide, j * tall
                x0, y0 = max(x, left), max(y, top)
                x1 = min(x + w, left + pixels.shape[1])
                y1 = min(y + h, top + pixels.shape[0])
                if x1 > x0 and y1 > y0:
                    part = pixels[y0 - top : y1 - top, x0 - left : x1 - left]
                    out[y0 - y : y1 - y, x0 - x : x1 - x] = part
        return out


def _coloured(share: NDArray[np.float32], layer: str) -> bytes:
    collagen = layer == "collagen"
    strongest = _COLLAGEN_ALPHA if collagen else _OUTSIDE_ALPHA
    alpha = share * strongest
    if collagen:
        alpha = np.where(share > 0, np.maximum(alpha, _FAINTEST_ALPHA), 0)
    out = np.empty((*share.shape, 4), np.uint8)
    out[..., :3] = _COLLAGEN_BGR if collagen else _OUTSIDE_BGR
    out[..., 3] = alpha.round()
    return bytes(cv2.imencode(".png", out, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def _scale(level: int, width: int, height: int) -> float:
    top = math.ceil(math.log2(max(width, height, 2)))
    if not 0 <= level <= top:
        raise KeyError(level)
    return float(2 ** (top - level))


def _box(column: int, row: int, scale: float, width: int, height: int) -> tuple[int, int, int, int]:
    x, y = round(column * TILE_PX * scale), round(row * TILE_PX * scale)
    if column < 0 or row < 0 or x >= width or y >= height:
        raise KeyError((column, row))
    return x, y, min(round(TILE_PX * scale), width - x), min(round(TILE_PX * scale), height - y)


class SlideShelf(Closing):
    """The slides looked at last, kept open until it is closed; use it in a ``with`` block."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], OpenSlide] = OrderedDict()

    def get(self, case: ReadCase) -> OpenSlide:
        """The slide of a case.

        Raises:
            InputError: it is not there.
            SlideError: it cannot be read.
        """
        key = (case.case_id, case.mask_sha256)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._open(case)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)[1].close()
            self._kept.move_to_end(key)
            return self._kept[key]

    def close(self) -> None:
        """Close every slide."""
        with self._lock:
            while self._kept:
                self._kept.popitem()[1].close()

    def _open(self, case: ReadCase) -> OpenSlide:
        path = self._results.input_path(case.case_id)
        mpp, image = case.row["mpp_um"], case.row.get("image")
        slide = open_slide(
            path,
            mpp_um=None if mpp is None else float(mpp),
            image=None if image in (None, "") else int(str(image)),
        )
        name = str(case.row["mask_path"] or "")
        mask = (self._results.directory / name).resolve() if name else None
        if mask is not None and not mask.is_relative_to(self._results.directory.resolve()):
            mask = None
        try:
            return OpenSlide(slide, mask)
        except InputError:
            slide.close()
            raise
