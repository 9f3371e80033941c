"""Write a measurement's files: the mask as pyramidal OME-TIFF, the pictures, the polygons."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from ...errors import OutputError, SlideError
from ...files import atomic_path, write_text
from ..overview.marks import disk
from ..readers import open_slide
from ..tiles.grid import plan_grid
from ..tiles.masks import TILE_PX, SlideMask, TileStore
from ..tiles.threads import in_threads
from ..tiles.tiles import read_overview
from .data import CollagenData, CollagenFiles
from .geojson import collection, feature, object_id
from .outlines import light_outlines
from .overlay import draw_overlay, side_by_side

#: The longer side of a picture, pixels.
PICTURE_PX = 2000
#: The mask's pyramid ends with the first level that has no more pixels along a side.
_SMALLEST_LEVEL_PX = 1024
#: Pieces of tissue closer than twice this belong to one object.
_CLOSED_PX = 7


def write_outputs(
    measurement: CollagenData, directory: str | Path, stem: str, *, polygons: bool = True
) -> CollagenFiles:
    """Write ``<stem>_mask.ome.tif``, ``<stem>_overlay.png`` and ``<stem>_pair.png``.

    Args:
        measurement: what was measured.
        directory: made where it is missing.
        stem: start of the file names; it must not hold a patient's name.
        polygons: also write ``<stem>_regions.geojson``.

    Raises:
        OutputError: ``output_not_writable``.
        SlideError: the slide, needed for the pictures, can no longer be read.
    """
    directory = Path(directory)
    files = CollagenFiles(
        mask_path=directory / f"{stem}_mask.ome.tif",
        overlay_path=directory / f"{stem}_overlay.png",
        pair_path=directory / f"{stem}_pair.png",
        geojson_path=directory / f"{stem}_regions.geojson" if polygons else None,
    )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        threads = int(measurement.parameters["settings"]["threads"])
        for _ in in_threads(lambda write: write(), _writers(measurement, files), threads):
            pass
    except OSError as error:
        raise OutputError(
            "output_not_writable",
            f"The results of {stem} could not be written to {directory}",
            found=str(error),
            do="check the free space and the rights of the folder",
        ) from error
    return files


def _writers(measurement: CollagenData, files: CollagenFiles) -> Iterator[Callable[[], None]]:
    """What writes each file; the pictures are made while the mask is written."""
    yield lambda: write_mask(files.mask_path, measurement)
    if (path := files.geojson_path) is not None:
        yield lambda: write_text(path, _polygons(measurement))
    plain, marked, mpp_um = _pictures(measurement)
    yield lambda: write_png(files.pair_path, side_by_side(plain, marked), mpp_um)
    yield lambda: write_png(files.overlay_path, marked, mpp_um)


def write_mask(path: Path, measurement: CollagenData) -> None:
    """Write the mask as tiled, compressed, pyramidal OME-TIFF with its pixel size.

    Values: 0 background, 1 tissue, 2 collagen. Each coarser level takes every second pixel, so
    its values stay classes. The file's identifier is made from the pixels: the same mask has the
    same bytes.
    """
    mpp = measurement.analysis_mpp_um
    content = hashlib.sha256(f"{measurement.tissue_mask.shape} {mpp}".encode())
    for encoded in measurement.tissue_mask.mask.full.iter_encoded():
        content.update(encoded)
    metadata = {
        "UUID": str(uuid.uuid5(uuid.NAMESPACE_OID, content.hexdigest())),
        "axes": "YX",
        "PhysicalSizeX": mpp,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": mpp,
        "PhysicalSizeYUnit": "µm",
    }
    mask = measurement.tissue_mask.mask
    stores = _pyramid(mask)
    height, width = measurement.tissue_mask.shape
    with (
        atomic_path(path) as temporary,
        tifffile.TiffWriter(temporary, bigtiff=height * width > 1 << 31, ome=True) as tiff,
    ):
        for number, store in enumerate(stores):
            per_cm = 1e4 / (mpp * 2**number)
            tiff.write(
                store.iter_encoded(),
                shape=(store.height_px, store.width_px),
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                compression="packbits",
                photometric="minisblack",
                subifds=len(stores) - 1 if number == 0 else None,
                subfiletype=0 if number == 0 else 1,
                metadata=metadata if number == 0 else None,
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
            )


def _pyramid(mask: SlideMask) -> list[TileStore]:
    """The mask's levels, each half as large as the one before, down to about 1,000 pixels."""
    stores = [mask.full]
    if max(mask.full.height_px, mask.full.width_px) > _SMALLEST_LEVEL_PX:
        stores.append(mask.half)
    while max(stores[-1].height_px, stores[-1].width_px) > _SMALLEST_LEVEL_PX:
        stores.append(stores[-1].halved())
    return stores


