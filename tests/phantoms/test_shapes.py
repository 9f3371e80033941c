"""The painter's volumes against volumes that a formula gives."""

import numpy as np
import pytest
from fibrovol.phantoms.canvas import Canvas, Grid, block_mean
from fibrovol.phantoms.shapes import Box, Tube, WaveField, ellipsoid, smooth_max, smooth_min

VALUES = {"air": 0.0, "liver": 100.0, "spleen": 50.0, "vein": 150.0}


def fresh_canvas(spacing=(2.5, 2.5, 2.5), extent_mm=180.0, scale=1.0):
    shape = tuple(int(np.ceil(extent_mm / s)) for s in spacing)
    first = tuple(-0.5 * s * (n - 1) + 0.3 for s, n in zip(spacing, shape, strict=True))
    return Canvas(Grid(shape, spacing, first), VALUES, scale=scale)


BOX = Box((-90.0, -90.0, -90.0), (90.0, 90.0, 90.0))


@pytest.mark.parametrize(
    ("radii", "spacing"),
    [
        ((60.0, 60.0, 60.0), (2.5, 2.5, 2.5)),
        ((70.0, 45.0, 55.0), (2.5, 2.5, 2.5)),
        ((70.0, 45.0, 55.0), (2.33, 1.6, 1.6)),
    ],
)
def test_an_ellipsoid_has_the_volume_of_its_formula(radii, spacing):
    canvas = fresh_canvas(spacing)
    canvas.paint("liver", lambda p: ellipsoid(p, (1.0, -2.0, 0.7), radii, turn=0.4), BOX)
    expected = 4.0 / 3.0 * np.pi * np.prod(radii) / 1000.0
    assert canvas.volume_ml("liver") == pytest.approx(expected, rel=0.002)


def test_a_scaled_body_has_the_cube_of_the_scale():
    canvas = fresh_canvas(scale=1.2)
    canvas.paint("liver", lambda p: ellipsoid(p, (0.0, 0.0, 0.0), (50.0, 50.0, 50.0)), BOX)
    expected = 1.2**3 * 4.0 / 3.0 * np.pi * 50.0**3 / 1000.0
    assert canvas.volume_ml("liver") == pytest.approx(expected, rel=0.002)


def test_an_organ_painted_over_another_takes_its_volume_away():
    canvas = fresh_canvas()
    canvas.paint("liver", lambda p: ellipsoid(p, (0.0, 0.0, 0.0), (60.0, 60.0, 60.0)), BOX)
    whole = canvas.volume_ml("liver")
    canvas.paint("spleen", lambda p: ellipsoid(p, (10.0, 0.0, 0.0), (30.0, 30.0, 30.0)), BOX)
    hole = canvas.volume_ml("spleen")
    assert hole == pytest.approx(4.0 / 3.0 * np.pi * 27.0, rel=0.003)
    assert canvas.volume_ml("liver") == pytest.approx(whole - hole, abs=1e-2)


def test_a_vessel_within_the_liver_counts_as_liver_and_stays_inside():
    canvas = fresh_canvas()
    canvas.paint("liver", lambda p: ellipsoid(p, (0.0, 0.0, 0.0), (40.0, 40.0, 40.0)), BOX)
    before = canvas.fractions["liver"].copy()
    outside = canvas.image[before == 0.0].copy()
    tube = Tube(((-70.0, 0.0, 0.0), (70.0, 5.0, 0.0)), (6.0, 4.0))
    canvas.paint("vein", tube, tube.box(), within="liver")
    np.testing.assert_array_equal(canvas.fractions["liver"], before)
    np.testing.assert_array_equal(canvas.image[before == 0.0], outside)
    assert canvas.image.max() == pytest.approx(150.0, abs=0.5)


def test_fractions_stay_between_none_and_all():
    canvas = fresh_canvas()
    for centre in (0.0, 15.0, 30.0):
        canvas.paint(
            "liver", lambda p, c=centre: ellipsoid(p, (c, 0.0, 0.0), (35.0, 30.0, 20.0)), BOX
        )
    fraction = canvas.fractions["liver"]
    assert fraction.min() >= 0.0
    assert fraction.max() <= 1.0 + 1e-6


def test_averaging_blocks_keeps_the_volume():
    fine = np.random.default_rng(0).random((6, 8, 4), dtype=np.float32)
    coarse = block_mean(fine, (3, 2, 2))
    assert coarse.shape == (2, 4, 2)
    assert coarse.mean() == pytest.approx(fine.mean(), rel=1e-5)


def test_a_finer_grid_covers_the_same_space():
    grid = Grid((4, 5, 6), (5.0, 2.0, 2.0), (-10.0, 3.0, 1.0))
    fine = grid.finer((2, 1, 4))
    for first, step, fine_first, fine_step in zip(
        grid.first_mm, grid.spacing_mm, fine.first_mm, fine.spacing_mm, strict=True
    ):
        assert first - step / 2 == pytest.approx(fine_first - fine_step / 2)
    assert fine.voxel_volume_ml * 8 == pytest.approx(grid.voxel_volume_ml)


def test_rounded_edges_touch_the_plain_ones_away_from_the_edge():
    first, second = np.float32([-20.0, -1.0, 5.0]), np.float32([3.0, -1.0, -30.0])
    np.testing.assert_allclose(smooth_max(first, second, 8.0), [3.0, 1.0, 5.0], atol=1e-6)
    np.testing.assert_allclose(smooth_min(first, second, 8.0), [-20.0, -3.0, -30.0], atol=1e-6)


def test_a_wave_field_has_its_amplitude_and_its_seed():
    axes = [np.linspace(-200, 200, 40, dtype=np.float32) for _ in range(3)]
    points = (axes[0][None, None, :], axes[1][None, :, None], axes[2][:, None, None])

    def draw(seed):
        rng = np.random.default_rng(seed)
        return WaveField.random(rng, amplitude=3.0, wavelength_mm=(30.0, 60.0))(points)

    assert draw(1).std() == pytest.approx(3.0, rel=0.15)
    np.testing.assert_array_equal(draw(1), draw(1))
    assert not np.array_equal(draw(1), draw(2))
