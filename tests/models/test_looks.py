"""Further looks come back to the grid of the first, wherever the liver is."""

import numpy as np
import pytest
import torch
from fibrovol.models.inference import LIVER, predict
from fibrovol.models.looks import Look, look_again

AFFINE = np.array([[-2.0, 0, 0, 90], [0, 3.0, 0, -110], [0, 0, 5.0, 40], [0, 0, 0, 1]])


def scan() -> np.ndarray:
    """A bright box, off the middle, in a scan whose axes are not the network's."""
    array = np.full((110, 70, 40), -100, np.int16)
    array[20:60, 25:55, 10:30] = 150
    return array


def bright_is_liver(batch: torch.Tensor) -> torch.Tensor:
    liver = 40 * (batch - 0.5)
    return torch.cat([torch.zeros_like(liver), liver], dim=1)


@pytest.mark.parametrize("scale", [0.93, 1.07])
def test_a_network_that_knows_no_scale_sees_the_same_at_each(scale):
    found, grid = predict(bright_is_liver, scan(), AFFINE, is_ct=True, bf16=False, refine=False)
    (look,) = look_again(
        bright_is_liver, scan(), AFFINE, found, grid, is_ct=True, looks=(Look(scale),), bf16=False
    )
    assert look.shape == found.shape
    first, again = found[LIVER] > 0.5, look[LIVER] > 0.5
    assert int(again.sum()) == pytest.approx(int(first.sum()), rel=0.04)
    assert float((first & again).sum()) / float(first.sum()) > 0.96
    assert torch.allclose(look.sum(0), torch.ones(()), atol=1e-3)


def test_a_network_that_knows_its_size_disagrees_at_another():
    """It calls liver only what is as long as the box it learnt."""
    lengths = []

    def strict(batch: torch.Tensor) -> torch.Tensor:
        lengths.append(int((batch[0, 0] > 0.5).any(0).any(0).sum()))
        return bright_is_liver(batch)

    found, grid = predict(strict, scan(), AFFINE, is_ct=True, bf16=False, refine=False)
    seen = max(lengths)
    for scale in (0.8, 1.25):
        lengths.clear()
        look_again(
            strict, scan(), AFFINE, found, grid, is_ct=True, looks=(Look(scale),), bf16=False
        )
        assert max(lengths) == pytest.approx(scale * seen, abs=2)


def test_there_is_nothing_to_look_at_without_a_liver():
    empty = np.full((60, 60, 30), -100, np.int16)
    found, grid = predict(bright_is_liver, empty, AFFINE, is_ct=True, bf16=False, refine=False)
    assert look_again(bright_is_liver, empty, AFFINE, found, grid, is_ct=True) == []


def test_a_look_shows_the_contrast_that_was_asked_for():
    shown = []

    def watch(batch: torch.Tensor) -> torch.Tensor:
        shown.append(batch[0, 0])
        return bright_is_liver(batch)

    found, grid = predict(watch, scan(), AFFINE, is_ct=False, bf16=False, refine=False)
    shown.clear()
    for contrast in ("own", "equalised"):
        (look,) = look_again(
            watch,
            scan(),
            AFFINE,
            found,
            grid,
            is_ct=False,
            looks=(Look(1.0, contrast),),
            bf16=False,
        )
        assert look.shape == found.shape
    half = len(shown) // 2
    assert all(not torch.equal(a, b) for a, b in zip(shown[:half], shown[half:], strict=True))
