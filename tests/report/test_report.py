"""The report from hand-made tables: complete, escaped, self-contained, the same every time."""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from fibrovol.errors import ManifestError
from fibrovol.report import words
from fibrovol.report.checklists import FILENAME as CHECKLISTS
from fibrovol.report.figures import spread
from fibrovol.report.page import build_report
from fibrovol.report.pictures import Picture, embed, inside, widths_at_one_scale
from fibrovol.tables import read_table, write_table
from PIL import Image, PngImagePlugin

from .cohort import AWKWARD, write_directory
from .html_page import Page


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = write_directory(tmp_path_factory.mktemp("run"))
    build_report(directory)
    return directory


@pytest.fixture(scope="module")
def page(built: Path) -> Page:
    return Page((built / "report.html").read_text(encoding="utf-8"))


def test_tables_hold_every_subject(built: Path) -> None:
    rows = read_table(built, "paired")
    image = [row for row in rows if row["measure"] in ("liver_volume_ml", "caf_percent")]
    assert len(image) == 24
    assert {row["measure"] for row in rows} >= {"meld", "child_pugh_score", "albumin_g_dl"}
    liver = {row["subject"]: row for row in rows if row["measure"] == "liver_volume_ml"}
    assert liver["P11"]["call"] == liver["P12"]["call"] == "not paired"
    assert liver["P11"]["change"] is None
    statistics = {(row["measure"], row["quantity"]): row for row in read_table(built, "statistics")}
    change = statistics["liver_volume_ml", "mean_change"]
    paired = [float(row["change"]) for row in liver.values() if row["change"] is not None]
    assert change["n"] == len(paired) == 10
    assert change["value"] == pytest.approx(sum(paired) / 10, rel=1e-5)
    assert statistics["caf_percent", "n_paired"]["n"] == 9
    package = json.loads((built / "datapackage.json").read_text(encoding="utf-8"))
    assert {"paired", "statistics"} <= {resource["name"] for resource in package["resources"]}


def test_page_is_self_contained_and_ids_are_unique(built: Path, page: Page) -> None:
    for tag, attributes in page.attributes:
        for name in ("src", "href", "xlink:href"):
            value = attributes.get(name, "")
            assert not value or value.startswith(("data:", "#")) or value == CHECKLISTS, (
                tag,
                value,
            )
    assert (built / CHECKLISTS).is_file()
    assert len(page.ids) == len(set(page.ids))
    raw = (built / "report.html").read_text(encoding="utf-8")
    addresses = set(re.findall(r"https?://[^\s\"'<]+", raw))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    references = set(re.findall(r"url\(#([^)]+)\)", raw)) | set(
        re.findall(r'(?:xlink:href|href)="#([^"]+)"', raw)
    )
    assert references <= set(page.ids)


def test_failures_and_gaps_are_in_the_page(page: Page) -> None:
    text = " ".join(" ".join(page.text).split())
    assert "2 cases failed" in text
    assert "Two slices are 20 mm apart. Do: export it again." in text
    assert "the stains differ (psr and masson)" in text
    assert "no scan at month6" in text
    assert "10 of 12 enrolled subjects" in text
    assert "bilirubin_mg_dl is 44 in mg/dL: probably umol/L" in text
    assert "No outcome is recorded for P12" in text


def test_codes_are_text_in_html_and_svg(built: Path, page: Page) -> None:
    raw = (built / "report.html").read_text(encoding="utf-8")
    assert AWKWARD not in raw
    assert sum(AWKWARD in piece for piece in page.text) >= 6  # tables and figures
    assert "<nothing>" not in raw


def test_every_figure_has_words(page: Page) -> None:
    figures = [a for tag, a in page.attributes if tag == "svg"]
    pictures = [a for tag, a in page.attributes if tag == "img"]
    # flow, lines and changes of two measures; three scores; three scatters; two outcome curves
    # and the courses
    assert len(figures) == 6 + 3 + 3 + 3
    assert len(pictures) == 44
    assert all(len(a["aria-label"]) > 20 for a in figures)
    assert all(len(a["alt"]) > 20 and a["src"].startswith("data:image/jpeg") for a in pictures)


