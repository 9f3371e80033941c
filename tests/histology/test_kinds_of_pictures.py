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


def _negative(field: Field) -> Rgb:
    return np.asarray(255 - field.rgb, dtype=np.uint8)


def _swapped(field: Field) -> Rgb:
    return np.ascontiguousarray(field.rgb[..., ::-1])


@pytest.mark.parametrize("stain", ["psr", "masson"])
@pytest.mark.parametrize("draw", [_polarised, _second_harmonic, _negative, _swapped])
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
