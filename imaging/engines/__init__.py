"""Segmentation engines: one file each, one table; other packages may add theirs.

An installed package adds an engine by an entry point of the group ``fibrovol.engines``: its name is
the engine's, its value ``module:function`` of an :data:`Engine`. A name of our own table wins.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from ...errors import EngineError, suggest
from .base import Engine, EngineOptions, EngineResult

GROUP = "fibrovol.engines"
"""Entry point group in which other packages name their engines."""

ENGINES: dict[str, str] = {
    "liver_net": ".liver_net:liver_net",
    "existing_mask": ".existing_mask:existing_mask",
    "monai_bundle": ".monai_bundle:monai_bundle",
    "totalsegmentator": ".totalsegmentator:totalsegmentator",
}
"""Name in the tables and on the command line, to the function that does it, loaded on first use."""


def engine_names() -> tuple[str, ...]:
    """Our engines and those of installed packages."""
    return tuple(dict.fromkeys([*ENGINES, *(sorted(entry_points(group=GROUP).names))]))


def get_engine(name: str) -> Engine:
    """Look an engine up and load it.

    Raises:
        EngineError: ``unknown_engine``: no engine has this name; ``engine_not_installed``: the
            package that offers it cannot be loaded.
    """
    if name in ENGINES:
        module, _, function = ENGINES[name].partition(":")
        return _as_engine(getattr(import_module(module, __name__), function))
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise EngineError(
            "unknown_engine",
            "there is no such segmentation engine",
            found=repr(name),
            do=suggest(name, engine_names()),
        )
    offered = next(iter(found))
    try:
        return _as_engine(offered.load())
    except Exception as error:  # another package's code: it may raise anything while it loads
        raise EngineError(
            "engine_not_installed",
            f"the engine {name} cannot be loaded",
            found=f"{offered.value}: {type(error).__name__}: {str(error)[:200]}",
            do="reinstall the package that provides it, or use another engine",
        ) from error


def _as_engine(loaded: Any) -> Callable[..., EngineResult]:
    if not callable(loaded):
        raise TypeError(f"an engine must be a function, this is {type(loaded).__name__}")
    return loaded


__all__ = [
    "ENGINES",
    "GROUP",
    "Engine",
    "EngineOptions",
    "EngineResult",
    "engine_names",
    "get_engine",
]
