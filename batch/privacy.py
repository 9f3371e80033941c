"""Keep the patient's identity out of logs, error messages and tables."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ..intake.remote import Url

REMOVED = "[removed]"
INPUT = "[input]"


class Scrubber:
    """Takes identifying texts and the input's place out of sentences.

    Folders are often named after the patient, so the path goes too: the table's row says which
    case it is, and the user's study.csv where that is.

    Args:
        path: the input, or its address.
        names: identifying texts, longest first.
    """

    def __init__(self, path: Path | Url, names: Iterable[str] = ()) -> None:
        self._places: list[str] = []
        self.add_place(path)
        self._names = [re.compile(re.escape(name), re.IGNORECASE) for name in names]

    def add_place(self, place: Path | Url) -> None:
        """Take this place out too: where an input was copied to."""
        if isinstance(place, Url):
            address = str(place).partition("://")[2].strip("/")  # as a store's library quotes it
            places = {place.text, str(place), address}
        else:
            real = place.resolve()
            places = {str(place), place.as_posix(), str(real), real.as_posix()}
        known = {p for p in places if len(p) > 1} | {*self._places}
        self._places = sorted(known, key=lambda p: (-len(p), p))

    def add(self, names: Iterable[str]) -> None:
        """Take these texts out too, once they are known."""
        self._names += [re.compile(re.escape(name), re.IGNORECASE) for name in names]

    def __call__(self, text: str) -> str:
        """The text without them."""
        for place in self._places:
            text = text.replace(place, INPUT)
        for name in self._names:
            text = name.sub(REMOVED, text)
        return text
