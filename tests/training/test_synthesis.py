"""Training windows: the laws that the synthesis keeps."""

import numpy as np
import pytest
import torch
from fibrovol.training.acquisition import blur, thick_slices
from fibrovol.training.contrasts import (
    free_contrast,
    own_contrast,
    phase_contrast,
    sequence_contrast,
)
from fibrovol.training.disease import add_lesions, disguise_neighbours, shrink_livers
from fibrovol.training.draw import Draw
from fibrovol.training.geometry import Body, Case, cut_windows, make_case
from fibrovol.training.organs import GALLBLADDER, LIVER, SPLEEN
from fibrovol.training.synthesis import Synthesis, SynthesisSettings

SETTINGS = SynthesisSettings(window=(48, 48, 48), spacing_mm=5.0)


def box_patient(name: str = "box", *, spleen: bool = True) -> Case:
    """A box of a patient: liver on the right (high x), spleen on the left."""
    organs = np.full((100, 80, 60), 14, np.uint8)
    organs[10:90, 10:70, :] = 0
    organs[55:85, 25:60, 15:45] = LIVER
    hu = np.full(organs.shape, -125, np.float32)
    hu[organs == 0], hu[organs == LIVER] = -80, 100
    if spleen:
        organs[15:30, 25:45, 20:40] = SPLEEN
        hu[organs == SPLEEN] = 120
    return make_case(name, hu, organs, (3.0, 3.0, 4.0))


@pytest.fixture(scope="module")
def synthesis() -> Synthesis:
    return Synthesis([box_patient()], SETTINGS)


def body(seed: int, n: int = 2) -> Body:
    return cut_windows([box_patient()] * n, Draw([seed]), SETTINGS.window, SETTINGS.spacing_mm)


def test_same_seed_same_batch_whatever_was_drawn_before(synthesis):
    first = synthesis.batch([3, 7], 2)
    synthesis.batch([3, 8], 2)
    again = synthesis.batch([3, 7], 2)
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.target, again.target)


def test_other_seed_other_batch(synthesis):
    assert not torch.equal(synthesis.batch([3, 7], 1).image, synthesis.batch([3, 8], 1).image)


@pytest.mark.parametrize("seed", range(8))
def test_windows_are_finite_scaled_and_labelled_by_known_classes(synthesis, seed):
    batch = synthesis.batch([seed], 3)
    assert batch.image.shape == batch.target.shape == (3, 1, 48, 48, 48)
    assert torch.isfinite(batch.image).all()
    assert batch.image.min() >= -0.1001
    assert batch.image.max() <= 1.1001
    assert set(batch.target.unique().tolist()) <= {0, 1, 2, 3}


def test_left_and_right_are_never_exchanged(synthesis):
    seen = 0
    for seed in range(10):
        for target in synthesis.batch([seed], 2).target[:, 0]:
            liver, spleen = (target == 1).nonzero(), (target == 2).nonzero()
            if len(liver) > 500 and len(spleen) > 500:
                seen += 1
                assert liver[:, 0].float().mean() > spleen[:, 0].float().mean()
    assert seen >= 5


def test_a_case_with_nothing_but_a_liver_is_known_as_such():
    cases = [box_patient("a", spleen=False), box_patient("b")]
    batch = Synthesis(cases, SETTINGS).batch([0], 12)
    assert {True, False} == set(batch.only_liver.tolist())
    spleens = (batch.target == 2).flatten(1).sum(1)
    assert (spleens[batch.only_liver] == 0).all()


@pytest.mark.parametrize("paint", [phase_contrast, sequence_contrast, free_contrast])
def test_drawn_contrasts_show_the_liver_at_many_levels(paint):
    levels = []
    for seed in range(6):
        here = body(seed)
        image = paint(here, Draw([seed, 1]))
        assert torch.isfinite(image).all()
        levels += [float(i[m].median()) for i, m in zip(image, here.liver, strict=True)]
    assert np.ptp(levels) > 0.1  # the network never sees one grey for liver


def test_own_contrast_keeps_the_order_of_grey_values():
    here = body(1)
    image = own_contrast(here, Draw([5]))
    for window in range(len(here)):
        fat = image[window][here.organs[window] == 0].median()
        assert image[window][here.liver[window]].median() > fat


def test_a_shrunken_liver_loses_only_its_rim_and_fluid_takes_its_place():
    lost = 0
    for seed in range(4):
        before = body(seed)
        after = shrink_livers(before, Draw([seed, 2]), 3.0, share=1.0)
        gone = before.liver & ~after.liver
        lost += int(gone.sum())
        assert not (after.liver & ~before.liver).any()
        assert (after.organs[gone] == GALLBLADDER).all()
        assert torch.equal(after.hu[~gone], before.hu[~gone])
        if gone.any():
            assert -20 < float(after.hu[gone].mean()) < 40
        core = torch.nn.functional.max_pool3d(-before.liver.float(), 9, stride=1, padding=4) == -1
        assert after.liver[core].all()  # deeper than the rim of three voxels
    assert lost > 0


def test_disguised_neighbours_take_the_livers_level_and_the_liver_stays():
    here = body(2)
    image = torch.where(here.liver, 0.6, 0.1)
    out = disguise_neighbours(image, here, Draw([0]), 5.0, np.array([True, False]))
    assert torch.equal(out[1], image[1])
    assert torch.equal(out[0][here.liver[0]], image[0][here.liver[0]])
    changed = (out[0] != image[0]) & ~here.liver[0]
    assert changed.sum() > 1000
    assert (here.organs[0][changed] == 0).all()
    assert 0.3 < float(out[0][changed].mean()) < 0.7


def test_lesions_lie_in_livers_alone():
    changed = 0
    for seed in range(6):
        here = body(seed)
        image = torch.full_like(here.hu, 0.5)
        out = add_lesions(image, here, Draw([seed]), 5.0)
        assert torch.equal(out[~here.liver], image[~here.liver])
        changed += int((out != image).sum())
    assert changed > 0


def test_thick_slices_and_blur_keep_what_is_uniform_and_the_mean():
    draw = Draw([1])
    flat = torch.full((2, 1, 32, 32, 32), 0.7)
    on = np.array([True, True])
    assert torch.allclose(thick_slices(flat, draw, on, 4.0), flat, atol=1e-5)
    assert torch.allclose(blur(flat, np.ones((2, 3))), flat, atol=1e-5)
    noise = draw.normal(2, 1, 32, 32, 32)
    thick = thick_slices(noise, draw, np.array([False, True]), 4.0)
    assert torch.equal(thick[0], noise[0])
    assert thick[1].std() < noise[1].std()
