"""Hamamatsu NDPI and VMS.

NDPI is a classic TIFF whose offsets go on in 64 bits: the header's and each directory's offset of
the next directory are eight bytes long, and the upper halves of the entries' values stand behind
the directory. A level is one JPEG in one strip, with restart markers that the private tag 65426
lists. Tag 65421 is the lens: above 0 a level, -1 the macro picture, -2 a map of what was scanned.
VMS is a text file that names JPEG files beside it.

Facts from https://openslide.org/formats/hamamatsu/ and src/openslide-vendor-hamamatsu.c.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .pictures import Rgb, jpeg, macro_picture, pyramid

_ASCII, _SHORT, _LONG, _RATIONAL, _SLONG, _FLOAT = 2, 3, 4, 5, 9, 11
_SIZES = {_ASCII: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8, _SLONG: 4, _FLOAT: 4}
_TILE_WIDTH = 256
_CENTIMETER, _NO_UNIT = 3, 1

Entry = tuple[int, int, int, bytes]  # tag, type, count, value


def write_ndpi(
    path: Path,
    rgb: Rgb,
    mpp_um: tuple[float, float] | None,
    *,
    levels: int = 3,
    macro: bool = True,
    scan_map: bool = True,
    restart_markers: bool = True,
) -> Path:
    """Write an NDPI file.

    Args:
        path: where.
        rgb: the picture; with restart markers its width must be a multiple of 256 x 2**(levels-1)
            and its height of 8 x 2**(levels-1), as a scanner's is.
        mpp_um: pixel size along x and y; None writes a resolution without a unit.
        levels: number of levels, each half the one before.
        macro: whether there is a macro picture (lens -1).
        scan_map: whether there is a map of the scanned part (lens -2).
        restart_markers: whether the levels can be read in parts.
    """
    pages: list[tuple[Rgb, float, bool]] = [
        (level, 20.0 / 2**number, restart_markers)
        for number, level in enumerate(pyramid(rgb, levels))
    ]
    if macro:
        pages.append((macro_picture(), -1.0, False))
    if scan_map:
        pages.append((np.full((32, 64, 3), 255, np.uint8), -2.0, False))
    with path.open("wb") as stream:
        stream.write(b"II" + struct.pack("<HQ", 42, 0))
        link = 4  # where the offset of the next directory is written
        for picture, lens, tiled in pages:
            link = _write_page(stream, link, picture, lens, tiled, mpp_um)
    return path


def _write_page(
    stream: BinaryIO,
    link: int,
    picture: Rgb,
    lens: float,
    tiled: bool,
    mpp_um: tuple[float, float] | None,
) -> int:
    rows, columns = picture.shape[:2]
    if tiled:
        assert columns % _TILE_WIDTH == 0
        assert rows % 8 == 0
    encoded = jpeg(picture, restart_interval=_TILE_WIDTH // 8 if tiled else 0)
    strip = stream.seek(0, 2)
    stream.write(encoded)
    per_unit = [1e4 / m for m in mpp_um] if mpp_um else [1.0, 1.0]
    entries: list[Entry] = [
        (256, _LONG, 1, struct.pack("<I", columns)),
        (257, _LONG, 1, struct.pack("<I", rows)),
        (258, _SHORT, 3, struct.pack("<3H", 8, 8, 8)),
        (259, _SHORT, 1, struct.pack("<H", 7)),
        (262, _SHORT, 1, struct.pack("<H", 6)),
        _text(271, "Hamamatsu"),
        _text(272, "NanoZoomer"),
        (273, _LONG, 1, struct.pack("<I", strip)),
        (277, _SHORT, 1, struct.pack("<H", 3)),
        (278, _LONG, 1, struct.pack("<I", rows)),
        (279, _LONG, 1, struct.pack("<I", len(encoded))),
        (282, _RATIONAL, 1, struct.pack("<2I", round(per_unit[0] * 1000), 1000)),
        (283, _RATIONAL, 1, struct.pack("<2I", round(per_unit[1] * 1000), 1000)),
        (296, _SHORT, 1, struct.pack("<H", _CENTIMETER if mpp_um else _NO_UNIT)),
        _text(305, "NDP.scan"),
        (65420, _LONG, 1, struct.pack("<I", 1)),
        (65421, _FLOAT, 1, struct.pack("<f", lens)),
        (65422, _SLONG, 1, struct.pack("<i", 0)),
        (65423, _SLONG, 1, struct.pack("<i", 0)),
        (65424, _SLONG, 1, struct.pack("<i", 0)),
    ]
    if tiled:
        starts = restart_positions(encoded)
        entries.append((65426, _LONG, len(starts), struct.pack(f"<{len(starts)}I", *starts)))
    return _write_directory(stream, link, entries)


def _text(tag: int, text: str) -> Entry:
    return tag, _ASCII, len(text) + 1, text.encode("ascii") + b"\0"


def _write_directory(stream: BinaryIO, link: int, entries: list[Entry]) -> int:
    """Write a directory at the end and link it; returns where the next one is to be linked."""
    values = []
    for _, kind, count, value in entries:
        assert len(value) == _SIZES[kind] * count
        if len(value) <= 4 and kind != _ASCII:  # text is never stored inline
            values.append(value.ljust(4, b"\0"))
        else:
            values.append(struct.pack("<I", stream.seek(0, 2)))
            stream.write(value)
    start = stream.seek(0, 2)
    stream.write(struct.pack("<H", len(entries)))
    for (tag, kind, count, _), value in zip(entries, values, strict=True):
        stream.write(struct.pack("<HHI", tag, kind, count) + value)
    here = stream.tell()
    stream.write(struct.pack("<Q", 0))
    stream.write(b"\0\0\0\0" * len(entries))
    stream.seek(link)
    stream.write(struct.pack("<Q", start))
    return here


def restart_positions(encoded: bytes) -> list[int]:
    """Where each part of a JPEG between restart markers begins, the first after the header."""
    position = 2
    while encoded[position : position + 2] != b"\xff\xda":
        position += 2 + int.from_bytes(encoded[position + 2 : position + 4], "big")
    position += 2 + int.from_bytes(encoded[position + 2 : position + 4], "big")
    data = np.frombuffer(encoded, np.uint8)
    marks = np.flatnonzero((data[:-1] == 0xFF) & (data[1:] >= 0xD0) & (data[1:] <= 0xD7))
    return [position, *(int(mark) + 2 for mark in marks if mark >= position)]


def write_vms(path: Path, rgb: Rgb, mpp_um: tuple[float, float] | None) -> Path:
    """Write a VMS slide: two JPEG files side by side, a map and a macro picture.

    Args:
        path: the .vms file; its pictures are put beside it.
        rgb: the picture; its width must be a multiple of 512, its height of 64.
        mpp_um: pixel size along x and y, or None.
    """
    rows, columns = rgb.shape[:2]
    assert columns % (2 * _TILE_WIDTH) == 0
    assert rows % 64 == 0
    half = columns // 2
    interval = _TILE_WIDTH // 8
    small = pyramid(rgb, 2, step=8)[1]
    pictures = {
        "": jpeg(rgb[:, :half], restart_interval=interval),
        "(1,0)": jpeg(rgb[:, half:], restart_interval=interval),
        "map": jpeg(small, restart_interval=small.shape[1] // 8),
        "macro": jpeg(macro_picture()),
    }
    names = {key: f"{path.stem}{key}.jpg" for key in pictures}
    for key, encoded in pictures.items():
        path.with_name(names[key]).write_bytes(encoded)
    lines = ["[Virtual Microscope Specimen]", "NoLayers=1", "NoJpegColumns=2", "NoJpegRows=1"]
    lines += [f"ImageFile={names['']}", f"ImageFile(1,0)={names['(1,0)']}"]
    lines += [f"MapFile={names['map']}", f"MacroImage={names['macro']}", "SourceLens=20"]
    if mpp_um:
        lines.append(f"PhysicalWidth={round(columns * mpp_um[0] * 1000)}")
        lines.append(f"PhysicalHeight={round(rows * mpp_um[1] * 1000)}")
    path.write_text("\r\n".join([*lines, ""]), encoding="ascii", newline="")
    return path
