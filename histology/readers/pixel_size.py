"""What a file says about its pixel size: text and tags of many writers read, and compared. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..slide import PLAUSIBLE_MPP_UM

#: OME's units of length that are known sizes, and ImageJ's words, in um.
_UM_PER_UNIT = {
    **{"pm": 1e-6, "a": 1e-4, "å": 1e-4, "angstrom": 1e-4, "nm": 1e-3, "nanometer": 1e-3},
    **{"um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0},
    **{"micrometre": 1.0, "\\u00b5m": 1.0, "mm": 1e3, "millimeter": 1e3, "cm": 1e4},
    **{"centimeter": 1e4, "dm": 1e5, "m": 1e6, "meter": 1e6, "thou": 25.4, "mil": 25.4},
    **{"in": 25400.0, "inch": 25400.0, "inches": 25400.0, "ft": 304800.0},
}
#: Two statements further apart than this contradict each other.
_APART = 0.05
_NUMBER = re.compile(r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?")

_SIZE = re.compile(rf"({_NUMBER.pattern})\s*([^\W\d].*|)")


@dataclass(frozen=True)
class Stated:
    """What one place of a file says the size of a pixel is."""

    source: str
    """The place, for messages: "MPP in the description"."""
    x_um: float
    y_um: float

    @property
    def plausible(self) -> bool:
        """Whether a slide can have such pixels."""
        low, high = PLAUSIBLE_MPP_UM
        return low <= self.x_um <= high and low <= self.y_um <= high

    def __str__(self) -> str:
        return f"{self.source}: {self.x_um:.4g} um"


@dataclass(frozen=True)
class PixelSize:
    """The pixel size that a file states."""

    mpp_um: tuple[float, float] | None = None
    """Along x and y, None if nothing usable is stated."""
    found: str = ""
    """What was found instead, for the message."""
    conflict: str = ""
    """The statements that contradict each other, "" if they agree."""


def read_number(text: str | None) -> float | None:
    """A finite number above zero from text, with a decimal point or comma; else None."""
    match = _NUMBER.fullmatch(text.strip()) if text else None
    if match is None:
        return None
    number = float(match[0].replace(",", "."))
    return number if math.isfinite(number) and number > 0 else None


def read_size_um(text: str | None) -> float | None:
    """A size in um from text: a number as :func:`read_number` takes it, a unit after it or none."""
    match = _SIZE.fullmatch(text.strip()) if text else None
    number, um = (read_number(match[1]), um_per(match[2] or "um")) if match else (None, None)
    return None if number is None or um is None else number * um


def um_per(unit: str) -> float | None:
    """Micrometres of a unit of length as OME or ImageJ spell it; None if it is not a length."""
    return _UM_PER_UNIT.get(unit.strip().lower())


def settle_statements(stated: Sequence[Stated], problems: Sequence[str] = ()) -> PixelSize:
    """One pixel size from all statements of a file.

    Sizes that no slide has (a printing resolution) do not speak against one that a slide can have.

    Args:
        stated: the statements, the most trusted first.
        problems: what was stated but says nothing: "MPP = 0".
    """
    if not stated:
        return PixelSize(found=", ".join(problems) or "no pixel size in the file")
    first = next((one for one in stated if one.plausible), stated[0])
    size = (first.x_um, first.y_um)
    for other in stated:
        apart = max(other.x_um / size[0], size[0] / other.x_um) - 1
        if other.plausible and first.plausible and apart > _APART:
            return PixelSize(size, conflict=f"{first}; {other}")
    return PixelSize(size)
