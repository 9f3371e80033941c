"""A slide: a pyramid of RGB levels with one pixel size, read region by region."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import SlideError
from ..files import Closing

#: Pixel sizes outside this range, in um, come from a wrong tag (72 dpi reads as 352.8 um) or from a
#: label or macro picture. Slide scanners write 0.11 (60x) to 4 um (low-resolution overviews).
PLAUSIBLE_MPP_UM = (0.1, 5.0)

RgbImage = NDArray[np.uint8]


class LevelReader(Protocol):
    """What a reader must offer: regions of a level inside its bounds, and closing."""

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RgbImage:
        """RGB pixels (height, width, 3) of a region that lies inside the level."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


@dataclass(frozen=True)
class SlideLevel:
    """One level of the pyramid."""

    width_px: int
    """Pixels along x."""
    height_px: int
    """Pixels along y."""
    downsample: float
    """Pixels of level 0 along one pixel of this level."""
    reduction: int = 1
    """2, 4 or 8 where it is a finer level of the file decoded at a half, a quarter or an eighth of
    its size; 1 where it is in the file.
    """


@dataclass(frozen=True)
class SlideContent:
    """What a reader found in a file, before the pixel size is settled."""

    reader: LevelReader
    """Reads regions of the levels."""
    levels: tuple[SlideLevel, ...]
    """The pyramid, finest first."""
    mpp_um: tuple[float, float] | None
    """Pixel size of level 0 along x and y as the file states it, None if it does not."""
    format_name: str
    """The format in words ("SVS", "tiled TIFF", "PNG", …)."""
    has_icc: bool = False
    """Whether the file carries an ICC profile (noted, not applied)."""
    mpp_found: str = "no pixel size in the file"
    """What was found where ``mpp_um`` is None, for the message."""
    mpp_conflict: str = ""
    """Statements of the file about its pixel size that contradict each other, "" if none do."""
    image: int = 1
    """Number of the picture in the file."""
    images: tuple[str, ...] = ()
    """All pictures of a file that contains several, in words."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """What the vendor's header says about the scan's place on the glass."""
    scanner: Mapping[str, str] = field(default_factory=dict)
    """``manufacturer``, ``model`` and ``objective_power`` as far as the file states them."""


@dataclass(frozen=True)
class Slide(Closing):
    """An open slide. Use it in a ``with`` statement."""

    path: Path
    """The file."""
    levels: tuple[SlideLevel, ...]
    """The pyramid, finest first."""
    mpp_um: float
    """Micrometres along one pixel of level 0."""
    mpp_source: str
    """Where it is from: "file", or "given" where the user stated it."""
    mpp_stated_um: float | None
    """What the file itself stated, None if it did not."""
    format_name: str
    """The format in words."""
    has_icc: bool
    """Whether the file carries an ICC profile (noted, not applied)."""
    reader: LevelReader = field(repr=False)
    image: int = 1
    """Number of the picture in the file."""
    images: tuple[str, ...] = ()
    """All pictures of a file that contains several, in words."""
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What the vendor's header says about the scan's place on the glass."""
    scanner: Mapping[str, str] = field(default_factory=dict)
    """``manufacturer``, ``model`` and ``objective_power`` as far as the file states them."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of level 0."""
        return self.levels[0].width_px, self.levels[0].height_px

    @property
    def origin_px(self) -> tuple[int, int]:
        """Where the slide's corner is on the whole glass, in pixels of level 0.

        Other than (0, 0) if only a part was scanned: pixels count from that part's corner here.
        """
        x, y = (int(self.properties.get(f"openslide.bounds-{axis}", 0)) for axis in "xy")
        return x, y

    def level_mpp_um(self, level: int) -> float:
        """Pixel size of a level, um."""
        return self.mpp_um * self.levels[level].downsample

    def read_region(self, level: int, x: int, y: int, width: int, height: int) -> RgbImage:
        """RGB pixels of a region of ``level``, in that level's own pixel coordinates.

        Returns:
            Shape (height, width, 3), uint8.

        Raises:
            ValueError: the region leaves the level (a programming error).
            SlideError: ``unreadable_slide``, the pixels cannot be decoded.
        """
        bounds = self.levels[level]
        if x < 0 or y < 0 or x + width > bounds.width_px or y + height > bounds.height_px:
            raise ValueError(f"region {x, y, width, height} leaves level {level} of {self.path}")
        return self.reader.read(level, x, y, width, height)

    def close(self) -> None:
        """Close the file."""
        self.reader.close()


#: Opens a file, or one picture of it by its number; None is the slide among them.
Opener = Callable[[Path, int | None], SlideContent]


def refuse_other_images(path: Path, image: int | None) -> None:
    """For formats of one picture.

    Raises:
        SlideError: ``several_images``: another picture than the first was asked for.
    """
    if image not in (None, 1):
        raise SlideError(
            "several_images",
            f"{path.name} contains only one picture",
            found=f"number {image} was asked for",
            do="leave --image (image in study.csv) out",
        )


def settle_pixel_size(
    path: Path, content: SlideContent, mpp_um: float | None
) -> tuple[float, str, float | None]:
    """The pixel size of level 0: the user's where given, else the file's; never a guess.

    Returns:
        The pixel size in um, "given" or "file", and what the file stated (None if nothing).

    Raises:
        SlideError: ``no_pixel_size`` or ``implausible_pixel_size``.
    """
    stated: float | None = None
    if content.mpp_um is not None and all(math.isfinite(v) and v > 0 for v in content.mpp_um):
        x, y = content.mpp_um
        stated = math.sqrt(x * y)
        if abs(x - y) / stated > 0.02 and mpp_um is None:
            raise SlideError(
                "implausible_pixel_size",
                f"The pixels of {path.name} are not square",
                found=f"{x:.4f} x {y:.4f} um per pixel",
                do="export the slide with square pixels, or give the pixel size with --mpp",
            )
    if content.mpp_conflict and mpp_um is None:
        raise SlideError(
            "implausible_pixel_size",
            f"{path.name} states two pixel sizes that contradict each other",
            found=content.mpp_conflict,
            do="find out which is right (the scanner's log or a scale bar tells) and give it with "
            "--mpp (mpp_um in study.csv)",
        )
    if mpp_um is not None:
        if not (math.isfinite(mpp_um) and PLAUSIBLE_MPP_UM[0] <= mpp_um <= PLAUSIBLE_MPP_UM[1]):
            raise _implausible(path, f"{mpp_um:g} um per pixel was given", given=True)
        return float(mpp_um), "given", stated
    if stated is None:
        raise SlideError(
            "no_pixel_size",
            f"The pixel size of {path.name} is not known, so no area can be measured",
            found=content.mpp_found,
            do="give it in micrometres per pixel with --mpp (mpp_um in study.csv): "
            "about 0.5 for a 20x and 0.25 for a 40x scan; the scanner's log or a scale bar tells",
        )
    if not PLAUSIBLE_MPP_UM[0] <= stated <= PLAUSIBLE_MPP_UM[1]:
        raise _implausible(path, f"{stated:.4g} um per pixel in the file", given=False)
    return stated, "file", stated


def _implausible(path: Path, found: str, *, given: bool) -> SlideError:
    low, high = PLAUSIBLE_MPP_UM
    hint = "; 352.8 um is what a 72-dpi printing tag gives" if not given else ""
    return SlideError(
        "implausible_pixel_size",
        f"The pixel size of {path.name} is outside {low:g} to {high:g} um, which no slide has",
        found=found + hint,
        do="give the scanner's pixel size in micrometres with --mpp (mpp_um in study.csv)",
    )
