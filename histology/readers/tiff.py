"""Read tiled and striped TIFF, OME-TIFF and Aperio SVS, through tifffile and imagecodecs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree  # entities are refused below # nosec B405

import cv2
import numpy as np
import tifffile

from ...errors import SlideError
from ..slide import RgbImage, SlideContent, SlideLevel
from .pixel_size import (
    PixelSize,
    Stated,
    read_number,
    read_size_um,
    settle_statements,
    um_per,
)
from .tiff_images import TiffImage, colour_of, list_images
from .tiff_reader import DAMAGE, TiffReader, damaged

SUFFIXES = (".svs", ".tif", ".tiff", ".btf")

_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
#: Vendors whose own OpenSlide driver knows more than the TIFF tags tell.
_OTHER_VENDORS = ("NDPI", "SCN", "VENTANA", "iScan")
#: A picture of less than this part of the largest one is not a slide.
_LEAST_PART = 0.1
#: Two pictures are compared in blocks of so many pixels of the coarser one, so many along a side.
_BLOCK_PX, _BLOCKS = 64, 4
#: Blocks of less contrast tell nothing; all but so many of the others must be this much alike
#: (two sections may well share an edge).
_LEAST_CONTRAST, _ALIKE, _ALIKE_PART = 3.0, 0.6, 0.2
_SVS_POWER = re.compile(r"\|\s*AppMag\s*=\s*([\d.]+)")
#: Aperio's size of the picture: that of the scan, or of the part in brackets that was cut out.
_SVS_SIZE = re.compile(r"(?:\[\d+,\d+ )?(\d+)x(\d+)\]?")
_SVS_MPP = re.compile(r"\|\s*MPP\s*=\s*([^|\r\n]*)")
_IMAGEJ_UNIT = re.compile(r"^unit=(.*)$", re.MULTILINE)
_PER_UNIT_UM = {2: 25400.0, 3: 10000.0}


def accepts(path: Path) -> bool:
    """Whether the file is a TIFF that is not one of OpenSlide's vendor formats."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        if stream.read(4) not in _MAGIC:
            return False
    if path.suffix.lower() in (".ndpi", ".scn", ".bif"):
        return False
    try:
        with tifffile.TiffFile(path) as tiff:
            software = str(getattr(tiff.pages.first, "software", ""))
            return not (
                tiff.is_ndpi
                or tiff.is_scn
                or tiff.is_bif
                or any(vendor in software for vendor in _OTHER_VENDORS)
            )
    except DAMAGE:
        return True  # open_content says what is wrong with it


def open_content(path: Path, image: int | None = None) -> SlideContent:
    """Open a TIFF and find its pictures, and the pyramid and pixel size of one of them.

    Args:
        path: the file.
        image: number of the picture; None if only one can be the slide.

    Raises:
        SlideError: ``unreadable_slide``: damaged, no colour picture, or a compression that is not
            known. ``several_images``: several pictures may be the slide, or there is none of that
            number.
    """
    try:
        tiff = tifffile.TiffFile(path)
    except DAMAGE as error:
        raise damaged(path, f"{type(error).__name__}: {error}") from error
    try:
        images = _joined(tiff, list_images(tiff), path)
        chosen = _chosen(path, images, image)
        reader = TiffReader(tiff, chosen.levels, path)
        # decode one segment now: a file that cannot be decoded is refused before any measuring
        reader.read(len(chosen.levels) - 1, 0, 0, 1, 1)
        reader.add_reduced_levels()
        levels = tuple(
            SlideLevel(
                *level.size_px,
                downsample=level.factor * chosen.page.imagewidth / level.page.imagewidth,
                reduction=level.factor,
            )
            for level in reader.levels
        )
        size = _pixel_size(tiff, images, chosen)
    except SlideError:
        tiff.close()
        raise
    except DAMAGE as error:
        tiff.close()
        raise damaged(path, f"{type(error).__name__}: {error}") from error
    return SlideContent(
        reader=reader,
        levels=levels,
        mpp_um=size.mpp_um,
        format_name="SVS" if tiff.is_svs else "OME-TIFF" if tiff.is_ome else "TIFF",
        has_icc=34675 in chosen.page.tags,
        mpp_found=size.found,
        mpp_conflict=size.conflict,
        image=chosen.number,
        images=tuple(str(one) for one in images) if len(images) > 1 else (),
        scanner=_scanner(chosen.page.description or ""),
    )


