"""A stain that configs/stains.yaml does not have, described by the user in a small file.

    title: Sirius red, our laboratory
    collagen: { od: [0.10, 0.74, 0.67] }      # a stain vector, as ImageJ and QuPath list it
    tissue: { od: [0.11, 0.27, 0.96] }        # the rest of the tissue

or, instead of vectors, regions picked on a slide (or a photographed field):

    slide: reference.svs                      # left out: the slide that is measured
    mpp_um: 0.5                               # of that slide, where it does not state its own
    collagen: { region: collagen.geojson }
    tissue: { rectangle: [1200, 800, 300, 300] }  # x, y, width, height in full-resolution pixels

Each of the two may also be given as ``rgb: [196, 52, 66]`` or ``hue: 352``. Paths are relative to
the file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ..files import sha256_file
from ..settings import read_yaml
from .colour.glass import Glass
from .colour.hue import hue_and_chroma, wrap_deg
from .colour.stains import HueRange, StainDefinition
from .overview.regions import PolygonRegion, Region
from .readers import open_slide
from .regions import read_region
from .slide import Slide
from .tiles.grid import plan_grid, read_block
from .tiles.tiles import smooth

_KEYS = {"title", "family", "slide", "mpp_um", "collagen", "tissue"}
_WAYS = ("od", "rgb", "hue", "region", "rectangle")
_PICK_MPP_UM = 1.0
#: A picked region is looked at in at most so many pixels along a side, around its middle.
_PICK_LIMIT_PX = 4000
#: Colours closer than this on the hue circle cannot be distinguished on every slide.
_LEAST_APART_DEG = 25.0
_LEAST_CHROMA = 8.0
#: Hues further apart mix to grey: the least chroma, as part of collagen's, is lower then.
_OPPOSED_DEG, _OPPOSED_CHROMA_PART = 120.0, 0.3
#: How far a slide's own colours may lie from the given ones, degrees, and as part of the distance.
_TOLERANCE_DEG, _TOLERANCE_PART = 25.0, 0.45


@dataclass(frozen=True)
class ColourSource:
    """How one of the two colours is given."""

    way: str
    """One of "od", "rgb", "hue", "region", "rectangle"."""
    numbers: tuple[float, ...] = ()
    """Of "od", "rgb", "hue" and "rectangle"."""
    path: Path | None = None
    """Of "region"."""


@dataclass(frozen=True)
class CustomStain:
    """A user's stain as its file says."""

    path: Path
    """The file."""
    title: str
    """In words."""
    family: str
    """Stains of one family may be compared."""
    slide: Path | None
    """Where regions were picked; None = on the slide that is measured."""
    mpp_um: float | None
    """Pixel size of that slide where it does not state its own."""
    collagen: ColourSource
    """Collagen's colour."""
    tissue: ColourSource
    """The rest of the tissue's."""


def read_custom_stain(path: str | Path) -> CustomStain:
    """Read the user's description of a stain.

    Raises:
        ConfigError: ``bad_config``, with the key that is wrong.
    """
    path = Path(path)
    data = read_yaml(path)
    for key in data:
        if key not in _KEYS:
            raise _bad(path, f"the key {key!r}", f"use {', '.join(sorted(_KEYS))}")
    slide = data.get("slide")
    mpp_um = data.get("mpp_um")
    if mpp_um is not None and not isinstance(mpp_um, int | float):
        raise _bad(path, f"mpp_um {mpp_um!r}", "give the pixel size in micrometres")
    return CustomStain(
        path=path,
        title=str(data.get("title", path.stem)),
        # without a family of its own a stain is compared only with itself, as its file describes it
        family=str(data.get("family") or f"custom {sha256_file(path)[:8]}"),
        slide=None if slide is None else path.parent / str(slide),
        mpp_um=None if mpp_um is None else float(mpp_um),
        collagen=_source(path, "collagen", data.get("collagen")),
        tissue=_source(path, "tissue", data.get("tissue")),
    )


def _source(path: Path, name: str, entry: Any) -> ColourSource:
    if not isinstance(entry, dict) or len(entry) != 1 or next(iter(entry)) not in _WAYS:
        ways = ", ".join(_WAYS)
        raise _bad(path, f"{name}: {entry!r}", f"give {name} in one of these ways: {ways}")
    way, value = next(iter(entry.items()))
    if way == "region":
        return ColourSource(way, path=path.parent / str(value))
    values = value if isinstance(value, list) else [value]
    wanted = {"hue": 1, "rectangle": 4}.get(way, 3)
    good = all(isinstance(v, int | float) and math.isfinite(v) for v in values)
    if not good or len(values) != wanted or (way != "hue" and min(values) < 0):
        raise _bad(path, f"{name}: {way}: {value!r}", f"give {wanted} numbers, none below zero")
    return ColourSource(way, tuple(float(v) for v in values))