def _polygons(measurement: CollagenData) -> str:
    """Tissue and the collagen in it, an object for each piece, as light outlines."""
    step = measurement.analysis_mpp_um / measurement.mpp_um
    pixel_mm2 = (measurement.analysis_mpp_um / 1000.0) ** 2
    tissue, collagen = measurement.tissue_mask.to_array(), measurement.collagen_mask.to_array()
    _, pieces = cv2.connectedComponents(
        cv2.morphologyEx(tissue.view(np.uint8), cv2.MORPH_CLOSE, disk(_CLOSED_PX)), connectivity=8
    )
    found = sorted(np.unique(pieces[tissue]).tolist()) if tissue.any() else []
    features = []
    for number, label in enumerate(found, start=1):
        inside = pieces == label
        parent = ""
        for name, mask in (("Tissue", tissue & inside), ("Collagen", collagen & inside)):
            polygons = light_outlines(mask)
            if not polygons:
                continue
            title = f"{name} {number}"
            values = {"Area mm^2": round(float(np.count_nonzero(mask)) * pixel_mm2, 6)}
            features.append(
                feature(
                    polygons,
                    name=name,
                    scale=step,
                    measurements=values,
                    title=title,
                    parent=parent,
                )
            )
            parent = object_id(title)
    return collection(features)


def write_png(path: Path, rgb: NDArray[np.uint8], mpp_um: float) -> None:
    """Write an RGB picture that states its scale in the text chunk ``mm_per_px``."""
    scale = PngImagePlugin.PngInfo()
    scale.add_text("mm_per_px", f"{mpp_um / 1000:.6g}")
    with atomic_path(path) as temporary:
        # a photograph gets no smaller by zlib's slower levels
        Image.fromarray(rgb).save(temporary, format="PNG", pnginfo=scale, compress_level=3)


def _pictures(
    measurement: CollagenData,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], float]:
    """The slide at picture size, plain and marked, and the size of a pixel in um."""
    height, width = measurement.tissue_mask.shape
    factor = 1
    while max(height, width) / factor > PICTURE_PX:
        factor *= 2
    # the overview of the measurement is usually fine enough: the slide is not read again
    if measurement.thumbnail_mpp_um <= measurement.analysis_mpp_um * factor * 1.01:
        size = (max(1, width // factor), max(1, height // factor))
        rgb = cv2.resize(measurement.thumbnail, size, interpolation=cv2.INTER_AREA)
    else:
        rgb = _slide_picture(measurement, factor)
    size = (rgb.shape[1], rgb.shape[0])
    shares = [
        cv2.resize(share, size, interpolation=cv2.INTER_LINEAR)
        for share in measurement.tissue_mask.mask.shares(factor)
    ]
    mpp_um = measurement.analysis_mpp_um * factor
    return rgb, draw_overlay(rgb, shares[0], shares[1], mpp_um), mpp_um


def _slide_picture(measurement: CollagenData, factor: int) -> NDArray[np.uint8]:
    try:
        with open_slide(
            measurement.path, mpp_um=measurement.mpp_um, image=measurement.image
        ) as slide:
            return read_overview(slide, plan_grid(slide, measurement.analysis_mpp_um * factor))
    except OSError as error:
        raise SlideError(
            "unreadable_slide",
            f"{measurement.path.name} can no longer be read for its picture",
            found=str(error),
            do="keep the slides in place until the run has ended",
        ) from error
