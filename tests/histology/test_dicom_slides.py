"""DICOM whole-slide images: whole, sparse, in parts; read right or refused with the reason."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fibrovol.errors import SlideError
from fibrovol.histology.measure import measure_collagen
from fibrovol.histology.readers import open_slide
from fibrovol.phantoms.slides import RenderedSlide, render_slide
from pydicom.dataset import Dataset

from .support.dicom_slides import write_dicom
from .support.pictures import Rgb, pyramid

MPP = (0.5, 0.5)


@pytest.fixture(scope="module")
def phantom() -> RenderedSlide:
    return render_slide(stain="psr", caf_percent=15, seed=3, size_px=(2048, 1024), mpp_um=0.5)


@pytest.mark.parametrize("options", [{}, {"sparse": lambda *_: True}, {"parts": 3}])
@pytest.mark.parametrize("given", ["", "level1_0.dcm", "OVERVIEW.dcm", "LABEL.dcm"])
def test_a_slide_is_what_was_written(
    options: dict, given: str, phantom: RenderedSlide, tmp_path: Path
) -> None:
    """Whichever of its files is named, the overview and the label too."""
    folder = write_dicom(tmp_path / "slide", phantom.rgb, MPP, **options)
    with open_slide(folder / given) as slide:
        assert slide.mpp_um == pytest.approx(0.5)
        assert [level.downsample for level in slide.levels] == [1, 2, 4]
        for number, wanted in enumerate(pyramid(phantom.rgb, 3)):
            height, width = wanted.shape[:2]
            read = slide.read_region(number, 0, 0, width, height)
            assert np.abs(read.astype(int) - wanted).mean() < 3.5
            part = slide.read_region(number, 37, 21, width // 3, height // 2)
            assert np.array_equal(part, read[21 : 21 + height // 2, 37 : 37 + width // 3])


def test_collagen_is_that_of_the_phantom(phantom: RenderedSlide, tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "slide", phantom.rgb, MPP)
    found = measure_collagen(folder, stain="psr").caf_percent
    assert found == pytest.approx(phantom.caf_percent, abs=1.5)


def _on_more_glass(phantom: RenderedSlide) -> Rgb:
    rows, columns = phantom.rgb.shape[:2]
    glass = np.median(phantom.rgb[:20].reshape(-1, 3), axis=0).astype(np.uint8)
    around = np.tile(glass, (rows * 3, columns * 2, 1))
    around[rows : 2 * rows, 512 : 512 + columns] = phantom.rgb
    return around


def _near_the_tissue(level: int, place: tuple[int, int]) -> bool:
    scale = 2**level
    rows, columns = (4, 8), (2, 10)  # tiles of the finest level
    return all(
        math.floor(first / scale) <= n < math.ceil(last / scale)
        for n, (first, last) in zip(place, (rows, columns), strict=True)
    )


def test_tiles_that_are_not_there_are_glass(phantom: RenderedSlide, tmp_path: Path) -> None:
    rgb = _on_more_glass(phantom)
    full = write_dicom(tmp_path / "full", rgb, MPP)
    part = write_dicom(tmp_path / "part", rgb, MPP, sparse=_near_the_tissue)
    wanted, found = (measure_collagen(path, stain="psr") for path in (full, part))
    assert found.caf_percent == pytest.approx(wanted.caf_percent, abs=0.02)
    assert found.caf_with_lumens_percent == pytest.approx(wanted.caf_with_lumens_percent, abs=0.02)
    assert found.excluded_mm2["coverslip_and_dirt"] == wanted.excluded_mm2["coverslip_and_dirt"]
    with open_slide(part) as slide:
        glass = slide.read_region(0, 0, 0, 100, 100)
    assert np.abs(glass.astype(int) - rgb[0, 0]).max() <= 2


@pytest.mark.parametrize("sparse", [None, _near_the_tissue])
@pytest.mark.parametrize("lost", ["level0_0.dcm", "level0_1.dcm", "level0_2.dcm"])
def test_a_level_in_parts_of_which_one_is_missing_is_refused(
    sparse: Callable | None, lost: str, phantom: RenderedSlide, tmp_path: Path
) -> None:
    """Of a sparse level the missing part would pass for glass."""
    rgb = _on_more_glass(phantom)
    folder = write_dicom(tmp_path / "slide", rgb, MPP, sparse=sparse, parts=3)
    (folder / lost).unlink()
    assert "not all are there" in str(_refusal(folder))


def _without_number_of_parts(dataset: Dataset) -> None:
    if "InConcatenationTotalNumber" in dataset:
        del dataset.InConcatenationTotalNumber


def test_a_gap_between_parts_is_seen_without_their_number(
    phantom: RenderedSlide, tmp_path: Path
) -> None:
    options = {"parts": 3, "change": _without_number_of_parts}
    folder = write_dicom(tmp_path / "slide", phantom.rgb, MPP, **options)
    with open_slide(folder) as slide:
        assert slide.size_px == (2048, 1024)
    (folder / "level0_1.dcm").unlink()
    assert "with a gap" in str(_refusal(folder))


def _move_a_tile(dataset: Dataset) -> None:
    if "PerFrameFunctionalGroupsSequence" in dataset:
        place = dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSlideSequence[0]
        place.ColumnPositionInTotalImagePixelMatrix += 7


def _no_image_type(dataset: Dataset) -> None:
    del dataset.ImageType


def _fluorescence(dataset: Dataset) -> None:
    code = dataset.OpticalPathSequence[0].IlluminationTypeCodeSequence[0]
    code.CodeValue, code.CodeMeaning = "111743", "Epifluorescence illumination"


def _grey(dataset: Dataset) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"


REFUSED: dict[str, tuple[dict, str]] = {
    "tiles between the places of the grid": (
        {"sparse": lambda *_: True, "change": _move_a_tile},
        "do not lie side by side",
    ),
    "nothing says which image is the slide": ({"change": _no_image_type}, "label or an overview"),
    "fluorescence": ({"change": _fluorescence}, "brightfield"),
    "grey": ({"change": _grey}, "MONOCHROME2"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_measured_is_refused_with_the_reason(
    name: str, phantom: RenderedSlide, tmp_path: Path
) -> None:
    options, reason = REFUSED[name]
    folder = write_dicom(tmp_path / "slide", phantom.rgb[:512, :512], MPP, **options)
    refused = _refusal(folder)
    assert refused.code == "unreadable_slide"
    assert reason in str(refused)


@pytest.mark.parametrize("mpp_um", [None, (0.5, 0.55), (300.0, 300.0)])
def test_pixel_sizes_that_cannot_be_used(
    mpp_um: tuple[float, float] | None, phantom: RenderedSlide, tmp_path: Path
) -> None:
    folder = write_dicom(tmp_path / "slide", phantom.rgb[:512, :512], mpp_um)
    code = "no_pixel_size" if mpp_um is None else "implausible_pixel_size"
    assert _refusal(folder).code == code


def test_pixels_that_are_nearly_square_have_the_area_of_both_sides(
    phantom: RenderedSlide, tmp_path: Path
) -> None:
    folder = write_dicom(tmp_path / "slide", phantom.rgb[:512, :512], (0.5, 0.505))
    with open_slide(folder) as slide:
        assert slide.mpp_um == pytest.approx((0.5 * 0.505) ** 0.5)


def test_a_file_cut_short_is_refused(phantom: RenderedSlide, tmp_path: Path) -> None:
    folder = write_dicom(tmp_path / "slide", phantom.rgb, MPP)
    for number in range(3):
        path = folder / f"level{number}_0.dcm"
        content = path.read_bytes()
        path.write_bytes(content[: int(0.6 * len(content))])
    with pytest.raises(SlideError) as caught:
        measure_collagen(folder, stain="psr")
    assert caught.value.code == "unreadable_slide"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_headers_end_in_an_error_of_ours(tmp_path: Path) -> None:
    rgb = render_slide(stain="psr", caf_percent=10, seed=1, size_px=(300, 200)).rgb
    folder = write_dicom(tmp_path / "whole", rgb, MPP, levels=1, macro=False)
    (only,) = folder.iterdir()
    whole = only.read_bytes()
    generator = np.random.default_rng(0)
    path, refused = tmp_path / "damaged.dcm", 0
    for _ in range(150):
        damaged = bytearray(whole)
        for place in generator.integers(132, 1500, 4):
            damaged[place] = generator.integers(0, 256)
        path.write_bytes(damaged)
        try:
            open_slide(path).close()
        except SlideError:
            refused += 1
    assert refused > 50


def test_two_slides_in_a_folder_are_told_apart_by_naming_a_file(
    phantom: RenderedSlide, tmp_path: Path
) -> None:
    rgb = phantom.rgb[:512, :512]

    def other(dataset: Dataset) -> None:
        dataset.SeriesInstanceUID += ".1"

    folder = write_dicom(tmp_path / "one", rgb, MPP)
    for file in write_dicom(tmp_path / "two", rgb[:256], MPP, change=other).iterdir():
        shutil.move(file, folder / f"two_{file.name}")
    assert "more than one DICOM slide" in str(_refusal(folder))
    with open_slide(folder / "two_level0_0.dcm") as slide:
        assert slide.size_px == (512, 256)


def _refusal(path: Path) -> SlideError:
    with pytest.raises(SlideError) as caught:
        open_slide(path)
    return caught.value
