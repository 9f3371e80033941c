"""ImageJ's regions: one in a .roi file, several in a RoiSet.zip, through roifile."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import roifile

from ..slide import Slide
from .shapes import Shape, Shapes, bad_region, ellipse

_AREAS = {
    roifile.ROI_TYPE.POLYGON,
    roifile.ROI_TYPE.FREEHAND,
    roifile.ROI_TYPE.TRACED,
    roifile.ROI_TYPE.RECT,
    roifile.ROI_TYPE.OVAL,
}


def read(path: Path, _slide: Slide) -> Shapes:
    """The areas of a file; lines, angles and points are passed over.

    Raises:
        RegionError: ``bad_region``.
    """
    try:
        found = roifile.roiread(path)
        rois = found if isinstance(found, list) else [found]
        shapes = Shapes()
        for roi in rois:
            _add(roi, shapes)
    except (ValueError, OSError, struct.error, zipfile.BadZipFile, LookupError, TypeError) as error:
        raise bad_region(
            path, f"no regions of ImageJ ({error})", "save them again from ImageJ's ROI manager"
        ) from error
    return shapes


def _add(roi: roifile.ImagejRoi, shapes: Shapes) -> None:
    if roi.composite:
        parts = roi.coordinates(multi=True)
        parts = parts if isinstance(parts, list) else [parts]
        rings = tuple(np.asarray(part, dtype=np.float64) for part in parts if len(part) >= 3)
        if rings:
            shapes.areas.append(Shape(rings, roi.name or ""))
        return
    if roi.roitype not in _AREAS:
        shapes.pass_over(roi.roitype.name.lower())
        return
    if roi.roitype == roifile.ROI_TYPE.OVAL:
        ring = ellipse(roi.left, roi.top, roi.right, roi.bottom)
    else:
        ring = np.asarray(roi.coordinates(), dtype=np.float64)
    if len(ring) < 3:
        shapes.pass_over("area of fewer than 3 corners")
        return
    shapes.areas.append(Shape((ring,), roi.name or ""))
