"""A file may hold several pictures: the one that is meant is measured, with its own pixel size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from fibrovol.errors import SlideError
from fibrovol.histology.readers import image_numbers, open_slide
from numpy.typing import NDArray

from .conftest import draw_field, write_png

Rgb = NDArray[np.uint8]
CM = {"resolution": (1e4, 1e4), "resolutionunit": "CENTIMETER"}


@pytest.fixture(scope="module")
def fields() -> tuple[Rgb, Rgb]:
    return draw_field("psr", size=640, seed=1).rgb, draw_field("psr", size=640, seed=7).rgb


def write_ome(path: Path, images: list[tuple[str, Rgb, float | None]]) -> Path:
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for name, rgb, um in images:
            size = {"PhysicalSizeX": um, "PhysicalSizeY": um} if um else {}
            meta = {"axes": "YXS", "Name": name, **size}
            tiff.write(rgb, photometric="rgb", tile=(128, 128), metadata=meta)
    return path


def smaller(rgb: Rgb, times: int) -> Rgb:
    return np.asarray(
        cv2.resize(rgb, None, fx=1 / times, fy=1 / times, interpolation=cv2.INTER_AREA)
    )


@pytest.mark.parametrize("name", ["overview", "Image 0"])
@pytest.mark.parametrize("stated", [4.0, None])
def test_an_overview_before_the_slide_gives_it_no_pixel_size(
    tmp_path: Path, fields: tuple[Rgb, Rgb], name: str, stated: float | None
) -> None:
    rgb = fields[0]
    images = [(name, smaller(rgb, 4), stated), ("slide", rgb, 1.0)]
    with open_slide(write_ome(tmp_path / "a.ome.tif", images)) as slide:
        assert slide.size_px == (640, 640)
        assert slide.mpp_um == 1.0
        assert slide.image == 2
        assert len(slide.images) == 2


def test_two_sections_are_refused_and_chosen_by_number(
    tmp_path: Path, fields: tuple[Rgb, Rgb]
) -> None:
    one, other = fields
    path = write_ome(tmp_path / "a.ome.tif", [("s1", one, 1.0), ("s2", other[:600], 0.5)])
    with pytest.raises(SlideError, match=r"1: 640 x 640 pixels \(s1\); 2: 640 x 600") as caught:
        open_slide(path)
    assert caught.value.code == "several_images"
    assert image_numbers(path) == [1, 2]
    with open_slide(path, image=2) as slide:
        assert (slide.size_px, slide.mpp_um) == ((640, 600), 0.5)
        assert (slide.read_region(0, 0, 0, 640, 600) == other[:600]).all()
    with pytest.raises(SlideError, match="no picture number 3"):
        open_slide(path, image=3)


@pytest.mark.parametrize("kind", ["pages", "imagej", "half as large"])
def test_pages_that_are_other_fields_are_no_levels(
    tmp_path: Path, fields: tuple[Rgb, Rgb], kind: str
) -> None:
    path, (one, other) = tmp_path / "f.tif", fields
    if kind == "imagej":
        meta = {"unit": "um", "axes": "ZYXS"}
        tifffile.imwrite(
            path, np.stack([one, other]), imagej=True, resolution=(1, 1), metadata=meta
        )
    else:
        second = smaller(other, 2) if kind == "half as large" else other
        with tifffile.TiffWriter(path) as tiff:
            for rgb in (one, second):
                tiff.write(rgb, photometric="rgb", tile=(128, 128), metadata=None, **CM)
    with pytest.raises(SlideError) as caught:
        open_slide(path)
    assert caught.value.code == "several_images"
    with open_slide(path, image=1) as slide:
        assert len(slide.levels) == 1
        assert (slide.read_region(0, 0, 0, 640, 640) == one).all()


def test_pages_that_show_the_same_are_levels(tmp_path: Path, fields: tuple[Rgb, Rgb]) -> None:
    path, rgb = tmp_path / "f.tif", fields[0]
    with tifffile.TiffWriter(path) as tiff:
        for times in (1, 2, 4):
            part = smaller(rgb, times)
            tiff.write(part, photometric="rgb", tile=(64, 64), metadata=None, **CM)
    with open_slide(path) as slide:
        assert [level.width_px for level in slide.levels] == [640, 320, 160]


def test_a_picture_has_no_second_image(tmp_path: Path, fields: tuple[Rgb, Rgb]) -> None:
    path = write_png(tmp_path / "f.png", fields[0])
    assert image_numbers(path) == [None]
    with pytest.raises(SlideError, match="only one picture"):
        open_slide(path, mpp_um=1.0, image=2)


def test_all_ways_of_keeping_pixels_agree(tmp_path: Path, fields: tuple[Rgb, Rgb]) -> None:
    rgb = fields[0]
    planes = np.moveaxis(rgb, 2, 0).copy()
    written = {
        "tiles": lambda p: tifffile.imwrite(p, rgb, photometric="rgb", tile=(128, 128), **CM),
        "rows": lambda p: tifffile.imwrite(p, rgb, photometric="rgb", rowsperstrip=1, **CM),
        "planar": lambda p: tifffile.imwrite(
            p, planes, photometric="rgb", planarconfig="separate", tile=(128, 128), **CM
        ),
        "planar strips": lambda p: tifffile.imwrite(
            p, planes, photometric="rgb", planarconfig="separate", rowsperstrip=7, **CM
        ),
        "16 bit": lambda p: tifffile.imwrite(
            p, rgb.astype(np.uint16) * 257, photometric="rgb", **CM
        ),
        "channels": lambda p: tifffile.imwrite(
            p, planes, photometric="minisblack", metadata={"axes": "CYX"}, ome=True, **CM
        ),
    }
    for name, write in written.items():
        path = tmp_path / f"{name}.{'ome.' if name == 'channels' else ''}tif"
        write(path)
        with open_slide(path) as slide:
            assert (slide.read_region(0, 3, 5, 600, 630) == rgb[5:635, 3:603]).all(), name


@pytest.mark.parametrize("premultiplied", [False, True])
def test_what_is_transparent_is_white_in_tiff_as_in_png(
    tmp_path: Path, fields: tuple[Rgb, Rgb], premultiplied: bool
) -> None:
    rgb = fields[0]
    alpha = np.full((*rgb.shape[:2], 1), 255, np.uint8)
    alpha[:, :320], alpha[:, 320:400] = 0, 100
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([rgb[..., ::-1], alpha]))
    kept = (rgb.astype(np.uint16) * alpha // 255).astype(np.uint8) if premultiplied else rgb
    extra = "assocalpha" if premultiplied else "unassalpha"
    tifffile.imwrite(
        tmp_path / "a.tif", np.dstack([kept, alpha]), photometric="rgb", extrasamples=[extra], **CM
    )
    with open_slide(tmp_path / "a.png", mpp_um=1.0) as one, open_slide(tmp_path / "a.tif") as other:
        seen = [slide.read_region(0, 0, 0, 640, 640).astype(int) for slide in (one, other)]
    assert (seen[1][:, :320] == 255).all()
    assert np.abs(seen[0] - seen[1]).max() <= (1 if premultiplied else 0)


@pytest.mark.parametrize("kind", ["tif", "rgb.tif", "png", "jpg"])
def test_a_grey_picture_is_refused_as_grey(
    tmp_path: Path, fields: tuple[Rgb, Rgb], kind: str
) -> None:
    grey = cv2.cvtColor(fields[0], cv2.COLOR_RGB2GRAY)
    path = tmp_path / f"g.{kind}"
    if kind.endswith("tif"):
        tifffile.imwrite(path, np.dstack([grey] * 3) if kind == "rgb.tif" else grey, **CM)
    else:
        cv2.imwrite(str(path), grey)
    with pytest.raises(SlideError, match="grey"):
        open_slide(path, mpp_um=1.0)
