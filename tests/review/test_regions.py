"""Areas drawn on a slide: a file of their own, exact areas, and back byte for byte."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import openslide
import pytest
import tifffile
from fibrovol.batch.runner import run_study
from fibrovol.batch.verify import verify
from fibrovol.errors import FibrovolError, InputError, RegionError
from fibrovol.histology.readers import open_slide
from fibrovol.histology.regions import RegionChoice, read_region
from fibrovol.histology.settings import DRAWN_OUT
from fibrovol.intake.study import read_study
from fibrovol.phantoms.slides import render_slide, write_slide
from fibrovol.review.regions import Drawn, as_geojson, drawn_view, save_regions
from fibrovol.review.results import Results
from fibrovol.review.slides import SlideShelf
from fibrovol.tables import read_table

from ..histology.support.tiled import write_scn
from ..report.chromium import Chromium
from .reader import Reader, served, waits

CTRL = 2
STILL = (  # the picture glides to its place: nothing moved between two looks
    "(now => { const same = now === window.before; window.before = now; return same; })(OUTLINE)"
)
SIZE = (1200, 900)
CASE = "S1_baseline_slide"
TABLES = ("collagen.csv", "fragments.csv")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One slide of a study, measured."""
    folder = tmp_path_factory.mktemp("regions")
    write_slide(folder / "baseline.tif", size_px=SIZE, mpp_um=1.0)
    (folder / "study.csv").write_text(
        "subject,timepoint,kind,path,stain\nS1,baseline,slide,baseline.tif,psr\n", encoding="utf-8"
    )
    run_study(read_study(folder / "study.csv"), folder / "results")
    return folder


@pytest.fixture
def results(measured: Path, tmp_path: Path) -> Results:
    """A copy of the results folder, for the test to change."""
    return Results(shutil.copytree(measured / "results", tmp_path / "results"))


def draw(results: Results, *shapes, white=(), **stale):
    """Save areas and a white as the page does."""
    case = results.state().cases[CASE]
    drawn = Drawn(tuple(shapes), white, "r1", case.corrections.standing, case.mask_sha256)
    return save_regions(results, case, replace(drawn, **stale), SIZE)


def row_of(results: Results):
    return read_table(results.directory, "collagen")[0]


def pieces_mm2(results: Results) -> float:
    """Tissue of all rows of fragments.csv together."""
    total = 0.0
    for part in read_table(results.directory, "fragments"):
        total += float(part["tissue_mm2"])
    return total


def inside_tissue(results: Results) -> tuple[int, int, int]:
    """The centre and half side of a square that tissue surrounds, in pixels."""
    tissue = tifffile.imread(results.directory / str(row_of(results)["mask_path"])) > 0
    closed = cv2.morphologyEx(tissue.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((25, 25), np.uint8))
    distance = cv2.distanceTransform(closed, cv2.DIST_C, 3)
    y, x = np.unravel_index(distance.argmax(), distance.shape)
    return int(x), int(y), int(distance.max() * 0.6)


def square(x: float, y: float, half: float) -> tuple[tuple[float, float], ...]:
    return ((x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half))


def test_an_area_left_out_is_taken_out_exactly_and_back_byte_for_byte(results: Results) -> None:
    tables = [results.directory / name for name in TABLES]
    before, masks = row_of(results), sorted((results.directory / "masks").iterdir())
    bytes_before = [path.read_bytes() for path in tables]
    x, y, half = inside_tissue(results)
    new = draw(results, ("out", square(x + 0.3, y + 0.3, half)))
    row = row_of(results)
    area, rim = (2 * half) ** 2 / 1e6, 4 * 2 * half / 1e6
    assert abs(row["excluded_regions_mm2"] - area) <= rim
    assert row["tissue_mm2"] < before["tissue_mm2"]
    assert row["caf_percent"] != before["caf_percent"]
    assert row["caf_percent_low"] < row["caf_percent"] < row["caf_percent_high"]
    assert (row["corrected_from_percent"], row["reader"]) == (before["caf_percent"], "r1")
    assert "regions_by_reader" in row["flags"]
    assert pieces_mm2(results) == pytest.approx(row["tissue_mm2"], abs=1e-3)
    assert sorted((results.directory / "masks").iterdir()) == masks
    own = {path.name for path in (results.directory / "corrections").iterdir()}
    stem = f"{CASE}_r{new.standing}_r1"
    assert {f"{stem}_drawn.geojson", f"{stem}_mask.ome.tif", f"{stem}_pair.png"} <= own
    assert verify(results.directory).mismatches == ()
    assert draw(results).standing == 0
    assert [path.read_bytes() for path in tables] == bytes_before


