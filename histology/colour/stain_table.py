"""The stains of configs/stains.yaml."""

from __future__ import annotations

from functools import cache
from importlib import resources

from ...errors import ConfigError, SlideError
from ...settings import build, parse_yaml
from .stains import StainDefinition

CUSTOM = "custom"
"""The stain whose colours the user describes (custom.py)."""
_FILE = "stains.yaml"


@cache
def stain_table() -> dict[str, StainDefinition]:
    """The stains by name, in the order of the file.

    Raises:
        ConfigError: an entry lacks a key, has one too many or a value of the wrong type.
    """
    text = (resources.files("fibrovol.configs") / _FILE).read_text(encoding="utf-8")
    table = {}
    for name, entry in parse_yaml(text, _FILE).get("stains", {}).items():
        if not isinstance(entry, dict):
            raise ConfigError("bad_config", f"{_FILE}: stains.{name} must hold `key: value` lines")
        values = {"name": name, **entry}
        table[name] = build(StainDefinition, values, f"stains.{name}.", _FILE)
    return table


def stain_names() -> tuple[str, ...]:
    """The names that a user may give."""
    return tuple(stain_table())


def stain_definition(name: str) -> StainDefinition:
    """What a stain looks like.

    The entry "custom" has no colours of its own; custom.custom_definition puts the user's in.

    Raises:
        SlideError: ``unknown_stain``.
    """
    table = stain_table()
    if name not in table:
        raise SlideError(
            "unknown_stain",
            "The stain is not one of those configured",
            found=repr(name),
            do=f"use one of: {', '.join(table)}",
        )
    return table[name]
