"""Where the program takes a quick way, it gives what the plain way gives, to the bit."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from fibrovol.histology.colour.glass import Appearance, Glass
from fibrovol.histology.colour.hue import CUBE_BITS, colour_histogram, within_a_turn
from fibrovol.histology.colour.lookup import TABLE_BITS, ColourTable, classify
from fibrovol.histology.measure import measure_collagen, write_outputs
from fibrovol.histology.overview import bands
from fibrovol.histology.overview.fragments import label_fragments
from fibrovol.histology.overview.marks import disk, opened, with_neighbour
from fibrovol.histology.overview.red_ink import _strong_chroma
from fibrovol.histology.overview.tissue import drop_small
from fibrovol.histology.readers.pixels import ranked
from fibrovol.histology.results.overlay import (
    COLLAGEN_RGB,
    TISSUE_RGB,
    draw_overlay,
    draw_scale_bar,
)
from fibrovol.histology.settings import Tuning
from fibrovol.histology.tiles.grid import AnalysisGrid
from fibrovol.histology.tiles.threads import in_background, in_threads
from fibrovol.histology.tiles.tiles import (
    MARGIN_PX,
    Box,
    Outline,
    _tile_edge,
    block_classes,
    smooth,
)

from .conftest import Field, write_pyramid


def blobs(seed: int, height: int, width: int, part: float = 0.5) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height, width)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 2)
    return noise > np.quantile(noise, 1 - part)


def colours(seed: int, height: int, width: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_threads_change_nothing(tmp_path: Path, psr_field: Field) -> None:
    slide = write_pyramid(tmp_path / "slide.tif", psr_field.rgb, 0.5)
    found = []
    for threads in (1, 2, 3):
        measured = measure_collagen(slide, stain="psr", tuning=Tuning(threads=threads))
        files = write_outputs(measured, tmp_path / str(threads), "case")
        assert files.geojson_path is not None
        pictures = [p.read_bytes() for p in (files.overlay_path, files.pair_path)]
        values = [
            getattr(measured, name)
            for name in ("caf_percent", "caf_percent_low", "fragments", "excluded_mm2", "flags")
        ]
        regions = files.geojson_path.read_bytes()
        found.append((values, pictures, regions, tifffile.imread(files.mask_path).tobytes()))
    assert found[0] == found[1] == found[2]
    assert found[0][0][0] > 0


def test_one_thread_is_the_callers() -> None:
    def where(_: int) -> int:
        return threading.get_ident()

    here = threading.get_ident()
    assert set(in_threads(where, range(3), 1)) == {here}
    assert here not in set(in_threads(where, range(3), 2))
    for threads, alone in ((1, True), (2, False)):
        with in_background(threading.get_ident, threads) as result:
            assert (result() == here) is alone


@pytest.mark.parametrize("mpp_um", [1.0, 1.4, 3.0])
def test_classes_of_a_block_do_not_depend_on_its_bands(mpp_um: float) -> None:
    rgb = cv2.blur(colours(0, 117, 90), (5, 5))
    table = ColourTable(lambda seen: (seen.depth / 2).astype(np.uint8), Glass((255.0,) * 3))
    m = MARGIN_PX
    expected = classify(smooth(rgb, mpp_um), table)[m:-m, m:-m]
    assert np.array_equal(block_classes(rgb, table, mpp_um), expected)


@pytest.mark.parametrize("more", [0, 100], ids=["", "up to 255"])
def test_a_table_holds_its_rule_whatever_the_threads(more: int) -> None:
    glass = Glass((255.0, 240.0, 225.0))

    def rule(seen: Appearance) -> np.ndarray:
        value = seen.chroma / 2 + 60 * (seen.hue_deg > 20) + 60 * (seen.depth > 90)
        return np.minimum(value + more, 255).astype(np.uint8)

    tables = [ColourTable(rule, glass) for _ in (1, 2)]
    rgb = colours(1, 40, 50)
    rgb[0, :2] = (0, 0, 0), (255, 255, 255)
    middle = (rgb // 2 * 2 + 0.5).astype(np.float32)
    middle[rgb < 2], middle[rgb > 253] = 0, 255
    parts = list(in_threads(lambda row: classify(rgb[row : row + 1], tables[1]), range(40), 2))
    whole = [classify(rgb, tables[0]) for _ in ("met", "known")]
    assert np.array_equal(whole[0], whole[1])
    assert np.array_equal(whole[0], np.concatenate(parts))
    expected = rule(glass.appearance(*middle.reshape(-1, 3).T)).reshape(40, 50)
    # the table's last green is never asked for
    inside = rgb[..., 1] < 254
    assert np.array_equal(classify(rgb, tables[0])[inside], expected[inside])


def test_a_table_that_is_asked_often_is_completed() -> None:
    """A large slide has rare colours everywhere."""
    tables = [
        ColourTable(lambda seen: (seen.depth / 2).astype(np.uint8), Glass((255.0,) * 3))
        for _ in range(2)
    ]
    rgb = colours(4, 100, 300)
    by_rows = [classify(row[None], tables[0]) for row in rgb]
    assert np.array_equal(np.concatenate(by_rows), classify(rgb, tables[1]))
    known = [np.count_nonzero(table.values != 255) / (1 << 3 * TABLE_BITS) for table in tables]
    assert known[1] < 0.9
    assert known[0] == 1


def test_colours_are_counted() -> None:
    rgb, mask = colours(2, 60, 70) // 8 * 8, blobs(2, 60, 70)
    red, green, blue = (rgb[mask].astype(np.int64) >> (8 - CUBE_BITS)).T
    index = (red << 2 * CUBE_BITS) | (green << CUBE_BITS) | blue
    expected = np.bincount(index, minlength=1 << (3 * CUBE_BITS))
    assert np.array_equal(colour_histogram(rgb, mask), expected)


def test_angles_within_a_turn() -> None:
    ends = np.array([-360, -0.0, 0, 359.999, 360, 719.999], np.float32)
    angles = np.random.default_rng(3).uniform(-360, 720, 100_000).astype(np.float32)
    for kind in (np.float32, np.float64):
        angle = np.concatenate([ends, angles]).astype(kind)
        assert np.array_equal(within_a_turn(angle), angle % kind(360))
        assert within_a_turn(angle).dtype == kind


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1001])
def test_strong_chroma_is_a_percentile(count: int) -> None:
    generator = np.random.default_rng(count)
    half = generator.integers(1, 128, count, dtype=np.uint8)
    red = (128 * generator.integers(0, 2, count)).astype(np.uint8)
    seen = np.concatenate([half + red, np.zeros(5, np.uint8)])[None]
    assert _strong_chroma(seen) == pytest.approx(np.percentile(2.0 * half, 90))


@pytest.mark.parametrize(
    ("side_px", "factor", "tile_px", "threads", "edge"),
    [
        (20480, 1, 2048, 2, 2048),
        (20480, 1, 2048, 8, 1024),  # too few for eight threads
        (10240, 1, 2048, 2, 1024),
        (10240, 2, 2048, 2, 1024),  # 2,048 source pixels
        (20480, 1, 600, 2, 1024),
        (20480, 8, 2048, 1, 512),
    ],
)
def test_tiles_are_long_where_there_are_many(
    side_px: int, factor: int, tile_px: int, threads: int, edge: int
) -> None:
    grid = AnalysisGrid(0, factor, 1.0, side_px, side_px, 1.0)
    assert _tile_edge(grid, tile_px, threads) == edge


def test_pieces_that_reach_into_a_box() -> None:
    labels = label_fragments(blobs(4, 37, 53, 0.1)).labels
    for size in ((500, 333), (53, 37), (40, 20)):
        outline = Outline(labels, size)
        for x, y in itertools.product(range(0, size[0], 19), range(0, size[1], 17)):
            box = Box(x, y, min(19, size[0] - x), min(17, size[1] - y))
            seen = set(np.unique(outline.pieces(box)))
            assert seen <= set(outline.numbers(box))


@pytest.mark.parametrize("part", [0.0, 0.3, 1.0])
def test_small_pieces_are_dropped(part: float) -> None:
    mask = blobs(5, 80, 90, part)
    pieces = label_fragments(mask)
    areas = np.bincount(pieces.labels.ravel())
    for smallest in (0, 20, 1e9):
        keep = areas >= smallest
        keep[0] = False
        assert np.array_equal(drop_small(mask, smallest), keep[pieces.labels])


@pytest.mark.parametrize("part", [0.0, 0.02, 0.7, 1.0])
@pytest.mark.parametrize("radius_px", [0.4, 1.0, 3.0, 8.0])
def test_a_mask_is_opened_by_a_disk(part: float, radius_px: float) -> None:
    for seed in range(4):
        mask = blobs(seed, 90, 70, part)
        expected = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, disk(radius_px)) > 0
        assert np.array_equal(opened(mask, radius_px), expected)


def test_a_strokes_neighbours_are_those_on_the_whole_picture() -> None:
    strokes, outside = blobs(8, 120, 140, 0.1), blobs(9, 120, 140, 0.3)
    count, labels = cv2.connectedComponents(strokes.view(np.uint8))
    away_px = cv2.distanceTransform(1 - outside.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    edge = strokes & (cv2.erode(strokes.view(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    for part, reach_px in ((0.2, 3.0), (0.7, 3.0), (0.7, 200.0)):
        expected = np.zeros_like(strokes)
        for label in range(1, count):
            its_edge = edge & (labels == label)
            if (away_px[its_edge] <= reach_px).mean() >= part:
                expected |= labels == label
        assert expected.any()
        assert np.array_equal(with_neighbour(strokes, outside, part, reach_px), expected)


@pytest.mark.parametrize("sigma_px", [1.0, 7.0])
def test_a_blur_does_not_depend_on_its_bands(
    monkeypatch: pytest.MonkeyPatch, sigma_px: float
) -> None:
    monkeypatch.setattr(bands, "BAND_PX", 1000)
    monkeypatch.setattr(bands, "_REACHES", 1)
    rgb = colours(10, 300, 40)
    expected = cv2.GaussianBlur(rgb, (0, 0), sigma_px)[..., 1]
    assert np.array_equal(bands.blurred(rgb, sigma_px, lambda part: part[..., 1]), expected)


def test_channels_are_ranked() -> None:
    rgb = colours(11, 40, 50) // 64 * 64  # many are alike
    assert np.array_equal(np.stack(ranked(rgb), axis=-1), np.sort(rgb, axis=-1))


def test_an_overlays_contours_are_those_of_its_areas() -> None:
    rgb, nothing = colours(6, 90, 70), np.zeros((90, 70), np.float32)
    for seed, part in ((0, 0.2), (1, 0.6), (2, 1.0)):
        tissue = blobs(seed, 90, 70, part).astype(np.float32)
        expected = rgb.copy()
        contours, _ = cv2.findContours(
            tissue.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(expected, contours, -1, TISSUE_RGB, 1)
        found = draw_overlay(rgb, tissue, nothing, 8.0)
        assert np.array_equal(found, draw_scale_bar(expected, 8.0))


def test_an_overlay_is_tinted_by_its_share_of_collagen() -> None:
    rgb, share = colours(7, 90, 70), blobs(7, 90, 70) * np.float32(0.4)
    weight = 0.5 * share[..., None]
    mixed = rgb * (1 - weight) + weight * np.array(COLLAGEN_RGB, np.float32)
    expected = draw_scale_bar((mixed + 0.5).astype(np.uint8), 8.0)
    assert np.array_equal(draw_overlay(rgb, np.zeros_like(share), share, 8.0), expected)