def test_a_second_run_keeps_it_and_another_pixel_size_does_not(
    results: Results, measured: Path
) -> None:
    x, y, half = inside_tissue(results)
    draw(results, ("in", square(x, y, half)))
    kept = [(results.directory / name).read_bytes() for name in TABLES]
    study = read_study(measured / "study.csv")
    assert run_study(study, results.directory).n_reused == 1
    assert [(results.directory / name).read_bytes() for name in TABLES] == kept
    assert row_of(results)["tissue_mm2"] <= (2 * half + 2) ** 2 / 1e6
    other = replace(study, cases=tuple(replace(case, mpp_um=0.5) for case in study.cases))
    run_study(other, results.directory)
    row = row_of(results)
    assert (row["mpp_um"], row["reader"], row["corrected_from_percent"]) == (0.5, "", None)
    assert "correction_outdated" in row["flags"]
    assert pieces_mm2(results) == pytest.approx(row["tissue_mm2"], abs=1e-3)
    case = results.state().cases[CASE]
    assert len(drawn_view(results, case)["shapes"]) == 1  # to be measured with again
    run_study(study, results.directory)
    assert [(results.directory / name).read_bytes() for name in TABLES] == kept


def test_the_white_that_a_reader_picks_is_measured_with(results: Results) -> None:
    before = row_of(results)
    x, y, _ = inside_tissue(results)
    with SlideShelf(results) as shelf:
        slide = shelf.get(results.state().cases[CASE])
        white = slide.white_at(5, 5)
        assert min(white) > 200
        for place in ((x, y), (-1, 5)):
            with pytest.raises(RegionError, match="not empty glass"):
                slide.white_at(*place)
    draw(results, white=tuple(value - 12 for value in white))
    assert row_of(results)["caf_percent"] != before["caf_percent"]
    case = results.state().cases[CASE]
    assert drawn_view(results, case)["white"] == [value - 12 for value in white]
    provenance = json.loads((results.directory / "provenance.json").read_text(encoding="utf-8"))
    revisions = provenance["cases"][CASE]["corrections"]["revisions"]
    assert revisions[-1]["choices"] == {"white": [value - 12 for value in white]}


def test_nothing_is_saved_over_a_newer_revision_or_without_tissue(results: Results) -> None:
    x, y, half = inside_tissue(results)
    one = ("out", square(x, y, half))
    draw(results, one)
    with pytest.raises(InputError, match="Somebody else saved"):
        draw(results, one, revision=0)
    table = (results.directory / "collagen.csv").read_bytes()
    with pytest.raises(RegionError, match="covers nothing"):
        draw(results, ("out", square(-500, -500, 10)))
    with pytest.raises(FibrovolError, match="No tissue"):
        draw(results, ("out", square(600, 450, 2000)))
    assert (results.directory / "collagen.csv").read_bytes() == table


