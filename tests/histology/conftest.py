"""Small pictures with a known truth, drawn here and not by phantoms/, so that both can be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from fibrovol.histology.readers.picture import ArrayReader
from fibrovol.histology.slide import Slide, SlideLevel
from numpy.typing import NDArray

GLASS = (243, 243, 241)
COLOURS = {  # counterstain, collagen
    "psr": ((226, 190, 118), (196, 52, 66)),
    "masson": ((172, 60, 122), (92, 112, 190)),
    "masson_green": ((226, 110, 124), (80, 178, 178)),
    "van_gieson": ((214, 172, 88), (188, 60, 80)),
}


@dataclass(frozen=True)
class Field:
    """A drawn field and what was drawn."""

    rgb: NDArray[np.uint8]
    collagen: NDArray[np.bool_]
    tissue: NDArray[np.bool_]

    @property
    def caf_percent(self) -> float:
        return 100.0 * float(self.collagen.sum() / self.tissue.sum())


def draw_field(
    stain: str = "psr", *, size: int = 800, bands: int = 6, width: int = 14, seed: int = 0
) -> Field:
    """Tissue in a round-cornered block on glass, with collagen bands and round white vacuoles."""
    generator = np.random.default_rng(seed)
    counter, collagen_rgb = COLOURS[stain]
    margin = size // 10
    tissue = np.zeros((size, size), np.uint8)
    cv2.rectangle(tissue, (margin, margin), (size - margin - 1, size - margin - 1), 1, -1)
    collagen = np.zeros_like(tissue)
    for _ in range(bands):
        ends = generator.integers(0, size, 4)
        cv2.line(collagen, tuple(map(int, ends[:2])), tuple(map(int, ends[2:])), 1, width)
    holes = np.zeros_like(tissue)
    for _ in range(40):
        x, y = generator.integers(margin + 12, size - margin - 12, 2)
        cv2.circle(holes, (int(x), int(y)), int(generator.integers(5, 11)), 1, -1)
    tissue[holes > 0] = 0
    collagen &= tissue
    rgb = np.full((size, size, 3), GLASS, np.float32)
    rgb[tissue > 0] = counter
    rgb[collagen > 0] = collagen_rgb
    texture = cv2.GaussianBlur(generator.normal(0, 14, (size, size)).astype(np.float32), (0, 0), 2)
    rgb[tissue > 0] += 3 * texture[tissue > 0][:, None]
    rgb = cv2.GaussianBlur(rgb, (0, 0), 0.7) + generator.normal(0, 2, rgb.shape)
    return Field(np.clip(rgb, 0, 255).astype(np.uint8), collagen.astype(bool), tissue.astype(bool))


def write_png(path: Path, rgb: NDArray[np.uint8]) -> Path:
    """Uncompressed: noise gets hardly smaller, and to pack it takes as long as to outline it."""
    cv2.imwrite(str(path), rgb[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 0])
    return path


def write_pyramid(
    path: Path,
    rgb: NDArray[np.uint8],
    mpp_um: float,
    *,
    tile: int = 256,
    levels: int = 3,
    compression: str | None = "deflate",
) -> Path:
    with tifffile.TiffWriter(path) as tiff:
        level = rgb
        for number in range(levels):
            scale = 1e4 / (mpp_um * 2**number)
            tiff.write(
                level,
                tile=(tile, tile),
                compression=compression,
                photometric="rgb",
                resolution=(scale, scale),
                resolutionunit="CENTIMETER",
                subifds=levels - 1 if number == 0 else None,
                subfiletype=1 if number else 0,
            )
            level = cv2.resize(level, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return path


def a_slide(width: int, height: int, mpp_um: float = 1.0, **more: object) -> Slide:
    """A slide of glass, for what asks for its size only."""
    reader = ArrayReader(np.full((height, width, 3), 243, np.uint8))
    level = SlideLevel(width, height, 1.0)
    return Slide(Path("glass.png"), (level,), mpp_um, "given", None, "PNG", False, reader, **more)


@pytest.fixture(scope="session")
def psr_field() -> Field:
    return draw_field("psr")
