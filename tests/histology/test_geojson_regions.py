"""Polygons out are the mask, exactly; regions in mean what QuPath means."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import hypothesis.extra.numpy as drawn
import numpy as np
import pytest
import shapely
from fibrovol.errors import RegionError
from fibrovol.histology.measure import measure_collagen, write_outputs
from fibrovol.histology.regions import read_region
from fibrovol.histology.results.geojson import feature, mask_polygons
from fibrovol.histology.results.outlines import corner_count, light_outlines
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon, shape

from .conftest import Field, a_slide, write_png


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
def test_polygons_are_valid_and_have_the_masks_area(part: float) -> None:
    mask = np.random.default_rng(1).random((90, 110)) < part
    polygons = mask_polygons(mask)
    assert all(Polygon(rings[0], rings[1:]).is_valid for rings in polygons)
    geometry = shape(feature(polygons, name="Collagen", scale=2.0, measurements={})["geometry"])
    assert geometry.is_valid
    assert geometry.area == 4 * mask.sum()


def test_polygons_rasterise_back_to_the_mask(tmp_path: Path) -> None:
    mask = np.random.default_rng(2).random((60, 70)) < 0.6
    path = tmp_path / "r.geojson"
    path.write_text(
        json.dumps(feature(mask_polygons(mask), name="Tissue", scale=1.0, measurements={})),
        encoding="utf-8",
    )
    region = read_region(path, a_slide(70, 60)).region
    assert (region.inside(0, 0, 70, 60, (70, 60)) == mask).all()
    assert (region.inside(20, 13, 50, 16, (70, 60)) == mask[13:29, 20:]).all()


def test_written_polygons_match_the_measured_areas(tmp_path: Path, psr_field: Field) -> None:
    path = write_png(tmp_path / "f.png", psr_field.rgb)
    measured = measure_collagen(path, stain="psr", mpp_um=0.5)  # two slide pixels an analysis pixel
    files = write_outputs(measured, tmp_path, "case")
    assert files.geojson_path is not None
    features = json.loads(files.geojson_path.read_text(encoding="utf-8"))["features"]
    areas = {"Tissue": 0.0, "Collagen": 0.0}
    for one in features:
        assert shape(one["geometry"]).is_valid
        areas[one["properties"]["classification"]["name"]] += (
            shape(one["geometry"]).area * 0.5**2 / 1e6
        )
    by_id = {one["id"]: one["properties"]["name"] for one in features}
    parents = {one["properties"]["name"]: one["properties"].get("parent") for one in features}
    assert by_id[parents["Collagen 1"]] == "Tissue 1"
    assert areas["Tissue"] == pytest.approx(measured.tissue_mm2, rel=1e-3)
    assert areas["Collagen"] == pytest.approx(measured.collagen_mm2, rel=1e-3)


def test_exclude_takes_a_region_out_and_itemises_it(tmp_path: Path, psr_field: Field) -> None:
    path = write_png(tmp_path / "f.png", psr_field.rgb)
    ring = [[0, 0], [400, 0], [400, 800], [0, 800], [0, 0]]
    region = tmp_path / "half.geojson"
    region.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}), encoding="utf-8")
    whole = measure_collagen(path, stain="psr", mpp_um=1.0)
    left = measure_collagen(path, stain="psr", mpp_um=1.0, include=region)
    right = measure_collagen(path, stain="psr", mpp_um=1.0, exclude=region)
    assert left.tissue_mm2 + right.tissue_mm2 == pytest.approx(whole.tissue_mm2, rel=0.01)
    assert right.excluded_mm2["regions"] > 0.2
    assert not right.tissue_mask.to_array()[:, :400].any()


@pytest.mark.parametrize(
    "content", ["{", '{"type": "Point", "coordinates": [1, 2]}', '{"type": "FeatureCollection"}']
)
def test_a_bad_region_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "r.geojson"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(RegionError) as caught:
        read_region(path, a_slide(100, 100))
    assert caught.value.code == "bad_region"


def _off_border(mask: np.ndarray, polygons: list[list[np.ndarray]]) -> np.ndarray:
    """Distance of points along the polygons' sides from the nearest edge of the mask, pixels."""
    padded = np.pad(mask, 1)
    edges = [((x - 1, y), (x, y)) for y, x in np.argwhere(padded[1:] != padded[:-1])] + [
        ((x, y - 1), (x, y)) for y, x in np.argwhere(padded[:, 1:] != padded[:, :-1])
    ]
    sides = [(ring, np.roll(ring, -1, axis=0) - ring) for rings in polygons for ring in rings]
    points = np.concatenate([a + part * b for a, b in sides for part in np.arange(0, 1, 0.25)])
    tree = shapely.STRtree(shapely.linestrings(np.array(edges, float)))
    _, away = tree.query_nearest(shapely.points(points), return_distance=True, all_matches=False)
    return np.asarray(away)


