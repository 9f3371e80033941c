"""What the method promises: exposure, resolution, marks, focus, lengths, limits."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from fibrovol.histology.colour.glass import Glass
from fibrovol.histology.colour.hue import colour_histogram
from fibrovol.histology.colour.model import estimate_model
from fibrovol.histology.colour.stain_table import stain_definition
from fibrovol.histology.measure import measure_collagen
from fibrovol.histology.overview.fragments import midline_length_mm
from fibrovol.histology.overview.tissue import outline_tissue
from fibrovol.histology.overview.white import find_glass
from fibrovol.histology.results.limits import caf_limits
from fibrovol.histology.tiles.focus import LEAST_DETAIL, detail_ratio
from fibrovol.phantoms import slides
from fibrovol.phantoms.slides import StainLook, render_slide

from .conftest import COLOURS, Field, draw_field, write_png


@pytest.mark.parametrize("stain", ["psr", "masson"])
def test_exposure_does_not_move_the_fraction(tmp_path: Path, stain: str) -> None:
    field = draw_field(stain, seed=3)
    fractions = []
    for gain, offset in ((1.0, 0), (0.7, 0), (0.85, 10), (0.9, -20)):
        other = np.clip(field.rgb.astype(np.float32) * gain + offset, 0, 255).astype(np.uint8)
        path = write_png(tmp_path / "f.png", other)
        fractions.append(measure_collagen(path, stain=stain, mpp_um=1.0).caf_percent)
    assert fractions[1:] == pytest.approx([fractions[0]] * 3, abs=0.5)


def test_a_coarser_copy_has_the_same_fraction(tmp_path: Path) -> None:
    field = draw_field("psr", size=1600, width=30)
    one = measure_collagen(write_png(tmp_path / "a.png", field.rgb), stain="psr", mpp_um=0.5)
    for step in (2, 4):
        small = cv2.resize(field.rgb, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
        path = write_png(tmp_path / "b.png", small)
        other = measure_collagen(path, stain="psr", mpp_um=0.5 * step)
        assert other.caf_percent == pytest.approx(one.caf_percent, abs=1.0)


@pytest.mark.parametrize("tile", ["psr_human", "masson_human", "masson_model_a", "masson_model_b"])
def test_a_coarser_scan_of_a_real_tile_drifts_less_than_a_point(
    shared_data: Path, tmp_path: Path, tile: str
) -> None:
    stain, kind, *letter = tile.split("_")
    name = f"{stain}_{kind}_liver_tile" + "".join(f"_{one}" for one in letter)
    path = next((shared_data / "slides" / "liver").glob(f"{name}.[jp][pn]g"))
    rgb, mpp_um = cv2.imread(str(path)), 0.44 if letter else 1.0124
    fractions = []
    for step in (1, 2, 4):
        small = cv2.resize(rgb, None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA)
        coarse = write_png(tmp_path / f"{step}.png", small[..., ::-1])
        measured = measure_collagen(coarse, stain=stain, mpp_um=mpp_um * step)
        fractions.append(measured.caf_percent)
    assert max(fractions) - min(fractions) < 1.0


@pytest.mark.parametrize("stain", list(COLOURS))
def test_a_small_crop_without_glass_is_measured_like_its_field(tmp_path: Path, stain: str) -> None:
    field = draw_field(stain, bands=12, width=24)
    crop = slice(200, 456), slice(240, 496)
    assert 3 < 100 * field.collagen[crop].mean() < 60
    path = write_png(tmp_path / "c.png", field.rgb[crop])
    for mpp_um in (0.25, 1.0):  # 64 um and 256 um across
        measured = measure_collagen(path, stain=stain, mpp_um=mpp_um)
        truth = 100 * field.collagen[crop].sum() / field.tissue[crop].sum()
        assert measured.caf_percent == pytest.approx(truth, abs=2.5)
        assert measured.n_fragments == 1


def test_the_border_of_a_scar_is_that_of_its_field() -> None:
    counter, collagen = (np.array(c, dtype=np.float32) for c in COLOURS["masson"])
    drawn = np.stack([counter, counter + 0.35 * (collagen - counter), collagen]).round()
    borders = []
    for shares in ((80, 8, 12), (12, 28, 60)):  # counterstain, mixed pixels, collagen
        rgb = np.repeat(drawn.astype(np.uint8), np.array(shares) * 100, axis=0)[None]
        counts = colour_histogram(rgb, np.ones(rgb.shape[:2], dtype=bool))
        model = estimate_model(counts, Glass((255.0, 255.0, 255.0)), stain_definition("masson"))
        borders.append(model.threshold_deg)
    assert borders[1] == pytest.approx(borders[0], abs=6.0)


_RED, _DULL = (0.05, 0.37, 0.33), (0.15, 0.22, 0.15)
_BLUE, _GREEN = (0.53, 0.39, 0.07), (0.55, 0.17, 0.30)


@pytest.mark.parametrize("caf_percent", [4.0, 12.0, 35.0])
@pytest.mark.parametrize(
    ("stain", "collagen", "cells"),
    [("masson", _BLUE, _RED), ("masson", _BLUE, _DULL), ("masson_green", _GREEN, _RED)],
)
def test_collagen_is_told_from_nuclei_whatever_the_cells_are(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    stain: str,
    collagen: tuple[float, float, float],
    cells: tuple[float, float, float],
    caf_percent: float,
) -> None:
    """The limit on purity, taken from the tissue alone, read 4 % as 1.5 (red) or 8 (dull)."""
    monkeypatch.setitem(slides.STAINS, "masson", StainLook(collagen, cells, (0.45, 0.42, 0.28)))
    slide = render_slide(stain="masson", caf_percent=caf_percent, seed=3, size_px=(1400, 760))
    path = write_png(tmp_path / "slide.png", slide.rgb)
    measured = measure_collagen(path, stain=stain, mpp_um=1.0)
    low = 0.7 * slide.caf_percent if slide.caf_percent < 10 else 0.8 * slide.caf_percent
    assert low < measured.caf_percent < slide.caf_percent + 1.0


def test_green_pen_and_grey_edges_are_left_out(psr_field: Field) -> None:
    rgb = psr_field.rgb.copy()
    cv2.line(rgb, (20, 0), (20, 799), (40, 150, 130), 24)
    cv2.line(rgb, (0, 785), (799, 785), (120, 121, 118), 16)
    white = find_glass(rgb)
    assert white.seen
    found = outline_tissue(rgb, white, stain_definition("psr"), 4.0)
    assert not found.tissue[100:700, 12:29].any()
    assert not found.tissue[779:792, 200:700].any()
    assert found.pen[100:700, 20].all()
    inside = found.tissue[90:710, 90:710] | ~psr_field.tissue[90:710, 90:710]
    assert inside.mean() > 0.99


def test_blur_is_seen_and_exposure_is_not(psr_field: Field) -> None:
    generator = np.random.default_rng(0)
    grain = cv2.GaussianBlur(generator.normal(0, 110, (512, 512)).astype(np.float32), (0, 0), 0.8)
    sharp = np.clip(150 + grain, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    mask = np.ones((512, 512), dtype=bool)
    dim = (sharp * 0.6).astype(np.uint8)
    blurred = cv2.GaussianBlur(sharp, (0, 0), 4.0)
    assert np.median(detail_ratio(sharp, mask)) > LEAST_DETAIL
    assert np.median(detail_ratio(dim, mask)) > LEAST_DETAIL
    assert np.median(detail_ratio(blurred, mask)) < LEAST_DETAIL


def test_the_wrong_stain_is_flagged(tmp_path: Path) -> None:
    for stain in COLOURS:
        path = write_png(tmp_path / f"{stain}.png", draw_field(stain).rgb)
        assert "unusual_stain" not in measure_collagen(path, stain=stain, mpp_um=1.0).flags
    path = tmp_path / "psr.png"
    assert "unusual_stain" in measure_collagen(path, stain="masson", mpp_um=1.0).flags


@pytest.mark.parametrize("stain", ["psr", "van_gieson"])
def test_haematoxylin_and_eosin_is_no_red_collagen(tmp_path: Path, stain: str) -> None:
    generator = np.random.default_rng(1)
    rgb = np.full((512, 512, 3), (222, 150, 190), np.float32)  # eosin
    for x, y in generator.integers(8, 504, (300, 2)):
        cv2.circle(rgb, (int(x), int(y)), 4, (120, 90, 160), -1)  # nuclei
    rgb += generator.normal(0, 4, rgb.shape)
    path = write_png(tmp_path / "he.png", np.clip(rgb, 0, 255).astype(np.uint8))
    measured = measure_collagen(path, stain=stain, mpp_um=1.0)
    assert "unusual_stain" in measured.flags


@pytest.mark.parametrize("angle_deg", [0, 30, 77])
def test_length_of_a_straight_core(angle_deg: float) -> None:
    canvas = np.zeros((900, 900), np.uint8)
    box = cv2.boxPoints(((450.0, 450.0), (700.0, 60.0), angle_deg)).astype(np.int32)
    cv2.fillPoly(canvas, [box], 1)
    assert midline_length_mm(canvas > 0, 8.0) == pytest.approx(700 * 8 / 1000, rel=0.06)


def test_two_cores_that_touch_are_both_measured() -> None:
    canvas = np.zeros((300, 900), bool)
    canvas[60:110, 50:850] = True
    canvas[180:230, 50:850] = True
    canvas[100:190, 440:450] = True  # a bridge of debris
    assert midline_length_mm(canvas, 8.0) == pytest.approx(2 * 800 * 8 / 1000, rel=0.1)


def test_limits_hold_the_truth_nine_times_in_ten() -> None:
    generator = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        tissue = generator.integers(50_000, 250_000, 20)
        parts = generator.beta(2.0, 10.0, 20)  # squares vary as lobules and septa do; mean 1 / 6
        collagen = (tissue * parts).astype(np.int64)
        estimate = 100.0 * collagen.sum() / tissue.sum()
        low, high = caf_limits(tissue, collagen, (estimate, estimate), draws=200, seed=trial)
        assert low <= estimate <= high
        hits += low <= 100 / 6 <= high
    assert hits >= 180


def test_limits_of_too_little_tissue_say_nothing() -> None:
    counts = np.array([1000, 1000]), np.array([100, 300])
    assert caf_limits(*counts, (20.0, 20.0), draws=100, seed=0) == (0.0, 100.0)


@pytest.mark.parametrize(
    "numbers",
    [("00", "06"), pytest.param(("00", "03", "06", "09"), marks=pytest.mark.stress)],
    ids=["two", "four"],
)
@pytest.mark.parametrize("stain", ["psr", "masson"])
def test_real_fields_hold_still(shared_data: Path, stain: str, numbers: tuple[str, ...]) -> None:
    """The range over one field's exposures; the whole set is scripts/benchmark/stains.py."""
    folder = shared_data / "slides" / "reexposed_fields"
    ranges = []
    for number in numbers:
        mask = folder / f"{stain}{number}_tissue.png"
        fractions = [
            measure_collagen(path, stain=stain, mpp_um=1.0, include=mask).caf_percent
            for path in sorted(folder.glob(f"{stain}{number}_v*.jpg"))
        ]
        ranges.append(max(fractions) - min(fractions))
    assert np.median(ranges) < 5.0


