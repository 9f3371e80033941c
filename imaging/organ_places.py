"""Decide whether a scan may be mirrored or turned: by where organs are, and what the engine saw."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .engines.base import EngineResult
from .volume import Volume

DOUBTFUL = "orientation_doubtful"

_EDGE = 96
_BODY_HU, _BONE_HU = -300.0, 250.0
_LEAST_SHARE = 0.002
_SIDE_MM, _BACK_MM = 0.0, 10.0


def place_flags(volume: Volume, found: EngineResult, modality: str) -> list[str]:
    """``orientation_doubtful`` if organs are where they must not be, or more shows when mirrored.

    Args:
        volume: the scan.
        found: by an engine, on the scan's grid.
        modality: CT or MR.
    """
    doubtful = found.mirrored_by is not None or _misplaced(
        volume, found.liver, found.spleen, modality
    )
    return [DOUBTFUL] if doubtful else []


def _misplaced(
    volume: Volume, liver: NDArray[np.bool_], spleen: NDArray[np.bool_] | None, modality: str
) -> bool:
    """Whether the liver lies on the left of the body, or the spine of a CT in front.

    A person whose organs are mirrored (situs inversus, one in 10,000) is doubted too: a reader
    accepts the case.

    Args:
        volume: the scan.
        liver: (i, j, k) on its grid.
        spleen: likewise, None without one.
        modality: CT or MR.
    """
    steps = tuple(max(1, n // _EDGE) for n in volume.array.shape)
    thin = tuple(slice(None, None, step) for step in steps)
    affine = volume.affine.copy()
    affine[:3, :3] = affine[:3, :3] * np.array(steps)
    values: NDArray[Any] = volume.array[thin]
    is_ct = modality == "CT"
    body = values > (_BODY_HU if is_ct else 0.5 * float(values.mean()))
    organ = liver[thin]
    if not organ.any() or not body.any():
        return False
    # at the height of the liver alone: shoulders and legs are not a measure of the middle
    body &= _near(organ, affine)
    middle, place = _centre(body, affine), _centre(organ, affine)
    if place[0] - middle[0] < _SIDE_MM:  # RAS: x grows to the patient's right
        return True
    if spleen is not None and spleen[thin].any():
        other = _centre(spleen[thin], affine)
        if other[0] > place[0]:
            return True
    if not is_ct:
        return False
    bone = body & (values > _BONE_HU)
    if np.count_nonzero(bone) < _LEAST_SHARE * np.count_nonzero(body):
        return False
    return bool(_centre(bone, affine)[1] - middle[1] > _BACK_MM)


def _near(organ: NDArray[np.bool_], affine: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Voxels at the height of the organ along the body."""
    axis = int(np.abs(affine[2, :3]).argmax())
    others = tuple(other for other in range(3) if other != axis)
    shape = [1, 1, 1]
    shape[axis] = organ.shape[axis]
    return np.broadcast_to(organ.any(axis=others).reshape(shape), organ.shape)


def _centre(mask: NDArray[np.bool_], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centre of mass in RAS mm."""
    total = float(np.count_nonzero(mask))
    index = [
        float((mask.sum(axis=tuple(o for o in range(3) if o != axis)) * np.arange(size)).sum())
        / total
        for axis, size in enumerate(mask.shape)
    ]
    return np.asarray(affine[:3, :3] @ index + affine[:3, 3])
