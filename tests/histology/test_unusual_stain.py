"""A slide that does not look like its declared stain is flagged; one that does never is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fibrovol.histology.colour.glass import Glass
from fibrovol.histology.colour.hue import colour_histogram
from fibrovol.histology.colour.model import estimate_model
from fibrovol.histology.colour.stain_table import stain_definition
from fibrovol.histology.measure import measure_collagen
from fibrovol.histology.overview.tissue import outline_tissue
from fibrovol.histology.overview.white import find_glass
from fibrovol.histology.tiles.tiles import smooth
from fibrovol.phantoms import slides
from fibrovol.phantoms.slides import StainLook, render_slide
from numpy.typing import NDArray

from .conftest import COLOURS, draw_field, write_png

Rgb = NDArray[np.uint8]

EOSIN, NUCLEI, GLASS = (215, 150, 185), (120, 90, 178), (243, 243, 241)
EXPOSURES = {
    "as it is": (1.0, 0.0),
    "dim": (0.7, 0.0),
    "lifted": (0.7, 40.0),
    "hard": (1.05, -30.0),
}


def _flagged(rgb: Rgb, stain: str) -> bool:
    """The flag of a picture with pixels of 1 um, without the steps that do not bear on it."""
    definition = stain_definition(stain)
    white = find_glass(rgb)
    tissue = outline_tissue(rgb, white, definition, 1.0).tissue
    return estimate_model(colour_histogram(smooth(rgb), tissue), white, definition).unusual


def _haematoxylin_and_eosin(nuclei: int = 500) -> Rgb:
    """Pink tissue with round violet nuclei of 9 um, which pass for collagen on Masson."""
    generator = np.random.default_rng(1)
    rgb = np.full((512, 512, 3), EOSIN, np.float32)
    for x, y in generator.integers(8, 504, (nuclei, 2)):
        cv2.circle(rgb, (int(x), int(y)), 4, NUCLEI, -1)
    rgb[:, :40] = GLASS
    rgb = cv2.GaussianBlur(rgb, (0, 0), 0.6) + generator.normal(0, 3, rgb.shape)
    return np.clip(rgb, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("exposure", list(EXPOSURES))
def test_nuclei_that_pass_for_blue_collagen_are_noticed(tmp_path: Path, exposure: str) -> None:
    gain, offset = EXPOSURES[exposure]
    rgb = _haematoxylin_and_eosin().astype(np.float32) * gain + offset
    path = write_png(tmp_path / "he.png", np.clip(rgb, 0, 255).astype(np.uint8))
    measured = measure_collagen(path, stain="masson", mpp_um=1.0)
    assert measured.caf_percent > 2  # the wrong number that must not pass for a right one
    assert "unusual_stain" in measured.flags


@pytest.mark.parametrize("gamma", [0.7, 1.4])
def test_gamma_does_not_hide_nuclei(gamma: float) -> None:
    rgb = 255 * (_haematoxylin_and_eosin() / 255.0) ** gamma
    assert _flagged(rgb.round().astype(np.uint8), "masson")


def test_drawn_haematoxylin_and_eosin_is_no_trichrome(monkeypatch: pytest.MonkeyPatch) -> None:
    """By published stain vectors, eosin in fibres and cells alike; nearly nothing is read here."""
    look = StainLook((0.05, 0.50, 0.16), (0.05, 0.36, 0.12), (0.50, 0.54, 0.22))
    monkeypatch.setitem(slides.STAINS, "masson", look)
    rgb = render_slide(stain="masson", caf_percent=8.0, seed=3, size_px=(1400, 760)).rgb
    assert _flagged(rgb, "masson")
    assert _flagged(rgb, "masson_green")
    assert _flagged(rgb, "psr")


@pytest.mark.parametrize("caf_percent", [1.0, 3.0, 45.0])
@pytest.mark.parametrize("pale", [False, True])
def test_little_collagen_among_dark_nuclei_is_not_flagged(
    monkeypatch: pytest.MonkeyPatch, pale: bool, caf_percent: float
) -> None:
    """Nor where the cells are so pale that collagen and nuclei are the darkest in blue light."""
    if pale:
        cells = (0.10, 0.21, 0.11)
        monkeypatch.setitem(slides.STAINS, "masson", replace(slides.STAINS["masson"], cells=cells))
    slide = render_slide(stain="masson", caf_percent=caf_percent, seed=4, size_px=(1400, 760))
    assert not _flagged(slide.rgb, "masson")


def test_blue_and_green_trichromes_are_not_taken_for_each_other(tmp_path: Path) -> None:
    for stain, other in (("masson", "masson_green"), ("masson_green", "masson")):
        path = write_png(tmp_path / f"{stain}.png", draw_field(stain).rgb)
        assert "unusual_stain" not in measure_collagen(path, stain=stain, mpp_um=1.0).flags
        assert "unusual_stain" in measure_collagen(path, stain=other, mpp_um=1.0).flags


def test_masson_with_light_green_is_a_green_trichrome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cells are the scarlet and fuchsin of the blue one."""
    light_green = replace(slides.STAINS["masson"], collagen=(0.50, 0.16, 0.30))
    monkeypatch.setitem(slides.STAINS, "masson", light_green)
    slide = render_slide(stain="masson", caf_percent=12.0, seed=5, size_px=(1000, 700))
    path = write_png(tmp_path / "g.png", slide.rgb)
    measured = measure_collagen(path, stain="masson_green", mpp_um=1.0)
    assert measured.caf_percent == pytest.approx(slide.caf_percent, abs=0.8)
    assert "unusual_stain" not in measured.flags
    assert "unusual_stain" in measure_collagen(path, stain="masson", mpp_um=1.0).flags


