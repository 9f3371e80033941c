"""A slide in, a collagen measurement out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fibrovol.errors import MeasurementError, SlideError
from fibrovol.histology.measure import measure_collagen, write_outputs
from fibrovol.histology.settings import SlideChoices, Tuning
from PIL import Image

from .conftest import COLOURS, Field, draw_field, write_png, write_pyramid


@pytest.mark.parametrize("stain", list(COLOURS))
@pytest.mark.parametrize(("bands", "width"), [(1, 6), (6, 14), (12, 36)])
def test_fraction_of_a_drawn_field(tmp_path: Path, stain: str, bands: int, width: int) -> None:
    field = draw_field(stain, bands=bands, width=width)
    measured = measure_collagen(write_png(tmp_path / "f.png", field.rgb), stain=stain, mpp_um=1.0)
    assert measured.caf_percent == pytest.approx(field.caf_percent, abs=1.0)
    assert measured.tissue_mm2 == pytest.approx(field.tissue.sum() / 1e6, rel=0.02)
    assert measured.caf_percent_low <= measured.caf_percent <= measured.caf_percent_high
    assert measured.caf_with_lumens_percent < measured.caf_percent
    assert measured.n_fragments == 1


def test_parts_add_up(tmp_path: Path, psr_field: Field) -> None:
    path = write_png(tmp_path / "f.png", psr_field.rgb)
    measured = measure_collagen(path, stain="psr", mpp_um=1.0)
    pixel = (measured.analysis_mpp_um / 1000) ** 2
    tissue, collagen = measured.tissue_mask.to_array(), measured.collagen_mask.to_array()
    assert measured.tissue_mm2 == pytest.approx(tissue.sum() * pixel)
    assert measured.collagen_mm2 == pytest.approx(collagen.sum() * pixel)
    assert not (collagen & ~tissue).any()
    assert measured.caf_percent == pytest.approx(100 * measured.collagen_mm2 / measured.tissue_mm2)
    assert sum(p.tissue_mm2 for p in measured.fragments) == pytest.approx(measured.tissue_mm2)


@pytest.mark.parametrize("mpp_um", [0.65, 1.0])  # 0.65 um does not divide 1.0: interpolated
def test_tile_size_changes_nothing(tmp_path: Path, psr_field: Field, mpp_um: float) -> None:
    rgb = np.tile(psr_field.rgb, (2, 2, 1))
    path = write_pyramid(tmp_path / "f.tif", rgb, mpp_um, tile=128)
    region = tmp_path / "r.geojson"
    corners = [[31.3, 40.1], [1431.7, 66.2], [1560.4, 1510.9], [12.6, 1402.2], [31.3, 40.1]]
    region.write_text(json.dumps({"type": "Polygon", "coordinates": [corners]}), encoding="utf-8")
    tuning = Tuning(bootstrap_draws=100)
    one, other = (
        measure_collagen(
            path, stain="psr", include=region, tuning=replace(tuning, tile_px=tile, threads=n)
        )
        for tile, n in ((16384, 1), (16, 3))
    )
    assert np.array_equal(one.collagen_mask.to_array(), other.collagen_mask.to_array())
    assert np.array_equal(one.tissue_mask.to_array(), other.tissue_mask.to_array())
    assert one.fragments == other.fragments
    assert one.caf_percent_low == other.caf_percent_low


def test_a_picture_without_pixel_size_is_refused(tmp_path: Path, psr_field: Field) -> None:
    path = write_png(tmp_path / "f.png", psr_field.rgb)
    with pytest.raises(SlideError, match="--mpp") as caught:
        measure_collagen(path, stain="psr")
    assert caught.value.code == "no_pixel_size"


def test_empty_glass_is_refused(tmp_path: Path) -> None:
    glass = np.full((600, 600, 3), 242, np.uint8)
    with pytest.raises(MeasurementError) as caught:
        measure_collagen(write_png(tmp_path / "g.png", glass), stain="psr", mpp_um=1.0)
    assert caught.value.code == "no_tissue_found"


def test_unknown_stain_is_refused(tmp_path: Path, psr_field: Field) -> None:
    path = write_png(tmp_path / "f.png", psr_field.rgb)
    with pytest.raises(SlideError) as caught:
        measure_collagen(path, stain="h&e", mpp_um=1.0)
    assert caught.value.code == "unknown_stain"


def test_files_of_a_measurement(tmp_path: Path, psr_field: Field) -> None:
    path = write_png(tmp_path / "f.png", psr_field.rgb)
    measured = measure_collagen(path, stain="psr", mpp_um=1.0)
    files = write_outputs(measured, tmp_path / "out", "S01_baseline")
    with tifffile.TiffFile(files.mask_path) as tiff:
        assert tiff.is_ome
        mask = tiff.series[0].asarray()
    assert ((mask == 2) == measured.collagen_mask.to_array()).all()
    assert ((mask >= 1) == measured.tissue_mask.to_array()).all()
    for picture in (files.overlay_path, files.pair_path):
        with Image.open(picture) as opened:
            assert opened.format == "PNG"
            across = 1 if picture == files.overlay_path else 2
            width_mm = opened.width / across * float(opened.info["mm_per_px"])
        assert width_mm == pytest.approx(psr_field.rgb.shape[1] / 1000, rel=0.02)


def test_the_same_measurement_writes_the_same_bytes(tmp_path: Path, psr_field: Field) -> None:
    path = write_png(tmp_path / "f.png", psr_field.rgb)
    for folder in ("one", "other"):
        measured = measure_collagen(path, stain="psr", mpp_um=1.0)
        write_outputs(measured, tmp_path / folder, "case")
    names = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert len(names) == 4
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    with tifffile.TiffFile(tmp_path / "one" / "case_mask.ome.tif") as tiff:
        identifier = tifffile.xml2dict(tiff.ome_metadata or "")["OME"]["UUID"]
    mirrored = write_png(tmp_path / "m.png", psr_field.rgb[:, ::-1])
    write_outputs(measure_collagen(mirrored, stain="psr", mpp_um=1.0), tmp_path, "mirrored")
    with tifffile.TiffFile(tmp_path / "mirrored_mask.ome.tif") as tiff:
        assert tifffile.xml2dict(tiff.ome_metadata or "")["OME"]["UUID"] != identifier


def test_pictures_show_the_image_that_was_measured(tmp_path: Path, psr_field: Field) -> None:
    """Also where the overview is too coarse for them and the file is read again."""
    path, other = tmp_path / "two.tif", np.rot90(psr_field.rgb)
    with tifffile.TiffWriter(path) as tiff:
        for rgb in (psr_field.rgb, other):
            tiff.write(rgb, photometric="rgb", resolution=(1e4, 1e4), resolutionunit="CENTIMETER")
    measured = measure_collagen(path, stain="psr", choices=SlideChoices(image=2))
    coarse = replace(measured, thumbnail_mpp_um=8.0)
    files = write_outputs(coarse, tmp_path, "case", polygons=False)
    with Image.open(files.pair_path) as pair:
        plain = np.asarray(pair)[: other.shape[0], : other.shape[1]]
    assert np.abs(plain.astype(int) - other).max() <= 1


def test_a_tinted_grey_picture_is_refused_as_such(tmp_path: Path, psr_field: Field) -> None:
    grey = psr_field.rgb.mean(axis=2, keepdims=True) * np.array([1.0, 0.97, 0.93])
    path = write_png(tmp_path / "g.png", grey.astype(np.uint8))
    with pytest.raises(MeasurementError, match="without colour") as caught:
        measure_collagen(path, stain="psr", mpp_um=1.0)
    assert caught.value.code == "no_tissue_found"


def test_real_picrosirius_tile(shared_data: Path) -> None:
    tile = shared_data / "slides" / "liver" / "psr_human_liver_tile.jpg"
    measured = measure_collagen(tile, stain="psr", mpp_um=1.0124)
    assert 14.0 < measured.caf_percent < 22.0
    assert "unusual_stain" not in measured.flags
