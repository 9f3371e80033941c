"""Keeping the patient's identity out of logs, error sentences and tables."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from pathlib import Path

from ..intake.remote import Url

# What names a person in a DICOM header (PS3.15 Annex E, the part a message could quote).
IDENTIFYING_KEYWORDS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "AccessionNumber",
    "StudyID",
    "InstitutionName",
    "InstitutionAddress",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
)
REMOVED = "[removed]"
INPUT = "[input]"
_SHORTEST = 3  # shorter values would blank out half of a sentence


def identifiers(path: Path) -> tuple[str, ...]:
    """The texts that identify the patient in the first DICOM file at a path.

    Args:
        path: a file or folder; of another format it has none.

    Returns:
        The values and, of names, their parts; longest first.
    """
    import pydicom  # noqa: PLC0415  # keeps the start of the program quick
    from pydicom.errors import InvalidDicomError  # noqa: PLC0415

    path = Path(path)
    try:
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    except OSError:
        return ()
    for file in files[:20]:  # the first may be a DICOMDIR, a text or a picture
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the reader says what is wrong with the file
                header = pydicom.dcmread(
                    file, stop_before_pixels=True, specific_tags=list(IDENTIFYING_KEYWORDS)
                )
            values = {str(header.get(keyword, "") or "") for keyword in IDENTIFYING_KEYWORDS}
        except (OSError, InvalidDicomError, ValueError, KeyError, AttributeError, TypeError):
            continue  # not DICOM, or damaged: the reader says so, there is nothing to remove
        parts = {part for value in values for part in re.split(r"[\^=,\\\s]+", value)}
        found = {text.strip() for text in values | parts}
        return tuple(sorted((t for t in found if len(t) >= _SHORTEST), key=lambda t: (-len(t), t)))
    return ()


class Scrubber:
    """Takes identifying texts and the input's place out of sentences.

    Folders are often named after the patient, so the path goes too: the table's row says which
    case it is, and the user's study.csv where that lies.

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