def test_pen_of_collagens_colour_is_flagged_and_fibres_in_tissue_are_not(tmp_path: Path) -> None:
    """No colour tells green pen from green collagen: the reader must be told."""
    clean = draw_field("masson_green", bands=12, width=24)
    marked = clean.rgb.copy()
    cv2.line(marked, (28, 60), (28, 740), (40, 150, 130), 30)
    # what is quite flat was drawn by a program
    noise = np.random.default_rng(0).integers(-3, 4, marked.shape)
    marked = np.clip(marked + noise, 0, 255).astype(np.uint8)
    for rgb, suspected in ((clean.rgb, False), (marked, True)):
        path = write_png(tmp_path / "f.png", rgb)
        measured = measure_collagen(path, stain="masson_green", mpp_um=2.0)
        assert ("pen_suspected" in measured.flags) == suspected


@pytest.mark.parametrize("stain", ["psr", "masson"])
def test_small_strokes_go_with_larger_ones_of_their_ink(shared_data: Path, stain: str) -> None:
    folder = shared_data / "slides" / "artefacts"
    name = "models__pen_markings_he__pen_green"
    rgb = np.ascontiguousarray(cv2.imread(str(folder / f"{name}.png"))[..., ::-1])
    mask = cv2.imread(str(folder / f"{name}_mask.png"), cv2.IMREAD_GRAYSCALE) > 127
    white = find_glass(rgb)
    for mpp_um in (1.0, 2.0, 5.0, 8.0):
        found = outline_tissue(rgb, white, stain_definition(stain), mpp_um)
        assert 1 - found.tissue[mask].mean() >= 0.9


