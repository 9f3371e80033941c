"""Fibrovol: liver volume on CT and MR, collagen on slides, and how both change between visits.

>>> import fibrovol
>>> liver = fibrovol.measure_liver("scans/S01")  # doctest: +SKIP
>>> liver.volume_ml, liver.volume_ml_low, liver.volume_ml_high  # doctest: +SKIP

What is named here is loaded when it is first used, so that ``import fibrovol`` is instant.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import FibrovolError

if TYPE_CHECKING:
    from .analysis.frames import read_results
    from .batch.runner import run_study
    from .histology.measure import measure_collagen
    from .histology.results.measurement import CollagenMeasurement
    from .imaging.measure import LiverMeasurement, measure_liver
    from .imaging.readers import read_scan
    from .imaging.volume import Volume

    __version__: str

_HOMES = {
    "CollagenMeasurement": ".histology.results.measurement",
    "LiverMeasurement": ".imaging.measure",
    "Volume": ".imaging.volume",
    "measure_collagen": ".histology.measure",
    "measure_liver": ".imaging.measure",
    "read_results": ".analysis.frames",
    "read_scan": ".imaging.readers",
    "run_study": ".batch.runner",
}

__all__ = [
    "CollagenMeasurement",
    "FibrovolError",
    "LiverMeasurement",
    "Volume",
    "__version__",
    "measure_collagen",
    "measure_liver",
    "read_results",
    "read_scan",
    "run_study",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home."""
    if name == "__version__":
        from .provenance import fibrovol_version  # noqa: PLC0415 - hashing is not needed for all

        return fibrovol_version()
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name], __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, so that completion shows them before they are loaded."""
    return sorted(__all__)
