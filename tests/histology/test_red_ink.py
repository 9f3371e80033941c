"""Red pen is left out, and collagen that is red by itself is not taken for it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from fibrovol.histology.settings import stain_definition
from fibrovol.histology.tissue import estimate_white, outline_tissue

from .conftest import draw_field


@pytest.mark.parametrize(("stain", "mpp_um"), [("psr", 8.0), ("masson", 4.0)])
@pytest.mark.parametrize("name", ["models__pen_markings_he__pen_red", "pen__1k_version__pen_red"])
def test_nine_tenths_of_a_real_pen_mark_are_left_out(
    shared_data: Path, name: str, stain: str, mpp_um: float
) -> None:
    folder = shared_data / "slides" / "artefacts"
    rgb = np.ascontiguousarray(cv2.imread(str(folder / f"{name}.png"))[..., ::-1])
    mask = cv2.imread(str(folder / f"{name}_mask.png"), cv2.IMREAD_GRAYSCALE) > 127
    white, _ = estimate_white(rgb)
    found = outline_tissue(rgb, white, stain_definition(stain), mpp_um)
    assert 1 - found.tissue[mask].mean() >= 0.9
    assert found.pen.mean() < 0.1


@pytest.mark.parametrize("number", ["psr14_v3", "psr24_v3", "psr29_v3", "masson03_v0"])
def test_collagen_is_no_pen(shared_data: Path, number: str) -> None:
    path = shared_data / "slides" / "reexposed_fields" / f"{number}.jpg"
    rgb = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
    white, _ = estimate_white(rgb)
    stain = "psr" if number.startswith("psr") else "masson"
    assert not outline_tissue(rgb, white, stain_definition(stain), 1.0).pen.any()


@pytest.mark.parametrize("width", [14, 60])
def test_bands_of_collagen_are_no_pen(width: int) -> None:
    field = draw_field("psr", size=1200, width=width)
    white, _ = estimate_white(field.rgb)
    found = outline_tissue(field.rgb, white, stain_definition("psr"), 2.0)
    assert not found.pen.any()
    assert found.tissue[field.collagen].mean() > 0.99
