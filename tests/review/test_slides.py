"""Slides on the page: every tile in its place, no line lost, both visits at one scale."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from fibrovol.batch.runner import run_study
from fibrovol.errors import InputError
from fibrovol.histology.readers import open_slide
from fibrovol.intake.study import read_study
from fibrovol.phantoms.slides import write_slide
from fibrovol.review.results import Results
from fibrovol.review.slides import TILE_PX, MaskTiles, OpenSlide, SlideShelf
from fibrovol.tables import read_table

from ..report.chromium import Chromium
from .reader import Reader, served

SIZE = (2400, 1300)
CASE = "S1_baseline_slide"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two visits of one subject, measured."""
    folder = tmp_path_factory.mktemp("slides")
    lines = ["subject,timepoint,kind,path,stain"]
    for number, (visit, mpp) in enumerate((("baseline", 1.0), ("month6", 0.8))):
        write_slide(folder / f"{visit}.tif", seed=number, size_px=SIZE, mpp_um=mpp)
        lines.append(f"S1,{visit},slide,{visit}.tif,psr")
    (folder / "study.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    run_study(read_study(folder / "study.csv"), folder / "results")
    return folder / "results"


def top_level(width: int, height: int) -> int:
    return int(np.ceil(np.log2(max(width, height))))


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def whole(tile_of, width: int, height: int, below: int) -> np.ndarray:
    """A level put together from its tiles, ``below`` levels under the top."""
    level, scale = top_level(width, height) - below, 2**below
    columns, rows = -(-width // (TILE_PX * scale)), -(-height // (TILE_PX * scale))
    return np.vstack(
        [
            np.hstack([decoded(tile_of(level, column, row)) for column in range(columns)])
            for row in range(rows)
        ]
    )


def test_tiles_put_together_are_the_slide_at_every_zoom(results: Path) -> None:
    folder = Results(results)
    case = folder.state().cases[CASE]
    shelf = SlideShelf(folder)
    slide = shelf.get(case)
    with open_slide(folder.input_path(CASE)) as source:
        truth = source.read_region(0, 0, 0, *SIZE)[..., ::-1]
    for below in (0, 1, 2, 4):
        picture = whole(slide.tile, *SIZE, below)
        scale = 2**below
        assert picture.shape[:2] == (-(-SIZE[1] // scale), -(-SIZE[0] // scale))
        expected = cv2.resize(truth, picture.shape[1::-1], interpolation=cv2.INTER_AREA)
        off = np.abs(picture.astype(int) - expected).mean()
        assert off < 6, (below, off)
    with pytest.raises(KeyError):
        slide.tile(top_level(*SIZE), 99, 0)
    with pytest.raises(KeyError):
        slide.tile(40, 0, 0)
    shelf.close()


def test_the_mask_lies_where_it_was_measured(results: Path) -> None:
    folder = Results(results)
    shelf = SlideShelf(folder)
    for case in folder.state().cases.values():
        slide = shelf.get(case)
        assert slide.mask is not None
        truth = tifffile.imread(results / str(case.row["mask_path"]))
        height, width = truth.shape
        picture = whole(lambda *a, m=slide.mask: m.tile("collagen", *a), width, height, 0)
        assert np.array_equal(picture[..., 3] > 0, truth == 2)
        outside = whole(lambda *a, m=slide.mask: m.tile("tissue", *a), width, height, 0)
        assert np.array_equal(outside[..., 3] > 0, truth == 0)
        # the mask's right edge lies on the slide's, to a pixel of the mask
        assert abs(slide.info()["mask_width"] - slide.info()["width"]) <= 1.5 * slide.mask.scale
    shelf.close()


def test_a_line_one_pixel_thin_is_seen_at_every_zoom_across_tiles(tmp_path: Path) -> None:
    mask = np.zeros((1500, 2100), np.uint8)
    mask[700:703] = 1
    mask[701] = 2
    path = tmp_path / "mask.ome.tif"
    tifffile.imwrite(
        path,
        mask,
        tile=(256, 256),
        compression="packbits",
        metadata={"axes": "YX", "PhysicalSizeX": 1.0, "PhysicalSizeY": 1.0},
    )
    tiles = MaskTiles(path, 0.5)
    assert tiles.scale == 2.0
    for below in range(8):
        level = whole(lambda *a: tiles.tile("collagen", *a), 2100, 1500, below)
        seen = (level[..., 3] > 0).any(axis=0)
        assert seen.all(), below
    tiles.close()


def test_a_mask_that_cannot_be_read_is_not_left_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    class Watched(tifffile.TiffFile):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            opened.append(self)

    path = tmp_path / "mask.ome.tif"
    tifffile.imwrite(path, np.zeros((64, 64), np.uint8))  # no OME-XML: no pixel size
    monkeypatch.setattr(tifffile, "TiffFile", Watched)
    with pytest.raises(InputError, match="mask"):
        MaskTiles(path, 0.5)
    assert [file.filehandle.closed for file in opened] == [True]


@pytest.mark.parametrize("edge", [10240, pytest.param(20480, marks=pytest.mark.stress)])
def test_tiles_of_a_large_slide_come_in_a_tenth_of_a_second(tmp_path: Path, edge: int) -> None:
    rng = np.random.default_rng(0)
    block = cv2.resize(rng.integers(90, 240, (64, 64, 3), np.uint8), (1024, 1024))
    path = tmp_path / "large.tif"
    tifffile.imwrite(
        path,
        np.tile(block, (edge // 1024, edge // 1024, 1)),
        tile=(512, 512),
        compression="jpeg",
        photometric="rgb",
        resolution=(20000, 20000),
        resolutionunit="CENTIMETER",
    )
    slide = OpenSlide(open_slide(path, mpp_um=0.5), None)
    top = top_level(edge, edge)
    seconds = []
    for n in range(40):
        started = time.process_time()  # of the processor: other programs do not count
        slide.tile(top - n % 3, *map(int, rng.integers(0, edge // (4 * TILE_PX), 2)))
        seconds.append(time.process_time() - started)
    slide.close()
    assert float(np.median(seconds)) < 0.1


@pytest.mark.browser
def test_a_reader_sees_both_visits_at_one_scale_and_accepts(
    chromium: Chromium, results: Path
) -> None:
    with served(results) as url, Reader(chromium) as page:
        page.size(1280, 900)
        page.visit(url)
        page.sign("r1")
        base = url.partition("/?")[0]
        # a tile that does not come is not empty tissue
        page.call("Network.setBlockedURLs", urls=["*/collagen/*"])
        page.visit(f"{base}/slide?case={CASE}")
        page.until("document.getElementById('message').textContent.includes('not be loaded')")
        page.until("document.querySelector('button.accept').disabled")
        page.call("Network.setBlockedURLs", urls=[])
        page.visit(f"{base}/slide?case={CASE}")
        page.until("document.querySelector('#slide canvas')")
        page.until("!document.querySelector('button.accept').disabled")
        page.until(
            "performance.getEntriesByType('resource').some(one => one.name.includes('/collagen/'))"
        )
        assert not any("/tissue/" in one for one in page.requests())
        page.ask("[...document.querySelectorAll('#visits button')][0].click()")
        page.until("document.querySelector('#slide-other canvas')")
        page.until("document.getElementById('other-name').textContent.includes('month6')")
        page.key("+")
        page.key("c")
        page.key("a")
        page.until("document.getElementById('message').textContent === 'Accepted.'")
        assert page.complaints() == []
        for dark in (False, True):
            page.dark(dark)
            assert page.serious_violations() == []
    (row,) = read_table(results, "reviews")
    assert (row["case_id"], row["verdict"]) == (CASE, "accept")
