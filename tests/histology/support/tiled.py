"""Vendors' formats on top of tiled TIFF: Leica SCN, Ventana BIF, Trestle and Philips TIFF.

Facts from https://openslide.org/formats/{leica,ventana,trestle,philips}/ and the drivers
src/openslide-vendor-{leica,ventana,trestle,philips-tiff}.c.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from .pictures import QUALITY, Rgb, macro_picture, pyramid, widened

_TILE = 256
_XMP = 700


def _page(rgb: Rgb, mpp_um: tuple[float, float] | None, **extra: Any) -> dict[str, Any]:
    """How tifffile writes a tiled JPEG page."""
    return {
        "data": rgb,
        "tile": (_TILE, _TILE),
        "photometric": "rgb",
        "compression": "jpeg",
        "compressionargs": {"level": QUALITY},
        "metadata": None,
        "resolution": tuple(1e4 / m for m in mpp_um) if mpp_um else (1, 1),
        "resolutionunit": "CENTIMETER" if mpp_um else "NONE",
        "software": False,
        **extra,
    }


def write_scn(
    path: Path,
    pieces: list[tuple[Rgb, tuple[int, int]]],
    mpp_um: tuple[float, float] | None,
    *,
    glass_px: tuple[int, int],
    nm_per_px: tuple[float, float],
    light: str = "brightfield",
    objectives: tuple[str, ...] = ("20",),
    levels: int = 2,
) -> Path:
    """Write a Leica SCN file: a collection of images on one glass, each with its place in nm.

    Args:
        path: where.
        pieces: each image and its left and top in pixels of the finest level.
        mpp_um: what the TIFF tags state, None for nothing.
        glass_px: width and height of the glass in pixels of the finest level.
        nm_per_px: the pixel size that the description is in.
        light: the illumination of the images: "brightfield" or "fluorescence".
        objectives: of the images; the last one is repeated.
        levels: levels of each image, each a quarter of the one before, as the scanner's.
    """
    glass = [round(n * nm) for n, nm in zip(glass_px, nm_per_px, strict=True)]
    macro = macro_picture()
    directory = 1
    images = [
        _scn_image(glass, (0, 0), [macro.shape[1::-1]], 0, "brightfield", "1"),
    ]
    pages = [_page(macro, None)]
    for number, (rgb, origin) in enumerate(pieces):
        steps = pyramid(rgb, levels, step=4)
        size = [round(n * nm) for n, nm in zip(rgb.shape[1::-1], nm_per_px, strict=True)]
        place = [round(n * nm) for n, nm in zip(origin, nm_per_px, strict=True)]
        objective = objectives[min(number, len(objectives) - 1)]
        shapes = [step.shape[1::-1] for step in steps]
        images.append(_scn_image(size, place, shapes, directory, light, objective))
        for step, level in enumerate(steps):
            mpp = (mpp_um[0] * 4**step, mpp_um[1] * 4**step) if mpp_um else None
            pages.append(_page(level, mpp))
        directory += len(steps)
    xml = (
        '<?xml version="1.0"?>'
        '<scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">'
        f'<collection name="" sizeX="{glass[0]}" sizeY="{glass[1]}"><barcode></barcode>'
        f"{''.join(images)}</collection></scn>"
    )
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for number, page in enumerate(pages):
            tiff.write(**page, description=xml if number == 0 else None)
    return path


def _scn_image(
    size_nm: list[int],
    place_nm: list[int] | tuple[int, int],
    shapes: list[Any],
    directory: int,
    light: str,
    objective: str,
) -> str:
    dimensions = "".join(
        f'<dimension sizeX="{width}" sizeY="{height}" r="{step}" ifd="{directory + step}"/>'
        for step, (width, height) in enumerate(shapes)
    )
    return (
        "<image><creationDate>2020-01-01T00:00:00Z</creationDate>"
        '<device model="Leica SCN400" version="1.4"/>'
        f"<pixels>{dimensions}</pixels>"
        f'<view sizeX="{size_nm[0]}" sizeY="{size_nm[1]}" '
        f'offsetX="{place_nm[0]}" offsetY="{place_nm[1]}"/>'
        f"<scanSettings><objectiveSettings><objective>{objective}</objective>"
        "</objectiveSettings><illuminationSettings><numericalAperture>0.4</numericalAperture>"
        f"<illuminationSource>{light}</illuminationSource></illuminationSettings></scanSettings>"
        "</image>"
    )


def write_bif(
    path: Path, rgb: Rgb, mpp_um: float | None, *, overlap_px: int = 0, levels: int = 3
) -> Path:
    """Write a Ventana BIF file: tiles that overlap, numbered from the lower left, row by row.

    Args:
        path: where.
        rgb: the picture.
        mpp_um: pixel size, None where the file has none.
        overlap_px: how far neighbouring tiles overlap.
        levels: number of levels, each half the one before.
    """
    step = _TILE - overlap_px
    down, across = (-(-(n - overlap_px) // step) for n in rgb.shape[:2])
    padded = widened(rgb, (down - 1) * step + _TILE, (across - 1) * step + _TILE)
    stored = np.empty((down * _TILE, across * _TILE, 3), np.uint8)
    for row in range(down):
        for column in range(across):
            tile = padded[row * step : row * step + _TILE, column * step : column * step + _TILE]
            stored[row * _TILE : (row + 1) * _TILE, column * _TILE : (column + 1) * _TILE] = tile
    scan_res = "" if mpp_um is None else f' ScanRes="{mpp_um:g}"'
    iscan = f'<iScan Magnification="20" Z-layers="1" BuildVersion="3.3.1"{scan_res}/>'
    encode = _encode_info(across, down, overlap_px)
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        tiff.write(
            **_page(macro_picture(), None, description="Label Image", extratags=[_xml(iscan)])
        )
        for number, level in enumerate(pyramid(stored, levels)):
            description = f"level={number} mag={20 / 2**number:g} quality={QUALITY}"
            extra = [_xml(encode)] if number == 0 else []
            tiff.write(**_page(level, None, description=description, extratags=extra))
    return path


def _xml(text: str) -> tuple[int, int, int, bytes, bool]:
    content = text.encode("ascii")
    return _XMP, 1, len(content), content, True


def _encode_info(across: int, down: int, overlap_px: int) -> str:
    def number(row: int, column: int) -> int:
        up = down - 1 - row
        return up * across + (across - 1 - column if up % 2 else column) + 1

    joints = []
    for row in range(down):
        for column in range(across):
            here = number(row, column)
            pairs = (
                [("RIGHT", number(row, column + 1), overlap_px, 0)] if column + 1 < across else []
            )
            if row:
                pairs.append(("UP", number(row - 1, column), 0, overlap_px))
            joints += [
                f'<TileJointInfo FlagJoined="1" Confidence="99" Direction="{direction}" '
                f'Tile1="{here}" Tile2="{there}" OverlapX="{x}" OverlapY="{y}"/>'
                for direction, there, x, y in pairs
            ]
    return (
        '<EncodeInfo Ver="2"><SlideStitchInfo>'
        f'<ImageInfo AOIScanned="1" AOIIndex="0" NumRows="{down}" NumCols="{across}" '
        f'Width="{_TILE}" Height="{_TILE}" Pos-X="0" Pos-Y="0">{"".join(joints)}</ImageInfo>'
        '</SlideStitchInfo><AoiOrigin><AOI0 OriginX="0" OriginY="0"/></AoiOrigin></EncodeInfo>'
    )


def write_trestle(path: Path, rgb: Rgb, mpp_um: float, *, levels: int = 3) -> Path:
    """Write a Trestle TIFF: its resolution tags hold um per pixel, against the standard."""
    with tifffile.TiffWriter(path) as tiff:
        for number, level in enumerate(pyramid(rgb, levels)):
            page = _page(level, None)
            page |= {"resolution": (mpp_um, mpp_um), "resolutionunit": "NONE"}
            page |= {"software": "MedScan", "subfiletype": 1 if number else 0}
            text = "Background Color=FFFFFF;Objective Power=20;OverlapsXY=" + " 0 0" * levels
            tiff.write(**page, description=text)
    return path


def write_philips(path: Path, rgb: Rgb, mpp_um: float, *, levels: int = 3) -> Path:
    """Write a Philips TIFF: levels are whole tiles, the pixel size (mm) is in the description."""
    rows, columns = (
        -(-n // (_TILE * 2 ** (levels - 1))) * 2 ** (levels - 1) for n in rgb.shape[:2]
    )
    padded = widened(rgb, rows * _TILE, columns * _TILE)

    def spacing(mpp: float) -> str:
        both = " ".join([f"&quot;{mpp / 1000:.7f}&quot;"] * 2)
        name = 'Name="DICOM_PIXEL_SPACING" Group="0x0028" Element="0x0030" PMSVR="IDoubleArray"'
        return f"<Attribute {name}>{both}</Attribute>"

    representations = "".join(
        '<DataObject ObjectType="PixelDataRepresentation">'
        f"{spacing(mpp_um * 2**n)}"
        '<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_NUMBER" Group="0x301D" Element="0x1004" '
        f'PMSVR="IUInt16">{n}</Attribute></DataObject>'
        for n in range(levels)
    )
    xml = (
        '<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport">'
        '<Attribute Name="DICOM_MANUFACTURER" Group="0x0008" Element="0x0070" PMSVR="IString">'
        "PHILIPS</Attribute>"
        '<Attribute Name="PIM_DP_SCANNED_IMAGES" Group="0x301D" Element="0x1003" '
        'PMSVR="IDataObjectArray"><Array><DataObject ObjectType="DPScannedImage">'
        '<Attribute Name="PIM_DP_IMAGE_TYPE" Group="0x301D" Element="0x1004" PMSVR="IString">WSI'
        "</Attribute>"
        f"{spacing(mpp_um)}"
        '<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE" Group="0x301D" '
        f'Element="0x2000" PMSVR="IDataObjectArray"><Array>{representations}</Array></Attribute>'
        "</DataObject></Array></Attribute></DataObject>"
    )
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for number, level in enumerate(pyramid(padded, levels)):
            page = _page(level, None, subfiletype=1 if number else 0)
            page |= {"software": "Philips DP v1.0"}
            tiff.write(**page, description=xml if number == 0 else f"level={number}")
    return path
