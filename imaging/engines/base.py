"""What a segmentation engine is asked and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...settings import LiverSettings, load_settings
from ..volume import Volume


@dataclass(frozen=True)
class EngineOptions:
    """What an engine is asked besides the scan; :meth:`of` makes one from single settings."""

    settings: LiverSettings
    """What the user chose: ``liver`` in configs/default.yaml says what each key means."""
    mask_path: Path | None = None
    """The mask for ``existing_mask``."""
    trust_bundle: bool = False
    """Run what the bundle's configuration says. It is a program: MONAI evaluates Python expressions
    and calls whatever it names."""

    @classmethod
    def of(
        cls, *, mask_path: Path | None = None, trust_bundle: bool = False, **liver: object
    ) -> EngineOptions:
        """The default settings with some changed, such as ``of(mask_segment="6")``.

        Raises:
            ConfigError: a setting that does not exist, or a wrong value.
        """
        return cls(load_settings({"liver": liver}).liver, mask_path, trust_bundle)

    @property
    def parameters(self) -> dict[str, str | float | bool]:
        """What differs from the defaults and decides the result, for provenance; no paths."""
        settings = self.settings
        values: dict[str, str | float | bool] = {
            "mask_segment": settings.mask_segment,
            "mask_threshold": settings.mask_threshold,
            "fill_slices": settings.fill_slices,
            "resample_mask": settings.resample_mask,
            "bundle_label": settings.bundle_label if settings.bundle else "",
            "fast": settings.fast,
        }
        return {name: value for name, value in values.items() if value}


@dataclass(frozen=True)
class EngineResult:
    """What an engine found."""

    liver: NDArray[np.bool_]
    """Bool (i, j, k) on the scan's grid."""
    half_width: float | None
    """Relative half-width of the liver volume's 95 % limits, None if the engine cannot say."""
    spleen: NDArray[np.bool_] | None
    """Bool (i, j, k), None if the engine gives none."""
    engine: str
    """Name and version, as the tables state it."""
    engine_sha256: str
    """Of the weights or the mask, "" if there is neither."""
    flags: tuple[str, ...] = ()
    """Codes of ``FLAGS`` that the engine itself raises."""
    device: str = ""
    """What its network ran on: ``cpu``, ``cuda``, ``mps``; "" if none ran."""
    mirrored_by: str | None = None
    """Directions after whose exchange the engine finds more organ; None if it finds no more, or
    does not look."""


Engine = Callable[[Volume, EngineOptions], EngineResult]
"""The volume's modality is CT or MR by then."""
