"""Compute the collagen area fraction and its areas from pixel counts. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AreaFraction:
    """Collagen over tissue."""

    tissue_mm2: float
    """Tissue without lumens, fat vacuoles and background."""
    collagen_mm2: float
    """Collagen inside it."""
    lumens_mm2: float
    """White spaces inside the tissue's outline."""

    @property
    def caf_percent(self) -> float:
        """Collagen area in per cent of the tissue area."""
        return 100.0 * self.collagen_mm2 / self.tissue_mm2

    @property
    def caf_with_lumens_percent(self) -> float:
        """Collagen area in per cent of tissue and lumens together, the other common definition."""
        return 100.0 * self.collagen_mm2 / (self.tissue_mm2 + self.lumens_mm2)


def collagen_area_fraction(
    tissue_px: int, collagen_px: int, lumen_px: int, pixel_mm2: float
) -> AreaFraction:
    """Areas from pixel counts.

    Args:
        tissue_px: tissue pixels, collagen among them, lumens not.
        collagen_px: collagen pixels.
        lumen_px: white pixels inside the tissue's outline.
        pixel_mm2: area of a pixel.

    Raises:
        ValueError: no tissue, or more collagen than tissue (a programming error).
    """
    if tissue_px <= 0 or not 0 <= collagen_px <= tissue_px or lumen_px < 0:
        raise ValueError(f"impossible counts: {tissue_px=}, {collagen_px=}, {lumen_px=}")
    return AreaFraction(tissue_px * pixel_mm2, collagen_px * pixel_mm2, lumen_px * pixel_mm2)
