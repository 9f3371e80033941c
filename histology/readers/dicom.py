"""DICOM whole-slide images, through wsidicom: a folder of instances, or one of its files."""

from __future__ import annotations

import struct
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import SlideError
from ..slide import RgbImage, SlideContent, SlideLevel, refuse_other_images
from .companions import DICOM_WSI_CLASS, dicom_companions, dicom_series
from .unscanned import glass_colour, level_for_glass

if TYPE_CHECKING:
    import pydicom

SUFFIXES = (".dcm",)

_EPIFLUORESCENCE = "111743"  # DICOM CID 8123
_ALL_IN_ONE = "export the slide again, with all instances of its pyramid in one folder"

Size = tuple[int, int]  # width and height of a level, pixels


@dataclass(frozen=True)
class _Stored:
    """Which tiles of a level there are: TILED_SPARSE leaves out those that were not scanned."""

    tiles: NDArray[np.bool_]
    """Bool, shape (rows, columns) of tiles."""
    width_px: int
    """Of a tile."""
    height_px: int
    """Of a tile."""

    def scanned(self, x: int, y: int, width: int, height: int) -> NDArray[np.bool_]:
        """Which pixels of a region were scanned, shape (height, width)."""
        rows = np.arange(y, y + height) // self.height_px
        columns = np.arange(x, x + width) // self.width_px
        return self.tiles[np.ix_(rows, columns)]


#: What pydicom raises besides its own errors where a file is cut short or damaged.
_CUT_SHORT = (
    *(ValueError, TypeError, LookupError, AttributeError, EOFError, OSError),
    *(NotImplementedError, struct.error),
)


class DicomReader:
    """Regions of a DICOM pyramid."""

    def __init__(
        self, slide: Any, levels: list[Any], path: Path, stored: dict[Size, _Stored]
    ) -> None:
        self._slide, self._levels, self._path = slide, levels, path
        self._sizes = [(level.size.width, level.size.height) for level in levels]
        self._stored = [stored.get(size) for size in self._sizes]
        self._glass: tuple[int, int, int] | None = None
        self._glass_lock = threading.Lock()

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RgbImage:
        """See :class:`fibrovol.histology.slide.LevelReader`; unscanned pixels become glass."""
        region = self._read(level, x, y, width, height)
        stored = self._stored[level]
        if stored is not None:
            missing = ~stored.scanned(x, y, width, height)
            if missing.any():
                region = region.copy()
                region[missing] = self._glass_rgb()
        return region

    def _read(self, level: int, x: int, y: int, width: int, height: int) -> RgbImage:
        try:
            region = self._slide.read_region((x, y), self._levels[level].level, (width, height))
        except _reading_errors() as error:
            raise _damaged(self._path, error) from error
        return np.asarray(region.convert("RGB"))

    def _glass_rgb(self) -> tuple[int, int, int]:
        with self._glass_lock:
            if self._glass is None:
                self._glass = self._find_glass()
            return self._glass

    def _find_glass(self) -> tuple[int, int, int]:
        level, found = level_for_glass(self._sizes), None
        if level is not None:
            place = (0, 0, *self._sizes[level])
            stored = self._stored[level]
            shape = self._sizes[level][::-1]
            scanned = np.ones(shape, bool) if stored is None else stored.scanned(*place)
            found = glass_colour(self._read(level, *place), scanned)
        return found or (255, 255, 255)

    def close(self) -> None:
        """Close the files."""
        self._slide.close()


def accepts(path: Path) -> bool:
    """Whether the path is a DICOM file, or a folder with a whole-slide instance in it."""
    if path.is_dir():
        return any(dicom_series(file) is not None for file in sorted(path.iterdir()))
    return _sop_class(path) is not None


def _scanner(header: pydicom.Dataset) -> dict[str, str]:
    """Maker, model and objective; serial numbers stay in the file."""
    optical = next(iter(header.get("OpticalPathSequence") or []), None)
    found = {
        "manufacturer": header.get("Manufacturer"),
        "model": header.get("ManufacturerModelName"),
        "objective_power": None if optical is None else optical.get("ObjectiveLensPower"),
    }
    return {name: str(value) for name, value in found.items() if value}


