"""What is said about one slide, and how the work on it is divided.

What a user may change for all slides is fibrovol.settings' matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DRAWN_OUT, DRAWN_IN = "Left out", "Measured"
"""Classes of areas that a reader drew."""


@dataclass(frozen=True)
class SlideChoices:
    """What a person says about one slide, where the file does not."""

    image: int | None = None
    """Number of the picture in a file of several; None if only one can be the slide."""
    white: tuple[float, ...] = ()
    """Empty glass: its red, green and blue (0 to 255), or x, y, width and height of a rectangle of
    it in pixels of the finest level; () to look for it.
    """
    region_label: str = ""
    """Of a mask picture with several labels or colours: those inside, joined by ";"."""
    include_classes: tuple[str, ...] = ()
    """Classes of annotations that may be measured; () for all in the file."""
    exclude_classes: tuple[str, ...] = ()
    """Classes of annotations that are left out; () for all in the file."""
    drawn: Path | None = None
    """GeoJSON of what a reader drew on the page, in addition to the regions of the study: areas of
    the class :data:`DRAWN_OUT` are left out; of :data:`DRAWN_IN`, nothing else is measured."""


@dataclass(frozen=True)
class Tuning:
    """What no user changes, and tests do."""

    threads: int = 0
    """Tiles processed at the same time; 0 = one per CPU core, at most 8."""
    tile_px: int = 2048
    """Analysis pixels along a tile at most; changes memory and speed, never the result."""
    overview_mpp_um: float = 8.0
    """Micrometres along one pixel of the overview on which tissue is outlined."""
    bootstrap_draws: int = 1000
    """Resamplings for the 95 % limits."""
    seed: int = 0
    """Seed of the resampling."""
