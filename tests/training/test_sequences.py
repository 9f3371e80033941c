"""MR contrasts from relaxation times: the order of tissues that every textbook shows."""

import numpy as np
import pytest
from fibrovol.training.draw import Draw
from fibrovol.training.organs import SPLEEN
from fibrovol.training.sequences import (
    FAT,
    FLUID,
    LIVER_TISSUE,
    ORGAN_TISSUES,
    PulseSequence,
    Tissue,
)

SPLEEN_TISSUE = ORGAN_TISSUES[SPLEEN - 1]
BLOOD = ORGAN_TISSUES[7]


def median(sequence: PulseSequence, tissue: Tissue) -> float:
    return float(np.median([sequence(tissue) for _ in range(51)]))


def t1(seed: int, image: str = "plain") -> PulseSequence:
    """A T1-weighted sequence without contrast medium and without fat in the liver."""
    sequence = PulseSequence("t1", Draw([seed]))
    sequence.contrast_medium, sequence.image, sequence.liver_fat = 0.0, image, 0.0
    return sequence


@pytest.mark.parametrize("seed", range(10))
def test_on_t2_fluid_is_brighter_than_spleen_and_spleen_than_liver(seed):
    sequence = PulseSequence("t2", Draw([seed]))
    fluid, spleen, liver = (median(sequence, t) for t in (FLUID, SPLEEN_TISSUE, LIVER_TISSUE))
    assert fluid > spleen > liver > 0


@pytest.mark.parametrize("seed", range(10))
def test_on_plain_t1_fat_is_brighter_than_liver_and_liver_than_spleen(seed):
    fat, liver, spleen = (median(t1(seed), t) for t in (FAT, LIVER_TISSUE, SPLEEN_TISSUE))
    assert fat > liver > spleen > 0


def test_contrast_medium_makes_t1_brighter():
    sequence = t1(1)
    plain = median(sequence, LIVER_TISSUE)
    sequence.contrast_medium, sequence.liver_uptake = 10.0, 1.0
    assert median(sequence, LIVER_TISSUE) > 1.2 * plain


def test_in_the_hepatobiliary_phase_the_liver_outshines_the_blood():
    sequence = t1(2)
    sequence.contrast_medium, sequence.liver_uptake, sequence.other_uptake = 8.0, 2.5, 0.2
    assert median(sequence, LIVER_TISSUE) > 1.3 * median(sequence, BLOOD)


def test_a_fatty_liver_loses_signal_out_of_phase():
    levels = []
    for image in ("in_phase", "out_of_phase"):
        sequence = t1(3, image)
        sequence.liver_fat = 0.3
        levels.append(median(sequence, LIVER_TISSUE))
    assert levels[1] < 0.6 * levels[0]


def test_a_fat_image_shows_hardly_anything_else():
    sequence = t1(4, "fat")
    assert median(sequence, SPLEEN_TISSUE) < 0.1 * median(sequence, FAT)


def test_diffusion_darkens_fluid_first():
    sequence = PulseSequence("diffusion", Draw([5]))
    sequence.te_ms, sequence.b = 60.0, 0.0
    without = median(sequence, FLUID) / median(sequence, LIVER_TISSUE)
    sequence.b = 0.8
    assert median(sequence, FLUID) / median(sequence, LIVER_TISSUE) < 0.5 * without
