"""The network's grid: what goes there comes back with the same volume, whatever the scan's axes."""

import numpy as np
import pytest
import torch
from fibrovol.models.grid import sample, to_network_grid
from fibrovol.models.inference import to_scan
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

RADII_MM = np.array([90.0, 70.0, 80.0])
TRUE_ML = 4 / 3 * np.pi * RADII_MM.prod() / 1000


def rotation(degrees: tuple[float, float, float]) -> np.ndarray:
    a, b, c = np.deg2rad(degrees)
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return rx @ ry @ rz


def ellipsoid_ct(spacing, axes, signs, degrees=(0, 0, 0)):
    """A CT of an ellipsoid (100 HU in -100 HU) on a grid with the axes given; its affine."""
    spacing = np.array(spacing, float)
    columns = rotation(degrees) @ np.eye(3)[:, list(axes)] * (np.array(signs) * spacing)
    extent_mm = 2 * RADII_MM.max() + 40
    shape = np.ceil(extent_mm / spacing).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = columns
    affine[:3, 3] = np.array([12.0, -7.0, 30.0]) - columns @ ((shape - 1) / 2)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), -1)
    mm = index @ columns.T + affine[:3, 3] - np.array([12.0, -7.0, 30.0])
    inside = ((mm / RADII_MM) ** 2).sum(-1) < 1
    return np.where(inside, 100, -100).astype(np.int16), affine, inside


@pytest.mark.parametrize(
    ("spacing", "axes", "signs", "degrees"),
    [
        ((2.0, 2.0, 5.0), (0, 1, 2), (1, 1, 1), (0, 0, 0)),
        ((1.2, 1.2, 3.0), (0, 1, 2), (-1, -1, 1), (0, 0, 0)),  # LPS, as DICOM is
        ((2.0, 2.0, 4.0), (1, 2, 0), (1, -1, -1), (0, 0, 0)),  # a sagittal stack
        ((2.0, 2.0, 4.0), (0, 2, 1), (-1, -1, 1), (0, 0, 0)),  # a coronal stack
        ((2.0, 2.0, 4.0), (0, 1, 2), (-1, -1, 1), (25, 10, -15)),  # oblique
    ],
)
def test_volume_survives_the_way_to_the_grid_and_back(spacing, axes, signs, degrees):
    array, affine, inside = ellipsoid_ct(spacing, axes, signs, degrees)
    grid = to_network_grid(array, affine, is_ct=True, spacing_mm=3.0)
    on_grid_ml = float((grid.image > 0.3125).sum()) * 0.027  # halfway between the two levels
    assert on_grid_ml == pytest.approx(TRUE_ML, rel=0.01)
    probability = ((grid.image - 0.0625) / 0.5).clamp(0, 1).numpy()
    back = to_scan(probability, grid.affine, array.shape, affine)
    assert back.sum() == pytest.approx(inside.sum(), rel=0.01)
    overlap = 2 * (back & inside).sum() / (back.sum() + inside.sum())
    assert overlap > 0.97


@settings(max_examples=15, deadline=None, derandomize=True)
@given(
    axes=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    spacing=st.tuples(*[st.floats(1.5, 5.0)] * 3),
)
def test_grid_does_not_depend_on_the_order_of_the_axes(axes, signs, spacing):
    array, affine, _ = ellipsoid_ct(spacing, axes, signs)
    grid = to_network_grid(array, affine, is_ct=True, spacing_mm=3.0)
    centre = np.linalg.inv(grid.affine) @ [12.0, -7.0, 30.0, 1.0]
    x, y, z = (round(float(c)) for c in centre[:3])
    assert grid.image[x, y, z] == pytest.approx(0.5625, abs=0.01)
    assert float((grid.image > 0.3125).sum()) * 0.027 == pytest.approx(TRUE_ML, rel=0.02)


def test_identity_sampling_changes_nothing():
    volume = torch.arange(60, dtype=torch.float32).reshape(3, 4, 5)
    same = sample(volume, np.eye(4), shape=(3, 4, 5), outside=-7.0)
    assert torch.allclose(same, volume, atol=1e-4)


def test_beyond_the_scan_is_the_outside_value():
    shifted = np.eye(4)
    shifted[0, 3] = 10.0
    assert (sample(torch.zeros(3, 4, 5), shifted, shape=(3, 4, 5), outside=-7.0) == -7.0).all()


def test_ct_is_cut_to_the_window():
    array = np.full((8, 8, 8), 3000, np.int16)
    array[:4] = -2000
    image = to_network_grid(array, np.diag([3.0, 3, 3, 1]), is_ct=True, spacing_mm=3.0).image
    assert image.min() == 0.0
    assert image.max() == 1.0


@settings(max_examples=20, deadline=None, derandomize=True)
@given(gain=st.floats(0.01, 100.0))
def test_mr_scaling_takes_out_the_scanner_gain(gain):
    signal = np.random.default_rng(0).gamma(2.0, 50.0, (20, 20, 20)).astype(np.float32)
    plain, louder = (
        to_network_grid(array, np.eye(4), is_ct=False, spacing_mm=1.0).image
        for array in (signal, signal * np.float32(gain))
    )
    assert torch.allclose(louder, plain, atol=1e-3)


def test_empty_probability_gives_an_empty_mask():
    array, affine, _ = ellipsoid_ct((4, 4, 4), (0, 1, 2), (1, 1, 1))
    grid = to_network_grid(array, affine, is_ct=True, spacing_mm=3.0)
    mask = to_scan(np.zeros(grid.image.shape, np.float32), grid.affine, array.shape, affine)
    assert mask.shape == array.shape
    assert not mask.any()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    order=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    scale=st.floats(0.4, 2.5),
    shift=st.floats(-4, 4),
)
def test_sampling_axis_by_axis_equals_sampling_in_three_dimensions(order, signs, scale, shift):
    rng = np.random.default_rng(0)
    volume = torch.from_numpy(rng.normal(size=(9, 12, 7)).astype(np.float32))
    matrix = np.eye(4)
    matrix[:3, :3] = np.eye(3)[:, order] * np.array(signs) * scale
    matrix[:3, 3] = np.array([4.3, 5.1, 3.2]) + shift
    quick = sample(volume, matrix, shape=(8, 6, 10), outside=-0.7)
    index = np.stack(np.meshgrid(*[np.arange(n) for n in (8, 6, 10)], indexing="ij"), -1)
    places = (index @ matrix[:3, :3].T + matrix[:3, 3]).reshape(-1, 3).T
    # the same, by scipy: linear between voxels, -0.7 beyond the rim
    padded = np.pad(volume.numpy(), 1, constant_values=-0.7)
    expected = ndimage.map_coordinates(padded, places + 1, order=1, mode="constant", cval=-0.7)
    assert np.abs(quick.numpy().ravel() - expected).max() < 1e-4


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float64, ">i2"])
def test_the_layout_and_type_of_a_scan_in_memory_change_nothing(order, dtype):
    rng = np.random.default_rng(1)
    array = rng.integers(0, 400, (40, 50, 30))
    affine = np.diag([-0.9, -0.9, 2.0, 1.0])
    plain = to_network_grid(array.astype(np.float32), affine, is_ct=True, spacing_mm=3.0)
    other = np.asarray(array.astype(dtype), order=order)
    again = to_network_grid(other, affine, is_ct=True, spacing_mm=3.0)
    flipped = to_network_grid(array[::-1].astype(dtype)[::-1], affine, is_ct=True, spacing_mm=3.0)
    assert torch.allclose(plain.image, again.image, atol=1e-6)
    assert torch.allclose(plain.image, flipped.image, atol=1e-6)
