"""DICOM whole-slide images, through wsidicom: a folder of instances, or one of its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from ...errors import SlideError
from ..slide import RgbImage, SlideContent, SlideLevel

SUFFIXES = (".dcm",)

_WSI_CLASS = "1.2.840.10008.5.1.4.1.1.77.1.6"


class DicomReader:
    """Regions of a DICOM pyramid."""

    def __init__(self, slide: Any, levels: list[Any], path: Path) -> None:
        self._slide, self._levels, self._path = slide, levels, path

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RgbImage:
        """See :class:`fibrovol.histology.slide.LevelReader`."""
        try:
            region = self._slide.read_region((x, y), self._levels[level].level, (width, height))
        except _reading_errors() as error:
            raise _damaged(self._path, error) from error
        return np.asarray(region.convert("RGB"))

    def close(self) -> None:
        """Close the files."""
        self._slide.close()


def accepts(path: Path) -> bool:
    """Whether the path is a DICOM file, or a folder with a whole-slide instance in it."""
    if path.is_dir():
        return any(_sop_class(file) == _WSI_CLASS for file in sorted(path.iterdir()))
    return _sop_class(path) is not None


def open_content(path: Path) -> SlideContent:
    """Open the pyramid that the file belongs to, from the instances in its folder.

    Raises:
        SlideError: ``unreadable_slide``: not a whole-slide image, or damaged.
    """
    if path.is_file() and _sop_class(path) != _WSI_CLASS:
        raise SlideError(
            "unreadable_slide",
            f"{path.name} is a DICOM object, but not a whole-slide microscopy image",
            found=f"SOP class {_sop_class(path)}",
            do="use `fibrovol volume` for CT or MR, or give the slide's own files",
        )
    import wsidicom  # noqa: PLC0415  late: a second of start-up that other formats need not pay

    files = _pyramid_files(path)
    try:
        slide = wsidicom.WsiDicom.open(files)
        levels = list(slide.pyramid)
        reader = DicomReader(slide, levels, path)
        finest = levels[0]
        spacing = finest.mpp
        content = SlideContent(
            reader=reader,
            levels=tuple(
                SlideLevel(
                    level.size.width, level.size.height, finest.size.width / level.size.width
                )
                for level in levels
            ),
            mpp_um=(float(spacing.width), float(spacing.height)),
            format_name="DICOM WSI",
            has_icc=_has_icc(files),
        )
        reader.read(len(levels) - 1, 0, 0, 1, 1)
    except _reading_errors() as error:
        raise _damaged(path, error) from error
    return content


def _reading_errors() -> tuple[type[Exception], ...]:
    """What wsidicom raises for a file it cannot read; its own errors have no common root."""
    from wsidicom import errors  # noqa: PLC0415

    own = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    return (*own, ValueError, RuntimeError, OSError, KeyError, AttributeError)


def _pyramid_files(path: Path) -> list[Path]:
    """The instances of one series: for a file those beside it with its SeriesInstanceUID."""
    folder = path if path.is_dir() else path.parent
    wanted = None
    if path.is_file():
        wanted = pydicom.dcmread(path, stop_before_pixels=True).get("SeriesInstanceUID")
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        if _sop_class(file) != _WSI_CLASS:
            continue
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
        found.setdefault(str(header.get("SeriesInstanceUID")), []).append(file)
    if wanted is not None:
        return found[str(wanted)]
    if len(found) != 1:
        raise SlideError(
            "unreadable_slide",
            f"The folder {path.name} holds more than one DICOM slide",
            found=f"{len(found)} series",
            do="give one file of the wanted slide",
        )
    return next(iter(found.values()))


def _has_icc(files: list[Path]) -> bool:
    header = pydicom.dcmread(files[0], stop_before_pixels=True)
    paths = header.get("OpticalPathSequence") or []
    return any("ICCProfile" in item for item in paths)


def _sop_class(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        if stream.read(132)[128:] != b"DICM":
            return None
    try:
        meta = pydicom.filereader.read_file_meta_info(path)
    except (InvalidDicomError, OSError, ValueError):
        return None
    return str(meta.get("MediaStorageSOPClassUID", ""))


def _damaged(path: Path, error: Exception) -> SlideError:
    return SlideError(
        "unreadable_slide",
        f"The DICOM slide {path.name} cannot be read",
        found=f"{type(error).__name__}: {error}"[:300],
        do="export the slide again, with all instances of its pyramid in one folder",
    )