def _scanner(description: str) -> dict[str, str]:
    """Maker and objective as Aperio's description states them; it names no model."""
    if not description.startswith("Aperio"):
        return {}
    power = _SVS_POWER.search(description)
    return {"manufacturer": "Aperio"} | ({"objective_power": power[1]} if power else {})


def _chosen(path: Path, images: list[TiffImage], wanted: int | None) -> TiffImage:
    """The picture that is measured."""
    listed = "; ".join(str(one) for one in images[:12]) or "no image"
    if wanted is not None:
        found = [one for one in images if one.number == wanted]
        if not found:
            raise SlideError(
                "several_images",
                f"{path.name} has no picture number {wanted}",
                found=listed,
                do="give the number of one of these with --image (image in study.csv)",
            )
        return _coloured(path, found[0])
    largest, slides = _slides(images)
    if largest is None:
        raise damaged(path, "no image")
    # a smaller colour picture next to the largest one is its label or thumbnail
    _coloured(path, largest)
    if len(slides) > 1:
        raise SlideError(
            "several_images",
            f"{path.name} contains {len(slides)} pictures that may be the slide",
            found=listed,
            do="choose one by its number with --image N (image in study.csv, a row for each that "
            "is to be measured), or measure each by itself with --image all",
        )
    return largest


def _slides(images: list[TiffImage]) -> tuple[TiffImage | None, list[TiffImage]]:
    """The largest picture that may be the slide, and all that may be one."""
    slides = [one for one in images if not one.aside]
    largest = max(slides or images, key=lambda one: one.area_px, default=None)
    least = 0.0 if largest is None else _LEAST_PART * largest.area_px
    return largest, [
        one for one in slides if one.area_px >= least and colour_of(one.page, len(one.levels[0]))
    ]


def slide_numbers(path: Path) -> list[int]:
    """The pictures of a file that may be slides, by number; [] for one or none."""
    try:
        with tifffile.TiffFile(path) as opened:
            slides = _slides(_joined(opened, list_images(opened), path))[1]
    except (SlideError, *DAMAGE):
        return []  # who measures it says what is wrong
    return [one.number for one in slides] if len(slides) > 1 else []


def _coloured(path: Path, image: TiffImage) -> TiffImage:
    page = image.page
    if colour_of(page, len(image.levels[0])):
        return image
    grey = page.samplesperpixel == 1 and page.photometric in (0, 1)
    shape = f"{image.size_px[0]} x {image.size_px[1]} pixels of {page.samplesperpixel} x"
    raise SlideError(
        "unreadable_slide",
        f"{path.name} is grey; stains are identified by their colours"
        if grey
        else f"{path.name} contains no colour image that can be read",
        found=f"{shape} {page.dtype}, photometric interpretation {int(page.photometric)}",
        do="export the slide as 8-bit RGB brightfield TIFF",
    )


def _joined(tiff: tifffile.TiffFile, images: list[TiffImage], path: Path) -> list[TiffImage]:
    """The pictures, where smaller ones that show the same became levels.

    Files without SubIFDs list levels as further pages. Equal proportions alone do not make a level:
    it must show the same picture.
    """
    if tiff.is_svs:
        return images
    out: list[TiffImage] = []
    others: list[TiffImage] = []
    for image in images:
        whole, more = _true_levels(tiff, image, path)
        out.append(whole)
        others += more
    out += [replace(one, number=len(out) + n) for n, one in enumerate(others, start=1)]
    coloured = [one for one in out if colour_of(one.page, len(one.levels[0])) and not one.aside]
    coloured.sort(key=lambda one: one.area_px, reverse=True)
    for place, large in enumerate(coloured):
        for small in coloured[place + 1 :]:
            current = out[small.number - 1]
            if current.aside or out[large.number - 1].aside:
                continue
            across, down = (a / b for a, b in zip(large.size_px, small.size_px, strict=True))
            if abs(across / down - 1) >= max(0.01, 2 / min(small.size_px)):
                continue
            if not _same_picture(tiff, large, small, path):
                continue
            whole = out[large.number - 1]
            if across > 1.5 and small.page.is_tiled and whole.page.is_tiled and not tiff.is_ome:
                levels = sorted((*whole.levels, *small.levels), key=lambda p: -int(p[0].imagewidth))
                out[large.number - 1] = replace(whole, levels=tuple(levels))
                out[small.number - 1] = replace(current, aside=f"a level of {large.number}")
            else:
                out[small.number - 1] = replace(current, aside=f"the same as {large.number}")
    return out


