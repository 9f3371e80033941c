"""Agreement of two masks against values worked out by hand."""

import numpy as np
import pytest
from fibrovol.imaging import agreement


def cube(start: int, stop: int, size: int = 20) -> np.ndarray:
    mask = np.zeros((size, size, size), bool)
    mask[start:stop, start:stop, start:stop] = True
    return mask


def test_dice_of_shifted_boxes():
    first, second = np.zeros((10, 10, 10), bool), np.zeros((10, 10, 10), bool)
    first[0:4], second[2:6] = True, True
    assert agreement.dice(first, second) == pytest.approx(0.5)


def test_dice_of_the_same_and_of_empty_masks_is_one():
    assert agreement.dice(cube(3, 9), cube(3, 9)) == 1.0
    assert agreement.dice(np.zeros((2, 2, 2), bool), np.zeros((2, 2, 2), bool)) == 1.0


def test_volume_error_is_signed():
    assert agreement.relative_volume_error_percent(cube(0, 5), cube(0, 10)) == pytest.approx(-87.5)
    with pytest.raises(ValueError, match="empty"):
        agreement.relative_volume_error_percent(cube(0, 5), np.zeros((20, 20, 20), bool))


def test_surface_distance_counts_millimetres():
    first, second = np.zeros((30, 10, 10), bool), np.zeros((30, 10, 10), bool)
    first[5:15], second[5:17] = True, True
    # the far face moved by 2 voxels of 3 mm, the near face did not
    assert agreement.hd95_mm(first, second, (3.0, 1.0, 1.0)) == pytest.approx(6.0)
    assert agreement.hd95_mm(first, first, (3.0, 1.0, 1.0)) == 0.0
    assert 0 < agreement.mean_surface_distance_mm(first, second, (3.0, 1.0, 1.0)) < 6.0


def test_a_mask_at_the_edge_of_the_scan_has_a_surface_there():
    full = np.ones((6, 6, 6), bool)
    forth, _ = agreement.surface_distances_mm(full, full, (1.0, 1.0, 1.0))
    assert len(forth) == 6**3 - 4**3


@pytest.mark.parametrize("function", [agreement.dice, agreement.relative_volume_error_percent])
def test_different_shapes_are_an_error(function):
    with pytest.raises(ValueError, match="shape"):
        function(np.ones((2, 2, 2), bool), np.ones((2, 2, 3), bool))
