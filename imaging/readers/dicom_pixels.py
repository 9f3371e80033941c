"""Decoded pixel values of DICOM images: Hounsfield units for CT, signal for MR.

MONOCHROME1 only reverses the display: a CT's stored values still become HU by the rescale
(PS3.3 C.11.1), so they are used as they stand. An MR whose grey scale is stored reversed is turned
over, because its values have no unit that would say so.
"""

from __future__ import annotations

import hashlib
import re
import struct
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ScanError
from ..grid_limits import MAX_EDGE, MAX_VOXELS
from .dicom_headers import SliceHeader
from .dicom_open import open_dataset
from .dicom_values import damage_is_refused

AIR_HU = -1024.0
_JPEG_FAMILY_END = b"\xff\xd9"
_PIXEL_DATA_TAGS = re.compile(rb"\xe0\x7f\x10\x00|\x7f\xe0\x00\x10")
_JPEG_SIZE_MARKERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
"""Start of frame of JPEG, and of JPEG-LS."""
_JPEG_FAMILY = "1.2.840.10008.1.2.4."


class PixelReader:
    """Gives the values of records; keeps the last multi-frame file open.

    Attributes:
        sha256: of each file that was read, taken while it was read.
    """

    def __init__(self) -> None:
        self.sha256: dict[Path, str] = {}
        self._path: Path | None = None
        self._dataset: Any = None
        self._frames: NDArray[Any] | None = None

    def values(self, header: SliceHeader) -> NDArray[np.float32]:
        """Rescaled values of one image, shape (rows, columns).

        Raises:
            ScanError: ``truncated_pixel_data``, ``unsupported_pixel_data``, ``unreadable_file``,
                ``implausible_geometry``.
        """
        if self._path != header.path:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # as for headers
                digest = hashlib.sha256()
                self._dataset = open_dataset(header.path, pixels=True, digest=digest)
            self._path, self._frames = header.path, None
            self.sha256[header.path] = digest.hexdigest()
            if self._dataset is None:
                raise ScanError("unreadable_file", f"{header.path.name} is no longer DICOM")
            with damage_is_refused(header.path):
                self._frames = decode(self._dataset, header)
        assert self._frames is not None
        index = header.frame or 0
        if index >= len(self._frames):
            raise _truncated(header, f"{len(self._frames)} frames, frame {index + 1} is missing")
        stored = _image_bits(self._frames[index], header)
        padded = _is_padding(stored, header)
        if header.photometric == "MONOCHROME1" and header.modality != "CT":
            bits = header.bits_stored or 16
            stored = (1 << bits) - 1 - stored.astype(np.int64) if not header.signed else -1 - stored
        values = stored.astype(np.float32)
        slope, intercept = header.rescale_slope, header.rescale_intercept
        if slope is not None and slope != 1:
            values *= np.float32(slope)
        if intercept:
            values += np.float32(intercept)
        if padded is not None:
            # no image there: what is written in its place may be far above every tissue
            values[padded] = AIR_HU if header.modality == "CT" else 0.0
        return values

    def fingerprint(self, header: SliceHeader) -> bytes:
        """A hash of an image's values: equal for copies, whatever their compression."""
        return hashlib.sha256(np.ascontiguousarray(self.values(header)).tobytes()).digest()


def _image_bits(stored: NDArray[Any], header: SliceHeader) -> NDArray[Any]:
    """The image alone: bits above BitsStored may hold an overlay, and compression keeps them.

    PS3.5 8.1.1: what lies above the high bit is not part of the pixel.
    """
    bits = header.bits_stored
    if bits is None or bits >= 8 * stored.dtype.itemsize or header.sop_class_uid == "":
        return stored
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if header.signed else (0, 1 << bits)
    if int(stored.min()) >= low and int(stored.max()) < high:
        return stored
    kept = stored.astype(np.int64) & ((1 << bits) - 1)
    return np.where(kept >= high, kept - (1 << bits), kept) if header.signed else kept


def _is_padding(stored: NDArray[Any], header: SliceHeader) -> NDArray[np.bool_] | None:
    """Where a slice states that it contains no image; None if it states nothing.

    In a CT, padding that is as dark as air or darker may stay as it is.
    """
    if header.padding is None:
        return None
    low, high = header.padding
    if header.modality == "CT":
        slope = 1.0 if header.rescale_slope is None else header.rescale_slope
        hu = high * slope + (header.rescale_intercept or 0.0)
        if -2100.0 <= hu <= AIR_HU + 125:
            return None
    found = (stored >= low) & (stored <= high)
    if not found.any() and (low < 0) != header.signed:  # written as the other type
        span = 1 << 16
        low, high = (low + span, high + span) if low < 0 else (low - span, high - span)
        found = (stored >= low) & (stored <= high)
    return found if found.any() else None


def value_type(headers: Sequence[SliceHeader]) -> np.dtype[Any]:
    """int16 where the rescaling keeps whole numbers whole, else float32."""
    whole = all(
        (header.rescale_slope is None or header.rescale_slope == 1)
        and float(header.rescale_intercept or 0).is_integer()
        for header in headers
    )
    return np.dtype(np.int16) if whole else np.dtype(np.float32)


def _truncated(header: SliceHeader, found: str) -> ScanError:
    return ScanError(
        "truncated_pixel_data",
        f"The pixel data of {header.path.name} are incomplete",
        found=found,
        do="copy or export the file again",
    )