def open_content(path: Path, image: int | None = None) -> SlideContent:
    """Open the pyramid that the file belongs to, from the instances in its folder.

    Raises:
        SlideError: ``unreadable_slide``: not a whole-slide image, not brightfield, or damaged.
            ``no_pixel_size``.
    """
    refuse_other_images(path, image)
    if path.is_file() and _sop_class(path) != DICOM_WSI_CLASS:
        raise SlideError(
            "unreadable_slide",
            f"{path.name} is a DICOM object, but not a whole-slide microscopy image",
            found=f"SOP class {_sop_class(path)}",
            do="use `fibrovol volume` for CT or MR, or give the slide's own files",
        )
    import pydicom  # noqa: PLC0415  late, as in companions.py
    import wsidicom  # noqa: PLC0415  late: a second of start-up that other formats need not pay

    files = _pyramid_files(path)
    try:
        with ExitStack() as opened:
            headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
            volumes = [header for header in headers if "VOLUME" in (header.get("ImageType") or [])]
            _refuse_unusable(path, volumes)
            stored = _stored_tiles(path, volumes)
            slide = wsidicom.WsiDicom.open(files)
            opened.callback(slide.close)
            levels = list(slide.pyramid)
            reader = DicomReader(slide, levels, path, stored)
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
                has_icc=_has_icc(headers[0]),
                scanner=_scanner(volumes[0]),
            )
            reader.read(len(levels) - 1, 0, 0, 1, 1)
            opened.pop_all()  # it stays open for its reader
    except wsidicom.errors.WsiDicomNoResolutionError as error:
        raise SlideError(
            "no_pixel_size",
            f"The DICOM slide {path.name} states no pixel size, so no area can be measured",
            found="no PixelSpacing in SharedFunctionalGroupsSequence",
            do="export the slide again from the scanner software, with its pixel spacing",
        ) from error
    except _reading_errors() as error:
        raise _damaged(path, error) from error
    return content


def _refuse_unusable(path: Path, volumes: list[pydicom.Dataset]) -> None:
    """Refuse what wsidicom would open, or would refuse without saying why."""
    if not volumes:
        raise SlideError(
            "unreadable_slide",
            f"No file of the DICOM slide {path.name} says that it is the slide itself, and not its "
            "label or an overview",
            found="no VOLUME in ImageType",
            do="export the slide again from the scanner software",
        )
    for header in volumes:
        kind = f"{header.get('BitsAllocated')} bits, {header.get('PhotometricInterpretation')}"
        lights = [
            str(code.get("CodeValue", ""))
            for optical_path in header.get("OpticalPathSequence") or []
            for code in optical_path.get("IlluminationTypeCodeSequence") or []
        ]
        if _EPIFLUORESCENCE in lights:
            kind = "epifluorescence illumination"
        elif header.get("SamplesPerPixel") == 3 and header.get("BitsAllocated") == 8:
            continue
        raise SlideError(
            "unreadable_slide",
            f"The DICOM slide {path.name} is not an 8-bit colour brightfield scan",
            found=kind,
            do="give the brightfield scan of the stained section",
        )


