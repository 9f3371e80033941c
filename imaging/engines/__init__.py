"""Segmentation engines: one file each, one table."""

from __future__ import annotations

from ...errors import EngineError
from ...settings import suggest
from .base import Engine, EngineOptions, EngineResult
from .existing_mask import existing_mask
from .liver_net import liver_net
from .monai_bundle import monai_bundle
from .totalsegmentator import totalsegmentator

ENGINES: dict[str, Engine] = {
    "liver_net": liver_net,
    "existing_mask": existing_mask,
    "monai_bundle": monai_bundle,
    "totalsegmentator": totalsegmentator,
}
"""Name in the tables and on the command line, to the function that does it."""


def get_engine(name: str) -> Engine:
    """Look an engine up.

    Raises:
        EngineError: no engine has this name.
    """
    if name not in ENGINES:
        raise EngineError(
            "unknown_engine",
            "there is no such segmentation engine",
            found=repr(name),
            do=suggest(name, ENGINES),
        )
    return ENGINES[name]


__all__ = ["ENGINES", "Engine", "EngineOptions", "EngineResult", "get_engine"]
