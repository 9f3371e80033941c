"""So little tissue that a border of one pixel matters: finer pixels, and where measuring ends."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fibrovol.errors import MeasurementError
from fibrovol.histology.measure import measure_collagen
from fibrovol.histology.tiles.grid import FINEST_UM, pixel_for_um, plan_grid
from fibrovol.settings import load_settings
from hypothesis import given
from hypothesis import strategies as st

from .conftest import COLOURS, GLASS, a_slide, draw_field, write_png


@pytest.mark.parametrize(
    ("own_um", "area_mm2", "least_px", "pixel_um"),
    [
        (0.25, 0.02, 10_000, 1.0),
        (0.25, 0.01, 10_000, 1.0),
        (0.25, 0.0095, 10_000, 0.75),
        (0.25, 0.006, 10_000, 0.5),
        (0.25, 0.001, 10_000, 0.25),
        (0.12, 0.001, 10_000, 0.24),
        (0.8, 0.001, 10_000, 0.8),
        (1.4, 0.001, 10_000, 1.0),  # plan_grid leaves it at its own 1.4
        (0.25, 0.001, 0, 1.0),
    ],
)
def test_half_the_tissue_half_the_pixel(
    own_um: float, area_mm2: float, least_px: int, pixel_um: float
) -> None:
    slide = a_slide(400, 400, own_um)
    assert pixel_for_um(slide, 1.0, area_mm2, least_px) == pytest.approx(pixel_um)


@given(
    own_um=st.floats(0.1, 3.0),
    usual_um=st.floats(0.1, 4.0),
    areas_mm2=st.tuples(st.floats(1e-5, 0.1), st.floats(1e-5, 0.1)),
)
def test_less_tissue_is_never_analysed_more_coarsely(
    own_um: float, usual_um: float, areas_mm2: tuple[float, float]
) -> None:
    slide = a_slide(64, 64, own_um)
    less, more = (pixel_for_um(slide, usual_um, area, 10_000) for area in sorted(areas_mm2))
    assert less <= more <= usual_um
    assert less >= min(usual_um, max(own_um, FINEST_UM / 2))
    if less < usual_um:  # nothing is interpolated
        assert plan_grid(slide, less).ratio == 1.0


@pytest.mark.parametrize("stain", ["psr", "masson"])
def test_a_tiny_picture_is_measured_in_its_own_pixels(tmp_path: Path, stain: str) -> None:
    field = draw_field(stain, bands=12, width=24)
    crop = slice(240, 440), slice(240, 440)
    path = write_png(tmp_path / "c.png", field.rgb[crop])
    truth = 100 * field.collagen[crop].sum() / field.tissue[crop].sum()
    fine = measure_collagen(path, stain=stain, mpp_um=0.25)
    assert fine.analysis_mpp_um == 0.25
    assert {"finer_pixels", "little_tissue"} <= set(fine.flags)
    assert not {"out_of_focus", "unusual_stain"} & set(fine.flags)
    assert fine.caf_percent == pytest.approx(truth, abs=2.0)
    settings = replace(load_settings().collagen, analysis_pixels_min=0)
    usual = measure_collagen(path, stain=stain, mpp_um=0.25, settings=settings)
    assert usual.analysis_mpp_um == 1.0
    assert "finer_pixels" not in usual.flags


def test_a_tiny_region_is_measured_like_a_tiny_picture(tmp_path: Path) -> None:
    path = write_png(tmp_path / "f.png", draw_field().rgb)
    region = tmp_path / "r.geojson"
    corners = [[300, 300], [540, 300], [540, 540], [300, 540], [300, 300]]
    region.write_text(json.dumps({"type": "Polygon", "coordinates": [corners]}), encoding="utf-8")
    whole = measure_collagen(path, stain="psr", mpp_um=0.25)
    assert (whole.analysis_mpp_um, "finer_pixels" in whole.flags) == (1.0, False)
    part = measure_collagen(path, stain="psr", mpp_um=0.25, include=region)
    assert (part.analysis_mpp_um, "finer_pixels" in part.flags) == (0.25, True)
    assert part.tissue_mm2 + part.excluded_mm2["lumens"] == pytest.approx(0.0036, rel=0.01)


def _block(side: int, lumen: int) -> np.ndarray:
    rgb = np.full((side, side, 3), COLOURS["psr"][0], np.uint8)
    rgb[5 : 5 + lumen, 5 : 5 + lumen] = GLASS
    rgb[-8:, -8:] = COLOURS["psr"][1]
    return rgb


@pytest.mark.parametrize(("mpp_um", "lumen"), [(0.9937, 8), (0.5, 12)])
def test_the_least_tissue_is_that_of_the_outline(tmp_path: Path, mpp_um: float, lumen: int) -> None:
    """Its lumens count, and a pixel's rounding does not: 45 x 45 pixels of 0.9937 um are 0.002."""
    path = write_png(tmp_path / "b.png", _block(round(45 / mpp_um), lumen))
    measured = measure_collagen(path, stain="psr", mpp_um=mpp_um)
    assert measured.tissue_mm2 <= 0.00203
    smaller = write_png(tmp_path / "s.png", _block(round(43 / mpp_um), lumen))
    with pytest.raises(MeasurementError, match=r"0\.002 mm2 at least are needed"):
        measure_collagen(smaller, stain="psr", mpp_um=mpp_um)
