"""MR contrasts from relaxation times: the order of tissues that every textbook shows."""

import numpy as np
import pytest
import torch
from fibrovol.training.draw import Draw
from fibrovol.training.organs import GALLBLADDER, LIVER, SPLEEN
from fibrovol.training.sequences import (
    FAT,
    FLUID,
    LIVER_TISSUE,
    ORGAN_TISSUES,
    PulseSequence,
    sequence_contrast,
)
from fibrovol.training.synthesis import shrink_liver

SPLEEN_TISSUE = ORGAN_TISSUES[SPLEEN - 1]


def draw(seed: int) -> Draw:
    return Draw(np.random.default_rng(seed))


def scene() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """HU, smooth HU and organs: fat, a liver and a spleen in it, and air around it all."""
    organs = torch.full((40, 40, 40), 14, dtype=torch.long)
    organs[2:38, 2:38, :] = 0
    organs[20:36, 10:30, 10:30] = LIVER
    organs[5:12, 12:22, 12:22] = SPLEEN
    hu = torch.full(organs.shape, -125.0)
    hu[organs == 0], hu[organs == LIVER], hu[organs == SPLEEN] = -90.0, 105.0, 120.0
    return hu, hu.clone(), organs


@pytest.mark.parametrize("seed", range(10))
def test_on_t2_fluid_is_brighter_than_spleen_and_spleen_than_liver(seed):
    t2 = PulseSequence("t2", draw(seed))
    tissues = (FLUID, SPLEEN_TISSUE, LIVER_TISSUE)
    fluid, spleen, liver = (np.median([t2(tissue) for _ in range(51)]) for tissue in tissues)
    assert fluid > spleen > liver > 0


@pytest.mark.parametrize("seed", range(10))
def test_on_plain_t1_fat_is_brighter_than_liver_and_liver_than_spleen(seed):
    t1 = PulseSequence("t1", draw(seed))
    t1.contrast_medium = 0.0
    fat, liver, spleen = (
        np.median([t1(tissue) for _ in range(51)]) for tissue in (FAT, LIVER_TISSUE, SPLEEN_TISSUE)
    )
    assert fat > liver > spleen > 0


def test_contrast_medium_makes_t1_brighter():
    t1 = PulseSequence("t1", draw(1))
    t1.contrast_medium = 0.0
    plain = np.median([t1(LIVER_TISSUE) for _ in range(51)])
    t1.contrast_medium, t1.liver_uptake = 10.0, 1.0
    assert np.median([t1(LIVER_TISSUE) for _ in range(51)]) > 1.2 * plain


@pytest.mark.parametrize("seed", range(12))
def test_every_window_is_finite_not_negative_and_scaled(seed):
    hu, smooth_hu, organs = scene()
    image = sequence_contrast(hu, smooth_hu, organs, draw(seed))
    assert image.shape == hu.shape
    assert torch.isfinite(image).all()
    assert image.min() >= 0
    assert float(torch.quantile(image.flatten(), 0.99)) == pytest.approx(1.0, rel=0.1)


def test_a_shrunken_liver_loses_only_its_rim_and_fluid_takes_its_place():
    hu, smooth_hu, organs = scene()
    target = (organs == LIVER).long()
    lost = 0
    for seed in range(8):
        new_hu, _, new_organs, new_target = shrink_liver(hu, smooth_hu, organs, target, draw(seed))
        gone = (target == 1) & (new_target == 0)
        lost += int(gone.sum())
        assert not ((new_target == 1) & (target == 0)).any()
        assert (new_target[24:32, 14:26, 14:26] == 1).all()  # deeper than the rim of 3 voxels
        assert (new_organs[gone] == GALLBLADDER).all()
        assert torch.equal(new_hu[~gone], hu[~gone])
        if gone.any():
            assert -20 < float(new_hu[gone].mean()) < 40
    assert lost > 0
