"""The result of a collagen measurement: plain data, no methods that compute."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tiles.masks import BoolMask


@dataclass(frozen=True)
class FragmentMeasurement:
    """One piece of tissue."""

    number: int
    """From 1, in reading order."""
    centre_mm: tuple[float, float]
    """x and y of its middle from the slide's top left corner, mm."""
    tissue_mm2: float
    """Tissue without lumens."""
    collagen_mm2: float
    """Collagen inside it."""
    lumens_mm2: float
    """White spaces inside its outline."""
    caf_percent: float
    """Collagen in per cent of tissue."""
    caf_with_lumens_percent: float
    """Collagen in per cent of tissue and lumens together."""
    length_mm: float
    """Length along the midline."""


@dataclass(frozen=True)
class CollagenData:
    """The collagen area fraction of a slide and all that it rests on."""

    path: Path
    """The slide."""
    stain: str
    """Key of the declared stain."""
    stain_title: str
    """The stain in words."""
    stain_family: str
    """Slides are only compared with slides of one family."""
    image: int
    """Number of the picture in the slide's file."""
    mpp_um: float
    """Pixel size of the slide's level 0, um."""
    analysis_mpp_um: float
    """Pixel size of the analysis and of the masks, um."""
    tissue_mm2: float
    """Tissue without lumens, fat vacuoles, background and excluded areas."""
    collagen_mm2: float
    """Collagen inside it."""
    caf_percent: float
    """Collagen in per cent of tissue."""
    caf_percent_low: float
    """Lower 95 % limit."""
    caf_percent_high: float
    """Upper 95 % limit."""
    caf_with_lumens_percent: float
    """Collagen in per cent of tissue and lumens together."""
    n_fragments: int
    """Pieces of tissue."""
    length_mm: float
    """Their lengths along the midlines, added."""
    fragments: tuple[FragmentMeasurement, ...]
    """A row a piece."""
    excluded_mm2: dict[str, float]
    """What was left out, by reason ("lumens", "regions", "pen", "coverslip_and_dirt", "debris"),
    mm2.
    """
    flags: tuple[str, ...]
    """Codes of :data:`fibrovol.flags.FLAGS`."""
    parameters: dict[str, Any]
    """Every setting and estimated colour that was used."""
    tissue_mask: BoolMask
    """Tissue at the analysis resolution."""
    collagen_mask: BoolMask
    """Collagen at the analysis resolution."""
    thumbnail: NDArray[np.uint8]
    """The slide small, RGB uint8."""
    thumbnail_mpp_um: float
    """Pixel size of the thumbnail, um."""


@dataclass(frozen=True)
class CollagenFiles:
    """The files of :func:`fibrovol.histology.measure.write_outputs`."""

    mask_path: Path
    """Pyramidal OME-TIFF: 0 background, 1 tissue, 2 collagen."""
    overlay_path: Path
    """PNG: the slide with collagen and tissue marked, and a scale bar."""
    pair_path: Path
    """PNG: the slide next to the marked slide."""
    geojson_path: Path | None
    """Tissue and collagen polygons that QuPath opens, None if not asked for."""
