"""A scan whose header mirrors the patient is told by the organs that the network finds."""

import numpy as np
import pytest
import torch
from fibrovol.models.grid import NetworkGrid
from fibrovol.models.mirrored import MIRRORS, mirrored_by

SIZE = (110, 90, 100)


def knows_one_body(batch: torch.Tensor) -> torch.Tensor:
    """Logits of a network that sees a liver only where a body lies as it learnt it.

    Right of the window's middle, in front of it and above it something bright must lie.
    """
    image = batch[0, 0]
    x, y, z = ((image > 0.4).float().sum(axes) for axes in ((1, 2), (0, 2), (0, 1)))
    halves = [float(v[len(v) // 2 :].sum() / v.sum().clamp(min=1)) for v in (x, y, z)]
    known = all(half > 0.5 for half in halves)
    liver = (image > 0.4).float() * (20.0 if known else -20.0) - 5.0
    zero = torch.zeros_like(liver)
    return torch.stack([zero, liver, zero - 10, zero - 10])[None]


def patient(axes: tuple[int, ...] = ()) -> tuple[NetworkGrid, np.ndarray]:
    body = np.zeros(SIZE, np.float32)
    body[10:100, 10:80, 5:95] = 0.2
    liver = np.zeros(SIZE, bool)
    liver[60:90, 50:75, 40:80] = True
    body[liver] = 0.8
    # the height of the window follows the liver: what tells head from feet lies off its middle
    body[60:90, 50:75, 80:92] = 0.8
    turned, found = (np.ascontiguousarray(np.flip(a, axes)) for a in (body, liver))
    return NetworkGrid(torch.from_numpy(turned), np.diag([3.0, 3.0, 3.0, 1.0]), 3.0), found


def test_a_scan_that_lies_as_its_header_says_is_left_alone():
    assert mirrored_by(knows_one_body, *patient()) is None


@pytest.mark.parametrize("name", list(MIRRORS))
def test_a_mirrored_scan_is_told_and_how(name):
    assert mirrored_by(knows_one_body, *patient(MIRRORS[name])) == name


def test_an_empty_scan_is_not_called_mirrored():
    grid = NetworkGrid(torch.zeros(SIZE), np.diag([3.0, 3.0, 3.0, 1.0]), 3.0)
    found = np.zeros(SIZE, bool)
    found[50, 40, 50] = True
    assert mirrored_by(knows_one_body, grid, found) is None
