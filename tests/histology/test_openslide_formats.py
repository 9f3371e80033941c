"""Vendors' formats: right in size, pixels and collagen by OpenSlide's drivers, or refused.

The files are written by support/ from a phantom whose fraction is known; see there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from fibrovol.errors import SlideError
from fibrovol.histology.measure import measure_collagen
from fibrovol.histology.readers import open_slide
from fibrovol.phantoms.slides import RenderedSlide, render_slide

from .support.hamamatsu import write_ndpi, write_vms
from .support.mirax import data_file, photo_grid, write_mrxs
from .support.pictures import QUALITY, Rgb, macro_picture, pyramid
from .support.tiled import write_bif, write_philips, write_scn, write_trestle

MPP = (0.5, 0.5)
#: How far the fraction of one phantom may differ between formats, percentage points: they store
#: it in JPEG tiles of different shape, and some pad it.
SAME_CAF_POINTS = 0.3


def _scn(path: Path, rgb: Rgb, mpp_um: tuple[float, float] | None = MPP) -> Path:
    """A glass of which one part was scanned."""
    height, width = rgb.shape[:2]
    glass = (width + 1000, height + 800)
    return write_scn(path, [(rgb, (600, 400))], mpp_um, glass_px=glass, nm_per_px=(500, 500))


Writer = Callable[[Path, Rgb], Path]
#: File name, OpenSlide's vendor, writer, and levels at least.
FORMATS: dict[str, tuple[str, Writer, int]] = {
    "slide.ndpi": ("hamamatsu", lambda p, rgb: write_ndpi(p, rgb, MPP), 3),
    "no_marks.ndpi": (
        "hamamatsu",
        lambda p, rgb: write_ndpi(p, rgb, MPP, macro=False, scan_map=False, restart_markers=False),
        3,
    ),
    "slide.vms": ("hamamatsu", lambda p, rgb: write_vms(p, rgb, MPP), 4),
    "slide.mrxs": ("mirax", lambda p, rgb: write_mrxs(p, rgb, MPP), 3),
    "slide.scn": ("leica", _scn, 2),
    "slide.bif": ("ventana", lambda p, rgb: write_bif(p, rgb, 0.5, overlap_px=16), 3),
    "ventana.tif": ("ventana", lambda p, rgb: write_bif(p, rgb, 0.5), 3),
    "trestle.tif": ("trestle", lambda p, rgb: write_trestle(p, rgb, 0.5), 3),
    "philips.tiff": ("philips", lambda p, rgb: write_philips(p, rgb, 0.5), 3),
}


@pytest.fixture(scope="module")
def phantom() -> RenderedSlide:
    return render_slide(stain="psr", caf_percent=15, seed=3, size_px=(2048, 1024), mpp_um=0.5)


@pytest.fixture(scope="module")
def tiff_caf_percent(phantom: RenderedSlide, tmp_path_factory: pytest.TempPathFactory) -> float:
    """The fraction that the same picture has as a tiled JPEG TIFF."""
    path = tmp_path_factory.mktemp("tiff") / "slide.tif"
    with tifffile.TiffWriter(path) as tiff:
        for number, level in enumerate(pyramid(phantom.rgb, 3)):
            tiff.write(
                level,
                tile=(256, 256),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": QUALITY},
                resolution=(2e4 / 2**number,) * 2,
                resolutionunit="CENTIMETER",
            )
    return measure_collagen(path, stain="psr").caf_percent


@pytest.mark.parametrize("name", FORMATS)
def test_a_slide_is_what_was_written(
    name: str, phantom: RenderedSlide, tiff_caf_percent: float, tmp_path: Path
) -> None:
    vendor, write, levels = FORMATS[name]
    path = write(tmp_path / name, phantom.rgb)
    with openslide.OpenSlide(str(path)) as opened:
        assert opened.properties[openslide.PROPERTY_NAME_VENDOR] == vendor
    rows, columns = phantom.rgb.shape[:2]
    with open_slide(path) as slide:
        assert slide.format_name == f"OpenSlide {vendor}"
        assert slide.mpp_um == pytest.approx(0.5)
        assert slide.mpp_source == "file"
        assert len(slide.levels) >= levels
        # some formats fill their last photo or tile with blank pixels
        assert columns <= slide.size_px[0] <= columns + 512
        assert rows <= slide.size_px[1] <= rows + 512
        for number, level in enumerate(slide.levels[:levels]):
            factor = round(level.downsample)
            assert level.downsample == factor
            wanted = phantom.rgb if factor == 1 else pyramid(phantom.rgb, 2, factor)[1]
            high, wide = wanted.shape[:2]
            read = slide.read_region(number, 0, 0, wide, high)
            # photos' edges and overlaps that a coarser level keeps are off by a pixel at most
            assert np.abs(read.astype(int) - wanted).mean() < 3.5
            # a part is the same part, to the pixel
            part = slide.read_region(number, 37, 21, wide // 3, high // 2)
            assert np.array_equal(part, read[21 : 21 + high // 2, 37 : 37 + wide // 3])
    found = measure_collagen(path, stain="psr")
    assert found.caf_percent == pytest.approx(tiff_caf_percent, abs=SAME_CAF_POINTS)
    assert found.caf_percent == pytest.approx(phantom.caf_percent, abs=1.5)


def test_any_part_of_a_level_with_a_fractional_size_is_the_same_part(
    phantom: RenderedSlide, tmp_path: Path
) -> None:
    """OpenSlide moves such a level by up to a pixel with the place that is asked for."""
    path = _scn(tmp_path / "slide.scn", phantom.rgb[:601, :1503])
    with openslide.OpenSlide(str(path)) as opened:
        assert not opened.level_downsamples[1].is_integer()
    with open_slide(path) as slide:
        assert slide.levels[1].downsample == 4.0
        width, height = slide.levels[1].width_px, slide.levels[1].height_px
        whole = slide.read_region(1, 0, 0, width, height)
        for x in range(0, 160, 13):
            part = slide.read_region(1, x, x // 2, 180, 60)
            assert np.array_equal(part, whole[x // 2 : x // 2 + 60, x : x + 180])


def _mrxs_with_glass(
    path: Path, phantom: RenderedSlide, *, sparse: bool, fill_rgb: tuple[int, int, int]
) -> Path:
    """The phantom in the middle of four times as much glass."""
    rows, columns = phantom.rgb.shape[:2]
    glass = np.median(phantom.rgb[:20].reshape(-1, 3), axis=0).astype(np.uint8)
    around = np.tile(glass, (rows * 3, columns * 2, 1))
    around[rows : 2 * rows, 500 : 500 + columns] = phantom.rgb
    scanned = np.ones(photo_grid(around), bool)
    if sparse:
        scanned[:] = False
        for row, column in np.ndindex(scanned.shape):  # photos lie 480 pixels apart
            y, x = row * 480, column * 480
            scanned[row, column] = rows - 600 < y < 2 * rows and x < 500 + columns
        scanned[0, 0] = scanned[-1, -1] = True  # or the slide would be cut to the tissue
    return write_mrxs(path, around, MPP, scanned=scanned, fill_rgb=fill_rgb)


@pytest.mark.parametrize("fill_rgb", [(255, 255, 255), (0, 0, 0)])
def test_what_was_never_scanned_is_glass(
    phantom: RenderedSlide, tmp_path: Path, fill_rgb: tuple[int, int, int]
) -> None:
    full = _mrxs_with_glass(tmp_path / "full.mrxs", phantom, sparse=False, fill_rgb=(255,) * 3)
    part = _mrxs_with_glass(tmp_path / "part.mrxs", phantom, sparse=True, fill_rgb=fill_rgb)
    with openslide.OpenSlide(str(part)) as opened:
        missing = np.asarray(opened.read_region((0, 0), 2, opened.level_dimensions[2]))[..., 3] == 0
    assert missing.mean() > 0.5
    with open_slide(part) as slide:
        assert np.abs(np.subtract(slide.size_px, (4352, 3392))).max() < 20
    wanted, found = (measure_collagen(path, stain="psr") for path in (full, part))
    assert found.caf_percent == pytest.approx(wanted.caf_percent, abs=0.05)
    # the overview of a smaller slide is finer, and so is the outline that lumens are counted in
    assert found.caf_with_lumens_percent == pytest.approx(wanted.caf_with_lumens_percent, abs=0.3)
    assert found.tissue_mm2 == pytest.approx(wanted.tissue_mm2, rel=0.005)
    assert found.excluded_mm2["coverslip_and_dirt"] == wanted.excluded_mm2["coverslip_and_dirt"]


def test_the_scanned_part_is_the_slide_as_it_is_in_qupath(
    phantom: RenderedSlide, tmp_path: Path
) -> None:
    """Regions drawn there count from the corner of the scanned part, not of the glass."""
    with open_slide(_scn(tmp_path / "Schnitt ä.scn", phantom.rgb)) as slide:
        assert slide.size_px == phantom.rgb.shape[1::-1]
        corner = slide.read_region(0, 0, 0, 64, 64).astype(int)
    assert np.abs(corner - phantom.rgb[:64, :64]).mean() < 3.5


def test_several_scans_of_one_magnification_are_one_slide(
    phantom: RenderedSlide, tiff_caf_percent: float, tmp_path: Path
) -> None:
    left, right = phantom.rgb[:, :1024], phantom.rgb[:, 1024:]
    pieces = [(left, (100, 200)), (right, (1124, 200))]
    path = write_scn(tmp_path / "two.scn", pieces, MPP, glass_px=(4000, 2000), nm_per_px=(500, 500))
    with open_slide(path) as slide:
        assert slide.size_px == phantom.rgb.shape[1::-1]
    found = measure_collagen(path, stain="psr").caf_percent
    assert found == pytest.approx(tiff_caf_percent, abs=SAME_CAF_POINTS)


NO_PIXEL_SIZE: dict[str, Writer] = {
    "slide.ndpi": lambda p, rgb: write_ndpi(p, rgb, None),
    "slide.vms": lambda p, rgb: write_vms(p, rgb, None),
    "slide.scn": lambda p, rgb: _scn(p, rgb, None),
    "slide.bif": lambda p, rgb: write_bif(p, rgb, None),
}


@pytest.mark.parametrize("name", NO_PIXEL_SIZE)
def test_a_missing_pixel_size_is_asked_for(
    name: str, phantom: RenderedSlide, tmp_path: Path
) -> None:
    path = NO_PIXEL_SIZE[name](tmp_path / name, phantom.rgb)
    assert _refusal(path).code == "no_pixel_size"
    with open_slide(path, mpp_um=0.25) as slide:
        assert slide.mpp_um == 0.25
        assert slide.mpp_source == "given"


@pytest.mark.parametrize(
    ("name", "mpp_um"),
    [
        (name, mpp_um)
        for name in ("slide.mrxs", "slide.ndpi", "slide.scn")
        for mpp_um in ((0.004, 0.004), (352.8, 352.8), (0.5, 0.55))
    ],
)
def test_an_implausible_pixel_size_is_refused(
    name: str, mpp_um: tuple[float, float], phantom: RenderedSlide, tmp_path: Path
) -> None:
    writers = {"slide.mrxs": write_mrxs, "slide.ndpi": write_ndpi, "slide.scn": _scn}
    path = writers[name](tmp_path / name, phantom.rgb[:256, :1024], mpp_um)
    assert _refusal(path).code == "implausible_pixel_size"


def test_a_pixel_size_of_zero_is_none_at_all(phantom: RenderedSlide, tmp_path: Path) -> None:
    """Only MIRAX states the size itself, not its inverse."""
    path = write_mrxs(tmp_path / "slide.mrxs", phantom.rgb[:256, :1024], (0.0, 0.0))
    assert _refusal(path).code == "no_pixel_size"


@pytest.mark.parametrize("name", ["slide.mrxs", "slide.ndpi", "slide.scn"])
def test_pixels_that_are_nearly_square_have_the_area_of_both_sides(
    name: str, phantom: RenderedSlide, tmp_path: Path
) -> None:
    writers = {"slide.mrxs": write_mrxs, "slide.ndpi": write_ndpi, "slide.scn": _scn}
    path = writers[name](tmp_path / name, phantom.rgb[:256, :1024], (0.500, 0.505))
    with open_slide(path) as slide:
        assert slide.mpp_um == pytest.approx((0.500 * 0.505) ** 0.5, rel=1e-4)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_cut_short_is_refused(name: str, phantom: RenderedSlide, tmp_path: Path) -> None:
    path = FORMATS[name][1](tmp_path / name, phantom.rgb)
    victim = {"slide.vms": "slide(1,0).jpg", "slide.mrxs": f"slide/{data_file(2)}"}.get(name, name)
    content = (tmp_path / victim).read_bytes()
    (tmp_path / victim).write_bytes(content[: int(0.6 * len(content))])
    with pytest.raises(SlideError) as caught:
        measure_collagen(path, stain="psr")
    # without its last directories a TIFF of these is a plain one, whose pixel size is not known
    codes = {"trestle.tif": "no_pixel_size", "philips.tiff": "no_pixel_size"}
    assert caught.value.code == codes.get(name, "unreadable_slide")
    # the folder may be a patient's
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("missing", ["", "Slidedat.ini", "Index.dat", data_file(1), data_file(3)])
def test_mrxs_without_its_folder_or_a_file_of_it(
    missing: str, phantom: RenderedSlide, tmp_path: Path
) -> None:
    """The .mrxs file itself is a picture of the whole glass and must not be measured instead."""
    path = write_mrxs(tmp_path / "slide.mrxs", phantom.rgb, MPP, levels=3)
    if missing:
        (tmp_path / "slide" / missing).unlink()
    else:
        shutil.rmtree(tmp_path / "slide")
    for mpp_um in (None, 0.5):
        with pytest.raises(SlideError) as caught, open_slide(path, mpp_um=mpp_um) as slide:
            slide.read_region(0, 0, 0, 300, 300)
        assert caught.value.code == "unreadable_slide"
        assert str(tmp_path) not in str(caught.value)
    if missing in ("", "Slidedat.ini"):
        assert "folder slide" in str(caught.value)


def test_an_ending_in_capitals_is_told(phantom: RenderedSlide, tmp_path: Path) -> None:
    """OpenSlide knows a MIRAX slide by the ending in small letters alone."""
    path = write_mrxs(tmp_path / "slide.mrxs", phantom.rgb[:600, :600], MPP)
    capital = path.rename(path.with_suffix(".MRXS"))
    assert "rename" in str(_refusal(capital))


def test_no_picture_of_the_glass_is_taken_for_the_slide(tmp_path: Path) -> None:
    path = tmp_path / "glass.scn"
    write_scn(path, [], None, glass_px=(100, 100), nm_per_px=(500, 500))
    assert "no brightfield scan" in str(_refusal(path, mpp_um=0.5))
    tifffile.imwrite(tmp_path / "glass.bif", macro_picture(), photometric="rgb", tile=(128, 128))
    assert "BIF" in str(_refusal(tmp_path / "glass.bif", mpp_um=0.5))


def test_scans_of_different_magnification_are_refused(
    phantom: RenderedSlide, tmp_path: Path
) -> None:
    pieces = [(phantom.rgb[:512, :512], (0, 10)), (phantom.rgb[:512, 512:1024], (600, 10))]
    path = write_scn(
        *(tmp_path / "two.scn", pieces, MPP),
        glass_px=(2000, 1000),
        nm_per_px=(500, 500),
        objectives=("20", "40"),
    )
    assert "different magnification" in str(_refusal(path))


def test_fluorescence_is_refused(phantom: RenderedSlide, tmp_path: Path) -> None:
    rgb = phantom.rgb[:512, :1024]
    dark = ((255 - rgb) * np.array([0.9, 0.2, 0.3])).astype(np.uint8)
    paths = [
        write_scn(
            *(tmp_path / "slide.scn", [(dark, (0, 10))], MPP),
            glass_px=(2000, 1000),
            nm_per_px=(500, 500),
            light="fluorescence",
        ),
        write_mrxs(tmp_path / "slide.mrxs", dark, MPP, slide_type="SLIDE_TYPE_FLUORESCENCE"),
        write_ndpi(tmp_path / "slide.ndpi", dark, MPP),
    ]
    for path in paths:
        refused = _refusal(path)
        assert refused.code == "unreadable_slide"
        assert "fluorescence" in str(refused)
        assert "brightfield" in str(refused)


def _refusal(path: Path, mpp_um: float | None = None) -> SlideError:
    with pytest.raises(SlideError) as caught:
        open_slide(path, mpp_um=mpp_um)
    return caught.value