def _true_levels(
    tiff: tifffile.TiffFile, image: TiffImage, path: Path
) -> tuple[TiffImage, list[TiffImage]]:
    """The picture with its levels that show the same, and those that are pictures of their own."""
    width, height = image.size_px
    kept = [image.levels[0]]
    others: list[TiffImage] = []
    for pages in image.levels[1:]:
        across, down = width / pages[0].imagewidth, height / pages[0].imagelength
        small = replace(image, levels=(pages,))
        alike = abs(across / down - 1) < 0.05
        if alike and (pages[0].is_subifd or _same_picture(tiff, image, small, path)):
            kept.append(pages)
        elif not pages[0].is_subifd:
            others.append(small)
    return replace(image, levels=tuple(kept)), others


def _same_picture(tiff: tifffile.TiffFile, large: TiffImage, small: TiffImage, path: Path) -> bool:
    """Whether a smaller picture shows what the larger one shows: blocks spread over both."""
    reader = TiffReader(tiff, (large.levels[0], small.levels[0]), path)
    width, height = small.size_px
    ratio = large.size_px[0] / width
    alike: list[float] = []
    apart: list[float] = []
    side = min(_BLOCK_PX, width, height)
    for row in np.linspace(0, height - side, _BLOCKS).astype(int):
        for column in np.linspace(0, width - side, _BLOCKS).astype(int):
            block = reader.read(1, int(column), int(row), side, side)
            x, y = int(column * ratio), int(row * ratio)
            edge = max(1, int(side * ratio))
            across, down = (
                min(edge, whole - start) for start, whole in zip((x, y), large.size_px, strict=True)
            )
            full = reader.read(0, x, y, across, down)
            mean = cv2.resize(full, (side, side), interpolation=cv2.INTER_AREA)
            apart.append(float(np.abs(mean.astype(np.int16) - block).mean()))
            likeness = _likeness(np.asarray(mean, dtype=np.uint8), block)
            if likeness is not None:
                alike.append(likeness)
    if alike:
        return float(np.quantile(alike, _ALIKE_PART)) >= _ALIKE
    return float(np.median(apart)) < _LEAST_CONTRAST


def _likeness(one: RgbImage, other: RgbImage) -> float | None:
    """Correlation of two blocks' green; None if neither has contrast."""
    a, b = (cv2.GaussianBlur(p[..., 1].astype(np.float32), (0, 0), 1.5) for p in (one, other))
    if max(float(a.std()), float(b.std())) < _LEAST_CONTRAST:
        return None
    a, b = a - a.mean(), b - b.mean()
    length = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / length if length > 0 else 0.0


def _pixel_size(tiff: tifffile.TiffFile, images: list[TiffImage], image: TiffImage) -> PixelSize:
    """The pixel size of a picture from all that the file says about that picture."""
    stated: list[Stated] = []
    problems: list[str] = []
    description = image.page.description or ""
    if tiff.is_svs or description.startswith("Aperio"):
        _from_aperio(description, image, stated, problems)
        if len(stated) > 1:
            return PixelSize((stated[0].x_um, stated[0].y_um), conflict=f"{stated[0]}; {stated[1]}")
    if tiff.is_ome and tiff.ome_metadata:
        _from_ome(tiff.ome_metadata, images.index(image), image, stated, problems)
    _from_tags(tiff, image, stated, problems)
    return settle_statements(stated, problems)


