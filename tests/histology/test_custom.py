"""A stain of the user's own: by vectors, by colours, by regions picked on a slide."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from fibrovol.errors import ConfigError, SlideError
from fibrovol.histology.custom import read_custom_stain
from fibrovol.histology.measure import measure_collagen
from fibrovol.histology.results.measurement import CollagenMeasurement
from fibrovol.phantoms import slides
from fibrovol.phantoms.slides import StainLook, render_slide
from fibrovol.settings import load_settings

from .conftest import COLOURS, GLASS, draw_field, write_png


def _measured(path: Path, description: str) -> CollagenMeasurement:
    file = path.with_suffix(".yaml")
    file.write_text(description, encoding="utf-8")
    settings = replace(load_settings().collagen, custom_stain=str(file))
    return measure_collagen(path, stain="custom", mpp_um=1.0, settings=settings)


def _od(rgb: tuple[int, int, int]) -> list[float]:
    return [round(float(np.log10(g / v)), 3) for g, v in zip(GLASS, rgb, strict=True)]


@pytest.mark.parametrize("stain", list(COLOURS))
@pytest.mark.parametrize("way", ["od", "rgb"])
def test_vectors_and_colours_measure_what_the_named_stain_measures(
    tmp_path: Path, stain: str, way: str
) -> None:
    field = draw_field(stain)
    tissue, collagen = COLOURS[stain]
    give = _od if way == "od" else list
    description = f"collagen: {{{way}: {give(collagen)}}}\ntissue: {{{way}: {give(tissue)}}}\n"
    measured = _measured(write_png(tmp_path / "f.png", field.rgb), description)
    assert measured.caf_percent == pytest.approx(field.caf_percent, abs=1.5)
    assert "unusual_stain" not in measured.flags
    assert measured.parameters["settings"]["custom_stain"] == "f.yaml"


def test_regions_picked_on_the_measured_slide_or_on_another(tmp_path: Path) -> None:
    field = draw_field("masson_green", width=40)
    # where a square of 9 x 9 pixels is nothing but the one colour
    disk = np.ones((9, 9), np.uint8)
    y, x = np.argwhere(cv2.erode(field.collagen.astype(np.uint8), disk))[0]
    rest = cv2.erode((field.tissue & ~field.collagen).astype(np.uint8), np.ones((41, 41), np.uint8))
    row, column = np.argwhere(rest)[0]
    ring = [[x - 4, y - 4], [x + 5, y - 4], [x + 5, y + 5], [x - 4, y + 5], [x - 4, y - 4]]
    polygon = {"type": "Polygon", "coordinates": [np.array(ring).tolist()]}
    (tmp_path / "collagen.geojson").write_text(json.dumps(polygon), encoding="utf-8")
    picks = (
        "collagen: { region: collagen.geojson }\n"
        f"tissue: {{ rectangle: [{column - 20}, {row - 20}, 40, 40] }}\n"
    )
    path = write_png(tmp_path / "f.png", field.rgb)
    here = _measured(path, picks)
    other = draw_field("masson_green", seed=5)
    there = _measured(
        write_png(tmp_path / "other.png", other.rgb), f"slide: f.png\nmpp_um: 1.0\n{picks}"
    )
    assert here.caf_percent == pytest.approx(field.caf_percent, abs=1.5)
    assert there.caf_percent == pytest.approx(other.caf_percent, abs=1.5)


def test_the_stain_of_another_slide_is_unusual(tmp_path: Path) -> None:
    path = write_png(tmp_path / "f.png", draw_field("masson").rgb)
    measured = _measured(path, "collagen: { hue: 350 }\ntissue: { hue: 42 }\n")
    assert "unusual_stain" in measured.flags


@pytest.mark.parametrize(
    ("description", "found"),
    [
        ("collagen: { od: [0.1, 0.7] }\ntissue: { hue: 40 }", "collagen"),
        ("collagen: { od: [0.1, 0.7, 0.6] }", "tissue"),
        ("collagen: { hue: 350 }\ntissue: { hue: 40 }\ncolour: red", "colour"),
        ("collagen: { hue: 350, rgb: [1, 2, 3] }\ntissue: { hue: 40 }", "collagen"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, description: str, found: str) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(description, encoding="utf-8")
    with pytest.raises(ConfigError, match=found):
        read_custom_stain(file)


def test_colours_that_are_too_alike_are_refused(tmp_path: Path) -> None:
    path = write_png(tmp_path / "f.png", draw_field("psr").rgb)
    with pytest.raises(ConfigError, match="hue"):
        _measured(path, "collagen: { hue: 10 }\ntissue: { hue: 25 }\n")
    with pytest.raises(ConfigError, match="without colour"):
        _measured(path, "collagen: { rectangle: [0, 0, 20, 20] }\ntissue: { hue: 42 }\n")


def test_custom_without_a_description_is_refused(tmp_path: Path) -> None:
    path = write_png(tmp_path / "f.png", draw_field("psr").rgb)
    with pytest.raises(SlideError, match="--custom-stain") as caught:
        measure_collagen(path, stain="custom", mpp_um=1.0)
    assert caught.value.code == "unknown_stain"


def test_a_dye_duller_than_the_rest_of_the_tissue(tmp_path: Path) -> None:
    """Sirius red on fast green: the fibres have half the chroma per darkness of the tissue."""
    look = slides.STAINS["psr"]
    green = StainLook((0.376, 0.787, 0.489), (0.42, 0.10, 0.11), (0.45, 0.14, 0.15))
    drawn = render_slide(stain="psr", caf_percent=12, seed=5, size_px=(1500, 800))
    white = np.median(drawn.rgb[~drawn.tissue], axis=0)
    density = -np.log10(np.clip(drawn.rgb.astype(float), 1, 255) / white)
    amounts = density @ np.linalg.inv(np.array([look.collagen, look.cells, look.nuclei]))
    amounts[..., 1][drawn.collagen] *= 0.2  # fibres take up hardly any fast green
    restained = white * 10 ** -(amounts @ np.array([green.collagen, green.cells, green.nuclei]))
    path = write_png(tmp_path / "f.png", np.clip(restained, 0, 255).astype(np.uint8))
    file = tmp_path / "fast-green.yaml"
    file.write_text("collagen: {od: [0.376, 0.787, 0.489]}\ntissue: {od: [0.42, 0.10, 0.11]}\n")
    settings = replace(load_settings().collagen, custom_stain=str(file))
    measured = measure_collagen(path, stain="custom", mpp_um=1.0, settings=settings)
    assert measured.caf_percent == pytest.approx(drawn.caf_percent, abs=1.0)
    assert "unusual_stain" not in measured.flags
