"""How the work on a slide is divided. What a user may change is fibrovol.settings' matter."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """What no user changes, and tests do."""

    threads: int = 0
    """Tiles processed at the same time; 0 = one per CPU core, at most 8."""
    tile_px: int = 2048
    """Analysis pixels along a tile at most; changes memory and speed, never the result."""
    overview_mpp_um: float = 8.0
    """Micrometres along one pixel of the overview on which tissue is outlined."""
    bootstrap_draws: int = 1000
    """Resamplings for the 95 % limits."""
    seed: int = 0
    """Seed of the resampling."""
