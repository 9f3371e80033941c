"""The border of a liver follows the scan's own grey values, whichever way its axes run."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fibrovol.imaging.engines.liver_net import _border_net
from fibrovol.models.border import (
    BorderNet,
    features_of,
    look_at_border,
    place_border,
    weigh_border,
)
from fibrovol.models.grid import CT_WINDOW_HU, grey_around, to_network_grid
from fibrovol.models.inference import to_scan

LIVER_HU, FAT_HU = 105.0, -100.0


def ball(shape, spacing_mm, middle_mm, radius_mm) -> np.ndarray:
    places = np.meshgrid(*[np.arange(n) * spacing_mm for n in shape], indexing="ij")
    return sum((p - m) ** 2 for p, m in zip(places, middle_mm, strict=True)) < radius_mm**2


def scan_and_guess(spacing_mm=1.0, too_far_mm=3.0, middle_mm=(50.0, 50.0, 50.0), is_ct=True):
    """A ball of liver in fat, and a soft probability whose border lies elsewhere.

    An MR is the same in a unit of its own, and a coil makes it twice as bright on one side.
    """
    size = round(100 / spacing_mm)
    affine = np.diag([spacing_mm] * 3 + [1.0])
    true = ball((size,) * 3, spacing_mm, middle_mm, 36.0)
    noise = np.random.default_rng(0).normal(0, 8, true.shape)
    array = (np.where(true, LIVER_HU, FAT_HU) + noise).astype(np.float32)
    if not is_ct:
        array = (array + 200) * 3 * np.linspace(1, 2, size, dtype=np.float32)[:, None, None]
    grid = to_network_grid(array, affine, is_ct=is_ct, spacing_mm=3.0)
    places = np.meshgrid(*[np.arange(n) for n in grid.image.shape], indexing="ij")
    mm = [p * 3.0 + o for p, o in zip(places, grid.affine[:3, 3], strict=True)]
    distance = np.sqrt(sum((p - m) ** 2 for p, m in zip(mm, middle_mm, strict=True)))
    guess = 1 / (1 + np.exp((distance - 36.0 - too_far_mm) / 1.5))
    return array, affine, true, guess.astype(np.float32), grid


def untouched() -> BorderNet:
    net = BorderNet()
    for weights in net.parameters():
        torch.nn.init.zeros_(weights)
    return net


def mask_of(net, array, affine, guess, grid) -> np.ndarray:
    border = place_border(net, guess, np.zeros_like(guess), grid, array, affine)
    assert border is not None
    return to_scan(border.probability, border.affine, array.shape, affine)


def test_a_net_without_weights_leaves_the_border_where_the_network_put_it():
    array, affine, _, guess, grid = scan_and_guess()
    border = place_border(untouched(), guess, np.zeros_like(guess), grid, array, affine)
    before = look_at_border(guess, grid, array, affine)
    assert np.allclose(border.probability, before.probability, atol=1e-3)
    assert before.where.any()
    features = features_of(before, guess, np.zeros_like(guess), grid)
    assert len(features) == np.count_nonzero(before.where)


@pytest.mark.parametrize("too_far_mm", [-2.5, 2.5])
def test_the_shipped_net_brings_a_misplaced_border_back_to_the_edge(too_far_mm):
    array, affine, true, guess, grid = scan_and_guess(too_far_mm=too_far_mm)
    before = to_scan(guess, grid.affine, array.shape, affine)
    after = mask_of(_border_net(), array, affine, guess, grid)
    error = [abs(mask.sum() / true.sum() - 1) for mask in (before, after)]
    assert error[0] > 0.15
    assert error[1] < 0.05


@pytest.mark.parametrize("too_far_mm", [-2.5, 2.5])
def test_the_grey_of_an_mr_brings_a_misplaced_border_back_to_the_edge(too_far_mm):
    array, affine, true, guess, grid = scan_and_guess(too_far_mm=too_far_mm, is_ct=False)
    border = weigh_border(guess, grid, array, affine)
    before = to_scan(guess, grid.affine, array.shape, affine)
    after = to_scan(border.probability, border.affine, array.shape, affine)
    error = [abs(mask.sum() / true.sum() - 1) for mask in (before, after)]
    assert error[0] > 0.15
    assert error[1] < 0.3 * error[0]


def test_it_does_not_matter_which_way_the_axes_of_the_scan_run():
    array, affine, _, guess, grid = scan_and_guess(2.0)
    turned = np.flip(array, 0).transpose(2, 0, 1)
    back = np.zeros((4, 4))
    back[0, 1], back[1, 2], back[2, 0], back[3, 3] = -2.0, 2.0, 2.0, 1.0
    back[0, 3] = 2.0 * (array.shape[0] - 1)
    plain = mask_of(_border_net(), array, affine, guess, grid)
    other = mask_of(_border_net(), turned, back, guess, grid)
    differ = np.flip(other.transpose(1, 2, 0), 0) != plain
    assert np.count_nonzero(differ) <= 1e-4 * plain.sum()  # rounding


def test_a_liver_at_the_edge_of_the_scan_reaches_the_edge():
    for spacing_mm in (1.0, 2.0):  # averaged in blocks, and not
        case = scan_and_guess(spacing_mm, middle_mm=(20.0, 50.0, 80.0))
        array, affine, true, guess, grid = case
        found = mask_of(_border_net(), array, affine, guess, grid)
        for face in (found[0], found[:, :, -1]):
            assert face.sum() > 0.8 * true[0].sum()


def test_an_mr_whose_first_slice_cuts_the_liver_loses_nothing_there():
    array, affine, true, guess, grid = scan_and_guess(
        2.0, too_far_mm=0.0, middle_mm=(50.0, 50.0, 20.0), is_ct=False
    )
    border = weigh_border(guess, grid, array, affine)
    found = to_scan(border.probability, border.affine, array.shape, affine)
    assert found[:, :, 0].sum() == pytest.approx(true[:, :, 0].sum(), rel=0.05)


def test_there_is_no_border_without_a_liver():
    array, affine, _, guess, grid = scan_and_guess(2.0)
    nothing = np.zeros_like(guess)
    assert place_border(untouched(), nothing, nothing, grid, array, affine) is None
    assert weigh_border(nothing, grid, array, affine) is None


def test_the_part_of_a_scan_keeps_its_place_and_repeats_its_last_voxels():
    array = np.arange(9 * 8 * 7, dtype=np.float32).reshape(9, 8, 7) / 10
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    box = np.diag([3.0, 3.0, 3.0, 1.0])
    grey, found = grey_around(array, affine, box, (40, 40, 40), CT_WINDOW_HU)
    assert np.allclose(found[:3, :3], np.diag([2.0, 2.0, 3.0]))
    hu = grey.numpy() * 400 - 125
    first = np.linalg.inv(found) @ np.array([0.5, 0.5, 0.0, 1.0])
    i, j, k = first[:3].round().astype(int)
    assert np.allclose(first[:3], (i, j, k))
    assert hu[i, j, k] == pytest.approx(array[:2, :2, 0].mean(), abs=1e-3)
    assert hu[-1, j, k] == pytest.approx(array[8, :2, 0].mean(), abs=1e-3)