def _stored_tiles(path: Path, volumes: list[pydicom.Dataset]) -> dict[Size, _Stored]:
    """The tiles that there are, of each level that does not hold all of them.

    Raises:
        SlideError: a part of a level is missing, which would pass for glass, or its tiles lie
            between the places of the grid.
    """
    parts: dict[str, list[pydicom.Dataset]] = {}
    for header in volumes:
        if "ConcatenationUID" in header:
            parts.setdefault(str(header.ConcatenationUID), []).append(header)
    for found in parts.values():
        _refuse_incomplete(path, found)
    stored: dict[Size, _Stored] = {}
    for header in volumes:
        if header.get("DimensionOrganizationType") != "TILED_SPARSE":
            continue
        size = (int(header.TotalPixelMatrixColumns), int(header.TotalPixelMatrixRows))
        width, height = int(header.Columns), int(header.Rows)
        if size not in stored:
            shape = (-(-size[1] // height), -(-size[0] // width))
            stored[size] = _Stored(np.zeros(shape, bool), width, height)
        for frame in header.PerFrameFunctionalGroupsSequence:
            place = frame.PlanePositionSlideSequence[0]
            row, below = divmod(int(place.RowPositionInTotalImagePixelMatrix) - 1, height)
            column, beside = divmod(int(place.ColumnPositionInTotalImagePixelMatrix) - 1, width)
            if below or beside:
                raise SlideError(
                    "unreadable_slide",
                    f"The tiles of the DICOM slide {path.name} do not lie side by side",
                    found=f"a tile {beside} and {below} pixels off its place",
                    do="export the slide again from the scanner software",
                )
            stored[size].tiles[row, column] = True
    return {size: level for size, level in stored.items() if not level.tiles.all()}


def _refuse_incomplete(path: Path, parts: list[pydicom.Dataset]) -> None:
    """Refuse a level in several files (a concatenation) of which one is missing."""
    parts.sort(key=lambda header: int(header.get("ConcatenationFrameOffsetNumber", 0)))
    wanted = int(parts[0].get("InConcatenationTotalNumber") or 0)
    expected = 0
    for header in parts:
        if int(header.get("ConcatenationFrameOffsetNumber", 0)) != expected:
            break
        expected += int(header.NumberOfFrames)
    else:
        if wanted in (0, len(parts)):
            return
    raise SlideError(
        "unreadable_slide",
        f"A level of the DICOM slide {path.name} is spread over several files, and not all are "
        "there",
        found=f"{len(parts)} of {wanted} files" if wanted else f"{len(parts)} files with a gap",
        do=_ALL_IN_ONE,
    )


def _reading_errors() -> tuple[type[Exception], ...]:
    """What wsidicom raises for a file it cannot read; its own errors have no common root."""
    from pydicom.errors import BytesLengthException, InvalidDicomError  # noqa: PLC0415
    from wsidicom import errors  # noqa: PLC0415

    own = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    return (*own, *_CUT_SHORT, RuntimeError, InvalidDicomError, BytesLengthException)


def _pyramid_files(path: Path) -> list[Path]:
    """The instances of one series: for a file those next to it with its SeriesInstanceUID."""
    if path.is_file():
        return sorted([path, *dicom_companions(path)])
    found: dict[str, list[Path]] = {}
    for file in sorted(path.iterdir()):
        series = dicom_series(file)
        if series is not None:
            found.setdefault(series, []).append(file)
    if len(found) != 1:
        raise SlideError(
            "unreadable_slide",
            f"The folder {path.name} contains more than one DICOM slide",
            found=f"{len(found)} series",
            do="give one file of the wanted slide",
        )
    return next(iter(found.values()))


def _has_icc(header: pydicom.Dataset) -> bool:
    paths = header.get("OpticalPathSequence") or []
    return any("ICCProfile" in item for item in paths)


def _sop_class(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        if stream.read(132)[128:] != b"DICM":
            return None
    import pydicom  # noqa: PLC0415  late, as in companions.py
    from pydicom.errors import BytesLengthException, InvalidDicomError  # noqa: PLC0415

    try:
        meta = pydicom.filereader.read_file_meta_info(path)
        return str(meta.get("MediaStorageSOPClassUID", ""))  # converted only now
    except (InvalidDicomError, BytesLengthException, *_CUT_SHORT):
        return None


def _damaged(path: Path, error: Exception) -> SlideError:
    return SlideError(
        "unreadable_slide",
        f"The DICOM slide {path.name} cannot be read",
        found=f"{type(error).__name__}: {error}"[:300],
        do=_ALL_IN_ONE,
    )