@pytest.mark.parametrize(("side", "flagged"), [(160, False), (400, True)])
def test_only_plenty_of_tissue_misses_its_collagen(side: int, flagged: bool) -> None:
    rgb = np.full((side, side, 3), (172, 60, 122), np.uint8)
    counts = colour_histogram(rgb, np.ones((side, side), dtype=bool))
    model = estimate_model(counts, Glass((243.0, 243.0, 243.0)), stain_definition("masson"))
    assert model.unusual == flagged


@pytest.mark.parametrize(("number", "step"), [(1, 1), (2, 1), (3, 1), (4, 1), (2, 2), (4, 2)])
def test_real_haematoxylin_and_eosin_is_flagged(shared_data: Path, number: int, step: int) -> None:
    """HistoQC's templates; at step 1 nuclei pass for 0.6 to 46 % of collagen on Masson."""
    path = shared_data / "slides" / "artefacts" / f"templates__template{number}.png"
    rgb = cv2.resize(
        cv2.imread(str(path)), None, fx=1 / step, fy=1 / step, interpolation=cv2.INTER_AREA
    )
    rgb = np.ascontiguousarray(rgb[..., ::-1])
    assert _flagged(rgb, "masson")
    assert _flagged(rgb, "masson_green")


@pytest.mark.parametrize(
    "exposures", ["[03]", pytest.param("*", marks=pytest.mark.stress)], ids=["two", "all"]
)
@pytest.mark.parametrize("number", ["05", "10"])
def test_real_masson_is_flagged_as_green_only(
    shared_data: Path, number: str, exposures: str
) -> None:
    """Whole fields and their quarters in each exposure: mostly scar, or hardly any collagen."""
    folder = shared_data / "slides" / "reexposed_fields"
    fields = sorted(folder.glob(f"masson{number}_v{exposures}.jpg"))
    assert len(fields) >= 2
    for path in fields:
        rgb = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
        assert not _flagged(rgb, "masson")
        assert _flagged(rgb, "masson_green")
        for rows in np.array_split(rgb, 2):
            for part in np.array_split(rows, 2, axis=1):
                assert not _flagged(np.ascontiguousarray(part), "masson")


def test_real_trichromes_of_liver_are_what_they_are(shared_data: Path) -> None:
    folder = shared_data / "slides" / "liver"
    for path in sorted(folder.glob("masson_*.png")):
        rgb = np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])
        assert not _flagged(rgb, "masson")
        assert _flagged(rgb, "masson_green")
    screen = cv2.imread(str(folder / "green_trichrome_liver_screenshot.png"))
    green = np.ascontiguousarray(screen[258:1072, 300:1618, ::-1])
    assert not _flagged(green, "masson_green")
    assert _flagged(green, "masson")


@pytest.mark.parametrize(
    ("cells", "threads"),
    [
        ((0.12, 0.20, 0.22), (0.55, 0.68, 0.80)),  # brownish: read 1.4 % as picrosirius red
        ((0.075, 0.16, 0.36), (0.85, 0.86, 0.80)),  # van Gieson's yellow under von Kossa's black
    ],
)
def test_black_threads_are_no_stain_of_ours(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cells: tuple[float, float, float],
    threads: tuple[float, float, float],
) -> None:
    """Silver on reticulin or calcium has no hue, so no hue betrays it."""
    silver = StainLook(threads, cells, (0.30, 0.32, 0.34))
    monkeypatch.setitem(slides.STAINS, "psr", silver)
    drawn = render_slide(stain="psr", caf_percent=12.0, seed=5, size_px=(800, 700))
    path = write_png(tmp_path / "r.png", drawn.rgb)
    for stain in ("psr", "masson"):
        assert "unusual_stain" in measure_collagen(path, stain=stain, mpp_um=1.0).flags


@pytest.mark.parametrize("width", [3, 8])
def test_wide_black_threads_are_no_dirt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    """On a fine overview they were left out as dirt, and the rest was measured."""
    monkeypatch.setitem(COLOURS, "reticulin", ((214, 196, 190), (50, 46, 48)))
    drawn = draw_field("reticulin", size=420, bands=12, width=width)
    path = write_png(tmp_path / "r.png", drawn.rgb)
    assert "unusual_stain" in measure_collagen(path, stain="psr", mpp_um=1.0).flags


@pytest.mark.parametrize("stain", ["psr", "masson"])
def test_black_nuclei_are_no_other_stain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stain: str
) -> None:
    """Weigert's iron haematoxylin."""
    weigert = replace(slides.STAINS[stain], nuclei=(0.80, 0.80, 0.74))
    monkeypatch.setitem(slides.STAINS, stain, weigert)
    drawn = render_slide(stain=stain, caf_percent=12.0, seed=5, size_px=(800, 700))
    path = write_png(tmp_path / "w.png", drawn.rgb)
    measured = measure_collagen(path, stain=stain, mpp_um=1.0)
    assert "unusual_stain" not in measured.flags
    assert measured.caf_percent == pytest.approx(drawn.caf_percent, abs=1.5)


@pytest.mark.parametrize("gain", [1.0, 0.4])
def test_a_dark_field_is_not_black(shared_data: Path, gain: float) -> None:
    """Real fields at their own exposure and far under it: dark and dull all over, without black."""
    folder = shared_data / "slides" / "reexposed_fields"
    for name, stain in (("psr05_v2", "psr"), ("masson10_v4", "masson")):
        field = cv2.imread(str(folder / f"{name}.jpg"))[..., ::-1] * gain
        rgb = np.ascontiguousarray(field.astype(np.uint8))
        tissue = np.ones(rgb.shape[:2], dtype=bool)
        model = estimate_model(
            colour_histogram(smooth(rgb), tissue), find_glass(rgb), stain_definition(stain)
        )
        assert not model.unusual
