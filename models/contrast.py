"""Other contrasts of an MR in which a liver may be looked at again.

Coils make a scan bright near them, and bright fat or fluid leaves the organs little of the scale.
A network that was trained on contrasts drawn at random reads the scan in others as well, and errs
elsewhere there: on eight T2-SPIR scans bowel and stomach that pass for liver in the scan's own
contrast are told apart in an equalised one, while in drawn scans the equalised one by itself takes
ascites beside a dark liver for liver. So no contrast replaces another: they are averaged.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from .grid import tissue

_COIL_MM = 45.0  # Gaussian; 30 to 100 gave Dice within 0.003 of each other on eight MR
_BLOCK = 4  # voxels along each axis, at most, over which so slow a change is averaged first
_MEAN_LEVEL = 0.35  # of the evened tissue: about that of scaled scans
_LEAST_LEVEL = 0.05  # darker surroundings than these are not brightened further
_RANKED = 200_000  # voxels that a level is ranked among


def evened(image: Tensor, spacing_mm: float) -> Tensor:
    """Divide the tissue by its mean level within some 45 mm: a coil's shading goes.

    Args:
        image: float32 (x, y, z), grey about 0 to 1 as the network is given it.
        spacing_mm: voxel size.

    Returns:
        float32 of its shape, 0 to 1; 0 beside the tissue.
    """
    inside = tissue(image).float()
    both = torch.stack([image * inside, inside])[None]
    blocks = [min(_BLOCK, n) for n in image.shape]
    coarse = functional.avg_pool3d(both, blocks, ceil_mode=True)[0].numpy()
    sigma = [_COIL_MM / (spacing_mm * block) for block in blocks]
    level, share = (ndimage.gaussian_filter(part, sigma) for part in coarse)
    mean = torch.from_numpy(np.asarray(level / (share + 1e-3), np.float32))
    x, y, z = image.shape
    factors = [float(block) for block in blocks]
    mean = functional.interpolate(mean[None, None], scale_factor=factors, mode="trilinear")
    return (_MEAN_LEVEL * image / (mean[0, 0, :x, :y, :z] + _LEAST_LEVEL) * inside).clamp(0, 1)


def equalised(image: Tensor, spacing_mm: float) -> Tensor:
    """The share of the tissue that is darker, once evened: the organs get most of the scale.

    Args:
        image: float32 (x, y, z), grey about 0 to 1 as the network is given it.
        spacing_mm: voxel size.

    Returns:
        float32 of its shape, 0 to 1; 0 beside the tissue.
    """
    inside = tissue(image)
    even = evened(image, spacing_mm)
    levels = even[inside]
    if not levels.numel():
        return even
    ranked = levels[:: max(1, levels.numel() // _RANKED)].sort().values
    return torch.searchsorted(ranked, even).float() / ranked.numel() * inside


CONTRASTS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "own": lambda image, _: image,
    "evened": evened,
    "equalised": equalised,
}
"""Contrasts by the name that a bundle's metadata gives them."""
