"""Colour fringes: what is displaced is found, taken out, and no more than that."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from fibrovol.histology.colour.channels import (
    ChannelShift,
    channel_shift,
    settle_shift,
)
from fibrovol.histology.measure import measure_collagen
from fibrovol.histology.settings import Tuning
from fibrovol.histology.tiles.tiles import smooth
from fibrovol.phantoms.slides import render_slide
from hypothesis import given
from hypothesis import strategies as st

from .conftest import draw_field, write_png

part = st.floats(-0.6, 0.6)


def displaced(rgb: np.ndarray, shift: ChannelShift) -> np.ndarray:
    """A picture whose red and blue lie where ``shift`` says."""
    out = rgb.copy()
    for index, (x, y) in ((0, shift.red_px), (2, shift.blue_px)):
        matrix = np.array([[1, 0, x], [0, 1, y]], dtype=np.float32)
        out[..., index] = cv2.warpAffine(
            rgb[..., index],
            matrix,
            (rgb.shape[1], rgb.shape[0]),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT,
        )
    return out


@pytest.fixture(scope="module")
def field() -> np.ndarray:
    rgb = draw_field("masson", seed=5).rgb[200:456, 200:456]
    return cv2.GaussianBlur(rgb, (0, 0), 0.8)


@given(red=st.tuples(part, part), blue=st.tuples(part, part))
def test_a_displacement_is_found(
    field: np.ndarray, red: tuple[float, float], blue: tuple[float, float]
) -> None:
    seen = channel_shift(displaced(field, ChannelShift(red, blue)))
    assert seen[0, :2] == pytest.approx(red, abs=0.15)
    assert seen[1, :2] == pytest.approx(blue, abs=0.15)


@given(x=part, y=part)
def test_what_is_displaced_comes_back(field: np.ndarray, x: float, y: float) -> None:
    shift = ChannelShift((x, y), (-y, x))
    inner = slice(4, -4), slice(4, -4)
    straight = smooth(field)[inner].astype(float)
    fringed = displaced(field, shift)
    left = np.abs(smooth(fringed)[inner] - straight).mean()
    mended = np.abs(smooth(fringed, 1.0, shift)[inner] - straight).mean()
    assert mended <= max(0.5 * left, 0.35)


def test_nothing_displaced_is_only_smoothed(field: np.ndarray) -> None:
    for mpp_um in (1.0, 1.5, 5.0):
        assert np.array_equal(smooth(field, mpp_um, ChannelShift()), smooth(field, mpp_um))
        barely = smooth(field, mpp_um, ChannelShift((1e-6, 0.0), (0.0, 1e-6)))
        assert np.abs(barely.astype(int) - smooth(field, mpp_um)).max() <= 1
    found = settle_shift([channel_shift(field)])
    assert np.abs((found.red_px, found.blue_px)).max() < 0.1


def test_a_channel_without_edges_is_left_alone(field: np.ndarray) -> None:
    blind = field.copy()
    blind[..., 0] = 240
    seen = channel_shift(blind)
    assert np.isnan(seen[0]).all()
    assert np.isfinite(seen[1]).all()
    assert not settle_shift([seen])
    assert not settle_shift([])


def test_samples_that_cannot_tell_or_do_not_agree_change_nothing() -> None:
    told = np.array([[0.3, 0.0, 0.9], [-0.2, 0.1, 0.9]])
    silent, opposite = np.full((2, 3), np.nan), told * [-1, -1, 1]
    assert settle_shift([told, told, silent]) == ChannelShift((0.3, 0.0), (-0.2, 0.1))
    assert not settle_shift([told] + [silent] * 4)
    assert not settle_shift([told, opposite] * 3)


def test_a_far_displacement_is_not_half_mended(field: np.ndarray) -> None:
    seen = channel_shift(displaced(field, ChannelShift((0.0, 0.0), (5.0, 0.0))))
    assert np.isnan(seen[1]).all() or abs(seen[1, 0]) <= 2.0


def test_real_tiles_with_and_without_fringes(shared_data: Path) -> None:
    folder = shared_data / "slides" / "liver"
    shifts = {}
    for name in (
        "masson_model_liver_tile_a",
        "masson_model_liver_tile_b",
        "masson_human_liver_tile",
    ):
        rgb = np.ascontiguousarray(cv2.imread(str(folder / f"{name}.png"))[..., ::-1])
        shifts[name] = settle_shift([channel_shift(rgb)])
    assert not shifts["masson_human_liver_tile"]
    for letter in "ab":  # blue lies to the left of green, red to its right
        found = shifts[f"masson_model_liver_tile_{letter}"]
        assert found.blue_px[0] < -0.25
        assert found.red_px[0] > 0.1


def test_fringes_move_neither_the_fraction_nor_the_borders_of_tiles(tmp_path: Path) -> None:
    slide = render_slide(stain="masson", caf_percent=8, seed=4, size_px=(2400, 1200))
    fringed = displaced(slide.rgb, ChannelShift((0.8, -0.6), (-0.9, 0.7)))
    straight, wide, narrow = (
        measure_collagen(
            write_png(tmp_path / f"{index}.png", rgb),
            stain="masson",
            mpp_um=0.5,
            tuning=Tuning(tile_px=tile_px),
        )
        for index, (rgb, tile_px) in enumerate(((slide.rgb, 1024), (fringed, 1024), (fringed, 512)))
    )
    assert straight.parameters["channel_shift_px"]["blue_px"] == (0.0, 0.0)
    assert wide.parameters["channel_shift_px"]["blue_px"] == pytest.approx((-0.45, 0.35), abs=0.1)
    assert wide.caf_percent == pytest.approx(straight.caf_percent, abs=0.5)
    assert np.array_equal(wide.collagen_mask.to_array(), narrow.collagen_mask.to_array())
