"""An archive by its address: DICOMweb (http, https) or DIMSE (dimse)."""

from __future__ import annotations

from .dicomweb import DicomWeb
from .dimse import Dimse

Archive = DicomWeb | Dimse
"""Both answer the same questions."""


def open_archive(url: str) -> Archive:
    """The archive at an address.

    Raises:
        ConfigError: no such address, or a library is missing.
    """
    return Dimse(url) if url.lower().startswith("dimse:") else DicomWeb(url)
