"""Red pen is left out, and collagen that is red by itself is not taken for it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from fibrovol.histology.colour.stain_table import stain_definition
from fibrovol.histology.overview.tissue import outline_tissue
from fibrovol.histology.overview.white import find_glass

from .conftest import draw_field


@pytest.mark.parametrize("mpp_um", [2.0, 4.0, 5.0, 8.0])
@pytest.mark.parametrize("stain", ["psr", "masson"])
@pytest.mark.parametrize("name", ["models__pen_markings_he__pen_red", "pen__1k_version__pen_red"])
def test_nine_tenths_of_a_real_pen_mark_are_left_out(
    shared_data: Path, name: str, stain: str, mpp_um: float
) -> None:
    """Nobody knows the pixel size of these pictures of whole slides: it must not matter much."""
    folder = shared_data / "slides" / "artefacts"
    rgb = np.ascontiguousarray(cv2.imread(str(folder / f"{name}.png"))[..., ::-1])
    mask = cv2.imread(str(folder / f"{name}_mask.png"), cv2.IMREAD_GRAYSCALE) > 127
    white = find_glass(rgb)
    found = outline_tissue(rgb, white, stain_definition(stain), mpp_um)
    assert 1 - found.tissue[mask].mean() >= 0.9
    assert found.pen.mean() < 0.12


@pytest.mark.parametrize("place", ["in tissue", "at glass"])
def test_a_scar_in_tissue_is_counted_and_a_stroke_at_glass_is_not(place: str) -> None:
    """On a slide with little collagen a dense scar is by far the strongest colour."""
    field = draw_field("psr", size=1200, bands=2)
    left = 500 if place == "in tissue" else 90  # tissue begins at 120
    stroke = np.zeros(field.rgb.shape[:2], np.uint8)
    cv2.rectangle(stroke, (left, 300), (left + 60, 900), 1, -1)
    # not of one flat colour, which would be drawn on the picture
    colour = np.array([185, 5, 40]) + np.random.default_rng(1).integers(-5, 6, field.rgb.shape)
    rgb = np.where(stroke[..., None] > 0, colour, field.rgb).clip(0).astype(np.uint8)
    white = find_glass(rgb)
    found = outline_tissue(rgb, white, stain_definition("psr"), 2.0)
    at = stroke > 0
    if place == "in tissue":
        assert not found.pen.any()
        assert found.tissue[at].mean() > 0.99
        assert found.doubtful[at].mean() > 0.8
    else:
        assert found.pen[at].mean() > 0.95
        assert not found.doubtful.any()


@pytest.mark.parametrize("mpp_um", [1.0, 2.0])
@pytest.mark.parametrize("number", ["psr24_v2", "psr28_v0"])
def test_collagen_of_a_real_field_amid_tissue_with_little_is_no_pen(
    shared_data: Path, number: str, mpp_um: float
) -> None:
    path = shared_data / "slides" / "reexposed_fields" / f"{number}.jpg"
    rgb = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
    edge = 128
    squares = [
        rgb[y : y + edge, x : x + edge] for y in range(0, 640, edge) for x in range(0, 640, edge)
    ]
    # the squares with the least red over green
    squares.sort(key=lambda one: float(one[..., 0].mean() - one[..., 1].mean()))
    plain = np.vstack([np.hstack([squares[(x + y) % 2] for x in range(15)]) for y in range(15)])
    plain[640:1280, 640:1280] = rgb
    white = find_glass(plain)
    assert not outline_tissue(plain, white, stain_definition("psr"), mpp_um).pen.any()


@pytest.mark.parametrize("number", ["psr14_v3", "psr24_v3", "psr29_v3", "masson03_v0"])
def test_collagen_is_no_pen(shared_data: Path, number: str) -> None:
    path = shared_data / "slides" / "reexposed_fields" / f"{number}.jpg"
    rgb = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
    white = find_glass(rgb)
    stain = "psr" if number.startswith("psr") else "masson"
    assert not outline_tissue(rgb, white, stain_definition(stain), 1.0).pen.any()


@pytest.mark.parametrize("width", [14, 60])
def test_bands_of_collagen_are_no_pen(width: int) -> None:
    field = draw_field("psr", size=1200, width=width)
    white = find_glass(field.rgb)
    found = outline_tissue(field.rgb, white, stain_definition("psr"), 2.0)
    assert not found.pen.any()
    assert found.tissue[field.collagen].mean() > 0.99
