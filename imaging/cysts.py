"""Take cysts at the border of a liver into it, on CT. Pure: arrays in, arrays out.

A network leaves them out as it leaves out gallbladder and ascites: all are fluid. A cyst lies in
the liver with most of its surface, the others touch it with less.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_FLUID_HU = (-20.0, 28.0)
_BELOW_LIVER_HU = 30.0
"""How far fluid is below the liver: in a fatty one nothing is taken for fluid."""
_LEAST_SHARE = 0.5
"""Of the surface of a cyst that touches the liver. Half a ball has two thirds; gallbladders of 30
development CTs had at most 0.45, drawn cysts at the border 0.3 to 0.67."""
_LEAST_ML = 1.0
MUCH_FLUID = 0.03
"""Share of a liver that is fluid above which some of it may be missing at the border: 0.0 in 30
development CTs, 0.06 to 0.24 in livers with eight cysts drawn in."""
_SMOOTH_MM, _RIM_MM, _RING_MM = 1.5, 3.0, 3.0


def smoothed(
    hu: NDArray[np.float32], spacing_mm: tuple[float, float, float]
) -> NDArray[np.float32]:
    """HU with less noise, as the functions here take them.

    Args:
        hu: (i, j, k).
        spacing_mm: voxel size.
    """
    return ndimage.gaussian_filter(hu, _SMOOTH_MM / np.array(spacing_mm), truncate=3.0)


def with_cysts(
    probability: NDArray[np.float32],
    smooth: NDArray[np.float32],
    spacing_mm: tuple[float, float, float],
    *,
    threshold: float,
) -> NDArray[np.float32]:
    """The probability of liver, raised to 1 in cysts that lie in it with most of their surface.

    Args:
        probability: (i, j, k).
        smooth: HU of the same shape, see :func:`smoothed`.
        spacing_mm: voxel size.
        threshold: what counts as inside.
    """
    inside = probability > threshold
    if not inside.any():
        return probability
    level_hu, fluid_hu = _levels(inside, smooth)
    fluid = (smooth > _FLUID_HU[0]) & (smooth < fluid_hu) & ~inside
    regions, _ = ndimage.label(ndimage.binary_opening(fluid, iterations=2))
    least = _LEAST_ML * 1000 / float(np.prod(spacing_mm))
    reach = [int(np.ceil((_RIM_MM + _RING_MM) / mm)) + 1 for mm in spacing_mm]
    sizes = np.bincount(regions.ravel())
    raised = probability.copy()
    for number, box in enumerate(ndimage.find_objects(regions), 1):
        if sizes[number] < least:
            continue
        around = tuple(
            slice(max(side.start - n, 0), side.stop + n) for side, n in zip(box, reach, strict=True)
        )
        away_mm = ndimage.distance_transform_edt(regions[around] != number, spacing_mm)
        ring = (away_mm > _RIM_MM) & (away_mm <= _RIM_MM + _RING_MM)
        if np.mean(inside[around][ring]) < _LEAST_SHARE:
            continue
        rim = (away_mm <= _RIM_MM) & (smooth[around] < (level_hu + fluid_hu) / 2)
        rim &= smooth[around] > _FLUID_HU[0]
        raised[around][rim] = 1.0
    return raised


def fluid_share(liver: NDArray[np.bool_], smooth: NDArray[np.float32]) -> float:
    """Share of a liver that is fluid: cysts, abscesses, dead middles of tumours.

    Args:
        liver: (i, j, k).
        smooth: HU of the same shape, see :func:`smoothed`.
    """
    if not liver.any():
        return 0.0
    _, fluid_hu = _levels(liver, smooth)
    fluid = (smooth > _FLUID_HU[0]) & (smooth < fluid_hu) & liver
    fluid = ndimage.binary_opening(fluid, iterations=2)
    return float(np.count_nonzero(fluid)) / float(np.count_nonzero(liver))


def _levels(liver: NDArray[np.bool_], smooth: NDArray[np.float32]) -> tuple[float, float]:
    """The liver's own level, and the level below which there is fluid; HU."""
    level_hu = float(np.median(smooth[liver]))
    return level_hu, min(_FLUID_HU[1], level_hu - _BELOW_LIVER_HU)