def test_areas_on_a_part_of_the_glass_count_from_its_corner_and_say_where_it_is(
    tmp_path: Path,
) -> None:
    rgb = render_slide(stain="psr", caf_percent=15, seed=3, size_px=(1200, 800), mpp_um=1.0).rgb
    glass = {"glass_px": (2200, 1600), "nm_per_px": (1000, 1000)}
    write_scn(tmp_path / "part.scn", [(rgb, (600, 400))], (1.0, 1.0), **glass)
    with openslide.OpenSlide(tmp_path / "part.scn") as whole:
        corner = tuple(int(whole.properties[f"openslide.bounds-{axis}"]) for axis in "xy")
    assert corner == (600, 400)
    (tmp_path / "study.csv").write_text(
        "subject,timepoint,kind,path,stain\nS1,baseline,slide,part.scn,psr\n", encoding="utf-8"
    )
    run_study(read_study(tmp_path / "study.csv"), tmp_path / "results")
    results = Results(tmp_path / "results")
    x, y, half = inside_tissue(results)
    case, shelf = results.state().cases[CASE], SlideShelf(results)
    with shelf:
        slide = shelf.get(case)
        drawn = Drawn((("out", square(x, y, half)),), (), "r1", 0, case.mask_sha256)
        new = save_regions(results, case, drawn, slide.size_px, slide.origin_px)
    assert row_of(results)["excluded_regions_mm2"] == pytest.approx((2 * half) ** 2 / 1e6, rel=0.05)
    file = results.directory / "corrections" / f"{CASE}_r{new.standing}_r1_drawn.geojson"
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content["scanned_part_at_px"] == [600, 400]
    (ring,) = content["features"][0]["geometry"]["coordinates"][0]
    assert {tuple(corner) for corner in ring} == set(square(x, y, half))
    with open_slide(tmp_path / "part.scn") as opened:
        region = read_region(file, opened, RegionChoice(classes=(DRAWN_OUT,))).region
    assert region.inside(0, 0, 1200, 800, (1200, 800)).sum() == (2 * half) ** 2


def test_an_outline_that_crosses_itself_is_what_the_page_shows(tmp_path: Path) -> None:
    write_slide(tmp_path / "slide.tif", size_px=(400, 300), mpp_um=1.0)
    bow = ((100.0, 100.0), (200.0, 200.0), (200.0, 100.0), (100.0, 200.0))
    (tmp_path / "own.geojson").write_text(as_geojson((("out", bow),), (400, 300)))
    with open_slide(tmp_path / "slide.tif") as slide:
        region = read_region(tmp_path / "own.geojson", slide, RegionChoice(classes=(DRAWN_OUT,)))
    inside = region.region.inside(0, 0, 400, 300, (400, 300))
    assert inside.sum() == pytest.approx(100 * 100 / 2, rel=0.03)
    assert not inside[110, 150]
    assert not inside[190, 150]
    assert inside[150, 110]


@pytest.mark.browser
@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0], ids=["1", "1.5 pixels", "2 pixels"])
def test_a_reader_draws_on_the_slide_and_takes_it_back(
    chromium: Chromium, results: Results, ratio: float
) -> None:
    tables = [results.directory / name for name in TABLES]
    bytes_before, before = [path.read_bytes() for path in tables], row_of(results)
    x, y, half = inside_tissue(results)
    with served(results.directory) as url, Reader(chromium) as page:
        page.size(1280, 900, ratio)
        page.visit(url)
        page.sign("r1")
        page.visit(f"{url.partition('/?')[0]}/slide?case={CASE}")
        page.until("!document.getElementById('tools').hidden")
        page.until("!document.querySelector('button.accept').disabled")
        left, top, wide, high = page.ask(
            "(b => [b.left, b.top, b.width, b.height])"
            "(document.getElementById('slide').getBoundingClientRect())"
        )
        scale = min(wide / SIZE[0], high / SIZE[1])  # the whole slide fits and is centred

        def place(u: float, v: float) -> tuple[float, float]:
            across, down = (wide - scale * SIZE[0]) / 2, (high - scale * SIZE[1]) / 2
            return left + across + u * scale, top + down + v * scale

        page.key("d")
        corners = square(x, y, half)
        for corner in corners:
            page.drag(place(*corner))
        page.key("Backspace")
        page.drag(place(*corners[3]))
        page.drag(place(*corners[0]))
        page.until("document.querySelectorAll('#areas li').length === 1")
        assert page.ask("document.querySelector('button.accept').disabled")
        page.key("s", CTRL)
        page.until("document.getElementById('message').textContent.startsWith('Saved:')")
        case = results.state().cases[CASE]
        (shape,) = drawn_view(results, case)["shapes"]
        drawn = np.array(shape["corners"])
        assert np.abs(drawn - corners).max() <= 1.01 / scale  # a pixel of the screen
        side = drawn.max(axis=0) - drawn.min(axis=0)
        area, rim = float(np.prod(side)) / 1e6, 2 * float(side.sum()) / 1e6
        row = row_of(results)
        assert abs(row["excluded_regions_mm2"] - area) <= rim  # a pixel's width all round
        assert row["caf_percent"] != before["caf_percent"]
        report = results.directory / "report.html"
        assert waits(
            lambda: report.exists() and "a reader drew areas" in report.read_text("utf-8"), 90
        )
        page.until("!document.querySelector('button.accept').disabled")
        page.key("z", CTRL)
        page.until("document.querySelectorAll('#areas li').length === 0")
        page.key("s", CTRL)
        page.until("document.getElementById('message').textContent.includes('measured again.')")
        assert [path.read_bytes() for path in tables] == bytes_before
        assert page.complaints() == []


