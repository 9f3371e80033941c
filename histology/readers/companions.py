"""The files that belong to a slide besides the one that names it, found by their headers.

They are as much of the input as the named file: who hashes a slide or asks whether it changed must
count them. No reader is imported, so that asking costs nothing where a slide is one file.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from pathlib import Path

DICOM_WSI_CLASS = "1.2.840.10008.5.1.4.1.1.77.1.6"
"""SOP class of VL Whole Slide Microscopy Image Storage."""

KEY_FILES = (".vms", ".vmu")
"""Endings of Hamamatsu's text files that name the files of a slide."""
KEY_FILE_BYTES = 64 << 10
"""OpenSlide reads no larger text file as a Hamamatsu slide."""
_KEYS = ("ImageFile", "MapFile", "OptimisationFile", "MacroImage")

#: Endings of slides that are one file; a DICOM file may have any other, or none.
_ONE_FILE = (
    *(".svs", ".tif", ".tiff", ".ndpi", ".scn", ".bif", ".svslide", ".czi"),
    *(".png", ".jpg", ".jpeg", ".bmp"),
)
_CUT_SHORT = (ValueError, EOFError, NotImplementedError, LookupError, struct.error, zlib.error)
_SERIES_UID = 0x0020000E


def slide_companions(path: Path) -> list[Path]:
    """What is read with a slide besides ``path`` itself, in a stable order.

    Args:
        path: a slide's file or folder; it need not be there.

    Returns:
        The folder of an MRXS file, the files that a VMS or VMU file names, or the other files of a
        DICOM file's series; those that are there.
    """
    suffix = path.suffix.lower()
    if suffix == ".mrxs":
        folder = path.with_suffix("")
        return [folder] if folder.is_dir() else []
    if suffix in KEY_FILES:
        return _key_file_companions(path)
    if suffix in _ONE_FILE or not _is_file(path):
        return []
    return dicom_companions(path)


def key_file_names(text: bytes) -> list[str]:
    """The files that a VMS or VMU file names, relative to its folder, sorted, with ``/``.

    Args:
        text: the first :data:`KEY_FILE_BYTES` of the file.
    """
    names = set()
    # names of another encoding stay the bytes that they are on the disk
    lines = text.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").splitlines()
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip().startswith(_KEYS):
            names.add(value.strip().lstrip("/"))
    return sorted(names - {""})


def _key_file_companions(path: Path) -> list[Path]:
    try:
        with path.open("rb") as stream:
            text = stream.read(KEY_FILE_BYTES)
    except OSError:
        return []
    places = [path.parent / name for name in key_file_names(text)]
    return [place for place in places if _is_file(place)]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # no name that a file can have
        return False


def dicom_companions(path: Path) -> list[Path]:
    """The other whole-slide files of a DICOM file's series in its folder, sorted.

    Args:
        path: a file; there are none unless it is a DICOM whole-slide file.
    """
    series = dicom_series(path)
    if series is None:
        return []
    try:
        neighbours = sorted(file for file in path.parent.iterdir() if file.name != path.name)
    except OSError:  # who measures it says what is wrong
        return []
    return [file for file in neighbours if dicom_series(file) == series]


def dicom_series(path: Path) -> str | None:
    """SeriesInstanceUID of a DICOM whole-slide file; None if it is not one or cannot be read."""
    try:
        status = path.stat()
        return _series(path, status.st_size, status.st_mtime_ns) if path.is_file() else None
    except OSError:
        return None


@lru_cache(maxsize=1 << 17)  # the slides of a study may all lie in one folder
def _series(path: Path, _size_bytes: int, _mtime_ns: int) -> str | None:
    with path.open("rb") as stream:
        if stream.read(132)[128:] != b"DICM":
            return None
        import pydicom  # noqa: PLC0415  late: most slides are not DICOM files

        stream.seek(0)
        try:
            # pixels, and the places of thousands of tiles, come after it
            header = pydicom.filereader.read_partial(
                stream, stop_when=lambda tag, _vr, _length: tag > _SERIES_UID
            )
            # values are converted only now
            sop_class = str(header.file_meta.get("MediaStorageSOPClassUID", ""))
            series = str(header.get("SeriesInstanceUID"))
        except (
            pydicom.errors.InvalidDicomError,
            pydicom.errors.BytesLengthException,
            *_CUT_SHORT,
        ):
            return None
    return series if sop_class == DICOM_WSI_CLASS else None
