"""Training windows: the laws that the synthesis keeps."""

import numpy as np
import pytest
import torch
from fibrovol.training.draw import Draw
from fibrovol.training.synthesis import (
    Case,
    SynthesisSettings,
    draw_windows,
    real_contrast,
    synthetic_contrast,
)

SETTINGS = SynthesisSettings(window=(48, 48, 48), spacing_mm=5.0)
LIVER, SPLEEN = 6, 1


@pytest.fixture(scope="module")
def case() -> Case:
    """A box of a patient: liver on the right (high x), spleen on the left."""
    organs = torch.full((100, 80, 60), 14, dtype=torch.uint8)
    organs[10:90, 10:70, :] = 0
    organs[55:85, 25:60, 15:45] = LIVER
    organs[15:30, 25:45, 20:40] = SPLEEN
    hu = torch.full(organs.shape, -125, dtype=torch.int16)
    hu[organs == 0] = -80
    hu[organs == LIVER] = 100
    hu[organs == SPLEEN] = 120
    return Case(hu, hu.clone(), organs, (3.0, 3.0, 4.0), torch.tensor([70.0, 42.0, 30.0]))


def draw(seed: int) -> Draw:
    return Draw(np.random.default_rng(seed))


def test_same_seed_same_window(case):
    first, second = draw_windows(case, draw(3), SETTINGS), draw_windows(case, draw(3), SETTINGS)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_other_seed_other_window(case):
    first, second = draw_windows(case, draw(3), SETTINGS), draw_windows(case, draw(4), SETTINGS)
    assert not torch.equal(first[0], second[0])


@pytest.mark.parametrize("seed", range(12))
def test_windows_are_finite_and_labelled_by_known_classes(case, seed):
    images, targets = draw_windows(case, draw(seed), SETTINGS, contrasts=3)
    assert images.shape == targets.shape == (3, 1, 48, 48, 48)
    assert torch.isfinite(images).all()
    assert images.min() >= -0.1001
    assert images.max() <= 1.1001
    assert set(targets.unique().tolist()) <= {0, 1, 2, 3}


def test_left_and_right_are_never_exchanged(case):
    seen = 0
    for seed in range(30):
        _, targets = draw_windows(case, draw(seed), SETTINGS, contrasts=1)
        liver, spleen = (targets[0, 0] == 1).nonzero(), (targets[0, 0] == 2).nonzero()
        if len(liver) > 500 and len(spleen) > 500:
            seen += 1
            assert liver[:, 0].float().mean() > spleen[:, 0].float().mean()
    assert seen >= 5


def test_synthetic_contrast_shows_each_organ_at_its_own_level(case):
    levels = []
    for seed in range(8):
        image = synthetic_contrast(
            case.hu.float(), case.smooth_hu.float(), case.organs.long(), draw(seed)
        )
        levels.append(float(image[case.organs == LIVER].median()))
    assert np.ptp(levels) > 0.2  # the network never sees one grey for liver


def test_real_contrast_keeps_the_order_of_grey_values(case):
    image = real_contrast(case.hu.float(), draw(5))
    fat, liver = image[case.organs == 0].median(), image[case.organs == LIVER].median()
    assert liver > fat