def test_second_build_gives_the_same_bytes(built: Path, tmp_path: Path) -> None:
    names = ("report.html", "paired.csv", "statistics.csv", "datapackage.json")
    before = {name: (built / name).read_bytes() for name in names}
    build_report(built)
    assert before == {name: (built / name).read_bytes() for name in names}
    again = write_directory(tmp_path)
    build_report(again)
    assert (again / "report.html").read_bytes() == before["report.html"]


def test_tables_without_a_study_give_a_page_of_what_was_measured(tmp_path: Path) -> None:
    write_table(
        tmp_path,
        "volumes",
        [{"case_id": "one", "status": "measured", "volume_ml": 1200.0, "modality": "CT"}],
    )
    path = build_report(tmp_path)
    page = Page(path.read_text(encoding="utf-8"))
    text = " ".join(page.text)
    assert "No primary measure could be compared" in text
    assert "1,200 mL" in text
    assert read_table(tmp_path, "paired") == []


def test_methods_name_what_was_used_and_nothing_else(page: Page, tmp_path: Path) -> None:
    text = " ".join(" ".join(page.text).split())
    for phrase in ("reference change value 16 % for liver volume", "liver_net", "Fibrovol 0.1.0",
                  "MELD 3.0 (Kim 2021)", "Kaplan and Meier", "Zou GY, Donner A."):  # fmt: skip
        assert phrase in text
    assert "smallest detectable change" not in text
    directory = write_directory(tmp_path, 7)
    for name in ("clinical.csv", "outcomes.csv", "collagen.csv"):
        (directory / name).unlink()
    study = json.loads((directory / "study.json").read_text(encoding="utf-8"))
    study["smallest_detectable"] = {"liver_volume_ml": 60}
    (directory / "study.json").write_text(json.dumps(study), encoding="utf-8")
    text = build_report(directory).read_text(encoding="utf-8")
    assert "smallest detectable change" in text
    for phrase in ("MELD", "Kaplan", "biopsy", "stain"):
        assert phrase not in text


def test_three_visits(tmp_path: Path) -> None:
    directory = write_directory(tmp_path, 9, visits=("base", "m6", "m12"), images_only=True)
    page = Page(build_report(directory).read_text(encoding="utf-8"))
    ids = {a["id"] for tag, a in page.attributes if tag == "svg"}
    assert {
        "lines-liver-volume-ml-m6",
        "lines-liver-volume-ml-m12",
        "forest-caf-percent-m12",
    } <= ids
    measures = {row["measure"] for row in read_table(directory, "statistics")}
    assert "liver_volume_ml@m12" in measures


@pytest.mark.parametrize("subjects", [1, 2, 3])
def test_tiny_studies_claim_nothing(tmp_path: Path, subjects: int) -> None:
    directory = write_directory(tmp_path, subjects)
    text = build_report(directory).read_text(encoding="utf-8")
    assert "<h1>" in text


def test_an_empty_or_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="nothing to report"):
        build_report(tmp_path)
    with pytest.raises(ManifestError, match="needs an output directory"):
        build_report(tmp_path / "absent")
    write_directory(tmp_path, 2)
    (tmp_path / "study.json").write_text("{", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"study\.json cannot be read"):
        build_report(tmp_path)
    (tmp_path / "study.json").write_text('{"primary_measures": ["mood"]}', encoding="utf-8")
    with pytest.raises(ManifestError, match="mood"):
        build_report(tmp_path)


