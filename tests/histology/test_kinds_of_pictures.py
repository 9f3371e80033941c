"""How pixels are stored moves no number; what is no bright-field picture of its stain is no number.

Rows 27 to 32 of what was found wrong from outside had no input of their own: compressions, wrong
colour tags, damaged files, dark fields, other stains and negatives.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from fibrovol.errors import FibrovolError, MeasurementError, SlideError
from fibrovol.histology.measure import measure_collagen
from fibrovol.histology.readers import open_slide
from numpy.typing import NDArray

from .conftest import Field, draw_field, write_png

Rgb = NDArray[np.uint8]
UM = {"resolution": (1e4, 1e4), "resolutionunit": "CENTIMETER"}


@pytest.fixture(scope="module")
def field() -> Field:
    return draw_field("psr", size=384, bands=4, width=10, seed=3)


@pytest.mark.parametrize("codec", ["lzw", "zstd", "packbits", "lzma", "png", "jpeg2000", "jpegxr"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_every_lossless_compression_gives_the_same_pixels(
    tmp_path: Path, field: Field, codec: str, byteorder: str
) -> None:
    path = tmp_path / "s.tif"
    how = {"bigtiff": byteorder == ">", "byteorder": byteorder, "compression": codec}
    tifffile.imwrite(path, field.rgb, photometric="rgb", tile=(128, 128), **UM, **how)
    with open_slide(path) as slide:
        assert (slide.read_region(0, 0, 0, 384, 384) == field.rgb).all()


@pytest.mark.parametrize("stored", ["RGB", "YCBCR"])
@pytest.mark.parametrize("tagged", ["rgb", "ycbcr"])
def test_jpeg_tiles_are_read_by_their_own_colours(
    tmp_path: Path, field: Field, stored: str, tagged: str
) -> None:
    """The tag says one thing, the JPEG's own marker or its component names another."""
    tiles = [
        imagecodecs.jpeg8_encode(
            np.ascontiguousarray(field.rgb[y : y + 128, x : x + 128]),
            level=95,
            colorspace="RGB",
            outcolorspace=stored,
            subsampling="444",
        )
        for y in range(0, 384, 128)
        for x in range(0, 384, 128)
    ]
    path = tmp_path / "s.tif"
    tifffile.imwrite(
        path,
        iter(tiles),
        shape=(384, 384, 3),
        dtype=np.uint8,
        tile=(128, 128),
        compression="jpeg",
        photometric=tagged,
        **UM,
    )
    with open_slide(path) as slide:
        read = slide.read_region(0, 0, 0, 384, 384).astype(int)
    assert np.abs(read - field.rgb).mean() < 3


def _noisy(rgb: Rgb | NDArray[np.float32], sigma: float = 3.0) -> Rgb:
    noise = np.random.default_rng(0).normal(0, sigma, rgb.shape)
    return np.clip(rgb + noise, 0, 255).astype(np.uint8)


def _polarised(field: Field) -> Rgb:
    rgb = np.full(field.rgb.shape, 6, np.float32)
    rgb[field.collagen] = (230, 160, 40)
    return _noisy(cv2.GaussianBlur(rgb, (0, 0), 1))


def _second_harmonic(field: Field) -> Rgb:
    rgb = _polarised(field)
    rgb[..., 0] = rgb[..., 2] = 0
    return rgb


def _bright_fibres(field: Field) -> Rgb:
    """Under polarised light, nearly all of it fibres."""
    rgb = np.full(field.rgb.shape, (230, 160, 40), np.float32)
    rgb[field.collagen] = 6
    return _noisy(rgb)


def _haematoxylin_and_eosin(field: Field) -> Rgb:
    rgb = np.full(field.rgb.shape, (222, 150, 190), np.float32)
    for x, y in np.random.default_rng(1).integers(8, 376, (160, 2)):
        cv2.circle(rgb, (int(x), int(y)), 4, (120, 90, 160), -1)
    rgb[:, :30] = 243
    return _noisy(cv2.GaussianBlur(rgb, (0, 0), 0.6))


