"""Whether the name of an input names the patient: results of single scans are called after it."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from ..errors import ScanError
from ..imaging.readers.dicom_headers import open_dataset

_WHO = (
    "PatientName",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientBirthDate",
    "AccessionNumber",
)
_LOOKED_AT = 20  # files: the first may be a DICOMDIR, a text or a picture
_SHORTEST = 3  # two letters stand in half of all words


def names_patient(path: Path) -> bool:
    """Whether a file or folder is called after the patient whom its first DICOM file shows.

    Looks for parts of the name, the birth date and the accession number. The PatientID does not
    count, nor what of the name stands in it: in research data it is the code.

    Args:
        path: a file or folder; of another format it names nobody.
    """
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    for file in islice((file for file in files if file.is_file()), _LOOKED_AT):
        try:
            header = open_dataset(file, pixels=False, everything=True)
        except ScanError:
            continue
        if header is not None:
            break
    else:
        return False
    code = _letters(str(header.get("PatientID", "") or ""))
    texts = [str(header.get(keyword, "") or "") for keyword in _WHO]
    parts = {_letters(part) for text in texts for part in re.split(r"[\^=,\\\s]+", text)}
    name = _letters(path.name)
    return any(len(part) >= _SHORTEST and part not in code and part in name for part in parts)


def _letters(text: str) -> str:
    """Letters and digits without case: HONG_Gildong is Hong^Gildong."""
    return re.sub(r"[\W_]+", "", text).casefold()
