"""What a segmentation engine is asked and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...settings import LiverSettings
from ..volume import Volume


@dataclass(frozen=True)
class EngineOptions:
    """What the user chose for an engine."""

    mask_path: Path | None = None
    """The mask for ``existing_mask``."""
    mask_segment: str = ""
    """Which of its labels are the liver, by number or name: ``5``, ``liver``, ``1-8``; "" where it
    is clear."""
    mask_threshold: float = 0.0
    """From which value on a voxel of a probability map is liver; 0 where it is no such map."""
    fill_slices: bool = False
    """Draw slices between drawn ones of the mask by shape."""
    resample_mask: bool = False
    """Lay a mask drawn on another grid onto the scan's."""
    bundle_path: Path | None = None
    """The bundle folder for ``monai_bundle``."""
    bundle_label: str = "liver"
    """Name or number of the liver among the bundle's outputs."""
    trust_bundle: bool = False
    """Run what the bundle's configuration says. It is a program: MONAI evaluates Python expressions
    and calls whatever it names."""
    weights_path: Path | None = None
    """Folder with downloaded weights, for ``totalsegmentator``."""
    fast: bool = False
    """The quicker, coarser variant of an engine that has one."""
    settings: LiverSettings | None = None
    """The section ``liver`` of the settings, for what a single engine asks; None outside a run."""

    @property
    def parameters(self) -> dict[str, str | float | bool]:
        """What differs from the defaults and decides the result, for provenance; no paths."""
        values: dict[str, str | float | bool] = {
            "mask_segment": self.mask_segment,
            "mask_threshold": self.mask_threshold,
            "fill_slices": self.fill_slices,
            "resample_mask": self.resample_mask,
            "bundle_label": self.bundle_label if self.bundle_path else "",
            "fast": self.fast,
        }
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True)
class EngineResult:
    """What an engine found."""

    liver: NDArray[np.bool_]
    """Bool (i, j, k) on the scan's grid."""
    half_width: float | None
    """Relative half-width of the liver volume's 95 % limits, None where the engine cannot say."""
    spleen: NDArray[np.bool_] | None
    """Bool (i, j, k), None where the engine gives none."""
    engine: str
    """Name and version, as the tables state it."""
    engine_sha256: str
    """Of the weights or the mask, "" where there is neither."""
    flags: tuple[str, ...] = ()
    """Codes of ``FLAGS`` that the engine itself raises."""


Engine = Callable[[Volume, EngineOptions], EngineResult]
"""The volume's modality is CT or MR by then."""
