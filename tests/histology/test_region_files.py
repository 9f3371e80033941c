"""Regions as people export them: what is meant is read, what is not clear is refused."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import roifile
import tifffile
from fibrovol.errors import MeasurementError, RegionError
from fibrovol.histology.measure import measure_collagen
from fibrovol.histology.regions import RegionChoice, read_region
from fibrovol.histology.settings import SlideChoices
from PIL import Image

from .conftest import Field, a_slide, write_png

WIDTH, HEIGHT = 240, 160
SLIDE = a_slide(WIDTH, HEIGHT)
LEFT = np.zeros((HEIGHT, WIDTH), np.uint8)
LEFT[:, : WIDTH // 2] = 1
RING: list[list[float]] = [[0, 0], [WIDTH / 2, 0], [WIDTH / 2, HEIGHT], [0, HEIGHT], [0, 0]]
AREA = {"type": "Polygon", "coordinates": [RING]}


def inside(path: Path, slide: Any = SLIDE, **choice: Any) -> np.ndarray:
    region = read_region(path, slide, RegionChoice(**choice)).region
    return region.inside(0, 0, WIDTH, HEIGHT, (WIDTH, HEIGHT))


def masks(folder: Path) -> dict[str, Path]:
    def saved(name: str, values: np.ndarray) -> Path:
        assert cv2.imwrite(str(folder / name), values)
        return folder / name

    red = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    red[LEFT > 0] = (0, 0, 200)
    palette = Image.fromarray(LEFT, "P")
    palette.putpalette([255, 255, 255, 200, 0, 0] + [0] * 762)
    palette.save(folder / "palette.png")
    Image.fromarray(LEFT * 255).convert("1").save(folder / "bits.png")
    tifffile.imwrite(folder / "float.tif", LEFT.astype(np.float32))
    white = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    return {
        "255": saved("a.png", LEFT * 255),
        "1": saved("b.png", LEFT),
        "16 bit": saved("c.png", LEFT.astype(np.uint16) * 7),
        "red": saved("d.png", red),
        "alpha": saved("e.png", np.dstack([white, LEFT * 255])),
        "jpeg": saved("f.jpg", LEFT * 255),
        "colour table": folder / "palette.png",
        "bits": folder / "bits.png",
        "float": folder / "float.tif",
    }


def test_masks_of_two_values_mean_the_same(tmp_path: Path) -> None:
    for name, path in masks(tmp_path).items():
        assert (inside(path) == (LEFT > 0)).all(), name


def test_labels_are_refused_and_chosen(tmp_path: Path) -> None:
    labels = LEFT.copy()
    labels[:50, : WIDTH // 2] = 2
    cv2.imwrite(str(tmp_path / "l.png"), labels)
    with pytest.raises(RegionError, match="3 labels: 0, 1, 2"):
        inside(tmp_path / "l.png")
    assert (inside(tmp_path / "l.png", label="2") == (labels == 2)).all()
    assert (inside(tmp_path / "l.png", label="1; 2") == (labels > 0)).all()
    with pytest.raises(RegionError, match="no label 3 among 0, 1, 2"):
        inside(tmp_path / "l.png", label="3")
    coloured = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    coloured[LEFT > 0] = (0, 0, 200)  # OpenCV: blue first
    cv2.imwrite(str(tmp_path / "c.png"), coloured)
    with pytest.raises(RegionError, match="2 colours: #C80000, #FFFFFF"):
        inside(tmp_path / "c.png")
    assert (inside(tmp_path / "c.png", label="#C80000") == (LEFT > 0)).all()


def collection(*features: tuple[Any, str]) -> dict[str, Any]:
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": geometry,
                "properties": {"classification": {"name": name}},
            }
            for geometry, name in features
        ],
    }


@pytest.mark.parametrize(
    "other",
    [
        {"type": "Point", "coordinates": [9, 9]},
        {"type": "LineString", "coordinates": [[1, 1], [9, 9]]},
        {"type": "MultiPolygon", "coordinates": []},
        None,
    ],
)
def test_what_is_no_area_is_passed_over_with_a_note(tmp_path: Path, other: Any) -> None:
    path = tmp_path / "r.geojson"
    path.write_text(json.dumps(collection((AREA, "Vessel"), (other, "x"))), encoding="utf-8")
    read = read_region(path, SLIDE)
    assert (read.region.inside(0, 0, WIDTH, HEIGHT, (WIDTH, HEIGHT)) == (LEFT > 0)).all()
    assert len(read.notes) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_names_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "r.geojson"
    text = json.dumps(collection((AREA, "Gefäß")), ensure_ascii=False)
    path.write_bytes(text.encode(encoding))
    assert (inside(path, classes=("gefäß",)) == (LEFT > 0)).all()
    (tmp_path / "r.geojson.gz").write_bytes(gzip.compress(text.encode(encoding)))
    assert (inside(tmp_path / "r.geojson.gz") == (LEFT > 0)).all()


def test_classes_are_chosen_by_name_and_ignored_ones_cut_out(tmp_path: Path) -> None:
    whole = [[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT], [0, 0]]
    everything = {"type": "Polygon", "coordinates": [whole]}
    path = tmp_path / "r.geojson"
    path.write_text(json.dumps(collection((everything, "Tissue"), (AREA, "Exclude"))))
    assert inside(path).all()
    assert (inside(path, classes=("Exclude",)) == (LEFT > 0)).all()
    with pytest.raises(RegionError, match="no class 'Clot' among Exclude, Tissue"):
        inside(path, classes=("Clot",))
    path.write_text(json.dumps(collection((everything, "Tissue"), (AREA, "Ignore*"))))
    assert (inside(path) == (LEFT == 0)).all()


def test_imagej_regions(tmp_path: Path) -> None:
    roi = roifile.ImagejRoi.frompoints(np.array(RING[:4], dtype=float), name="left")
    roi.roitype = roifile.ROI_TYPE.POLYGON
    roi.tofile(tmp_path / "a.roi")
    line = roifile.ImagejRoi.frompoints(np.array([[1, 1], [50, 50]]))
    line.roitype = roifile.ROI_TYPE.POLYLINE
    roifile.roiwrite(tmp_path / "RoiSet.zip", [roi, line], name=["left", "length"])
    for name in ("a.roi", "RoiSet.zip"):
        assert inside(tmp_path / name).mean() == pytest.approx(0.5, abs=0.01)
    assert read_region(tmp_path / "RoiSet.zip", SLIDE).notes == (
        "1 x polyline passed over: no area",
    )
    oval = roifile.ImagejRoi(
        roitype=roifile.ROI_TYPE.OVAL, left=20, top=30, right=120, bottom=110, version=228
    )
    oval.tofile(tmp_path / "o.roi")
    assert inside(tmp_path / "o.roi").sum() == pytest.approx(math.pi * 50 * 40, rel=0.02)


def test_aperio_and_asap(tmp_path: Path) -> None:
    def region(ring: list[list[float]], **more: str) -> str:
        points = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in ring[:4])
        names = "".join(f' {key}="{value}"' for key, value in more.items())
        return f"<Region{names}><Vertices>{points}</Vertices></Region>"

    hole: list[list[float]] = [[0, 0], [60, 0], [60, HEIGHT], [0, HEIGHT]]
    body = region(RING, Type="0") + region(hole, Type="0", NegativeROA="1")
    body += region([[1, 1], [9, 9]], Type="4")
    xml = f'<Annotations MicronsPerPixel="0.5"><Annotation Name="L1"><Regions>{body}</Regions>'
    (tmp_path / "a.xml").write_text(xml + "</Annotation></Annotations>", encoding="utf-8")
    assert inside(tmp_path / "a.xml").mean() == pytest.approx(0.25, abs=0.01)
    points = "".join(f'<Coordinate Order="{n}" X="{x}" Y="{y}"/>' for n, (x, y) in enumerate(RING))
    asap = f'<Annotation Name="1" Type="Polygon" PartOfGroup="None"><Coordinates>{points}'
    asap = f"<ASAP_Annotations><Annotations>{asap}</Coordinates></Annotation></Annotations>"
    (tmp_path / "b.xml").write_text(asap + "</ASAP_Annotations>", encoding="utf-8")
    assert (inside(tmp_path / "b.xml") == (LEFT > 0)).all()


def test_ndpa_counts_nanometres_from_the_middle_of_the_glass(tmp_path: Path) -> None:
    offset = {"X": 3_000_000.0, "Y": -1_500_000.0}
    slide = a_slide(
        WIDTH,
        HEIGHT,
        0.5,
        properties={f"hamamatsu.{k}OffsetFromSlideCentre": f"{v:g}" for k, v in offset.items()},
    )
    points = "".join(
        f"<point><x>{offset['X'] + (x - WIDTH / 2) * 500}</x>"
        f"<y>{offset['Y'] + (y - HEIGHT / 2) * 500}</y></point>"
        for x, y in RING[:4]
    )
    view = f"<ndpviewstate><title>v</title><annotation type='freehand' closed='1'>{points}"
    path = tmp_path / "a.ndpi.ndpa"
    text = f"<annotations>{view}</annotation></ndpviewstate></annotations>"
    path.write_text(text, encoding="utf-8")
    assert (inside(path, slide) == (LEFT > 0)).all()
    with pytest.raises(RegionError, match="where on the glass"):
        inside(path)


def test_millimetres_and_micrometres_are_told_by_their_range(tmp_path: Path) -> None:
    path = tmp_path / "r.geojson"
    corners = np.array([[0, 0], [2000, 0], [2000, 900], [0, 0]])
    for scale, mpp, word in ((0.0005, 0.5, "millimetres"), (2.0, 2.0, "micrometres")):
        ring = (corners * scale).tolist()
        path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
        with pytest.raises(RegionError, match=word):
            read_region(path, a_slide(2000, 1000, mpp))


def test_a_region_that_changes_nothing_is_flagged(tmp_path: Path, psr_field: Field) -> None:
    slide, path = write_png(tmp_path / "f.png", psr_field.rgb), tmp_path / "r.geojson"
    ring = [[5, 5], [45, 5], [45, 35], [5, 5]]
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    measured = measure_collagen(slide, stain="psr", mpp_um=1.0, exclude=path)
    assert "region_without_effect" in measured.flags
    whole = [[0, 0], [800, 0], [800, 800], [0, 800], [0, 0]]
    path.write_text(json.dumps(collection(({"type": "Polygon", "coordinates": [whole]}, "Tissue"))))
    with pytest.raises(MeasurementError, match=r"left out by the regions.*Tissue"):
        measure_collagen(slide, stain="psr", mpp_um=1.0, exclude=path)


def test_given_and_picked_glass(tmp_path: Path, psr_field: Field) -> None:
    slide = write_png(tmp_path / "f.png", psr_field.rgb)
    seen = measure_collagen(slide, stain="psr", mpp_um=1.0)
    for white in ((243, 243, 241), (10, 10, 50, 700)):
        choices = SlideChoices(white=white)
        given = measure_collagen(slide, stain="psr", mpp_um=1.0, choices=choices)
        assert given.caf_percent == pytest.approx(seen.caf_percent, abs=0.1)
    choices = SlideChoices(white=(10, 10, 50, 900))
    with pytest.raises(RegionError, match="does not lie on"):
        measure_collagen(slide, stain="psr", mpp_um=1.0, choices=choices)
