"""A cyst in a liver belongs to it; a gallbladder that touches it does not."""

from __future__ import annotations

import numpy as np
import pytest
from fibrovol.imaging.cysts import MUCH_FLUID, fluid_share, smoothed, with_cysts

SPACING_MM = (2.0, 2.0, 2.0)


def drawn(depth_mm: float, liver_hu: float = 105.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probability, HU, and a ball of fluid whose middle is so deep under the face of a liver."""
    x, y, z = np.meshgrid(*[np.arange(50) * 2.0] * 3, indexing="ij")
    fluid = (x - 60 + depth_mm) ** 2 + (y - 50) ** 2 + (z - 50) ** 2 < 16.0**2
    liver = (x <= 60) & ~fluid
    hu = np.where(liver, liver_hu, np.where(fluid, 6.0, -100.0)).astype(np.float32)
    return liver.astype(np.float32), hu, fluid


@pytest.mark.parametrize(("depth_mm", "belongs"), [(12.0, True), (-6.0, False)])
def test_fluid_belongs_to_the_liver_if_most_of_its_surface_does(depth_mm, belongs):
    probability, hu, fluid = drawn(depth_mm)
    raised = with_cysts(probability, smoothed(hu, SPACING_MM), SPACING_MM, threshold=0.5) > 0.5
    taken = np.count_nonzero(raised & fluid) / np.count_nonzero(fluid)
    assert taken > 0.95 if belongs else taken == 0
    assert not (raised & (hu < -50)).any()


def test_much_fluid_in_a_liver_is_noticed():
    probability, hu, fluid = drawn(20.0)
    whole = (probability > 0.5) | fluid
    whole[:10] = whole[:, :10] = whole[:, 40:] = False
    true = np.count_nonzero(fluid) / np.count_nonzero(whole)
    assert MUCH_FLUID < 0.6 * true < fluid_share(whole, smoothed(hu, SPACING_MM)) < true
    assert fluid_share(whole, np.full_like(hu, 105.0)) == 0


def test_in_a_fatty_liver_nothing_is_taken_for_fluid():
    probability, hu, _ = drawn(8.0, liver_hu=20.0)
    assert np.array_equal(
        with_cysts(probability, smoothed(hu, SPACING_MM), SPACING_MM, threshold=0.5), probability
    )


def test_nothing_happens_without_a_liver():
    nothing = np.zeros((8, 8, 8), np.float32)
    assert not with_cysts(nothing, nothing, SPACING_MM, threshold=0.5).any()
