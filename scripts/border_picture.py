"""Draw docs/concepts/collagen-border.png: where the border between the stains lies on a phantom.

    python scripts/border_picture.py [docs/concepts/collagen-border.png]

A drawn Masson slide whose cells have taken up as much haematoxylin as scarlet, plain and with the
outline of what is read as collagen for three values of ``violet_part`` (configs/stains.yaml).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from fibrovol.histology.colour.hue import colour_histogram
from fibrovol.histology.colour.lookup import classify, compile_table
from fibrovol.histology.colour.model import estimate_model
from fibrovol.histology.colour.stain_table import stain_definition
from fibrovol.histology.colour.stains import COLLAGEN, TISSUE
from fibrovol.histology.overview.white import find_glass
from fibrovol.histology.tiles.tiles import smooth
from fibrovol.phantoms import slides
from numpy.typing import NDArray
from PIL import Image

Rgb = NDArray[np.uint8]
PARTS = (0.5, 0.65, 0.8)
VIOLET_CELLS = (0.42, 0.50, 0.25)
SIDE_PX, ZOOM, BAR_PX = 130, 3, 26
LINE_RGB = (0, 230, 60)


def densest(share: NDArray[np.bool_]) -> tuple[int, int]:
    """Corner of the square in which the collagen is nearest to a third of the pixels."""
    means = cv2.blur(share.astype(np.float32), (SIDE_PX, SIDE_PX))
    half = SIDE_PX // 2
    inner = means[half:-half, half:-half]
    y, x = np.unravel_index(int(np.argmin(np.abs(inner - 1 / 3))), inner.shape)
    return int(y), int(x)


def panel(rgb: Rgb, inside: NDArray[np.bool_] | None, title: str) -> Rgb:
    size = (SIDE_PX * ZOOM, SIDE_PX * ZOOM)
    picture = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    if inside is not None:
        large = cv2.resize(inside.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        contours, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, contours, -1, LINE_RGB, 1)
    bar = np.full((BAR_PX, size[0], 3), 255, dtype=np.uint8)
    cv2.putText(bar, title, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([bar, picture])


def main() -> int:
    default = Path(__file__).resolve().parents[1] / "docs" / "concepts" / "collagen-border.png"
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    look = slides.STAINS["masson"]
    slides.STAINS["masson"] = replace(look, cells=VIOLET_CELLS)
    drawn = slides.render_slide(stain="masson", caf_percent=15, seed=2, size_px=(1500, 800))
    glass = find_glass(drawn.rgb)
    soft = smooth(drawn.rgb)
    darker = glass.depth(drawn.rgb.astype(np.float32)) > 20
    counts = colour_histogram(soft, darker)
    found = {}
    for part in PARTS:
        definition = replace(stain_definition("masson"), violet_part=part)
        found[part] = classify(soft, compile_table(estimate_model(counts, glass, definition)))
    classes = found[stain_definition("masson").violet_part or PARTS[1]]
    y, x = densest(classes >= COLLAGEN)
    window = slice(y, y + SIDE_PX), slice(x, x + SIDE_PX)
    panels = [panel(drawn.rgb[window], None, f"drawn, {drawn.caf_percent:.1f} % collagen")]
    for part, classes in found.items():
        caf = 100.0 * np.count_nonzero(classes >= COLLAGEN) / np.count_nonzero(classes >= TISSUE)
        usual = " (default)" if part == stain_definition("masson").violet_part else ""
        title = f"violet_part {part:g}{usual}: {caf:.1f} %"
        panels.append(panel(drawn.rgb[window], classes[window] >= COLLAGEN, title))
    gap = np.full((panels[0].shape[0], 6, 3), 255, dtype=np.uint8)
    row = np.concatenate([part for one in panels for part in (one, gap)][:-1], axis=1)
    Image.fromarray(row).quantize(96).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1024} kB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