def decode(dataset: Any, header: SliceHeader) -> NDArray[Any]:
    """All frames of a dataset as stored, shape (frames, rows, columns).

    Raises:
        ScanError: ``truncated_pixel_data``, ``unsupported_pixel_data``, ``implausible_geometry``.
    """
    from pydicom.pixels import pixel_array  # noqa: PLC0415 - start-up time

    rows, columns = header.rows or 0, header.columns or 0
    frames = int(dataset.get("NumberOfFrames") or 1)
    if (
        not (0 < rows <= MAX_EDGE and 0 < columns <= MAX_EDGE)
        or rows * columns * frames > MAX_VOXELS
    ):
        raise ScanError(
            "implausible_geometry",
            f"{header.path.name} is larger than any scanner produces",
            found=f"{frames} frames of {rows} x {columns}",
            do="export the series again",
        )
    data = dataset.get("PixelData")
    if data is None and _PIXEL_DATA_TAGS.search(header.path.read_bytes()):
        raise _truncated(header, "the file ends inside its pixel data")
    if data is None:
        raise ScanError(
            "unsupported_pixel_data",
            f"{header.path.name} contains no grey-scale pixel data",
            found="no PixelData element",
            do="export the original images",
        )
    syntax = dataset.file_meta.get("TransferSyntaxUID", "") if hasattr(dataset, "file_meta") else ""
    if not syntax:
        dataset.file_meta.TransferSyntaxUID = _guess_syntax(dataset)
        syntax = dataset.file_meta.TransferSyntaxUID
    _check_complete(dataset, header, str(syntax), rows * columns * frames, data)
    try:
        stored = np.asarray(pixel_array(dataset, decoding_plugin=_plugin(str(syntax))))
    except MemoryError:
        raise
    except Exception as error:  # each decoder raises its own kinds; all mean: not decodable
        text = f"{type(error).__name__}: {str(error)[:300]}"
        short = "expected" in text and ("length" in text or "bytes" in text)
        if short:
            raise _truncated(header, text) from error
        raise ScanError(
            "unsupported_pixel_data",
            f"The pixel data of {header.path.name} cannot be decoded",
            found=text,
            do="export the series again, uncompressed if the PACS offers it",
        ) from error
    stored = stored.reshape(-1, *stored.shape[-2:])
    if stored.shape[1:] != (rows, columns):
        raise ScanError(
            "unsupported_pixel_data",
            f"The pixel data of {header.path.name} are not of the stated size",
            found=f"{stored.shape[1]} x {stored.shape[2]}, the header states {rows} x {columns}",
            do="export the series again",
        )
    return stored


def _plugin(syntax: str) -> str:
    """The decoder for a transfer syntax; "" lets pydicom take any that is installed.

    OpenJPEG and CharLS themselves return an error on damaged streams where others end the process.
    """
    from pydicom.pixels import get_decoder  # noqa: PLC0415 - start-up time

    try:
        installed = get_decoder(syntax).available_plugins
    except NotImplementedError:
        return ""
    return next((name for name in ("pylibjpeg", "pyjpegls") if name in installed), "")


def _guess_syntax(dataset: Any) -> str:
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian  # noqa: PLC0415

    implicit = dataset.is_implicit_VR if hasattr(dataset, "is_implicit_VR") else True
    return str(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)


def _check_complete(
    dataset: Any, header: SliceHeader, syntax: str, pixels: int, data: bytes
) -> None:
    """Find truncated data that decoders would fill up silently."""
    from pydicom.encaps import generate_frames  # noqa: PLC0415
    from pydicom.uid import UID  # noqa: PLC0415

    if not UID(syntax).is_compressed or UID(syntax).is_deflated:
        expected = pixels * int(dataset.get("BitsAllocated") or 16) // 8
        if len(data) < expected:
            raise _truncated(header, f"{len(data)} bytes, {expected} are needed")
        return
    if not syntax.startswith(_JPEG_FAMILY):
        return
    frames = int(dataset.get("NumberOfFrames") or 1)
    try:
        for number, frame in enumerate(generate_frames(data, number_of_frames=frames), start=1):
            size = codestream_size(frame)
            if size is not None and size != (header.rows, header.columns):
                raise ScanError(
                    "unsupported_pixel_data",
                    f"The compressed image in {header.path.name} is not of the stated size",
                    found=f"{size[0]} x {size[1]}, the header states {header.rows} x "
                    f"{header.columns}",
                    do="export the series again",
                )
            if _JPEG_FAMILY_END not in frame[-16:]:
                raise _truncated(header, f"compressed frame {number} has no end marker")
    except (ValueError, StopIteration, RuntimeError, EOFError) as error:
        raise _truncated(header, f"{type(error).__name__}: {str(error)[:200]}") from error


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 stream states itself, before decoding.

    A decoder sets memory aside by these, not by the DICOM header. None if they are not found.
    """
    if frame[:4] == b"\xff\x4f\xff\x51" and len(frame) >= 24:  # JPEG 2000: SOC, SIZ
        right, bottom, left, top = struct.unpack(">4I", frame[8:24])
        return bottom - top, right - left
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker in _JPEG_SIZE_MARKERS:
            rows, columns = struct.unpack(">2H", frame[at + 5 : at + 9])
            return (rows, columns) if rows else None  # 0 rows: stated after the first scan
        at += 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None