@pytest.mark.browser
def test_freehand_white_and_keys_alone(chromium: Chromium, results: Results) -> None:
    before = row_of(results)
    with served(results.directory) as url, Reader(chromium) as page:
        page.size(1280, 900)
        page.visit(url)
        page.sign("r1")
        page.visit(f"{url.partition('/?')[0]}/slide?case={CASE}")
        page.until("!document.getElementById('tools').hidden")
        box = page.ask(
            "(b => [b.left, b.top, b.width, b.height])"
            "(document.getElementById('slide').getBoundingClientRect())"
        )
        x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
        page.key("g")
        scale = min(box[2] / SIZE[0], box[3] / SIZE[1])
        page.drag((x, y))
        page.until("document.getElementById('message').textContent.includes('not empty glass')")
        page.drag((x - scale * (SIZE[0] / 2 - 8), y - scale * (SIZE[1] / 2 - 8)))
        page.until("document.getElementById('white-picked').textContent.includes('White')")
        page.key("f")
        page.drag((x, y), (x + 60, y), (x + 60, y + 60), (x, y + 60))
        page.until("document.querySelectorAll('#areas li').length === 1")
        page.key("d")
        page.key("i")
        outline = "document.querySelector('.area.open')?.getAttribute('d') ?? ''"
        for key in ("Enter", "ArrowRight", "Enter", "ArrowDown", "Enter"):
            was = page.ask(outline)
            page.key(key)
            page.until(f"({outline}) !== {json.dumps(was)}")
            page.until(STILL.replace("OUTLINE", outline))
        page.key("Enter")
        page.until("document.querySelectorAll('#areas li').length === 2")
        page.key("z", CTRL)
        page.key("z", CTRL)
        page.until("document.querySelectorAll('#areas li').length === 0")
        page.key("s", CTRL)
        page.until("document.getElementById('message').textContent.startsWith('Saved:')")
    row = row_of(results)
    assert (row["corrected_from_percent"], row["reader"]) == (before["caf_percent"], "r1")
    assert len(drawn_view(results, results.state().cases[CASE])["white"]) == 3


@pytest.mark.parametrize(
    "answer",
    [
        {"shapes": [{"kind": "odd", "corners": []}]},
        {"shapes": [{"kind": "out", "corners": [["a", 1]]}]},
        {"shapes": [{"kind": "out", "corners": [[float("nan"), 1]]}]},
        {"shapes": [], "white": [300, 1, 1]},
        {"shapes": [], "white": [1, 1]},
        {"shapes": "x"},
        {},
    ],
)
def test_what_no_page_sends_is_refused(answer) -> None:
    with pytest.raises(RegionError, match="cannot be used"):
        Drawn.of_page({"revision": 0, "mask_sha256": "", **answer}, "r1")
