"""Parts that were never scanned and hold white, black or grey, beside glass of another colour."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from fibrovol.histology.colour.glass import Glass
from fibrovol.histology.measure import measure_collagen
from fibrovol.histology.overview.fill import dark_fill_as_glass, white_fill
from fibrovol.histology.overview.white import find_glass
from fibrovol.histology.readers import open_slide
from fibrovol.histology.results.measurement import CollagenMeasurement
from fibrovol.phantoms.slides import render_slide
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
WHITE = (255, 255, 255)


@pytest.fixture(scope="module")
def overview() -> Rgb:
    return render_slide(stain="psr", caf_percent=15.0, seed=2, size_px=(1600, 800), mpp_um=4.0).rgb


@pytest.fixture(scope="module")
def slide() -> Rgb:
    return render_slide(stain="psr", caf_percent=15.0, seed=4, size_px=(1800, 900)).rgb


def exposed(rgb: Rgb, gain: float, offset: float = 0.0) -> Rgb:
    return np.asarray(np.clip(np.rint(rgb * gain + offset), 0, 255).astype(np.uint8))


def filled(rgb: Rgb, colour: tuple[int, ...]) -> Rgb:
    """With a frame on two sides, tiles left out at the corners, and a strip through the tissue."""
    height, width = rgb.shape[:2]
    picture = rgb.copy()
    picture[: height // 5, width // 2 :] = colour
    picture[-height // 7 :, : width // 3] = colour
    picture[:, width // 4 : width // 4 + width // 12] = colour
    frame = (height // 3, 0, 0, width // 4)
    return np.asarray(cv2.copyMakeBorder(picture, *frame, cv2.BORDER_CONSTANT, value=colour))


def as_jpeg(rgb: Rgb, quality: int) -> Rgb:
    return np.asarray(
        cv2.imdecode(cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)
    )


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (0.85, 0.0), (0.8, 30.0)])
@pytest.mark.parametrize("quality", [None, 80])
def test_white_where_nothing_was_scanned_is_no_glass(
    overview: Rgb, gain: float, offset: float, quality: int | None
) -> None:
    scan = exposed(overview, gain, offset)
    expected = find_glass(scan).rgb
    assert max(expected) < 247
    picture = filled(scan, WHITE)
    glass = find_glass(picture if quality is None else as_jpeg(picture, quality))
    assert glass.seen
    assert glass.rgb == pytest.approx(expected, abs=1.0)


@pytest.mark.parametrize("gain", [1.15, 1.2, 1.5])
@pytest.mark.parametrize("fill", [False, True])
def test_glass_that_is_overexposed_stays_white(overview: Rgb, gain: float, fill: bool) -> None:
    scan = exposed(overview, gain)
    assert (scan == 255).all(axis=2).mean() > 0.2
    assert white_fill(scan) is None
    assert find_glass(filled(scan, WHITE) if fill else scan) == Glass(WHITE)


def test_glass_that_is_nearly_white_is_as_without_fill(overview: Rgb) -> None:
    generator = np.random.default_rng(0)
    scan = overview.copy()
    glass = scan.min(axis=2) > 220
    noise = generator.integers(250, 256, (*scan.shape[:2], 1))
    scan[glass] = np.broadcast_to(noise, scan.shape)[glass]
    assert white_fill(scan) is None
    assert min(find_glass(scan).rgb) >= 250
    assert min(find_glass(filled(scan, WHITE)).rgb) >= 250


@pytest.mark.parametrize("stain", ["psr", "masson"])
def test_a_real_field_beside_fill_has_no_other_glass_than_without(
    shared_data: Path, stain: str
) -> None:
    for number in ("00", "03", "05", "09"):
        for path in sorted(
            (shared_data / "slides" / "reexposed_fields").glob(f"{stain}{number}_v*")
        ):
            rgb = np.asarray(cv2.imread(str(path))[..., ::-1], order="C")
            white = find_glass(cv2.copyMakeBorder(rgb, 99, 0, 150, 0, 0, value=WHITE)).rgb
            assert white == WHITE or white == pytest.approx(find_glass(rgb).rgb, abs=2.0)


def test_a_real_slide_with_white_tiles(shared_data: Path) -> None:
    path = shared_data / "slides" / "formats" / "tcga-cr-7395-01a-01-ts1.svs"
    with open_slide(path, mpp_um=0.5) as slide:
        level = len(slide.levels) - 1
        size = slide.levels[level]
        rgb = slide.read_region(level, 0, 0, size.width_px, size.height_px)
    glass = find_glass(rgb)
    assert glass.seen
    assert glass.rgb == pytest.approx((241, 236, 239), abs=2)


@pytest.mark.parametrize("grey", [0, 128, 200])
def test_dark_fill_becomes_glass_and_nothing_else_does(overview: Rgb, grey: int) -> None:
    white = find_glass(overview)
    assert dark_fill_as_glass(overview, white) is overview
    picture = filled(overview, (grey, grey, grey))
    without = filled(overview, tuple(round(part) for part in white.rgb))
    seen = dark_fill_as_glass(picture, white)
    assert np.abs(seen.astype(int) - without).max(axis=2).mean() < 0.6  # only beside the border
    assert (seen[picture[..., 1] == grey].min(axis=-1) > 200).mean() > 0.99


def test_black_that_is_drawn_by_hand_stays(overview: Rgb) -> None:
    white = find_glass(overview)
    picture = overview.copy()
    curve = np.array([(60 + 9 * t, 120 + 60 * np.sin(t / 9)) for t in range(150)], np.int32)
    cv2.polylines(picture, [curve], False, (0, 0, 0), 24)
    assert dark_fill_as_glass(picture, white) is picture


def test_fill_moves_no_number(tmp_path: Path, slide: Rgb) -> None:
    """White and grey made pen of collagen (8 and 5 % for 14.5 %), black was 5 mm2 of dirt."""

    def measured(colour: tuple[int, ...]) -> CollagenMeasurement:
        path = tmp_path / "slide.png"
        cv2.imwrite(str(path), filled(slide, colour)[..., ::-1])
        return measure_collagen(path, stain="psr", mpp_um=1.0)

    with_glass = measured(tuple(round(part) for part in find_glass(slide).rgb))
    for colour in (WHITE, (0, 0, 0), (128, 128, 128)):
        with_fill = measured(colour)
        assert with_fill.caf_percent == pytest.approx(with_glass.caf_percent, abs=0.15)
        assert with_fill.tissue_mm2 == pytest.approx(with_glass.tissue_mm2, rel=0.01)
        assert with_fill.flags == with_glass.flags
        for what in ("pen", "coverslip_and_dirt", "debris"):
            left_out = with_glass.excluded_mm2[what]
            assert with_fill.excluded_mm2[what] == pytest.approx(left_out, abs=0.01)
