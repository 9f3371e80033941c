"""Phantom slides: their truth against their masks, and their files in other software."""

import hashlib

import numpy as np
import openslide
import pytest
import tifffile
from fibrovol.phantoms.sections import smooth_noise
from fibrovol.phantoms.slides import STAINS, render_slide, write_pyramid, write_slide

SMALL_PX = (2400, 800)


@pytest.fixture(scope="module")
def slide():
    return render_slide(stain="psr", caf_percent=18.0, seed=3, size_px=SMALL_PX)


def test_the_fraction_is_that_of_the_masks(slide):
    assert slide.caf_percent == pytest.approx(100.0 * slide.collagen.sum() / slide.tissue.sum())
    assert not (slide.collagen & ~slide.tissue).any()


@pytest.mark.parametrize("stain", sorted(STAINS))
@pytest.mark.parametrize("wanted", [1.0, 8.0, 25.0, 45.0])
def test_the_wanted_fraction_is_drawn(stain, wanted):
    slide = render_slide(stain=stain, caf_percent=wanted, seed=1, size_px=SMALL_PX)
    assert slide.caf_percent == pytest.approx(wanted, abs=0.4)


def test_the_truth_is_written_with_its_areas(tmp_path):
    truth = write_slide(tmp_path / "a.tif", caf_percent=12.0, seed=2, size_px=SMALL_PX, mpp_um=1.0)
    again = render_slide(stain="psr", caf_percent=12.0, seed=2, size_px=SMALL_PX, mpp_um=1.0)
    assert truth.tissue_mm2 == pytest.approx(again.tissue.sum() * 1e-6)
    assert truth.collagen_mm2 == pytest.approx(again.collagen.sum() * 1e-6)
    assert truth.caf_percent == pytest.approx(100 * truth.collagen_mm2 / truth.tissue_mm2)
    assert 1.5 < truth.length_mm < 2.4


def test_the_glass_is_white_and_the_tissue_absorbs_light(slide):
    around = ~slide.tissue
    assert np.median(slide.rgb[around].min(axis=1)) > 215
    assert np.median(slide.rgb[slide.tissue].min(axis=1)) < 180
    assert 0.2 < slide.tissue.mean() < 0.85
    assert not slide.tissue[[0, -1]].any()


@pytest.mark.parametrize(("stain", "channel"), [("psr", 0), ("masson", 2)])
def test_collagen_has_the_colour_of_its_dye(stain, channel):
    slide = render_slide(stain=stain, caf_percent=20.0, seed=4, size_px=SMALL_PX)
    collagen = np.median(slide.rgb[slide.collagen], axis=0)
    assert collagen.argmax() == channel
    assert collagen[channel] > 1.3 * np.delete(collagen, channel).max()


def test_densities_of_two_strengths_of_stain_are_proportional(slide):
    """Beer-Lambert: away from edges the density's direction is that of the dye."""
    density = -np.log10((slide.rgb[slide.collagen].astype(float) + 1.0) / 250.0)
    strong = density[density.sum(axis=1) > np.percentile(density.sum(axis=1), 90)].mean(axis=0)
    middle = density[density.sum(axis=1) < np.percentile(density.sum(axis=1), 60)].mean(axis=0)
    cosine = strong @ middle / np.linalg.norm(strong) / np.linalg.norm(middle)
    assert cosine > 0.98


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name, seed in (("a.tif", 5), ("b.tif", 5), ("c.tif", 6)):
        write_slide(tmp_path / name, caf_percent=10.0, seed=seed, size_px=(1200, 800))
    a, b, c = (
        hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        for name in ("a.tif", "b.tif", "c.tif")
    )
    assert a == b
    assert a != c


def test_the_pyramid_opens_in_openslide_and_states_its_pixel_size(tmp_path, slide):
    path = tmp_path / "slide.tif"
    write_pyramid(path, slide.rgb, mpp_um=0.8)
    opened = openslide.OpenSlide(str(path))
    assert opened.dimensions == SMALL_PX
    assert opened.level_count == 2
    assert float(opened.properties["openslide.mpp-x"]) == pytest.approx(0.8, rel=1e-3)
    region = np.asarray(opened.read_region((500, 300), 0, (200, 100)).convert("RGB"))
    expected = slide.rgb[300:400, 500:700]
    assert np.abs(region.astype(int) - expected.astype(int)).mean() < 6.0


def test_the_pyramid_opens_in_tifffile_with_tiles_and_levels(tmp_path, slide):
    path = tmp_path / "slide.tif"
    write_pyramid(path, slide.rgb, mpp_um=0.8)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        assert page.is_tiled
        assert page.compression == tifffile.COMPRESSION.JPEG
        numerator, denominator = page.tags["XResolution"].value
        assert numerator / denominator == pytest.approx(1e4 / 0.8, rel=1e-4)
        assert page.tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
        assert tiff.pages[1].is_reduced


def test_the_ome_tiff_states_its_pixel_size_and_keeps_its_levels(tmp_path, slide):
    path = tmp_path / "slide.ome.tif"
    write_pyramid(path, slide.rgb, mpp_um=0.8, ome=True)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        assert 'PhysicalSizeX="0.8"' in tiff.ome_metadata
        assert len(tiff.series[0].levels) == 2


def test_ome_files_are_the_same_bytes_too(tmp_path):
    for name in ("a", "b"):
        write_slide(tmp_path / name / "s.ome.tif", seed=1, size_px=(1200, 800), ome=True)
    assert (tmp_path / "a" / "s.ome.tif").read_bytes() == (
        tmp_path / "b" / "s.ome.tif"
    ).read_bytes()


@pytest.mark.parametrize("wanted", [0.0, 60.0])
def test_an_impossible_fraction_is_refused(wanted):
    with pytest.raises(ValueError, match="collagen fraction"):
        render_slide(stain="psr", caf_percent=wanted, seed=0, size_px=SMALL_PX)


@pytest.mark.parametrize("scale", [3.0, 20.0, 90.0])
def test_noise_has_its_scale(scale):
    field = smooth_noise(np.random.default_rng(0), (600, 900), scale)
    assert field.shape == (600, 900)
    assert field.std() == pytest.approx(1.0, rel=0.35)
    step = np.abs(np.diff(field, axis=1)).mean()
    assert 0.3 / scale < step < 3.0 / scale
