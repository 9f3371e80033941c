"""What a collagen measurement says: plain data, no methods that compute."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tiles.masks import PackedMask


@dataclass(frozen=True)
class FragmentMeasurement:
    """One piece of tissue.

    Attributes:
        number: from 1, in reading order.
        centre_mm: x and y of its middle from the slide's top left corner, mm.
        tissue_mm2: tissue without lumens.
        collagen_mm2: collagen inside it.
        lumens_mm2: white spaces inside its outline.
        caf_percent: collagen in per cent of tissue.
        caf_with_lumens_percent: collagen in per cent of tissue and lumens together.
        length_mm: length along the midline.
    """

    number: int
    centre_mm: tuple[float, float]
    tissue_mm2: float
    collagen_mm2: float
    lumens_mm2: float
    caf_percent: float
    caf_with_lumens_percent: float
    length_mm: float


@dataclass(frozen=True)
class CollagenMeasurement:
    """The collagen area fraction of a slide and all that it rests on.

    Attributes:
        path: the slide.
        stain: key of the declared stain.
        mpp_um: pixel size of the slide's level 0, um.
        analysis_mpp_um: pixel size of the analysis and of the masks, um.
        tissue_mm2: tissue without lumens, fat vacuoles, background and excluded areas.
        collagen_mm2: collagen inside it.
        caf_percent: collagen in per cent of tissue.
        caf_percent_low: lower 95 % limit.
        caf_percent_high: upper 95 % limit.
        caf_with_lumens_percent: collagen in per cent of tissue and lumens together.
        n_fragments: pieces of tissue.
        length_mm: their lengths along the midlines, added.
        fragments: a row a piece.
        excluded_mm2: what was left out, by reason ("lumens", "regions", "pen",
            "coverslip_and_dirt", "debris"), mm2.
        flags: codes of :data:`fibrovol.flags.FLAGS`.
        parameters: every setting and estimated colour that was used.
        tissue_mask: tissue at the analysis resolution.
        collagen_mask: collagen at the analysis resolution.
        thumbnail: the slide small, RGB uint8.
        thumbnail_mpp_um: pixel size of the thumbnail, um.
    """

    path: Path
    stain: str
    mpp_um: float
    analysis_mpp_um: float
    tissue_mm2: float
    collagen_mm2: float
    caf_percent: float
    caf_percent_low: float
    caf_percent_high: float
    caf_with_lumens_percent: float
    n_fragments: int
    length_mm: float
    fragments: tuple[FragmentMeasurement, ...]
    excluded_mm2: dict[str, float]
    flags: tuple[str, ...]
    parameters: dict[str, Any]
    tissue_mask: PackedMask
    collagen_mask: PackedMask
    thumbnail: NDArray[np.uint8]
    thumbnail_mpp_um: float


@dataclass(frozen=True)
class CollagenFiles:
    """The files of :func:`fibrovol.histology.measure.write_outputs`.

    Attributes:
        mask_path: pyramidal OME-TIFF: 0 background, 1 tissue, 2 collagen.
        overlay_path: PNG: the slide with collagen and tissue marked, and a scale bar.
        pair_path: PNG: the slide beside the marked slide.
        geojson_path: tissue and collagen polygons that QuPath opens, None where not asked for.
    """

    mask_path: Path
    overlay_path: Path
    pair_path: Path
    geojson_path: Path | None