@pytest.mark.parametrize(
    ("colour", "is_ink"), [((206, 228, 190), False), ((90, 190, 130), True)], ids=["cast", "pen"]
)
def test_a_pale_cast_of_a_strange_hue_is_no_pen(colour: tuple[int, int, int], is_ink: bool) -> None:
    rgb = draw_field("psr").rgb.copy()
    rgb[200:600, 300:400] = colour
    white = find_glass(rgb)
    found = outline_tissue(rgb, white, stain_definition("psr"), 2.0)
    assert (found.pen[200:600, 300:400].mean() > 0.9) == is_ink
    assert is_ink or not found.pen.any()


@pytest.mark.parametrize("number", ["psr14_v4", "psr21_v1"])
def test_the_overexposed_corner_of_a_real_field_is_no_pen(shared_data: Path, number: str) -> None:
    """Its yellow cells looked green beside a glass that is none."""
    path = shared_data / "slides" / "reexposed_fields" / f"{number}.jpg"
    rgb = np.ascontiguousarray(cv2.imread(str(path))[448:, 448:, ::-1])
    white = find_glass(rgb)
    assert not outline_tissue(rgb, white, stain_definition("psr"), 1.0).pen.any()


@pytest.mark.parametrize("stain", ["psr", "masson"])
def test_tissue_of_real_fields_is_no_pen(shared_data: Path, stain: str) -> None:
    folder = shared_data / "slides" / "reexposed_fields"
    for number in ("00", "03", "05", "10"):
        rgb = cv2.imread(str(folder / f"{stain}{number}_v1.jpg"))[..., ::-1]
        white = find_glass(rgb)
        found = outline_tissue(np.ascontiguousarray(rgb), white, stain_definition(stain), 1.0)
        assert not found.pen.any()
        assert not found.doubtful.any()


def test_limits_of_pieces_hold_the_fraction_of_the_whole(tmp_path: Path) -> None:
    """Few pieces here; ``scripts/benchmark/stains.py --pieces`` counts many."""
    slide = render_slide(stain="masson", caf_percent=18.0, seed=5, size_px=(4800, 1600))
    hits = 0
    for number, part in enumerate(np.array_split(slide.rgb, 4, axis=1)):
        path = write_png(tmp_path / f"{number}.png", part)
        piece = measure_collagen(path, stain="masson", mpp_um=1.0)
        hits += piece.caf_percent_low <= slide.caf_percent <= piece.caf_percent_high
        assert piece.caf_percent_high - piece.caf_percent_low < 60  # they do say something
    assert hits >= 3
