"""The only place that opens DICOM files with pydicom, bounded whatever a header claims."""

from __future__ import annotations

import io
import stat
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

from ...errors import ScanError
from .dicom_keywords import READ_KEYWORDS
from .dicom_values import damage_is_refused, tag_of

MAX_DATASET_BYTES = 1 << 30
"""Largest inflated size of a deflated file; beyond it the file is a decompression bomb."""
_SMALL_BYTES = 64 << 20
_MAX_RATIO = 100
"""Images deflate to a half or a tenth; a larger file that claims a hundredth is a bomb."""
_PREAMBLE_BYTES = 132
_LARGE_READ = 1 << 16
_HASHED_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
_DEFLATED = b"1.2.840.10008.1.2.1.99"


def open_dataset(
    path: Path, *, pixels: bool, everything: bool = False, digest: Any | None = None
) -> Any | None:
    """Open a DICOM file with pydicom; None when the file is not DICOM.

    Without ``pixels``, only the elements that reading needs are parsed, or ``everything`` before
    the pixel data. A ``digest`` of hashlib is fed with the whole file, so that it is opened once.

    Files without the 128-byte preamble are accepted when they parse into an image header.

    Raises:
        ScanError: ``unreadable_file``: missing, no permission, damaged, or a deflated file that
            inflates beyond :data:`MAX_DATASET_BYTES`.
    """
    import pydicom  # noqa: PLC0415 - start-up time
    from pydicom.config import disable_value_validation  # noqa: PLC0415
    from pydicom.errors import InvalidDicomError  # noqa: PLC0415

    stream: Any
    try:
        stream = _Bounded(path)
    except _NotAFileError:
        return None
    except OSError as error:
        raise ScanError(
            "unreadable_file",
            f"{path.name} cannot be opened",
            found=f"{type(error).__name__}: {error.strerror or error}",
            do="check that the file exists and that you may read it",
        ) from error
    with stream, damage_is_refused(path), disable_value_validation():
        while digest is not None and (chunk := stream.read(_HASHED_BYTES)):
            digest.update(chunk)
        stream.seek(0)
        if stream.read(2) == _GZIP:
            stream.seek(0)
            stream = _inflated(stream.read(), path)
        stream.seek(0)
        start = stream.read(_PREAMBLE_BYTES + 512)
        has_preamble = start[128:132] == b"DICM"
        if not has_preamble and not _looks_like_dataset(start):
            return None
        stream.seek(0)
        if has_preamble and _DEFLATED in start[_PREAMBLE_BYTES:]:
            return _open_deflated(stream, path)
        try:
            dataset = pydicom.dcmread(
                stream,
                force=not has_preamble,
                stop_before_pixels=not pixels,
                specific_tags=None
                if pixels or everything
                else [tag_of(word) for word in READ_KEYWORDS],
            )
        except InvalidDicomError:
            return None
        if not pixels:
            _note_rest(dataset, stream)
    return dataset


class _NotAFileError(OSError):
    """A pipe or device."""


class _Bounded(io.BufferedReader):
    """A file that never sets memory aside for more bytes than it contains.

    A damaged length of 4 GiB would otherwise be asked of the system before the end is noticed.
    """

    def __init__(self, path: Path) -> None:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _NotAFileError  # opening a pipe waits for a writer, and /dev/zero never ends
        super().__init__(path.open("rb", buffering=0))
        self._size = status.st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as usual; large requests are cut at the end of the file."""
        if size is not None and size > _LARGE_READ:
            size = max(0, min(size, self._size - self.tell()))
        return super().read(size)


def _note_rest(dataset: Any, stream: Any) -> None:
    """Remember how many bytes follow the header: pydicom stops before the pixel data."""
    here = stream.tell()
    dataset.fibrovol_rest_bytes = stream.seek(0, 2) - here


def _looks_like_dataset(start: bytes) -> bool:
    """Whether bytes without a preamble begin with a DICOM element of group 0002 or 0008."""
    return len(start) > 8 and start[:2] in {b"\x02\x00", b"\x08\x00", b"\x00\x08"} and start[3] == 0


def _open_deflated(stream: Any, path: Path) -> Any:
    """Inflate within bounds, then parse: pydicom itself would inflate without a limit."""
    import pydicom  # noqa: PLC0415
    from pydicom.dataset import FileMetaDataset  # noqa: PLC0415
    from pydicom.filereader import read_dataset  # noqa: PLC0415

    content = stream.read()
    first = read_dataset(
        BytesIO(content[_PREAMBLE_BYTES:]),
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=lambda tag, _vr, _length: tag.group > 2,
    )
    meta = FileMetaDataset(first)
    offset = _PREAMBLE_BYTES + 12 + int(meta.FileMetaInformationGroupLength)
    buffer = BytesIO(_inflate(content[offset:], -zlib.MAX_WBITS, path))
    dataset = read_dataset(buffer, is_implicit_VR=False, is_little_endian=True)
    return pydicom.FileDataset(
        str(path), dataset, file_meta=meta, is_implicit_VR=False, is_little_endian=True
    )


def _inflated(content: bytes, path: Path) -> BytesIO:
    """What a file contains that was packed with gzip as a whole, as research archives do."""
    return BytesIO(_inflate(content, zlib.MAX_WBITS | 16, path))


def _inflate(content: bytes, window: int, path: Path) -> bytes:
    """Inflate within bounds.

    Raises:
        ScanError: ``unreadable_file``: it inflates beyond them, or ends before its end.
    """
    inflater = zlib.decompressobj(window)
    limit = min(MAX_DATASET_BYTES, max(_SMALL_BYTES, _MAX_RATIO * len(content)))
    data = inflater.decompress(content, limit)
    if inflater.unconsumed_tail:
        raise ScanError(
            "unreadable_file",
            f"{path.name} inflates to more than {limit >> 20} MiB",
            found="compressed data with an absurd ratio",
            do="export the series again without compression",
        )
    if window > zlib.MAX_WBITS and not inflater.eof:
        raise EOFError("the compressed data are cut short")
    return data
