"""XML of annotation programs, read without what could fill the memory."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree  # entities are refused below # nosec B405

from .shapes import bad_region


def read_xml(path: Path) -> ElementTree.Element:
    """The root element.

    Raises:
        RegionError: ``bad_region``.
    """
    data = path.read_bytes()
    if b"<!ENTITY" in data or b"<!DOCTYPE" in data:
        raise bad_region(path, "a document type in the XML, which is not read", "export it again")
    try:
        return ElementTree.fromstring(data)  # noqa: S314 # nosec B314
    except ElementTree.ParseError as error:
        raise bad_region(path, f"not XML ({error})", "export it again") from error


def number(path: Path, text: str | None) -> float:
    """A coordinate.

    Raises:
        RegionError: ``bad_region``.
    """
    try:
        return float((text or "").replace(",", "."))
    except ValueError as error:
        raise bad_region(path, f"a coordinate {text!r}", "export it again") from error
