"""How much likelier a grey value is in a liver than beside it."""

from __future__ import annotations

import numpy as np
import pytest
from fibrovol.models.likelihood import MOST, log_likelihood_ratio

SPACING_MM = np.array([2.0, 2.0, 4.0])


def scan() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half liver, half neighbours; the network is unsure of the eight columns in the middle."""
    liver = np.zeros((48, 30, 12), bool)
    liver[24:] = True
    noise = np.random.default_rng(0).normal(0, 0.1, liver.shape)
    grey = (np.where(liver, 0.7, 0.3) + noise).astype(np.float32)
    probability = np.where(liver, 1, 0).astype(np.float32)
    probability[20:28] = 0.5
    return grey, probability, liver


def ratio_of(grey, probability, seen=None) -> np.ndarray:
    seen = np.ones(grey.shape, bool) if seen is None else seen
    return log_likelihood_ratio(grey, probability, SPACING_MM, seen=seen, where=probability == 0.5)


def test_liver_is_likelier_where_the_grey_is_the_liver_s():
    grey, probability, liver = scan()
    ratio = ratio_of(grey, probability)
    assert ratio.dtype == np.float32
    assert np.abs(ratio).max() <= MOST
    assert np.mean((ratio > 0) == liver[probability == 0.5]) > 0.95


@pytest.mark.parametrize(("gain", "offset"), [(1000.0, 0.0), (-1.0, 5.0), (0.01, 30.0)])
def test_the_unit_of_the_signal_and_its_sign_say_nothing(gain, offset):
    grey, probability, _ = scan()
    plain = ratio_of(grey, probability)
    other = ratio_of((grey * gain + offset).astype(np.float32), probability)
    assert abs(np.mean(other - plain)) < 0.005
    assert np.abs(other - plain).mean() < 0.05


def test_levels_that_drift_along_the_scan_are_read_where_they_are():
    grey, probability, liver = scan()
    drift = np.linspace(0, 1, grey.shape[1], dtype=np.float32)[:, None]  # more than the contrast
    ratio = ratio_of(grey + drift, probability)
    assert np.mean((ratio > 0) == liver[probability == 0.5]) > 0.8


def test_a_grey_that_neither_has_says_nothing():
    grey, probability, _ = scan()
    probability[:16] = 0.5  # many more voxels of liver are sure than of neighbours
    grey[20:28] = 5.0
    assert np.abs(ratio_of(grey, probability)[-8 * 30 * 12 :]).max() < 0.5


def test_what_the_scan_does_not_have_is_no_neighbour():
    grey, probability, liver = scan()
    seen = np.ones(grey.shape, bool)
    seen[:, :, -1] = False
    grey[:, :, -1], probability[:, :, -1] = 0.7, 0.0  # as beyond the last slice
    ratio = ratio_of(grey, probability, seen)
    assert np.mean((ratio > 0) == liver[probability == 0.5]) > 0.95
    taken = ratio_of(grey, probability)
    assert ratio[liver[probability == 0.5]].mean() > taken[liver[probability == 0.5]].mean() + 0.3


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_nothing_is_likelier_where_nothing_is_sure(probability):
    grey, known, _ = scan()
    assert not ratio_of(grey, np.full_like(known, probability)).any()


def test_a_voxel_that_holds_half_of_both_says_little():
    """A third tissue beside the liver has the very grey of such voxels."""
    liver, beside, third = 0.9, 0.1, 0.5
    grey = np.full((48, 30, 12), beside, np.float32)
    grey[:, :8] = third
    grey[24:] = liver
    grey[23] = (liver + beside) / 2
    grey += np.random.default_rng(0).normal(0, 0.02, grey.shape).astype(np.float32)
    probability = np.zeros(grey.shape, np.float32)
    probability[24:], probability[20:27] = 1.0, 0.5
    half = np.full(grey.shape, np.nan, np.float32)
    half[probability == 0.5] = ratio_of(grey, probability)
    assert abs(half[23, 14:].mean()) < 2  # 4, if liver is thought to be pure
    assert half[22, 14:].mean() < -2
    assert half[24, 14:].mean() > 2


@pytest.mark.parametrize(("liver", "beside"), [(0.9, 0.1), (0.1, 0.9), (0.5, 0.3)])
@pytest.mark.parametrize("off_mm", [-2.0, 0.0, 2.0])
def test_a_ball_in_thick_slices_has_its_volume_wherever_the_network_put_its_border(
    liver, beside, off_mm
):
    radius_mm, spacing_mm = 45.0, np.array([1.6, 1.6, 7.0])
    shape = (80, 80, 18)
    places = [(np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, spacing_mm, strict=True)]
    x, y, z = np.meshgrid(*places, indexing="ij", sparse=True)
    heights = ((np.arange(8) + 0.5) / 8 - 0.5) * spacing_mm[2]
    distances = [np.sqrt(x**2 + y**2 + (z + height) ** 2) for height in heights]
    share = np.mean([np.clip((radius_mm - r) / 1.6 + 0.5, 0, 1) for r in distances], axis=0)
    noise = np.random.default_rng(0).normal(0, 0.02, shape)
    grey = (beside + (liver - beside) * share + noise).astype(np.float32)
    outside_mm = np.sqrt(x**2 + y**2 + z**2) - radius_mm - off_mm
    probability = (1 / (1 + np.exp(outside_mm / 1.5))).astype(np.float32)
    unsure = (probability > 0.02) & (probability < 0.98)
    ratio = log_likelihood_ratio(
        grey, probability, spacing_mm, seen=np.ones(shape, bool), where=unsure
    )
    found = probability > 0.5
    found[unsure] = ratio > -np.log(probability[unsure] / (1 - probability[unsure]))
    assert np.count_nonzero(found) == pytest.approx(share.sum(), rel=0.015)
