"""Every file is opened with the right pixel size, or refused with the right reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from fibrovol.errors import SlideError
from fibrovol.histology.readers import open_slide, tiff_reader

from .conftest import Field, write_pyramid

OPENED = {
    "small_HE.svs": 0.499,
    "cmu-1-small-region.svs": 0.499,
    "small.svs": 0.499,
    "boxes_0.dcm": 0.499,
}
REFUSED = {
    "boxes.tiff": "implausible_pixel_size",  # 72 dpi
    "small_HE_levels.tiff": "implausible_pixel_size",
    "tcga-cr-7395-01a-01-ts1.svs": "no_pixel_size",
    "wsi-blue-pen.png": "no_pixel_size",
    "broken.svs": "unreadable_slide",
    "unreadable.svs": "unreadable_slide",
    "unopenable.tiff": "unreadable_slide",
    "smalltif.tif": "unreadable_slide",  # 16-bit grey with an RGB thumbnail
    "small_dicom.dcm": "unreadable_slide",  # no ImageType: which instance is the slide?
}


@pytest.mark.parametrize(("name", "mpp_um"), OPENED.items())
def test_opened(shared_data: Path, name: str, mpp_um: float) -> None:
    with open_slide(shared_data / "slides" / "formats" / name) as slide:
        assert slide.mpp_um == pytest.approx(mpp_um)
        assert slide.read_region(0, 0, 0, 8, 8).shape == (8, 8, 3)


@pytest.mark.parametrize(("name", "code"), REFUSED.items())
def test_refused(shared_data: Path, name: str, code: str) -> None:
    with pytest.raises(SlideError) as caught:
        open_slide(shared_data / "slides" / "formats" / name)
    assert caught.value.code == code


def test_jpeg_2000_slide_with_a_given_pixel_size(shared_data: Path) -> None:
    path = shared_data / "slides" / "formats" / "tcga-cr-7395-01a-01-ts1.svs"
    with open_slide(path, mpp_um=0.5) as slide:
        assert len(slide.levels) == 2
        assert slide.has_icc
        assert slide.mpp_source == "given"


def test_regions_of_a_pyramid_are_its_pixels(tmp_path: Path, psr_field: Field) -> None:
    path = write_pyramid(tmp_path / "p.tif", psr_field.rgb, 0.5, tile=64)
    with open_slide(path) as slide:
        assert slide.mpp_um == pytest.approx(0.5)
        assert [level.width_px for level in slide.levels] == [800, 400, 200]
        region = slide.read_region(0, 37, 101, 300, 211)
    assert np.array_equal(region, psr_field.rgb[101:312, 37:337])


@pytest.mark.parametrize("mpp_um", [0.0, -1.0, 352.8, float("nan")])
def test_an_implausible_given_pixel_size_is_refused(
    tmp_path: Path, psr_field: Field, mpp_um: float
) -> None:
    path = write_pyramid(tmp_path / "p.tif", psr_field.rgb, 0.5)
    with pytest.raises(SlideError) as caught:
        open_slide(path, mpp_um=mpp_um)
    assert caught.value.code == "implausible_pixel_size"


def test_a_document_type_in_ome_xml_is_not_read(tmp_path: Path) -> None:
    """A few lines of entities could grow to gigabytes."""
    pixels, path = np.full((64, 64, 3), 240, np.uint8), tmp_path / "slide.ome.tif"
    sizes = {f"PhysicalSize{axis}": 0.5 for axis in "XY"}
    tifffile.imwrite(path, pixels, photometric="rgb", ome=True, metadata=sizes)
    with open_slide(path) as slide:
        assert slide.mpp_um == pytest.approx(0.5)
    with tifffile.TiffFile(path) as file:
        text = file.ome_metadata or ""
    entities = '<!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><OME '
    assert text.count("<OME ") == 1
    changed = text.replace("<OME ", entities).encode()
    tifffile.imwrite(path, pixels, photometric="rgb", description=changed, metadata=None)
    with pytest.raises(SlideError, match="document type") as caught:
        open_slide(path)
    assert caught.value.code == "no_pixel_size"


def test_strips_are_decoded_once_for_all_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is as wide as the picture: with a tile's memory they were decoded nine times."""
    monkeypatch.setattr(tiff_reader, "CACHE_BYTES", 1 << 18)
    rgb = np.random.default_rng(0).integers(90, 250, (512, 512, 3), dtype=np.uint8)
    path = tmp_path / "rows.tif"
    cm = {"resolution": (1e4, 1e4), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, rgb, photometric="rgb", compression="lzw", rowsperstrip=1, **cm)
    decoded: list[int] = []
    raw = tiff_reader.TiffReader._raw

    def counted(self: tiff_reader.TiffReader, page: object, index: int) -> object:
        decoded.append(index)
        return raw(self, page, index)

    monkeypatch.setattr(tiff_reader.TiffReader, "_raw", counted)
    with open_slide(path) as slide:
        for x in range(0, 512, 128):
            for y in range(0, 512, 128):
                assert (slide.read_region(0, x, y, 128, 128) == rgb[y : y + 128, x : x + 128]).all()
    assert 512 <= len(decoded) < 2 * 512  # opening looks at some of them as well
