"""3DHISTECH MIRAX (MRXS): a JPEG preview, and a folder with a text file, an index and the pixels.

The camera takes photos that overlap a little and records where each was taken; a photo is stored
as 2 x 2 images. A coarser level joins 2 x 2 images of the finer one, whatever their overlap. Photos
of bare glass are left out.

Facts from https://openslide.org/formats/mirax/ and src/openslide-vendor-mirax.c.
"""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .pictures import Rgb, jpeg, macro_picture, widened

SLIDE_ID = "0123456789ABCDEF0123456789ABCDEF"
_IMAGE = 256
_DIVISIONS = 2
_PHOTO = _IMAGE * _DIVISIONS
_OVERLAP = 32
#: Shares of photos' positions that differ from the regular grid, in pixels, as on a real stage.
_JITTER = 3

Place = tuple[int, int]  # column and row of an image


def photo_grid(rgb: Rgb) -> tuple[int, int]:
    """Rows and columns of photos that cover a picture."""
    rows, columns = (-(-(n - _OVERLAP) // (_PHOTO - _OVERLAP)) for n in rgb.shape[:2])
    return rows, columns


def write_mrxs(
    path: Path,
    rgb: Rgb,
    mpp_um: tuple[float, float],
    *,
    scanned: NDArray[np.bool_] | None = None,
    fill_rgb: tuple[int, int, int] = (255, 255, 255),
    levels: int = 3,
    slide_type: str = "SLIDE_TYPE_BRIGHTFIELD",
    jitter: bool = True,
) -> Path:
    """Write a MIRAX slide.

    Args:
        path: the .mrxs file; its folder is made beside it.
        rgb: the picture.
        mpp_um: pixel size along x and y.
        scanned: which photos there are, shape ``photo_grid(rgb)``; all where None.
        fill_rgb: the colour of what was never scanned.
        levels: number of levels, each half the one before.
        slide_type: the scanner's word for what kind of slide it is.
        jitter: whether photos lie a few pixels off their regular places.
    """
    rows, columns = photo_grid(rgb)
    scanned = np.ones((rows, columns), bool) if scanned is None else scanned
    positions = _positions(rows, columns, jitter)
    level = _finest(rgb, scanned, positions)
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    hierarchy: list[list[tuple[int, int, int, int]]] = []
    for number in range(levels):
        items = []
        data = bytearray(_data_header(number + 1))
        for (x, y), image in sorted(level.items(), key=lambda item: (item[0][1], item[0][0])):
            encoded = jpeg(image)
            items.append((y * columns * _DIVISIONS + x, len(data), len(encoded), number + 1))
            data += encoded
        (folder / data_file(number + 1)).write_bytes(data)
        hierarchy.append(items)
        level = _coarser(level, 2 ** (number + 1), fill_rgb)
    others = bytearray(_data_header(0))
    records = []
    for content in (
        jpeg(macro_picture()),
        jpeg(macro_picture(200, 200)),
        _position_buffer(positions, scanned),
    ):
        records.append((len(others), len(content), 0))
        others += content
    (folder / data_file(0)).write_bytes(others)
    (folder / "Index.dat").write_bytes(_index(hierarchy, records))
    text = _slidedat((rows, columns), mpp_um, fill_rgb, levels, slide_type)
    # with a byte-order mark, as the scanner writes it
    (folder / "Slidedat.ini").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    path.write_bytes(jpeg(macro_picture()))
    return path


def _positions(rows: int, columns: int, jitter: bool) -> NDArray[np.int32]:
    """Left and top of each photo, shape (rows, columns, 2)."""
    step = _PHOTO - _OVERLAP
    y, x = np.mgrid[0:rows, 0:columns]
    found = np.stack([x, y], axis=-1) * step
    if jitter:
        shifts = np.random.default_rng(0).integers(-_JITTER, _JITTER + 1, found.shape)
        found = np.maximum(found + shifts * (found > 0), 0)
    return found.astype(np.int32)


def _finest(rgb: Rgb, scanned: NDArray[np.bool_], positions: NDArray[np.int32]) -> dict[Place, Rgb]:
    rows, columns = scanned.shape
    # beyond the picture the camera sees on: more glass
    padded = widened(rgb, rows * _PHOTO, columns * _PHOTO)
    images = {}
    for row, column in np.argwhere(scanned):
        left, top = positions[row, column]
        for down in range(_DIVISIONS):
            for across in range(_DIVISIONS):
                x, y = left + across * _IMAGE, top + down * _IMAGE
                place = (int(column) * _DIVISIONS + across, int(row) * _DIVISIONS + down)
                images[place] = padded[y : y + _IMAGE, x : x + _IMAGE]
    return images


def _coarser(level: dict[Place, Rgb], concat: int, fill: tuple[int, int, int]) -> dict[Place, Rgb]:
    """Each image halved and joined 2 x 2; places stay those of the finest level."""
    half = _IMAGE // 2
    images: dict[Place, Rgb] = {}
    for (x, y), image in level.items():
        place = (x // concat * concat, y // concat * concat)
        if place not in images:
            images[place] = np.full((_IMAGE, _IMAGE, 3), fill, np.uint8)
        left = half * ((x - place[0]) * 2 // concat)
        top = half * ((y - place[1]) * 2 // concat)
        small = cv2.resize(image, (half, half), interpolation=cv2.INTER_AREA)
        images[place][top : top + half, left : left + half] = small
    return images


def data_file(number: int) -> str:
    """File 0 has the associated pictures and the positions, file n + 1 the images of level n."""
    return f"Data{number:04d}.dat"


def _data_header(number: int) -> bytes:
    return b"01.02" + SLIDE_ID.encode("ascii") + b"%03d" % number + bytes(256)


def _position_buffer(positions: NDArray[np.int32], scanned: NDArray[np.bool_]) -> bytes:
    flags = scanned.reshape(-1).tolist()
    places = positions.reshape(-1, 2).tolist()
    return b"".join(struct.pack("<Bii", f, x, y) for f, (x, y) in zip(flags, places, strict=True))


def _index(
    hierarchy: list[list[tuple[int, int, int, int]]], records: list[tuple[int, int, int]]
) -> bytes:
    """Index.dat: two tables of pointers to lists of pages, the first page of each being empty."""
    found = bytearray(b"01.02" + SLIDE_ID.encode("ascii") + bytes(8))
    roots = len(found) - 8
    pages = [
        struct.pack("<2i", len(items), 0) + b"".join(struct.pack("<4i", *item) for item in items)
        for items in hierarchy
    ]
    single = [struct.pack("<4i3i", 1, 0, 0, 0, *record) for record in records]
    for which, contents in enumerate((pages, single)):
        pointers = []
        for content in contents:
            pointers.append(len(found))
            found += struct.pack("<2i", 0, len(found) + 8) + content
        struct.pack_into("<i", found, roots + 4 * which, len(found))
        found += struct.pack(f"<{len(pointers)}i", *pointers)
    return bytes(found)


def _slidedat(
    grid: tuple[int, int],
    mpp_um: tuple[float, float],
    fill_rgb: tuple[int, int, int],
    levels: int,
    slide_type: str,
) -> str:
    rows, columns = grid
    red, green, blue = fill_rgb
    lines = [
        "[GENERAL]",
        "SLIDE_VERSION = 01.02",
        f"SLIDE_ID = {SLIDE_ID}",
        f"SLIDE_TYPE = {slide_type}",
        f"IMAGENUMBER_X = {columns * _DIVISIONS}",
        f"IMAGENUMBER_Y = {rows * _DIVISIONS}",
        "OBJECTIVE_MAGNIFICATION = 20",
        f"CameraImageDivisionsPerSide = {_DIVISIONS}",
        "CURRENT_SLIDE_VERSION = 1.9",
        "[HIERARCHICAL]",
        "HIER_COUNT = 1",
        "NONHIER_COUNT = 2",
        "INDEXFILE = Index.dat",
        "HIER_0_NAME = Slide zoom level",
        f"HIER_0_COUNT = {levels}",
        *(f"HIER_0_VAL_{n}_SECTION = LAYER_0_LEVEL_{n}_SECTION" for n in range(levels)),
        "NONHIER_0_NAME = Scan data layer",
        "NONHIER_0_COUNT = 2",
        "NONHIER_0_VAL_0 = ScanDataLayer_SlideThumbnail",
        "NONHIER_0_VAL_0_SECTION = NONHIERLAYER_0_LEVEL_0_SECTION",
        "NONHIER_0_VAL_1 = ScanDataLayer_SlideBarcode",
        "NONHIER_0_VAL_1_SECTION = NONHIERLAYER_0_LEVEL_1_SECTION",
        "NONHIER_1_NAME = VIMSLIDE_POSITION_BUFFER",
        "NONHIER_1_COUNT = 1",
        "NONHIER_1_VAL_0 = default",
        "NONHIER_1_VAL_0_SECTION = NONHIERLAYER_1_LEVEL_0_SECTION",
        "[DATAFILE]",
        f"FILE_COUNT = {levels + 1}",
        *(f"FILE_{n} = {data_file(n)}" for n in range(levels + 1)),
        "[NONHIERLAYER_0_LEVEL_0_SECTION]",
        "THUMBNAIL_IMAGE_TYPE = JPEG",
        "[NONHIERLAYER_0_LEVEL_1_SECTION]",
        "BARCODE_IMAGE_TYPE = JPEG",
        "[NONHIERLAYER_1_LEVEL_0_SECTION]",
        "VIMSLIDE_POSITION_DATA_FORMAT_VERSION = 257",
    ]
    for number in range(levels):
        overlap = _OVERLAP / 2**number
        lines += [
            f"[LAYER_0_LEVEL_{number}_SECTION]",
            f"OVERLAP_X = {overlap:g}",
            f"OVERLAP_Y = {overlap:g}",
            f"MICROMETER_PER_PIXEL_X = {mpp_um[0] * 2**number:.9g}",
            f"MICROMETER_PER_PIXEL_Y = {mpp_um[1] * 2**number:.9g}",
            "IMAGE_FORMAT = JPEG",
            f"IMAGE_FILL_COLOR_BGR = {blue << 16 | green << 8 | red}",
            f"DIGITIZER_WIDTH = {_IMAGE}",
            f"DIGITIZER_HEIGHT = {_IMAGE}",
            f"IMAGE_CONCAT_FACTOR = {min(number, 1)}",
        ]
    return "\n".join([*lines, ""])
