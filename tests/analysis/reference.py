"""The numbers that R printed: tests/data/r/reference.csv, by name."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parents[1] / "data" / "r"


@cache
def _all() -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    with (FOLDER / "reference.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            text = row["value"]
            number = float("nan") if text in ("NA", "NaN") else float(text)
            values.setdefault(row["name"], []).append(number)
    return values


def reference(name: str) -> NDArray[np.float64]:
    """All values of a name, in order."""
    return np.array(_all()[name])


def one(name: str) -> float:
    """The only value of a name."""
    (value,) = _all()[name]
    return value