def test_pictures_outside_the_directory_are_not_embedded(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"x")
    inner = tmp_path / "out"
    inner.mkdir()
    (inner / "fake.png").write_text("no picture", encoding="utf-8")
    assert inside(inner, "../secret.png") is None
    assert inside(inner, str(tmp_path / "secret.png")) is None
    assert inside(inner, "") is None
    path = inside(inner, "fake.png")
    assert path is not None
    assert embed(path, 1000) is None


def test_visits_of_a_subject_are_shown_at_one_scale(page: Page) -> None:
    shots = {a["alt"].split(":")[0]: a for tag, a in page.attributes if tag == "img"}

    def mm_per_percent(alt: str, width_mm: float) -> float:
        found = re.fullmatch(r"width: ([\d.]+)%", shots[alt]["style"])
        assert found is not None
        assert 0 < float(found[1]) <= 100
        return width_mm / float(found[1])

    # 600 pixels of 16 and of 8 um: the second picture must be half as wide as the first
    first = mm_per_percent("Slide of P01, baseline", 600 * 0.016)
    second = mm_per_percent("Slide of P01, month6", 600 * 0.008)
    assert first == pytest.approx(second, rel=1e-3)
    scans = {a["style"] for alt, a in shots.items() if alt.startswith("Scan")}
    assert scans == {"width: 100.000%"}
    # a picture without a stated scale is not made to look as if it had one
    assert "style" not in shots["Slide of P05, baseline"]
    assert " ".join(page.text).count("Scale not stated") == 1


def test_widths_at_one_scale() -> None:
    wide, half = Picture("a", 1000, 400, 0.01), Picture("b", 1000, 300, 0.005)
    assert widths_at_one_scale([wide, half]) == pytest.approx([100, 50])
    unknown = Picture("c", 700, 100)
    assert widths_at_one_scale([unknown, half]) == [None, pytest.approx(100)]
    tall = Picture("d", 500, 5500, 0.01)  # 55 mm high: a column of 50 mm would be filled
    assert widths_at_one_scale([wide, tall]) == pytest.approx([20, 10])
    assert widths_at_one_scale([]) == []


@pytest.mark.parametrize(
    ("text", "scale"),
    [("0.5", 1.0), ("nan", None), ("-1", None), ("0", None), ("a millimetre", None), (None, None)],
)
def test_only_a_scale_is_taken_for_one(
    tmp_path: Path, text: str | None, scale: float | None
) -> None:
    path = tmp_path / "p.png"
    chunk = PngImagePlugin.PngInfo()
    if text is not None:
        chunk.add_text("mm_per_px", text)
    Image.new("RGB", (2000, 100)).save(path, pnginfo=chunk)
    picture = embed(path, 100_000)
    assert picture is not None
    assert picture.width_px == 1000  # shrunk to half, so that a pixel is twice as long
    assert picture.mm_per_px == scale


def test_a_picture_is_as_wide_and_as_good_as_its_share_of_the_page_allows(tmp_path: Path) -> None:
    """The quick search finds what trying every width in turn finds."""

    def jpeg(image: Image.Image, quality: int) -> bytes:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality, subsampling=0, optimize=True)
        return stream.getvalue()

    def tried_in_turn(image: Image.Image, budget: int) -> tuple[int, int]:
        width = min(1000, image.width)
        while True:
            height = round(image.height * width / image.width)
            small = image.resize((width, height), Image.Resampling.LANCZOS)
            sizes = [len(jpeg(small, quality)) for quality in (85, 75, 60)]
            if sizes[2] <= budget or width <= 320:
                return width, next((size for size in sizes if size <= budget), sizes[2])
            width = max(320, int(width * 0.8))

    rng = np.random.default_rng(0)
    smooth = np.tile(np.linspace(0, 255, 1200), (500, 1))[..., None].repeat(3, axis=2)
    textured = (smooth + rng.normal(0, 40, smooth.shape)).clip(0, 255)
    for number, array in enumerate((smooth, textured)):
        image = Image.fromarray(array.astype(np.uint8))
        image.save(tmp_path / f"{number}.png")
        for budget in (4_000, 12_000, 40_000, 90_000, 180_000):
            picture = embed(tmp_path / f"{number}.png", budget)
            assert picture is not None
            found = len(base64.b64decode(picture.uri.partition(",")[2]))
            assert (picture.width_px, found) == tried_in_turn(image, budget)


