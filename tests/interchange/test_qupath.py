"""What QuPath makes a project of: each slide's outlines as they stand, and where the slide is."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from fibrovol.batch.asked import asked_of, slide_paths
from fibrovol.batch.journal import JOURNAL_NAME, Journal
from fibrovol.batch.output import WORK_NAME
from fibrovol.batch.record import Record
from fibrovol.batch.task import CaseResult
from fibrovol.cli import main
from fibrovol.datapackage import write_datapackage
from fibrovol.errors import OutputError
from fibrovol.intake.cases import Case
from fibrovol.intake.remote import Url
from fibrovol.interchange.layouts import export
from fibrovol.interchange.qupath import SCRIPT_NAME
from fibrovol.kinds.base import Permissions
from fibrovol.settings import load_settings
from fibrovol.tables import write_table

SLIDES = {"S1_a_slide": Path("/data/it's here/a.svs"), "S2_a_slide": Path("C:\\slides\\b.ndpi")}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A slide as it was measured, and one that a reader corrected."""
    folder = tmp_path / "results"
    for part in ("masks", "corrections"):
        (folder / part).mkdir(parents=True)
    rows = []
    for case_id, mask in (
        ("S1_a_slide", "masks/S1_a_slide"),
        ("S2_a_slide", "corrections/S2_a_slide_r1_kim"),
    ):
        for stem in {f"masks/{case_id}", mask}:
            (folder / f"{stem}_mask.ome.tif").write_bytes(b"tif")
            (folder / f"{stem}_regions.geojson").write_text(f'{{"of": "{stem}"}}', encoding="utf-8")
        row = {"case_id": case_id, "subject": case_id[:2], "timepoint": "a", "status": "measured"}
        rows.append(
            {**row, "stain": "psr", "caf_percent": 12.5, "mask_path": f"{mask}_mask.ome.tif"}
        )
    write_table(folder, "collagen", rows)
    written = {"written": "2026-11-27T10:00:00+00:00", "versions": {"fibrovol": "0.1.0"}}
    (folder / "provenance.json").write_text(json.dumps({**written, "cases": {}}), encoding="utf-8")
    write_datapackage(folder, title="A trial")
    return folder


def records(results: Path) -> None:
    """Write the journal of the two slides and of one in an object store."""
    (results / WORK_NAME).mkdir()
    with Journal(results / WORK_NAME / JOURNAL_NAME) as journal:
        places = {**SLIDES, "S3_a_slide": Path("c.svs")}
        for case_id, path in places.items():
            case = Case(case_id, case_id[:2], "a", "slide", path, str(path))
            if case_id.startswith("S3"):
                case = replace(case, remote=(("path", Url("s3://store/c.svs")),))
            asked = asked_of(case, load_settings({}), Permissions())
            result = CaseResult(case_id, {}, None, [], {}, "", "", [""])
            journal.add(Record(result, "slide", "p", ("p",), "c", "p", None, 1, "2026", asked))


def test_outlines_are_those_of_the_mask_that_counts(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written = export("qupath", results, out, slides=SLIDES)
    assert {path.relative_to(out).as_posix() for path in written} == {
        "geojson/S1_a_slide.geojson", "geojson/S2_a_slide.geojson", "slides.json", SCRIPT_NAME,
    }  # fmt: skip
    corrected = json.loads((out / "geojson/S2_a_slide.geojson").read_text(encoding="utf-8"))
    assert corrected == {"of": "corrections/S2_a_slide_r1_kim"}
    slides = json.loads((out / "slides.json").read_text(encoding="utf-8"))
    assert [(one["name"], Path(one["slide"])) for one in slides] == list(SLIDES.items())
    assert slides[0]["caf_percent"] == "12.5"


def test_the_script_knows_its_folder_and_asks_for_what_the_list_has(results, tmp_path) -> None:
    out = tmp_path / "it's"
    export("qupath", results, out)
    script = (out / SCRIPT_NAME).read_text(encoding="utf-8")
    assert f"'{str(out).replace(chr(39), chr(92) + chr(39))}'" in script
    assert "@FOLDER@" not in script
    (one, _) = json.loads((out / "slides.json").read_text(encoding="utf-8"))
    assert set(re.findall(r"one\.get\('(\w+)'\)", script)) <= set(one)
    assert one["slide"] == ""  # not known: the script names the slide and what to do


def test_the_command_finds_the_slides_in_the_records(results, tmp_path, capsys) -> None:
    records(results)
    assert slide_paths(results) == SLIDES
    assert main(["export", "qupath", str(results), "-o", str(tmp_path / "out")]) == 0
    assert "slides.json has the places" in capsys.readouterr().err
    slides = json.loads((tmp_path / "out/slides.json").read_text(encoding="utf-8"))
    assert [Path(one["slide"]) for one in slides] == list(SLIDES.values())


def test_results_without_outlines_are_refused(results: Path, tmp_path: Path) -> None:
    shutil.rmtree(results / "corrections")
    with pytest.raises(OutputError, match="A file of S2_a_slide is missing"):
        export("qupath", results, tmp_path / "out")
    for path in results.rglob("*.geojson"):
        path.unlink()
    (results / "corrections").mkdir()
    (results / "corrections/S2_a_slide_r1_kim_mask.ome.tif").write_bytes(b"tif")
    with pytest.raises(OutputError, match="no outlines of slides"):
        export("qupath", results, tmp_path / "out2")
