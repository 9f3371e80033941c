"""Who a DICOM file names: the one owner of what identifies a patient, to keep it out of results.

What the headers say reaches this module through the bounded reader of :mod:`.dicom_headers`.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path

from ...errors import ScanError
from ..grid_limits import MIN_SLICES
from .dicom_headers import SliceHeader, who_of
from .dicom_open import open_dataset

_NAMES = (
    "PatientName",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientBirthDate",
    "AccessionNumber",
)
"""What an input may be named after; not the PatientID, in research data it is the code."""
_LOOKED_AT = 20  # files: the first may be a DICOMDIR, a text or a picture
_SHORTEST = 3  # shorter values stand in half of all words


def identifying_texts(people: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """The texts that identify patients, to be taken out of messages.

    Args:
        people: identifying values by DICOM keyword, as ``SliceHeader.who`` has them.

    Returns:
        the values and, of names, their parts; longest first.
    """
    found = set()
    for who in people:
        for value in who.values():
            found |= {value.strip(), *_parts(value)}
    return tuple(sorted((t for t in found if len(t) >= _SHORTEST), key=lambda t: (-len(t), t)))


def identifiers(path: Path) -> tuple[str, ...]:
    """The texts that identify the patient in the first DICOM file at a path.

    Args:
        path: a file or folder; of another format it has none.
    """
    return identifying_texts([_first(path)])


def names_patient(path: Path) -> bool:
    """Whether a file or folder is named after the patient whom its first DICOM file shows.

    Looks for parts of the name, the birth date and the accession number. The PatientID does not
    count, nor what of the name is in it: in research data it is the code.

    Args:
        path: a file or folder; of another format it names nobody.
    """
    who = _first(path)
    code = _letters(who.get("PatientID", ""))
    parts = {_letters(part) for keyword in _NAMES for part in _parts(who.get(keyword, ""))}
    name = _letters(path.name)
    return any(len(part) >= _SHORTEST and part not in code and part in name for part in parts)


def _first(path: Path) -> Mapping[str, str]:
    """What the first DICOM file at a path says of its patient."""
    path = Path(path)
    try:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in islice((file for file in files if file.is_file()), _LOOKED_AT):
            with contextlib.suppress(ScanError), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the reader says what is wrong with the file
                dataset = open_dataset(file, pixels=False)
                if dataset is not None:
                    return who_of(dataset)
    except OSError:
        pass  # the reader says so
    return {}


def _parts(value: str) -> list[str]:
    return [part for part in re.split(r"[\^=,\\\s]+", value) if part]


def _letters(text: str) -> str:
    """Letters and digits without case: HONG_Gildong is Hong^Gildong."""
    return re.sub(r"[\W_]+", "", text).casefold()


def person_marks(who: Mapping[str, str]) -> dict[str, str]:
    """What tells two people apart without saying who they are, for a batch's own comparison.

    A few bits of a hash each: many PatientIDs and birth dates share them, so that none can be found
    again from its mark, and two different ones still differ in 99.6 of 100 cases at least.
    """
    marks = {}
    for keyword, digits in (("PatientID", 4), ("PatientBirthDate", 2), ("PatientSex", 2)):
        if value := who.get(keyword, "").strip().upper():
            marks[keyword] = hashlib.sha256(f"fibrovol {keyword} {value}".encode()).hexdigest()[
                :digits
            ]
    return marks


_WHOSE: tuple[Callable[[SliceHeader], str], ...] = (
    lambda image: image.patient_id,
    lambda image: image.who.get("PatientBirthDate", ""),
    lambda image: image.study_uid,
    lambda image: image.study_date,
)
"""A series is of one patient and one study; anonymisers and archives have mixed several in one."""


def by_person(images: list[SliceHeader]) -> list[list[SliceHeader]]:
    """The images by patient and study, in a fixed order.

    A value that some images do not state, or that nearly every image states anew, is an
    anonymiser's doing and says nothing.
    """
    keys = []
    for value in _WHOSE:
        counts = Counter(value(image) for image in images)
        if "" not in counts and 1 < len(counts) <= len(images) / MIN_SLICES:
            keys.append(value)
    groups: dict[tuple[str, ...], list[SliceHeader]] = defaultdict(list)
    for image in images:
        groups[tuple(value(image) for value in keys)].append(image)
    return [groups[key] for key in sorted(groups)]
