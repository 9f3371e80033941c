"""Pixel sizes as files state them, and statements that contradict each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tifffile
from fibrovol.errors import SlideError
from fibrovol.histology.readers import open_slide
from fibrovol.histology.readers.pixel_size import (
    Stated,
    read_number,
    read_size_um,
    settle_statements,
    um_per,
)

from .conftest import draw_field

RGB = draw_field("psr", size=320, seed=3).rgb


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.5", 0.5), ("0,500000", 0.5), (" 1,499 ", 1.499), ("2.5e-1", 0.25), (".25", 0.25)],
)
def test_numbers_of_any_country(text: str, value: float) -> None:
    assert read_number(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["0", "0,000", "-0.5", "", "n/a", "1.2.3", "nan", "1 2", None])
def test_what_is_no_size_is_none(text: str | None) -> None:
    assert read_number(text) is None


@pytest.mark.parametrize(
    ("text", "um"),
    [
        ("0.5 um", 0.5),
        ("0,5µm", 0.5),
        ("250 nm", 0.25),
        ("1e0", 1.0),
        ("5e-4 mm", 0.5),
        ("0.25", 0.25),
    ],
)
def test_a_size_with_its_unit(text: str, um: float) -> None:
    assert read_size_um(text) == pytest.approx(um)


@pytest.mark.parametrize("text", ["0 um", "0.5 px", "um", "1.000,0", "0.5 um 0.5 um", "", None])
def test_what_has_no_usable_unit_is_no_size(text: str | None) -> None:
    assert read_size_um(text) is None


def test_units() -> None:
    assert um_per("Å") == pytest.approx(1e-4)
    assert um_per("in") == 25400
    assert um_per("micron") == um_per("µm") == um_per("\\u00B5m") == 1
    assert um_per("pixel") is None


def test_a_printing_resolution_does_not_speak_against_a_slides() -> None:
    stated = [Stated("text", 0.5, 0.5), Stated("tags", 352.8, 352.8)]
    found = settle_statements(stated)
    assert (found.mpp_um, found.conflict) == ((0.5, 0.5), "")
    assert settle_statements([*stated, Stated("more", 1.0, 1.0)]).conflict


def aperio(path: Path, mpp: str, width: int = 320, **tags: Any) -> Path:
    text = (
        f"Aperio Image Library v11\r\n{width}x{width} [0,0 {width}x{width}] (240x240) JPEG/RGB Q=70"
        f"|AppMag = 20|MPP = {mpp}|Left = 1"
    )
    tifffile.imwrite(
        path, RGB, photometric="rgb", tile=(240, 240), description=text, metadata=None, **tags
    )
    return path


def test_a_decimal_comma(tmp_path: Path) -> None:
    with open_slide(aperio(tmp_path / "a.svs", "0,499000")) as slide:
        assert slide.mpp_um == 0.499


@pytest.mark.parametrize("mpp", ["0", "abc", ""])
def test_a_bad_size_is_none_so_that_the_users_own_works(tmp_path: Path, mpp: str) -> None:
    path = aperio(tmp_path / "a.svs", mpp)
    with pytest.raises(SlideError, match="MPP = ") as caught:
        open_slide(path)
    assert caught.value.code == "no_pixel_size"
    with open_slide(path, mpp_um=0.7) as slide:
        assert slide.mpp_um == 0.7


@pytest.mark.parametrize("tagged", [False, True])
def test_a_description_kept_for_a_smaller_picture(tmp_path: Path, tagged: bool) -> None:
    tags = {"resolution": (1e4, 1e4), "resolutionunit": "CENTIMETER"} if tagged else {}
    path = aperio(tmp_path / "a.svs", "0.25", 1280, **tags)
    with pytest.raises(SlideError, match=r"0\.25 um.*1280 x 1280.*1 um") as caught:
        open_slide(path)
    assert caught.value.code == "implausible_pixel_size"
    with open_slide(path, mpp_um=1.0) as slide:
        assert slide.mpp_um == 1.0


@pytest.mark.parametrize(
    ("unit", "per_unit"), [("micron", 2.0), ("um", 2.0), ("mm", 2000.0), ("inch", 50800.0)]
)
def test_imagejs_unit(tmp_path: Path, unit: str, per_unit: float) -> None:
    path = tmp_path / "a.tif"
    meta = {"unit": unit}
    tifffile.imwrite(path, RGB, imagej=True, resolution=(per_unit, per_unit), metadata=meta)
    with open_slide(path) as slide:
        assert slide.mpp_um == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("size", "unit", "um"),
    [(0.5, "µm", 0.5), (500, "nm", 0.5), (5000, "Å", 0.5), (2e-5, "in", 0.508), (5e-4, "mm", 0.5)],
)
def test_omes_units(tmp_path: Path, size: float, unit: str, um: float) -> None:
    path = tmp_path / "a.ome.tif"
    meta = {"axes": "YXS", "PhysicalSizeX": size, "PhysicalSizeXUnit": unit}
    meta |= {"PhysicalSizeY": size, "PhysicalSizeYUnit": unit}
    tifffile.imwrite(path, RGB, photometric="rgb", metadata=meta, ome=True)
    with open_slide(path) as slide:
        assert slide.mpp_um == pytest.approx(um)


def test_a_unit_that_is_none_is_named_and_the_tags_count(tmp_path: Path) -> None:
    meta = {"axes": "YXS", "PhysicalSizeX": 1.0, "PhysicalSizeXUnit": "pixel"}
    meta |= {"PhysicalSizeY": 1.0, "PhysicalSizeYUnit": "pixel"}
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", metadata=meta, ome=True)
    with pytest.raises(SlideError, match=r"1\.0 pixel"):
        open_slide(path)
    tags = {"resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, RGB, photometric="rgb", metadata={"axes": "YXS"}, ome=True, **tags)
    with open_slide(path) as slide:
        assert slide.mpp_um == pytest.approx(0.5)


def test_ome_and_tags_that_contradict_each_other(tmp_path: Path) -> None:
    meta = {"axes": "YXS", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25}
    path = tmp_path / "a.ome.tif"
    tags = {"resolution": (1e4, 1e4), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, RGB, photometric="rgb", metadata=meta, ome=True, **tags)
    with pytest.raises(SlideError, match=r"0\.25 um.*1 um"):
        open_slide(path)
