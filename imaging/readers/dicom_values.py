"""Header elements of pydicom datasets as plain values; what cannot be parsed is None or empty."""

from __future__ import annotations

import contextlib
import math
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ...errors import ScanError


@cache
def parse_errors() -> tuple[type[Exception], ...]:
    """What pydicom raises on damaged bytes; it has no common base."""
    from pydicom.errors import BytesLengthException, InvalidDicomError  # noqa: PLC0415

    return (
        ValueError, TypeError, KeyError, AttributeError, IndexError, NotImplementedError, EOFError,
        OverflowError, RecursionError, OSError, struct.error, zlib.error, BytesLengthException,
        InvalidDicomError,
    )  # fmt: skip


@contextlib.contextmanager
def damage_is_refused(path: Path) -> Iterator[None]:
    """Turn what pydicom raises on damaged bytes into a refusal of the file.

    Raises:
        ScanError: ``unreadable_file``.
    """
    try:
        yield
    except parse_errors() as error:
        raise ScanError(
            "unreadable_file",
            f"{path.name} is a damaged DICOM file",
            found=f"{type(error).__name__}: {str(error)[:200]}",
            do="export the series again",
        ) from error


@cache
def tag_of(keyword: str) -> Any:
    """The tag of a keyword, looked up once: doing so for every element took most of the time."""
    from pydicom.tag import Tag  # noqa: PLC0415 - start-up time

    return Tag(keyword)


def raw(places: Iterable[Any], keyword: str) -> Any:
    """The first value that the places state, None if none does."""
    tag = tag_of(keyword)
    for place in places:
        if tag not in place.keys():  # noqa: SIM118 - `in place` would convert the tag again
            continue
        try:
            value = place[tag].value
        except parse_errors():
            continue  # a damaged element counts as absent; what is needed is refused later
        if value is not None and value not in ("", []):
            return value
    return None


def text(dataset: Any, keyword: str) -> str:
    """A value as text, "" if not stated."""
    value = raw([dataset], keyword)
    return "" if value is None else str(value).strip().strip("\0").strip()


def strings(places: Iterable[Any], keyword: str) -> list[str]:
    """The values of a multi-valued code string, in capitals."""
    value = raw(places, keyword)
    if value is None:
        return []
    items = [value] if isinstance(value, str) else list(value)
    return [str(item).strip().upper() for item in items if str(item).strip()]


def to_float(value: Any) -> float | None:
    """A finite number, None for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def number(places: Iterable[Any], keyword: str) -> float | None:
    """A finite number, None if not stated or not one."""
    value = raw(places, keyword)
    return None if value is None else to_float(value)


def positive(value: float | None) -> float | None:
    """A number above 0, else None."""
    return value if value is not None and value > 0 else None


def integer(dataset: Any, keyword: str) -> int | None:
    """A whole number, None if not stated."""
    value = number([dataset], keyword)
    return None if value is None else int(value)


def numbers(places: Iterable[Any], keyword: str, count: int) -> tuple[float, ...] | None:
    """Exactly ``count`` finite numbers, else None."""
    value = raw(places, keyword)
    if value is None or isinstance(value, str | bytes | float | int):
        return None
    try:
        items = [to_float(item) for item in value]
    except TypeError:
        return None
    numbers = tuple(item for item in items if item is not None)
    return numbers if len(numbers) == count == len(items) else None


def numbers_of(dataset: Any, keyword: str) -> list[float] | None:
    """All values of a list of numbers; None if one of them is none."""
    value = raw([dataset], keyword)
    if value is None or isinstance(value, str | bytes):
        return None
    items = [value] if isinstance(value, float | int) else [*value]
    found = [number for item in items if (number := to_float(item)) is not None]
    return found if len(found) == len(items) else None


def values(places: list[Any], keywords: Iterable[str]) -> dict[str, str | float]:
    """All stated values of the keywords."""
    found: dict[str, str | float] = {}
    for keyword in keywords:
        value = raw(places, keyword)
        if value is None:
            continue
        number = None if isinstance(value, str) else to_float(value)
        if number is not None:
            found[keyword] = number
        elif isinstance(value, str):
            found[keyword] = value.strip()
        else:
            try:
                found[keyword] = "\\".join(str(item) for item in value)
            except TypeError:
                found[keyword] = str(value)
    return found


def sequence(dataset: Any, keyword: str) -> Sequence[Any]:
    """The items of a sequence, none where it is absent."""
    value = raw([dataset], keyword)
    return [] if value is None or isinstance(value, str | bytes) else value
