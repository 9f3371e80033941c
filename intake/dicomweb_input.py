"""A study or series on a DICOMweb server as the input of a case.

A row's path may be ``dicomweb+https://host/root/studies/STUDY[/series/SERIES]``. The CT and MR
series are copied while the case is measured, whole or not at all, and removed afterwards, as
objects of a store are (:mod:`.remote`).
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..files import combine_sha256, sha256_file
from ..provenance import InputState
from .dicomweb import DicomWeb, is_uid

PROTOCOLS = ("dicomweb+https", "dicomweb+http")
MODALITIES = ("CT", "MR")
_ADDRESS = re.compile(
    r"dicomweb\+(?P<root>https?://.+)/studies/(?P<study>[^/]+)(/series/(?P<series>[^/]+))?/?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Place:
    """Where a case's images are."""

    root: str
    """Of the server's DICOMweb services."""
    study: str
    series: str
    """"" for every series of the study."""


def is_dicomweb(text: str) -> bool:
    """Whether an address is of this kind."""
    return text.lower().startswith(tuple(f"{name}://" for name in PROTOCOLS))


def read_place(text: str) -> Place:
    """Take an address apart.

    Raises:
        ValueError: it has another form.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or not is_uid(match["study"]) or not is_uid(match["series"] or "0"):
        raise ValueError(
            "write dicomweb+https://HOST/ROOT/studies/STUDY_UID or .../studies/STUDY_UID/series/"
            "SERIES_UID"
        )
    return Place(match["root"], match["study"], match["series"] or "")


def dicomweb_state(text: str) -> InputState:
    """Look at what the server lists, without an image.

    Returns:
        The state: a name per series. The server states the number of images, not their sizes or
        versions: images exchanged under the same series are noticed by ``verify`` only.

    Raises:
        InputError: as :class:`DicomWeb`; ``input_missing``.
    """
    place = read_place(text)
    series = _series(DicomWeb(place.root), place)
    digest = hashlib.sha256("".join(f"{uid}\0{count}\n" for uid, count in series).encode())
    root = Path(place.series or place.study)
    return InputState(root, tuple(uid for uid, _ in series), 0, digest.hexdigest())


def fetch_dicomweb(text: str, folder: Path, limit_bytes: int) -> Path:
    """Copy the series, each whole and all of one patient.

    Args:
        text: the address.
        folder: an empty folder.
        limit_bytes: refuse more than this.

    Returns:
        The folder of the study, a folder per series in it.

    Raises:
        InputError: as :meth:`DicomWeb.save_series`; ``input_missing``.
        OutputError: the folder cannot be written.
    """
    place = read_place(text)
    server = DicomWeb(place.root)
    root = folder / place.study
    patients: set[str] = set()
    left = limit_bytes
    for uid, count in _series(server, place):
        saved = server.save_series((place.study, uid), count, root / uid, limit_bytes=left)
        patients.add(saved.patient_id)
        left -= saved.size_bytes
    if len(patients) > 1:
        raise InputError(
            "input_changed",
            "The server has images of another patient in this study",
            found=f"{len(patients)} different PatientIDs",
            do="have the study corrected in the archive",
        )
    return root


def dicomweb_content_sha256(text: str) -> list[str]:
    """SHA-256 of the images on the server now, as that of a folder of them."""
    with tempfile.TemporaryDirectory(prefix="fibrovol-") as temporary:
        root = fetch_dicomweb(text, Path(temporary), limit_bytes=1 << 62)
        files = [path for path in root.rglob("*") if path.is_file()]
        return [combine_sha256(sha256_file(path) for path in files)]


def _series(server: DicomWeb, place: Place) -> list[tuple[str, int]]:
    found = server.series_of(place.study, MODALITIES)
    if place.series:
        found = [one for one in found if one[0] == place.series]
    if not found:
        raise InputError(
            "input_missing",
            "The server has no such scan",
            found=f"no {' or '.join(MODALITIES)} series at this address",
            do="check the UIDs of the address in study.csv",
        )
    return found
