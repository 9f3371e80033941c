"""Glass of any colour is found and corrected; where there is none it is not made up."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from fibrovol.histology.colour.glass import ASSUMED_WHITE, Glass
from fibrovol.histology.measure import measure_collagen
from fibrovol.histology.overview.burnt_in import burnt_in
from fibrovol.histology.overview.white import find_glass
from fibrovol.histology.results.measurement import CollagenMeasurement
from fibrovol.histology.settings import SlideChoices
from fibrovol.phantoms.slides import RenderedSlide, render_slide
from numpy.typing import NDArray
from PIL import Image

from .conftest import write_png

TINTS = [(0.86, 0.92, 1.0), (1.0, 0.95, 0.86), (0.8, 0.9, 1.0), (1.0, 0.94, 0.78), (1.0, 0.85, 0.9)]


@pytest.fixture(scope="module", params=["psr", "masson"])
def slide(request: pytest.FixtureRequest) -> tuple[str, RenderedSlide]:
    stain = str(request.param)
    return stain, render_slide(stain=stain, caf_percent=14, seed=6, size_px=(1500, 800))


def recoloured(rgb: NDArray[np.uint8], tint: tuple[float, ...]) -> NDArray[np.uint8]:
    return np.clip(rgb * np.array(tint), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("tint", TINTS)
def test_tinted_glass_moves_no_number(
    tmp_path: Path, slide: tuple[str, RenderedSlide], tint: tuple[float, ...]
) -> None:
    stain, drawn = slide
    path = write_png(tmp_path / "f.png", recoloured(drawn.rgb, tint))
    measured = measure_collagen(path, stain=stain, mpp_um=1.0)
    assert measured.caf_percent == pytest.approx(drawn.caf_percent, abs=1.0)
    assert measured.tissue_mm2 == pytest.approx(drawn.tissue.sum() / 1e6, rel=0.02)
    assert "tinted_glass" in measured.flags
    assert not {"white_assumed", "unusual_stain", "fills_frame"} & set(measured.flags)


@pytest.mark.parametrize("tint", [*TINTS, (1.0, 1.0, 1.0)])
def test_tissue_from_edge_to_edge_is_no_glass(
    slide: tuple[str, RenderedSlide], tint: tuple[float, ...]
) -> None:
    _, drawn = slide
    generator = np.random.default_rng(0)
    solid = drawn.rgb[drawn.tissue]
    field = generator.choice(solid, 300 * 300).reshape(300, 300, 3)
    field = cv2.GaussianBlur(field, (0, 0), 1.5)
    assert not find_glass(recoloured(field, tint)).seen


def test_no_glass_is_flagged_so_that_the_number_is_not_paired(
    tmp_path: Path, slide: tuple[str, RenderedSlide]
) -> None:
    stain, drawn = slide
    rows, columns = np.nonzero(cv2.erode(drawn.tissue.astype(np.uint8), np.ones((9, 9))))
    middle = len(rows) // 2
    y, x = int(rows[middle]), int(columns[middle])
    part = drawn.rgb[max(0, y - 60) : y + 60, max(0, x - 60) : x + 60].copy()
    inside = drawn.tissue[max(0, y - 60) : y + 60, max(0, x - 60) : x + 60]
    part[~inside] = np.median(part[inside], axis=0)
    measured = measure_collagen(write_png(tmp_path / "f.png", part), stain=stain, mpp_um=1.0)
    assert "white_assumed" in measured.flags


def test_pale_tissue_that_a_blue_lamp_makes_neutral_is_not_sure_to_be_glass() -> None:
    """The palest of yellow tissue is a tail, no bright mode of its own; glass beside it is."""
    generator = np.random.default_rng(2)
    depth = cv2.GaussianBlur(generator.normal(0, 1, (500, 600)), (0, 0), 25)
    depth = np.clip(0.5 + 0.22 * depth / depth.std(), 0, 1)[..., None]
    pale, deep = np.array([250.0, 243.0, 226.0]), np.array([222.0, 184.0, 96.0])
    field = pale + depth * (deep - pale) + generator.normal(0, 2, (500, 600, 3))
    rgb = recoloured(field, (0.86, 0.92, 1.0))
    assert find_glass(rgb).rgb != ASSUMED_WHITE.rgb  # something neutral is there
    assert not find_glass(rgb).seen
    rgb[:, :200] = np.clip(generator.normal(238, 2, (500, 200, 3)), 0, 255)
    assert find_glass(rgb).seen


def test_shaded_glass_is_glass(slide: tuple[str, RenderedSlide]) -> None:
    _, drawn = slide
    shade = 1 - 0.35 * np.linspace(0, 1, drawn.rgb.shape[1])[None, :, None]
    assert find_glass(recoloured(drawn.rgb, tuple([1.0] * 3))).seen
    assert find_glass(np.asarray(drawn.rgb * shade, dtype=np.uint8)).seen


def test_real_fields_under_a_blue_lamp_are_right_or_flagged(shared_data: Path) -> None:
    folder = shared_data / "slides" / "reexposed_fields"
    for name, tint in (("psr15", (1, 0.95, 0.86)), ("psr25", (0.92, 0.96, 1))):
        rgb = np.ascontiguousarray(cv2.imread(str(folder / f"{name}_v0.jpg"))[..., ::-1])
        assert not find_glass(recoloured(rgb, tint)).seen
    for name in ("psr09", "psr20", "psr22", "masson11"):
        rgb = np.ascontiguousarray(cv2.imread(str(folder / f"{name}_v0.jpg"))[..., ::-1])
        assert find_glass(rgb).seen


@pytest.fixture(scope="module", params=["psr", "masson"])
def pale(request: pytest.FixtureRequest) -> tuple[str, RenderedSlide]:
    stain = str(request.param)
    return stain, render_slide(stain=stain, caf_percent=5, seed=5, size_px=(1400, 760))


def _drawn_over(
    rgb: NDArray[np.uint8], what: str, colour: tuple[int, int, int]
) -> cv2.typing.MatLike:
    out = rgb.copy()
    if what == "arrow":
        cv2.arrowedLine(out, (500, 250), (760, 450), colour, 10, cv2.LINE_AA, tipLength=0.25)
        return out
    if what != "lettering":
        cv2.rectangle(out, (700, 500), (1000, 508), colour, -1)
    if what == "bar with ends":
        for x in (700, 1000):
            cv2.rectangle(out, (x - 2, 485), (x + 2, 523), colour, -1)
    cv2.putText(out, "300 um", (740, 475), cv2.FONT_HERSHEY_SIMPLEX, 1.6, colour, 5, cv2.LINE_AA)
    return out


@pytest.mark.parametrize("what", ["bar", "bar with ends", "arrow", "lettering"])
@pytest.mark.parametrize("shade", ["pure", "dark", "other"])
def test_what_is_drawn_over_a_picture_is_left_out(
    pale: tuple[str, RenderedSlide], what: str, shade: str
) -> None:
    stain, slide = pale
    own = {"psr": (255, 0, 0), "masson": (0, 0, 255)}[stain]
    colour = {"pure": own, "dark": tuple(v * 160 // 255 for v in own), "other": (255, 120, 0)}[
        shade
    ]
    marked = np.asarray(_drawn_over(slide.rgb, what, colour), dtype=np.uint8)
    drawn = (marked != slide.rgb).any(axis=2)
    found = burnt_in(marked)
    assert found[drawn].all()
    assert np.count_nonzero(found & ~drawn) < 1.5 * np.count_nonzero(drawn)
    assert not burnt_in(slide.rgb).any()


@pytest.mark.parametrize("file", ["f.png", "f.jpg"])
def test_a_scale_bar_of_collagens_colour_moves_no_number(
    tmp_path: Path, pale: tuple[str, RenderedSlide], file: str
) -> None:
    stain, slide = pale
    colour = {"psr": (255, 0, 0), "masson": (0, 0, 255)}[stain]
    marked = np.asarray(_drawn_over(slide.rgb, "bar with ends", colour), dtype=np.uint8)
    outside = ~burnt_in(marked)
    truth = 100 * (slide.collagen & outside).sum() / (slide.tissue & outside).sum()
    cv2.imwrite(str(tmp_path / file), marked[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    measured = measure_collagen(tmp_path / file, stain=stain, mpp_um=1.0)
    assert measured.caf_percent == pytest.approx(truth, abs=0.4)
    assert measured.excluded_mm2["pen"] > 0.003


def test_smooth_tissue_and_drawn_pictures_are_not_burnt_in(
    pale: tuple[str, RenderedSlide],
) -> None:
    """An enlarged photograph is as flat as a drawing; a picture all of flat colours is no bar."""
    _, slide = pale
    enlarged = cv2.resize(slide.rgb[:300, :400], None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    assert not burnt_in(np.asarray(enlarged, dtype=np.uint8)).any()
    drawn = np.full((300, 400, 3), 243, np.uint8)
    drawn[50:250, 50:350] = (226, 190, 118)
    drawn[100:110, 60:340] = (196, 52, 66)
    assert not burnt_in(drawn).any()


@pytest.mark.parametrize("stain", ["psr", "masson"])
@pytest.mark.parametrize(
    "colours",
    [Image.Quantize.MEDIANCUT, Image.Quantize.MAXCOVERAGE, Image.Quantize.FASTOCTREE, None],
)
def test_the_colours_of_a_palette_are_no_drawings(
    tmp_path: Path, stain: str, colours: Image.Quantize | None
) -> None:
    """A palette's colours lie apart as a drawn one does: a quarter to all of the tissue was lost.

    None: values rounded to steps of 8.
    """
    slide = render_slide(stain=stain, caf_percent=12, seed=5, size_px=(600, 500), mpp_um=1.0)
    if colours is None:
        Image.fromarray((slide.rgb >> 3 << 3) + 4).save(tmp_path / "f.png")
    else:
        Image.fromarray(slide.rgb).quantize(256, method=colours).save(tmp_path / "f.png")
    measured = measure_collagen(tmp_path / "f.png", stain=stain, mpp_um=1.0)
    assert measured.caf_percent == pytest.approx(slide.caf_percent, abs=1.0)
    assert measured.tissue_mm2 == pytest.approx(slide.tissue.sum() / 1e6, rel=0.03)


def _round_field(
    path: Path, slide: tuple[str, RenderedSlide], surround: object
) -> tuple[CollagenMeasurement, float]:
    """What is measured of the slide in a round field with that around it, and what was drawn."""
    stain, drawn = slide
    rows, columns = np.mgrid[:800, :1500]
    field = (columns - 750) ** 2 + (rows - 400) ** 2 < 380**2
    rgb = drawn.rgb.copy()
    rgb[~field] = surround
    write_png(path, np.ascontiguousarray(rgb[:, 300:1200]))
    truth = 100 * (drawn.collagen & field).sum() / (drawn.tissue & field).sum()
    return measure_collagen(path, stain=stain, mpp_um=1.0), truth


@pytest.fixture(scope="module")
def round_on_glass(
    slide: tuple[str, RenderedSlide], tmp_path_factory: pytest.TempPathFactory
) -> CollagenMeasurement:
    glass = np.median(slide[1].rgb[~slide[1].tissue], axis=0)
    return _round_field(tmp_path_factory.mktemp("round") / "f.png", slide, glass)[0]


@pytest.mark.parametrize("surround", [0, 6, 25])
def test_a_round_field_in_a_dark_surround(
    tmp_path: Path,
    slide: tuple[str, RenderedSlide],
    round_on_glass: CollagenMeasurement,
    surround: int,
) -> None:
    measured, truth = _round_field(tmp_path / "f.png", slide, surround)
    # so small a piece of the phantom reads a point high on glass, too: that is not the surround's
    assert measured.caf_percent == pytest.approx(truth, abs=1.1)
    assert measured.caf_percent == pytest.approx(round_on_glass.caf_percent, abs=0.3)


def test_chroma_per_depth_is_that_under_a_neutral_lamp() -> None:
    """It tells nuclei from dye; only its scale may depend on the lamp."""
    colours = np.random.default_rng(0).uniform(30, 230, (500, 3)).astype(np.float32)

    def purity(lamp: np.ndarray) -> np.ndarray:
        glass = Glass(tuple(240.0 * lamp))
        return glass.hue_and_chroma(colours * lamp)[1] / glass.depth(colours * lamp)

    neutral = purity(np.ones(3, np.float32))
    for tint in TINTS:
        ratio = purity(np.array(tint, np.float32)) / neutral
        assert ratio == pytest.approx(np.full(500, ratio[0]), rel=1e-3)


@pytest.mark.parametrize("name", ["masson04_v0", "masson05_v0"])
def test_real_masson_fields_hold_still_under_a_yellow_lamp(
    shared_data: Path, tmp_path: Path, name: str
) -> None:
    """Cells there are so red that what counts as dye hangs on a tenth of its purity."""
    rgb = cv2.imread(str(shared_data / "slides" / "reexposed_fields" / f"{name}.jpg"))[..., ::-1]
    fractions = []
    for tint in ((1.0, 1.0, 1.0), (1.0, 0.95, 0.86)):
        path = write_png(tmp_path / "f.png", np.rint(rgb * np.array(tint)).astype(np.uint8))
        white = tuple(250 * np.array(tint))
        choices = SlideChoices(white=white)
        measured = measure_collagen(path, stain="masson", mpp_um=1.0, choices=choices)
        fractions.append(measured.caf_percent)
    assert fractions[1] == pytest.approx(fractions[0], abs=1.2)