def test_forty_cases_stay_below_fifteen_megabytes(tmp_path: Path) -> None:
    path = build_report(write_directory(tmp_path, 20, shrink=1))
    assert path.stat().st_size < 15e6


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.125, "0.125"), (0.0004, "< 0.001"), (0.0495, "0.050"), (0.25, "0.25"), (0.999, "1.00")],
)
def test_p_values_are_not_rounded_below_what_a_test_can_give(p: float, text: str) -> None:
    # with 4 pairs no exact test can give less than 0.125: "0.12" would contradict the next sentence
    assert words.p_value(p) == text


def test_captions_claim_no_interval_that_is_not_drawn() -> None:
    assert "t interval" in words.lines_caption(True, True)
    assert "interval" not in words.lines_caption(True, False)
    assert "mean" not in words.lines_caption(False, False)
    assert "too few for an interval" in words.changes_caption(True, True, False)
    assert "no error limits" in words.changes_caption(False, True, True)
    assert "mean" not in words.changes_caption(True, False, False)


def test_labels_are_spread_in_order() -> None:
    assert spread([0.0, 10.0], 1.0) == [0.0, 10.0]
    placed = spread([5.0, 5.1, 5.05, 9.0], 1.0)
    assert placed[0] < placed[2] < placed[1] < placed[3]
    ordered = sorted(placed)
    assert min(b - a for a, b in itertools.pairwise(ordered)) >= 1 - 1e-9


def test_repeat_gives_agreement(tmp_path: Path) -> None:
    first = write_directory(tmp_path / "first", 9, images_only=True)
    second = write_directory(tmp_path / "second", 9, images_only=True)
    rows = read_table(second, "volumes")
    for index, row in enumerate(rows):
        if row["volume_ml"] is not None:
            row["volume_ml"] = float(row["volume_ml"]) + (-8, 4, 10)[index % 3]
    rows[0]["case_id"] = "another-name"  # matched by subject and visit
    rows[1]["volume_ml"] = None
    rows[1]["status"] = "failed"
    rows[2]["flags"] = "unusual_stain"  # whatever flag keeps a number out of comparisons
    write_table(second, "volumes", rows)
    text = build_report(first, repeat=second).read_text(encoding="utf-8")
    statistics = {(r["measure"], r["quantity"]): r for r in read_table(first, "statistics")}
    bias = statistics["liver_volume_ml", "repeat_bias"]
    assert bias["n"] == 14
    assert "Left out as doubtful: S02_baseline_scan." in text
    assert -8 < float(bias["value"]) < 10
    coefficient = statistics["liver_volume_ml", "smallest_detectable_change"]["value"]
    assert coefficient == pytest.approx(1.96 * (60.0**0.5), rel=0.1)
    assert 0.9 < float(statistics["liver_volume_ml", "repeat_icc_2_1"]["value"]) < 1
    assert statistics["caf_percent", "repeat_identical"]["value"] == 16
    assert ("caf_percent", "smallest_detectable_change") not in statistics
    assert "the program repeats itself" in text
    assert "Measured only here: S01_month6_scan" in text
    assert f"smallest_detectable: {{liver_volume_ml: {coefficient:.4g}}}" in text
    with pytest.raises(ManifestError, match="cannot be compared"):
        build_report(first, repeat=tmp_path)


def test_data_package_is_valid(built: Path) -> None:
    import frictionless  # takes long to load, and only this test needs it

    validated = frictionless.Package(str(built / "datapackage.json")).validate()
    assert validated.valid, validated.flatten(["rowNumber", "fieldName", "message"])
