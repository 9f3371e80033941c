"""Measure a mask that a person drew, instead of segmenting; its geometry must fit the scan."""

from __future__ import annotations

from ...errors import EngineError
from ..masks.gate import MaskOptions, take_mask
from ..volume import Volume
from .base import EngineOptions, EngineResult


def existing_mask(volume: Volume, options: EngineOptions) -> EngineResult:
    """Take the liver from a mask file; see :func:`fibrovol.imaging.masks.gate.take_mask`.

    Raises:
        EngineError: no mask was given.
        RegionError: the mask cannot be taken as it is, with why.
    """
    if options.mask_path is None:
        raise EngineError(
            "weights_missing",
            "the engine existing_mask needs a mask",
            do="name it in study.csv's mask column, or with --mask",
        )
    taken = take_mask(
        options.mask_path,
        volume,
        MaskOptions(
            segment=options.settings.mask_segment,
            threshold=options.settings.mask_threshold,
            resample=options.settings.resample_mask,
            fill_slices=options.settings.fill_slices,
        ),
    )
    return EngineResult(
        liver=taken.liver,
        half_width=None,
        spleen=None,
        engine="existing_mask",
        engine_sha256=taken.sha256,
        flags=taken.flags,
    )
