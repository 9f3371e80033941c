"""What a segmentation engine is asked and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..volume import Volume


@dataclass(frozen=True)
class EngineOptions:
    """What the user chose for an engine.

    Attributes:
        is_ct: True for CT, False for MR.
        mask_path: the mask for ``existing_mask``.
        mask_segment: segment name or number in it, "" where it holds one.
        resample_mask: lay a mask drawn on another grid onto the scan's.
        bundle_path: the bundle folder for ``monai_bundle``.
        bundle_label: name or number of the liver in its output.
        trust_bundle: let a bundle name Python classes outside MONAI and torch.
    """

    is_ct: bool
    mask_path: Path | None = None
    mask_segment: str = ""
    resample_mask: bool = False
    bundle_path: Path | None = None
    bundle_label: str = "liver"
    trust_bundle: bool = False


@dataclass(frozen=True)
class EngineResult:
    """What an engine found.

    Attributes:
        liver: bool (i, j, k) on the scan's grid.
        half_width: relative half-width of the liver volume's 95 % limits, None where the engine
            cannot say.
        spleen: bool (i, j, k), None where the engine gives none.
        engine: name and version, as the tables state it.
        engine_sha256: of the weights or the mask, "" where there is neither.
    """

    liver: NDArray[np.bool_]
    half_width: float | None
    spleen: NDArray[np.bool_] | None
    engine: str
    engine_sha256: str


Engine = Callable[[Volume, EngineOptions], EngineResult]