def _street(field: Field) -> Rgb:
    """Sky, houses and a road, with people or what looks like them."""
    generator = np.random.default_rng(4)
    height, width = field.rgb.shape[:2]
    rgb = np.zeros((height, width, 3), np.float32)
    rgb[: height // 3], rgb[height // 3 :] = (150, 185, 225), (95, 95, 98)
    for left in range(0, width, 43):
        top, colour = int(generator.integers(60, 140)), generator.integers(60, 200, 3)
        cv2.rectangle(rgb, (left, top), (left + 38, 259), colour.tolist(), -1)
    for x, y in generator.integers(20, width - 20, (25, 2)):
        cv2.circle(rgb, (int(x), int(y)), 12, generator.integers(20, 255, 3).tolist(), -1)
    return _noisy(rgb, 8)


def _negative(field: Field) -> Rgb:
    return np.asarray(255 - field.rgb, dtype=np.uint8)


def _swapped(field: Field) -> Rgb:
    return np.ascontiguousarray(field.rgb[..., ::-1])


@pytest.mark.parametrize("stain", ["psr", "masson"])
@pytest.mark.parametrize(
    "draw",
    [
        _polarised,
        _bright_fibres,
        _second_harmonic,
        _negative,
        _swapped,
        _haematoxylin_and_eosin,
        _street,
    ],
)
def test_what_is_no_such_slide_gives_no_number_to_pair(
    tmp_path: Path, field: Field, stain: str, draw: Callable[[Field], Rgb]
) -> None:
    path = write_png(tmp_path / "f.png", draw(field))
    assert _number_to_pair(path, stain) is None


def _number_to_pair(path: Path, stain: str) -> float | None:
    """The fraction that would be paired without a reader; None if refused or doubted."""
    try:
        measured = measure_collagen(path, stain=stain, mpp_um=1.0)
    except SlideError as error:
        return None if error.code == "unreadable_slide" else 0.0
    except MeasurementError as error:
        return None if error.code == "no_tissue_found" else 0.0
    return None if "unusual_stain" in measured.flags else measured.caf_percent


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("bits", [8, 16])
def test_light_of_one_colour_is_refused_as_such(
    tmp_path: Path, field: Field, channel: int, bits: int
) -> None:
    """Second harmonics and fluorescence in false colour; grey ones of 16 bit are named grey."""
    signal = field.collagen * ((1 << bits) - 1) * 0.7
    rgb = np.zeros(field.rgb.shape, np.uint8 if bits == 8 else np.uint16)
    rgb[..., channel] = signal
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, rgb, photometric="rgb", **UM)
    with pytest.raises(SlideError, match="one colour channel only"):
        measure_collagen(path, stain="psr")
    tifffile.imwrite(path, rgb[..., channel], photometric="minisblack", **UM)
    with pytest.raises(SlideError, match="is grey"):
        measure_collagen(path, stain="psr")


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_cameras_of_more_than_8_bits_give_the_same_picture(
    tmp_path: Path, field: Field, bits: int
) -> None:
    """Kept in 16 bits; a camera's own scale is told from its brightest pixel."""
    deep = np.round(field.rgb * (((1 << bits) - 1) / 255.0)).astype(np.uint16)
    tiff, png, planar = (tmp_path / name for name in ("s.tif", "s.png", "p.tif"))
    tifffile.imwrite(tiff, deep, photometric="rgb", tile=(128, 128), **UM)
    cv2.imwrite(str(png), deep[..., ::-1])
    planes = np.ascontiguousarray(np.moveaxis(deep, 2, 0))
    tifffile.imwrite(planar, planes, photometric="rgb", planarconfig="separate", **UM)
    for path in (tiff, png, planar):
        with open_slide(path, mpp_um=1.0) as slide:
            read = slide.read_region(0, 0, 0, 384, 384).astype(int)
        assert np.abs(read - field.rgb).max() <= 1


@pytest.mark.parametrize(
    ("resolution", "unit", "message"),
    [
        ((72, 72), "INCH", "printing tag"),
        ((300, 300), "INCH", r"Found: 84\.67 um per pixel"),
        ((1e4, 5e3), "CENTIMETER", "not square"),
    ],
)
def test_a_size_that_no_slide_has_is_refused(
    tmp_path: Path, field: Field, resolution: tuple[float, float], unit: str, message: str
) -> None:
    path = tmp_path / "s.tif"
    how = {"resolution": resolution, "resolutionunit": unit}
    tifffile.imwrite(path, field.rgb, photometric="rgb", **how)
    with pytest.raises(SlideError, match=message) as caught:
        measure_collagen(path, stain="psr")
    assert caught.value.code == "implausible_pixel_size"


def test_a_file_damaged_in_the_middle_is_refused(tmp_path: Path, field: Field) -> None:
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, field.rgb, photometric="rgb", compression="zlib", tile=(128, 128), **UM)
    data = bytearray(path.read_bytes())
    for place in np.random.default_rng(0).integers(300, len(data), 20):
        data[place] ^= 255
    path.write_bytes(data)
    with pytest.raises(SlideError) as caught:
        measure_collagen(path, stain="psr")
    assert caught.value.code == "unreadable_slide"


@pytest.mark.parametrize("gamma", [0.6, 1.6])
def test_gamma_and_shading_move_little(tmp_path: Path, field: Field, gamma: float) -> None:
    y, x = np.mgrid[-1:1:384j, -1:1:384j]
    shade = (1 - 0.25 * (x**2 + y**2))[..., None]
    fractions = []
    for rgb in (field.rgb, 255 * (field.rgb / 255) ** gamma, field.rgb * shade):
        path = write_png(tmp_path / "f.png", np.asarray(rgb, dtype=np.uint8))
        fractions.append(measure_collagen(path, stain="psr", mpp_um=1.0).caf_percent)
    assert fractions == pytest.approx([fractions[0]] * 3, abs=1.0)


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.97])
def test_a_file_cut_short_is_refused(tmp_path: Path, field: Field, kept: float) -> None:
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, field.rgb, photometric="rgb", compression="zlib", tile=(128, 128), **UM)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept if kept > 1 else kept * len(data))])
    with pytest.raises(FibrovolError) as caught:
        measure_collagen(path, stain="psr")
    assert caught.value.code in ("unreadable_slide", "damaged_slide", "no_pixel_size")
