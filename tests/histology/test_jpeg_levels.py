"""Levels that JPEG has at a half, a quarter and an eighth of its size; damaged tiles."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from fibrovol.errors import SlideError
from fibrovol.histology.measure import measure_collagen
from fibrovol.histology.readers import open_slide
from fibrovol.histology.readers.jpeg import is_whole
from fibrovol.histology.tiles.grid import plan_grid, read_block
from fibrovol.phantoms.slides import render_slide

MPP_UM = 0.5


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return render_slide(stain="masson", caf_percent=12, seed=2, size_px=(1610, 1203)).rgb


def write(path: Path, rgb: np.ndarray, levels: tuple[int, ...] = (1,), **options: object) -> Path:
    """A pyramid with levels at these steps, as halves of the finest would give them."""
    with tifffile.TiffWriter(path) as tiff:
        for number, step in enumerate(levels):
            size = (rgb.shape[1] // step, rgb.shape[0] // step)
            level = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if step > 1 else rgb
            settings = {
                "tile": (256, 256),
                "compression": "jpeg",
                "compressionargs": {"level": 90},
                "photometric": "rgb",
                "resolution": (1e4 / (MPP_UM * step),) * 2,
                "resolutionunit": "CENTIMETER",
                "subifds": len(levels) - 1 if number == 0 else None,
                "subfiletype": 1 if number else 0,
                **options,
            }
            tiff.write(level, **settings)
    return path


def downsamples(path: Path) -> list[int]:
    with open_slide(path) as slide:
        return [round(level.downsample) for level in slide.levels]


def test_gaps_of_a_pyramid_are_filled_and_no_more(tmp_path: Path, picture: np.ndarray) -> None:
    one = write(tmp_path / "one.tif", picture)
    assert downsamples(one) == [1, 2, 4, 8]
    quarters = write(tmp_path / "quarters.tif", picture, (1, 4))
    assert downsamples(quarters) == [1, 2, 4, 8, 16, 32]
    halves = write(tmp_path / "halves.tif", picture, (1, 2, 4))
    assert downsamples(halves) == [1, 2, 4, 8, 16, 32]
    deflated = write(tmp_path / "d.tif", picture, compression="deflate", compressionargs=None)
    assert downsamples(deflated) == [1]
    odd_tiles = write(tmp_path / "o.tif", picture, tile=(240, 176))
    assert downsamples(odd_tiles) == [1, 2, 4, 8]
    no_tiles = write(tmp_path / "strips.tif", picture, tile=None, rowsperstrip=64)
    assert downsamples(no_tiles) == [1]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"subsampling": (2, 2)},
        {"subsampling": (2, 1)},
        {"compressionargs": {"level": 90, "outcolorspace": "rgb"}},
    ],
)
def test_a_filled_level_is_the_mean_of_the_finer_one(
    tmp_path: Path, picture: np.ndarray, options: dict[str, object]
) -> None:
    path = write(tmp_path / "a.tif", picture, **options)
    with open_slide(path) as slide:
        full = slide.read_region(0, 0, 0, *slide.size_px)
        for number, level in enumerate(slide.levels[1:], start=1):
            step = round(level.downsample)
            assert (level.width_px, level.height_px) == (1610 // step, 1203 // step)
            got = slide.read_region(number, 0, 0, level.width_px, level.height_px).astype(int)
            even = full[: level.height_px * step, : level.width_px * step]
            size = (level.width_px, level.height_px)
            mean = cv2.resize(even, size, interpolation=cv2.INTER_AREA)
            assert np.abs(got - mean).mean() < 2.5
            assert np.abs((got - mean).mean(axis=(0, 1))).max() < 0.5  # no colour is turned


def test_a_filled_level_is_read_alike_in_any_region(tmp_path: Path, picture: np.ndarray) -> None:
    with open_slide(write(tmp_path / "a.tif", picture)) as slide:
        grid = plan_grid(slide, 1.0)
        assert (grid.level, grid.factor) == (1, 1)
        whole = read_block(slide, grid, 0, 0, grid.width_px, grid.height_px)
        for x, y, width, height in ((0, 0, 50, 60), (100, 90, 300, 200), (600, 400, 205, 201)):
            part = read_block(slide, grid, x, y, width, height)
            assert np.array_equal(part, whole[y : y + height, x : x + width])


def test_the_fraction_is_that_of_the_averaged_pixels(tmp_path: Path, picture: np.ndarray) -> None:
    filled = write(tmp_path / "jpeg.tif", picture)
    with open_slide(filled) as slide:
        decoded = slide.read_region(0, 0, 0, *slide.size_px)
    plain = write(tmp_path / "plain.tif", decoded, compression="deflate", compressionargs=None)
    one, other = (measure_collagen(path, stain="masson") for path in (filled, plain))
    levels = [measured.parameters["level_read"] for measured in (one, other)]
    assert [level["reduction"] for level in levels] == [2, 1]
    assert [round(level["downsample"]) for level in levels] == [2, 1]
    assert one.analysis_mpp_um == pytest.approx(other.analysis_mpp_um)
    assert one.caf_percent == pytest.approx(other.caf_percent, abs=0.3)
    assert one.tissue_mm2 == pytest.approx(other.tissue_mm2, rel=0.01)


def test_a_tile_that_is_cut_short_is_not_filled_up(tmp_path: Path, picture: np.ndarray) -> None:
    path = write(tmp_path / "a.tif", picture)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        place, count = page.dataoffsets[8], page.databytecounts[8]
    whole = path.read_bytes()
    assert is_whole(whole[place : place + count])
    half = count // 2
    # the same length with nothing in its second half, as a failed copy leaves it
    path.write_bytes(whole[: place + half] + bytes(count - half) + whole[place + count :])
    for mpp_um in (0.5, 1.0):  # by way of a filled level, and of the finest one
        with pytest.raises(SlideError, match="damaged") as caught:
            measure_collagen(path, stain="masson", mpp_um=mpp_um)
        assert caught.value.code == "unreadable_slide"
        assert "cut short" in str(caught.value)


def test_damaged_tags_and_tiles_end_in_an_error_of_ours(tmp_path: Path) -> None:
    rgb = render_slide(stain="masson", caf_percent=12, seed=2, size_px=(600, 500)).rgb
    whole = write(tmp_path / "whole.tif", rgb, (1, 4)).read_bytes()
    generator = np.random.default_rng(0)
    path, refused = tmp_path / "damaged.tif", 0
    for _ in range(120):
        damaged = bytearray(whole)
        # the tags of the first page stand at the start, those of the others near the end
        places = (*generator.integers(4, 420, 3), len(whole) - generator.integers(1, 600))
        for place in places:
            damaged[place] = generator.integers(0, 256)
        path.write_bytes(damaged)
        try:
            with open_slide(path, mpp_um=0.5) as slide:
                slide.read_region(0, 0, 0, *slide.size_px)
        except SlideError:
            refused += 1
    assert refused > 60
