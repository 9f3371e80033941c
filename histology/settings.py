"""What a user may change about collagen measurement, each with its unit, and the stain table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from ..errors import ConfigError, SlideError
from .colour.stains import HueRange, StainDefinition


@dataclass(frozen=True)
class CollagenSettings:
    """Settings of :func:`fibrovol.histology.measure.measure_collagen`."""

    analysis_mpp_um: float = 1.0
    """Micrometres along one pixel of the analysis."""
    overview_mpp_um: float = 8.0
    """Micrometres along one pixel of the overview on which tissue is outlined."""
    tile_px: int = 2048
    """Analysis pixels along a processed tile at most; changes memory and speed, never the result.
    """
    threads: int = 0
    """Tiles processed at the same time; 0 = one per CPU core, at most 8."""
    shortest_biopsy_mm: float = 15.0
    """Below this total length a biopsy is flagged ``short_biopsy``."""
    bootstrap_draws: int = 1000
    """Resamplings for the 95 % limits."""
    seed: int = 0
    """Seed of the resampling."""
    custom_stain: str = ""
    """File that describes the stain "custom" (custom.py), "" without."""

    def __post_init__(self) -> None:
        if not 0.1 <= self.analysis_mpp_um <= 10.0:
            raise ConfigError(
                "bad_config",
                "analysis_mpp_um must lie between 0.1 and 10 um",
                found=f"{self.analysis_mpp_um:g}",
                do="1.0 resolves single collagen fibres; see docs/concepts/collagen.md",
            )
        if self.tile_px < 16 or self.bootstrap_draws < 100 or self.threads < 0:
            raise ConfigError(
                "bad_config",
                "tile_px must be at least 16, bootstrap_draws at least 100, threads at least 0",
                found=f"{self.tile_px}, {self.bootstrap_draws}, {self.threads}",
            )


CUSTOM = "custom"
_NO_HUE = {"typical": 0.0, "low": 0.0, "high": 0.0}


@cache
def _stain_file() -> dict[str, Any]:
    text = (resources.files("fibrovol.configs") / "stains.yaml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text))


def default_settings() -> CollagenSettings:
    """The settings that are used where none are given."""
    return CollagenSettings()


def stain_names() -> tuple[str, ...]:
    """Keys of configs/stains.yaml, in its order."""
    return tuple(_stain_file()["stains"])


def stain_definition(name: str) -> StainDefinition:
    """The entry of configs/stains.yaml for a stain.

    That of "custom" has no colours of its own; custom.custom_definition puts the user's in.

    Raises:
        SlideError: ``unknown_stain``.
    """
    entries = _stain_file()["stains"]
    if name not in entries:
        raise SlideError(
            "unknown_stain",
            "The stain is not one of those configured",
            found=repr(name),
            do=f"use one of: {', '.join(entries)}",
        )
    entry = entries[name]
    read = entry.get("read_hue_deg")
    haematoxylin, dye = entry.get("haematoxylin_deg"), entry.get("dye_deg")
    return StainDefinition(
        name=name,
        title=str(entry["title"]),
        family=str(entry["family"]),
        counter_hue_deg=_hue_range(entry.get("counter_hue_deg", _NO_HUE)),
        collagen_hue_deg=_hue_range(entry.get("collagen_hue_deg", _NO_HUE)),
        threshold_part=float(entry["threshold_part"]),
        follow_part=float(entry["follow_part"]),
        own_collagen_part=float(entry["own_collagen_part"]),
        counter_plenty_part=float(entry["counter_plenty_part"]),
        purity_part=float(entry["purity_part"]),
        chroma_part=float(entry["chroma_part"]),
        beyond_deg=float(entry["beyond_deg"]),
        read_hue_deg=None if read is None else (float(read["low"]), float(read["high"])),
        haematoxylin_deg=None if haematoxylin is None else float(haematoxylin),
        dye_deg=None if dye is None else float(dye),
    )


def _hue_range(entry: dict[str, Any]) -> HueRange:
    return HueRange(float(entry["typical"]), float(entry["low"]), float(entry["high"]))
