"""Contrasts in which an MR is looked at again: what must not matter to them, and what must."""

import numpy as np
import pytest
import torch
from fibrovol.models.contrast import CONTRASTS, equalised, evened
from fibrovol.models.looks import LOOKS, Look
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

SHAPE = (60, 50, 40)
ORGAN = (slice(15, 40), slice(12, 36), slice(10, 30))


def body() -> np.ndarray:
    """Tissue about an organ twice as bright, in air, grey 0 to 1."""
    rng = np.random.default_rng(0)
    grey = np.zeros(SHAPE, np.float32)
    grey[5:55, 5:45, 2:38] = 0.3
    grey[ORGAN] = 0.6
    blurred = ndimage.gaussian_filter(grey, 0.7)
    return np.asarray(blurred + rng.normal(0, 0.01, SHAPE).astype(np.float32), np.float32)


def shading(strength: float) -> np.ndarray:
    """A coil on one side: e to the power given brighter there than opposite."""
    side = np.linspace(-0.5, 0.5, SHAPE[0], dtype=np.float32)
    return np.exp(strength * side)[:, None, None]


def inside(image: torch.Tensor) -> np.ndarray:
    return image.numpy()[8:52, 8:42, 5:35]


def likeness(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(np.corrcoef(inside(a).ravel(), inside(b).ravel())[0, 1])


@pytest.mark.parametrize(("contrast", "gain"), [(evened, 0.15), (equalised, 0.05)])
def test_a_coils_shading_matters_less(contrast, gain):
    plain, shaded = torch.from_numpy(body()), torch.from_numpy(body() * shading(1.5))
    bare = likeness(plain, shaded)
    assert likeness(contrast(plain, 3.0), contrast(shaded, 3.0)) > bare + gain


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(0.3, 3.0))
def test_the_signals_unit_does_not_matter_to_ranks(scale):
    """But where a level is held up: 0.05 is added to it."""
    once = inside(equalised(torch.from_numpy(body()), 3.0))
    again = inside(equalised(torch.from_numpy(body() * np.float32(scale)), 3.0))
    assert np.corrcoef(once.ravel(), again.ravel())[0, 1] > 0.98


def test_ranks_fill_the_scale_and_air_stays_dark():
    image = torch.from_numpy(body())
    ranks = equalised(image, 3.0)
    tissue = ranks[image > 0.2 * image.mean()]
    assert np.allclose(np.quantile(tissue, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.01)
    assert float(ranks[:4].abs().max()) == 0.0


def test_a_bright_spot_leaves_the_organs_their_contrast():
    """Fluid five times as bright takes most of a linear scale, and little of the ranks."""
    bright = body()
    bright[44:52, 10:40, 5:35] = 3.0
    bright /= bright.max()
    ranks = equalised(torch.from_numpy(bright), 3.0).numpy()
    organ, around = ranks[18:37, 15:33, 13:27].mean(), ranks[7:12, 8:42, 5:35].mean()
    linear = bright[18:37, 15:33, 13:27].mean() - bright[7:12, 8:42, 5:35].mean()
    assert organ - around > 1.5 * linear


def test_the_scans_own_contrast_is_left_as_it_is():
    image = torch.from_numpy(body())
    assert CONTRASTS["own"](image, 3.0) is image


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_a_scan_without_tissue_stays_finite(contrast):
    for image in (torch.zeros(20, 20, 20), torch.full((20, 20, 20), -0.1), torch.ones(20, 20, 20)):
        assert torch.isfinite(CONTRASTS[contrast](image, 3.0)).all()


@pytest.mark.parametrize("contrast", CONTRASTS)
@pytest.mark.parametrize("shape", [(60, 50, 1), (60, 2, 40), (3, 3, 3), (1, 1, 1), (5, 7, 9)])
def test_a_scan_may_be_of_a_slice_or_two(contrast, shape):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    assert CONTRASTS[contrast](image, 3.0).shape == shape


@pytest.mark.parametrize(
    "look", [{"contrast": "negative"}, {"scale": 0.0}, {"scale": float("nan")}]
)
def test_a_look_that_there_is_not_is_refused(look):
    with pytest.raises(ValueError, match="own, evened, equalised"):
        Look(**look)


def test_no_contrast_outweighs_the_scans_own():
    """Alone, the equalised one takes bright ascites beside a dark liver for liver."""
    assert len({look.contrast for look in LOOKS}) == len(LOOKS) == 2