def _from_aperio(
    description: str, image: TiffImage, stated: list[Stated], problems: list[str]
) -> None:
    match = _SVS_MPP.search(description)
    if match is None:
        problems.append("an Aperio description without an entry MPP")
        return
    mpp = read_size_um(match[1])
    if mpp is None:
        problems.append(f"MPP = {match[1].strip()} in the Aperio description")
        return
    stated.append(Stated("MPP in the Aperio description", mpp, mpp))
    text = description.split(";", maxsplit=1)[0]
    sizes = [(int(w), int(h)) for w, h in _SVS_SIZE.findall(text)[:2]]
    if sizes and image.size_px not in sizes:
        # the text was kept when the picture was made smaller
        width, height = sizes[-1] if "[" in text else sizes[0]
        x, y = mpp * width / image.size_px[0], mpp * height / image.size_px[1]
        source = (
            f"the same for a scan of {width} x {height} pixels, of which the picture has "
            f"{image.size_px[0]} x {image.size_px[1]}"
        )
        stated.append(Stated(source, x, y))


def _from_ome(
    metadata: str, place: int, image: TiffImage, stated: list[Stated], problems: list[str]
) -> None:
    if "<!DOCTYPE" in metadata or "<!ENTITY" in metadata:
        # a few lines of entities can grow to gigabytes; OME-XML has none
        problems.append("OME-XML with a document type, which is not read")
        return
    try:
        root = ElementTree.fromstring(metadata)  # noqa: S314 # nosec B314
    except ElementTree.ParseError as error:
        problems.append(f"OME-XML that cannot be read ({error})")
        return
    pixels = _pixels_of(root, place, image.page.index)
    sizes: list[float] = []
    for axis in "XY":
        text = None if pixels is None else pixels.get(f"PhysicalSize{axis}")
        unit = "µm" if pixels is None else pixels.get(f"PhysicalSize{axis}Unit", "µm")
        if text is None:
            problems.append(f"OME-XML without PhysicalSize{axis}")
            continue
        number, um = read_number(text), um_per(unit)
        if number is None or um is None:
            problems.append(f"PhysicalSize{axis} = {text} {unit} in the OME-XML")
            continue
        sizes.append(number * um)
    if len(sizes) == 2:
        stated.append(Stated("PhysicalSize in the OME-XML", sizes[0], sizes[1]))


def _pixels_of(root: Any, place: int, page_index: int) -> Any:
    """The element that describes a picture: the one that names its page, else that of its place."""
    every = root.findall(".//{*}Image/{*}Pixels")
    for pixels in every:
        pages = [data.get("IFD") for data in pixels.findall("{*}TiffData")]
        if str(page_index) in pages:
            return pixels
    return every[place] if place < len(every) else None


def _from_tags(
    tiff: tifffile.TiffFile, image: TiffImage, stated: list[Stated], problems: list[str]
) -> None:
    tags = image.page.tags
    per = [tags.get(name) for name in ("XResolution", "YResolution")]
    if per[0] is None or per[1] is None:
        problems.append("no resolution among the TIFF tags")
        return
    steps = []
    for tag in per:
        numerator, denominator = tag.value
        if numerator == 0 or denominator == 0:
            problems.append("a TIFF whose resolution tag is zero")
            return
        steps.append(denominator / numerator)
    texts = (image.page.description or "", tiff.pages.first.description or "")
    imagej = next((text for text in texts if text.startswith("ImageJ=")), "")
    named = _IMAGEJ_UNIT.search(imagej)
    if named is not None:
        um = um_per(named[1])
        if um is None:
            problems.append(f"unit={named[1].strip()} in ImageJ's description")
        else:
            stated.append(Stated(f"ImageJ's unit={named[1]}", um * steps[0], um * steps[1]))
    unit = tags.get("ResolutionUnit")
    um = _PER_UNIT_UM.get(int(unit.value) if unit else 1)
    if um is not None:
        stated.append(Stated("the TIFF resolution tags", um * steps[0], um * steps[1]))
    elif named is None:
        problems.append("a TIFF without a resolution in inches or centimetres")
