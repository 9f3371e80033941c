"""Separate phases, echoes and acquisitions inside one stack of parallel slices. Pure.

The evidence is geometric first: images at one position cannot be one volume, and two sets of
slices that cover the same range, each complete in itself, are two volumes. Header values then say
which image belongs to which. A value that changes from block to block along the body (an
acquisition number per table position) is not a reason to split.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Value = str | float | None

SAME_PLACE_MM = 0.02
_CROWDED = 0.35
"""Gaps below this part of the usual gap are crowded: nobody reconstructs like that."""
_CROWDED_SHARE = 0.2
_COMPLETE = 1.25
"""A set whose slices lie at most 1.25 thicknesses apart is complete in itself."""


@dataclass(frozen=True)
class KeySplit:
    """A key and the sets of slices that it tells apart, as indices."""

    key: str
    labels: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...]


def places(heights_mm: NDArray[np.float64]) -> NDArray[np.intp]:
    """Number each slice's position along the normal; slices at one position share a number.

    Where many slices lie far closer than the others (a second pass after the table moved by a
    fraction of a millimetre), such close ones count as one position.

    Args:
        heights_mm: shape (n,), in any order.

    Returns:
        shape (n,), position numbers from 0 in ascending height.
    """
    order = np.argsort(heights_mm, kind="stable")
    gaps = np.diff(heights_mm[order])
    near = SAME_PLACE_MM
    apart = gaps[gaps > SAME_PLACE_MM]
    if len(apart) >= 4:
        crowded = _CROWDED * float(np.quantile(apart, 0.75))
        if (apart < crowded).mean() >= _CROWDED_SHARE:
            near = crowded
    numbers = np.zeros(len(heights_mm), dtype=np.intp)
    numbers[order[1:]] = np.cumsum(gaps > near)
    return numbers


def is_single(heights_mm: NDArray[np.float64]) -> bool:
    """Whether no two slices lie at one position."""
    return len(np.unique(places(heights_mm))) == len(heights_mm)


def split_by_keys(
    heights_mm: NDArray[np.float64],
    hard: Mapping[str, Sequence[Value]],
    soft: Mapping[str, Sequence[Value]],
    thickness_mm: float | None,
) -> KeySplit | None:
    """Find the header value that tells the volumes in a set of slices apart.

    Args:
        heights_mm: shape (n,), position of each slice along the normal.
        hard: values that differ only between contrasts or reconstructions, by keyword.
        soft: values that also differ inside a volume, by keyword, most telling first.
        thickness_mm: SliceThickness where stated.

    Returns:
        the split, or None when the slices are one volume or nothing tells them apart.
    """
    number = places(heights_mm)
    copies = int(np.bincount(number).max())
    for keys, is_hard in ((hard, True), (soft, False)):
        for key, values in keys.items():
            groups = _group(values)
            if len(groups) < 2 or _in_blocks(heights_mm, groups):
                continue
            if copies > 1:
                accept = len(groups) <= 2 * copies and _thins_out(number, groups)
            else:
                complete = all(
                    is_complete(heights_mm[list(members)], thickness_mm)
                    for members in groups.values()
                )
                accept = (is_hard and len(groups) <= 8) or complete
                accept = accept and all(len(members) >= 2 for members in groups.values())
            if accept:
                labels = tuple(f"{key} {_show(value)}" for value in groups)
                return KeySplit(key, labels, tuple(tuple(m) for m in groups.values()))
    if copies < 2:
        return None
    for key, values in soft.items():
        ranked = _rank(number, copies, values)
        if ranked is not None:
            labels = tuple(f"pass {n} by {key}" for n in range(1, copies + 1))
            return KeySplit(key, labels, ranked)
    return None


def split_by_folder(heights_mm: NDArray[np.float64], folders: Sequence[str]) -> KeySplit | None:
    """Tell two exports of one series apart by the folders that they lie in.

    Args:
        heights_mm: shape (n,), position of each slice along the normal.
        folders: of each slice's file.

    Returns:
        the split, or None unless every folder contains one slice at each position.
    """
    number = places(heights_mm)
    groups = _group(folders)
    n_places = int(number.max()) + 1
    whole = all(
        len(members) == n_places == len(np.unique(number[list(members)]))
        for members in groups.values()
    )
    if len(groups) < 2 or not whole:
        return None
    labels = tuple(f"folder {n} of {len(groups)}" for n in range(1, len(groups) + 1))
    return KeySplit("folder", labels, tuple(tuple(members) for members in groups.values()))


def _show(value: Value) -> str:
    if value is None:
        return "not stated"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _group(values: Sequence[Value]) -> dict[Value, list[int]]:
    groups: dict[Value, list[int]] = {}
    for index, value in enumerate(values):
        groups.setdefault(value, []).append(index)
    return dict(sorted(groups.items(), key=lambda item: _sort_key(item[0])))


def _sort_key(value: Value) -> tuple[int, float, str]:
    if value is None:
        return (2, 0.0, "")
    if isinstance(value, str):
        return (1, 0.0, value)
    return (0, value, "")


def _in_blocks(heights_mm: NDArray[np.float64], groups: Mapping[Value, Sequence[int]]) -> bool:
    """Whether the groups follow each other along the normal without overlapping."""
    spans = sorted((heights_mm[list(m)].min(), heights_mm[list(m)].max()) for m in groups.values())
    return all(
        spans[n][1] < spans[n + 1][0] + SAME_PLACE_MM and spans[n][1] < spans[n + 1][1]
        for n in range(len(spans) - 1)
    ) and not any(
        abs(spans[n][1] - spans[n + 1][0]) <= SAME_PLACE_MM for n in range(len(spans) - 1)
    )


def _thins_out(number: NDArray[np.intp], groups: Mapping[Value, Sequence[int]]) -> bool:
    """Whether fewer slices share a position inside the groups than in the whole."""
    before = len(number) - len(np.unique(number))
    after = sum(len(m) - len(np.unique(number[list(m)])) for m in groups.values())
    covered = max(len(np.unique(number[list(m)])) for m in groups.values())
    return after < before and covered > 1


def is_complete(heights_mm: NDArray[np.float64], thickness_mm: float | None) -> bool:
    """Whether slices cover their range without holes, judged by their thickness."""
    if len(heights_mm) < 4 or thickness_mm is None:
        return False
    gaps = np.diff(np.sort(heights_mm))
    return bool(gaps.max() <= _COMPLETE * thickness_mm)


def _number(value: Value) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _rank(
    number: NDArray[np.intp], copies: int, values: Sequence[Value]
) -> tuple[tuple[int, ...], ...] | None:
    """Split into passes by a value that grows: each pass ends before the next one starts."""
    numbers = [_number(value) for value in values]
    if any(value is None for value in numbers):
        return None
    key = np.array([value for value in numbers if value is not None])
    full = [np.flatnonzero(number == place) for place in range(int(number.max()) + 1)]
    full = [members for members in full if len(members) == copies]
    ranked = np.array([members[np.argsort(key[members], kind="stable")] for members in full])
    low, high = key[ranked].min(axis=0), key[ranked].max(axis=0)
    if (high[:-1] >= low[1:]).any():
        return None
    # a slice that has no counterpart goes to the pass in whose span, or nearest to which, it lies
    middle = (high[:-1] + low[1:]) / 2
    owner = np.searchsorted(middle, key)
    groups = tuple(tuple(int(n) for n in np.flatnonzero(owner == rank)) for rank in range(copies))
    for members in groups:
        if len(np.unique(number[list(members)])) != len(members):
            return None
    return groups
