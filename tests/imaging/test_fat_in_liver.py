"""What a CT shows to be fat is no liver, whatever shape the network sees in it."""

import numpy as np
import torch
from fibrovol.imaging.engines.liver_net import _without_fat
from fibrovol.models.grid import FAT_HU, NetworkGrid


def ct(hu: np.ndarray) -> NetworkGrid:
    grey = torch.from_numpy(((hu + 125) / 400).astype(np.float32))
    return NetworkGrid(grey, np.diag([3.0, 3.0, 3.0, 1.0]), 3.0)


def found(fat_slabs: int) -> tuple[np.ndarray, np.ndarray]:
    """A block that the network calls liver, the last of its slabs in fat; and where fat is."""
    hu = np.full((40, 30, 30), -100.0)
    hu[5 : 35 - fat_slabs, 5:25, 5:25] = 100
    liver = np.zeros(hu.shape, np.float32)
    liver[5:35, 5:25, 5:25] = 0.9
    return liver, ct(hu).fat()


def test_fat_is_where_the_hu_says():
    assert ct(np.array([[[FAT_HU - 2, FAT_HU + 2, 0.0, 100.0]]])).fat().tolist() == [
        [[True, False, False, False]]
    ]


def test_a_resected_part_full_of_fat_is_left_out():
    liver, fat = found(10)
    bare = _without_fat(liver, fat, 0.5)
    assert bare is not None
    assert np.count_nonzero(bare > 0.5) == 20 * 20 * 20
    assert not (bare[fat] > 0.5).any()


def test_a_liver_without_fat_is_left_as_it_is():
    assert _without_fat(*found(0), 0.5) is None