@settings(max_examples=60, deadline=None)
@given(
    drawn.arrays(bool, drawn.array_shapes(min_dims=2, max_dims=2, max_side=14), fill=st.just(False))
)
def test_outlines_of_odd_shapes_lie_on_their_border(mask: np.ndarray) -> None:
    """Single pixels, diagonals, holes, pixels at the edge of the picture."""
    polygons = light_outlines(mask)
    shapes = [Polygon(rings[0], rings[1:]) for rings in polygons]
    assert all(one.is_valid for one in shapes)
    assert sum(one.area for one in shapes) == mask.sum()
    assert corner_count(mask) == sum(len(ring) for rings in polygons for ring in rings)
    if mask.any():
        assert _off_border(mask, polygons).max() <= 0.5


@pytest.mark.parametrize("kind", ["rings", "diagonals", "pixels", "chessboard"])
def test_outlines_of_regular_shapes_lie_on_their_border(kind: str) -> None:
    y, x = np.mgrid[:90, :120]
    mask = {
        "rings": (np.hypot(x - 60, y - 45) // 5) % 2 == 1,
        "diagonals": (x + y) % 7 == 0,
        "pixels": (x % 5 == 2) & (y % 4 == 1),
        "chessboard": ((x // 3 + y // 3) % 2 == 0) & (x < 60),
    }[kind]
    polygons = light_outlines(mask)
    assert sum(Polygon(rings[0], rings[1:]).area for rings in polygons) == mask.sum()
    assert _off_border(mask, polygons).max() <= 0.5


def _mesh() -> np.ndarray:
    noise = np.random.default_rng(5).random((400, 500)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 4) > 0.5)


def test_light_outlines_keep_area_and_place() -> None:
    mask = _mesh()
    light, exact = light_outlines(mask), mask_polygons(mask)
    assert sum(len(r) for q in light for r in q) < 0.35 * sum(len(r) for q in exact for r in q)
    shapes = [Polygon(rings[0], rings[1:]) for rings in light]
    assert all(one.is_valid for one in shapes)
    assert sum(one.area for one in shapes) == pytest.approx(mask.sum(), rel=1e-3)
    corners = np.concatenate([ring for rings in light for ring in rings])
    assert (corners == np.rint(corners)).all()
    away = _off_border(mask, light)
    assert np.mean(away <= 0.5) > 0.9
    assert away.max() <= 2.0
    filled = np.zeros(mask.shape, np.uint8)
    for rings in light:
        cv2.fillPoly(
            filled, [np.rint(ring * 16 - 8).astype(np.int32) for ring in rings], 1, shift=4
        )
    differ = (filled > 0) != mask
    for reach_px, most in ((1, 1e-3), (2, 1e-4)):  # specks and pinholes are left out
        around = np.ones((2 * reach_px + 1,) * 2, np.uint8)
        border = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_GRADIENT, around)
        assert np.count_nonzero(differ & (border == 0)) <= most * differ.size


@pytest.mark.parametrize("hole", [0.03, 0.06])
def test_light_outlines_make_up_for_pinholes(hole: float) -> None:
    """Pinholes are left out; the tissue's area stays without them."""
    mask = np.zeros((400, 400), bool)
    mask[20:380, 20:380] = cv2.blur(_mesh()[:360, :360].astype(np.float32), (3, 3)) > 0.2
    mask &= np.random.default_rng(1).random(mask.shape) > hole
    light = light_outlines(mask)
    area = sum(Polygon(rings[0], rings[1:]).area for rings in light)
    assert area == pytest.approx(mask.sum(), rel=1e-3)


def test_a_small_mask_keeps_its_outline() -> None:
    mask = np.zeros((40, 40), bool)
    mask[5:9, 5:30] = mask[20, 20] = True
    assert light_outlines(mask) == [
        [pytest.approx(np.asarray(ring)) for ring in rings] for rings in mask_polygons(mask)
    ]