def custom_definition(
    custom: CustomStain,
    template: StainDefinition,
    slide: Slide,
    glass: Glass,
) -> StainDefinition:
    """What the classifier needs, from the user's vectors, colours or picked regions.

    Args:
        custom: the user's description.
        template: the entry ``custom`` of configs/stains.yaml, for everything that is not a colour.
        slide: the slide that is measured.
        glass: its empty glass.

    Raises:
        ConfigError: the two colours are too alike, or a picked region has none.
        RegionError: a region does not fit its slide.
        SlideError: the reference slide cannot be read.
    """
    if custom.slide is None:
        colours = [_colours(custom, source, slide, glass) for source in _sources(custom)]
    else:
        with open_slide(custom.slide, mpp_um=custom.mpp_um) as reference:
            colours = [_colours(custom, source, reference, None) for source in _sources(custom)]
    (collagen, purity), (tissue, _) = colours
    apart = abs(wrap_deg(collagen - tissue))
    if apart < _LEAST_APART_DEG:
        raise _bad(
            custom.path,
            f"collagen has hue {collagen % 360:.0f} and the rest of the tissue {tissue % 360:.0f}",
            "choose regions or vectors whose colours the eye can distinguish",
        )
    reach = min(_TOLERANCE_DEG, _TOLERANCE_PART * apart)
    return replace(
        template,
        title=custom.title,
        family=custom.family,
        counter_hue_deg=HueRange(tissue, tissue - reach, tissue + reach),
        collagen_hue_deg=HueRange(collagen, collagen - reach, collagen + reach),
        chroma_part=_OPPOSED_CHROMA_PART if apart > _OPPOSED_DEG else template.chroma_part,
        collagen_purity=purity,
    )


def _sources(custom: CustomStain) -> tuple[ColourSource, ColourSource]:
    return custom.collagen, custom.tissue


def _colours(
    custom: CustomStain,
    source: ColourSource,
    slide: Slide,
    glass: Glass | None,
) -> tuple[float, float | None]:
    """Hue of one of the two colours, degrees, and its chroma per darkness, None if not known."""
    if source.way == "hue":
        return source.numbers[0], None
    if source.way == "od":
        # the colour of a section in which the stain's strongest channel has optical density 0.5
        density = np.array(source.numbers) * 0.5 / max(*source.numbers, 1e-6)
        colours = 255.0 * 10.0 ** -density[None, :]
    elif source.way == "rgb":
        colours = np.array([source.numbers])
    else:
        region = _region(source, slide)
        colours = _picked(region, slide).astype(np.float64)
        if glass is not None:
            colours = colours * glass.gain
    hue, chroma = hue_and_chroma(colours)
    coloured = chroma >= _LEAST_CHROMA
    if not coloured.any() or coloured.mean() < 0.1:
        raise _bad(custom.path, f"{source.way} without colour", "pick stained tissue, not glass")
    # the mean direction: strong colours say more about their hue than pale ones
    angle, weight = np.radians(hue[coloured]), chroma[coloured]
    across, along = (np.sin(angle) * weight).sum(), (np.cos(angle) * weight).sum()
    darkness = np.maximum(255.0 - colours[coloured].min(axis=1), 1.0)
    purity = float(np.median(chroma[coloured] / darkness))
    return float(np.degrees(np.arctan2(across, along))), purity


def _region(source: ColourSource, slide: Slide) -> Region:
    if source.path is not None:
        return read_region(source.path, slide).region
    x, y, width, height = source.numbers
    corners = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
    return PolygonRegion(((corners,),), slide.size_px)


def _picked(region: Region, slide: Slide) -> NDArray[np.uint8]:
    """Colours of the pixels inside a region, shape (n, 3)."""
    grid = plan_grid(slide, _PICK_MPP_UM)
    size = grid.width_px, grid.height_px
    coarse = min(1.0, 1000 / max(size))
    small = max(1, round(size[0] * coarse)), max(1, round(size[1] * coarse))
    rows, columns = np.nonzero(region.inside(0, 0, *small, small))
    if len(rows) == 0:  # smaller than a pixel of that raster: looked for on the grid itself
        coarse, (rows, columns) = 1.0, np.nonzero(region.inside(0, 0, *size, size))
    if len(rows) == 0:
        return np.zeros((0, 3), np.uint8)
    box = []
    for places, limit in ((columns, size[0]), (rows, size[1])):
        first, last = int(places.min() / coarse), int((places.max() + 1) / coarse) + 1
        spare = max(0, last - first - _PICK_LIMIT_PX) // 2
        box.append((max(0, first - 1 + spare), min(limit, last + 1 - spare)))
    (x0, x1), (y0, y1) = box
    rgb = smooth(read_block(slide, grid, x0, y0, x1 - x0, y1 - y0), grid.mpp_um)
    return np.asarray(rgb[region.inside(x0, y0, x1 - x0, y1 - y0, size)])


def _bad(path: Path, found: str, do: str) -> ConfigError:
    return ConfigError(
        "bad_config", f"The stain described in {path.name} cannot be used", found=found, do=do
    )
