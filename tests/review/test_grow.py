"""Growing from a painted part: to the edge, round other organs, and no further."""

from __future__ import annotations

import numpy as np
import pytest
from fibrovol.review.grow import grow

SHAPE, SPACING = (90, 80), (0.8, 1.0)


def disc(row: float, column: float, radius_mm: float) -> np.ndarray:
    i, j = np.indices(SHAPE)
    return ((i - row) * SPACING[0]) ** 2 + ((j - column) * SPACING[1]) ** 2 <= radius_mm**2


@pytest.mark.parametrize("step", [30.0, -40.0])
def test_a_dab_grows_to_the_edge_of_the_organ(step: float) -> None:
    organ = disc(45, 40, 20)
    grey = 60 + step * organ + np.random.default_rng(0).normal(0, 6, SHAPE)
    found = grow(grey, disc(45, 40, 8), np.zeros(SHAPE, bool), SPACING)
    dice = 2 * (found & organ).sum() / (found.sum() + organ.sum())
    assert dice > 0.96
    assert found[disc(45, 40, 8)].all()


def test_another_organ_is_never_taken_and_a_far_one_not_reached() -> None:
    organ, spleen = disc(30, 40, 15), disc(66, 40, 12)
    grey = 60 + 40.0 * (organ | spleen) + np.random.default_rng(1).normal(0, 5, SHAPE)
    found = grow(grey, disc(30, 40, 6), spleen, SPACING)
    assert not (found & spleen).any()
    assert (found & organ).sum() > 0.9 * organ.sum()
    free = grow(grey, disc(30, 40, 6), np.zeros(SHAPE, bool), SPACING)
    assert not (free & spleen).any()


def test_too_little_paint_or_no_edge_leaves_it_as_it_was() -> None:
    grey = np.full(SHAPE, 60.0)
    speck = disc(45, 40, 1)
    assert np.array_equal(grow(grey, speck, np.zeros(SHAPE, bool), SPACING), speck)
    dab = disc(45, 40, 5)
    assert np.array_equal(grow(grey, dab, np.zeros(SHAPE, bool), SPACING), dab)
    noisy = grey + np.random.default_rng(2).normal(0, 6, SHAPE)
    assert not (grow(noisy, dab, np.zeros(SHAPE, bool), SPACING) & ~disc(45, 40, 26)).any()
