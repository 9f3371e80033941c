"""Words of clinical.csv as grades: ascites, encephalopathy, sex, dialysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_ASCITES = {
    1: ("none", "no", "absent", "0", "false"),
    2: ("mild", "slight", "small", "controlled", "1", "grade 1"),
    3: ("moderate", "severe", "large", "tense", "refractory", "moderate-severe", "2", "3",
        "grade 2", "grade 3"),
}  # fmt: skip
_ENCEPHALOPATHY = {
    1: ("none", "no", "absent", "0", "false"),
    2: ("1", "2", "i", "ii", "1-2", "i-ii", "grade 1", "grade 2", "mild"),
    3: ("3", "4", "iii", "iv", "3-4", "iii-iv", "grade 3", "grade 4", "severe"),
}
_TRUE = ("yes", "y", "true", "1")
_FALSE = ("no", "n", "false", "0", "none")


def ascites_points(text: str) -> int | None:
    """Child-Pugh points of a word for ascites: none 1, mild 2, moderate or worse 3."""
    return _points(text, _ASCITES)


def encephalopathy_points(text: str) -> int | None:
    """Child-Pugh points of a West Haven grade: 0 gives 1, 1 or 2 gives 2, 3 or 4 gives 3."""
    return _points(text.removesuffix(".0"), _ENCEPHALOPATHY)


def _points(text: str, table: Mapping[int, Sequence[str]]) -> int | None:
    word = " ".join(text.strip().lower().replace("_", " ").split())
    for points, words in table.items():
        if word in words:
            return points
    return None


def is_female(text: str) -> bool | None:
    """Sex as given: None where it is neither of both words."""
    word = text.strip().lower()
    if word in ("f", "female", "w", "woman"):
        return True
    return False if word in ("m", "male", "man") else None


def yes_or_no(text: str) -> bool | None:
    """A yes or no as given; None where it is neither or empty."""
    word = text.strip().lower()
    if word in _TRUE:
        return True
    return False if word in _FALSE else None
