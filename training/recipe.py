"""A training's recipe: one YAML file that says how weights are made, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..settings import build, read_yaml
from .train import TrainSettings

_FOLDER = Path(str(resources.files(__package__)))
SHIPPED = {name: _FOLDER / f"{name}.yaml" for name in ("liver", "liver_mr")}
"""How the weights of models/liver for CT and for MR are made, by name."""

_CASES = ("only", "hold_out")


@dataclass(frozen=True)
class Recipe:
    """How weights are made."""

    settings: TrainSettings
    """Everything but the cases."""

    only: tuple[str, ...] = ()
    """Cases to train on; all where empty."""

    hold_out: tuple[str, ...] = ()
    """Cases never trained on."""

    from_shipped: bool = False
    """Start from the shipped weights, not from random ones."""


def read_train_settings(path: Path) -> Recipe:
    """Read a recipe; keys are the fields of ``TrainSettings`` and of :class:`Recipe`.

    Raises:
        ConfigError: a key that does not exist (the nearest one is named), or a wrong value.
    """
    data = dict(read_yaml(path))
    cases = {key: _names(key, data.pop(key, []), path.name) for key in _CASES}
    from_shipped = data.pop("from_shipped", False)
    if not isinstance(from_shipped, bool):
        raise ConfigError(
            "bad_config", "from_shipped must be true or false", found=repr(from_shipped)
        )
    settings = _settings(data, path.name)
    return Recipe(settings, **cases, from_shipped=from_shipped)


def _settings(data: Mapping[str, Any], name: str) -> TrainSettings:
    settings = build(TrainSettings, data, "", name)
    if "steps" in data and "minutes" not in data:
        settings = replace(settings, minutes=None)
    return settings


def _names(key: str, value: object, file: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ConfigError(
            "bad_config",
            f"{file}: {key} must be a list of case names",
            found=repr(value),
            do="write [case01, case02]",
        )
    return tuple(value)
